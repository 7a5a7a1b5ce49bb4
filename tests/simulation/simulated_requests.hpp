#pragma once

// What a member asked for, as the broker saw it.

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include <kawait/net/network.hpp>

namespace simulated {

/// A commit as the broker saw it.
struct commit {
  kawait::net::time_point at;
  std::string member;
  std::int32_t epoch;
  std::int32_t partition;
  std::int64_t offset;
};

/// A heartbeat as the broker saw it; without `owned`, it was a keep-alive.
struct heartbeat {
  kawait::net::time_point at;
  std::string member;
  std::int32_t epoch;
  std::optional<std::set<std::int32_t>> owned;
};

}  // namespace simulated
