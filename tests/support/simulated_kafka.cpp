#include "simulation/simulated_kafka.hpp"

namespace simulated {

template <class Request>
static Request decoded(const scripted::incoming& r) {
  Request q;
  const kawait::failure bad = protocol::decode_request(q, r.rest(), r.version);
  if (bad) throw std::runtime_error(bad.to_string());
  return q;
}

kafka::kafka(kawait::testing::world& w, std::int32_t partitions) : world_(w), grown_(w.executor()), logs_(static_cast<std::size_t>(partitions)) {
  topic_id_.bytes[0] = std::byte{7};
  w.network().listen("10.0.0.1", 9092, [this](std::unique_ptr<net::transport> t) { return serve(std::move(t)); });
  w.network().listen("10.0.0.2", 9092, [this](std::unique_ptr<net::transport> t) { return serve_coordinator(std::move(t)); });
}

void kafka::append(std::int32_t partition, const std::vector<std::string>& values) {
  log_of(partition).append(values, std::exchange(corrupt_next, false));
  grown_.notify_all();
}

void kafka::append_hole(std::int32_t partition, std::int32_t size) {
  log_of(partition).append_hole(size);
  grown_.notify_all();
}

void kafka::append_numbers(std::int32_t partition, int count) {
  std::vector<std::string> values;
  for (int i = 0; i < count; ++i) values.push_back(std::to_string(log_of(partition).end() + i));
  append(partition, values);
}

void kafka::cut_coordinator() {
  world_.network().black_hole("10.0.0.2", 9092);
  for (scripted::peer* p : coordinator_peers_) p->close();
}

void kafka::mend_coordinator() {
  world_.network().listen("10.0.0.2", 9092, [this](std::unique_ptr<net::transport> t) { return serve_coordinator(std::move(t)); });
}

asio::awaitable<void> kafka::serve(scripted::peer& p) {
  for (;;) {
    const scripted::incoming r = co_await p.next();
    if (r.end) co_return;
    switch (r.key) {
      case 18: co_await p.answer(r, versions()); break;
      case 3: co_await p.answer(r, metadata(r), r.version); break;
      case 10: co_await p.answer(r, find_coordinator(r)); break;
      case 68: co_await p.answer(r, on_heartbeat(r)); break;
      case 9: co_await p.answer(r, offset_fetch(r)); break;
      case 8: {
        if (commit_delay > 0ms) co_await net::async_sleep_for(commit_delay);
        co_await p.answer(r, on_commit(r));
        break;
      }
      case 2: co_await p.answer(r, list_offsets(r)); break;
      case 1: co_await on_fetch(p, r); break;
      default: co_return;
    }
  }
}

asio::awaitable<void> kafka::serve(std::unique_ptr<net::transport> stream) {
  scripted::peer p(std::move(stream));
  co_await serve(p);
}

asio::awaitable<void> kafka::serve_coordinator(std::unique_ptr<net::transport> stream) {
  scripted::peer p(std::move(stream));
  coordinator_peers_.insert(&p);
  co_await serve(p);
  coordinator_peers_.erase(&p);
}

protocol::api_versions_response kafka::versions() {
  auto v = scripted::peer::kafka_43();
  scripted::peer::add(v, 10, 0, 6);
  scripted::peer::add(v, 68, 0, 1);
  scripted::peer::add(v, 9, 1, 10);
  scripted::peer::add(v, 8, 2, 10);
  scripted::peer::add(v, 2, 1, 11);
  return v;
}

protocol::metadata_response kafka::metadata(const scripted::incoming& r) {
  const auto q = decoded<protocol::metadata_request>(r);
  protocol::metadata_response m = scripted::metadata_of(1, "10.0.0.1");
  if (coordinator_is_apart) {
    m.brokers.push_back(m.brokers.back());
    m.brokers.back().node_id = 2;
    m.brokers.back().host = "10.0.0.2";
  }
  for (std::size_t i = 0; q.topics && i < q.topics->size(); ++i) {
    const auto& asked = (*q.topics)[i].name;
    if (!asked || *asked == topic) continue;
    auto& missing = m.topics.emplace_back();
    missing.error_code = static_cast<std::int16_t>(kafka_error::unknown_topic_or_partition);
    missing.name = unknown_ = std::string(*asked);
  }
  auto& t = m.topics.emplace_back();
  t.name = topic;
  t.topic_id = topic_id_;
  for (std::size_t i = 0; i < logs_.size(); ++i) {
    auto& p = t.partitions.emplace_back();
    p.partition_index = static_cast<std::int32_t>(i);
    p.leader_id = 1;
    p.leader_epoch = 3;
  }
  return m;
}

protocol::find_coordinator_response kafka::find_coordinator(const scripted::incoming& r) {
  const auto q = decoded<protocol::find_coordinator_request>(r);
  protocol::find_coordinator_response f;
  auto& c = f.coordinators.emplace_back();
  group_ = std::string(q.coordinator_keys.at(0));
  c.key = group_;
  ++look_ups;
  c.error_code = static_cast<std::int16_t>(coordinator_error);
  if (c.error_code != 0) return f;
  c.node_id = coordinator_is_apart ? 2 : 1;
  c.host = coordinator_is_apart ? "10.0.0.2" : "10.0.0.1";
  c.port = 9092;
  return f;
}

protocol::consumer_group_heartbeat_response kafka::on_heartbeat(const scripted::incoming& r) {
  const auto q = decoded<protocol::consumer_group_heartbeat_request>(r);
  const std::string id(q.member_id);
  heartbeat seen{world_.now(), id, q.member_epoch, std::nullopt};
  if (q.topic_partitions) {
    seen.owned.emplace();
    for (const auto& t : *q.topic_partitions) seen.owned->insert(t.partitions.begin(), t.partitions.end());
  }
  heartbeats.push_back(seen);
  protocol::consumer_group_heartbeat_response a;
  a.heartbeat_interval_ms = static_cast<std::int32_t>(heartbeat_interval.count());
  if (q.member_epoch < 0) {
    members_.erase(id);
    a.member_epoch = q.member_epoch;
    return a;
  }
  if (q.member_epoch > 0 && !heartbeat_errors.empty()) {
    a.error_code = static_cast<std::int16_t>(heartbeat_errors.front());
    heartbeat_errors.erase(heartbeat_errors.begin());
    if (a.error_code != 0) {
      members_.erase(id);
      return a;
    }
  }
  if (q.member_epoch == 0 && !members_.contains(id)) {
    member m;
    m.number = numbers_.emplace(id, numbers_.size()).first->second;
    members_.emplace(id, m);
  }
  const auto it = members_.find(id);
  if (it == members_.end()) {
    a.error_code = static_cast<std::int16_t>(kafka_error::unknown_member_id);
    return a;
  }
  step(it->second, seen, a);
  return a;
}

void kafka::step(member& m, const heartbeat& seen, protocol::consumer_group_heartbeat_response& a) {
  if (m.revoking && seen.owned && std::includes(m.revoking->begin(), m.revoking->end(), seen.owned->begin(), seen.owned->end())) {
    m.owned = *m.revoking;
    m.revoking.reset();
  }
  const std::set<std::int32_t>& target = targets[m.number];
  std::optional<std::set<std::int32_t>> tell;
  if (takes_revocations_back && m.revoking && m.owned == target) {
    m.revoking.reset();
    tell = target;
  }
  if (!m.revoking && m.owned != target) {
    std::set<std::int32_t> kept;
    std::set_intersection(m.owned.begin(), m.owned.end(), target.begin(), target.end(), std::inserter(kept, kept.end()));
    if (kept != m.owned) {
      m.revoking = kept;
      tell = kept;
    } else {
      m.owned = target;
      m.epoch = ++group_epoch_;
      tell = target;
    }
  }
  if (m.epoch == 0) m.epoch = ++group_epoch_;
  if (seen.epoch == 0 && !tell) tell = m.owned;
  a.member_epoch = m.epoch;
  if (!tell) return;
  a.assignment.emplace();
  if (tell->empty()) return;
  auto& t = a.assignment->topic_partitions.emplace_back();
  t.topic_id = topic_id_;
  t.partitions.assign(tell->begin(), tell->end());
}

protocol::offset_fetch_response kafka::offset_fetch(const scripted::incoming& r) {
  const auto q = decoded<protocol::offset_fetch_request>(r);
  ++offset_fetches;
  protocol::offset_fetch_response f;
  auto& g = f.groups.emplace_back();
  g.group_id = group_;
  if (!offset_fetch_errors.empty()) {
    g.error_code = static_cast<std::int16_t>(offset_fetch_errors.front());
    offset_fetch_errors.erase(offset_fetch_errors.begin());
  }
  for (const auto& t : *q.groups.at(0).topics) {
    auto& topic_out = g.topics.emplace_back();
    topic_out.topic_id = t.topic_id;
    for (const auto p : t.partition_indexes) {
      auto& out = topic_out.partitions.emplace_back();
      out.partition_index = p;
      out.committed_offset = committed.contains(p) ? committed[p] : -1;
      out.metadata = "";
    }
  }
  return f;
}

protocol::offset_commit_response kafka::on_commit(const scripted::incoming& r) {
  const auto q = decoded<protocol::offset_commit_request>(r);
  kafka_error error = kafka_error::none;
  if (!commit_errors.empty()) {
    error = commit_errors.front();
    commit_errors.erase(commit_errors.begin());
  }
  protocol::offset_commit_response c;
  for (const auto& t : q.topics) {
    auto& topic_out = c.topics.emplace_back();
    topic_out.topic_id = t.topic_id;
    for (const auto& p : t.partitions) {
      auto& out = topic_out.partitions.emplace_back();
      out.partition_index = p.partition_index;
      out.error_code = static_cast<std::int16_t>(error);
      if (error != kafka_error::none) continue;
      committed[p.partition_index] = p.committed_offset;
      commits.push_back({world_.now(), std::string(q.member_id), q.generation_id_or_member_epoch, p.partition_index, p.committed_offset});
    }
  }
  return c;
}

protocol::list_offsets_response kafka::list_offsets(const scripted::incoming& r) {
  const auto q = decoded<protocol::list_offsets_request>(r);
  ++offset_lists;
  protocol::list_offsets_response l;
  for (const auto& t : q.topics) {
    auto& topic_out = l.topics.emplace_back();
    topic_out.name = topic;
    for (const auto& p : t.partitions) {
      auto& out = topic_out.partitions.emplace_back();
      out.partition_index = p.partition_index;
      out.offset = p.timestamp == protocol::list_offsets_request::latest ? log_of(p.partition_index).end() : 0;
      out.leader_epoch = 3;
    }
  }
  return l;
}

asio::awaitable<void> kafka::on_fetch(scripted::peer& p, const scripted::incoming& r) {
  const auto q = decoded<protocol::fetch_request>(r);
  ++fetches;
  const net::time_point until = world_.now() + std::chrono::milliseconds(q.max_wait_ms);
  bool any = false;
  while (!any) {
    for (const auto& t : q.topics) {
      for (const auto& part : t.partitions) any |= log_of(part.partition).end() > part.fetch_offset;
    }
    if (any || world_.now() >= until) break;
    co_await grown_.wait_until(until);
  }
  protocol::fetch_response f;
  std::vector<std::vector<std::byte>> bytes;
  bytes.reserve(logs_.size());
  std::size_t total = 0;
  for (const auto& t : q.topics) {
    auto& topic_out = f.responses.emplace_back();
    topic_out.topic_id = t.topic_id;
    for (const auto& part : t.partitions) {
      const log& l = log_of(part.partition);
      auto& out = topic_out.partitions.emplace_back();
      out.partition_index = part.partition;
      out.high_watermark = l.end();
      out.last_stable_offset = l.end();
      out.records = std::span<const std::byte>();
      if (is_rack_aware && !q.rack_id.empty()) {
        out.preferred_read_replica = 2;
        continue;
      }
      const auto left = static_cast<std::size_t>(q.max_bytes) - std::min(total, static_cast<std::size_t>(q.max_bytes));
      const auto most = std::min(static_cast<std::size_t>(part.partition_max_bytes), left);
      // Kafka gives one batch whatever the limits are.
      std::vector<std::byte>& records = bytes.emplace_back(l.read(part.fetch_offset, most, total == 0));
      total += records.size();
      out.records = std::span<const std::byte>(records);
    }
  }
  co_await p.answer(r, std::move(f));
}

kawait::config member_config() {
  kawait::config c("10.0.0.1:9092");
  c.group_id("g").auto_offset_reset(kawait::offset_reset::earliest).auto_commit_interval(5s).rebalance_timeout(60s);
  return c;
}

}  // namespace simulated
