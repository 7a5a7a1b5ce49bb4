#pragma once

#include <algorithm>

#include <kawait/machine/position_finder.hpp>
#include <kawait/core/mutation.hpp>

namespace kawait::machine {

namespace detail {

/// Whether no retry can mend it. What a broken connection did is always tried again.
inline bool is_final(const failure& why) {
  if (why.code.category() == kafka_category()) return why.code == condition::fatal;
  return why.code == errc::unsupported_broker;
}

}  // namespace detail

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
  std::map<std::int32_t, std::vector<list_offsets::item>> by_node;
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
    const by_time& wanted = std::get<by_time>(e.wanted);
    list_offsets::item item{e.lease, std::string(*name), wanted.timestamp, leader->epoch, wanted.back};
    if (wanted.asks_end) {
      item.timestamp = protocol::list_offsets_request::latest;
      item.back.reset();
    }
    result.by_node[leader->node].push_back(std::move(item));
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
  for (auto& [node, items] : ask.by_node) {
    const node_state& state = nodes_.try_emplace(node, options_.backoff).first->second;
    if (state.in_flight) continue;
    if (now >= state.from) return send_list(node, std::move(items));
    next = std::min(next, state.from);
  }
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

KAWAIT_DECL position_finder::effect position_finder::send_list(std::int32_t node, std::vector<list_offsets::item> items) {
  std::sort(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.lease < b.lease; });
  const sent& request = nodes_.at(node).in_flight.emplace(next_request_++, items);
  for (const auto& item : items) entries_.at(item.lease.partition).asked = request.id;
  return list_offsets{node, std::move(items), options_.isolation_level, options_.request_timeout};
}

// ---------------------------------------------------------------- committed offsets

KAWAIT_DECL position_finder::entry* position_finder::asked_in(const sent& request, const topic_id_partition& partition) {
  const auto place = entries_.find(partition);
  return place == entries_.end() || place->second.asked != request.id ? nullptr : &place->second;
}

KAWAIT_DECL void position_finder::on_offset_fetch(const protocol::offset_fetch_response& response, time_point now,
                                                  std::uint64_t random_bits) {
  if (!group_request_) return;
  const sent request = std::move(*group_request_);
  group_request_.reset();
  changed_ = true;
  if (response.groups.empty()) {
    on_group_error(request, failure(errc::malformed_response), now, random_bits);
    return;
  }
  const auto& group = response.groups.front();
  if (group.error_code != 0) {
    on_group_error(request, failure(make_error_code(static_cast<kafka_error>(group.error_code))), now, random_bits);
    return;
  }
  group_pause_.reset();
  for (const auto& t : group.topics) {
    const auto by_name = request.ids.find(t.name);
    if (t.topic_id.is_zero() && by_name == request.ids.end()) continue;
    const uuid id = t.topic_id.is_zero() ? by_name->second : t.topic_id;
    for (const auto& p : t.partitions) {
      entry* e = asked_in(request, topic_id_partition(id, p.partition_index));
      if (e == nullptr) continue;
      const offset_and_epoch position(p.committed_offset, std::max(p.committed_leader_epoch, -1));
      on_committed(*e, told{static_cast<kafka_error>(p.error_code), position}, now, random_bits);
    }
  }
  retry_unanswered(request, now, random_bits);
}

KAWAIT_DECL void position_finder::on_committed(entry& e, const told& t, time_point now, std::uint64_t random_bits) {
  if (t.error == kafka_error::none) {
    if (t.position.offset >= 0) return finish(e, found{e.lease, t.position, source::committed});
    if (t.position.offset != -1) return finish(e, not_found{e.lease, failure(errc::malformed_response, "committed offset")});
    if (options_.policy == reset_policy::none && !options_.back) {
      return finish(e, not_found{e.lease, failure(errc::no_offset, "no offset is committed, and auto.offset.reset is none")});
    }
    return start(e.lease, reset_question());
  }
  if (KAWAIT_MUTANT(resets_on_an_error)) return start(e.lease, reset_question());
  const failure why(make_error_code(t.error), "committed offset");
  if (detail::is_final(why)) return finish(e, not_found{e.lease, why});
  // Also when the topic is unknown to the coordinator: it may only not have heard of it yet.
  refresh_ |= t.error == kafka_error::unknown_topic_id || t.error == kafka_error::unknown_topic_or_partition;
  retry(e, now, random_bits);
}

KAWAIT_DECL void position_finder::on_offset_fetch_failed(const failure& why, time_point now, std::uint64_t random_bits) {
  if (!group_request_) return;
  const sent request = std::move(*group_request_);
  group_request_.reset();
  changed_ = true;
  on_group_error(request, why, now, random_bits);
}

