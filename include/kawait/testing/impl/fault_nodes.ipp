#pragma once

#include <algorithm>
#include <utility>

#include <kawait/testing/faults_state.hpp>

namespace kawait::testing::faults_detail {

// What happens to nodes, their addresses and clocks. Each says whether it could.

inline void add_cluster_fault(std::vector<entry>& all, std::string_view name, fault_outcome outcome, std::string_view meaning,
                              std::function<bool(state&)> act) {
  entry& e = all.emplace_back();
  e.info = fault_info{name, fault_scope::cluster, outcome, meaning};
  e.act = std::move(act);
}

inline bool stop_for_a_while(state& s, std::int32_t node, std::chrono::milliseconds d) {
  s.cluster->stop_node(node);
  s.undo_later(d, [&s, node] { s.cluster->start_node(node); });
  return true;
}

inline bool bounce_all(state& s) {
  net::duration start{};
  for (const std::int32_t node : s.cluster->nodes()) {
    s.later(start, [&s, node] { stop_for_a_while(s, node, std::chrono::milliseconds(2000)); });
    start += std::chrono::seconds(5);
  }
  return true;
}

inline bool stop_all(state& s) {
  const auto d = s.between(1'000, 20'000);
  for (const std::int32_t node : s.cluster->live_nodes()) stop_for_a_while(s, node, d);
  return true;
}

inline bool freeze(state& s) {
  const auto node = s.pick(s.cluster->live_nodes());
  if (!node) return false;
  s.cluster->freeze_node(*node);
  s.undo_later(s.between(1'000, 40'000), [&s, n = *node] { s.cluster->thaw_node(n); });
  return true;
}

/// Nothing gets to a node or back; the cluster does not notice.
inline void separate(state& s, std::int32_t node, std::chrono::milliseconds d) {
  s.cluster->freeze_node(node);
  ++s.unreachable[node];
  s.undo_later(d, [&s, node] {
    s.cluster->thaw_node(node);
    --s.unreachable[node];
  });
}

inline bool separate_one(state& s) {
  const auto node = s.pick(s.cluster->live_nodes());
  if (node && s.network) separate(s, *node, s.between(1'000, 40'000));
  return node && s.network;
}

inline bool separate_coordinator(state& s) {
  const std::int32_t node = s.cluster->coordinator();
  if (node < 0 || !s.network) return false;
  separate(s, node, s.between(1'000, 40'000));
  return true;
}

inline bool separate_all(state& s) {
  const auto d = s.between(1'000, 40'000);
  const std::vector<std::int32_t> up = s.cluster->live_nodes();
  if (up.empty() || !s.network) return false;
  for (const std::int32_t node : up) separate(s, node, d);
  return true;
}

/// A live node that is not this one.
inline std::optional<std::int32_t> other_node(state& s, std::int32_t than) {
  std::vector<std::int32_t> nodes = s.cluster->live_nodes();
  std::erase(nodes, than);
  return s.pick(nodes);
}

// Where the leader that metadata tells no longer is it.
inline bool mislead(state& s) {
  const auto p = s.pick_partition();
  const auto node = p ? other_node(s, s.cluster->leader(p->topic, p->partition)) : std::nullopt;
  if (!node) return false;
  s.cluster->hold_metadata(true);
  s.cluster->set_leader(p->topic, p->partition, *node);
  s.undo_later(s.between(1'000, 15'000), [&s] { s.cluster->hold_metadata(false); });
  return true;
}

// Readers are sent to a follower, which then goes.
inline bool lose_follower(state& s) {
  const auto p = s.pick_partition();
  if (!p) return false;
  std::vector<std::int32_t> followers = s.cluster->replicas(p->topic, p->partition);
  std::erase(followers, s.cluster->leader(p->topic, p->partition));
  const std::vector<std::int32_t> up = s.cluster->live_nodes();
  std::erase_if(followers, [&](std::int32_t f) { return std::find(up.begin(), up.end(), f) == up.end(); });
  const auto node = s.pick(followers);
  if (!node) return false;
  s.cluster->set_preferred_replica(p->topic, p->partition, *node);
  s.later(std::chrono::milliseconds(3000), [&s, n = *node, d = s.between(1'000, 10'000)] { stop_for_a_while(s, n, d); });
  s.undo_later(std::chrono::milliseconds(15'000), [&s, p = *p] {
    if (s.exists(p)) s.cluster->set_preferred_replica(p.topic, p.partition, std::nullopt);
  });
  return true;
}

// Only where clients can find them again: whoever knows but addresses that nobody has any more is lost.
inline bool move(state& s, const std::vector<std::int32_t>& nodes) {
  if (nodes.empty() || !s.network || !s.cluster->has_bootstrap_name()) return false;
  const auto taken = [&s](const std::string& net, std::int32_t node) {
    return s.network->is_taken(net + std::to_string(node), s.cluster->address(node).port);
  };
  for (int tries = 0; tries < 256; ++tries) {
    const std::string net = "10.1." + std::to_string(++s.last_subnet % 256) + ".";
    // Another cluster of the world may have moved there.
    if (std::any_of(nodes.begin(), nodes.end(), [&](std::int32_t node) { return taken(net, node); })) continue;
    for (const std::int32_t node : nodes) s.cluster->move_node(node, net + std::to_string(node));
    return true;
  }
  return false;
}

inline bool lose_name(state& s) {
  if (!s.network || !s.cluster->has_bootstrap_name()) return false;
  s.cluster->set_name_resolves(false);
  s.undo_later(s.between(1'000, 20'000), [&s] { s.cluster->set_name_resolves(true); });
  return true;
}

KAWAIT_DECL void add_address_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  add_cluster_fault(all, "node-moved", survived, "a node goes to another address; with broker_options::bootstrap_name only",
                    [](state& s) {
                      const auto node = s.pick(s.cluster->nodes());
                      return node && move(s, std::vector<std::int32_t>(1, *node));
                    });
  add_cluster_fault(all, "cluster-moved", survived,
                    "all nodes go to other addresses; with broker_options::bootstrap_name only, which then resolves to these",
                    [](state& s) { return move(s, s.cluster->nodes()); });
  add_cluster_fault(all, "name-lost", survived,
                    "the name does not resolve, for up to 20 seconds; with broker_options::bootstrap_name only", lose_name);
}

