#pragma once

#include <kawait/machine/http_answer.hpp>

#include <algorithm>
#include <charconv>

#include <kawait/core/secret.hpp>

namespace kawait::machine {
namespace detail {

inline failure bad_http(const char* words) { return failure(errc::malformed_response, words); }

/// A whole number and nothing else.
inline std::optional<std::size_t> whole_number(std::string_view digits, int base) {
  std::size_t n = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, code] = std::from_chars(digits.data(), end, n, base);
  if (digits.empty() || code != std::errc() || stop != end) return std::nullopt;
  return n;
}

inline std::string in_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace detail

KAWAIT_DECL http_answer::~http_answer() { kawait::detail::cleanse(body_.data(), body_.size()); }

KAWAIT_DECL failure http_answer::take(std::string_view bytes) {
  while (!bytes.empty() && !is_complete()) {
    const bool of_body = state_ == state::body || state_ == state::body_until_end || state_ == state::chunk;
    failure f = of_body ? take_body(bytes) : take_line(bytes);
    if (f) return f;
  }
  return {};
}

KAWAIT_DECL failure http_answer::end() {
  if (state_ == state::body_until_end) state_ = state::complete;
  return is_complete() ? failure() : detail::bad_http("the answer ends too early");
}

KAWAIT_DECL failure http_answer::take_line(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  const std::string_view part = bytes.substr(0, std::min(end, bytes.size()));
  head_size_ += part.size() + 1;
  if (head_size_ > longest_head) return detail::bad_http("the answer's head is longer than 16 KiB");
  line_ += part;
  bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  if (end == std::string_view::npos) return {};
  if (line_.empty() || line_.back() != '\r') return detail::bad_http("the answer is not HTTP");
  line_.pop_back();
  const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == '\x7f'; };
  if (std::any_of(line_.begin(), line_.end(), is_control)) return detail::bad_http("the answer is not HTTP");
  failure f = on_line(line_);
  line_.clear();
  return f;
}

KAWAIT_DECL failure http_answer::on_line(std::string_view line) {
  switch (state_) {
    case state::status: return on_status(line);
    case state::fields: return line.empty() ? on_head_end() : on_field(line);
    case state::chunk_size: return on_chunk_size(line);
    case state::chunk_end:
      if (!line.empty()) return detail::bad_http("a chunk is longer than it says");
      state_ = state::chunk_size;
      return {};
    default:
      if (line.empty()) state_ = state::complete;  // of the trailers nothing is wanted
      return {};
  }
}

KAWAIT_DECL failure http_answer::on_status(std::string_view line) {
  const bool is_http = line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 ");
  const auto code = is_http ? detail::whole_number(line.substr(9, 3), 10) : std::nullopt;
  if (!code || *code < 100 || *code > 599 || (line.size() > 12 && line[12] != ' ')) return detail::bad_http("the answer is not HTTP");
  status_ = static_cast<int>(*code);
  state_ = state::fields;
  return {};
}

KAWAIT_DECL failure http_answer::on_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  const std::string name = detail::in_lower_case(line.substr(0, std::min(colon, line.size())));
  if (colon == std::string_view::npos || name.empty() || name.find_first_of(" \t") != std::string::npos) {
    return detail::bad_http("the answer is not HTTP");
  }
  const std::string_view value = detail::trimmed(line.substr(colon + 1));
  if (name == "content-length") {
    const auto length = detail::whole_number(value, 10);
    if (!length || length_) return detail::bad_http("the answer's Content-Length is none");
    if (*length > longest_body) return detail::bad_http("the answer is longer than 1 MiB");
    length_ = length;
  } else if (name == "transfer-encoding") {
    if (chunked_ || detail::in_lower_case(value) != "chunked") return detail::bad_http("the answer has an encoding that was not asked for");
    chunked_ = true;
  } else if (name == "content-encoding" && detail::in_lower_case(value) != "identity") {
    return detail::bad_http("the answer has an encoding that was not asked for");
  }
  return {};
}

KAWAIT_DECL failure http_answer::on_head_end() {
  if (chunked_ && length_) return detail::bad_http("the answer has two lengths");
  if (status_ == 101) return detail::bad_http("the answer changes the protocol");
  if (status_ < 200) {  // the answer proper is still to come; all heads together have one limit
    if (chunked_ || length_) return detail::bad_http("the answer is not HTTP");
    state_ = state::status;
  } else if (status_ == 204 || status_ == 304 || length_ == std::size_t{0}) {
    state_ = state::complete;
  } else if (chunked_) {
    state_ = state::chunk_size;
  } else {
    state_ = length_ ? state::body : state::body_until_end;
    missing_ = length_.value_or(longest_body);
  }
  return {};
}

KAWAIT_DECL failure http_answer::on_chunk_size(std::string_view line) {
  const auto size = detail::whole_number(detail::trimmed(line.substr(0, std::min(line.find(';'), line.size()))), 16);
  if (!size) return detail::bad_http("the size of a chunk is none");
  if (*size > longest_body - body_.size()) return detail::bad_http("the answer is longer than 1 MiB");
  missing_ = *size;
  state_ = *size == 0 ? state::trailers : state::chunk;
  return {};
}

KAWAIT_DECL failure http_answer::take_body(std::string_view& bytes) {
  const std::string_view part = bytes.substr(0, missing_);
  if (part.empty()) return detail::bad_http("the answer is longer than 1 MiB");  // the one that goes on to the end
  append(part);
  missing_ -= part.size();
  bytes.remove_prefix(part.size());
  if (missing_ > 0 || state_ == state::body_until_end) return {};
  state_ = state_ == state::chunk ? state::chunk_end : state::complete;
  return {};
}

// A string that grows by itself leaves copies behind.
KAWAIT_DECL void http_answer::append(std::string_view bytes) {
  if (body_.capacity() - body_.size() < bytes.size()) {
    std::string larger;
    larger.reserve(std::max(2 * body_.size(), body_.size() + bytes.size()));
    larger = body_;
    kawait::detail::cleanse(body_.data(), body_.size());
    body_.swap(larger);
  }
  body_ += bytes;
}

}  // namespace kawait::machine
