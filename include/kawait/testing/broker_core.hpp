#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <asio/ip/tcp.hpp>

#include <kawait/net/environment.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/protocol/api_versions.hpp>
#include <kawait/protocol/codec.hpp>
#include <kawait/testing/broker_options.hpp>
#include <kawait/testing/cluster_state.hpp>
#include <kawait/testing/event_trace.hpp>
#include <kawait/testing/fault.hpp>
#include <kawait/testing/group_coordinator.hpp>
#include <kawait/testing/memory_network.hpp>
#include <kawait/testing/messages/fetch.hpp>
#include <kawait/testing/messages/find_coordinator.hpp>
#include <kawait/testing/messages/groups.hpp>
#include <kawait/testing/messages/older.hpp>
#include <kawait/testing/messages/produce.hpp>
#include <kawait/testing/messages/topics.hpp>
#include <kawait/testing/messages/transactions.hpp>
#include <kawait/testing/scram_server.hpp>

/// What testing::broker is made of; not for users.
namespace kawait::testing::broker_detail {

/// How far a client has got with SASL.
struct login {
  std::string mechanism;
  std::optional<scram_server> scram;
  bool known = false;
  bool done = false;
  net::time_point until{};  // with a session_lifetime

  login() = default;
};

/// A client's connection, for its coroutine and for whoever cuts it.
struct connection {
  std::uint64_t id = 0;
  std::int32_t node = 0;
  std::unique_ptr<net::transport> stream;
  bool closed = false;
  bool silent = false;
  bool busy = false;            // with a request
  net::time_point used{};       // when it was last
  std::optional<fault> spoils;  // the next records that it fetches
  std::map<api_key, std::size_t> counts;
  broker_detail::login login;

  void close() {
    closed = true;
    stream->close();
  }
};

/// A request, and what its answer's strings may point to.
struct incoming {
  std::int32_t node = 0;
  std::int16_t key = 0;
  std::int16_t version = 0;
  std::int32_t correlation_id = 0;
  std::string_view client_id;
  std::vector<std::byte> frame;
  std::span<const std::byte> body;
  net::time_point came{}, sent{};
  std::deque<std::string> words;
  kafka_error refused = kafka_error::none;  ///< By a fault: the answer to give.
  const fault* edits = nullptr;             ///< And what is to be done to it.
  const fault* spoils = nullptr;            ///< What is to be wrong with the records.

  std::string_view keep(std::string text) { return words.emplace_back(std::move(text)); }
};

/// What to send back.
struct reply {
  std::vector<std::byte> bytes;  ///< A whole frame; empty: no answer.
  bool close = false;
  std::chrono::milliseconds throttled{0};
};

/// A listening socket of a node.
struct loopback_listener {
  explicit loopback_listener(const asio::any_io_executor& executor) : acceptor(executor) {}
  asio::ip::tcp::acceptor acceptor;
  bool accepting = false;
  bool closed = false;
};

/// The cluster, its listeners and its connections. Its coroutines share it; nothing that it owns keeps it.
class core : public std::enable_shared_from_this<core> {
 public:
  KAWAIT_DECL core(asio::any_io_executor e, broker_options o);

  KAWAIT_DECL void open();
  KAWAIT_DECL void close();
  KAWAIT_DECL void listen(std::int32_t node);
  KAWAIT_DECL void stop_listening(std::int32_t node);
  KAWAIT_DECL void cut(std::int32_t node);
  KAWAIT_DECL memory_network& memory();
  /// What the cluster is to the network in memory, of which the addresses of nodes are a part.
  KAWAIT_DECL void publish_name();
  KAWAIT_DECL void watch_connections(std::int32_t node, bool yes);

  /// Waiting fetches and the group's clock look again, after what runs now.
  void touch() {
    changed.notify_all();
    group_changed.notify_all();
  }
  KAWAIT_DECL void topics_changed();
  KAWAIT_DECL std::int32_t coordinator_node() const;
  /// After nodes came or went, or another was chosen: if the coordinator is another one now, it takes over.
  KAWAIT_DECL void hand_groups_over();
  KAWAIT_DECL std::int64_t wall_ms();
  KAWAIT_DECL uuid random_uuid();
  KAWAIT_DECL cluster_topic& topic(const std::string& name);
  KAWAIT_DECL cluster_partition& partition(const std::string& name, std::int32_t index);
  KAWAIT_DECL cluster_topic* create(const std::string& name, std::int32_t partitions, std::int32_t replication);
  std::uint64_t random() { return env.random(); }

