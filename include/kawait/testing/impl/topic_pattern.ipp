#pragma once

#include <cstddef>
#include <string>

#include <kawait/core/kafka_error.hpp>
#include <kawait/testing/topic_pattern.hpp>

namespace kawait::testing {
namespace detail {

/// What the library would have to be stopped from: it compiles and matches recursively, and its automaton grows with the product
/// of the repetitions. Null: nothing.
KAWAIT_DECL const char* too_much_of(std::string_view text) {
  constexpr std::size_t states = 10000, longest = 1000, deepest = 100;
  if (text.size() > longest) return "it is too long";
  std::size_t depth = 0, product = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '(') {
      if (++depth > deepest) return "parentheses are nested too deeply";
    } else if (text[i] == ')') {
      if (depth > 0) --depth;
    } else if (text[i] == '{') {
      std::size_t number = 0, largest = 1;
      for (++i; i < text.size() && text[i] != '}'; ++i) {
        if (text[i] < '0' || text[i] > '9') number = 0;
        else number = number * 10 + static_cast<std::size_t>(text[i] - '0');
        if (number > states) return "invalid repeat count";
        if (number > largest) largest = number;
      }
      product *= largest;
      if (product * text.size() > states) return "invalid repeat count";
    }
  }
  return nullptr;
}

KAWAIT_DECL failure invalid_pattern(std::string_view text, const std::string& reason) {
  return failure(kafka_error::invalid_regular_expression,
                 "SubscribedTopicRegex `" + std::string(text) + "` is not a valid regular expression: " + reason + ".");
}

}  // namespace detail

KAWAIT_DECL result<topic_pattern> topic_pattern::compile(std::string_view text) {
  if (const char* reason = detail::too_much_of(text)) return detail::invalid_pattern(text, reason);
  auto flags = std::regex::ECMAScript | std::regex::nosubs;
#if defined(__GLIBCXX__)
  // Its other matcher backtracks: a name of 249 characters against (a*)*b would not end, and a long name overflows the stack.
  flags |= std::regex_constants::__polynomial;
#endif
  try {
    return topic_pattern(std::regex(text.begin(), text.end(), flags));
  } catch (const std::regex_error& e) {
    return detail::invalid_pattern(text, e.what());
  }
}

KAWAIT_DECL bool topic_pattern::matches(std::string_view name) const {
  try {
    return std::regex_match(name.begin(), name.end(), regex_);
  } catch (const std::regex_error&) {
    return false;
  }
}

}  // namespace kawait::testing
