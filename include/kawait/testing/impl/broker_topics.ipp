#pragma once

#include <algorithm>
#include <tuple>

#include <kawait/core/topic_name.hpp>
#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/impl/broker_refusals.ipp>

namespace kawait::testing::broker_detail {

inline constexpr std::int32_t most_partitions = 10'000;  // of a topic that a client asks for

inline void describe(core& owner, const cluster_topic& t, protocol::metadata_response::topic& out) {
  out.name = t.name;
  out.topic_id = t.id;
  for (std::size_t i = 0; i < t.partitions.size(); ++i) {
    const cluster_partition& p = *t.partitions[i];
    auto& o = out.partitions.emplace_back();
    o.partition_index = static_cast<std::int32_t>(i);
    o.leader_id = p.leader;
    o.leader_epoch = p.leader_epoch;
    const topic_id_partition key(t.id, o.partition_index);
    if (owner.held_leaders && owner.held_leaders->contains(key)) {
      std::tie(o.leader_id, o.leader_epoch) = owner.held_leaders->at(key);
    }
    // Nobody is told to go to a node that is not among the brokers of the same answer.
    const cluster_node* leading = owner.cluster.node(o.leader_id);
    if (!leading || !leading->up) {
      o.leader_id = -1;
      o.error_code = number_of(kafka_error::leader_not_available);
    }
    o.replica_nodes = p.replicas;
    for (const std::int32_t r : p.replicas) {
      const cluster_node* n = owner.cluster.node(r);
      (n && n->up ? o.isr_nodes : o.offline_replicas).push_back(r);
    }
  }
}

KAWAIT_DECL messages::metadata_request::response core::on(const messages::metadata_request& q, incoming& in) {
  messages::metadata_request::response r;
  r.cluster_id = options.cluster_id;
  r.controller_id = cluster.first_up();
  for (const auto& [id, n] : cluster.nodes()) {
    if (!n.up) continue;
    auto& b = r.brokers.emplace_back();
    b.node_id = id;
    b.host = n.host;
    b.port = n.port;
    if (n.rack) b.rack = *n.rack;
  }
  const bool all = !q.topics || (in.version == 0 && q.topics->empty());
  if (all) {
    for (const auto& [name, t] : cluster.topics()) describe(*this, *t, r.topics.emplace_back());
    return r;
  }
  for (const auto& asked : *q.topics) {
    auto& out = r.topics.emplace_back();
    out.topic_id = asked.topic_id;
    const cluster_topic* t = asked.name ? cluster.by_name(*asked.name) : cluster.by_id(asked.topic_id);
    const bool legal = asked.name && is_topic_name(*asked.name);
    if (!t && legal && q.allow_auto_topic_creation && options.auto_create_partitions > 0) {
      t = create(std::string(*asked.name), options.auto_create_partitions, 0);
    }
    if (t && denied_topics.contains(t->name)) {
      out.error_code = number_of(kafka_error::topic_authorization_failed);
      out.name = asked.name;  // who asks by id is not told the name
      continue;
    }
    if (t) {
      describe(*this, *t, out);
      continue;
    }
    kafka_error e = legal ? kafka_error::unknown_topic_or_partition : kafka_error::invalid_topic_exception;
    if (!asked.name) e = kafka_error::unknown_topic_id;
    out.error_code = number_of(e);
    out.name = asked.name;
    if (!asked.name && in.version < 12) out.name = "";
  }
  return r;
}

KAWAIT_DECL messages::create_topics_response core::on(const messages::create_topics_request& q, incoming&) {
  messages::create_topics_response r;
  for (const auto& asked : q.topics) {
    auto& out = r.topics.emplace_back();
    out.name = asked.name;
    out.error_message = std::nullopt;
    // By hand, the replicas are the broker's to choose all the same; only their count is kept.
    const bool by_hand = !asked.assignments.empty();
    const std::int32_t wanted = by_hand ? static_cast<std::int32_t>(asked.assignments.size()) : asked.num_partitions;
    const std::int32_t partitions = wanted == -1 ? 1 : wanted;
    std::int32_t copies = asked.replication_factor;
    if (by_hand) copies = static_cast<std::int32_t>(asked.assignments.front().broker_ids.size());
    if (copies == -1) copies = options.replication_factor;
    kafka_error e = kafka_error::none;
    if (!is_topic_name(asked.name)) e = kafka_error::invalid_topic_exception;
    if (cluster.by_name(asked.name)) e = kafka_error::topic_already_exists;
    if (partitions < 1 || partitions > most_partitions) e = kafka_error::invalid_partitions;
    if (copies < 1 || copies > options.nodes) e = kafka_error::invalid_replication_factor;
    out.error_code = number_of(e);
    if (e != kafka_error::none) continue;
    out.num_partitions = partitions;
    out.replication_factor = static_cast<std::int16_t>(copies);
    if (!q.validate_only) out.topic_id = create(std::string(asked.name), partitions, copies)->id;
  }
  return r;
}

KAWAIT_DECL messages::delete_topics_response core::on(const messages::delete_topics_request& q, incoming& in) {
  messages::delete_topics_response r;
  const auto remove = [&](std::optional<std::string_view> name, const uuid& id) {
    auto& out = r.responses.emplace_back();
    const cluster_topic* t = name ? cluster.by_name(*name) : cluster.by_id(id);
    out.name = name;
    out.topic_id = id;
    if (!t) {
      out.error_code = number_of(name ? kafka_error::unknown_topic_or_partition : kafka_error::unknown_topic_id);
      return;
    }
    out.topic_id = t->id;
    const std::string kept = t->name;
    out.name = in.keep(kept);
    cluster.remove(kept);
  };
  for (const auto& t : q.topics) remove(t.name, t.topic_id);
  for (const std::string_view name : q.topic_names) remove(name, uuid());
  topics_changed();
  return r;
}

KAWAIT_DECL messages::create_partitions_response core::on(const messages::create_partitions_request& q, incoming&) {
  messages::create_partitions_response r;
  for (auto at = q.topics.begin(); at != q.topics.end(); ++at) {
    const auto& asked = *at;
    const auto same = [&](const auto& other) { return other.name == asked.name; };
    if (std::any_of(q.topics.begin(), at, same)) continue;  // answered already
    auto& out = r.results.emplace_back();
    out.name = asked.name;
    cluster_topic* t = cluster.by_name(asked.name);
    const auto have = t ? static_cast<std::int32_t>(t->partitions.size()) : 0;
    kafka_error e = kafka_error::none;
    if (asked.count <= have || asked.count > most_partitions) e = kafka_error::invalid_partitions;
    // Which nodes is the broker's to choose all the same; but there must be as many as there are new partitions.
    const bool by_hand = e == kafka_error::none && asked.assignments.has_value();
    if (by_hand && asked.assignments->size() != static_cast<std::size_t>(asked.count - have)) {
      e = kafka_error::invalid_replica_assignment;
    }
    if (!t) e = kafka_error::unknown_topic_or_partition;
    if (std::any_of(at + 1, q.topics.end(), same)) e = kafka_error::invalid_request;
    out.error_code = number_of(e);
    if (e != kafka_error::none || q.validate_only) continue;
    cluster.grow(*t, asked.count, static_cast<std::int32_t>(t->partitions.front()->replicas.size()));
    topics_changed();
  }
  return r;
}

KAWAIT_DECL kafka_error core::check_leader(const cluster_partition& p, std::int32_t node, std::int32_t known_epoch,
                                           bool follower_too) const {
  const bool replica = std::find(p.replicas.begin(), p.replicas.end(), node) != p.replicas.end();
  if (known_epoch >= 0 && known_epoch < p.leader_epoch) return kafka_error::fenced_leader_epoch;
  if (known_epoch > p.leader_epoch) return kafka_error::unknown_leader_epoch;
  if (p.leader != node && !(follower_too && replica)) return kafka_error::not_leader_or_follower;
  return kafka_error::none;
}

KAWAIT_DECL messages::list_offsets_request::response core::on(const messages::list_offsets_request& q, incoming& in) {
  messages::list_offsets_request::response r;
  for (const auto& asked : q.topics) {
    auto& t = r.topics.emplace_back();
    t.name = asked.name;
    const cluster_topic* topic_found = cluster.by_name(asked.name);
    for (const auto& a : asked.partitions) {
      auto& out = t.partitions.emplace_back();
      out.partition_index = a.partition_index;
      const cluster_partition* p = topic_found ? topic_found->find(a.partition_index) : nullptr;
      kafka_error e = p ? check_leader(*p, in.node, a.current_leader_epoch, false) : kafka_error::unknown_topic_or_partition;
      const int since = a.timestamp == -3 ? 7 : a.timestamp == -4 ? 8 : a.timestamp == -5 ? 9 : a.timestamp == -6 ? 11 : 0;
      if (a.timestamp < -6 || in.version < since) e = kafka_error::unsupported_version;
      out.error_code = number_of(e);
      if (e != kafka_error::none) continue;
      const auto found = p->log.offset_for(a.timestamp, q.isolation_level == 1);
      // Neither the end, nor that there is no such record: it may be among those that the last leader had shown already.
      const bool needs_end = a.timestamp == -1 || (found.offset < 0 && a.timestamp >= -3);
      if (needs_end && !p->log.knows_end()) {
        out.error_code = number_of(in.version >= 5 ? kafka_error::offset_not_available : kafka_error::leader_not_available);
        continue;
      }
      out.offset = found.offset;
      out.timestamp = found.timestamp;
      if (in.version >= 4) out.leader_epoch = found.leader_epoch;
    }
  }
  return r;
}

KAWAIT_DECL messages::offset_for_leader_epoch_request::response core::on(const messages::offset_for_leader_epoch_request& q,
                                                                         incoming& in) {
  messages::offset_for_leader_epoch_request::response r;
  for (const auto& asked : q.topics) {
    auto& t = r.topics.emplace_back();
    t.topic = asked.topic;
    const cluster_topic* topic_found = cluster.by_name(asked.topic);
    for (const auto& a : asked.partitions) {
      auto& out = t.partitions.emplace_back();
      out.partition = a.partition;
      const cluster_partition* p = topic_found ? topic_found->find(a.partition) : nullptr;
      kafka_error e = kafka_error::unknown_topic_or_partition;
      if (p) e = check_leader(*p, in.node, a.current_leader_epoch, false);
      out.error_code = number_of(e);
      if (e != kafka_error::none) continue;
      const offset_and_epoch end = p->log.end_of_epoch(a.leader_epoch);
      out.leader_epoch = end.leader_epoch;
      out.end_offset = end.offset;
    }
  }
  return r;
}

}  // namespace kawait::testing::broker_detail
