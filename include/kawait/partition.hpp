#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/batch.hpp>
#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/operation.hpp>
#include <kawait/runtime/engine.hpp>

namespace kawait {

/// What came of one partition's part in a commit.
struct commit_status {
  topic_partition partition;
  std::int64_t offset = -1;  ///< The next record to be read by whoever takes over.
  std::error_code code;      ///< None: it is committed.
  std::string words;         ///< What belongs to the code, if anything.
};

/// What came of a commit, by partition. Empty if nothing was done since the last.
using commit_result = std::vector<commit_status>;

/// One assigned partition: a stream of batches that one coroutine reads, until the partition is revoked or lost.
///
/// A handle: copies refer to the same stream, and may outlive the consumer, not its execution context. Each assignment has a stream of
/// its own; a handle never carries over to the next one. Of an empty one only copies are made and bool is asked. Offsets are looked up and
/// fetching begins with the first read, so that a seek before it needs no committed offset.
///
/// Thread safety: async_ functions may be started and cancelled anywhere; they run on the consumer's executor and complete on the
/// handler's. With a token, a `diagnostics` before it receives an error's words, where there are any; it must live until then. The
/// others belong to the consumer's executor, but for topic(), index(), end_reason(), is_running(), keep_alive() and is_stale().
class partition {
 public:
  /// Empty.
  partition() = default;
  explicit operator bool() const noexcept { return info_ != nullptr; }

  const std::string& topic() const noexcept { return info_->topic; }
  /// The partition's number within its topic.
  std::int32_t index() const noexcept { return info_->id.partition; }
  topic_partition name() const { return topic_partition(topic(), index()); }

  /// The next batch; none when the stream has ended (revoked, lost, closed or the consumer has failed: see end_reason()). Records that
  /// were fetched but not handed out when it ends are dropped; the next owner reads them.
  ///
  /// Completes with void(std::error_code, std::optional<batch>); without a token the awaitable throws kawait::error. One read at a time.
  /// Errors: errc::batch_abandoned (the offset is in the words), lease_quota (release batches and go on), no_offset, log_truncated,
  /// corrupt_batch, crc_mismatch, unsupported_magic, unsupported_codec, decompression_limit (all of them with topic, partition and offset; they are
  /// repeated until a seek), a broker's refusal to serve the partition (kafka_error::topic_authorization_failed), already_running (a
  /// second reader), asio::error::operation_aborted (cancelled: nothing is lost; or the consumer was destroyed).
  KAWAIT_DECL asio::awaitable<std::optional<batch>> async_next() const;
  template <class Token>
  auto async_next(Token&& token) const {
    return detail::initiate<std::optional<batch>>(executor_, next_operation(engine_, stream_), std::forward<Token>(token));
  }
  template <class Token>
  auto async_next(diagnostics& words, Token&& token) const {
    return detail::initiate<std::optional<batch>>(executor_, next_operation(engine_, stream_), std::forward<Token>(token), &words);
  }

  /// As async_next(), but none at the end of the log, too: at once if at_end(), else as soon as it is. To read to the end and stop:
  ///
  ///     while (auto batch = co_await p.async_next_or_end()) { ...; batch->done(); }
  ///     if (p.end_reason() == end_reason::none) ...  // all is read; else the partition has gone
  ///
  /// Also where there is nothing to read: in an empty log, behind records of aborted transactions, or where compaction removed the last.
  /// The end is what brokers know of it and say with each fetch, so it may take fetch.max.wait.ms. Under read_committed it lies before the
  /// first transaction that is not decided. While others write, it is a moment's: everything was read that was there when the broker
  /// answered, and more may be there by now, which the next read gives; one that is written faster than it is read has none. Compare
  /// with what consumer::async_end_offsets told before to stop there all the same. While paused it waits.
  KAWAIT_DECL asio::awaitable<std::optional<batch>> async_next_or_end() const;
  template <class Token>
  auto async_next_or_end(Token&& token) const {
    return detail::initiate<std::optional<batch>>(executor_, next_or_end_operation(engine_, stream_), std::forward<Token>(token));
  }
  template <class Token>
  auto async_next_or_end(diagnostics& words, Token&& token) const {
    return detail::initiate<std::optional<batch>>(executor_, next_or_end_operation(engine_, stream_), std::forward<Token>(token), &words);
  }
  /// Everything was handed out that was there when a broker last answered a fetch from position(). False before the first answer, after
  /// a seek or pause until the next, and once the stream has ended.
  bool at_end() const {
    const auto s = stream_.lock();
    return s && s->at_end();
  }