  // --- Connections (broker_connections.ipp, broker_faults.ipp).
  KAWAIT_DECL static asio::awaitable<void> serve(std::shared_ptr<core> self, std::int32_t node,
                                                 std::unique_ptr<net::transport> stream);
  KAWAIT_DECL asio::awaitable<bool> read_frame(connection& c, std::vector<std::byte>& frame);
  KAWAIT_DECL asio::awaitable<void> serve_one(connection& c, incoming& in);
  KAWAIT_DECL asio::awaitable<void> send(connection& c, reply& r);
  KAWAIT_DECL void distort(connection& c, const incoming& in, reply& r, const fault& f);
  KAWAIT_DECL asio::awaitable<void> while_frozen(connection& c);
  KAWAIT_DECL fault decide(connection& c, const incoming& in);
  /// What faults have left behind ends: what is still to be spoilt or distorted is not, mute connections are closed.
  KAWAIT_DECL void end_faults();
  KAWAIT_DECL static asio::awaitable<void> accept_loop(std::shared_ptr<core> self, std::int32_t node,
                                                       std::shared_ptr<loopback_listener> listener);
  KAWAIT_DECL static asio::awaitable<void> run_group(std::shared_ptr<core> self);

  // --- Requests.
  KAWAIT_DECL asio::awaitable<void> answer(connection& c, incoming& in, reply& out);
  KAWAIT_DECL void answer_at_once(incoming& in, reply& out);
  KAWAIT_DECL asio::awaitable<void> answer_fetch(connection& c, incoming& in, reply& out);
  KAWAIT_DECL std::optional<api_range> offered(std::int16_t key) const;
  KAWAIT_DECL std::vector<api_range> all_offered() const;

  // --- SASL (broker_sasl.ipp).
  KAWAIT_DECL bool is_logged_in(const connection& c);
  KAWAIT_DECL void answer_handshake(connection& c, const incoming& in, reply& out);
  KAWAIT_DECL void answer_authenticate(connection& c, const incoming& in, reply& out);
  KAWAIT_DECL std::optional<std::string> next_of_login(login& l, std::string_view message);

  KAWAIT_DECL protocol::api_versions_response on(const protocol::api_versions_request& q, incoming& in);
  KAWAIT_DECL messages::metadata_request::response on(const messages::metadata_request& q, incoming& in);
  KAWAIT_DECL messages::find_coordinator_response on(const messages::find_coordinator_request& q, incoming& in);
  KAWAIT_DECL messages::create_topics_response on(const messages::create_topics_request& q, incoming& in);
  KAWAIT_DECL messages::delete_topics_response on(const messages::delete_topics_request& q, incoming& in);
  KAWAIT_DECL messages::create_partitions_response on(const messages::create_partitions_request& q, incoming& in);
  KAWAIT_DECL messages::list_offsets_request::response on(const messages::list_offsets_request& q, incoming& in);
  KAWAIT_DECL messages::offset_for_leader_epoch_request::response on(const messages::offset_for_leader_epoch_request& q,
                                                                     incoming& in);
  KAWAIT_DECL messages::produce_response on(const messages::produce_request& q, incoming& in);
  KAWAIT_DECL messages::init_producer_id_response on(const messages::init_producer_id_request& q, incoming& in);
  KAWAIT_DECL messages::add_partitions_to_txn_response on(const messages::add_partitions_to_txn_request& q, incoming& in);
  KAWAIT_DECL messages::end_txn_response on(const messages::end_txn_request& q, incoming& in);
  KAWAIT_DECL protocol::consumer_group_heartbeat_response on(const protocol::consumer_group_heartbeat_request& q, incoming& in);
  KAWAIT_DECL protocol::offset_commit_response on(const protocol::offset_commit_request& q, incoming& in);
  KAWAIT_DECL protocol::offset_fetch_response on(const protocol::offset_fetch_request& q, incoming& in);
  KAWAIT_DECL messages::describe_groups_response on(const messages::describe_groups_request& q, incoming& in);
  KAWAIT_DECL messages::delete_groups_response on(const messages::delete_groups_request& q, incoming& in);
  KAWAIT_DECL messages::consumer_group_describe_response on(const messages::consumer_group_describe_request& q, incoming& in);

