#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/detail/asio.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/fault.hpp>

namespace kawait::testing {

/// What a heartbeat is for.
enum class heartbeat_kind { any, join, keep_alive, acknowledgement, leave };

/// When something goes wrong with requests. Made by faults; every setter returns the rule:
///
///     faults.on(api_key::consumer_group_heartbeat, fault::kind::drop_answer).number(3);
///     faults.on(api_key::fetch, fault::answer_with(kafka_error::not_leader_or_follower)).node(2).chance(0.1);
class fault_rule {
 public:
  /// Only the n-th request that it applies to, from 1.
  fault_rule& number(std::size_t n) { return numbers(n, n); }
  fault_rule& numbers(std::size_t first, std::size_t last) {
    first_ = first;
    last_ = last;
    return *this;
  }
  /// From then on only with this probability, of 0 to 1.
  fault_rule& chance(double p) {
    chance_ = p;
    return *this;
  }
  /// Only requests to this node.
  fault_rule& node(std::int32_t id) {
    node_ = id;
    return *this;
  }
  /// Only requests of clients that call themselves so.
  fault_rule& client(std::string id) {
    client_ = std::move(id);
    return *this;
  }
  /// Only heartbeats of this kind, or with it any.
  fault_rule& heartbeat(heartbeat_kind k) {
    heartbeat_ = k;
    return *this;
  }
  /// What faults::hits() calls it.
  fault_rule& named(std::string name) {
    name_ = std::move(name);
    return *this;
  }

 private:
  friend class faults;
  std::string name_ = "unnamed";
  std::optional<api_key> api_;
  std::optional<std::int32_t> node_;
  std::optional<std::string> client_;
  heartbeat_kind heartbeat_ = heartbeat_kind::any;
  std::size_t first_ = 1;
  std::size_t last_ = std::numeric_limits<std::size_t>::max();
  std::size_t seen_ = 0;
  double chance_ = 1;
  // What goes wrong; random bits are its argument, for places and lengths of time.
  std::function<fault(std::uint64_t)> make_;
};

/// Faults of an embedded cluster: of requests, by script or by seeded chance, and of nodes, leaders and logs at random times.
/// Where several rules apply, the one added first has its way. The same seed does the same.
///
///     testing::faults faults(broker, seed);
///     faults.add("lost heartbeat answer").chance(0.05);
///     faults.add("cut answer").chance(0.01);
///     asio::co_spawn(world.executor(), faults.run(10min, 20s), asio::detached);   // nodes stop, leaders move, ...
///
/// It replaces broker::set_faults(), and must not outlive the broker; the broker may outlive it, and goes on with the rules.
class faults {
 public:
  KAWAIT_DECL explicit faults(broker& b, std::uint64_t seed = 1);
  faults(const faults&) = delete;
  faults& operator=(const faults&) = delete;
  ~faults() { stop(); }

  /// A fault of requests of one API, or of all. The rule stays valid until clear().
  KAWAIT_DECL fault_rule& on(api_key api, fault what);
  KAWAIT_DECL fault_rule& on_any(fault what);
  /// A fault of requests that has a name in the catalogue; std::out_of_range if it has none.
  KAWAIT_DECL fault_rule& add(std::string_view name);
  /// All faults of requests that have a name. "spoilt fetch" inverts any byte of an answer, which no Kafka client can get over in
  /// general (offsets have no checksum): it must not crash, that is all.
  KAWAIT_DECL static std::vector<std::string_view> catalogue();

  /// Does things to the cluster at random times, `mean` apart on average, until `total` is over or stop() is called; then heals
  /// it: all nodes are up. To be run on the broker's executor. Ends without healing when this object goes.
  KAWAIT_DECL asio::awaitable<void> run(std::chrono::milliseconds total, std::chrono::milliseconds mean,
                                        std::vector<std::string> which = cluster_faults(false));
  /// What run() does: "node stopped", "node frozen", "connections cut", "leader moved", "coordinator moved", "sessions
  /// forgotten",
  /// "records deleted", "unclean election", "topic grown", "topic made anew". The last four lose records or move them, so the
  /// default leaves them out.
  KAWAIT_DECL static std::vector<std::string> cluster_faults(bool with_losses = false);
  /// Does one of them now, if it can be done. Nodes come back after a while if run() is running, else by heal().
  KAWAIT_DECL void strike(std::string_view name);
  KAWAIT_DECL void heal();

  /// No rule applies any more.
  KAWAIT_DECL void clear();
  /// Ends run().
  KAWAIT_DECL void stop() noexcept;
  /// How often each fault struck.
  KAWAIT_DECL const std::map<std::string, std::size_t>& hits() const;

 private:
  struct state;
  KAWAIT_DECL static fault decide(state& s, const request_view& r);
  KAWAIT_DECL static bool applies(const fault_rule& rule, const request_view& r);
  KAWAIT_DECL fault_rule& make(std::string name, std::function<fault(std::uint64_t)> make);

  broker& broker_;
  std::shared_ptr<state> state_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/faults.ipp>
#endif
