#pragma once

#include <chrono>
#include <cstring>
#include <stdexcept>

#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/memory_network.hpp>

namespace kawait::testing::broker_detail {

KAWAIT_DECL core::core(asio::any_io_executor e, broker_options o)
    : executor(std::move(e)),
      env(net::environment::of(executor)),
      options(std::move(o)),
      groups(options.group),
      changed(executor),
      group_changed(executor) {
  if (options.nodes < 1 || options.nodes > 1000) throw error(errc::invalid_config, "a cluster has 1 to 1000 nodes");
  if (auto* memory = dynamic_cast<memory_network*>(&env.net())) trace = &memory->trace();
  const bool named = !options.bootstrap_name.empty();
  if (named && (options.loopback || !options.host.empty())) {
    throw error(errc::invalid_config, "a bootstrap name is for nodes that have addresses of their own, in memory");
  }
  const bool consecutive = options.port != 0;
  for (std::int32_t id = 1; id <= options.nodes; ++id) {
    cluster_node& n = cluster.add_node(id);
    n.id = id;
    n.sessions = fetch_sessions(options.fetch_session_slots);
    if (static_cast<std::size_t>(id) <= options.racks.size()) n.rack = options.racks[static_cast<std::size_t>(id) - 1];
    if (options.loopback) {
      n.host = options.host.empty() ? "127.0.0.1" : options.host;
      n.port = consecutive ? static_cast<std::uint16_t>(options.port + id - 1) : std::uint16_t{0};
    } else {
      const bool own_host = options.host.empty();
      n.host = own_host ? "10.0.0." + std::to_string(id) : options.host;
      n.port = static_cast<std::uint16_t>((consecutive ? options.port : 9092) + (own_host ? 0 : id - 1));
    }
  }
}

KAWAIT_DECL void core::open() {
  for (const auto& [id, n] : cluster.nodes()) listen(id);
  publish_name();
  coordinating = coordinator_node();
  kawait::detail::spawn(executor, run_group(shared_from_this()));
}

KAWAIT_DECL void core::close() {
  if (std::exchange(closed, true)) return;
  for (const auto& [id, n] : cluster.nodes()) stop_listening(id);
  cut(0);
}

KAWAIT_DECL memory_network& core::memory() {
  auto* network = options.loopback ? nullptr : dynamic_cast<memory_network*>(&env.net());
  if (!network) throw error(errc::invalid_config, "this needs a broker in a testing::world, without loopback");
  return *network;
}

KAWAIT_DECL void core::publish_name() {
  if (options.bootstrap_name.empty()) return;
  std::vector<std::string> hosts;
  for (const auto& [id, n] : cluster.nodes()) {
    if (name_resolves) hosts.push_back(n.host);
  }
  memory().add_name(options.bootstrap_name, std::move(hosts));
}

KAWAIT_DECL void core::watch_connections(std::int32_t id, bool yes) {
  const cluster_node& n = *cluster.node(id);
  if (!yes) return memory().set_connection_faults(n.host, n.port, nullptr);
  const std::weak_ptr<core> weak = weak_from_this();
  memory().set_connection_faults(n.host, n.port, [weak, id](const connection_attempt& a, connection_plan& plan) {
    const auto self = weak.lock();
    if (!self || !self->connection_faults) return;
    const auto decide = self->connection_faults;  // which may give the broker another
    decide(id, a, plan);
  });
}

KAWAIT_DECL void core::topics_changed() {
  std::vector<topic_image> images;
  for (const auto& [name, t] : cluster.topics()) {
    images.emplace_back(name, t->id, static_cast<std::int32_t>(t->partitions.size()));
  }
  groups.set_topics(std::move(images));
  touch();
}

KAWAIT_DECL std::int32_t core::coordinator_node() const {
  const auto chosen = cluster.nodes().find(chosen_coordinator);
  return chosen != cluster.nodes().end() && chosen->second.up ? chosen_coordinator : cluster.first_up();
}

KAWAIT_DECL void core::hand_groups_over() {
  const std::int32_t node = coordinator_node();
  if (std::exchange(coordinating, node) == node) return;
  node < 0 ? groups.unload(env.now()) : groups.load(env.now());
  touch();
}

KAWAIT_DECL std::int64_t core::wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(env.wall_clock().time_since_epoch()).count();
}

KAWAIT_DECL uuid core::random_uuid() {
  uuid id;
  const std::uint64_t halves[2] = {random(), random()};
  std::memcpy(id.bytes.data(), halves, sizeof halves);
  id.bytes[6] = (id.bytes[6] & std::byte{0x0f}) | std::byte{0x40};  // version 4: never Kafka's reserved ids 0 and 1
  id.bytes[8] = (id.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  return id;
}

KAWAIT_DECL cluster_topic& core::topic(const std::string& name) {
  cluster_topic* t = cluster.by_name(name);
  if (!t) throw std::out_of_range("there is no topic " + name);
  return *t;
}

KAWAIT_DECL cluster_partition& core::partition(const std::string& name, std::int32_t index) {
  cluster_partition* p = topic(name).find(index);
  if (!p) throw std::out_of_range("there is no partition " + name + "-" + std::to_string(index));
  return *p;
}

KAWAIT_DECL cluster_topic* core::create(const std::string& name, std::int32_t partitions, std::int32_t replication) {
  const std::int32_t copies = replication > 0 ? replication : options.replication_factor;
  cluster_topic* t = cluster.create(name, random_uuid(), partitions, copies);
  if (t) topics_changed();
  return t;
}

}  // namespace kawait::testing::broker_detail
