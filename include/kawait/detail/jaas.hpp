#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <kawait/core/secret.hpp>

namespace kawait::detail {

/// The one entry of sasl.jaas.config: `some.LoginModule required name="value" other="value";`
class jaas_entry {
 public:
  std::string module;
  std::map<std::string, secret> options;

  /// Nothing if `text` is none.
  static std::optional<jaas_entry> parse(std::string_view text) {
    jaas_entry e;
    e.rest_ = text;
    if (!e.read()) return std::nullopt;
    return std::optional<jaas_entry>(std::move(e));
  }

 private:
  bool read() {
    secret word;
    if (!take_word(word)) return false;
    module = word.reveal();
    if (!take_word(word)) return false;
    const std::string_view flag = word.reveal();
    if (flag != "required" && flag != "requisite" && flag != "sufficient" && flag != "optional") return false;
    while (!take(';')) {
      secret name, value;
      if (!take_word(name) || !take('=') || !take_word(value)) return false;
      options.insert_or_assign(std::string(name.reveal()), std::move(value));
    }
    skip_blanks();
    return rest_.empty();
  }

  bool take(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // A name, or anything in quotes, where a backslash stands before a quote or another backslash.
  bool take_word(secret& word) {
    skip_blanks();
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '\'')) return take_quoted(word);
    const auto end = std::min(rest_.find_first_of(" \t\r\n\f=;\"'"), rest_.size());
    word = secret(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return !word.empty();
  }
  bool take_quoted(secret& word) {
    const char quote = rest_.front();
    rest_.remove_prefix(1);
    word = secret();
    while (!rest_.empty() && rest_.front() != quote) {
      if (rest_.front() == '\\') rest_.remove_prefix(1);
      if (rest_.empty()) break;
      const auto end = std::min(rest_.find_first_of(quote == '"' ? "\\\"" : "\\'", 1), rest_.size());
      word = secret({word.reveal(), rest_.substr(0, end)});
      rest_.remove_prefix(end);
    }
    return take(quote);
  }
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n\f"), rest_.size())); }

  std::string_view rest_;
};

}  // namespace kawait::detail
