#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/net/environment.hpp>
#include <kawait/wire/record.hpp>
#include <kawait/wire/record_batch.hpp>
#include <kawait/wire/slab.hpp>

namespace kawait {

/// Why a partition's stream ended.
enum class end_reason : std::uint8_t {
  none,     ///< It has not.
  revoked,  ///< The group gave the partition to another member; what is done is committed before it goes.
  lost,     ///< The group went on without us; nothing can be committed any more.
  closed,   ///< The consumer closes, or was destroyed.
  failed    ///< An error ended the whole consumer.
};

}  // namespace kawait

namespace kawait::runtime {

class partition_stream;
class release_queue;

/// What handles on other threads may ask about a partition while its stream lives on the consumer's executor.
///
/// Holds nothing of Asio's: handles may outlive the execution context.
struct partition_info {
  std::string topic;
  topic_id_partition id;
  std::atomic<bool> stale{false};             ///< Its revocation completed, or it was lost: nothing can be committed any more.
  std::atomic<std::uint64_t> activity{0};     ///< Counts reads, done() and keep_alive().
  std::atomic<end_reason> ended{end_reason::none};
  std::atomic<bool> was_told_to_stop{false};  ///< Its handler asked after the end: to return is not to be done any more.

  partition_info(std::string t, const topic_id_partition& i) : topic(std::move(t)), id(i) {}
};

/// One record batch inside a lease: its header, and its records uncompressed.
struct lease_segment {
  wire::batch_header header;
  std::span<const std::byte> records;
  std::uint32_t first_ordinal;  ///< How many records the segments before it have.

  lease_segment(const wire::batch_header& h, std::span<const std::byte> r, std::uint32_t first) : header(h), records(r), first_ordinal(first) {}
};

/// The shared part of a handed-out batch. The user's handle and the consumer's executor meet in it: any thread may mark work done and
/// release it, the executor learns of both from the release queue.
///
/// `state` makes that safe. Releasing sets `queued` and `released` in one step; who finds `queued` clear pushes the lease. The executor
/// clears `queued` after it popped the lease, and frees the lease if `released` was set then. So between the two steps of a releasing
/// thread nobody else can free it: either it was queued, and the thread does not touch it again, or it is not in the list yet.
class lease {
 public:
  enum : std::uint32_t { queued = 1, released = 2 };

  explicit lease(std::shared_ptr<release_queue> queue) : queue_(std::move(queue)) {}
  KAWAIT_DECL ~lease();
  lease(const lease&) = delete;
  lease& operator=(const lease&) = delete;

  // Set by the consumer's executor before the lease is handed out, then constant.
  std::shared_ptr<partition_info> info;
  std::weak_ptr<partition_stream> stream;      ///< Locked on the consumer's executor only.
  std::vector<lease_segment> segments;
  std::vector<wire::slab_ref> buffers;
  std::uint64_t ticket = 0;
  std::int64_t first_offset = 0;               ///< Records below it belong to an earlier batch.
  std::int64_t next_offset = 0;
  std::int32_t last_epoch = -1;                ///< The leader's, of what precedes next_offset, handed out or passed over.
  std::uint32_t record_count = 0;              ///< As the batch headers say; an upper bound of what is iterated.
  std::size_t charge = 0;                      ///< Bytes it holds of its partition's share.

  /// Where iteration met a record that does not decode; -1: nowhere. Any thread.
  mutable std::atomic<std::int64_t> corrupt_at{-1};

  // Any thread.
  void mark_all_done() noexcept { mark_done_through(next_offset); }
  KAWAIT_DECL void mark_done_through(std::int64_t next) noexcept;
  /// One record, in any order; the low-water mark is what counts. `ordinal` counts from the lease's first record. Throws
  /// std::bad_alloc at the first call for a batch.
  KAWAIT_DECL void mark_one_done(std::uint32_t ordinal, std::int64_t offset);
  KAWAIT_DECL void release() noexcept;
  std::int64_t done_through() const noexcept { return done_through_.load(); }

  // Consumer's executor.
  /// Everything below it is done, whether through done_through or record by record.
  KAWAIT_DECL std::int64_t low_water_mark() noexcept;

 private:
  friend class release_queue;
  KAWAIT_DECL void announce(std::uint32_t bits) noexcept;
  KAWAIT_DECL void announce_mark() noexcept;
  KAWAIT_DECL std::int64_t offset_of(std::uint32_t ordinal) noexcept;

  std::shared_ptr<release_queue> queue_;
  std::atomic<std::uint32_t> state_{0};
  std::atomic<std::int64_t> done_through_{-1};
  std::atomic<std::atomic<std::int64_t>*> marks_{nullptr};  // per ordinal: offset + 1 of a record that is done
  std::uint32_t marks_seen_ = 0;  // of the run from the start, which ends at run_
  std::int64_t run_ = -1;
  wire::record_reader walker_;  // of offset_of(): in segment walked_segment_ - 1, walked_ records from the start
  std::size_t walked_segment_ = 0;
  std::uint32_t walked_ = 0;
  std::int64_t walked_offset_ = 0;
  lease* next_ = nullptr;
};

/// Hears of leases on the consumer's executor.
class release_sink {
 public:
  virtual void on_marked(lease& l) = 0;
  virtual void on_released(lease& l) = 0;
  /// Memory was short for that, and nobody has called who could be told.
  virtual void on_failed(std::exception_ptr why) = 0;

 protected:
  ~release_sink() = default;
};

/// Brings leases back to the consumer's executor: a lock-free list, and at most one wake-up under way. After the context's shutdown a
/// release only frees memory.
class release_queue : public std::enable_shared_from_this<release_queue> {
 public:
  KAWAIT_DECL explicit release_queue(asio::any_io_executor executor);

  /// Consumer's executor. The sink must outlive the queue's use or be cleared.
  void set_sink(release_sink* sink) noexcept { sink_ = sink; }

  /// Consumer's executor: everything that came back so far.
  KAWAIT_DECL void drain();
  /// The consumer has gone: from now on a release only frees memory.
  KAWAIT_DECL void detach() noexcept;

 private:
  friend class lease;

  /// The posted handler. A context that is destroyed drops it without running it.
  class wake_up {
   public:
    explicit wake_up(std::shared_ptr<release_queue> queue) noexcept : queue_(std::move(queue)) {}
    wake_up(wake_up&&) noexcept = default;
    wake_up& operator=(wake_up&&) = delete;
    KAWAIT_DECL ~wake_up();
    KAWAIT_DECL void operator()();

   private:
    std::shared_ptr<release_queue> queue_;
  };

  /// This thread is posting; whether what it posts was destroyed meanwhile.
  struct posting {
    release_queue* queue;
    bool dropped = false;
  };
  static inline thread_local posting* posting_ = nullptr;

  KAWAIT_DECL void push(lease* l) noexcept;
  KAWAIT_DECL void wake() noexcept;
  KAWAIT_DECL void free_instead() noexcept;
  KAWAIT_DECL lease* take() noexcept;
  KAWAIT_DECL void free_taken() noexcept;

  asio::any_io_executor executor_;
  std::shared_ptr<net::rundown> context_;  // closed by the execution context's shutdown
  net::rundown consumer_;                  // closed by detach()
  std::atomic<lease*> head_{nullptr};
  std::atomic<bool> waking_{false};
  release_sink* sink_ = nullptr;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/lease.ipp>
#endif