KAWAIT_DECL void position_finder::on_group_error(const sent& request, const failure& why, time_point now,
                                                 std::uint64_t random_bits) {
  if (detail::is_final(why)) return fail_all(request, why);
  ask_again(request);
  const bool is_first = group_pause_.attempts() == 0;
  group_from_ = now + group_pause_.next(random_bits);
  if (why.code == kafka_error::not_coordinator || why.code == kafka_error::coordinator_not_available) {
    find_coordinator_ = true;
    if (is_first) group_from_ = now;
  }
}

KAWAIT_DECL void position_finder::ask_again(const sent& request) {
  for (const auto& partition : request.partitions) {
    if (entry* e = asked_in(request, partition)) e->asked = 0;
  }
}

KAWAIT_DECL void position_finder::fail_all(const sent& request, const failure& why) {
  for (const auto& partition : request.partitions) {
    if (entry* e = asked_in(request, partition)) finish(*e, not_found{e->lease, why});
  }
}

KAWAIT_DECL void position_finder::retry_unanswered(const sent& request, time_point now, std::uint64_t random_bits) {
  for (const auto& partition : request.partitions) {
    if (entry* e = asked_in(request, partition)) retry(*e, now, random_bits);
  }
}

// ---------------------------------------------------------------- offsets by time

KAWAIT_DECL void position_finder::on_list_offsets(std::int32_t node, const protocol::list_offsets_response& response,
                                                  time_point now, std::uint64_t random_bits) {
  const auto place = nodes_.find(node);
  if (place == nodes_.end() || !place->second.in_flight) return;
  const sent request = std::move(*place->second.in_flight);
  place->second.in_flight.reset();
  place->second.pause.reset();
  changed_ = true;
  for (const auto& t : response.topics) {
    const auto by_name = request.ids.find(t.name);
    if (by_name == request.ids.end()) continue;
    for (const auto& p : t.partitions) {
      entry* e = asked_in(request, topic_id_partition(by_name->second, p.partition_index));
      if (e == nullptr) continue;
      const offset_and_epoch position(p.offset, std::max(p.leader_epoch, -1));
      on_listed(*e, told{static_cast<kafka_error>(p.error_code), position, p.timestamp}, now, random_bits);
    }
  }
  retry_unanswered(request, now, random_bits);
}

KAWAIT_DECL void position_finder::on_listed(entry& e, const told& t, time_point now, std::uint64_t random_bits) {
  if (t.error == kafka_error::none) {
    if (t.position.offset == -1) return on_no_offset(e, now, random_bits);
    if (t.position.offset < 0) return finish(e, not_found{e.lease, failure(errc::malformed_response, "listed offset")});
    by_time wanted = std::get<by_time>(e.wanted);
    if (!wanted.asks_end) return finish(e, found{e.lease, t.position, wanted.how, t.timestamp});
    wanted.asks_end = false;
    wanted.end = t.position;
    return start(e.lease, wanted);
  }
  const failure why(make_error_code(t.error), "listed offset");
  if (detail::is_final(why)) return finish(e, not_found{e.lease, why});
  refresh_ = true;
  retry(e, now, random_bits);
}

// Of a time it says that no record is as late. The ends of a log always exist.
//
// The end is good for a time without records only if the time was asked for after it: no record is late enough; one comes that is; the
// end is behind that record, and who starts there has lost it.
KAWAIT_DECL void position_finder::on_no_offset(entry& e, time_point now, std::uint64_t random_bits) {
  using request = protocol::list_offsets_request;
  by_time wanted = std::get<by_time>(e.wanted);
  const bool asked_edge = !wanted.back && (wanted.timestamp == request::latest || wanted.timestamp == request::earliest);
  if (wanted.asks_end || asked_edge) return retry(e, now, random_bits);
  if (!wanted.or_end) return finish(e, found{e.lease, offset_and_epoch(unknown_offset), wanted.how});
  if (wanted.end) return finish(e, found{e.lease, *wanted.end, wanted.how});
  wanted.asks_end = true;
  start(e.lease, wanted);
}

KAWAIT_DECL void position_finder::on_list_offsets_failed(std::int32_t node, const failure& why, time_point now,
                                                         std::uint64_t random_bits) {
  const auto place = nodes_.find(node);
  if (place == nodes_.end() || !place->second.in_flight) return;
  const sent request = std::move(*place->second.in_flight);
  place->second.in_flight.reset();
  changed_ = true;
  if (detail::is_final(why)) return fail_all(request, why);
  ask_again(request);
  place->second.from = now + place->second.pause.next(random_bits);
  refresh_ = true;  // the broker may be gone, and another one lead
}

}  // namespace kawait::machine
