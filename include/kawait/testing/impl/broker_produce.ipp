#pragma once

#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/impl/broker_refusals.ipp>

namespace kawait::testing::broker_detail {

/// The transaction of a transactional id, if the producer is the one that has it now.
KAWAIT_DECL cluster_transaction* core::transaction_of(std::string_view id, std::int64_t producer_id, std::int16_t epoch,
                                                      kafka_error& error) {
  const auto found = cluster.transactions.find(id);
  if (found == cluster.transactions.end() || found->second.producer_id != producer_id) {
    error = kafka_error::invalid_producer_id_mapping;
    return nullptr;
  }
  error = found->second.producer_epoch == epoch ? kafka_error::none : kafka_error::producer_fenced;
  return error == kafka_error::none ? &found->second : nullptr;
}

/// Whether a batch may go where it is sent: one of a transaction only to the partitions that were added to it.
KAWAIT_DECL bool core::in_transaction(const messages::produce_request& q, std::span<const std::byte> batch,
                                      const topic_id_partition& tp) {
  wire::batch_cursor cursor(batch);
  wire::batch_view view;
  if (!cursor.next(view) || !view.header.is_transactional()) return true;
  const auto found = q.transactional_id ? cluster.transactions.find(*q.transactional_id) : cluster.transactions.end();
  return found != cluster.transactions.end() && found->second.producer_id == view.header.producer_id &&
         found->second.producer_epoch == view.header.producer_epoch && found->second.partitions.contains(tp);
}

KAWAIT_DECL void core::produce_one(const messages::produce_request::partition& asked, cluster_topic* t, bool by_id,
                                   const messages::produce_request& q, incoming& in, messages::produce_response& r,
                                   messages::produce_response::partition& out) {
  out.index = asked.index;
  out.base_offset = -1;
  const auto fail = [&](kafka_error e) { out.error_code = number_of(e); };
  cluster_partition* p = t ? t->find(asked.index) : nullptr;
  if (!p) return fail(by_id && !t ? kafka_error::unknown_topic_id : kafka_error::unknown_topic_or_partition);
  if (p->leader != in.node) {
    if (in.version >= 10) {
      out.current_leader.leader_id = p->leader;
      out.current_leader.leader_epoch = p->leader_epoch;
      add_endpoint(r.node_endpoints, p->leader);
    }
    return fail(kafka_error::not_leader_or_follower);
  }
  const std::span<const std::byte> batch = asked.records.value_or(std::span<const std::byte>());
  if (batch.size() > options.max_message_bytes) return fail(kafka_error::message_too_large);
  if (!in_transaction(q, batch, topic_id_partition(t->id, asked.index))) return fail(kafka_error::invalid_txn_state);
  const append_outcome done = p->log.append(batch);
  out.log_start_offset = p->log.start_offset();
  if (done.error != kafka_error::none) {
    if (*done.words != '\0') out.error_message = done.words;
    return fail(done.error);
  }
  out.base_offset = done.base_offset;
}

KAWAIT_DECL messages::produce_response core::on(const messages::produce_request& q, incoming& in) {
  if (q.acks < -1 || q.acks > 1) return refuse(q, kafka_error::invalid_required_acks, in);
  messages::produce_response r;
  const bool by_id = in.version >= 13;
  for (const auto& asked : q.topics) {
    auto& t = r.responses.emplace_back();
    t.name = asked.name;
    t.topic_id = asked.topic_id;
    cluster_topic* found = by_id ? cluster.by_id(asked.topic_id) : cluster.by_name(asked.name);
    for (const auto& p : asked.partitions) produce_one(p, found, by_id, q, in, r, t.partitions.emplace_back());
  }
  touch();
  return r;
}

KAWAIT_DECL messages::init_producer_id_response core::on(const messages::init_producer_id_request& q, incoming& in) {
  messages::init_producer_id_response r;
  if (!q.transactional_id) {
    r.producer_id = cluster.next_producer_id();
    return r;
  }
  if (in.node != coordinator_node()) return refuse(q, kafka_error::not_coordinator, in);
  if (q.transactional_id->empty()) return refuse(q, kafka_error::invalid_request, in);
  cluster_transaction& t = cluster.transactions[std::string(*q.transactional_id)];
  const bool known = q.producer_id >= 0;
  if (known && (q.producer_id != t.producer_id || q.producer_epoch != t.producer_epoch)) {
    return refuse(q, kafka_error::producer_fenced, in);
  }
  if (t.producer_id < 0 || t.producer_epoch >= 32766) {
    cluster.end_transaction(t, false, wall_ms());
    t.producer_id = cluster.next_producer_id();
    t.producer_epoch = -1;
  }
  // The epoch moves first: the markers fence the instance before.
  ++t.producer_epoch;
  cluster.end_transaction(t, false, wall_ms());
  touch();
  r.producer_id = t.producer_id;
  r.producer_epoch = t.producer_epoch;
  return r;
}

KAWAIT_DECL messages::add_partitions_to_txn_response core::on(const messages::add_partitions_to_txn_request& q, incoming& in) {
  if (in.node != coordinator_node()) return refuse(q, kafka_error::not_coordinator, in);
  kafka_error error = kafka_error::none;
  cluster_transaction* t = transaction_of(q.transactional_id, q.producer_id, q.producer_epoch, error);
  if (!t) return refuse(q, error, in);
  messages::add_partitions_to_txn_response r = refuse(q, kafka_error::none, in);
  for (auto& asked : r.topics) {
    const cluster_topic* found = cluster.by_name(asked.name);
    for (auto& p : asked.partitions) {
      if (!found || !found->find(p.index)) {
        p.error_code = number_of(kafka_error::unknown_topic_or_partition);
      } else {
        t->partitions.emplace(found->id, p.index);
      }
    }
  }
  return r;
}

KAWAIT_DECL messages::end_txn_response core::on(const messages::end_txn_request& q, incoming& in) {
  if (in.node != coordinator_node()) return refuse(q, kafka_error::not_coordinator, in);
  kafka_error error = kafka_error::none;
  cluster_transaction* t = transaction_of(q.transactional_id, q.producer_id, q.producer_epoch, error);
  if (!t) return refuse(q, error, in);
  cluster.end_transaction(*t, q.committed, wall_ms());
  touch();
  return messages::end_txn_response();
}

}  // namespace kawait::testing::broker_detail
