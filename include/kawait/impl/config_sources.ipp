#pragma once

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <optional>
#include <system_error>

#include <kawait/config.hpp>

#include <unistd.h>

namespace kawait {

namespace detail {

/// One entry of a file in the format of java.util.Properties: a line and those that continue it.
class property_line {
 public:
  std::string name, value;

  /// Why it is none, or nothing.
  std::string_view read(std::string_view text) {
    rest_ = text;
    std::string_view bad = take(name, "=: \t\f");
    if (!bad.empty()) return bad;
    skip_blanks();
    if (!rest_.empty() && (rest_.front() == '=' || rest_.front() == ':')) rest_.remove_prefix(1);
    skip_blanks();
    return take(value, "");
  }

 private:
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\f"), rest_.size())); }

  std::string_view take(std::string& into, std::string_view until) {
    while (!rest_.empty() && until.find(rest_.front()) == std::string_view::npos) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c != '\\') {
        into += c;
      } else if (const std::string_view bad = take_escape(into); !bad.empty()) {
        return bad;
      }
    }
    return {};
  }

  std::string_view take_escape(std::string& into) {
    if (rest_.empty()) return {};
    const char c = rest_.front();
    rest_.remove_prefix(1);
    constexpr std::string_view from = "tnrf", to = "\t\n\r\f";
    if (c == 'u') return take_code_unit(into);
    const auto known = from.find(c);
    into += known == std::string_view::npos ? c : to[known];
    return {};
  }

  // As UTF-8. Names and values of Kafka's have no use for characters beyond 16 bits.
  std::string_view take_code_unit(std::string& into) {
    unsigned unit = 0;
    const auto [end, ec] = std::from_chars(rest_.data(), rest_.data() + std::min<std::size_t>(rest_.size(), 4), unit, 16);
    if (ec != std::errc() || end != rest_.data() + 4 || (unit >= 0xd800 && unit < 0xe000)) {
      return "has \\u without four hexadecimal digits of a character";
    }
    rest_.remove_prefix(4);
    if (unit < 0x80) {
      into += static_cast<char>(unit);
    } else if (unit < 0x800) {
      into += static_cast<char>(0xc0 | unit >> 6);
      into += static_cast<char>(0x80 | (unit & 0x3f));
    } else {
      into += static_cast<char>(0xe0 | unit >> 12);
      into += static_cast<char>(0x80 | (unit >> 6 & 0x3f));
      into += static_cast<char>(0x80 | (unit & 0x3f));
    }
    return {};
  }

  std::string_view rest_;
};

/// Whether the line goes on in the next one: it ends with an odd number of backslashes.
inline bool is_continued(std::string_view line) {
  const auto last = line.find_last_not_of('\\');
  const std::size_t backslashes = line.size() - (last == std::string_view::npos ? 0 : last + 1);
  return backslashes % 2 != 0;
}

/// Lines, joined where one continues another.
class property_lines {
 public:
  explicit property_lines(std::istream& in) : in_(in) {}

  /// The next that is no comment and not empty; its number is that of its first line.
  bool next(std::string& line) {
    std::string part;
    while (read(part)) {
      if (part.empty() || part.front() == '#' || part.front() == '!') continue;
      number_ = count_;
      line.clear();
      while (is_continued(part)) {
        line.append(part, 0, part.size() - 1);
        if (!read(part)) part.clear();
      }
      line += part;
      return true;
    }
    return false;
  }
  std::size_t number() const noexcept { return number_; }

 private:
  // Without the blanks in front and the carriage return behind.
  bool read(std::string& line) {
    if (!std::getline(in_, line)) return false;
    ++count_;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (count_ == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);  // a byte order mark, which some editors write
    line.erase(0, std::min(line.find_first_not_of(" \t\f"), line.size()));
    return true;
  }

  std::istream& in_;
  std::size_t count_ = 0, number_ = 0;
};

/// Does it, and puts the place in front of the words of an error.
template <class F>
void at_place(const std::string& place, F f) {
  try {
    f();
  } catch (const error& e) {
    throw error(e.code(), place + ": " + e.words());
  }
}

/// KAWAIT_CONFIG_GROUP_ID with the prefix KAWAIT_CONFIG_: group.id.
inline std::string property_of_variable(std::string_view variable, std::string_view prefix) {
  std::string name(variable.substr(prefix.size()));
  for (char& c : name) c = c == '_' ? '.' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace detail

KAWAIT_DECL config& config::load_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  if (!file) throw error(errc::invalid_config, path + ": cannot be read: " + std::generic_category().message(errno));
  config loaded = *this;  // all or nothing
  detail::property_lines lines(file);
  for (std::string line; lines.next(line);) {
    detail::at_place(path + ':' + std::to_string(lines.number()), [&] {
      detail::property_line entry;
      const std::string_view bad = entry.read(line);
      if (!bad.empty()) throw error(errc::invalid_config, "the line " + std::string(bad));
      loaded.set(entry.name, entry.value);
    });
  }
  if (file.bad()) throw error(errc::invalid_config, path + ": cannot be read to its end");
  return *this = std::move(loaded);
}

KAWAIT_DECL config& config::load_environment(std::string_view prefix) {
  config loaded = *this;
  for (char** entry = ::environ; entry && *entry; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (!text.starts_with(prefix) || equals == std::string_view::npos || equals < prefix.size()) continue;
    const std::string_view variable = text.substr(0, equals);
    detail::at_place(std::string(variable), [&] { loaded.set(detail::property_of_variable(variable, prefix), text.substr(equals + 1)); });
  }
  return *this = std::move(loaded);
}

}  // namespace kawait
