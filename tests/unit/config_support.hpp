#pragma once

// What a setting that is refused says.

#include <functional>
#include <string>
#include <string_view>

#include <kawait/config.hpp>

#include "catch.hpp"

namespace config_support {

/// The words of the error that `f` throws; "" if it throws none.
inline std::string refusal(const std::function<void()>& f) {
  try {
    f();
    return {};
  } catch (const kawait::error& e) {
    CHECK(e.code() == kawait::errc::invalid_config);
    return e.words();
  }
}

inline std::string refusal(std::string_view name, std::string_view value) {
  return refusal([&] { kawait::config().set(name, value); });
}

inline bool contains(const std::string& words, std::string_view part) { return words.find(part) != std::string::npos; }

}  // namespace config_support
