#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <kawait/core/error.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::machine {

/// One answer of HTTP/1.1 (RFC 9112), as its bytes come: what is needed to ask a service a question, and no more. Strict, since what
/// one reader skips and another does not is how answers are smuggled. Failures are errc::malformed_response; their words hold nothing
/// of the answer. The body is cleansed, for it may be a secret.
class http_answer {
 public:
  static constexpr std::size_t longest_head = 16 * 1024;  ///< With all that frames chunks.
  static constexpr std::size_t longest_body = 1024 * 1024;

  http_answer() = default;
  http_answer(const http_answer&) = delete;
  http_answer& operator=(const http_answer&) = delete;
  KAWAIT_DECL ~http_answer();

  /// What follows the answer is ignored. Nothing may be called after a failure.
  KAWAIT_DECL failure take(std::string_view bytes);
  /// No more bytes come.
  KAWAIT_DECL failure end();
  bool is_complete() const noexcept { return state_ == state::complete; }

  /// Both once it is complete.
  int status() const noexcept { return status_; }
  std::string_view body() const noexcept { return body_; }

 private:
  enum class state : std::uint8_t { status, fields, body, body_until_end, chunk_size, chunk, chunk_end, trailers, complete };

  KAWAIT_DECL failure take_line(std::string_view& bytes);
  KAWAIT_DECL failure take_body(std::string_view& bytes);
  KAWAIT_DECL failure on_line(std::string_view line);
  KAWAIT_DECL failure on_status(std::string_view line);
  KAWAIT_DECL failure on_field(std::string_view line);
  KAWAIT_DECL failure on_head_end();
  KAWAIT_DECL failure on_chunk_size(std::string_view line);
  KAWAIT_DECL void append(std::string_view bytes);

  state state_ = state::status;
  std::string line_;
  std::size_t head_size_ = 0;
  int status_ = 0;
  std::optional<std::size_t> length_;
  bool chunked_ = false;
  std::size_t missing_ = 0;  // Of the body or of a chunk.
  std::string body_;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/http_answer.ipp>
#endif