  /// Until try_next() would give a batch, an error, or the end. Takes nothing, so it may lose a race against a timer.
  /// Completes with void(std::error_code): operation_aborted when cancelled, or the consumer was destroyed.
  KAWAIT_DECL asio::awaitable<void> async_wait() const;
  template <class Token>
  auto async_wait(Token&& token) const {
    return detail::initiate<void>(executor_, wait_operation(engine_, stream_), std::forward<Token>(token));
  }
  /// The next batch if one can be had at once. Throws kawait::error as async_next() does.
  KAWAIT_DECL std::optional<batch> try_next() const;

  /// Until the stream ends. Completes with void(std::error_code): operation_aborted when cancelled, or the consumer was destroyed.
  KAWAIT_DECL asio::awaitable<void> async_wait_end() const;
  template <class Token>
  auto async_wait_end(Token&& token) const {
    return detail::initiate<void>(executor_, wait_end_operation(engine_, stream_), std::forward<Token>(token));
  }
  kawait::end_reason end_reason() const noexcept { return info_->ended.load(std::memory_order_acquire); }
  /// Until the stream has ended: a handler that works long on what it has in hand may ask, and stop early. One of for_each_batch or
  /// for_each_record that was told no is no longer done by returning: what it has not marked itself is the next owner's.
  bool is_running() const noexcept {
    if (end_reason() == kawait::end_reason::none) return true;
    info_->was_told_to_stop.store(true, std::memory_order_relaxed);
    return false;
  }
  /// "Still working": restarts max.poll.interval.ms for the partition, as batch::keep_alive() does.
  void keep_alive() const noexcept { info_->activity.fetch_add(1, std::memory_order_relaxed); }
  /// It is no longer ours, with nothing left to drain or commit.
  bool is_stale() const noexcept { return info_->stale.load(std::memory_order_acquire); }

  /// The next batch begins at `offset`. What is queued is dropped; what was done before no longer counts for commits, nor does late
  /// work on earlier batches. Throws kawait::error(errc::not_assigned) once the stream has ended, invalid_config if negative.
  KAWAIT_DECL void seek(std::int64_t offset) const;
  /// The next batch begins with the first record that the log has then; at its end (under read_committed: before the first transaction
  /// that is not decided); with the first record of this time or later (milliseconds count; before 1970 is 1970), or at the end if there
  /// is none. All as seek(), but that the leader is asked for the offset, as soon as reading has begun: until then position() is unknown.
  /// Whatever is done meanwhile, the last seek counts. What the leader refuses, async_next fails with.
  KAWAIT_DECL void seek_to_beginning() const;
  KAWAIT_DECL void seek_to_end() const;
  KAWAIT_DECL void seek_to(std::chrono::system_clock::time_point time) const;
  /// Hands out nothing more until resume(); nothing that is buffered is lost. Ends with the assignment. Like resume(), throws
  /// kawait::error(errc::not_assigned) once the stream has ended.
  KAWAIT_DECL void pause() const;
  KAWAIT_DECL void resume() const;
  bool is_paused() const {
    const auto s = stream_.lock();
    return s && s->is_paused();
  }
  /// Where the next batch begins; unknown before it was looked up.
  KAWAIT_DECL std::optional<std::int64_t> position() const;
  /// Records between position() and the end of the log (or, under read_committed, of what is decided), as of the last fetch.
  KAWAIT_DECL std::optional<std::int64_t> lag() const;

