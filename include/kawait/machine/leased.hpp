#pragma once

#include <cstdint>

#include <kawait/core/types.hpp>

namespace kawait::machine {

/// One ownership of a partition. An answer that was asked for in an earlier ownership, or before a seek, carries an older
/// generation and is ignored; neither the member epoch nor the topic id can tell the two apart.
struct leased {
  topic_id_partition partition;
  std::uint64_t generation = 0;

  leased() = default;
  leased(const topic_id_partition& p, std::uint64_t g) : partition(p), generation(g) {}

  friend bool operator==(const leased&, const leased&) = default;
  friend auto operator<=>(const leased&, const leased&) = default;
};

}  // namespace kawait::machine
