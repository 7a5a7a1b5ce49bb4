#pragma once

#include <kawait/machine/poll_watch.hpp>

namespace kawait::machine {

KAWAIT_DECL std::vector<leased> poll_watch::look(std::span<const work_sight> partitions, time_point now) {
  std::map<leased, standing> seen;
  std::vector<leased> overdue;
  for (const work_sight& p : partitions) {
    if (!p.is_owed) continue;
    const auto before = standing_.find(p.id);
    const bool stood = before != standing_.end() && before->second.activity == p.activity;
    const standing s{p.activity, stood ? before->second.since : now};
    seen.emplace(p.id, s);
    if (now - s.since >= interval_) overdue.push_back(p.id);
  }
  standing_ = std::move(seen);
  return overdue;
}

}  // namespace kawait::machine
