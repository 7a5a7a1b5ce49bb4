#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/detail/asio.hpp>
#include <kawait/net/network.hpp>
#include <kawait/testing/broker_options.hpp>
#include <kawait/testing/fault.hpp>
#include <kawait/testing/group_coordinator.hpp>
#include <kawait/testing/memory_network.hpp>
#include <kawait/testing/partition_log.hpp>

namespace kawait::testing {

class world;

namespace broker_detail {
class core;
}
namespace faults_detail {
class state;
}

/// An embedded Kafka cluster for tests: record logs, leaders, fetch sessions and a group coordinator of the consumer protocol
/// (KIP-848), which answers like the generation of Kafka that it is told to be. Clients of any language can use it over loopback
/// sockets; in a testing::world it runs in virtual time.
///
///     testing::world world;
///     testing::broker broker(world);
///     broker.create_topic("orders", 4);
///     broker.append("orders", 0, {"first", "second"});
///     kawait::config config(broker.bootstrap());
///
/// Everything is called on the executor's thread, with nothing of the context running meanwhile. What it is told takes effect at
/// once; connections see it when the context runs. Topics and partitions that are named must exist: else std::out_of_range.
///
/// close(), or the destructor, must come before the execution context ends. Over real sockets and io_uring, let the context run
/// once more in between (poll()): Asio 1.22.1 must not be destroyed with an accept pending. Nothing is stored; nothing is
/// replicated: a partition has one log, which all its replicas share.
class broker {
 public:
  /// Throws std::system_error if an address is taken, in memory too; kawait::error(errc::invalid_config) for options that make no
  /// sense.
  KAWAIT_DECL explicit broker(asio::any_io_executor executor, broker_options options = broker_options());
  /// In a world's virtual time and network.
  KAWAIT_DECL explicit broker(world& w, broker_options options = broker_options());
  broker(const broker&) = delete;
  broker& operator=(const broker&) = delete;
  KAWAIT_DECL ~broker();

  /// Closes listeners and connections for good.
  KAWAIT_DECL void close();

  KAWAIT_DECL asio::any_io_executor get_executor() const;

  /// What to give to a client: "host:port" of every node, separated by commas; or of broker_options::bootstrap_name.
  KAWAIT_DECL std::string bootstrap() const;
  /// Where a node listens.
  KAWAIT_DECL net::host_port address(std::int32_t node) const;

  // --- Topics. `replication` 0: as the options say.
  /// Its id. Throws kawait::error(kafka_error::topic_already_exists).
  KAWAIT_DECL uuid create_topic(const std::string& name, std::int32_t partitions, std::int32_t replication = 0);
  KAWAIT_DECL void delete_topic(const std::string& name);
  /// The same name and count of partitions under a new id, empty.
  KAWAIT_DECL uuid recreate_topic(const std::string& name);
  /// Adds partitions until there are `total`.
  KAWAIT_DECL void grow_topic(const std::string& name, std::int32_t total);
  /// Nobody may describe it, as by an ACL: Metadata, and heartbeats that subscribe to it, are refused with
  /// TOPIC_AUTHORIZATION_FAILED. It may still be read by who has it.
  KAWAIT_DECL void deny_topic(const std::string& name, bool yes);
  KAWAIT_DECL uuid topic_id(const std::string& name) const;
  /// Name and count of partitions of each, by name.
  KAWAIT_DECL std::vector<std::pair<std::string, std::int32_t>> topics() const;

  // --- Records.
  /// Appends one record batch; returns the offset of its first record.
  KAWAIT_DECL std::int64_t append(const std::string& topic, std::int32_t partition, const std::vector<producer_record>& records,
                                  const append_options& options = append_options());
  /// The log, to look at or to change (transactions, compaction, truncation, deleted records): waiting fetches look again.
  KAWAIT_DECL partition_log& log(const std::string& topic, std::int32_t partition);
  /// Offset of the next record that is appended.
  KAWAIT_DECL std::int64_t end_offset(const std::string& topic, std::int32_t partition);
  /// Writes the marker that ends a transaction of this producer, in this partition only, whether or not one is open.
  KAWAIT_DECL void end_transaction(const std::string& topic, std::int32_t partition, std::int64_t producer_id, bool commit);

