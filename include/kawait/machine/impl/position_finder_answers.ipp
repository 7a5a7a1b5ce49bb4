#pragma once

#include <kawait/core/mutation.hpp>
#include <kawait/machine/final_error.hpp>
#include <kawait/machine/position_finder.hpp>

#include <algorithm>

namespace kawait::machine {

namespace detail {

/// The same of what a leader says, as in Java: an error that it does not expect, and any that is not known, may pass.
inline bool is_final_of_leader(const failure& why) {
  if (why.code.category() != kafka_category()) return is_final(why);
  return why.code == kafka_error::topic_authorization_failed || why.code == kafka_error::cluster_authorization_failed ||
         why.code == kafka_error::unsupported_version || why.code == kafka_error::unsupported_for_message_format ||
         why.code == kafka_error::invalid_request;
}

}  // namespace detail

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
  if (is_final(why)) return finish(e, not_found{e.lease, why});
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
  if (is_final(why)) return fail_all(request, why);
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

// ---------------------------------------------------------------- what leaders say

KAWAIT_DECL std::optional<position_finder::sent> position_finder::take_sent(node_states& nodes, std::int32_t node) {
  const auto place = nodes.find(node);
  if (place == nodes.end()) return std::nullopt;
  changed_ |= place->second.in_flight.has_value();
  return std::exchange(place->second.in_flight, std::nullopt);
}

KAWAIT_DECL void position_finder::on_leader_error(entry& e, const failure& why, time_point now, std::uint64_t random_bits) {
  if (detail::is_final_of_leader(why)) return finish(e, not_found{e.lease, why});
  refresh_ = true;
  retry(e, now, random_bits);
}

KAWAIT_DECL void position_finder::on_leader_failed(node_states& nodes, std::int32_t node, const failure& why, time_point now,
                                                   std::uint64_t random_bits) {
  const auto request = take_sent(nodes, node);
  if (!request) return;
  if (is_final(why)) return fail_all(*request, why);
  ask_again(*request);
  node_state& state = nodes.at(node);
  state.from = now + state.pause.next(random_bits);
  refresh_ = true;  // the broker may be gone, and another one lead
}

// ---------------------------------------------------------------- offsets by time

KAWAIT_DECL void position_finder::on_list_offsets(std::int32_t node, const protocol::list_offsets_response& response,
                                                  time_point now, std::uint64_t random_bits) {
  const auto request = take_sent(lists_, node);
  if (!request) return;
  lists_.at(node).pause.reset();
  for (const auto& t : response.topics) {
    const auto by_name = request->ids.find(t.name);
    if (by_name == request->ids.end()) continue;
    for (const auto& p : t.partitions) {
      entry* e = asked_in(*request, topic_id_partition(by_name->second, p.partition_index));
      if (e == nullptr) continue;
      const offset_and_epoch position(p.offset, std::max(p.leader_epoch, -1));
      on_listed(*e, told{static_cast<kafka_error>(p.error_code), position, p.timestamp}, now, random_bits);
    }
  }
  retry_unanswered(*request, now, random_bits);
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
  on_leader_error(e, failure(make_error_code(t.error), "listed offset"), now, random_bits);
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
  on_leader_failed(lists_, node, why, now, random_bits);
}

// ---------------------------------------------------------------- where epochs end

KAWAIT_DECL void position_finder::on_epoch_ends(std::int32_t node, const protocol::offset_for_leader_epoch_response& response,
                                                time_point now, std::uint64_t random_bits) {
  const auto request = take_sent(epochs_, node);
  if (!request) return;
  epochs_.at(node).pause.reset();
  for (const auto& t : response.topics) {
    const auto by_name = request->ids.find(t.topic);
    if (by_name == request->ids.end()) continue;
    for (const auto& p : t.partitions) {
      entry* e = asked_in(*request, topic_id_partition(by_name->second, p.partition));
      if (e == nullptr) continue;
      const offset_and_epoch end(p.end_offset, std::max(p.leader_epoch, -1));
      on_epoch_end(*e, told{static_cast<kafka_error>(p.error_code), end}, now, random_bits);
    }
  }
  retry_unanswered(*request, now, random_bits);
}

// An end at the position or above: the leader has our records' epoch, and has deleted the offset by age or size since. An end that it
// does not know is a truncation too: what we have read was never in its log.
KAWAIT_DECL void position_finder::on_epoch_end(entry& e, const told& t, time_point now, std::uint64_t random_bits) {
  if (t.error != kafka_error::none) {
    return on_leader_error(e, failure(make_error_code(t.error), "end of the leader epoch"), now, random_bits);
  }
  const bool is_known = t.position.offset >= 0 && t.position.leader_epoch >= 0;
  if (is_known && t.position.offset >= std::get<by_epoch>(e.wanted).refused.offset) return from_reset(e.lease);
  if (options_.policy == reset_policy::none && !options_.back) {
    const std::string where = is_known ? "it goes on from offset " + std::to_string(t.position.offset) : "nobody knows from where on";
    return finish(e, not_found{e.lease, failure(errc::log_truncated, where)});
  }
  if (is_known) return finish(e, found{e.lease, t.position, source::truncated});
  question wanted = reset_question();
  std::get<by_time>(wanted).how = source::truncated;
  start(e.lease, wanted);
}

KAWAIT_DECL void position_finder::on_epoch_ends_failed(std::int32_t node, const failure& why, time_point now,
                                                       std::uint64_t random_bits) {
  on_leader_failed(epochs_, node, why, now, random_bits);
}

}  // namespace kawait::machine
