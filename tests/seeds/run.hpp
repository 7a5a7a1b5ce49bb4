#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "invariants.hpp"
#include "plan.hpp"

namespace seeds {

/// What came of a plan.
struct outcome {
  std::uint64_t hash = 0;
  std::vector<violation> violations;
  std::map<std::string, std::size_t> hits;     ///< Of faults.
  std::map<std::string, std::size_t> reached;  ///< States, effects, errors.
};

/// Plays a plan in a world of its own. With a stream, what happens is told line by line.
outcome play(const plan& p, std::ostream* trace = nullptr);

}  // namespace seeds
