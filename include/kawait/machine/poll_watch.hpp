#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include <kawait/detail/config.hpp>
#include <kawait/machine/leased.hpp>
#include <kawait/machine/time.hpp>

namespace kawait::machine {

/// What is seen of the application's work on a partition.
struct work_sight {
  leased id;
  bool is_owed = false;        ///< Data waits for the application, or is in its hands, and the partition is not paused.
  std::uint64_t activity = 0;  ///< Counts its calls: reads, done, keep_alive.

  work_sight() = default;
  work_sight(const leased& l, bool owed, std::uint64_t a) : id(l), is_owed(owed), activity(a) {}
};

/// max.poll.interval.ms: finds the partitions whose work stands still.
///
/// Reads no clock while work goes on: it looks now and then. What changed since the last look counts as of this one, so that a
/// partition is overdue never before the interval has passed, and by the second look after it at the latest.
class poll_watch {
 public:
  explicit poll_watch(milliseconds interval) : interval_(interval) {}

  /// How long to wait between two looks.
  milliseconds pause() const noexcept { return std::max(interval_ / 8, milliseconds(1)); }
  /// All partitions as they are now. Those that owe work and whose application has not moved for the interval.
  KAWAIT_DECL std::vector<leased> look(std::span<const work_sight> partitions, time_point now);

 private:
  struct standing {
    std::uint64_t activity;
    time_point since;
  };
  milliseconds interval_;
  std::map<leased, standing> standing_;  // those that owe work
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/poll_watch.ipp>
#endif
