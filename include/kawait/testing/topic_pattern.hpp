#pragma once

#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 with -fsanitize=address sees uninitialised memory in there.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <regex>
#pragma GCC diagnostic pop
#else
#include <regex>
#endif
#include <string_view>
#include <utility>

#include <kawait/core/result.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::testing {

/// The regular expression of a subscription, which must match a topic's whole name.
///
/// Kafka's are RE2/J; this is std::regex (ECMAScript), which stands in for it: plain patterns mean the same in both. What only
/// RE2 has ("(?i)", "\pL", "\A") means something else or is invalid here, and look-ahead, which RE2 refuses, is taken. What
/// would cost unbounded memory or time is invalid: back-references, more than 1000 characters, parentheses deeper than 100,
/// repetitions that multiply to more than about ten thousand states.
class topic_pattern {
 public:
  /// INVALID_REGULAR_EXPRESSION with Kafka's words and the library's reason.
  KAWAIT_DECL static result<topic_pattern> compile(std::string_view text);

  KAWAIT_DECL bool matches(std::string_view name) const;

 private:
  explicit topic_pattern(std::regex r) : regex_(std::move(r)) {}

  std::regex regex_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/topic_pattern.ipp>
#endif
