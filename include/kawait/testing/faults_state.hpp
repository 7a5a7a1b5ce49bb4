#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/net/timer.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/fault.hpp>
#include <kawait/testing/fault_catalogue.hpp>
#include <kawait/testing/memory_network.hpp>
#include <kawait/testing/world.hpp>

/// What testing::faults is made of; not for users.
namespace kawait::testing::faults_detail {

class state;

/// A fault of the catalogue and how it is made. One of the three functions is there, as its scope says.
struct entry {
  fault_info info;
  std::vector<api_key> apis;                      // of a request; empty: any
  std::function<bool(const request_view&)> when;  // what else it must be; empty: anything
  std::function<fault(state&)> make;
  std::function<void(state&, connection_plan&)> plan;
  std::function<bool(state&)> act;

  bool fits(const request_view& v) const { return fits(v.api) && (!when || when(v)); }
  bool fits(api_key api) const {
    for (const api_key k : apis) {
      if (k == api) return true;
    }
    return apis.empty();
  }
};

/// In the catalogue's order.
KAWAIT_DECL const std::vector<entry>& entries();
KAWAIT_DECL const entry& find(std::string_view name);
KAWAIT_DECL void add_wire_faults(std::vector<entry>& all);
KAWAIT_DECL void add_record_faults(std::vector<entry>& all);
KAWAIT_DECL void add_heartbeat_faults(std::vector<entry>& all);
KAWAIT_DECL void add_coordinator_faults(std::vector<entry>& all);
KAWAIT_DECL void add_leader_faults(std::vector<entry>& all);
KAWAIT_DECL void add_connection_faults(std::vector<entry>& all);
KAWAIT_DECL void add_node_faults(std::vector<entry>& all);
KAWAIT_DECL void add_address_faults(std::vector<entry>& all);
KAWAIT_DECL void add_clock_faults(std::vector<entry>& all);
KAWAIT_DECL void add_log_faults(std::vector<entry>& all);
KAWAIT_DECL void add_group_faults(std::vector<entry>& all);

/// Whom, which, what.
struct rule {
  fault_scope scope = fault_scope::request;
  std::optional<api_key> api;
  std::optional<std::int32_t> node;
  std::optional<std::string> client;
  std::optional<std::uint64_t> connection;
  std::function<bool(const request_view&)> when;
  std::size_t first = 1;
  std::size_t last = std::numeric_limits<std::size_t>::max();
  std::size_t step = 1;
  std::size_t most = std::numeric_limits<std::size_t>::max();
  double chance = 1;

  std::string name;
  const entry* known = nullptr;  // one of the catalogue, else:
  fault own;
  connection_plan own_plan;

  std::size_t seen = 0;
  std::size_t struck = 0;

  KAWAIT_DECL bool fits(const request_view& v) const;
  /// Counts one that fits; whether it is to be struck.
  KAWAIT_DECL bool is_due(state& s);
};

/// Shared by the faults and by what the broker, the network and the context's coroutine call.
class state : public std::enable_shared_from_this<state> {
 public:
  KAWAIT_DECL state(broker& b, std::uint64_t seed);

  KAWAIT_DECL void attach();
  KAWAIT_DECL void detach();
  KAWAIT_DECL fault decide(const request_view& v);
  KAWAIT_DECL void decide(std::int32_t node, const connection_attempt& a, connection_plan& plan);
  KAWAIT_DECL bool act(const entry& e);
  KAWAIT_DECL void at_random(net::duration mean, std::vector<const entry*> from);
  KAWAIT_DECL void heal();

  KAWAIT_DECL std::uint64_t random();
  /// From 0 to n - 1; 0 for n = 0.
  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(random() % n); }
  /// So many milliseconds, of both ends too.
  std::chrono::milliseconds between(std::int64_t from, std::int64_t to) {
    return std::chrono::milliseconds(from + static_cast<std::int64_t>(below(static_cast<std::size_t>(to - from + 1))));
  }
  /// One of a list, or nothing of an empty one.
  template <class T>
  std::optional<T> pick(const std::vector<T>& from) {
    if (from.empty()) return std::nullopt;
    return from[below(from.size())];
  }
  KAWAIT_DECL std::optional<topic_partition> pick_partition();
  KAWAIT_DECL bool exists(const topic_partition& p) const;
  struct group_member_name {
    std::string group, member;
  };
  /// One that has a client.
  KAWAIT_DECL std::optional<group_member_name> pick_member();
  net::time_point now() { return env.now(); }

  KAWAIT_DECL void count(std::string_view name, std::string_view who);
  /// Does something later. What undoes is done by heal() at once instead.
  KAWAIT_DECL void later(net::duration d, std::function<void()> what, bool undoes = false);
  void undo_later(net::duration d, std::function<void()> what) { later(d, std::move(what), true); }

  broker* cluster;
  net::environment& env;
  memory_network* network;   // Null: real sockets
  simulated_backend* clock;  // Null: the real one
  std::vector<std::shared_ptr<rule>> rules;  // shared: a rule's condition may end it, and others, while it is asked
  std::map<std::string, std::size_t> hits;
  std::map<std::int32_t, std::size_t> unreachable;  // nodes, and for how many reasons
  std::uint64_t last_name = 0;                      // of members that join
  std::int32_t last_subnet = 0;                     // that nodes moved to

 private:
  struct event {
    std::function<void()> what;
    bool undoes = false;
  };
  KAWAIT_DECL static asio::awaitable<void> run(std::shared_ptr<state> self);
  KAWAIT_DECL void happen(const event& e);

  std::uint64_t seed_;
  std::multimap<net::time_point, event> events_;
  net::condition changed_;
  std::uint64_t heals_ = 0;
  bool detached_ = false;
};

}  // namespace kawait::testing::faults_detail

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/fault_catalogue.ipp>
#include <kawait/testing/impl/fault_errors.ipp>
#include <kawait/testing/impl/fault_groups.ipp>
#include <kawait/testing/impl/fault_logs.ipp>
#include <kawait/testing/impl/fault_nodes.ipp>
#include <kawait/testing/impl/fault_requests.ipp>
#include <kawait/testing/impl/faults_state.ipp>
#endif
