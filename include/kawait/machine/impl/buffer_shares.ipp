#pragma once

#include <kawait/machine/buffer_shares.hpp>

#include <algorithm>
#include <bit>

namespace kawait::machine {

KAWAIT_DECL std::size_t buffer_shares::even_share() const noexcept {
  return std::max(smallest, budget_ / 2 / std::max<std::size_t>(1, partitions_));
}

// In steps, so that not everybody's share changes with each that comes or goes. One by itself has no use for more than one of four.
KAWAIT_DECL std::size_t buffer_shares::busy_share() const noexcept {
  return budget_ / 4 / std::max<std::size_t>(2, std::bit_ceil(busy_.size()));
}

KAWAIT_DECL std::size_t buffer_shares::share_of(const topic_id_partition& partition) const {
  return places_.contains(partition) ? std::max(even_share(), busy_share()) : even_share();
}

KAWAIT_DECL std::span<const topic_id_partition> buffer_shares::on_records(const topic_id_partition& partition) {
  changed_.clear();
  if (even_share() >= budget_ / 8) return {};
  const std::size_t before = busy_share();
  ++answers_;
  const auto found = places_.find(partition);
  if (found != places_.end()) {
    found->second->answer = answers_;
    busy_.splice(busy_.begin(), busy_, found->second);
  }
  // Where all are busy none of them is late with its turn, and who came first stays: shares that move with every answer help nobody.
  const std::uint64_t late = std::max<std::uint64_t>(256, 4 * partitions_);
  while (!busy_.empty() && busy_.back().answer + late < answers_) {
    changed_.push_back(busy_.back().partition);
    places_.erase(busy_.back().partition);
    busy_.pop_back();
  }
  if (found == places_.end() && busy_.size() < most_busy) {
    busy_.push_front({partition, answers_});
    places_.emplace(partition, busy_.begin());
    changed_.push_back(partition);
  }
  if (busy_share() != before) {
    for (const busy_partition& b : busy_) changed_.push_back(b.partition);
  }
  return changed_;
}

KAWAIT_DECL void buffer_shares::remove(const topic_id_partition& partition) {
  const auto found = places_.find(partition);
  if (found == places_.end()) return;
  busy_.erase(found->second);
  places_.erase(found);
}

}  // namespace kawait::machine
