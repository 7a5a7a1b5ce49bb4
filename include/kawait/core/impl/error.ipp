#pragma once

#include <kawait/core/error.hpp>

namespace kawait {
namespace detail {

inline const char* words_of(errc e) noexcept {
  switch (e) {
    case errc::invalid_config: return "invalid configuration";
    case errc::not_subscribed: return "the consumer has no subscription and no assignment";
    case errc::mixed_modes: return "a consumer is read in one mode only: for_each_*, events, or async_next";
    case errc::already_running: return "already running";
    case errc::group_required: return "group.id is required";
    case errc::not_in_manual_mode: return "assign and subscribe exclude each other";
    case errc::not_assigned: return "the partition is not assigned to this consumer";
    case errc::batch_abandoned: return "a batch was released without done()";
    case errc::lease_quota: return "the partition's unreleased batches fill its share of fetch.buffer.bytes";
    case errc::handler_returned_early: return "the handler returned while its partition was still assigned";
    case errc::no_offset: return "no usable offset and auto.offset.reset is none";
    case errc::log_truncated: return "the log was truncated below the position";
    case errc::lost: return "the partition was lost";
    case errc::closed: return "the consumer is closed";
    case errc::revocation_deadline: return "in-flight work was not drained before the revocation's deadline";
    case errc::poll_interval_exceeded: return "no sign of work for max.poll.interval.ms";
    case errc::commit_failed: return "not every offset could be committed";
    case errc::unresolved_host: return "host name not resolved";
    case errc::bootstrap_failed: return "no bootstrap server could be used";
    case errc::unknown_broker: return "the cluster does not say where the broker is";
    case errc::connection_closed: return "the broker closed the connection";
    case errc::request_timeout: return "no answer within request.timeout.ms";
    case errc::not_kafka: return "the peer does not speak Kafka's protocol";
    case errc::unsupported_broker: return "the broker lacks what this client needs";
    case errc::malformed_response: return "malformed response";
    case errc::frame_too_large: return "frame length out of range";
    case errc::correlation_mismatch: return "the response answers no request";
    case errc::tls_failed: return "TLS failed";
    case errc::certificate_rejected: return "the broker's certificate is rejected";
    case errc::authentication_failed: return "authentication failed";
    case errc::io_uring_unavailable: return "io_uring is not available here; build with KAWAIT_IO_URING=OFF for epoll";
    case errc::corrupt_batch: return "corrupt record batch";
    case errc::crc_mismatch: return "CRC32C of the record batch does not match";
    case errc::unsupported_magic: return "record batches older than magic 2 are not supported";
    case errc::unsupported_codec: return "compression codec not supported";
    case errc::decompression_limit: return "the record batch decompresses to more than the limit";
  }
  return "unknown kawait error";
}

inline bool is_fenced(const std::error_code& ec) noexcept {
  return ec == kafka_error::unknown_member_id || ec == kafka_error::fenced_member_epoch ||
         ec == kafka_error::group_id_not_found || ec == kafka_error::stale_member_epoch || ec == errc::lost;
}

inline bool is_retriable(const std::error_code& ec) noexcept {
  if (ec.category() == kafka_category()) return kawait::is_retriable(static_cast<kafka_error>(ec.value()));
  if (ec.category() != kawait_category()) return true;  // the operating system's: a network that may come back
  switch (static_cast<errc>(ec.value())) {
    case errc::bootstrap_failed:
    case errc::unresolved_host:
    case errc::unknown_broker:
    case errc::connection_closed:
    case errc::request_timeout:
    case errc::tls_failed:
    case errc::lease_quota:
      return true;
    default:
      return false;
  }
}

class own_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "kawait"; }
  std::string message(int value) const override { return words_of(static_cast<errc>(value)); }
};

class own_condition_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "kawait.condition"; }
  std::string message(int value) const override {
    switch (static_cast<condition>(value)) {
      case condition::retriable: return "retriable";
      case condition::fenced: return "fenced";
      case condition::fatal: return "fatal";
    }
    return "unknown condition";
  }
  bool equivalent(const std::error_code& ec, int value) const noexcept override {
    if (!ec) return false;
    switch (static_cast<condition>(value)) {
      case condition::retriable: return detail::is_retriable(ec);
      case condition::fenced: return is_fenced(ec);
      case condition::fatal: return !detail::is_retriable(ec) && !is_fenced(ec);
    }
    return false;
  }
};

}  // namespace detail

KAWAIT_DECL const std::error_category& kawait_category() noexcept {
  static const detail::own_category category;
  return category;
}

KAWAIT_DECL const std::error_category& condition_category() noexcept {
  static const detail::own_condition_category category;
  return category;
}

KAWAIT_DECL void failure::take_over(const failure& other) noexcept {
  code = other.code;
  try {
    words = other.words;
  } catch (...) {
    words.clear();
  }
}

KAWAIT_DECL std::string failure::to_string() const {
  if (!code) return words;
  const std::string message = code.message();
  return words.empty() || words == message ? message : words + ": " + message;
}

}  // namespace kawait
