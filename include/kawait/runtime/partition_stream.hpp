#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include <asio/any_io_executor.hpp>

#include <kawait/core/result.hpp>
#include <kawait/core/types.hpp>
#include <kawait/machine/leased.hpp>
#include <kawait/machine/offset_tracker.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/buffer_pool.hpp>
#include <kawait/runtime/gate.hpp>
#include <kawait/runtime/lease.hpp>
#include <kawait/runtime/options.hpp>
#include <kawait/wire/compression.hpp>
#include <kawait/wire/record_batch.hpp>

namespace kawait::runtime {

/// Part of a response: the records of one partition, and the slab that holds them.
struct chunk {
  wire::slab_ref buffer;
  std::span<const std::byte> bytes;   ///< Whole record batches that are not handed out yet.
  std::int64_t next_offset = 0;       ///< The position behind them.
  wire::aborted_transactions aborted;
  failure error;                      ///< What stands behind the whole batches instead of more of them.
};

class partition_stream;

/// Hears what a stream's readers do. Implemented by the engine; all calls on the consumer's executor.
class stream_host {
 public:
  virtual void on_first_read(partition_stream&) = 0;  ///< Offsets are fetched and fetching begins.
  virtual void on_seek(partition_stream&) = 0;        ///< The position was set by the user; or the place is that is to be looked up.
  virtual void on_demand(partition_stream&) = 0;      ///< Paused, resumed, or room in its share of the buffer.
  virtual void on_readable(partition_stream&) = 0;    ///< Data, an error, or the end: a reader may go on.
  /// Its reader has reached a position that the leader's log does not hold.
  virtual void on_out_of_range(partition_stream&, const offset_and_epoch& position) = 0;

 protected:
  ~stream_host() = default;
};

/// What a hand-out needs beside the stream.
struct hand_out_context {
  buffer_pool& pool;
  wire::decompressor& codecs;
  std::shared_ptr<release_queue> releases;
  std::size_t decompression_limit;
  bool check_crcs;
  bool read_committed;
};

/// One lease generation of one partition: from its assignment until the last batch of it is released. Holds what was fetched and not
/// yet read, the two positions (of fetching, and of hand-out), and the offsets that are done.
class partition_stream : public std::enable_shared_from_this<partition_stream> {
 public:
  KAWAIT_DECL partition_stream(asio::any_io_executor executor, stream_host& host, const machine::leased& id, std::string topic);

  const machine::leased& id() const noexcept { return id_; }
  const std::string& topic() const noexcept { return info_->topic; }
  const std::shared_ptr<partition_info>& info() const noexcept { return info_; }
  topic_partition name() const { return topic_partition(info_->topic, id_.partition.partition); }

  /// Automatic mode: a batch released without done() stops the stream, rather than leave a hole that nobody sees. Set when it is made.
  void require_done(bool on) noexcept { done_is_required_ = on; }

  // ---- For readers.

  /// The next batch if one can be had at once; nullptr if not. A failure ends or stops the stream; see is_ended().
  KAWAIT_DECL result<std::unique_ptr<lease>> take(const hand_out_context& context);
  /// Whether a reader that waits would go on now.
  KAWAIT_DECL bool is_readable() const noexcept;
  /// The first read: fetching begins. Idempotent.
  KAWAIT_DECL void start();
  net::condition& readable() noexcept { return readable_; }
  /// A reader in async_next; while there is one, the handler is not cancelled when the partition is lost: its stream merely ends.
  std::size_t waiting = 0;
  /// The application called: what max.poll.interval.ms waits for, with done() and keep_alive().
  void note_activity() noexcept { info_->activity.fetch_add(1, std::memory_order_relaxed); }
  /// Data waits for the application or is in its hands, and it could go on: what waits for its turn, or to be tried again, is no
  /// standstill, unless something else of this partition has a turn.
  bool owes_work() const noexcept {
    const bool is_excused = turns_awaited > 0 && turns_held == 0;
    return !is_ended() && !paused_ && !is_excused && (has_data() || leased_bytes_ > 0);
  }
  std::size_t turns_awaited = 0;  ///< Of its handlers, by handler_slots.
  std::size_t turns_held = 0;
  /// Who waits for a turn waits by itself, so that a turn wakes one of them; the end wakes all.
  std::list<net::condition*> turn_waiters;
  bool is_announced = false;  ///< The user knows of it.
  bool is_listed = false;     ///< In the engine's list of streams that have something to read.

  // ---- Position.

