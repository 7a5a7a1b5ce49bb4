#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kawait/machine/backoff.hpp>
#include <kawait/net/connection.hpp>

namespace kawait::net {

/// A broker serves one request of a connection at a time, and a fetch that waits for records would hold a heartbeat back: so
/// there are two connections to a broker.
enum class channel : std::uint8_t {
  fetch,
  control  ///< Everything but Fetch; the group coordinator's is one.
};

/// A broker as the cluster's metadata advertises it.
struct broker {
  std::int32_t id = -1;
  std::string host;
  std::uint16_t port = 0;

  broker() = default;
  broker(std::int32_t i, std::string h, std::uint16_t p) : id(i), host(std::move(h)), port(p) {}
};

/// The connections to a cluster. For one executor that never runs two handlers at once. Destroying it closes it.
class broker_pool {
 public:
  /// reconnect.backoff.ms and reconnect.backoff.max.ms.
  static machine::backoff_options default_reconnect() {
    return machine::backoff_options(machine::milliseconds(50), machine::milliseconds(1000));
  }

  KAWAIT_DECL broker_pool(asio::any_io_executor executor, connection_options options, const machine::backoff_options& reconnect,
                          std::vector<host_port> bootstrap);
  broker_pool(const broker_pool&) = delete;
  broker_pool& operator=(const broker_pool&) = delete;
  KAWAIT_DECL ~broker_pool();

  /// The brokers of a Metadata response. One whose address has changed loses its connections; one that is missing keeps those it
  /// has, until they end by themselves.
  KAWAIT_DECL void set_brokers(const std::vector<broker>& brokers);
  /// One broker, as FindCoordinator or a fetch response's NodeEndpoints name it.
  KAWAIT_DECL void set_broker(const broker& b);
  /// Whether it has an address.
  KAWAIT_DECL bool knows(std::int32_t node) const;

  /// The open connection, or null.
  KAWAIT_DECL std::shared_ptr<connection> find(std::int32_t node, channel c) const;
  /// The open connection, or a new one: concurrent callers share one attempt. Attempts keep a bounded, jittered distance; a call
  /// waits for it, makes one attempt and returns its failure. errc::unknown_broker: there is no such.
  KAWAIT_DECL asio::awaitable<result<std::shared_ptr<connection>>> async_get(std::int32_t node, channel c);
  /// Any broker: the least loaded open control connection, else a known broker, else the bootstrap list, every address of every
  /// name in turn from a random start. errc::bootstrap_failed: none; the words list every address and why. A code that all of them
  /// failed with and that says more (unresolved_host, not_kafka, those of TLS and SASL) comes instead.
  KAWAIT_DECL asio::awaitable<result<std::shared_ptr<connection>>> async_any();

  /// Called once, when brokers have refused the credentials as often as options.sasl->login_attempts says, without taking them in
  /// between: nothing is tried any more. It may close the pool.
  KAWAIT_DECL void on_refused(std::function<void(const failure&)> tell);

  /// Forgets the brokers, closes their connections and starts from the bootstrap list again (KIP-899, KIP-1102).
  KAWAIT_DECL void rebootstrap();
  /// Closes everything; what waits completes with errc::closed.
  KAWAIT_DECL void close();

 private:
  class slot;
  class state;

  std::shared_ptr<state> state_;
};

}  // namespace kawait::net

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/net/impl/broker_pool.ipp>
#include <kawait/net/impl/broker_pool_any.ipp>
#endif
