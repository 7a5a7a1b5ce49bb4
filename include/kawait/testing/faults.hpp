#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/testing/broker.hpp>
#include <kawait/testing/fault.hpp>
#include <kawait/testing/fault_catalogue.hpp>
#include <kawait/testing/memory_network.hpp>

namespace kawait::testing {

namespace faults_detail {
class state;
struct rule;
}  // namespace faults_detail

/// A fault in the making: first whom it may strike, then which of those, at last what it is. Only the last makes it count; a rule
/// without it does nothing, and after it the rule can be used again, for another.
///
///     faults.on(api_key::consumer_group_heartbeat).nth(3).drop_answer();
///     faults.on(api_key::offset_commit).from(2).answer(kafka_error::stale_member_epoch);    // the second and all later ones
///     faults.on(api_key::fetch).node(2).every(10).inject("bad-crc");
///     faults.on_request().client("kawait").chance(0.01).inject("lost-answer");
///     faults.on_connection().from(2).times(3).inject("black-hole");
class [[nodiscard]] fault_rule {
 public:
  KAWAIT_DECL fault_rule(std::shared_ptr<faults_detail::state> owner, fault_scope scope, std::optional<api_key> api);
  KAWAIT_DECL fault_rule(const fault_rule& other);
  fault_rule& operator=(const fault_rule&) = delete;
  KAWAIT_DECL ~fault_rule();

  // --- Whom it may strike. Attempts to connect are chosen by node() only: for them, the others throw
  // kawait::error(errc::invalid_config).
  /// Requests to this node, connections with it.
  KAWAIT_DECL fault_rule& node(std::int32_t id);
  /// Requests with this client.id.
  KAWAIT_DECL fault_rule& client(std::string_view id);
  /// Requests of this connection, as request_view counts them.
  KAWAIT_DECL fault_rule& connection(std::uint64_t id);
  /// Heartbeats for this only.
  ///
  ///     faults.on(api_key::consumer_group_heartbeat).heartbeat(testing::heartbeat_kind::join).nth(1).drop_answer();
  KAWAIT_DECL fault_rule& heartbeat(heartbeat_kind kind);
  /// What else a request must be. May be called again: all must hold. It may make rules, which strike from the next request on,
  /// and heal().
  KAWAIT_DECL fault_rule& when(std::function<bool(const request_view&)> condition);

  // --- Which of those, counted from now on, over all connections and whether or not another rule strikes first. By default all;
  // what is said adds up: from(10).every(4) are the 12th, the 16th, and so on.
  /// The n-th, from 1, or none: if another rule strikes that one first, this one never does.
  KAWAIT_DECL fault_rule& nth(std::size_t n);
  /// From the n-th on.
  KAWAIT_DECL fault_rule& from(std::size_t n);
  /// The n-th, the 2n-th, and so on.
  KAWAIT_DECL fault_rule& every(std::size_t n);
  /// No more than so many.
  KAWAIT_DECL fault_rule& times(std::size_t n);
  fault_rule& once() { return times(1); }
  /// Each with this probability, by the faults' own seed.
  KAWAIT_DECL fault_rule& chance(double probability);

  // --- What it is.
  /// A fault of the catalogue, see fault_catalogue(); what is left open in it (how long, at which byte) is drawn by the faults'
  /// own seed. Of requests it strikes those of the APIs that it can. Throws kawait::error(errc::invalid_config) if there is none
  /// of this name (the words tell the nearest), if it strikes something else than this rule does, or not this API.
  KAWAIT_DECL void inject(std::string_view name);
  /// One of your own; hits are counted under `name`.
  KAWAIT_DECL void inject(const fault& f, std::string_view name = "own");
  /// An error of Kafka's, wherever the answer has a place for it. The request is not served. Hits are counted under the error's
  /// name, name_of(e).
  KAWAIT_DECL void answer(kafka_error e);
  /// The same as inject(), of "lost-request", and so on: hits are counted under these names.
  void drop_request() { inject("lost-request"); }
  void drop_answer() { inject("lost-answer"); }
  void close_before() { inject("close-before"); }
  void close_after() { inject("close-after"); }
  /// Closes the connection after so many bytes of the answer. Counted as "cut-answer".
  void cut_answer(std::size_t bytes) { inject(fault::cut_after(bytes), "cut-answer"); }
  /// The request is served so much later, with those behind it in the connection. Counted as "slow-request".
  void delay(std::chrono::milliseconds d) { inject(fault::delayed(d), "slow-request"); }
  /// The request is served at once and answered so much later. Counted as "slow-answer".
  void answer_late(std::chrono::milliseconds d) { inject(fault::answered_late(d), "slow-answer"); }
  /// What becomes of an attempt to connect, and how the connection behaves.
  KAWAIT_DECL void plan(connection_plan p, std::string_view name = "own");