  /// Where the next batch handed out starts. Where a released one did not decode it is there, before the next read fails with it, too:
  /// who begins again from here must not go past it.
  std::optional<std::int64_t> position() const noexcept { return damage_ ? damage_->at : read_position_; }
  KAWAIT_DECL void seek(const offset_and_epoch& to);
  /// The log has lost what lay at `end` and above, and what is queued is to be fetched again. Work in hand below it still counts: no
  /// commit goes past it before it is done. Returns where it is read on.
  KAWAIT_DECL std::int64_t go_back(const offset_and_epoch& end);
  /// To where the log has a time (ms since 1970, or one of ListOffsets' special times), which is yet to be looked up.
  KAWAIT_DECL void seek_to_time(std::int64_t timestamp);
  /// What is looked for, or will be, because of that.
  KAWAIT_DECL std::optional<std::int64_t> sought_time() const noexcept;
  /// What comes behind what is queued is not in the log (any more): once the reader gets there, the position is looked up anew.
  KAWAIT_DECL void on_out_of_range();
  /// The position was found; ignored unless it is still looked for.
  KAWAIT_DECL void on_located(const offset_and_epoch& where);
  /// The same, of a position that was refused because its log was truncated to there: as go_back().
  KAWAIT_DECL void on_truncated(const offset_and_epoch& end);
  KAWAIT_DECL void on_locate_failed(failure why);
  /// Readers get the failure until a seek, once they have read what is queued: what comes then cannot be read.
  KAWAIT_DECL void fail(failure why);
  std::int64_t high_watermark = -1;
  std::int64_t last_stable_offset = -1;
  std::int64_t end_of_log(isolation_level isolation) const noexcept {
    return isolation == isolation_level::read_committed ? last_stable_offset : high_watermark;
  }

  /// Everything is read that there was when a broker answered last.
  bool at_end() const noexcept { return end_seen_ && queue_.empty() && position() == end_seen_ && !is_ended(); }
  /// A broker had nothing to read at `offset`, and now.
  KAWAIT_DECL void on_end_seen(std::int64_t offset);
  /// It had not. That may be below the end of the log: compaction has left nothing of the last offsets.
  bool was_end(std::int64_t offset) const noexcept { return end_seen_ == offset; }
  /// A broker is known to have something to read there.
  bool has_more_at(std::int64_t offset, isolation_level isolation) const noexcept {
    return offset < end_of_log(isolation) && !was_end(offset);
  }
  /// A broker had something there that it did not send.
  void on_more_seen() noexcept {
    end_seen_.reset();
    passed_over_ = 0;
  }
  /// A broker sent nothing of it, and other partitions' records. Of `partitions` that take turns each has had its own before so
  /// many answers are over, if it has something.
  KAWAIT_DECL void on_passed_over(std::int64_t offset, std::size_t partitions);

  // ---- Fetching.

  /// Where the next fetch reads; nothing while it is unknown, after the end, or after a failure.
  KAWAIT_DECL std::optional<offset_and_epoch> fetch_position() const noexcept;
  /// Whether it should be fetched: it has a position, is not paused and has room. Sticky between full and half full, so that a
  /// partition is not forgotten from and added to its session with every batch.
  KAWAIT_DECL bool wants_fetch() noexcept;
  KAWAIT_DECL void on_fetched(chunk data, const wire::records_summary& summary);
  std::size_t held_bytes() const noexcept { return queued_bytes_ + leased_bytes_; }
  /// What may be queued of an answer, and the record batch that reaches beyond it; at least one.
  KAWAIT_DECL std::size_t room() const noexcept;
  /// The most that an answer should bring of it: what there is room for, or a record batch as large as it had of late, which it may have
  /// anyway. An answer of many partitions has those only that fit into what was asked for.
  KAWAIT_DECL std::size_t fetch_room() const noexcept;
  /// Of late; 0: unknown.
  std::size_t largest_batch() const noexcept { return largest_batch_; }
  /// The largest that any partition of the consumer had.
  void set_largest_elsewhere(std::size_t bytes) noexcept { largest_elsewhere_ = bytes; }
  /// So much more than its share may be queued. What its readers hold keeps to the share.
  void set_ahead(std::size_t bytes) noexcept {
    ahead_ = bytes;
    if (bytes > 0) is_moving_ = false;
  }
  std::size_t ahead() const noexcept { return ahead_; }
  /// A batch of it came back since it was let go ahead last: it is being read.
  bool is_moving() const noexcept { return is_moving_; }
  /// Below what its own batches in hand fill, its reader is told: nothing is fetched until he releases some.
  /// Above, he is told of what is there already, of which nothing else would tell him.
  KAWAIT_DECL void set_quota(std::size_t bytes);
  std::size_t quota() const noexcept { return quota_; }
  bool has_data() const noexcept { return !queue_.empty(); }

