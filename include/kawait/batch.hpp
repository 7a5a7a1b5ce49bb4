#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/record.hpp>
#include <kawait/runtime/lease.hpp>

namespace kawait {

class owned_batch;

/// Records of one partition, in order, and a lease on it: while the handle lives, the bytes stay, and a revocation of the partition
/// waits for it (until its deadline). Move-only.
///
/// Asking for the next batch acknowledges nothing. Say done() when the work is done; only what is done is ever committed. In automatic
/// mode (enable.auto.commit, the default) a batch that is released without being wholly done ends its partition's stream with
/// errc::batch_abandoned: the records would otherwise be skipped in silence. In manual mode reading goes on, but no commit of what
/// is done goes past the batch any more: the next one leaves a last_warning() of errc::batch_abandoned, which names the offset.
///
/// Thread safety: iterate on one thread at a time. done(), done_through(), keep_alive(), is_stale() and the destructor may be called on
/// any thread, also after the consumer or its execution context has gone.
class batch {
 public:
  /// Decodes while iterating. A record that does not decode throws kawait::error(errc::corrupt_batch), whose words name topic,
  /// partition and offset. Once such a batch is released, its stream fails with the same and position() is that offset, so that a seek
  /// can go past it; done() of the batch goes past it, too.
  class iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = record;
    using difference_type = std::ptrdiff_t;
    using reference = const record&;
    using pointer = const record*;

    iterator() = default;
    reference operator*() const noexcept { return current_; }
    pointer operator->() const noexcept { return &current_; }
    iterator& operator++() {
      if (!reader_.next(current_)) [[unlikely]] next_segment();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept { return i.lease_ == nullptr; }

   private:
    friend class batch;
    explicit iterator(const runtime::lease* l) : lease_(l) { open_segment(); }
    KAWAIT_DECL void open_segment();
    KAWAIT_DECL void next_segment();
    [[noreturn]] KAWAIT_DECL void fail(const failure& bad, std::int64_t offset) const;

    const runtime::lease* lease_ = nullptr;
    std::size_t segment_ = 0;
    wire::record_reader reader_;
    record current_;
  };

  /// Empty, as after a move: only assignment, destruction and iteration are allowed.
  batch() noexcept = default;
  explicit batch(std::unique_ptr<runtime::lease> l) noexcept : lease_(l.release()) {}
  batch(batch&& other) noexcept : lease_(std::exchange(other.lease_, nullptr)) {}
  /// Releases the lease that it had, and leaves the other empty.
  batch& operator=(batch&& other) noexcept {
    runtime::lease* const taken = std::exchange(other.lease_, nullptr);
    if (lease_) lease_->release();
    lease_ = taken;
    return *this;
  }
  /// Releases the lease.
  ~batch() {
    if (lease_) lease_->release();
  }

  /// False when it is empty, as after a move.
  explicit operator bool() const noexcept { return lease_ != nullptr; }

  iterator begin() const { return lease_ ? iterator(lease_) : iterator(); }
  std::default_sentinel_t end() const noexcept { return {}; }

  const std::string& topic() const noexcept { return lease_->info->topic; }
  std::int32_t partition() const noexcept { return lease_->info->id.partition; }
  /// No record of the batch is below it.
  std::int64_t first_offset() const noexcept { return lease_->first_offset; }
  /// The position behind the batch; what is committed once all of it, and all before it, is done.
  std::int64_t next_offset() const noexcept { return lease_->next_offset; }
  /// An upper bound of the records in it, from the batch headers.
  std::size_t size_hint() const noexcept { return lease_->record_count; }

  /// All of it is done.
  void done() noexcept { lease_->mark_all_done(); }
  /// The record and all before it in this batch are done (KafkaJS's resolveOffset).
  KAWAIT_DECL void done_through(const record& r) noexcept;
  /// This record is done, others before it perhaps not yet: what may be committed is the low-water mark. Allocates eight bytes a
  /// record at the first call for a batch; throws std::bad_alloc.
  KAWAIT_DECL void done(const record& r);

  /// "Still working": restarts max.poll.interval.ms for the partition (KafkaJS's heartbeat()).
  void keep_alive() noexcept { lease_->info->activity.fetch_add(1, std::memory_order_relaxed); }
  /// The partition is no longer ours: the work will be done again elsewhere, and nothing of it can be committed.
  bool is_stale() const noexcept { return lease_->info->stale.load(std::memory_order_acquire); }

  /// A copy of the records that holds no lease. Throws as iterating does, and std::bad_alloc.
  KAWAIT_DECL owned_batch to_owned() const;

  /// For the library.
  runtime::lease& lease() const noexcept { return *lease_; }

 private:
  runtime::lease* lease_ = nullptr;
};

/// A copy of a batch's records: no lease, no deadline, nothing to be done or committed through it.
class owned_batch {
 public:
  struct owned_header {
    std::string key;
    std::string value;
    bool is_null = false;
  };
  struct owned_record {
    std::int64_t offset = -1;
    std::int64_t timestamp_ms = -1;
    std::string key, value;
    bool key_is_null = false, value_is_null = false;
    std::vector<owned_header> headers;
  };

  const std::string& topic() const noexcept { return topic_; }
  std::int32_t partition() const noexcept { return partition_; }
  std::int64_t next_offset() const noexcept { return next_offset_; }
  auto begin() const noexcept { return records_.begin(); }
  auto end() const noexcept { return records_.end(); }
  std::size_t size() const noexcept { return records_.size(); }

 private:
  friend class batch;
  std::string topic_;
  std::int32_t partition_ = -1;
  std::int64_t next_offset_ = -1;
  std::vector<owned_record> records_;
};

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/batch.ipp>
#endif
