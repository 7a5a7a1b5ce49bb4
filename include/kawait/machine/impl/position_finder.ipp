#pragma once

#include <algorithm>

#include <kawait/machine/position_finder.hpp>

namespace kawait::machine {

// ---------------------------------------------------------------- requests

KAWAIT_DECL protocol::offset_fetch_request position_finder::fetch_committed::request(std::string_view group_id,
                                                                                     std::optional<std::string_view> member_id,
                                                                                     std::int32_t member_epoch) const {
  protocol::offset_fetch_request result;
  result.require_stable = true;
  auto& group = result.groups.emplace_back();
  group.group_id = group_id;
  group.member_id = member_id;
  group.member_epoch = member_epoch;
  group.topics.emplace();
  for (const item& i : items) {
    const topic_id_partition& p = i.lease.partition;
    if (group.topics->empty() || group.topics->back().topic_id != p.topic_id || group.topics->back().name != i.topic) {
      group.topics->emplace_back();
      group.topics->back().name = i.topic;
      group.topics->back().topic_id = p.topic_id;
    }
    group.topics->back().partition_indexes.push_back(p.partition);
  }
  return result;
}

KAWAIT_DECL protocol::list_offsets_request position_finder::list_offsets::request(std::chrono::system_clock::time_point now) const {
  const std::int64_t now_ms = std::chrono::floor<milliseconds>(now.time_since_epoch()).count();
  protocol::list_offsets_request result;
  result.replica_id = -1;
  result.isolation_level = isolation_level;
  result.timeout_ms = static_cast<std::int32_t>(std::clamp<std::int64_t>(timeout.count(), 0, INT32_MAX));
  for (const item& i : items) {
    if (result.topics.empty() || result.topics.back().name != i.topic) result.topics.emplace_back().name = i.topic;
    auto& partition = result.topics.back().partitions.emplace_back();
    partition.partition_index = i.lease.partition.partition;
    partition.current_leader_epoch = i.leader_epoch;
    // Below zero are no times but special questions.
    partition.timestamp = i.back ? std::max<std::int64_t>(0, now_ms - i.back->count()) : i.timestamp;
  }
  return result;
}

KAWAIT_DECL protocol::offset_for_leader_epoch_request position_finder::find_epoch_ends::request() const {
  protocol::offset_for_leader_epoch_request result;
  result.replica_id = -1;
  for (const item& i : items) {
    if (result.topics.empty() || result.topics.back().topic != i.topic) result.topics.emplace_back().topic = i.topic;
    auto& partition = result.topics.back().partitions.emplace_back();
    partition.partition = i.lease.partition.partition;
    partition.current_leader_epoch = i.leader_epoch;
    partition.leader_epoch = i.epoch;
  }
  return result;
}

// ---------------------------------------------------------------- what is asked

KAWAIT_DECL void position_finder::start(const leased& lease, const question& wanted) {
  changed_ = true;
  entry fresh(lease, wanted, options_.backoff);
  entries_.insert_or_assign(lease.partition, std::move(fresh));
}

KAWAIT_DECL void position_finder::from_committed(const leased& lease) { start(lease, committed()); }

KAWAIT_DECL position_finder::question position_finder::policy_question(reset_policy policy) {
  using request = protocol::list_offsets_request;
  by_time wanted;
  wanted.timestamp = policy == reset_policy::earliest ? request::earliest : request::latest;
  return wanted;
}

KAWAIT_DECL position_finder::question position_finder::reset_question() const {
  if (!options_.back) return policy_question(options_.policy);
  by_time wanted;
  wanted.back = options_.back;
  wanted.or_end = true;
  return wanted;
}

KAWAIT_DECL void position_finder::from_reset(const leased& lease, reset_policy policy) {
  start(lease, policy_question(policy));
  if (policy != reset_policy::none) return;
  finish(entries_.at(lease.partition), not_found{lease, failure(errc::no_offset, "auto.offset.reset is none")});
}

KAWAIT_DECL void position_finder::from_reset(const leased& lease) {
  if (options_.back) return start(lease, reset_question());
  from_reset(lease, options_.policy);
}

KAWAIT_DECL void position_finder::from_out_of_range(const leased& lease, const offset_and_epoch& position) {
  if (position.leader_epoch < 0) return from_reset(lease);
  start(lease, by_epoch{position});
}

KAWAIT_DECL void position_finder::from_timestamp(const leased& lease, std::int64_t timestamp) {
  by_time wanted;
  wanted.timestamp = timestamp;
  wanted.how = source::timestamp;
  start(lease, wanted);
}

KAWAIT_DECL void position_finder::from_timestamp_or_end(const leased& lease, std::int64_t timestamp) {
  by_time wanted;
  wanted.timestamp = timestamp;
  wanted.how = source::timestamp;
  wanted.or_end = true;
  start(lease, wanted);
}

KAWAIT_DECL void position_finder::remove(const topic_id_partition& partition) {
  changed_ |= entries_.erase(partition) > 0;
}

KAWAIT_DECL void position_finder::finish(entry& e, answer a) {
  e.asked = 0;
  e.ready = std::move(a);
  ready_.push_back(e.lease.partition);
  changed_ = true;
}

KAWAIT_DECL void position_finder::retry(entry& e, time_point now, std::uint64_t random_bits) {
  e.asked = 0;
  e.from = now + e.pause.next(random_bits);
}

// ---------------------------------------------------------------- what to do

struct position_finder::due {
  std::vector<fetch_committed::item> committed;
  std::map<std::int32_t, list_offsets> lists;
  std::map<std::int32_t, find_epoch_ends> epochs;
  time_point next = never;
  bool unknown = false;  // a name or a leader
};

KAWAIT_DECL std::optional<position_finder::effect> position_finder::next_ready() {
  while (!ready_.empty()) {
    const auto place = entries_.find(ready_.front());
    ready_.pop_front();
    if (place == entries_.end() || !place->second.ready) continue;
    effect result = std::visit([](auto& a) { return effect(std::move(a)); }, *place->second.ready);
    entries_.erase(place);
    return result;
  }
  return std::nullopt;
}

KAWAIT_DECL position_finder::due position_finder::find_due(time_point now, const cluster& metadata) const {
  due result;
  for (const auto& [partition, e] : entries_) {
    if (e.asked != 0 || e.ready) continue;
    if (now < e.from) {
      result.next = std::min(result.next, e.from);
      continue;
    }
    // The answers name topics, so a name must stand for one id. That of a topic which was deleted stands for the topic created
    // since.
    const auto name = metadata.name_of(partition.topic_id);
    if (!name || metadata.id_of(*name) != partition.topic_id) {
      result.unknown = true;
      continue;
    }
    if (std::holds_alternative<committed>(e.wanted)) {
      result.committed.push_back({e.lease, std::string(*name)});
      continue;
    }
    const auto leader = metadata.leader_of(partition);
    if (!leader) {
      result.unknown = true;
      continue;
    }
    if (const auto* const refused = std::get_if<by_epoch>(&e.wanted)) {
      find_epoch_ends::item item{e.lease, std::string(*name), leader->epoch, refused->refused.leader_epoch};
      result.epochs[leader->node].items.push_back(std::move(item));
      continue;
    }
    const by_time& wanted = std::get<by_time>(e.wanted);
    list_offsets::item item{e.lease, std::string(*name), wanted.timestamp, leader->epoch, wanted.back};
    if (wanted.asks_end) {
      item.timestamp = protocol::list_offsets_request::latest;
      item.back.reset();
    }
    list_offsets& list = result.lists[leader->node];
    list.isolation_level = options_.isolation_level;
    list.timeout = options_.request_timeout;
    list.items.push_back(std::move(item));
  }
  return result;
}

KAWAIT_DECL position_finder::effect position_finder::poll(time_point now, const cluster& metadata) {
  if (auto ready = next_ready()) return std::move(*ready);
  if (std::exchange(find_coordinator_, false)) return kawait::machine::find_coordinator();
  if (std::exchange(refresh_, false)) {
    refresh_from_ = now + options_.backoff.max;
    return refresh_metadata();
  }
  if (!changed_ && now < idle_until_ && metadata.version() == seen_version_) return idle{idle_until_};
  auto ask = find_due(now, metadata);
  time_point next = ask.next;
  if (!ask.committed.empty() && !group_request_) {
    if (now >= group_from_) return send_committed(std::move(ask.committed));
    next = std::min(next, group_from_);
  }
  if (auto request = send_first(lists_, ask.lists, now, next)) return std::move(*request);
  if (auto request = send_first(epochs_, ask.epochs, now, next)) return std::move(*request);
  if (ask.unknown) {
    if (now >= refresh_from_) {
      refresh_from_ = now + options_.backoff.max;
      return refresh_metadata();
    }
    next = std::min(next, refresh_from_);
  }
  changed_ = false;
  idle_until_ = next;
  seen_version_ = metadata.version();
  return idle{next};
}

KAWAIT_DECL position_finder::effect position_finder::send_committed(std::vector<fetch_committed::item> items) {
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.lease < b.lease; });
  const sent& request = group_request_.emplace(next_request_++, items);
  for (const auto& item : items) entries_.at(item.lease.partition).asked = request.id;
  return fetch_committed{std::move(items)};
}

template <class Request>
std::optional<position_finder::effect> position_finder::send_first(node_states& nodes, std::map<std::int32_t, Request>& requests,
                                                                   time_point now, time_point& next) {
  for (auto& [node, request] : requests) {
    node_state& state = nodes.try_emplace(node, options_.backoff).first->second;
    if (state.in_flight) continue;
    if (now < state.from) {
      next = std::min(next, state.from);
      continue;
    }
    std::sort(request.items.begin(), request.items.end(), [](const auto& a, const auto& b) { return a.lease < b.lease; });
    const sent& in_flight = state.in_flight.emplace(next_request_++, request.items);
    for (const auto& item : request.items) entries_.at(item.lease.partition).asked = in_flight.id;
    request.node = node;
    return effect(std::move(request));
  }
  return std::nullopt;
}

}  // namespace kawait::machine
