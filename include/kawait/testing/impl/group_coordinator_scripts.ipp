#pragma once

#include <algorithm>

#include <kawait/core/kafka_error.hpp>
#include <kawait/testing/group_coordinator.hpp>

namespace kawait::testing {

KAWAIT_DECL bool group_coordinator::fence(std::string_view group, std::string_view member_id) {
  auto* g = find(group);
  return g != nullptr && g->fence(member_id);
}

KAWAIT_DECL bool group_coordinator::expire(time_point now, std::string_view group, std::string_view member_id) {
  kept_.clear();
  pass(now);
  auto* g = find(group);
  return g != nullptr && g->expire(context(now), member_id);
}

KAWAIT_DECL void group_coordinator::set_target(std::string_view group, std::string_view member_id,
                                               std::optional<std::vector<topic_partition>> target) {
  std::optional<partition_list> ids;
  if (target) {
    ids.emplace();
    for (const auto& p : *target) {
      if (const auto* t = topics_.by_name(p.topic)) ids->emplace_back(t->id, p.partition);
    }
  }
  set_target_ids(group, member_id, std::move(ids));
}

KAWAIT_DECL void group_coordinator::set_target_ids(std::string_view group, std::string_view member_id,
                                                   std::optional<partition_list> target) {
  obtain(group).set_target(std::string(member_id), std::move(target));
}

// --- Members without a client.

KAWAIT_DECL group_coordinator::scripted* group_coordinator::find_scripted(std::string_view group, std::string_view member_id) {
  const auto it = std::find_if(scripted_.begin(), scripted_.end(),
                               [&](const scripted& s) { return s.group == group && s.member.id == member_id; });
  return it == scripted_.end() ? nullptr : &*it;
}

/// One heartbeat, and those that follow from its answer at once.
KAWAIT_DECL failure group_coordinator::beat(scripted& s, time_point now, bool acknowledge) {
  s.due = now + std::max(options_.heartbeat_interval, machine::milliseconds(1));
  kept_.clear();
  std::vector<std::string_view> names(s.member.topics.begin(), s.member.topics.end());
  for (int step = 0; step < 10; ++step) {
    heartbeat_request r;
    r.group_id = s.group;
    r.member_id = s.member.id;
    r.member_epoch = s.epoch;
    if (s.member.instance_id) r.instance_id = *s.member.instance_id;
    if (s.epoch == 0) {
      s.owned.clear();
      r.rebalance_timeout_ms = static_cast<std::int32_t>(s.member.rebalance_timeout.count());
      r.subscribed_topic_names = names;
      if (!s.member.regex.empty()) r.subscribed_topic_regex = s.member.regex;
      r.topic_partitions.emplace();
    } else if (acknowledge && !s.said) {
      r.topic_partitions = topics_of(s.owned);
    }
    const auto answer = serve(now, r, 1, "scripted");
    const auto error = static_cast<kafka_error>(answer.error_code);
    if (error != kafka_error::none) {
      const bool again = s.epoch != 0 && (error == kafka_error::unknown_member_id || error == kafka_error::fenced_member_epoch ||
                                          error == kafka_error::group_id_not_found);
      if (again) {  // 4.0 joins a known member only when it has left
        r.member_epoch = s.member.instance_id ? -2 : -1;
        r.topic_partitions.reset();
        serve(now, r, 1, "scripted");
        s.epoch = 0;
        continue;
      }
      return failure(error, std::string(answer.error_message.value_or("")));
    }
    s.epoch = answer.member_epoch;
    s.said = s.said || r.topic_partitions;
    if (!answer.assignment) return failure();
    partition_list told;
    for (const auto& t : answer.assignment->topic_partitions) {
      for (const auto p : t.partitions) told.emplace_back(t.topic_id, p);
    }
    std::sort(told.begin(), told.end());
    const bool revokes = !std::includes(told.begin(), told.end(), s.owned.begin(), s.owned.end());
    if (revokes && !acknowledge) {
      partition_list both;
      std::set_union(told.begin(), told.end(), s.owned.begin(), s.owned.end(), std::back_inserter(both));
      s.owned = std::move(both);
      s.said = false;
      return failure();
    }
    if (told == s.owned) return failure();
    s.owned = std::move(told);
    s.said = false;
  }
  return failure();
}

KAWAIT_DECL std::vector<protocol::heartbeat_topic> group_coordinator::topics_of(const partition_list& list) {
  std::vector<protocol::heartbeat_topic> topics;
  for (const auto& p : list) {
    if (topics.empty() || topics.back().topic_id != p.topic_id) {
      topics.emplace_back();
      topics.back().topic_id = p.topic_id;
    }
    topics.back().partitions.push_back(p.partition);
  }
  return topics;
}

KAWAIT_DECL failure group_coordinator::add_member(time_point now, std::string_view group, scripted_member member) {
  kept_.clear();
  pass(now);
  if (!loaded_) return failure(kafka_error::coordinator_not_available);
  scripted s;
  s.group = std::string(group);
  s.member = std::move(member);
  if (auto f = beat(s, now, s.member.acknowledges)) return f;
  if (auto* old = find_scripted(group, s.member.id)) {
    *old = std::move(s);
  } else {
    scripted_.push_back(std::move(s));
  }
  return failure();
}

KAWAIT_DECL bool group_coordinator::remove_member(time_point now, std::string_view group, std::string_view member_id) {
  kept_.clear();
  pass(now);
  const auto* s = find_scripted(group, member_id);
  if (s == nullptr) return false;
  heartbeat_request r;
  r.group_id = s->group;
  r.member_id = s->member.id;
  r.member_epoch = -1;
  if (s->member.instance_id) r.instance_id = *s->member.instance_id;
  serve(now, r, 1, "scripted");
  return abandon_member(group, member_id);
}

KAWAIT_DECL bool group_coordinator::abandon_member(std::string_view group, std::string_view member_id) {
  return std::erase_if(scripted_, [&](const scripted& s) { return s.group == group && s.member.id == member_id; }) != 0;
}

KAWAIT_DECL bool group_coordinator::acknowledge(time_point now, std::string_view group, std::string_view member_id) {
  kept_.clear();
  pass(now);
  auto* s = find_scripted(group, member_id);
  if (s == nullptr) return false;
  const auto m = member(group, member_id);
  if (m) s->owned = m->assigned;
  s->said = false;
  beat(*s, now, true);
  return true;
}

}  // namespace kawait::testing
