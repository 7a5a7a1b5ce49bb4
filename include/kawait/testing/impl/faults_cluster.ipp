#pragma once

#include <algorithm>
#include <stdexcept>

#include <kawait/testing/impl/faults.ipp>

namespace kawait::testing {

KAWAIT_DECL std::vector<std::string> faults::cluster_faults(bool with_losses) {
  std::vector<std::string> all = {"node stopped",      "node frozen",     "connections cut", "leader moved",
                                  "coordinator moved", "sessions forgotten"};
  for (const char* name : {"records deleted", "unclean election", "topic grown", "topic made anew"}) {
    if (with_losses) all.emplace_back(name);
  }
  return all;
}

KAWAIT_DECL void faults::strike(std::string_view name) {
  state& s = *state_;
  const std::vector<std::int32_t> nodes = broker_.nodes();
  const std::vector<topic_partition> partitions = broker_.partitions();
  const std::int32_t node = nodes[s.random() % nodes.size()];
  const bool is_down = s.down.contains(node);
  topic_partition p;
  if (!partitions.empty()) p = partitions[s.random() % partitions.size()];
  const bool of_partition = name != "node stopped" && name != "node frozen" && name != "connections cut" &&
                            name != "coordinator moved" && name != "sessions forgotten";
  if (of_partition && p.topic.empty()) return;
  const net::time_point until = broker_.now() + std::chrono::milliseconds(500 + s.random() % 20'000);
  if (name == "node stopped" || name == "node frozen") {
    // The last one stays: a cluster that is wholly gone is another fault.
    if (is_down || s.down.size() + 1 >= nodes.size()) return;
    s.down[node] = until;
    name == "node stopped" ? broker_.stop_node(node) : broker_.freeze_node(node);
  } else if (name == "connections cut") {
    broker_.cut_connections(node);
  } else if (name == "coordinator moved") {
    if (is_down) return;
    broker_.set_coordinator(node);
  } else if (name == "sessions forgotten") {
    broker_.forget_fetch_sessions(node);
  } else if (name == "leader moved") {
    if (is_down) return;
    broker_.set_leader(p.topic, p.partition, node);
  } else if (name == "records deleted") {
    partition_log& log = broker_.log(p.topic, p.partition);
    log.delete_records(log.start_offset() + static_cast<std::int64_t>(s.random() % 100));
  } else if (name == "unclean election") {
    if (is_down) return;
    const std::int64_t end = broker_.end_offset(p.topic, p.partition);
    const std::int64_t lost = static_cast<std::int64_t>(s.random() % 50);
    broker_.elect_uncleanly(p.topic, p.partition, node, std::max<std::int64_t>(0, end - lost));
  } else if (name == "topic grown") {
    const auto same = [&](const topic_partition& q) { return q.topic == p.topic; };
    broker_.grow_topic(p.topic, static_cast<std::int32_t>(std::count_if(partitions.begin(), partitions.end(), same)) + 1);
  } else if (name == "topic made anew") {
    broker_.recreate_topic(p.topic);
  } else {
    throw std::out_of_range("there is no fault called " + std::string(name));
  }
  ++s.hits[std::string(name)];
}

KAWAIT_DECL void faults::heal() {
  for (const auto& [node, until] : std::exchange(state_->down, {})) {
    broker_.thaw_node(node);
    broker_.start_node(node);
  }
}

KAWAIT_DECL asio::awaitable<void> faults::run(std::chrono::milliseconds total, std::chrono::milliseconds mean,
                                              std::vector<std::string> which) {
  const std::shared_ptr<state> s = state_;
  const net::time_point end = broker_.now() + total;
  net::time_point strikes = broker_.now();
  while (!s->stopped && broker_.now() < end) {
    const auto step = std::chrono::milliseconds(100);
    co_await net::async_sleep_for(step);
    if (s->stopped) co_return;
    for (auto it = s->down.begin(); it != s->down.end();) {
      const auto [node, until] = *it;
      ++it;
      if (until > broker_.now()) continue;
      s->down.erase(node);
      broker_.thaw_node(node);
      broker_.start_node(node);
    }
    if (broker_.now() < strikes) continue;
    if (!which.empty()) strike(which[s->random() % which.size()]);
    const auto most = static_cast<std::uint64_t>(std::max<std::int64_t>(2 * mean.count(), 1));
    strikes = broker_.now() + std::chrono::milliseconds(1 + s->random() % most);
  }
  if (!s->stopped) heal();
}

}  // namespace kawait::testing
