#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace kawait::detail {

/// For words: "a, b, c"; at most ten of them, "and 7 more".
inline std::string list_of(const std::vector<std::string>& names) {
  constexpr std::size_t most = 10;
  std::string list;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) list.append(i == 0 ? "" : ", ").append(names[i]);
  if (names.size() > most) list += " and " + std::to_string(names.size() - most) + " more";
  return list;
}

}  // namespace kawait::detail
