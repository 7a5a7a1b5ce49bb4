#pragma once

#include <memory>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/core/error.hpp>
#include <kawait/machine/cluster.hpp>
#include <kawait/net/broker_pool.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/options.hpp>

namespace kawait::runtime {

/// Hears of the cluster. Consumer's executor.
class metadata_host {
 public:
  virtual void on_metadata() = 0;                          ///< Leaders, names or addresses may have changed.
  virtual void on_cluster_unreachable(failure why) = 0;    ///< No broker answered; it is tried again.

 protected:
  ~metadata_host() = default;
};

/// Pumps machine::cluster: sends Metadata to whichever broker answers, when the machine wants it.
class metadata_driver {
 public:
  KAWAIT_DECL metadata_driver(asio::any_io_executor executor, net::broker_pool& brokers, metadata_host& host, const options& o);

  machine::cluster& cluster() noexcept { return cluster_; }
  /// To be called after the machine was told something.
  void wake() { changed_.notify_all(); }
  void request_refresh() {
    cluster_.request_refresh();
    wake();
  }

  KAWAIT_DECL asio::awaitable<void> run();
  KAWAIT_DECL void stop();

 private:
  KAWAIT_DECL asio::awaitable<void> fetch(machine::cluster::fetch_metadata what);

  net::environment& environment_;
  net::broker_pool& brokers_;
  metadata_host& host_;
  machine::cluster cluster_;
  net::condition changed_;
  bool stopped_ = false;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/metadata_driver.ipp>
#endif
