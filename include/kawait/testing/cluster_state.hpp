#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/core/kafka_error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/testing/fetch_sessions.hpp>
#include <kawait/testing/partition_log.hpp>

namespace kawait::testing {

/// A broker of the embedded cluster.
struct cluster_node {
  std::int32_t id = 0;
  std::string host;
  std::uint16_t port = 0;
  std::optional<std::string> rack;
  bool up = true;
  bool frozen = false;
  fetch_sessions sessions;
};

/// A partition: one log, which all of its replicas are taken to have.
struct cluster_partition {
  partition_log log;
  std::vector<std::int32_t> replicas;
  std::int32_t leader = -1;  ///< -1: none of them is up.
  std::int32_t leader_epoch = 0;
  std::optional<std::int32_t> preferred_replica;  ///< Consumers are sent there, whatever their rack.
};

struct cluster_topic {
  std::string name;
  uuid id;
  std::vector<std::unique_ptr<cluster_partition>> partitions;

  cluster_partition* find(std::int32_t index) const {
    return index >= 0 && static_cast<std::size_t>(index) < partitions.size() ? partitions[static_cast<std::size_t>(index)].get()
                                                                             : nullptr;
  }
};

/// A transactional producer.
struct cluster_transaction {
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::set<topic_id_partition> partitions;  ///< Of the open transaction.
};

/// Nodes, topics and leaders of the embedded cluster. Pure.
class cluster_state {
 public:
  KAWAIT_DECL cluster_node* node(std::int32_t id);
  const std::map<std::int32_t, cluster_node>& nodes() const noexcept { return nodes_; }
  cluster_node& add_node(std::int32_t id) { return nodes_[id]; }
  /// The live node with the lowest id; -1: none is up.
  KAWAIT_DECL std::int32_t first_up() const;

  /// Nothing if the name is taken. Leaders go round, as do the replicas behind them.
  KAWAIT_DECL cluster_topic* create(const std::string& name, const uuid& id, std::int32_t partitions, std::int32_t replication);
  KAWAIT_DECL bool remove(const std::string& name);
  /// Adds partitions until there are `total`.
  KAWAIT_DECL void grow(cluster_topic& t, std::int32_t total, std::int32_t replication);
  KAWAIT_DECL cluster_topic* by_name(std::string_view name);
  KAWAIT_DECL cluster_topic* by_id(const uuid& id);
  const std::map<std::string, std::unique_ptr<cluster_topic>, std::less<>>& topics() const noexcept { return topics_; }

  /// The next leader epoch begins. It becomes a replica if it was none.
  KAWAIT_DECL void set_leader(cluster_partition& p, std::int32_t node);
  /// Its partitions get another leader, or none.
  KAWAIT_DECL void leave(std::int32_t node);
  /// Partitions without a leader get it back.
  KAWAIT_DECL void enter(std::int32_t node);

  std::int64_t next_producer_id() { return next_producer_id_++; }
  std::map<std::string, cluster_transaction, std::less<>> transactions;
  /// Writes the markers of a producer's open transaction.
  KAWAIT_DECL void end_transaction(cluster_transaction& t, bool commit, std::int64_t now);

 private:
  std::map<std::int32_t, cluster_node> nodes_;
  std::map<std::string, std::unique_ptr<cluster_topic>, std::less<>> topics_;
  std::map<uuid, cluster_topic*> by_id_;
  std::int64_t next_producer_id_ = 1000;
  std::size_t next_leader_ = 0;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/cluster_state.ipp>
#endif
