#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/runtime/fetcher.hpp>
#include <kawait/runtime/metadata_driver.hpp>
#include <kawait/runtime/read_ahead.hpp>

namespace kawait::runtime {

/// Decides which broker each partition is fetched from, and whether it is fetched at all: its leader, or the follower that the leader
/// names (KIP-392), for metadata.max.age.ms or until it fails.
class fetch_scheduler {
 public:
  KAWAIT_DECL fetch_scheduler(asio::any_io_executor executor, task_group& tasks, net::broker_pool& brokers, metadata_driver& metadata,
                              fetch_host& host, buffer_pool& pool, const options& o);

  /// Looks at a partition anew: its position, demand, leader or room has changed.
  KAWAIT_DECL void update(partition_stream& stream);
  /// A request for it was answered, or failed: how far ahead it is read is decided, and it is looked at anew.
  KAWAIT_DECL void on_answered(partition_stream& stream);
  /// It is not ours any more.
  KAWAIT_DECL void remove(const topic_id_partition& partition);
  /// An error that newer metadata may mend: it is not fetched until then.
  KAWAIT_DECL void suspend(partition_stream& stream);
  /// Metadata was refreshed: suspended partitions may go on, and nodes that it does not name have no part in the limits. Call update()
  /// for each stream afterwards.
  KAWAIT_DECL void on_metadata();
  /// Its leader sends us to this follower. False if it cannot be fetched from: nobody knows its address.
  KAWAIT_DECL bool prefer(partition_stream& stream, std::int32_t follower);
  /// The node has refused the partition. If that was the follower, it is its leader's again; says whether it was.
  KAWAIT_DECL bool forget_follower(partition_stream& stream, std::int32_t node);
  /// The node does not answer: what was to be fetched from it as a follower is its leaders' again.
  KAWAIT_DECL void forget_follower(std::int32_t node);
  void on_released() { budget_.on_released(); }

  KAWAIT_DECL void stop();
  /// Best effort: tells the brokers that the sessions are over.
  KAWAIT_DECL asio::awaitable<void> close_sessions();

 private:
  struct placement {
    std::int32_t node = -1;
    bool suspended = false;
    std::int32_t follower = -1;  // to be fetched from instead of the leader
    net::time_point follower_until{};
  };

  KAWAIT_DECL fetcher& at(std::int32_t node);
  KAWAIT_DECL void update_all();
  KAWAIT_DECL void count_fetchers();
  KAWAIT_DECL std::int32_t node_for(placement& place, std::int32_t leader);

  asio::any_io_executor executor_;
  task_group& tasks_;
  net::broker_pool& brokers_;
  metadata_driver& metadata_;
  fetch_host& host_;
  net::environment& environment_;
  const options& options_;
  fetch_budget budget_;
  read_ahead ahead_;
  std::size_t largest_batch_ = 0;  // that any partition had, but for a sixteenth
  std::map<std::int32_t, std::unique_ptr<fetcher>> fetchers_;
  std::unordered_map<topic_id_partition, placement> placements_;
  bool stopped_ = false;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/fetch_scheduler.ipp>
#endif