  // --- Fetching (broker_fetch.ipp).
  struct gathered {
    std::vector<std::pair<topic_id_partition, messages::fetch_response::partition>> parts;
    std::deque<std::vector<std::byte>> records;  // what the parts view
    std::size_t bytes = 0;
    bool spoilt = false;  // by the fault that is due
    bool urgent = false;  // an error, a diverging epoch or another replica: the answer does not wait
  };
  KAWAIT_DECL std::vector<fetch_wish> wishes_of(const messages::fetch_request& q, const incoming& in,
                                                std::vector<topic_id_partition>& forgotten);
  KAWAIT_DECL void gather(const fetch_sessions::context& ctx, const messages::fetch_request& q, const incoming& in, gathered& g);
  KAWAIT_DECL void read(const fetch_wish& wish, const messages::fetch_request& q, const incoming& in, gathered& g);
  KAWAIT_DECL std::optional<std::int32_t> preferred(const cluster_partition& p, std::int32_t node, std::string_view rack);
  KAWAIT_DECL void finish_fetch(fetch_sessions::context& ctx, incoming& in, gathered& g, messages::fetch_response& r);

  /// Whether `node` leads the partition, at the epoch that the client knows.
  KAWAIT_DECL kafka_error check_leader(const cluster_partition& p, std::int32_t node, std::int32_t known_epoch,
                                       bool follower_too) const;
  template <class Endpoint>
  void add_endpoint(std::vector<Endpoint>& list, std::int32_t id);
  KAWAIT_DECL cluster_transaction* transaction_of(std::string_view id, std::int64_t producer_id, std::int16_t epoch,
                                                  kafka_error& error);
  KAWAIT_DECL void produce_one(messages::produce_request::partition const& p, cluster_topic* t, bool by_id,
                               const messages::produce_request& q, incoming& in, messages::produce_response& r,
                               messages::produce_response::partition& out);
  KAWAIT_DECL bool in_transaction(const messages::produce_request& q, std::span<const std::byte> batch,
                                  const topic_id_partition& tp);

  asio::any_io_executor executor;
  net::environment& env;
  broker_options options;
  cluster_state cluster;
  group_coordinator groups;
  net::condition changed;        // of anything that a waiting request looks at
  net::condition group_changed;  // of what the group's clock looks at
  fault_decision faults;
  const void* faults_owner = nullptr;  // the testing::faults that is attached
  std::uint64_t fault_era = 0;         // faults that were decided in an earlier one have no effect any more
  std::function<void(std::int32_t, const connection_attempt&, connection_plan&)> connection_faults;
  bool name_resolves = true;
  std::set<std::string, std::less<>> denied_topics;
  std::optional<std::map<topic_id_partition, std::pair<std::int32_t, std::int32_t>>> held_leaders;  // with their epochs
  event_trace* trace = nullptr;  // of the network in memory
  std::map<api_key, std::chrono::milliseconds> throttles;
  std::deque<seen_request> seen;
  std::map<api_key, std::size_t> counts;
  std::map<std::uint64_t, std::shared_ptr<connection>> connections;
  std::map<std::int32_t, std::shared_ptr<loopback_listener>> listeners;
  std::map<std::int32_t, std::uint64_t> memory_listeners;  // their numbers in the network in memory
  std::uint64_t last_connection = 0;
  std::int32_t chosen_coordinator = -1;
  std::int32_t coordinating = -1;  // the node that has the groups; -1: none
  bool closed = false;
};

template <class Endpoint>
void core::add_endpoint(std::vector<Endpoint>& list, std::int32_t id) {
  const cluster_node* n = cluster.node(id);
  if (!n || !n->up) return;
  for (const Endpoint& e : list) {
    if (e.node_id == id) return;
  }
  Endpoint& e = list.emplace_back();
  e.node_id = id;
  e.host = n->host;
  e.port = n->port;
  if (n->rack) e.rack = *n->rack;
}

}  // namespace kawait::testing::broker_detail

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/broker_connections.ipp>
#include <kawait/testing/impl/broker_core.ipp>
#include <kawait/testing/impl/broker_faults.ipp>
#include <kawait/testing/impl/broker_fetch.ipp>
#include <kawait/testing/impl/broker_groups.ipp>
#include <kawait/testing/impl/broker_produce.ipp>
#include <kawait/testing/impl/broker_refusals.ipp>
#include <kawait/testing/impl/broker_requests.ipp>
#include <kawait/testing/impl/broker_sasl.ipp>
#include <kawait/testing/impl/broker_topics.ipp>
#endif
