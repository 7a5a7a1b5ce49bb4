#pragma once

#include <algorithm>

#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/impl/broker_refusals.ipp>

namespace kawait::testing::broker_detail {

KAWAIT_DECL protocol::consumer_group_heartbeat_response core::on(const protocol::consumer_group_heartbeat_request& q,
                                                                 incoming& in) {
  // Before the coordinator sees it, so that the session is not refreshed.
  const auto denied = [this](std::string_view name) { return denied_topics.contains(name); };
  if (q.subscribed_topic_names && std::any_of(q.subscribed_topic_names->begin(), q.subscribed_topic_names->end(), denied)) {
    return refuse(q, kafka_error::topic_authorization_failed, in);
  }
  if (in.node != coordinator_node()) return refuse(q, kafka_error::not_coordinator, in);
  auto r = groups.heartbeat(env.now(), q, in.version, in.client_id);
  group_changed.notify_all();
  return r;
}

KAWAIT_DECL protocol::offset_commit_response core::on(const protocol::offset_commit_request& q, incoming& in) {
  if (in.node != coordinator_node()) return refuse(q, kafka_error::not_coordinator, in);
  return groups.commit(env.now(), q, in.version);
}

/// As if a transaction that commits the partition's offset were under way; a partition that has another error keeps it.
inline void make_unstable(protocol::offset_fetch_response::partition& p) {
  if (p.error_code != 0) return;
  p.error_code = number_of(kafka_error::unstable_offset_commit);
  p.committed_offset = -1;
  p.committed_leader_epoch = -1;
  p.metadata = "";
}

KAWAIT_DECL protocol::offset_fetch_response core::on(const protocol::offset_fetch_request& q, incoming& in) {
  if (in.node != coordinator_node()) return refuse(q, kafka_error::not_coordinator, in);
  auto r = groups.fetch_offsets(env.now(), q, in.version);
  if (in.refused != kafka_error::unstable_offset_commit) return r;
  // By a fault. An offset is unstable, never a group: what is wrong with a group as a whole is told first.
  for (auto& g : r.groups) {
    for (auto& t : g.topics) {
      for (auto& p : t.partitions) make_unstable(p);
    }
  }
  return r;
}

KAWAIT_DECL messages::describe_groups_response core::on(const messages::describe_groups_request& q, incoming& in) {
  const bool here = in.node == coordinator_node();
  return refuse(q, here ? kafka_error::group_id_not_found : kafka_error::not_coordinator, in);
}

KAWAIT_DECL messages::delete_groups_response core::on(const messages::delete_groups_request& q, incoming& in) {
  if (in.node != coordinator_node()) return refuse(q, kafka_error::not_coordinator, in);
  messages::delete_groups_response r;
  for (const std::string_view id : q.groups) {
    auto& g = r.results.emplace_back();
    g.group_id = id;
    g.error_code = number_of(groups.remove_group(env.now(), id));
  }
  return r;
}

inline void describe(cluster_state& cluster, const partition_list& list, incoming& in,
                     messages::consumer_group_describe_response::assignment& out) {
  for (const topic_id_partition& p : list) {
    if (out.topic_partitions.empty() || out.topic_partitions.back().topic_id != p.topic_id) {
      auto& t = out.topic_partitions.emplace_back();
      t.topic_id = p.topic_id;
      const cluster_topic* known = cluster.by_id(p.topic_id);
      t.topic_name = in.keep(known ? known->name : "");
    }
    out.topic_partitions.back().partitions.push_back(p.partition);
  }
}

inline void describe(cluster_state& cluster, const member_view& m, const generation_traits& traits, incoming& in,
                     messages::consumer_group_describe_response::member& out) {
  out.member_id = in.keep(m.id);
  if (m.instance_id) out.instance_id = in.keep(*m.instance_id);
  out.member_epoch = m.epoch;
  out.client_id = in.keep(m.client_id);
  out.client_host = "/127.0.0.1";
  for (const std::string& t : m.topics) out.subscribed_topic_names.push_back(in.keep(t));
  if (!m.regex.empty()) out.subscribed_topic_regex = in.keep(m.regex);
  partition_list has = m.assigned;
  if (traits.revoking_is_described) has.insert(has.end(), m.revoking.begin(), m.revoking.end());
  std::sort(has.begin(), has.end());
  describe(cluster, has, in, out.assigned);
  describe(cluster, m.target, in, out.target);
  out.member_type = 1;  // of the consumer protocol
}

KAWAIT_DECL messages::consumer_group_describe_response core::on(const messages::consumer_group_describe_request& q,
                                                                    incoming& in) {
  if (in.node != coordinator_node()) return refuse(q, kafka_error::not_coordinator, in);
  groups.tick(env.now());
  messages::consumer_group_describe_response r;
  for (const std::string_view id : q.group_ids) {
    auto& g = r.groups.emplace_back();
    g.group_id = id;
    const std::optional<group_view> known = groups.view(id);
    if (!known) {
      g.error_code = number_of(kafka_error::group_id_not_found);
      g.error_message = "There is no such group.";
      continue;
    }
    g.group_state = known->state;
    g.group_epoch = known->epoch;
    g.assignment_epoch = known->target_epoch;
    g.assignor_name = in.keep(known->assignor);
    const generation_traits& traits = traits_of(options.group.generation);
    for (const member_view& m : groups.members(id)) describe(cluster, m, traits, in, g.members.emplace_back());
  }
  return r;
}

}  // namespace kawait::testing::broker_detail
