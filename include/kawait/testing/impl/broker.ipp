#pragma once

#include <kawait/testing/broker.hpp>

#include <stdexcept>
#include <system_error>

#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/world.hpp>

namespace kawait::testing {

KAWAIT_DECL broker::broker(asio::any_io_executor executor, broker_options options)
    : core_(std::make_shared<broker_detail::core>(std::move(executor), std::move(options))) {
  try {
    core_->open();
  } catch (...) {
    core_->close();
    throw;
  }
}

KAWAIT_DECL broker::broker(world& w, broker_options options) : broker(w.executor(), std::move(options)) {}

KAWAIT_DECL broker::~broker() { close(); }

KAWAIT_DECL asio::any_io_executor broker::get_executor() const { return core_->executor; }

KAWAIT_DECL void broker::close() { core_->close(); }

KAWAIT_DECL std::string broker::bootstrap() const {
  const broker_options& o = core_->options;
  if (!o.bootstrap_name.empty()) return net::host_port(o.bootstrap_name, address(1).port).to_string();
  std::string all;
  for (const auto& [id, n] : core_->cluster.nodes()) {
    if (!all.empty()) all += ',';
    all += address(id).to_string();
  }
  return all;
}

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

KAWAIT_DECL void broker::deny_topic(const std::string& name, bool yes) {
  core_->topic(name);
  if (yes) {
    core_->denied_topics.insert(name);
  } else {
    core_->denied_topics.erase(name);
  }
}

KAWAIT_DECL void broker::grow_topic(const std::string& name, std::int32_t total) {
  cluster_topic& t = core_->topic(name);
  const auto replication = t.partitions.empty() ? 1 : static_cast<std::int32_t>(t.partitions.front()->replicas.size());
  core_->cluster.grow(t, total, replication);
  core_->topics_changed();
}

KAWAIT_DECL uuid broker::topic_id(const std::string& name) const { return core_->topic(name).id; }

KAWAIT_DECL std::vector<std::pair<std::string, std::int32_t>> broker::topics() const {
  std::vector<std::pair<std::string, std::int32_t>> all;
  for (const auto& [name, t] : core_->cluster.topics()) all.emplace_back(name, static_cast<std::int32_t>(t->partitions.size()));
  return all;
}

KAWAIT_DECL std::vector<std::int32_t> broker::nodes() const {
  std::vector<std::int32_t> all;
  for (const auto& [id, n] : core_->cluster.nodes()) all.push_back(id);
  return all;
}

KAWAIT_DECL std::vector<std::int32_t> broker::live_nodes() const {
  std::vector<std::int32_t> up;
  for (const auto& [id, n] : core_->cluster.nodes()) {
    if (n.up) up.push_back(id);
  }
  return up;
}

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

KAWAIT_DECL void broker::end_transaction(const std::string& topic, std::int32_t partition, std::int64_t producer_id,
                                         bool commit) {
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

KAWAIT_DECL std::vector<std::int32_t> broker::replicas(const std::string& topic, std::int32_t partition) const {
  return core_->partition(topic, partition).replicas;
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
  core_->hand_groups_over();
  core_->stop_listening(node);
  core_->cut(node);
}

KAWAIT_DECL void broker::start_node(std::int32_t node) {
  core_->cluster.nodes().at(node);
  cluster_node& n = *core_->cluster.node(node);
  if (n.up) return;
  core_->listen(node);  // first, since somebody else may have its address by now
  n.up = true;
  n.frozen = false;
  n.sessions.evict_all();
  core_->cluster.enter(node);
  core_->hand_groups_over();
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

KAWAIT_DECL bool broker::is_closed_by_client(std::uint64_t connection) const {
  const auto found = core_->connections.find(connection);
  if (found == core_->connections.end()) return true;
  const auto client = peer_of(*found->second->stream);
  return client && client->has_closed;
}

KAWAIT_DECL std::size_t broker::close_idle_connections(std::chrono::milliseconds idle) {
  std::size_t closed = 0;
  const auto all = core_->connections;
  for (const auto& [id, c] : all) {
    if (c->busy || core_->env.now() - c->used < idle) continue;
    c->close();
    ++closed;
  }
  return closed;
}

KAWAIT_DECL void broker::move_node(std::int32_t node, const std::string& host) {
  core_->cluster.nodes().at(node);
  core_->memory();
  cluster_node& n = *core_->cluster.node(node);
  if (n.host != host && core_->memory().is_taken(host, n.port)) {
    throw std::system_error(std::error_code(asio::error::address_in_use), net::host_port(host, n.port).to_string());
  }
  core_->stop_listening(node);
  core_->watch_connections(node, false);
  core_->cut(node);
  n.host = host;
  core_->watch_connections(node, true);
  if (n.up) core_->listen(node);
  core_->publish_name();
}

KAWAIT_DECL bool broker::has_bootstrap_name() const { return !core_->options.bootstrap_name.empty(); }

KAWAIT_DECL void broker::set_name_resolves(bool yes) {
  core_->name_resolves = yes;
  core_->publish_name();
}

KAWAIT_DECL void broker::hold_metadata(bool yes) {
  core_->held_leaders.reset();
  if (!yes) return;
  auto& held = core_->held_leaders.emplace();
  for (const auto& [name, t] : core_->cluster.topics()) {
    for (std::size_t i = 0; i < t->partitions.size(); ++i) {
      const cluster_partition& p = *t->partitions[i];
      held[topic_id_partition(t->id, static_cast<std::int32_t>(i))] = std::pair(p.leader, p.leader_epoch);
    }
  }
}

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
  core_->hand_groups_over();
}

KAWAIT_DECL failure broker::add_member(std::string_view group, scripted_member member) {
  return this->group().add_member(core_->env.now(), group, std::move(member));
}

KAWAIT_DECL bool broker::remove_member(std::string_view group, std::string_view member_id) {
  return this->group().remove_member(core_->env.now(), group, member_id);
}

KAWAIT_DECL std::optional<std::int64_t> broker::committed(std::string_view group, const std::string& topic,
                                                          std::int32_t partition) {
  const auto found = core_->groups.committed(group, topic_partition(topic, partition));
  return found ? std::optional<std::int64_t>(found->position.offset) : std::nullopt;
}

KAWAIT_DECL void broker::set_faults(fault_decision decide) {
  core_->faults = std::move(decide);
  for (const auto& [id, c] : core_->connections) c->spoils.reset();
}

KAWAIT_DECL void broker::set_connection_faults(
    std::function<void(std::int32_t, const connection_attempt&, connection_plan&)> decide) {
  core_->connection_faults = std::move(decide);
  for (const std::int32_t node : nodes()) core_->watch_connections(node, true);
}

KAWAIT_DECL void broker::throttle(api_key api, std::chrono::milliseconds d) { core_->throttles[api] = d; }

KAWAIT_DECL const std::deque<seen_request>& broker::requests() const { return core_->seen; }

KAWAIT_DECL std::size_t broker::count(api_key api) const {
  const auto found = core_->counts.find(api);
  return found == core_->counts.end() ? 0 : found->second;
}

KAWAIT_DECL std::size_t broker::fetch_sessions(std::int32_t node) const {
  return core_->cluster.nodes().at(node).sessions.size();
}

KAWAIT_DECL std::size_t broker::connections() const { return core_->connections.size(); }

}  // namespace kawait::testing
