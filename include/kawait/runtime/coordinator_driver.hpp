#pragma once

#include <memory>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/core/result.hpp>
#include <kawait/machine/coordinator.hpp>
#include <kawait/net/broker_pool.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/options.hpp>

namespace kawait::runtime {

/// Finds the group's coordinator for whoever needs it: heartbeats, commits and OffsetFetch share one connection to it, whose requests
/// the broker serves in order.
class coordinator_driver {
 public:
  KAWAIT_DECL coordinator_driver(asio::any_io_executor executor, net::broker_pool& brokers, const options& o);

  /// A connection to the coordinator, looked up and opened when needed. One attempt to connect; look-ups are repeated, with the
  /// machine's back-off, until `deadline`.
  KAWAIT_DECL asio::awaitable<result<std::shared_ptr<net::connection>>> async_get(net::time_point deadline);

  /// The broker says that it is not the coordinator.
  KAWAIT_DECL void forget();
  /// It did not answer, or the connection broke.
  KAWAIT_DECL void on_disconnected();
  /// Closes the connection that commits and heartbeats share, whatever is pending on it.
  KAWAIT_DECL void cut(const failure& why);
  KAWAIT_DECL void stop();

 private:
  KAWAIT_DECL asio::awaitable<void> look_up();

  net::environment& environment_;
  net::broker_pool& brokers_;
  std::string group_id_;
  machine::coordinator machine_;
  std::weak_ptr<net::connection> connection_;
  net::condition changed_;
  failure last_failure_;
  bool stopped_ = false;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/coordinator_driver.ipp>
#endif
