#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>

#include <kawait/core/error.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/partition_stream.hpp>

namespace kawait::runtime {

/// Partitions that are being given up together, from the broker's word to the end of their drains and final commits. Consumer's
/// executor.
class revocation_state {
 public:
  revocation_state(const asio::any_io_executor& executor, std::vector<std::shared_ptr<partition_stream>> streams, net::time_point began,
                   net::time_point deadline)
      : streams_(std::move(streams)), began_(began), deadline_(deadline), changed_(executor), left_(streams_.size()) {}

  const std::vector<std::shared_ptr<partition_stream>>& streams() const noexcept { return streams_; }
  net::time_point began() const noexcept { return began_; }
  net::time_point deadline() const noexcept { return deadline_; }
  /// When an unclaimed one starts by itself.
  net::time_point half_deadline() const noexcept { return began_ + (deadline_ - began_) / 2; }

  /// The user has claimed it; the drain may begin.
  void start() {
    started_ = true;
    changed_.notify_all();
  }
  bool is_started() const noexcept { return started_; }
  /// Whether nobody has been warned yet that work is still in hand: one will be, of all who wait.
  bool is_to_warn() noexcept { return !std::exchange(warned_, true); }

  /// One partition is given up. The first failure is the whole's. Returns whether it was the last.
  bool on_partition_done(const failure& why) {
    if (why && !result_) result_ = why;
    if (--left_ == 0) changed_.notify_all();
    return left_ == 0;
  }
  bool is_done() const noexcept { return left_ == 0; }
  const failure& outcome() const noexcept { return result_; }
  net::condition& changed() noexcept { return changed_; }

 private:
  std::vector<std::shared_ptr<partition_stream>> streams_;
  net::time_point began_;
  net::time_point deadline_;
  net::condition changed_;
  std::size_t left_;
  failure result_;
  bool started_ = false;
  bool warned_ = false;
};

/// A change of the assignment; only the delta.
struct assignment_change {
  enum class kind { assigned, revoked, lost };

  kind what = kind::assigned;
  std::vector<std::shared_ptr<partition_stream>> streams;
  std::shared_ptr<revocation_state> revocation;  ///< With `revoked`.
  failure reason;                                ///< With `lost`.

  assignment_change() = default;
  assignment_change(kind k, std::vector<std::shared_ptr<partition_stream>> s) : what(k), streams(std::move(s)) {}
};

/// Who runs a handler for each partition (for_each_partition) hears of changes at once, in place of events.
class assignment_listener {
 public:
  virtual void on_assigned(const std::shared_ptr<partition_stream>&) = 0;
  /// The partition is gone, or its drain's deadline has passed: its handler is cancelled unless it waits for the next batch.
  virtual void on_gone(partition_stream&) = 0;

 protected:
  ~assignment_listener() = default;
};

}  // namespace kawait::runtime
