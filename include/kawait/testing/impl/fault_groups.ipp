#pragma once

#include <algorithm>
#include <utility>

#include <kawait/testing/faults_state.hpp>
#include <kawait/testing/impl/fault_nodes.ipp>

namespace kawait::testing::faults_detail {

// What happens to groups. Each says whether it could.

/// A member without a client, for a while. It reads whatever the group's first member does.
inline bool join(state& s, std::chrono::milliseconds stay) {
  const auto other = s.pick_member();
  const auto view = other ? s.cluster->group().member(other->group, other->member) : std::nullopt;
  if (!view) return false;
  scripted_member m("fault-member-" + std::to_string(++s.last_name), view->topics);
  m.regex = view->regex;
  const std::string name = m.id;
  if (s.cluster->add_member(other->group, std::move(m))) return false;
  s.undo_later(stay, [&s, name, group = other->group] { s.cluster->remove_member(group, name); });
  return true;
}

inline bool churn(state& s) {
  bool any = false;
  for (int i = 0; i < 3; ++i) any = join(s, s.between(1, 8'000)) || any;
  return any;
}

inline bool assign_unknown_topic(state& s) {
  const auto m = s.pick_member();
  if (!m) return false;
  uuid id;
  for (std::byte& b : id.bytes) b = static_cast<std::byte>(1 + s.below(255));
  s.cluster->group().set_target_ids(m->group, m->member, partition_list(1, topic_id_partition(id, 0)));
  s.undo_later(s.between(1'000, 20'000), [&s, m = *m] { s.cluster->group().set_target_ids(m.group, m.member, std::nullopt); });
  return true;
}

inline bool hold_offset(state& s) {
  const auto m = s.pick_member();
  const auto p = m ? s.pick_partition() : std::nullopt;
  if (!p) return false;
  s.cluster->group().set_pending(m->group, *p, true);
  s.undo_later(s.between(1'000, 20'000), [&s, g = m->group, p = *p] { s.cluster->group().set_pending(g, p, false); });
  return true;
}

KAWAIT_DECL void add_group_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  add_cluster_fault(all, "member-fenced", survived, "a member's heartbeats are answered FENCED_MEMBER_EPOCH until it joins anew",
                    [](state& s) {
                      const auto m = s.pick_member();
                      return m && s.cluster->group().fence(m->group, m->member);
                    });
  add_cluster_fault(all, "member-expired", survived, "a member's session ends: others get its partitions at once", [](state& s) {
    const auto m = s.pick_member();
    return m && s.cluster->group().expire(s.now(), m->group, m->member);
  });
  add_cluster_fault(all, "member-joins", survived, "another member joins, and leaves after up to 30 seconds",
                    [](state& s) { return join(s, s.between(1'000, 30'000)); });
  add_cluster_fault(all, "members-churn", survived, "three members join at once and leave soon: targets change under way", churn);
  add_cluster_fault(all, "unresolvable-topic", survived,
                    "a member is to own a partition of a topic id that nobody knows, and nothing else, for up to 20 seconds",
                    assign_unknown_topic);
  add_cluster_fault(all, "offset-pending", survived, "a transaction has an offset of a group in hand, for up to 20 seconds",
                    hold_offset);
}

}  // namespace kawait::testing::faults_detail
