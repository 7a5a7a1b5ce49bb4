#pragma once

#include <string>
#include <system_error>
#include <utility>

#include <kawait/core/kafka_error.hpp>
#include <kawait/detail/config.hpp>

namespace kawait {

/// What kawait itself can fail with; what a broker says is a kafka_error. Both are plain std::error_codes to switch on.
enum class errc {
  // Configuration and use.
  invalid_config = 1,      ///< A property or its value is wrong; the words name both.
  not_subscribed,          ///< Run without a subscription or an assignment.
  mixed_modes,             ///< for_each_*, events and async_next of the consumer exclude each other.
  already_running,         ///< A second async_run, or a second reader of one stream.
  group_required,          ///< The call needs group.id.
  not_in_manual_mode,      ///< assign() in a consumer that is subscribed, or the reverse.
  not_assigned,            ///< The partition is not ours (any more): no seek, pause or commit.
  batch_abandoned,         ///< A batch was released without done(); in manual mode a warning of the commits that it holds up.
  lease_quota,             ///< The partition's own unreleased batches fill its share of the buffer.
  handler_returned_early,  ///< A for_each_partition handler returned while its partition was still assigned.
  no_offset,               ///< No committed offset, or it is out of range, and auto.offset.reset is none.
  log_truncated,           ///< Records below the position are gone: another leader's log goes on from an earlier offset (KIP-320).
  // Ends of streams and revocations.
  lost,                 ///< The group moved on without us: nothing can be committed any more.
  closed,               ///< The consumer is closed.
  revocation_deadline,  ///< In-flight work was not drained in time; the partition was given up regardless.
  poll_interval_exceeded,  ///< A partition's work stood still for max.poll.interval.ms: the member left until it moves again.
  commit_failed,        ///< At least one partition's offset was not committed; the result says which and why.
  // Network and protocol.
  unresolved_host,         ///< No bootstrap name has an address.
  bootstrap_failed,        ///< No bootstrap address could be used.
  unknown_broker,          ///< The cluster names a broker and not where it is: it is just leaving, or coming.
  connection_closed,       ///< The broker closed the connection.
  request_timeout,         ///< No answer within request.timeout.ms.
  not_kafka,               ///< What answers does not speak Kafka's protocol.
  unsupported_broker,      ///< The broker lacks an API or a version that is needed.
  malformed_response,      ///< A response does not decode; the connection is closed.
  frame_too_large,         ///< A frame is longer than the limit, or its length is negative.
  correlation_mismatch,    ///< A response that answers no request; the connection is closed.
  tls_failed,              ///< TLS was not agreed on, or a protected stream broke; the words say why.
  certificate_rejected,    ///< The broker's certificate is not trusted, not of its host, or out of date.
  authentication_failed,   ///< SASL: the broker refuses the credentials or the mechanism, or does not prove that it knows them.
  io_uring_unavailable,    ///< The kernel or the container forbids io_uring; build with KAWAIT_IO_URING=OFF.
  // Records.
  corrupt_batch,       ///< A record batch does not decode.
  crc_mismatch,        ///< A record batch's CRC32C is wrong.
  unsupported_magic,   ///< Record batches of magic 0 or 1 (written before Kafka 0.11).
  unsupported_codec,   ///< Unknown compression codec, or one that was left out of this build.
  decompression_limit  ///< A record batch decompresses to more than the limit.
};

/// What to do about an error, for `ec == kawait::condition::retriable`.
enum class condition {
  retriable = 1,  ///< The same call may succeed later.
  fenced,         ///< The group went on without this member; it rejoins by itself.
  fatal           ///< Nothing but a change of configuration or permission helps.
};

KAWAIT_DECL const std::error_category& kawait_category() noexcept;
KAWAIT_DECL const std::error_category& condition_category() noexcept;

inline std::error_code make_error_code(errc e) noexcept { return std::error_code(static_cast<int>(e), kawait_category()); }
inline std::error_condition make_error_condition(condition c) noexcept {
  return std::error_condition(static_cast<int>(c), condition_category());
}

/// Receives the words that belong to an error: the broker's own, or what kawait knows of the place.
class diagnostics {
 public:
  const std::string& text() const noexcept { return text_; }
  void assign(std::string text) { text_ = std::move(text); }
  void clear() noexcept { text_.clear(); }

 private:
  std::string text_;
};

/// Thrown where kawait throws: an error_code with the words that belong to it.
class error : public std::system_error {
 public:
  error(std::error_code code, const std::string& words)
      : std::system_error(words.empty() ? std::system_error(code) : std::system_error(code, words)), words_(words) {}

  /// The broker's words or kawait's, without the code's own message.
  const std::string& words() const noexcept { return words_; }

 private:
  std::string words_;
};

/// An error as a value: the code and its words.
struct failure {
  std::error_code code;
  std::string words;

  failure() = default;
  failure(std::error_code c, std::string w = {}) : code(c), words(std::move(w)) {}

  explicit operator bool() const noexcept { return static_cast<bool>(code); }
  /// Copies what there is memory for: the code, and the words if they can be.
  KAWAIT_DECL void take_over(const failure& other) noexcept;
  /// "words: message of the code", or one of them; empty if there is no failure.
  KAWAIT_DECL std::string to_string() const;
};

}  // namespace kawait

template <>
struct std::is_error_code_enum<kawait::errc> : std::true_type {};
template <>
struct std::is_error_condition_enum<kawait::condition> : std::true_type {};

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/core/impl/error.ipp>
#endif
