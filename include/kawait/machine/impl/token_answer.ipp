#pragma once

#include <kawait/machine/token_answer.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

namespace kawait::machine {
namespace detail {

/// One pass over a JSON text (RFC 8259) that keeps the values of a few members of the outermost object, as they stand there. Not a
/// library's document or events: those keep copies of the token in memory that nobody cleanses.
class json_members {
 public:
  static constexpr int deepest = 32;
  static constexpr std::array<std::string_view, 4> wanted = {"access_token", "expires_in", "token_type", "error"};

  explicit json_members(std::string_view text) : rest_(text) { good_ = read_object(1, true) && (skip_space(), rest_.empty()); }

  explicit operator bool() const noexcept { return good_; }
  /// With its quotes; empty if there is none.
  std::string_view operator[](std::string_view name) const {
    const auto at = std::find(wanted.begin(), wanted.end(), name) - wanted.begin();
    return values_[static_cast<std::size_t>(at)];
  }

 private:
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }

  bool read_value(int depth) {
    if (depth > deepest || rest_.empty()) return false;
    switch (rest_.front()) {
      case '{': return read_object(depth, false);
      case '[': return read_array(depth);
      case '"': return read_string();
      case 't': return take("true");
      case 'f': return take("false");
      case 'n': return take("null");
      default: return read_number();
    }
  }

  bool read_object(int depth, bool is_outermost) {
    skip_space();
    if (!take('{')) return false;
    skip_space();
    if (take('}')) return true;
    do {
      skip_space();
      const std::string_view name = rest_;
      if (!read_string()) return false;
      const std::string_view quoted = name.substr(0, name.size() - rest_.size());
      skip_space();
      if (!take(':')) return false;
      skip_space();
      const std::string_view value = rest_;
      if (!read_value(depth + 1)) return false;
      if (is_outermost && !keep(quoted.substr(1, quoted.size() - 2), value.substr(0, value.size() - rest_.size()))) return false;
      skip_space();
    } while (take(','));
    return take('}');
  }

  bool read_array(int depth) {
    take('[');
    skip_space();
    if (take(']')) return true;
    do {
      skip_space();
      if (!read_value(depth + 1)) return false;
      skip_space();
    } while (take(','));
    return take(']');
  }

  bool read_string() {
    if (!take('"')) return false;
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < ' ') return false;
      if (c == '\\' && !read_escape()) return false;
    }
    return false;
  }

  bool read_escape() {
    if (rest_.empty()) return false;
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos;
    if (rest_.size() < 4 || rest_.substr(0, 4).find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) return false;
    rest_.remove_prefix(4);
    return true;
  }

  bool read_digits() {
    const std::size_t count = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(count);
    return count > 0;
  }

  bool read_number() {
    take('-');
    if (!take('0') && !read_digits()) return false;
    if (take('.') && !read_digits()) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) take('-');
    return read_digits();
  }

  // One that is said twice means one thing to one reader and another to the next.
  bool keep(std::string_view name, std::string_view value) {
    const auto at = std::find(wanted.begin(), wanted.end(), name);
    if (at == wanted.end()) return true;
    std::string_view& slot = values_[static_cast<std::size_t>(at - wanted.begin())];
    if (!slot.empty()) return false;
    slot = value;
    return true;
  }

  std::string_view rest_;
  std::array<std::string_view, wanted.size()> values_{};
  bool good_ = false;
};

/// The characters of a quoted text whose escapes are of printable ASCII; nothing if it is not quoted or holds others: no token does.
inline std::optional<secret> unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != '"') return std::nullopt;
  value = value.substr(1, value.size() - 2);
  std::string text;
  text.reserve(value.size());
  bool good = true;
  for (std::size_t i = 0; i < value.size(); ++i) {
    int c = static_cast<unsigned char>(value[i]);
    if (c == '\\') {
      c = static_cast<unsigned char>(value[++i]);
      if (c == 'u') {
        std::from_chars(value.data() + i + 1, value.data() + i + 5, c, 16);
        i += 4;
      } else if (c != '"' && c != '\\' && c != '/') {
        good = false;
      }
    }
    good = good && c >= ' ' && c <= '~';
    text += static_cast<char>(good ? c : ' ');
  }
  secret all(text);
  kawait::detail::cleanse(text.data(), text.size());
  if (!good) return std::nullopt;
  return all;
}

/// Some endpoints put it in quotes.
inline std::optional<std::chrono::seconds> lifetime_of(std::string_view value) {
  if (value.empty()) return std::chrono::seconds(0);
  if (value.size() > 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  std::int64_t n = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, code] = std::from_chars(value.data(), end, n);
  if (code == std::errc::result_out_of_range && value.front() != '-') return std::chrono::hours(24 * 365);
  if (code != std::errc() || stop != end || n < 0) return std::nullopt;
  return std::min<std::chrono::seconds>(std::chrono::seconds(n), std::chrono::hours(24 * 365));
}

/// In any case; none will do: the RFC requires it, Kafka's own client does not.
inline bool is_bearer(std::string_view value) {
  constexpr std::string_view bearer = "\"bearer\"";
  const auto alike = [](char a, char b) { return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b); };
  return value.empty() || std::equal(value.begin(), value.end(), bearer.begin(), bearer.end(), alike);
}

}  // namespace detail

KAWAIT_DECL result<token_answer> token_answer::parse(std::string_view json) {
  const detail::json_members members(json);
  const auto bad = [](const char* words) { return failure(errc::authentication_failed, words); };
  if (!members) return bad("the answer is not an object of JSON, or says something twice");
  auto token = detail::unquoted(members["access_token"]);
  if (!token || token->empty()) return bad("the answer has no access_token that can be shown to a broker");
  if (!detail::is_bearer(members["token_type"])) return bad("the answer's token_type is not Bearer");
  const auto lifetime = detail::lifetime_of(members["expires_in"]);
  if (!lifetime) return bad("the answer's expires_in is no number of seconds");
  token_answer answer;
  answer.token = *std::move(token);
  answer.lifetime = *lifetime;
  return answer;
}

KAWAIT_DECL std::string_view token_refusal(std::string_view json) {
  constexpr std::string_view known[] = {"invalid_request",        "invalid_client", "invalid_grant", "unauthorized_client",
                                        "unsupported_grant_type", "invalid_scope",  "access_denied"};
  const detail::json_members members(json);
  if (!members) return {};
  const auto said = detail::unquoted(members["error"]);
  for (const std::string_view k : known) {
    if (said && said->reveal() == k) return k;
  }
  return {};
}

}  // namespace kawait::machine
