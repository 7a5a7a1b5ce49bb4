#pragma once

#include <algorithm>

#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/impl/broker_refusals.ipp>
#include <kawait/testing/impl/broker_requests.ipp>

namespace kawait::testing::broker_detail {

/// Since when Fetch names topics by id.
inline constexpr std::int16_t fetch_by_id = 13;

/// What stands for the id of a topic that is asked for by a name that there is not: the name must come back in the answer, and in
/// later ones of the session. Longer names than fit are told apart from no other; they get the same error.
inline uuid id_of_unknown(std::string_view name) {
  uuid id;
  for (std::size_t i = 0; i < id.bytes.size() - 2 && i < name.size(); ++i) id.bytes[i + 2] = static_cast<std::byte>(name[i]);
  return id;
}

inline std::string name_of_unknown(const uuid& id) {
  std::string name;
  for (std::size_t i = 2; i < id.bytes.size() && id.bytes[i] != std::byte{0}; ++i) name += static_cast<char>(id.bytes[i]);
  return name;
}

KAWAIT_DECL std::vector<fetch_wish> core::wishes_of(const messages::fetch_request& q, const incoming& in,
                                                    std::vector<topic_id_partition>& forgotten) {
  const auto id_of = [&](std::string_view name, const uuid& id) {
    if (in.version >= fetch_by_id) return id;
    const cluster_topic* t = cluster.by_name(name);
    return t ? t->id : id_of_unknown(name);
  };
  std::vector<fetch_wish> wishes;
  for (const auto& t : q.topics) {
    const uuid id = id_of(t.name, t.topic_id);
    for (const auto& p : t.partitions) {
      fetch_wish& w = wishes.emplace_back();
      w.partition = topic_id_partition(id, p.partition);
      w.fetch_offset = p.fetch_offset;
      w.current_leader_epoch = p.current_leader_epoch;
      w.last_fetched_epoch = p.last_fetched_epoch;
      w.max_bytes = p.partition_max_bytes;
    }
  }
  for (const auto& t : q.forgotten_topics_data) {
    const uuid id = id_of(t.name, t.topic_id);
    for (const std::int32_t p : t.partitions) forgotten.emplace_back(id, p);
  }
  return wishes;
}

/// The follower that a consumer is sent to: the one chosen by the test, or one in the consumer's rack if the leader is not
/// (KIP-392).
KAWAIT_DECL std::optional<std::int32_t> core::preferred(const cluster_partition& p, std::int32_t node, std::string_view rack) {
  if (p.leader != node) return std::nullopt;
  const auto usable = [&](std::int32_t id) {
    const cluster_node* n = cluster.node(id);
    return n && n->up && id != node;
  };
  if (p.preferred_replica) return usable(*p.preferred_replica) ? p.preferred_replica : std::nullopt;
  if (rack.empty() || cluster.node(node)->rack == rack) return std::nullopt;
  for (const std::int32_t id : p.replicas) {
    if (usable(id) && cluster.node(id)->rack == rack) return id;
  }
  return std::nullopt;
}

/// False if there is nothing to spoil so.
inline bool spoil(const fault& f, messages::fetch_response::partition& part, std::vector<std::byte>& records) {
  if (f.records != record_fault::doubled_abort) return spoil_records(records, f.records, f.codec);
  if (!part.aborted_transactions || part.aborted_transactions->empty()) return false;
  const auto once = *part.aborted_transactions;
  part.aborted_transactions->insert(part.aborted_transactions->end(), once.begin(), once.end());
  return true;
}

KAWAIT_DECL void core::read(const fetch_wish& w, const messages::fetch_request& q, const incoming& in, gathered& g) {
  auto& [key, part] = g.parts.emplace_back();
  key = w.partition;
  part.partition_index = w.partition.partition;
  part.high_watermark = -1;
  part.aborted_transactions.reset();
  const auto fail = [&, &out = part](kafka_error e) {
    out.error_code = number_of(e);
    g.urgent = true;
  };
  // An error by a fault is of the partitions: an incremental fetch names none, and means all of its session, which goes on.
  if (in.refused != kafka_error::none) return fail(in.refused);
  const cluster_topic* t = cluster.by_id(w.partition.topic_id);
  const cluster_partition* p = t ? t->find(w.partition.partition) : nullptr;
  if (!p) {
    const bool by_id = in.version >= fetch_by_id && !t;
    return fail(by_id ? kafka_error::unknown_topic_id : kafka_error::unknown_topic_or_partition);
  }
  const kafka_error e = check_leader(*p, in.node, w.current_leader_epoch, in.version >= 11);
  if (e != kafka_error::none) {
    const bool moved = e == kafka_error::not_leader_or_follower || e == kafka_error::fenced_leader_epoch;
    if (in.version >= 16 && moved) {
      part.current_leader.leader_id = p->leader;
      part.current_leader.leader_epoch = p->leader_epoch;
    }
    return fail(e);
  }
  const auto show_ends = [&, &out = part] {
    out.high_watermark = p->log.high_watermark();
    out.last_stable_offset = p->log.last_stable_offset();
    out.log_start_offset = p->log.start_offset();
  };
  if (in.version >= 12 && w.last_fetched_epoch >= 0) {
    const offset_and_epoch end = p->log.end_of_epoch(w.last_fetched_epoch);
    if (end.offset < 0) return fail(kafka_error::offset_out_of_range);
    if (end.leader_epoch < w.last_fetched_epoch || end.offset < w.fetch_offset) {
      part.diverging_epoch.epoch = end.leader_epoch;
      part.diverging_epoch.end_offset = end.offset;
      g.urgent = true;
      return show_ends();
    }
  }
  const bool committed = q.isolation_level == 1;
  const std::size_t most = std::min<std::size_t>(static_cast<std::size_t>(std::max(q.max_bytes, 0)), options.max_fetch_bytes);
  const std::size_t left = most - std::min(most, g.bytes);
  const std::size_t own = static_cast<std::size_t>(std::max(w.max_bytes, 0));
  read_outcome found = p->log.read(w.fetch_offset, std::min(left, own), committed, g.bytes == 0);
  if (found.error != kafka_error::none) return fail(found.error);
  show_ends();
  if (const auto elsewhere = in.version >= 11 ? preferred(*p, in.node, q.rack_id) : std::nullopt) {
    part.preferred_read_replica = *elsewhere;
    g.urgent = true;
    return;
  }
  if (committed) {
    auto& list = part.aborted_transactions.emplace();
    for (const wire::aborted_transaction& a : found.aborted) {
      auto& entry = list.emplace_back();
      entry.producer_id = a.producer_id;
      entry.first_offset = a.first_offset;
    }
  }
  if (in.spoils && !g.spoilt) g.spoilt = spoil(*in.spoils, part, found.records);
  g.bytes += found.records.size();
  part.records = protocol::bytes_view(g.records.emplace_back(std::move(found.records)));
}

KAWAIT_DECL void core::gather(const fetch_sessions::context& ctx, const messages::fetch_request& q, const incoming& in,
                              gathered& g) {
  g.parts.clear();
  g.records.clear();
  g.bytes = 0;
  g.urgent = false;
  g.spoilt = false;
  for (const fetch_wish& w : ctx.wishes) read(w, q, in, g);
}

KAWAIT_DECL void core::finish_fetch(fetch_sessions::context& ctx, incoming& in, gathered& g, messages::fetch_response& r) {
  fetch_sessions& sessions = cluster.node(in.node)->sessions;
  const bool by_id = in.version >= fetch_by_id;
  sessions.grant(ctx, env.now(), by_id, [this] { return random(); });
  r.session_id = ctx.session_id;
  uuid last;
  for (auto& [key, part] : g.parts) {
    if (!sessions.must_answer(ctx, key, part)) continue;
    if (r.responses.empty() || last != key.topic_id) {
      auto& t = r.responses.emplace_back();
      t.topic_id = last = key.topic_id;
      if (!by_id) {
        const cluster_topic* known = cluster.by_id(key.topic_id);
        t.name = in.keep(known ? known->name : name_of_unknown(key.topic_id));
      }
    }
    if (part.current_leader.leader_id >= 0) add_endpoint(r.node_endpoints, part.current_leader.leader_id);
    r.responses.back().partitions.push_back(part);
  }
}

KAWAIT_DECL asio::awaitable<void> core::answer_fetch(connection& c, incoming& in, reply& out) {
  messages::fetch_request q;
  if (!decode(in, q)) {
    out.close = true;
    co_return;
  }
  messages::fetch_response r;
  if (is_of_session(in.refused)) {
    r.error_code = number_of(in.refused);
    encode(*this, in, r, in.version, out);
    co_return;
  }
  std::vector<topic_id_partition> forgotten;
  std::vector<fetch_wish> wishes = wishes_of(q, in, forgotten);
  fetch_sessions& sessions = cluster.node(in.node)->sessions;
  const bool by_id = in.version >= fetch_by_id;
  auto ctx = sessions.begin(env.now(), q.session_id, q.session_epoch, by_id, std::move(wishes), forgotten);
  const auto throttle = throttles.find(api_key::fetch);
  const bool throttled = throttle != throttles.end() && throttle->second.count() > 0;
  const bool sound = in.refused == kafka_error::none;
  gathered g;
  if (ctx.kind == fetch_sessions::kind::error) {
    r.error_code = number_of(ctx.error);
  } else if (throttled && sound) {
    // Empty, but the session went on.
    r.session_id = ctx.session_id;
  } else {
    const auto wait = std::chrono::milliseconds(std::max(q.max_wait_ms, 0));
    const net::time_point until = env.now() + wait;
    const std::size_t least = static_cast<std::size_t>(std::max(q.min_bytes, 0));
    for (;;) {
      in.spoils = c.spoils ? &*c.spoils : nullptr;  // which may end while the fetch waits
      gather(ctx, q, in, g);
      if (g.urgent || g.bytes >= least || ctx.wishes.empty() || env.now() >= until || c.closed || closed) break;
      const std::error_code ignored = co_await changed.wait_until(until);
      (void)ignored;
    }
    finish_fetch(ctx, in, g, r);
    if (g.spoilt && !c.closed) {
      const std::function<void()> struck = std::move(c.spoils->struck);
      c.spoils.reset();
      if (struck) struck();
    }
  }
  encode(*this, in, r, in.version, out);
}

}  // namespace kawait::testing::broker_detail
