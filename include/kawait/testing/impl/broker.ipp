#pragma once

#include <kawait/testing/broker.hpp>

#include <stdexcept>

#include <kawait/testing/broker_core.hpp>

namespace kawait::testing {
namespace broker_detail {

KAWAIT_DECL core::core(asio::any_io_executor e, broker_options o)
    : executor(std::move(e)),
      env(net::environment::of(executor)),
      options(std::move(o)),
      groups(options.group),
      changed(executor),
      group_changed(executor) {
  if (options.nodes < 1 || options.nodes > 1000) throw error(errc::invalid_config, "a cluster has 1 to 1000 nodes");
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
  kawait::detail::spawn(executor, run_group(shared_from_this()));
}

KAWAIT_DECL void core::close() {
  if (std::exchange(closed, true)) return;
  for (const auto& [id, n] : cluster.nodes()) stop_listening(id);
  cut(0);
}

KAWAIT_DECL void core::topics_changed() {
  std::vector<topic_image> images;
  for (const auto& [name, t] : cluster.topics()) images.emplace_back(name, t->id, static_cast<std::int32_t>(t->partitions.size()));
  groups.set_topics(std::move(images));
  touch();
}

KAWAIT_DECL std::int32_t core::coordinator_node() const {
  const auto chosen = cluster.nodes().find(chosen_coordinator);
  return chosen != cluster.nodes().end() && chosen->second.up ? chosen_coordinator : cluster.first_up();
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

}  // namespace broker_detail

KAWAIT_DECL broker::broker(asio::any_io_executor executor, broker_options options)
    : core_(std::make_shared<broker_detail::core>(std::move(executor), std::move(options))) {
  try {
    core_->open();
  } catch (...) {
    core_->close();
    throw;
  }
}

KAWAIT_DECL broker::~broker() { close(); }

KAWAIT_DECL void broker::close() { core_->close(); }

KAWAIT_DECL std::string broker::bootstrap() const {
  std::string all;
  for (const auto& [id, n] : core_->cluster.nodes()) {
    if (!all.empty()) all += ',';
    all += address(id).to_string();
  }
  return all;
}

KAWAIT_DECL std::vector<std::int32_t> broker::nodes() const {
  std::vector<std::int32_t> all;
  for (const auto& [id, n] : core_->cluster.nodes()) all.push_back(id);
  return all;
}

KAWAIT_DECL std::vector<topic_partition> broker::partitions() const {
  std::vector<topic_partition> all;
  for (const auto& [name, t] : core_->cluster.topics()) {
    for (std::size_t i = 0; i < t->partitions.size(); ++i) all.emplace_back(name, static_cast<std::int32_t>(i));
  }
  return all;
}

KAWAIT_DECL net::time_point broker::now() const { return core_->env.now(); }

KAWAIT_DECL net::host_port broker::address(std::int32_t node) const {
  const cluster_node& n = core_->cluster.nodes().at(node);
  return net::host_port(n.host, n.port);
}

KAWAIT_DECL uuid broker::create_topic(const std::string& name, std::int32_t partitions, std::int32_t replication) {
  const cluster_topic* t = core_->create(name, partitions, replication);
  if (!t) throw error(kafka_error::topic_already_exists, name);
  return t->id;
}

KAWAIT_DECL void broker::delete_topic(const std::string& name) {
  core_->topic(name);
  core_->cluster.remove(name);
  core_->topics_changed();
}

KAWAIT_DECL uuid broker::recreate_topic(const std::string& name) {
  const auto partitions = static_cast<std::int32_t>(core_->topic(name).partitions.size());
  const auto replication = static_cast<std::int32_t>(core_->partition(name, 0).replicas.size());
  core_->cluster.remove(name);
  return create_topic(name, partitions, replication);
}

KAWAIT_DECL void broker::grow_topic(const std::string& name, std::int32_t total) {
  cluster_topic& t = core_->topic(name);
  const auto replication = t.partitions.empty() ? 1 : static_cast<std::int32_t>(t.partitions.front()->replicas.size());
  core_->cluster.grow(t, total, replication);
  core_->topics_changed();
}

KAWAIT_DECL uuid broker::topic_id(const std::string& name) const { return core_->topic(name).id; }

KAWAIT_DECL std::int64_t broker::append(const std::string& topic, std::int32_t partition,
                                        const std::vector<producer_record>& records, const append_options& options) {
  return log(topic, partition).append(records, core_->wall_ms(), options);
}

KAWAIT_DECL partition_log& broker::log(const std::string& topic, std::int32_t partition) {
  core_->touch();
  return core_->partition(topic, partition).log;
}

KAWAIT_DECL std::int64_t broker::end_offset(const std::string& topic, std::int32_t partition) {
  return core_->partition(topic, partition).log.end_offset();
}

KAWAIT_DECL void broker::end_transaction(const std::string& topic, std::int32_t partition, std::int64_t producer_id, bool commit) {
  log(topic, partition).end_transaction(producer_id, 0, commit, core_->wall_ms());
}

KAWAIT_DECL void broker::set_leader(const std::string& topic, std::int32_t partition, std::int32_t node) {
  core_->cluster.nodes().at(node);
  core_->cluster.set_leader(core_->partition(topic, partition), node);
  core_->touch();
}

KAWAIT_DECL std::int32_t broker::leader(const std::string& topic, std::int32_t partition) const {
  return core_->partition(topic, partition).leader;
}

KAWAIT_DECL std::int32_t broker::leader_epoch(const std::string& topic, std::int32_t partition) const {
  return core_->partition(topic, partition).leader_epoch;
}

KAWAIT_DECL void broker::elect_uncleanly(const std::string& topic, std::int32_t partition, std::int32_t node,
                                         std::int64_t offset) {
  core_->partition(topic, partition).log.truncate(offset);
  set_leader(topic, partition, node);
}

KAWAIT_DECL void broker::set_preferred_replica(const std::string& topic, std::int32_t partition,
                                               std::optional<std::int32_t> node) {
  core_->partition(topic, partition).preferred_replica = node;
  core_->touch();
}

KAWAIT_DECL void broker::stop_node(std::int32_t node, bool move_leaders) {
  core_->cluster.nodes().at(node);
  core_->cluster.node(node)->up = false;
  if (move_leaders) core_->cluster.leave(node);
  core_->stop_listening(node);
  core_->cut(node);
}

KAWAIT_DECL void broker::start_node(std::int32_t node) {
  core_->cluster.nodes().at(node);
  cluster_node& n = *core_->cluster.node(node);
  if (n.up) return;
  n.up = true;
  n.frozen = false;
  n.sessions.evict_all();
  core_->cluster.enter(node);
  core_->listen(node);
  core_->touch();
}

KAWAIT_DECL void broker::freeze_node(std::int32_t node) {
  core_->cluster.nodes().at(node);
  core_->cluster.node(node)->frozen = true;
}

KAWAIT_DECL void broker::thaw_node(std::int32_t node) {
  core_->cluster.nodes().at(node);
  core_->cluster.node(node)->frozen = false;
  core_->touch();
}

KAWAIT_DECL void broker::cut_connections(std::int32_t node) { core_->cut(node); }

KAWAIT_DECL void broker::forget_fetch_sessions(std::int32_t node) {
  core_->cluster.nodes().at(node);
  core_->cluster.node(node)->sessions.evict_all();
}

KAWAIT_DECL group_coordinator& broker::group() {
  core_->touch();
  return core_->groups;
}

KAWAIT_DECL std::int32_t broker::coordinator() const { return core_->coordinator_node(); }

KAWAIT_DECL void broker::set_coordinator(std::int32_t node) {
  core_->cluster.nodes().at(node);
  core_->chosen_coordinator = node;
}

KAWAIT_DECL std::optional<std::int64_t> broker::committed(std::string_view group, const std::string& topic,
                                                          std::int32_t partition) {
  const auto found = core_->groups.committed(group, topic_partition(topic, partition));
  return found ? std::optional<std::int64_t>(found->position.offset) : std::nullopt;
}

KAWAIT_DECL void broker::set_faults(fault_decision decide) { core_->faults = std::move(decide); }

KAWAIT_DECL void broker::throttle(api_key api, std::chrono::milliseconds d) { core_->throttles[api] = d; }

KAWAIT_DECL const std::deque<seen_request>& broker::requests() const { return core_->seen; }

KAWAIT_DECL std::size_t broker::count(api_key api) const {
  const auto found = core_->counts.find(api);
  return found == core_->counts.end() ? 0 : found->second;
}

KAWAIT_DECL std::size_t broker::fetch_sessions(std::int32_t node) const { return core_->cluster.nodes().at(node).sessions.size(); }

KAWAIT_DECL std::size_t broker::connections() const { return core_->connections.size(); }

}  // namespace kawait::testing