  /// Commits what is done of this partition. Completes with void(std::error_code, commit_result): errc::commit_failed if it was refused,
  /// or not answered within default.api.timeout.ms (what was sent by then is waited for, for request.timeout.ms), or the consumer ended
  /// before (the result says why); errc::not_assigned once the partition is stale (while it is being revoked it may still be committed);
  /// operation_aborted if cancelled, or the consumer was destroyed (what was sent may be committed nevertheless); group_required.
  KAWAIT_DECL asio::awaitable<commit_result> async_commit() const;
  template <class Token>
  auto async_commit(Token&& token) const {
    return detail::initiate<commit_result>(executor_, commit_operation(engine_, stream_), std::forward<Token>(token));
  }
  template <class Token>
  auto async_commit(diagnostics& words, Token&& token) const {
    return detail::initiate<commit_result>(executor_, commit_operation(engine_, stream_), std::forward<Token>(token), &words);
  }

  friend bool operator==(const partition& a, const partition& b) noexcept { return a.info_ == b.info_; }

  /// For the library.
  KAWAIT_DECL partition(const std::shared_ptr<runtime::engine>& e, const runtime::stream_ptr& s);
  const std::shared_ptr<runtime::partition_info>& info() const noexcept { return info_; }
  /// On the consumer's executor.
  runtime::stream_ptr stream() const noexcept { return stream_.lock(); }

 private:
  using weak_engine = std::weak_ptr<runtime::engine>;
  using weak_stream = std::weak_ptr<runtime::partition_stream>;

  // Operations as objects with their state, since a lambda with captures in a coroutine's arguments is destroyed twice by g++ 12.
  struct operation {
    operation(weak_engine e, weak_stream s) : engine(std::move(e)), stream(std::move(s)) {}
    weak_engine engine;
    weak_stream stream;
  };
  struct next_operation : operation {
    using operation::operation;
    asio::awaitable<result<std::optional<batch>>> operator()() const { return next(engine.lock(), stream.lock(), false); }
  };
  struct next_or_end_operation : operation {
    using operation::operation;
    asio::awaitable<result<std::optional<batch>>> operator()() const { return next(engine.lock(), stream.lock(), true); }
  };
  struct wait_operation : operation {
    using operation::operation;
    asio::awaitable<failure> operator()() const { return wait(engine.lock(), stream.lock()); }
  };
  struct wait_end_operation : operation {
    using operation::operation;
    asio::awaitable<failure> operator()() const { return wait_end(engine.lock(), stream.lock()); }
  };
  struct commit_operation : operation {
    using operation::operation;
    asio::awaitable<std::pair<failure, commit_result>> operator()() const { return commit(engine.lock(), stream.lock()); }
  };

  KAWAIT_DECL static asio::awaitable<result<std::optional<batch>>> next(std::shared_ptr<runtime::engine> e, runtime::stream_ptr s,
                                                                        bool or_end);
  KAWAIT_DECL static asio::awaitable<failure> wait(std::shared_ptr<runtime::engine> e, runtime::stream_ptr s);
  KAWAIT_DECL static asio::awaitable<failure> wait_end(std::shared_ptr<runtime::engine> e, runtime::stream_ptr s);
  KAWAIT_DECL static asio::awaitable<std::pair<failure, commit_result>> commit(std::shared_ptr<runtime::engine> e, runtime::stream_ptr s);
  KAWAIT_DECL runtime::stream_ptr live_stream(const char* call) const;

  asio::any_io_executor executor_;
  weak_engine engine_;
  weak_stream stream_;
  std::shared_ptr<runtime::partition_info> info_;
};

namespace detail {

/// As brokers take times: the millisecond that begins with it or after it. Below zero there are no times.
inline std::int64_t to_timestamp(std::chrono::system_clock::time_point t) {
  return std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(t.time_since_epoch()).count());
}

/// errc::commit_failed, with words that list what was refused and why, if anything was.
KAWAIT_DECL std::pair<failure, commit_result> to_commit_result(std::vector<machine::commit_outcome> outcomes);

}  // namespace detail
}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/partition.ipp>
#endif
