#pragma once

#include <kawait/core/types.hpp>
#include <kawait/record.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

/// How many bytes the UTF-8 character at the front has; 0 if it is malformed.
inline std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead >> 5 == 0x6 ? 2 : lead >> 4 == 0xe ? 3 : lead >> 3 == 0x1e ? 4 : 0;
  if (length == 0 || length > text.size()) return 0;
  char32_t code = length == 1 ? lead : lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if (next >> 6 != 0x2) return 0;
    code = (code << 6) | (next & 0x3fu);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < smallest[length] || code > 0x10ffff || surrogate ? 0 : length;
}

/// One event: an object on a line of its own. Values are appended in the order in which they are shown.
class event_line {
 public:
  explicit event_line(std::string_view name) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    text_ = '{';
    add("timestamp", now.count());
    add("name", name);
  }

  event_line& add(std::string_view name, std::int64_t value) {
    key(name);
    text_ += std::to_string(value);
    return *this;
  }
  event_line& add(std::string_view name, std::string_view value) {
    key(name);
    quote(value);
    return *this;
  }
  event_line& add_flag(std::string_view name, bool value) {
    key(name);
    text_ += value ? "true" : "false";
    return *this;
  }
  event_line& add_nullable(std::string_view name, const kawait::record& r, bool value) {
    const auto bytes = value ? r.value() : r.key();
    if (bytes) return add(name, *bytes);
    key(name);
    text_ += "null";
    return *this;
  }
  event_line& open_list(std::string_view name) {
    key(name);
    text_ += '[';
    return *this;
  }
  event_line& close_list() {
    text_ += ']';
    return *this;
  }
  /// An element of a list: {topic, partition and what is added until close_element()}.
  event_line& open_element(const kawait::topic_partition& p) {
    separate();
    text_ += '{';
    return add("topic", p.topic).add("partition", p.partition);
  }
  event_line& close_element() {
    text_ += '}';
    return *this;
  }

  /// Whoever reads the pipe gets it at once, unless more lines follow in the same breath.
  void print(bool flush = true) {
    text_ += "}\n";
    std::fwrite(text_.data(), 1, text_.size(), stdout);
    if (flush) std::fflush(stdout);
  }

 private:
  void separate() {
    if (text_.back() != '{' && text_.back() != '[') text_ += ',';
  }
  void key(std::string_view name) {
    separate();
    quote(name);
    text_ += ':';
  }
  // Bytes that are no UTF-8 become U+FFFD, as in Java's StringDeserializer.
  void quote(std::string_view text) {
    text_ += '"';
    while (!text.empty()) {
      const std::size_t length = utf8_length(text);
      const char c = text.front();
      if (length == 0) {
        text_ += "\\ufffd";
      } else if (c == '"' || c == '\\') {
        (text_ += '\\') += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        constexpr char digits[] = "0123456789abcdef";
        ((text_ += "\\u00") += digits[c >> 4]) += digits[c & 0xf];
      } else {
        text_ += text.substr(0, length);
      }
      text.remove_prefix(std::max<std::size_t>(1, length));
    }
    text_ += '"';
  }

  std::string text_;
};
