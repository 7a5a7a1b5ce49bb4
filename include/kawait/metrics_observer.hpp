#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <kawait/detail/config.hpp>
#include <kawait/observer.hpp>

namespace kawait {

/// Counts what happens and says it in Prometheus' text format (0.0.4). One may count for several consumers, and be read by any thread: it
/// has a lock of its own, which is taken once a batch and not once a record.
///
///     auto metrics = std::make_shared<kawait::metrics_observer>();
///     config.add_observer(metrics);
///     ...
///     std::string page = metrics->prometheus();   // for GET /metrics
class metrics_observer : public observer {
 public:
  /// `labels` are added to every line, as they stand: `service="billing"`.
  explicit metrics_observer(std::string labels = {}) : labels_(std::move(labels)) {}

  /// Any thread.
  KAWAIT_DECL std::string prometheus() const;

  KAWAIT_DECL void on_joined(const joined& e) override;
  KAWAIT_DECL void on_heartbeat(const heartbeat& e) override;
  KAWAIT_DECL void on_assigned(const assigned& e) override;
  KAWAIT_DECL void on_revoked(const revoked& e) override;
  KAWAIT_DECL void on_drained(const drained& e) override;
  KAWAIT_DECL void on_lost(const lost& e) override;
  KAWAIT_DECL void on_committed(const committed& e) override;
  KAWAIT_DECL void on_fetched(const fetched& e) override;
  KAWAIT_DECL void on_delivered(const delivered& e) override;
  KAWAIT_DECL void on_connected(const connected& e) override;
  KAWAIT_DECL void on_disconnected(const disconnected& e) override;
  KAWAIT_DECL void on_throttled(const throttled& e) override;
  KAWAIT_DECL void on_warned(const warned& e) override;

 private:
  struct timing {
    std::uint64_t count = 0;
    duration sum{};

    void add(duration d) {
      ++count;
      sum += d;
    }
  };
  /// What is counted of a partition while it is ours; its lag goes with it.
  struct stream {
    std::uint64_t records = 0, bytes = 0, batches = 0;
    std::int64_t lag = -1;
    std::size_t owners = 0;
  };
  KAWAIT_DECL void forget(const topic_partition& p);

  const std::string labels_;
  mutable std::mutex lock_;
  std::uint64_t joins_ = 0, refused_heartbeats_ = 0, assigned_ = 0, revoked_ = 0, lost_ = 0, overdue_drains_ = 0, refused_commits_ = 0,
                failed_fetches_ = 0, fetched_bytes_ = 0, failed_connects_ = 0;
  std::int64_t connections_ = 0;
  std::int32_t member_epoch_ = -1;
  timing heartbeats_, drains_, commits_, fetches_, connects_, throttles_;
  std::map<topic_partition, stream> streams_;
  std::map<std::string, std::uint64_t, std::less<>> warnings_;
};

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/metrics_observer.ipp>
#endif
