#pragma once

#include <algorithm>

#include <kawait/testing/consumer_group.hpp>

namespace kawait::testing {
namespace detail {

/// Whether a member still claims any of these. Who does not say what it owns claims all.
KAWAIT_DECL bool claims_any(const std::optional<partition_list>& owned, const partition_epochs& of) {
  if (!owned) return true;
  return std::any_of(owned->begin(), owned->end(), [&](const auto& p) { return of.contains(p); });
}

}  // namespace detail

KAWAIT_DECL void consumer_group::release(group_member& m) {
  for (const auto* list : {&m.assigned, &m.revoking}) {
    for (const auto& [p, epoch] : *list) {
      if (const auto it = owners_.find(p); it != owners_.end() && it->second == &m) owners_.erase(it);
    }
  }
}

KAWAIT_DECL void consumer_group::claim(group_member& m) {
  for (const auto* list : {&m.assigned, &m.revoking}) {
    for (const auto& [p, epoch] : *list) owners_.insert_or_assign(p, &m);
  }
}

KAWAIT_DECL void consumer_group::hold(group_member& m, partition_epochs assigned, partition_epochs revoking) {
  release(m);
  m.assigned = std::move(assigned);
  m.revoking = std::move(revoking);
  claim(m);
}

/// The clock of a revocation starts again whenever what is to be revoked changes.
KAWAIT_DECL void consumer_group::await_revocation(const group_context& ctx, group_member& m) {
  m.state = reconciliation::unrevoked;
  m.revocation_ends = ctx.now + m.rebalance_timeout;
  due(m.revocation_ends);
}

KAWAIT_DECL bool consumer_group::subscribes(const group_context& ctx, const group_member& m, const uuid& topic) const {
  const auto* image = ctx.topics.by_id(topic);
  if (image == nullptr) return false;
  if (m.names.contains(image->name)) return true;
  if (m.regex.empty()) return false;
  const auto it = patterns_.find(m.regex);
  return it != patterns_.end() && it->second.topics.contains(image->name);
}

/// The target, without topics that the member has unsubscribed from since it was computed.
KAWAIT_DECL partition_list consumer_group::wanted(const group_context& ctx, const group_member& m) const {
  if (overrides_.contains(m.id)) return m.target;
  partition_list list;
  list.reserve(m.target.size());
  bool yes = false;
  const uuid* last = nullptr;
  for (const auto& p : m.target) {  // sorted: one question for each topic
    if (last == nullptr || *last != p.topic_id) yes = subscribes(ctx, m, p.topic_id);
    last = &p.topic_id;
    if (yes) list.push_back(p);
  }
  return list;
}

KAWAIT_DECL bool consumer_group::reconcile(const group_context& ctx, group_member& m, const owned_list& owned,
                                           bool subscription_changed) {
  switch (m.state) {
    case reconciliation::stable:
      if (m.epoch != assignment_epoch_) return approach_target(ctx, m, m.epoch, owned);
      return subscription_changed && drop_unsubscribed(ctx, m, owned);
    case reconciliation::unrevoked:
      if (detail::claims_any(owned, m.revoking)) return subscription_changed && drop_unsubscribed(ctx, m, owned);
      return approach_target(ctx, m, ctx.traits().revocation_moves_epoch ? m.epoch + 1 : m.epoch, owned);
    case reconciliation::unreleased:
      break;
  }
  return approach_target(ctx, m, m.epoch, owned);
}

/// One step: first everything that is to go goes, and is acknowledged at the old epoch; then the member is at the target's epoch
/// and gets what nobody else holds any more.
KAWAIT_DECL bool consumer_group::approach_target(const group_context& ctx, group_member& m, std::int32_t epoch,
                                                 const owned_list& owned) {
  const partition_list target = wanted(ctx, m);
  partition_epochs kept, revoked;
  for (const auto& entry : m.assigned) {
    auto& where = std::binary_search(target.begin(), target.end(), entry.first) ? kept : revoked;
    where.insert(where.end(), entry);
  }
  if (!revoked.empty() && detail::claims_any(owned, revoked)) {
    const bool changed = kept != m.assigned;
    hold(m, std::move(kept), std::move(revoked));
    m.move_to(epoch);
    await_revocation(ctx, m);
    return changed;
  }
  bool all = true;
  for (const auto& p : target) {
    if (kept.contains(p)) continue;
    const group_member* owner = owner_of(p);
    // What the member itself has just acknowledged is free for it, but Kafka 4.0 sees that only at the next heartbeat.
    const bool free = owner == nullptr || (owner == &m && !ctx.traits().revocation_moves_epoch);
    if (free) kept.emplace(p, assignment_epoch_);
    all = all && free;
  }
  const bool changed = kept != m.assigned;
  hold(m, std::move(kept), {});
  m.state = all ? reconciliation::stable : reconciliation::unreleased;
  m.revocation_ends = machine::never;
  m.move_to(assignment_epoch_);
  return changed;
}

/// The target may lag behind, but a topic that the member no longer wants goes at once.
KAWAIT_DECL bool consumer_group::drop_unsubscribed(const group_context& ctx, group_member& m, const owned_list& owned) {
  if (overrides_.contains(m.id)) return false;
  partition_epochs kept, revoked = m.revoking;
  bool yes = false;
  const uuid* last = nullptr;
  for (const auto& entry : m.assigned) {
    if (last == nullptr || *last != entry.first.topic_id) yes = subscribes(ctx, m, entry.first.topic_id);
    last = &entry.first.topic_id;
    yes ? kept.insert(kept.end(), entry) : revoked.insert(entry).first;
  }
  if (kept.size() == m.assigned.size()) return false;
  m.move_to(m.epoch);
  if (detail::claims_any(owned, revoked)) {
    hold(m, std::move(kept), std::move(revoked));
    await_revocation(ctx, m);
  } else {
    hold(m, std::move(kept), {});
  }
  return true;
}

}  // namespace kawait::testing