 private:
  std::shared_ptr<faults_detail::state> owner_;
  std::unique_ptr<faults_detail::rule> rule_;
};

/// What goes wrong with an embedded cluster and its clients: by name, by script and by seeded chance. fault_catalogue() names all
/// of them, with what each does to a correct consumer.
///
///     testing::world world;
///     testing::broker_options options;
///     options.nodes = 3;                                   // leaders have somewhere to move to
///     testing::broker broker(world, options);
///     testing::faults faults(broker, 42);
///     faults.on(testing::api_key::consumer_group_heartbeat).nth(3).drop_answer();    // by script
///     faults.by_chance("connection-cut", 0.1);                                       // by chance
///     faults.after(std::chrono::seconds(10), "leader-moved");                        // something happens to the cluster
///     world.advance(std::chrono::minutes(5));
///     faults.heal();
///     faults.report(std::cout);                                                      // how often each struck
///
/// Of rules that would strike one request or connection, the one that was made first does. It takes the place of the functions
/// given to broker::set_faults() and set_connection_faults(): one object for a broker at a time. The broker must outlive it, and
/// must be in a world for faults of connections and clocks. Its random numbers come from its own seed: with the same seed and the
/// same program the same faults strike at the same places, which world::trace() shows line by line. For the executor's thread.
class faults {
 public:
  /// Throws kawait::error(errc::invalid_config) if the broker has a testing::faults already.
  KAWAIT_DECL explicit faults(broker& b, std::uint64_t seed = 1);
  faults(const faults&) = delete;
  faults& operator=(const faults&) = delete;
  /// Nothing strikes any more, and no connection is mute; what has happened to the cluster stays.
  KAWAIT_DECL ~faults();

  // --- Requests and connections.
  KAWAIT_DECL fault_rule on(api_key api);
  /// Requests of every API that the fault can strike.
  KAWAIT_DECL fault_rule on_request();
  /// Attempts to connect. Throws kawait::error(errc::invalid_config) over real sockets.
  KAWAIT_DECL fault_rule on_connection();

  /// A fault of requests or connections strikes whatever it can with this probability.
  KAWAIT_DECL void by_chance(std::string_view name, double probability);
  /// Every one does whose outcome is fault_outcome::survived. A few thousandths make a rough day: each request may meet any.
  KAWAIT_DECL void all_by_chance(double probability);

  // --- The cluster. What passes by itself (a node that is down, ...) passes after some seconds of the environment's time.
  /// Happens now. False if it cannot, as things are: no node is up, there is no member to fence. Throws as fault_rule::inject().
  KAWAIT_DECL bool act(std::string_view name);
  /// Happens after so much time, if it can.
  KAWAIT_DECL void after(net::duration d, std::string_view name);
  /// Something of your own. What it throws leaves the world's run (advance(), ...), or the context's; the rest happens when that
  /// is run again.
  KAWAIT_DECL void after(net::duration d, std::function<void(broker&)> what, std::string_view name = "own");
  /// One of these happens every now and then until heal(), `mean` apart on average; by default of all whose outcome is
  /// fault_outcome::survived. With the others of fault_outcome::loss:
  ///
  ///     faults.at_random(std::chrono::seconds(20), {"node-down", "topic-recreated", "log-truncated"});
  KAWAIT_DECL void at_random(net::duration mean, std::vector<std::string> names = {});

  // --- The end.
  /// Forgets all rules and what was to happen, and takes back what was to pass by itself: nodes are up, nothing is mute or slow:
  /// connections that a fault of requests made mute are closed, records and answers under way are sound. Nodes that moved stay
  /// where they are. Connections that were slow or half-open from the start stay so; broker::cut_connections() ends them.
  KAWAIT_DECL void heal();

  // --- How often each struck: a fault of requests when it had its effect, of connections when the attempt was made.
  KAWAIT_DECL const std::map<std::string, std::size_t>& hits() const;
  KAWAIT_DECL std::size_t hits(std::string_view name) const;
  /// A line for each fault of the catalogue, with its hits and its meaning, and for your own.
  KAWAIT_DECL void report(std::ostream& out) const;

 private:
  std::shared_ptr<faults_detail::state> state_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/faults.ipp>
#endif
