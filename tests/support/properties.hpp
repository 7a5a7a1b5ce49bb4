#pragma once

#include <kawait/config.hpp>

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace kawait::tests {

/// "property=value ...", as the benchmarks and the tests' own programs take them from their command lines.
inline void set_properties(config& c, std::span<char* const> words) {
  for (const std::string_view word : words) {
    const auto equals = word.find('=');
    if (equals == std::string_view::npos) throw std::invalid_argument("'" + std::string(word) + "': property=value is expected");
    c.set(word.substr(0, equals), word.substr(equals + 1));
  }
}

}  // namespace kawait::tests