KAWAIT_DECL void add_clock_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  add_cluster_fault(all, "clock-jump", survived, "the wall clock is set forward or back by up to a day; in a world only",
                    [](state& s) {
                      const auto d = s.between(-86'400'000, 86'400'000);
                      if (s.clock) s.clock->shift_wall_clock(d);
                      return s.clock != nullptr;
                    });
  add_cluster_fault(all, "clients-stopped", survived,
                    "all clients stand still as by SIGSTOP, for up to 2 minutes: timers are late, sessions end; in a world only",
                    [](state& s) {
                      if (s.clock) s.clock->set_now(s.now() + s.between(1'000, 120'000));
                      return s.clock != nullptr;
                    });
}

KAWAIT_DECL void add_node_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  add_cluster_fault(all, "node-down", survived, "a node is killed, and comes back after up to 20 seconds", [](state& s) {
    const auto node = s.pick(s.cluster->live_nodes());
    return node && stop_for_a_while(s, *node, s.between(1'000, 20'000));
  });
  add_cluster_fault(all, "node-frozen", survived, "a node is stopped as by SIGSTOP, for up to 40 seconds", freeze);
  add_cluster_fault(all, "node-unreachable", survived, "nothing gets to a node or back, for up to 40 seconds", separate_one);
  add_cluster_fault(all, "coordinator-unreachable", survived,
                    "nothing gets to the coordinator's node or back, for up to 40 seconds", separate_coordinator);
  add_cluster_fault(all, "network-down", survived, "nothing gets to any node or back, for up to 40 seconds; the cluster lives on",
                    separate_all);
  add_cluster_fault(all, "rolling-bounce", survived, "every node in turn is down for 2 seconds, 5 seconds apart", bounce_all);
  add_cluster_fault(all, "cluster-down", survived, "all nodes are down, for up to 20 seconds", stop_all);
  add_cluster_fault(all, "connections-cut", survived, "all connections are cut", [](state& s) {
    s.cluster->cut_connections();
    return true;
  });
  add_cluster_fault(all, "node-cut", survived, "all connections of a node are cut", [](state& s) {
    const auto node = s.pick(s.cluster->live_nodes());
    if (node) s.cluster->cut_connections(*node);
    return node.has_value();
  });
  add_cluster_fault(all, "idle-close", survived, "connections are closed over which nothing went for half a second",
                    [](state& s) { return s.cluster->close_idle_connections(std::chrono::milliseconds(500)) > 0; });
  add_cluster_fault(all, "sessions-forgotten", survived, "a node forgets its fetch sessions", [](state& s) {
    const auto node = s.pick(s.cluster->live_nodes());
    if (node) s.cluster->forget_fetch_sessions(*node);
    return node.has_value();
  });
  add_cluster_fault(all, "quota", survived, "fetches are throttled by a second each, for up to 20 seconds", [](state& s) {
    s.cluster->throttle(api_key::fetch, std::chrono::milliseconds(1000));
    s.undo_later(s.between(1'000, 20'000), [&s] { s.cluster->throttle(api_key::fetch, std::chrono::milliseconds(0)); });
    return true;
  });
  add_cluster_fault(all, "leader-moved", survived, "a partition gets another leader; needs two nodes", [](state& s) {
    const auto p = s.pick_partition();
    const auto node = p ? other_node(s, s.cluster->leader(p->topic, p->partition)) : std::nullopt;
    if (node) s.cluster->set_leader(p->topic, p->partition, *node);
    return node.has_value();
  });
  add_cluster_fault(all, "stale-metadata", survived,
                    "a partition gets another leader, which metadata does not tell for up to 15 seconds; needs two nodes",
                    mislead);
  add_cluster_fault(all, "follower-gone", survived,
                    "readers are sent to a follower, which is killed 3 seconds later; needs two nodes", lose_follower);
  add_cluster_fault(all, "coordinator-moved", survived,
                    "groups get another coordinator, which knows all that the old one did; needs two nodes",
                    [](state& s) {
                      const auto node = other_node(s, s.cluster->coordinator());
                      if (node) s.cluster->set_coordinator(*node);
                      return node.has_value();
                    });
}

}  // namespace kawait::testing::faults_detail
