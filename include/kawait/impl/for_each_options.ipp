#pragma once

#include <kawait/for_each_options.hpp>

#include <kawait/core/error.hpp>

namespace kawait {

namespace detail {

inline std::size_t at_least_one(std::size_t n, const char* what) {
  if (n == 0) throw error(errc::invalid_config, std::string(what) + "(0): at least 1");
  return n;
}

}  // namespace detail

KAWAIT_DECL concurrency::concurrency(std::size_t handlers) : count(detail::at_least_one(handlers, "concurrency")) {}

KAWAIT_DECL by_key::by_key(std::size_t records) : count(detail::at_least_one(records, "by_key")) {}

KAWAIT_DECL any_order::any_order(std::size_t records) : count(detail::at_least_one(records, "any_order")) {}

KAWAIT_DECL retry::retry(int t, milliseconds first, milliseconds max) : times(t), pauses(first, max) {
  if (t < 1) throw error(errc::invalid_config, "retry(" + std::to_string(t) + "): at least once");
  if (first >= milliseconds(1) && first <= max) return;
  const std::string given = std::to_string(first.count()) + " ms, " + std::to_string(max.count()) + " ms";
  throw error(errc::invalid_config, "retry: pauses of " + given + ": 1 ms or more, and the first not above the longest");
}

KAWAIT_DECL skip::skip(std::function<void(const skipped_work&)> r) : report(std::move(r)) {
  if (!report) throw error(errc::invalid_config, "skip: no function to report to");
}

KAWAIT_DECL std::string skipped_work::what() const {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "not a std::exception";
  }
  return {};
}

}  // namespace kawait
