#pragma once

#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include <kawait/detail/config.hpp>

namespace kawait {

enum class property_type : std::uint8_t { text, list, boolean, number, bytes, milliseconds, choice, password };

/// "milliseconds" and so on.
constexpr std::string_view name_of(property_type t) noexcept {
  switch (t) {
    case property_type::text: return "text";
    case property_type::list: return "list";
    case property_type::boolean: return "boolean";
    case property_type::number: return "number";
    case property_type::bytes: return "bytes";
    case property_type::milliseconds: return "milliseconds";
    case property_type::choice: return "choice";
    case property_type::password: return "password";
  }
  return "unknown";
}

/// One of the properties that config::set() knows, and what may be set.
struct property_info {
  std::string_view name;
  property_type type = property_type::text;
  std::string_view standard;  ///< The default, as set() takes it; empty: none.
  std::int64_t min = 1;       ///< Of numbers, bytes and milliseconds; of texts and passwords the least and the most bytes.
  std::int64_t max = std::numeric_limits<std::int32_t>::max();
  std::string_view choices;   ///< Of a choice: "earliest, latest or none".
  std::string_view meaning;
};

/// All of them, by subject. examples/PROPERTIES.md is this list.
KAWAIT_DECL const std::vector<property_info>& properties();

/// The one of this name, or null.
KAWAIT_DECL const property_info* find_property(std::string_view name);

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/properties.ipp>
#endif
