#pragma once

#include <kawait/testing/group_offsets.hpp>

namespace kawait::testing {

KAWAIT_DECL void group_offsets::set(std::string_view topic, std::int32_t partition, committed_offset offset) {
  auto it = topics_.find(topic);
  if (it == topics_.end()) it = topics_.emplace(std::string(topic), partitions()).first;
  it->second.insert_or_assign(partition, std::move(offset));
}

KAWAIT_DECL const committed_offset* group_offsets::find(std::string_view topic, std::int32_t partition) const {
  const auto it = topics_.find(topic);
  if (it == topics_.end()) return nullptr;
  const auto p = it->second.find(partition);
  return p == it->second.end() ? nullptr : &p->second;
}

KAWAIT_DECL void group_offsets::forget(std::string_view topic) {
  if (const auto it = topics_.find(topic); it != topics_.end()) topics_.erase(it);
  std::erase_if(pending_, [&](const topic_partition& p) { return p.topic == topic; });
}

}  // namespace kawait::testing
