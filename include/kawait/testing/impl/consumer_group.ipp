#pragma once

#include <algorithm>

#include <kawait/core/kafka_error.hpp>
#include <kawait/testing/consumer_group.hpp>

namespace kawait::testing {

KAWAIT_DECL consumer_group::consumer_group(std::string id, const generation_traits& traits)
    : id_(std::move(id)), epoch_(traits.first_group_epoch) {}

KAWAIT_DECL const group_member* consumer_group::find(std::string_view member_id) const {
  const auto it = members_.find(member_id);
  return it == members_.end() ? nullptr : &it->second;
}

KAWAIT_DECL const group_member* consumer_group::owner_of(const topic_id_partition& p) const {
  const auto it = owners_.find(p);
  return it == owners_.end() ? nullptr : it->second;
}

KAWAIT_DECL group_member* consumer_group::static_member(std::string_view instance_id) {
  const auto it = static_.find(instance_id);
  if (it == static_.end()) return nullptr;
  const auto m = members_.find(it->second);
  return m == members_.end() ? nullptr : &m->second;
}

KAWAIT_DECL void consumer_group::due(machine::time_point at) noexcept { next_ = std::min(next_, at); }

// --- Who may do what.

KAWAIT_DECL failure consumer_group::check_epoch(const group_context& ctx, const group_member& m, std::int32_t epoch,
                                                const owned_list& owned) const {
  if (epoch == 0 && ctx.traits().known_member_rejoins) return failure();
  const auto fenced = [&](const char* which) {
    return failure(kafka_error::fenced_member_epoch,
                   std::string("The consumer group member has a ") + which + " member epoch (" + std::to_string(epoch) +
                       ") than the one known by the group coordinator (" + std::to_string(m.epoch) +
                       "). The member must abandon all its partitions and rejoin.");
  };
  if (m.fenced && epoch != 0) return fenced("smaller");
  if (epoch > m.epoch) return fenced("greater");
  if (epoch == m.epoch) return failure();
  // The answer that moved the epoch may have been lost; who owns no more than it was given may go on.
  const bool subset = owned && std::all_of(owned->begin(), owned->end(), [&](const auto& p) { return m.assigned.contains(p); });
  return epoch == m.previous_epoch && subset ? failure() : fenced("smaller");
}

KAWAIT_DECL result<consumer_group::admission> consumer_group::admit(const group_context& ctx, const request& r,
                                                                    std::string_view member_id, const owned_list& owned) {
  const bool joins = r.member_epoch == 0;
  const auto it = members_.find(member_id);
  group_member* known = it == members_.end() ? nullptr : &it->second;
  if (known == nullptr && members_.size() >= ctx.options.max_size) {
    return failure(kafka_error::group_max_size_reached, "The consumer group has reached its maximum capacity of " +
                                                            std::to_string(ctx.options.max_size) + " members.");
  }
  const std::string name(member_id);
  if (!r.instance_id) {
    if (known == nullptr) {
      if (joins) return admission{nullptr, false};
      return failure(kafka_error::unknown_member_id, "Member " + name + " is not a member of group " + id_ + ".");
    }
    if (auto f = check_epoch(ctx, *known, r.member_epoch, owned)) return f;
    return admission{known, false};
  }
  const std::string instance(*r.instance_id);
  group_member* holder = static_member(instance);
  if (joins) {
    if (holder == nullptr) return admission{known, false};
    if (holder->epoch != -2) {
      return failure(kafka_error::unreleased_instance_id,
                     "Static member " + name + " with instance id " + instance +
                         " cannot join the group because the instance id is owned by " + holder->id + " member.");
    }
    return admission{holder, true};
  }
  if (holder == nullptr) return failure(kafka_error::unknown_member_id, "Instance id " + instance + " is unknown.");
  if (holder->id != member_id) {
    return failure(kafka_error::fenced_instance_id,
                   "Static member " + name + " with instance id " + instance + " was fenced by member " + holder->id + ".");
  }
  if (auto f = check_epoch(ctx, *holder, r.member_epoch, owned)) return f;
  return admission{holder, false};
}

/// The member under this id: as it was, new, or what a static member left behind.
KAWAIT_DECL group_member& consumer_group::enrol(const admission& a, std::string_view member_id) {
  if (a.known != nullptr && !a.replaces) return *a.known;
  group_member m;
  if (a.replaces) {
    m = *a.known;
    m.epoch = m.previous_epoch = 0;
    m.revocation_ends = machine::never;
    release(*a.known);
    members_.erase(a.known->id);
  }
  // Another member under the new id ends here: its partitions would otherwise belong to both.
  if (const auto it = members_.find(member_id); it != members_.end()) {
    release(it->second);
    if (it->second.instance_id) static_.erase(*it->second.instance_id);
    members_.erase(it);
  }
  m.id = std::string(member_id);
  group_member& stays = members_.insert_or_assign(m.id, std::move(m)).first->second;
  claim(stays);
  return stays;
}

// --- Heartbeats.

KAWAIT_DECL result<consumer_group::beat> consumer_group::heartbeat(const group_context& ctx, const request& r,
                                                                   std::string_view member_id, std::string_view client_id) {
  owned_list owned;
  if (r.topic_partitions) {
    owned.emplace();
    for (const auto& t : *r.topic_partitions) {
      for (const auto p : t.partitions) owned->emplace_back(t.topic_id, p);
    }
    std::sort(owned->begin(), owned->end());
    owned->erase(std::unique(owned->begin(), owned->end()), owned->end());
  }
  const auto admitted = admit(ctx, r, member_id, owned);
  if (!admitted) return admitted.error();
  std::optional<topic_pattern> added;
  if (r.subscribed_topic_regex && !r.subscribed_topic_regex->empty() && !patterns_.contains(*r.subscribed_topic_regex)) {
    auto compiled = topic_pattern::compile(*r.subscribed_topic_regex);
    if (!compiled) return compiled.error();
    added = std::move(*compiled);
  }

  group_member& m = enrol(*admitted, member_id);
  if (r.member_epoch == 0) m.fenced = false;
  if (r.instance_id) {
    m.instance_id = std::string(*r.instance_id);
    static_.insert_or_assign(*m.instance_id, m.id);
  }
  if (r.rebalance_timeout_ms != -1) m.rebalance_timeout = machine::milliseconds(r.rebalance_timeout_ms);
  if (r.server_assignor) m.assignor = std::string(*r.server_assignor);
  m.client_id = std::string(client_id);
  const change changed = subscribe(ctx, m, r, std::move(added));
  begin_resolution(ctx);
  if (changed.retarget || epoch_ == 0 || topics_changed_) update_metadata(ctx, changed.retarget || epoch_ == 0);
  update_target(ctx);
  const bool moved = reconcile(ctx, m, owned, changed.any);
  m.session_ends = ctx.now + ctx.options.session_timeout;
  due(m.session_ends);

  const bool full = r.rebalance_timeout_ms != -1 && owned && (r.subscribed_topic_names || r.subscribed_topic_regex);
  return beat{&m, r.member_epoch == 0 || full || moved};
}

KAWAIT_DECL failure consumer_group::leave(const group_context& ctx, const request& r) {
  const std::string name(r.member_id);
  if (!r.instance_id) {
    const auto it = members_.find(r.member_id);
    if (it == members_.end())
      return failure(kafka_error::unknown_member_id, "Member " + name + " is not a member of group " + id_ + ".");
    remove(ctx, it->second);
    return failure();
  }
  const std::string instance(*r.instance_id);
  group_member* m = static_member(instance);
  if (m == nullptr) return failure(kafka_error::unknown_member_id, "Instance id " + instance + " is unknown.");
  if (m->id != r.member_id) {
    return failure(kafka_error::fenced_instance_id,
                   "Static member " + name + " with instance id " + instance + " was fenced by member " + m->id + ".");
  }
  if (r.member_epoch != -2) {
    remove(ctx, *m);
    return failure();
  }
  // It keeps what it was given for the one who takes over; what it was to give up is free. Its session goes on.
  partition_epochs kept = m->assigned;
  for (auto& [p, epoch] : kept) epoch = 0;
  hold(*m, std::move(kept), {});
  m->epoch = -2;
  m->fenced = false;
  m->revocation_ends = machine::never;
  return failure();
}

KAWAIT_DECL void consumer_group::remove(const group_context& ctx, group_member& m) {
  release(m);
  if (m.instance_id) {
    if (const auto it = static_.find(*m.instance_id); it != static_.end() && it->second == m.id) static_.erase(it);
  }
  const std::string id = m.id;
  members_.erase(id);
  drop_unused_patterns();
  update_metadata(ctx, true);
  if (members_.empty()) empty_since_ = ctx.now;
}

// --- Time.

KAWAIT_DECL void consumer_group::advance(const group_context& ctx) {
  if (next_ > ctx.now) return;
  next_ = machine::never;
  if (resolving_ && resolving_->due <= ctx.now) finish_resolution(ctx);
  if (resolving_) due(resolving_->due);
  std::vector<std::string> expired;
  for (const auto& [id, m] : members_) {
    const auto at = std::min(m.session_ends, m.revocation_ends);
    at <= ctx.now ? expired.push_back(id) : due(at);
  }
  for (const auto& id : expired) remove(ctx, members_.at(id));
}

KAWAIT_DECL void consumer_group::restart_timers(const group_context& ctx) {
  next_ = machine::never;
  resolving_.reset();  // the next heartbeat begins it again
  for (auto& [id, m] : members_) {
    m.session_ends = ctx.now + ctx.options.session_timeout;
    due(m.session_ends);
    if (m.state == reconciliation::unrevoked) await_revocation(ctx, m);
  }
}

KAWAIT_DECL bool consumer_group::expire(const group_context& ctx, std::string_view member_id) {
  const auto it = members_.find(member_id);
  if (it == members_.end()) return false;
  remove(ctx, it->second);
  return true;
}

KAWAIT_DECL bool consumer_group::fence(std::string_view member_id) {
  const auto it = members_.find(member_id);
  if (it == members_.end()) return false;
  return it->second.fenced = true;
}

// --- Offsets.

KAWAIT_DECL result<const group_member*> consumer_group::check_commit(const group_context& ctx, std::string_view member_id,
                                                                     std::int32_t epoch, std::int16_t version) const {
  if (epoch < 0 && members_.empty()) return static_cast<const group_member*>(nullptr);
  const group_member* m = find(member_id);
  if (m == nullptr) return kafka_error::unknown_member_id;
  if (version < 9) return kafka_error::unsupported_version;
  if (m->fenced) return kafka_error::stale_member_epoch;
  if (epoch == m->epoch) return static_cast<const group_member*>(nullptr);
  if (epoch > m->epoch || !ctx.traits().lease_epoch_commits) return kafka_error::stale_member_epoch;
  return m;
}

KAWAIT_DECL bool consumer_group::may_commit(const group_member& m, std::int32_t epoch, const topic_id_partition& p) {
  if (const auto it = m.assigned.find(p); it != m.assigned.end()) return epoch >= it->second;
  const auto it = m.revoking.find(p);
  return it != m.revoking.end() && epoch >= it->second;
}

KAWAIT_DECL failure consumer_group::check_fetch(const std::optional<std::string_view>& member_id, std::int32_t epoch) const {
  if (!member_id && epoch < 0) return failure();
  const group_member* m = member_id ? find(*member_id) : nullptr;
  if (m == nullptr) return failure(kafka_error::unknown_member_id);
  return failure(m->epoch == epoch && !m->fenced ? kafka_error::none : kafka_error::stale_member_epoch);
}

}  // namespace kawait::testing