  // --- Nodes and leaders.
  /// The ids of all; of those that are up.
  KAWAIT_DECL std::vector<std::int32_t> nodes() const;
  KAWAIT_DECL std::vector<std::int32_t> live_nodes() const;
  /// The next leader epoch begins there. A node that is no replica becomes one. One that is down becomes leader all the same:
  /// nobody answers until it is started, and metadata tells of none (LEADER_NOT_AVAILABLE).
  KAWAIT_DECL void set_leader(const std::string& topic, std::int32_t partition, std::int32_t node);
  /// The node, or -1 while there is none.
  KAWAIT_DECL std::int32_t leader(const std::string& topic, std::int32_t partition) const;
  KAWAIT_DECL std::vector<std::int32_t> replicas(const std::string& topic, std::int32_t partition) const;
  KAWAIT_DECL std::int32_t leader_epoch(const std::string& topic, std::int32_t partition) const;
  /// The leader loses what lies at `offset` and above, and the next epoch begins on `node`: an unclean election.
  KAWAIT_DECL void elect_uncleanly(const std::string& topic, std::int32_t partition, std::int32_t node, std::int64_t offset);
  /// Consumers are sent to this follower (KIP-392), whatever their rack. Nothing: by rack again.
  KAWAIT_DECL void set_preferred_replica(const std::string& topic, std::int32_t partition, std::optional<std::int32_t> node);
  /// Cuts the node's connections and refuses new ones. Its partitions get other leaders, where there are replicas, unless told
  /// otherwise; groups another coordinator, as by set_coordinator(). While no node is up, no session ends.
  KAWAIT_DECL void stop_node(std::int32_t node, bool move_leaders = true);
  /// It is not frozen any more, either, and has forgotten its fetch sessions. Nothing happens if it is up. Throws
  /// std::system_error, and it stays down, if its address was taken meanwhile.
  KAWAIT_DECL void start_node(std::int32_t node);
  /// As SIGSTOP does: connections stay, and are opened, but nothing is served until thaw_node().
  KAWAIT_DECL void freeze_node(std::int32_t node);
  KAWAIT_DECL void thaw_node(std::int32_t node);
  /// Cuts all connections of a node, or of all nodes (0); they may be opened again at once.
  KAWAIT_DECL void cut_connections(std::int32_t node = 0);
  /// Closes the connections over which nothing was asked or answered for so long, as connections.max.idle.ms does. How many.
  KAWAIT_DECL std::size_t close_idle_connections(std::chrono::milliseconds idle);
  /// Whoever opened that connection (request_view::connection) has closed it, though what he sent may be under way still; or it is
  /// over. In memory only.
  KAWAIT_DECL bool is_closed_by_client(std::uint64_t connection) const;
  /// The node goes to another address of a network in memory, as a container does that is started anew: its connections are cut,
  /// the old address is nobody's, metadata tells the new one. Throws kawait::error(errc::invalid_config) over real sockets,
  /// std::system_error if something listens at the new address.
  KAWAIT_DECL void move_node(std::int32_t node, const std::string& host);
  KAWAIT_DECL bool has_bootstrap_name() const;
  /// Whether broker_options::bootstrap_name resolves to anything.
  KAWAIT_DECL void set_name_resolves(bool yes);
  /// While held, metadata tells the leaders and their epochs as they were when it began, whatever becomes of them; of one that
  /// is down, that there is none.
  KAWAIT_DECL void hold_metadata(bool yes);
  /// The node forgets its fetch sessions, as a restarted one has.
  KAWAIT_DECL void forget_fetch_sessions(std::int32_t node);

  // --- Groups.
  /// The coordinator's state, to look at or to meddle with; what follows from it happens when the context runs.
  KAWAIT_DECL group_coordinator& group();
  /// A member without a client joins, now; the group's others are rebalanced against it. What it is answered, if that is an
  /// error.
  ///
  ///     broker.add_member("billing", testing::scripted_member("another", {"orders"}));
  KAWAIT_DECL failure add_member(std::string_view group, scripted_member member);
  /// It leaves for good. False if there is none.
  KAWAIT_DECL bool remove_member(std::string_view group, std::string_view member_id);
  /// The node that coordinates groups and transactions; by default the first that is up.
  KAWAIT_DECL std::int32_t coordinator() const;
  /// The new one gives sessions and revocations their full time again, as Kafka's does.
  KAWAIT_DECL void set_coordinator(std::int32_t node);
  /// The offset that a group has committed.
  KAWAIT_DECL std::optional<std::int64_t> committed(std::string_view group, const std::string& topic, std::int32_t partition);

  // --- Faults and watching.
  /// Asked about every request before it is served; empty: all is well. What an earlier function wanted spoilt, and is not yet,
  /// stays sound; connections that a fault made mute stay so, cut_connections() ends them.
  KAWAIT_DECL void set_faults(fault_decision decide);
  /// Asked about every attempt to connect to a node in memory, whether it is up or not; empty: all is well.
  /// Throws kawait::error(errc::invalid_config) over real sockets.
  KAWAIT_DECL void set_connection_faults(std::function<void(std::int32_t, const connection_attempt&, connection_plan&)> decide);
  /// Answers of this API say so and the connection is mute for that long, as by a quota. Zero: no more.
  KAWAIT_DECL void throttle(api_key api, std::chrono::milliseconds d);
  /// The last requests that arrived, the oldest first; at most 100,000.
  KAWAIT_DECL const std::deque<seen_request>& requests() const;
  /// How many of them arrived, ever.
  KAWAIT_DECL std::size_t count(api_key api) const;
  /// Fetch sessions that the node has granted and still knows.
  KAWAIT_DECL std::size_t fetch_sessions(std::int32_t node) const;
  /// Open connections.
  KAWAIT_DECL std::size_t connections() const;

 private:
  friend class faults_detail::state;
  std::shared_ptr<broker_detail::core> core_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/broker.ipp>
#endif
