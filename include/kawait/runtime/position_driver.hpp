#pragma once

#include <memory>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/machine/membership.hpp>
#include <kawait/machine/offset_query.hpp>
#include <kawait/machine/position_finder.hpp>
#include <kawait/net/broker_pool.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/coordinator_driver.hpp>
#include <kawait/runtime/metadata_driver.hpp>
#include <kawait/runtime/task_group.hpp>

namespace kawait::runtime {

/// Hears where partitions start. Consumer's executor.
class position_host {
 public:
  virtual void on_position_found(const machine::position_finder::found&) = 0;
  virtual void on_position_not_found(const machine::position_finder::not_found&) = 0;

 protected:
  ~position_host() = default;
};

/// Pumps machine::position_finder: committed offsets from the coordinator, others from the partitions' leaders.
class position_driver {
 public:
  KAWAIT_DECL position_driver(asio::any_io_executor executor, task_group& tasks, net::broker_pool& brokers, metadata_driver& metadata,
                              coordinator_driver& coordinator, position_host& host, const options& o);

  /// In a group OffsetFetch carries the member's id and newest epoch.
  void set_member(const machine::membership& member) noexcept { member_ = &member; }

  machine::position_finder& finder() noexcept { return finder_; }
  /// To be called after the machine was told something, or metadata was refreshed.
  void wake() { changed_.notify_all(); }

  KAWAIT_DECL asio::awaitable<void> run();
  KAWAIT_DECL void stop();

  using answers = std::vector<machine::offset_query::answer>;
  /// Offsets by time of any partitions, each named once: an answer for each, in their order. Also while run() does not; metadata must
  /// be. Fails by the deadline; errc::closed once stopped.
  KAWAIT_DECL asio::awaitable<result<answers>> async_find(std::vector<machine::offset_query::wish> wishes, net::time_point deadline);

 private:
  /// What the other end of a connection answers, or why there is no answer or no connection; of no interest once stopped. The
  /// arguments must outlive it.
  template <class Request>
  asio::awaitable<result<net::answer<Request>>> ask(const result<std::shared_ptr<net::connection>>& connection,
                                                    const Request& request);
  KAWAIT_DECL asio::awaitable<void> fetch_committed(machine::position_finder::fetch_committed what);
  /// For the query, or the finder if that is null.
  KAWAIT_DECL asio::awaitable<void> list_offsets(machine::position_finder::list_offsets what,
                                                 std::shared_ptr<machine::offset_query> query);
  KAWAIT_DECL asio::awaitable<void> find_epoch_ends(machine::position_finder::find_epoch_ends what);

  task_group& tasks_;
  net::environment& environment_;
  net::broker_pool& brokers_;
  metadata_driver& metadata_;
  coordinator_driver& coordinator_;
  position_host& host_;
  const options& options_;
  const machine::membership* member_ = nullptr;
  machine::position_finder finder_;
  net::condition changed_;
  bool stopped_ = false;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/position_driver.ipp>
#endif
