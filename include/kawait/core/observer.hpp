#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>

namespace kawait {

/// Hears of what a consumer does, as it happens; override what is of interest. Given to config::add_observer.
///
/// Called on the consumer's executor, in the middle of its work: it must not block, nor call the consumer. What it throws is dropped: who
/// looks on cannot harm what he looks at. Views in events hold until the call returns. Without an observer nothing of this is computed.
/// One that is given to consumers on several threads is called on all of them at once.
class observer {
 public:
  using duration = std::chrono::nanoseconds;

  /// The group took us in: at the start, or again after fencing. The partitions come with `assigned`.
  struct joined {
    std::string_view group, member_id;
    std::int32_t member_epoch;
  };
  /// An answer to a heartbeat.
  struct heartbeat {
    std::int32_t member_epoch;          ///< As answered; 0 if it was refused.
    std::optional<std::size_t> owned;   ///< How many partitions it said to own: a full heartbeat, or one that acknowledges a revocation.
    duration round_trip;
    std::error_code refused;
  };
  /// Partitions that were added; their handlers start now.
  struct assigned {
    std::span<const topic_partition> partitions;
    std::int32_t member_epoch;          ///< -1 without a group.
  };
  /// Partitions that are being given up: to others, or as we unsubscribe or close. `drained` follows for each.
  struct revoked {
    std::span<const topic_partition> partitions;
    duration time_left;                 ///< Until they are given up with their work still in hand.
  };
  /// A partition was given up: its work is done and committed, or not.
  struct drained {
    const topic_partition& partition;
    duration took;
    const failure& outcome;             ///< errc::revocation_deadline, lost, commit_failed, closed; none.
  };
  /// Partitions that we had are others' already; or that we had when the consumer failed or was destroyed.
  struct lost {
    std::span<const topic_partition> partitions;
    const failure& reason;
  };
  /// We left the group, or cannot be a member any more without joining.
  struct left {};
  struct committed_offset {
    topic_partition partition;
    std::int64_t offset;                ///< The next record's.
    failure outcome;
  };
  /// A commit's end, whoever asked for it.
  struct committed {
    std::span<const committed_offset> offsets;
    duration took;
  };
  /// A fetch's answer, or that there was none.
  struct fetched {
    std::int32_t node;
    std::size_t bytes;                  ///< Of its record batches, as they were sent.
    duration took;                      ///< Waiting for records (fetch.max.wait.ms) included.
    std::error_code failed;
  };
  /// A batch was handed out.
  struct delivered {
    const topic_partition& partition;
    std::int64_t first_offset, next_offset;
    std::uint32_t records;              ///< As the batch headers say: an upper bound.
    std::size_t bytes;
    std::optional<std::int64_t> lag;    ///< Records behind it, as of the last fetch.
  };
  /// A connection was made, or the attempt failed.
  struct connected {
    std::string_view broker;            ///< "host:port"
    duration took;
    const failure& outcome;
  };
  struct disconnected {
    std::string_view broker;
    const failure& reason;              ///< errc::closed: by us.
  };
  /// A broker said that we are over a quota: nothing is sent to it for that long (KIP-219).
  struct throttled {
    std::string_view broker;
    duration pause;
  };
  /// Something went wrong and is being retried, or seen to: last_warning(). Also a setting that has no effect.
  struct warned {
    const failure& reason;
  };
  /// async_run() is about to complete.
  struct ended {
    const failure& reason;              ///< None: closed.
  };

  virtual ~observer() = default;
  virtual void on_joined(const joined&) {}
  virtual void on_heartbeat(const heartbeat&) {}
  virtual void on_assigned(const assigned&) {}
  virtual void on_revoked(const revoked&) {}
  virtual void on_drained(const drained&) {}
  virtual void on_lost(const lost&) {}
  virtual void on_left(const left&) {}
  virtual void on_committed(const committed&) {}
  virtual void on_fetched(const fetched&) {}
  virtual void on_delivered(const delivered&) {}
  virtual void on_connected(const connected&) {}
  virtual void on_disconnected(const disconnected&) {}
  virtual void on_throttled(const throttled&) {}
  virtual void on_warned(const warned&) {}
  virtual void on_ended(const ended&) {}
};

namespace detail {

/// All who observe one consumer; shared with its connections, which may outlive it.
class observers {
 public:
  void add(std::shared_ptr<observer> o) {
    auto longer = list_ ? *list_ : std::vector<std::shared_ptr<observer>>();
    longer.push_back(std::move(o));
    list_ = std::make_shared<const std::vector<std::shared_ptr<observer>>>(std::move(longer));
  }
  /// Whether anybody listens: else there is nothing to compute.
  explicit operator bool() const noexcept { return list_ != nullptr; }
  template <class Event>
  void tell(void (observer::*call)(const Event&), const Event& e) const noexcept {
    if (!list_) return;
    for (const auto& o : *list_) {
      try {
        std::invoke(call, *o, e);
      } catch (...) {  // told in the middle of an end, or of a hand-out: there is nobody to whom it could go
      }
    }
  }

 private:
  std::shared_ptr<const std::vector<std::shared_ptr<observer>>> list_;
};

}  // namespace detail
}  // namespace kawait
