#pragma once

#include <algorithm>

#include <kawait/core/kafka_error.hpp>
#include <kawait/testing/group_coordinator.hpp>

namespace kawait::testing {

KAWAIT_DECL group_coordinator::group_coordinator(group_options options) : options_(std::move(options)) {}

KAWAIT_DECL consumer_group* group_coordinator::find(std::string_view group) const {
  const auto it = groups_.find(group);
  return it == groups_.end() ? nullptr : it->second.members.get();
}

KAWAIT_DECL consumer_group& group_coordinator::obtain(std::string_view group) {
  auto& e = groups_[std::string(group)];
  if (!e.members) e.members = std::make_unique<consumer_group>(std::string(group), traits_of(options_.generation));
  return *e.members;
}

KAWAIT_DECL std::string_view group_coordinator::keep(std::string text) { return kept_.emplace_back(std::move(text)); }

KAWAIT_DECL void group_coordinator::set_topics(std::vector<topic_image> topics) {
  topic_table now(std::move(topics));
  for (const auto& [name, was] : topics_.all()) {
    const auto* is = now.by_name(name);
    if (is != nullptr && is->id == was.id) continue;
    for (auto& [id, e] : groups_) e.offsets.forget(name);
  }
  topics_ = std::move(now);
  for (auto& [id, e] : groups_) {
    if (e.members) e.members->on_topics_changed();
  }
}

// --- Time.

KAWAIT_DECL group_coordinator::time_point group_coordinator::expiry_of(const entry& e) const {
  if (!e.offsets.empty() || (e.members && (!e.members->empty() || e.members->has_set_targets()))) return machine::never;
  return e.members ? e.members->empty_since() + options_.empty_group_expiry : time_point::min();
}

KAWAIT_DECL group_coordinator::time_point group_coordinator::earliest() const {
  time_point at = machine::never;
  for (const auto& [id, e] : groups_) at = std::min({at, e.members ? e.members->next() : machine::never, expiry_of(e)});
  for (const auto& s : scripted_) at = std::min(at, s.due);
  return at;
}

KAWAIT_DECL std::optional<group_coordinator::time_point> group_coordinator::next() const {
  const auto at = loaded_ ? earliest() : machine::never;
  return at == machine::never ? std::nullopt : std::optional(at);
}

/// Event by event, or a long pause would find the sessions of scripted members expired that would have lived on.
KAWAIT_DECL void group_coordinator::pass(time_point until) {
  if (!loaded_) return;
  for (auto at = earliest(); at <= until; at = earliest()) {
    for (auto& s : scripted_) {
      if (s.due <= at) beat(s, at, s.member.acknowledges);
    }
    for (auto it = groups_.begin(); it != groups_.end();) {
      if (it->second.members) it->second.members->advance(context(at));
      it = expiry_of(it->second) <= at ? groups_.erase(it) : std::next(it);
    }
  }
}

KAWAIT_DECL void group_coordinator::tick(time_point now) {
  kept_.clear();
  pass(now);
}

KAWAIT_DECL void group_coordinator::unload(time_point now) {
  tick(now);
  loaded_ = false;
}

KAWAIT_DECL void group_coordinator::load(time_point now) {
  tick(now);
  loaded_ = true;
  for (auto& [id, e] : groups_) {
    if (e.members) e.members->restart_timers(context(now));
  }
  for (auto& s : scripted_) s.due = std::max(s.due, now);
}

// --- Heartbeats.

KAWAIT_DECL failure group_coordinator::check(const heartbeat_request& r, std::int16_t version) const {
  const auto invalid = [](const char* words) { return failure(kafka_error::invalid_request, words); };
  if (r.member_id.empty() && (version >= 1 || r.member_epoch > 0 || r.member_epoch == -1))
    return invalid("MemberId can't be empty.");
  if (r.group_id.empty()) return invalid("GroupId can't be empty.");
  if (r.instance_id && r.instance_id->empty()) return invalid("InstanceId can't be empty.");
  if (r.rack_id && r.rack_id->empty()) return invalid("RackId can't be empty.");
  if (r.member_epoch == 0) {
    if (r.rebalance_timeout_ms == -1) return invalid("RebalanceTimeoutMs must be provided in first request.");
    if (!r.topic_partitions || !r.topic_partitions->empty())
      return invalid("TopicPartitions must be empty when (re-)joining.");
    if (!r.subscribed_topic_names && !r.subscribed_topic_regex)
      return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
  } else if (r.member_epoch == -2) {
    if (!r.instance_id) return invalid("InstanceId can't be null.");
  } else if (r.member_epoch < -2) {
    return invalid("MemberEpoch is invalid.");
  }
  if (!r.server_assignor) return failure();
  const auto& known = options_.assignors;
  if (std::find(known.begin(), known.end(), *r.server_assignor) != known.end()) return failure();
  std::string list;
  for (const auto& name : known) list += (list.empty() ? "" : ", ") + name;
  return failure(kafka_error::unsupported_assignor,
                 "ServerAssignor " + std::string(*r.server_assignor) + " is not supported. Supported assignors: " + list + ".");
}

KAWAIT_DECL group_coordinator::heartbeat_response group_coordinator::heartbeat(time_point now, const heartbeat_request& r,
                                                                               std::int16_t version,
                                                                               std::string_view client_id) {
  kept_.clear();
  pass(now);
  return serve(now, r, version, client_id);
}

KAWAIT_DECL failure group_coordinator::serve_leave(time_point now, const heartbeat_request& r) {
  const auto it = groups_.find(r.group_id);
  const std::string name(r.group_id);
  if (it == groups_.end()) return failure(kafka_error::group_id_not_found, "Group " + name + " not found.");
  if (!it->second.members)
    return failure(kafka_error::group_id_not_found, "Group " + name + " is not a consumer group.");
  return it->second.members->leave(context(now), r);
}

KAWAIT_DECL group_coordinator::heartbeat_response group_coordinator::serve(time_point now, const heartbeat_request& r,
                                                                           std::int16_t version, std::string_view client_id) {
  heartbeat_response answer;
  const auto refuse = [&](const failure& f) {
    answer.error_code = static_cast<std::int16_t>(f.code.value());
    if (!f.words.empty()) answer.error_message = keep(f.words);
    return answer;
  };
  if (auto f = check(r, version)) return refuse(f);
  if (r.member_epoch < 0) {
    if (auto f = serve_leave(now, r)) return refuse(f);
    answer.member_id = keep(std::string(r.member_id));
    answer.member_epoch = r.member_epoch;
    return answer;
  }
  const bool joins = r.member_epoch == 0;
  consumer_group* group = find(r.group_id);
  const bool created = group == nullptr && joins;
  if (group == nullptr && !joins) {
    const std::string name(r.group_id);
    return refuse(failure(kafka_error::group_id_not_found, groups_.contains(r.group_id)
                                                               ? "Group " + name + " is not a consumer group."
                                                               : "Consumer group " + name + " not found."));
  }
  if (created) group = &obtain(r.group_id);
  std::string member_id(r.member_id);
  if (member_id.empty()) {  // Kafka draws one at random
    uuid made;
    ++made_ids_;
    for (std::size_t i = 0; i < sizeof made_ids_; ++i) made.bytes[15 - i] = static_cast<std::byte>(made_ids_ >> (8 * i));
    member_id = made.to_string();
  }
  const auto served = group->heartbeat(context(now), r, member_id, client_id);
  if (!served) {
    if (created) {  // a join that is refused leaves no group behind
      const auto it = groups_.find(r.group_id);
      it->second.offsets.empty() ? void(groups_.erase(it)) : it->second.members.reset();
    }
    return refuse(served.error());
  }
  answer.member_id = keep(std::move(member_id));
  answer.member_epoch = served->member->epoch;
  answer.heartbeat_interval_ms = static_cast<std::int32_t>(options_.heartbeat_interval.count());
  if (!served->tell) return answer;
  answer.assignment.emplace().topic_partitions = topics_of(view(*served->member).assigned);
  return answer;
}

// --- To look at.

KAWAIT_DECL std::vector<std::string> group_coordinator::groups() const {
  std::vector<std::string> list;
  for (const auto& [id, e] : groups_) list.push_back(id);
  return list;
}

KAWAIT_DECL member_view group_coordinator::view(const group_member& m) {
  member_view v;
  v.id = m.id;
  v.instance_id = m.instance_id;
  v.client_id = m.client_id;
  v.epoch = m.epoch;
  v.state = m.state;
  for (const auto& [p, epoch] : m.assigned) v.assigned.push_back(p);
  for (const auto& [p, epoch] : m.revoking) v.revoking.push_back(p);
  v.target = m.target;
  v.topics.assign(m.names.begin(), m.names.end());
  v.regex = m.regex;
  return v;
}

KAWAIT_DECL std::vector<member_view> group_coordinator::members(std::string_view group) const {
  std::vector<member_view> list;
  if (const auto* g = find(group)) {
    for (const auto& [id, m] : g->members()) list.push_back(view(m));
  }
  return list;
}

KAWAIT_DECL std::optional<member_view> group_coordinator::member(std::string_view group, std::string_view member_id) const {
  const auto* g = find(group);
  const auto* m = g == nullptr ? nullptr : g->find(member_id);
  return m == nullptr ? std::nullopt : std::optional(view(*m));
}

KAWAIT_DECL std::int32_t group_coordinator::epoch(std::string_view group) const {
  const auto* g = find(group);
  return g == nullptr ? -1 : g->epoch();
}

/// A static member that is away has not reached the target's epoch: without it a group is never "Stable".
KAWAIT_DECL std::optional<group_view> group_coordinator::view(std::string_view group) const {
  const auto* g = find(group);
  if (g == nullptr) return std::nullopt;
  group_view v;
  v.epoch = g->epoch();
  v.target_epoch = g->assignment_epoch();
  v.assignor = g->preferred_assignor(options_);
  const bool reached = std::all_of(g->members().begin(), g->members().end(), [&](const auto& m) {
    return m.second.state == reconciliation::stable && m.second.epoch == v.target_epoch;
  });
  v.state = g->empty() ? "Empty" : v.epoch > v.target_epoch ? "Assigning" : reached ? "Stable" : "Reconciling";
  return v;
}

KAWAIT_DECL kafka_error group_coordinator::remove_group(time_point now, std::string_view group) {
  kept_.clear();
  pass(now);
  const auto it = groups_.find(group);
  if (it == groups_.end()) return kafka_error::group_id_not_found;
  if (it->second.members && !it->second.members->empty()) return kafka_error::non_empty_group;
  groups_.erase(it);
  return kafka_error::none;
}

KAWAIT_DECL bool group_coordinator::settled(std::string_view group) const {
  const auto* g = find(group);
  if (g == nullptr) return true;
  return (g->empty() || g->assignment_epoch() == g->epoch()) &&
         std::all_of(g->members().begin(), g->members().end(), [&](const auto& m) {
           return m.second.epoch == -2 || (m.second.state == reconciliation::stable && m.second.epoch == g->epoch());
         });
}

KAWAIT_DECL std::optional<std::string> group_coordinator::owner(std::string_view group, const topic_partition& p) const {
  const auto* g = find(group);
  const auto* t = topics_.by_name(p.topic);
  const auto* m = g == nullptr || t == nullptr ? nullptr : g->owner_of(topic_id_partition(t->id, p.partition));
  return m == nullptr ? std::nullopt : std::optional(m->id);
}

KAWAIT_DECL std::optional<committed_offset> group_coordinator::committed(std::string_view group,
                                                                         const topic_partition& p) const {
  const auto it = groups_.find(group);
  const auto* found = it == groups_.end() ? nullptr : it->second.offsets.find(p.topic, p.partition);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

}  // namespace kawait::testing
