#pragma once

#include <kawait/testing/cluster_state.hpp>

#include <algorithm>
#include <iterator>

namespace kawait::testing {

KAWAIT_DECL cluster_node* cluster_state::node(std::int32_t id) {
  const auto found = nodes_.find(id);
  return found == nodes_.end() ? nullptr : &found->second;
}

KAWAIT_DECL std::int32_t cluster_state::first_up() const {
  for (const auto& [id, n] : nodes_) {
    if (n.up) return id;
  }
  return -1;
}

KAWAIT_DECL cluster_topic* cluster_state::create(const std::string& name, const uuid& id, std::int32_t partitions,
                                                 std::int32_t replication) {
  if (topics_.contains(name)) return nullptr;
  auto t = std::make_unique<cluster_topic>();
  t->name = name;
  t->id = id;
  grow(*t, partitions, replication);
  cluster_topic* raw = t.get();
  by_id_[id] = raw;
  topics_[name] = std::move(t);
  return raw;
}

KAWAIT_DECL bool cluster_state::remove(const std::string& name) {
  const auto found = topics_.find(name);
  if (found == topics_.end()) return false;
  by_id_.erase(found->second->id);
  topics_.erase(found);
  return true;
}

KAWAIT_DECL void cluster_state::grow(cluster_topic& t, std::int32_t total, std::int32_t replication) {
  const std::size_t copies = std::clamp<std::size_t>(static_cast<std::size_t>(std::max(replication, 1)), 1, nodes_.size());
  while (t.partitions.size() < static_cast<std::size_t>(std::max(total, 0))) {
    auto p = std::make_unique<cluster_partition>();
    for (std::size_t i = 0; i < copies; ++i) {
      const auto at = static_cast<std::ptrdiff_t>((next_leader_ + i) % nodes_.size());
      p->replicas.push_back(std::next(nodes_.begin(), at)->first);
    }
    ++next_leader_;
    for (const std::int32_t r : p->replicas) {
      if (p->leader < 0 && node(r)->up) p->leader = r;
    }
    t.partitions.push_back(std::move(p));
  }
}

KAWAIT_DECL cluster_topic* cluster_state::by_name(std::string_view name) {
  const auto found = topics_.find(name);
  return found == topics_.end() ? nullptr : found->second.get();
}

KAWAIT_DECL cluster_topic* cluster_state::by_id(const uuid& id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

KAWAIT_DECL void cluster_state::set_leader(cluster_partition& p, std::int32_t n) {
  p.leader = n;
  if (n < 0) return;
  if (std::find(p.replicas.begin(), p.replicas.end(), n) == p.replicas.end()) p.replicas.push_back(n);
  p.log.begin_epoch(++p.leader_epoch);
}

KAWAIT_DECL void cluster_state::leave(std::int32_t gone) {
  for (const auto& [name, t] : topics_) {
    for (const auto& p : t->partitions) {
      if (p->leader != gone) continue;
      const auto next = std::find_if(p->replicas.begin(), p->replicas.end(), [&](std::int32_t r) {
        const cluster_node* n = node(r);
        return r != gone && n && n->up;
      });
      set_leader(*p, next == p->replicas.end() ? -1 : *next);
    }
  }
}

KAWAIT_DECL void cluster_state::enter(std::int32_t back) {
  for (const auto& [name, t] : topics_) {
    for (const auto& p : t->partitions) {
      const bool holds = std::find(p->replicas.begin(), p->replicas.end(), back) != p->replicas.end();
      if (p->leader < 0 && holds) set_leader(*p, back);
    }
  }
}

KAWAIT_DECL void cluster_state::end_transaction(cluster_transaction& t, bool commit, std::int64_t now) {
  for (const topic_id_partition& tp : t.partitions) {
    cluster_topic* topic = by_id(tp.topic_id);
    cluster_partition* p = topic ? topic->find(tp.partition) : nullptr;
    if (p) p->log.end_transaction(t.producer_id, t.producer_epoch, commit, now);
  }
  t.partitions.clear();
}

}  // namespace kawait::testing