  KAWAIT_DECL void pause();
  KAWAIT_DECL void resume();
  bool is_paused() const noexcept { return paused_; }

  // ---- Ends.

  /// Ends the stream: what is queued is dropped, readers learn why. The gate closes; leases live on.
  KAWAIT_DECL void end(end_reason why, failure error = {});
  /// Nothing of it can be committed any more.
  void make_stale() noexcept { info_->stale.store(true, std::memory_order_release); }
  bool is_ended() const noexcept { return why_ended() != end_reason::none; }
  end_reason why_ended() const noexcept { return info_->ended.load(std::memory_order_relaxed); }
  /// What a reader is told that waits for it when the consumer is destroyed or its run is cancelled; other ends are no errors.
  failure why_aborted() const { return why_ended() == end_reason::closed ? end_error_ : failure(); }
  gate& work() noexcept { return gate_; }
  net::condition& ended() noexcept { return ended_condition_; }

  // ---- Done and released, from the release queue.
  KAWAIT_DECL void on_marked(lease& l);
  KAWAIT_DECL void on_released(lease& l);
  machine::offset_tracker& tracker() noexcept { return tracker_; }
  /// The offset that no commit goes past, of a batch released without done() where that stops no reader; told once.
  KAWAIT_DECL std::optional<std::int64_t> take_untold_hole() noexcept;

 private:
  struct unstarted {
    std::optional<offset_and_epoch> wanted;  // by a seek before the first read
    std::optional<std::int64_t> time;        // the same
  };
  struct locating {
    std::optional<std::int64_t> time;  // that was sought; else it is the committed offset, or what the reset policy says
  };
  struct flowing {
    offset_and_epoch fetch_position;
  };
  struct stopped {
    failure why;  // until a seek
  };
  struct damage {
    std::int64_t batch;  // its first offset
    std::int64_t at;
  };

  bool has_stopped() const noexcept { return std::holds_alternative<stopped>(state_); }
  bool has_hole() const noexcept { return damage_ || (done_is_required_ && tracker_.abandoned()); }
  /// Its own unreleased batches fill its share: a reader is told instead of waiting for itself.
  bool has_leases_over_quota() const noexcept { return leased_bytes_ > 0 && leased_bytes_ >= quota_; }
  KAWAIT_DECL failure fill(lease& l, chunk& from, const hand_out_context& context);
  KAWAIT_DECL failure add_batch(lease& l, chunk& from, const wire::batch_view& batch, const hand_out_context& context,
                                std::size_t& inflated);
  KAWAIT_DECL void copy_out(lease& l, const hand_out_context& context);
  KAWAIT_DECL void hand_out(lease& l);
  KAWAIT_DECL void drop_queue();
  KAWAIT_DECL void leave_position();
  /// From where the reader is: what was queued is lost.
  KAWAIT_DECL void fetch_again() noexcept;
  KAWAIT_DECL void restart(const offset_and_epoch& position);
  KAWAIT_DECL void ask_for_more() noexcept;
  KAWAIT_DECL void wake_readers();
  KAWAIT_DECL void stop(failure why);
  KAWAIT_DECL void stop_at_hole();
  KAWAIT_DECL void meet(failure why);
  KAWAIT_DECL void put_behind(failure why);

  machine::leased id_;
  stream_host& host_;
  std::shared_ptr<partition_info> info_;
  std::variant<unstarted, locating, flowing, stopped> state_;
  failure end_error_;
  std::optional<std::int64_t> read_position_;
  std::int32_t read_epoch_ = -1;            // the leader's, of what precedes it: brokers see by it that their log was truncated
  std::optional<std::int64_t> end_seen_;    // where the log ended when a broker answered last, if it was the position of fetching
  std::size_t passed_over_ = 0;             // answers with others' records only
  std::optional<damage> damage_;            // of a batch that was released, whose iteration ended there
  std::optional<std::int64_t> told_hole_;   // the last of take_untold_hole()
  std::deque<chunk> queue_;
  std::size_t queued_bytes_ = 0;
  std::size_t leased_bytes_ = 0;
  std::size_t quota_ = 0;
  std::size_t ahead_ = 0;
  std::size_t largest_batch_ = 0;
  std::size_t largest_elsewhere_ = 0;
  bool is_moving_ = false;
  bool done_is_required_ = true;
  bool full_ = false;
  bool paused_ = false;
  machine::offset_tracker tracker_;
  gate gate_;
  net::condition readable_;
  net::condition ended_condition_;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/partition_stream.ipp>
#include <kawait/runtime/impl/partition_stream_hand_out.ipp>
#endif
