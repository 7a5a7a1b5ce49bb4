#pragma once

#include <kawait/runtime/engine.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>

namespace kawait::runtime {

namespace detail {

inline failure truncated(const partition_stream& stream, std::int64_t end) {
  return failure(errc::log_truncated, stream.name().to_string() + " goes on from offset " + std::to_string(end));
}

}  // namespace detail

// ---- What streams' readers do.

KAWAIT_DECL void engine::on_first_read(partition_stream& stream) {
  KAWAIT_SERIAL_SECTION(serial_);
  if (stream.fetch_position()) {
    fetches_.update(stream);
    return;
  }
  if (const auto time = stream.sought_time()) {
    positions_.finder().from_timestamp_or_end(stream.id(), *time);
  } else if (options_.group_id) {
    positions_.finder().from_committed(stream.id());
  } else {
    positions_.finder().from_reset(stream.id());
  }
  positions_.wake();
}

KAWAIT_DECL void engine::on_seek(partition_stream& stream) {
  KAWAIT_SERIAL_SECTION(serial_);
  if (const auto time = stream.sought_time()) {
    positions_.finder().from_timestamp_or_end(stream.id(), *time);
    positions_.wake();
  } else {
    positions_.finder().remove(stream.id().partition);
  }
  fetches_.update(stream);
  fetches_.on_released();  // what was queued is dropped
}

KAWAIT_DECL void engine::on_demand(partition_stream& stream) { fetches_.update(stream); }

KAWAIT_DECL void engine::on_readable(partition_stream& stream) {
  if (mode_ == reading_mode::batches) list_ready(stream);
}

KAWAIT_DECL void engine::on_out_of_range(partition_stream& stream, const offset_and_epoch& position) {
  if (!KAWAIT_MUTANT(resets_in_silence)) warn(failure(kafka_error::offset_out_of_range, stream.name().to_string()));
  fetches_.suspend(stream);
  positions_.finder().from_out_of_range(stream.id(), position);
  positions_.wake();
}

// ---- What fetchers find.

KAWAIT_DECL stream_ptr engine::find_stream(const topic_id_partition& partition) {
  const auto it = streams_.find(partition);
  return it == streams_.end() ? nullptr : it->second;
}

// The log was cut below our position: go to where the epochs part, unless the user wants to be told. As behind an offset out of range,
// not at once, lest a broker that says so again and again be asked as fast as it answers.
KAWAIT_DECL void engine::on_truncated(partition_stream& stream, const offset_and_epoch& end) {
  if (options_.auto_offset_reset == machine::position_finder::reset_policy::none && !options_.auto_offset_reset_back) {
    // What is queued is read first, so the reader's own position says nothing of where it could go on.
    stream.fail(failure(errc::log_truncated, "it goes on from offset " + std::to_string(end.offset)));
    return;
  }
  const std::int64_t next = stream.go_back(end);
  fetches_.suspend(stream);
  warn(detail::truncated(stream, next));
}

// A leader says so at once, without records: who does not go there must not ask again without pause. Followers have no say in it.
KAWAIT_DECL void engine::on_sent_away(partition_stream& stream, std::int32_t node, std::int32_t follower) {
  const auto leader = metadata_.cluster().leader_of(stream.id().partition);
  if (leader && leader->node == node && follower != node && fetches_.prefer(stream, follower)) return;
  const std::string where = follower == node ? "itself" : "node " + std::to_string(follower) + ", which is not known";
  const std::string words = ": node " + std::to_string(node) + " sends readers to " + where;
  warn(failure(kafka_error::replica_not_available, stream.name().to_string() + words));
  fetches_.suspend(stream);
}

KAWAIT_DECL void engine::on_node_failed(std::int32_t node) { fetches_.forget_follower(node); }

KAWAIT_DECL void engine::on_fetch_error(partition_stream& stream, const partition_data& data, std::int32_t node) {
  const auto code = static_cast<kafka_error>(data.error_code);
  const auto& diverging = data.diverging_epoch;
  const auto leader = metadata_.cluster().leader_of(stream.id().partition);
  const bool is_leader = leader && leader->node == node;
  const bool is_of_leaders = code == kafka_error::not_leader_or_follower || code == kafka_error::fenced_leader_epoch;
  // Whatever a follower refuses, an offset that is out of its range or an epoch that has ended before it above all, is for the leader
  // to say. That it is not ours any more makes it no leader: a seek asks it beside the fetch that is parked there, the leader is gone
  // back to meanwhile, then comes the answer. Not without a pause: the leader may send us back.
  if (code != kafka_error::none || diverging.end_offset >= 0) {
    const bool was_ours = fetches_.forget_follower(stream, node);
    if (was_ours || (!is_leader && !is_of_leaders)) {
      fetches_.suspend(stream);
      return;
    }
  }
  switch (code) {
    case kafka_error::none:
      if (diverging.end_offset >= 0) {
        on_truncated(stream, offset_and_epoch(diverging.end_offset, diverging.epoch));
      } else {
        on_sent_away(stream, node, data.preferred_read_replica);
      }
      return;
    case kafka_error::not_leader_or_follower:
    case kafka_error::fenced_leader_epoch:
      if (metadata_.cluster().on_leader_hint(stream.id().partition, data.current_leader.leader_id, data.current_leader.leader_epoch)) {
        metadata_.request_refresh();
        fetches_.update(stream);
      } else {
        fetches_.suspend(stream);
      }
      return;
    case kafka_error::offset_out_of_range:
      stream.on_out_of_range();
      return;
    case kafka_error::unknown_leader_epoch:
    case kafka_error::offset_not_available:
    case kafka_error::kafka_storage_error:
    case kafka_error::replica_not_available:
    case kafka_error::unknown_topic_or_partition:
    case kafka_error::unknown_topic_id:
    case kafka_error::inconsistent_topic_id:
    case kafka_error::unknown_server_error:  // no error class of Kafka's: the next attempt may succeed, and Java makes it
      fetches_.suspend(stream);
      return;
    default:
      if (is_retriable(code)) {
        fetches_.suspend(stream);
      } else {
        stream.fail(failure(code));
      }
  }
}

KAWAIT_DECL void engine::on_node_endpoints(const protocol::fetch_response& response) {
  for (const auto& node : response.node_endpoints) {
    if (node.node_id < 0 || node.host.empty() || node.port <= 0 || node.port > 65535) continue;
    const std::string host(node.host);
    metadata_.cluster().on_broker_hint(machine::cluster::broker(node.node_id, host, node.port, std::string(node.rack.value_or(""))));
    brokers_.set_broker(net::broker(node.node_id, host, static_cast<std::uint16_t>(node.port)));
  }
}

KAWAIT_DECL void engine::on_fetch_answered(partition_stream& stream) {
  KAWAIT_SERIAL_SECTION(serial_);
  fetches_.on_answered(stream);
}

KAWAIT_DECL void engine::refresh_metadata() { metadata_.request_refresh(); }

// ---- What the cluster is.

KAWAIT_DECL void engine::on_metadata() {
  KAWAIT_SERIAL_SECTION(serial_);
  if (auto* const r = std::get_if<running>(&state_)) r->reached = true;
  for (auto it = unresolved_.begin(); it != unresolved_.end();) {
    if (metadata_.cluster().name_of(*it)) {
      group_->membership().on_resolved(*it);
      group_->wake();
      it = unresolved_.erase(it);
    } else {
      ++it;
    }
  }
  // What was assigned for a moment, and is gone before its name was told, would be asked for without end.
  const auto forgotten = std::erase_if(unresolved_, [this](const uuid& id) { return !group_->membership().is_unresolved(id); });
  if (forgotten > 0) want_topics();
  resolve_assigned();
  check_subscription();
  fetches_.on_metadata();
  for (const auto& [id, stream] : streams_) fetches_.update(*stream);
  positions_.wake();
}

KAWAIT_DECL void engine::on_cluster_unreachable(failure why) {
  warn(why);
  const auto* const r = std::get_if<running>(&state_);
  // Once a broker was reached the cluster exists, and it is waited for however long it is gone. Before, the address may be wrong.
  if (r && !r->reached && environment_.now() - r->since >= options_.default_api_timeout) finish(std::move(why));
}

// What assign() named becomes streams as metadata tells the topics' ids.
KAWAIT_DECL void engine::resolve_assigned() {
  if (!std::holds_alternative<running>(state_) || assigned_names_.empty()) return;
  const auto& cluster = metadata_.cluster();
  std::vector<stream_ptr> added;
  std::erase_if(assigned_names_, [&](const topic_partition& p) {
    const auto id = cluster.id_of(p.topic);
    if (!id || static_cast<std::size_t>(p.partition) >= cluster.partition_count(*id)) return false;
    added.push_back(add_stream(machine::leased(topic_id_partition(*id, p.partition), ++assigned_generation_), p.topic));
    return true;
  });
  if (!added.empty()) {
    on_assignment_changed();
    announce(std::move(added));
  }
  const auto* const r = std::get_if<running>(&state_);  // unless a handler that was announced one has closed the consumer
  if (!r || assigned_names_.empty() || environment_.now() - r->since < options_.default_api_timeout) return;
  const topic_partition& missing = assigned_names_.front();
  const kafka_error said = cluster.topic_error(missing.topic);
  finish(failure(said == kafka_error::none ? kafka_error::unknown_topic_or_partition : said, "assign: " + missing.to_string()));
}

// ---- What the group decides.

KAWAIT_DECL void engine::on_unresolved(const std::vector<uuid>& ids) {
  for (const uuid& id : ids) {
    if (metadata_.cluster().name_of(id)) {
      group_->membership().on_resolved(id);
    } else {
      unresolved_.insert(id);
    }
  }
  want_topics();
}

KAWAIT_DECL void engine::on_group_warning(const failure& why) {
  if (why.code != kafka_error::topic_authorization_failed || subscribed_.empty()) return warn(why);
  on_subscription_denied(why);
}

KAWAIT_DECL void engine::on_group_failed(const failure& why) { finish(why); }

KAWAIT_DECL void engine::on_left() {
  options_.observers.tell(&observer::on_left, observer::left());
  if (const auto gone = std::exchange(departure_, nullptr)) {
    gone->has_left = true;
    left_.notify_all();
  }
  if (std::holds_alternative<closing>(state_)) tasks_.spawn(say_goodbye({}));
}

KAWAIT_DECL void engine::on_heartbeat_answered(const heartbeat_sight& seen) {
  KAWAIT_SERIAL_SECTION(serial_);
  // The first Metadata may be long in coming: a member of the group is not one that gave a wrong address.
  if (auto* const r = std::get_if<running>(&state_)) r->reached = true;
  commits_.wake();
  if (!options_.observers) return;
  const auto& member = group_->membership();
  options_.observers.tell(&observer::on_heartbeat,
                          observer::heartbeat{member.member_epoch(), seen.owned, seen.round_trip, seen.refused});
  if (seen.was_join && member.member_epoch() > 0) {
    options_.observers.tell(&observer::on_joined, observer::joined{member.group_id(), member.member_id(), member.member_epoch()});
  }
}

KAWAIT_DECL void engine::on_group_unreachable(const failure& why) { warn(why); }

// ---- Where partitions start.

KAWAIT_DECL void engine::on_position_found(const machine::position_finder::found& found) {
  KAWAIT_SERIAL_SECTION(serial_);
  const auto stream = find_stream(found.lease.partition);
  if (!stream || stream->id() != found.lease) return;
  if (found.how != machine::position_finder::source::truncated) return stream->on_located(found.position);
  warn(detail::truncated(*stream, found.position.offset));
  stream->on_truncated(found.position);
}

KAWAIT_DECL void engine::on_position_not_found(const machine::position_finder::not_found& missing) {
  const auto stream = find_stream(missing.lease.partition);
  if (stream && stream->id() == missing.lease) stream->on_locate_failed(missing.why);
}

// ---- What comes back from users' threads.

KAWAIT_DECL void engine::on_marked(lease& l) {
  if (const auto stream = l.stream.lock()) stream->on_marked(l);
  on_application_moved();
}

KAWAIT_DECL void engine::on_released(lease& l) {
  KAWAIT_SERIAL_SECTION(serial_);
  if (const auto stream = l.stream.lock()) stream->on_released(l);
  on_application_moved();
  l.buffers.clear();
  fetches_.on_released();
}

}  // namespace kawait::runtime
