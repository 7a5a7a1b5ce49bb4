#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <asio/awaitable.hpp>

#include <kawait/batch.hpp>
#include <kawait/consumer.hpp>
#include <kawait/core/mutation.hpp>
#include <kawait/for_each_options.hpp>
#include <kawait/for_each_work.hpp>
#include <kawait/record.hpp>

namespace kawait {

/// What for_each_record runs: takes (const record&) or (const record&, partition&), by value if it likes; returns
/// asio::awaitable<void>, or void. An object with state is one object for all partitions; it may be move-only.
template <class Handler>
concept record_handler = detail::plain_handler<Handler, const record> || detail::coroutine_handler<Handler, const record>;

namespace detail {

/// A batch on its way through a handler, record by record.
class record_walk {
 public:
  /// `at_once`: every record is marked when it is done, since the consumer may look meanwhile. Else all of them are when this goes.
  record_walk(const batch& b, const partition& p, bool at_once) : at(b.begin()), lease_(b.lease()), info_(*p.info()), at_once_(at_once) {}
  record_walk(const record_walk&) = delete;
  record_walk& operator=(const record_walk&) = delete;
  ~record_walk() { mark(); }

  bool is_at_end() const noexcept { return at == std::default_sentinel; }
  bool is_over() const noexcept { return is_left_ || is_at_end(); }
  /// What is not done is the next owner's.
  void leave() noexcept { is_left_ = true; }
  bool is_left() const noexcept { return is_left_; }

  /// The handler has returned: the record is done, unless the handler was told to stop. Returns whether it is.
  bool on_returned(const record& r) noexcept {
    if (info_.was_told_to_stop.load(std::memory_order_relaxed)) [[unlikely]] {
      leave();
      return false;
    }
    on_done(r);
    return true;
  }
  void on_done(const record& r) noexcept {
    done_below_ = r.offset() + 1;
    if (at_once_) mark();
    const bool has_ended = info_.ended.load(std::memory_order_relaxed) != end_reason::none;
    if (has_ended && !KAWAIT_MUTANT(works_on_after_the_end)) [[unlikely]] leave();
  }
  void mark() noexcept {
    if (done_below_ >= 0) lease_.mark_done_through(done_below_);
  }
  /// Behind the last record there may be offsets that are nobody's.
  void mark_all() noexcept {
    lease_.mark_all_done();
    done_below_ = -1;
  }

  batch::iterator at;

 private:
  runtime::lease& lease_;
  const runtime::partition_info& info_;
  std::int64_t done_below_ = -1;
  bool at_once_;
  bool is_left_ = false;
};

class record_host : public work_host {
 public:
  record_host(std::shared_ptr<runtime::engine> e, for_each_settings s, bool is_plain)
      : work_host(std::move(e), std::move(s)), is_plain_(is_plain) {}

  /// A coroutine's: one record.
  virtual asio::awaitable<void> handle(const record& r, partition& p) = 0;

 protected:
  /// A plain function's: from walk.at until the batch is over, the turn is wanted elsewhere, or the handler throws; that is returned.
  virtual std::exception_ptr handle_on(record_walk& walk, partition& p, const work_turn& turn) = 0;

 private:
  KAWAIT_DECL asio::awaitable<void> invoke(partition p) final;
  KAWAIT_DECL asio::awaitable<void> read(partition p);
  KAWAIT_DECL asio::awaitable<void> read_concurrently(partition p);
  KAWAIT_DECL asio::awaitable<void> settle(record_walk& walk, const partition& p, work_turn& turn, std::optional<attempts>& tries,
                                           std::exception_ptr thrown);

  bool is_plain_;
};

template <class Handler>
class record_host_of final : public record_host {
 public:
  static constexpr bool is_plain = plain_handler<Handler, const record>;

  record_host_of(std::shared_ptr<runtime::engine> e, for_each_settings s, Handler h)
      : record_host(std::move(e), std::move(s), is_plain), handler_(std::move(h)) {}

 private:
  asio::awaitable<void> handle(const record& r, partition& p) override {
    if constexpr (is_plain) {
      return never();
    } else {
      return call_handler(handler_, r, p);
    }
  }
  std::exception_ptr handle_on(record_walk& walk, partition& p, const work_turn& turn) override {
    if constexpr (is_plain) {
      return call_on(walk, p, turn);
    } else {
      return nullptr;
    }
  }
  // The iterator is a local, so that the compiler may keep it in registers.
  std::exception_ptr call_on(record_walk& walk, partition& p, const work_turn& turn) {
    batch::iterator at = walk.at;
    do {
      try {
        call_handler(handler_, *at, p);
      } catch (...) {
        walk.at = at;
        return std::current_exception();
      }
      if (!walk.on_returned(*at)) break;
      ++at;  // what this throws is not the handler's
    } while (at != std::default_sentinel && !walk.is_left() && !turn.is_contended());
    walk.at = at;
    return nullptr;
  }
  static asio::awaitable<void> never() { co_return; }

  Handler handler_;
};

}  // namespace detail

/// Runs the consumer and calls the handler with each record; of one partition with one record after the other, in order (by_key and
/// any_order: with several at once), of several partitions at once (KafkaJS's eachMessage). Returning is done.
///
///     struct counter {                                     // a handler with state: one object for all partitions
///       explicit counter(std::map<std::string, int>& m) : words(&m) {}
///       std::map<std::string, int>* words;
///       void operator()(const kawait::record& r) const { ++(*words)[std::string(r.value().value_or(""))]; }
///     };
///     std::map<std::string, int> words;
///     counter count(words);
///     co_await kawait::for_each_record(consumer, count);
///
///     auto charge = [&bank](kawait::record order, kawait::partition p) -> asio::awaitable<void> { ... };
///     co_await kawait::for_each_record(consumer, charge, kawait::by_key(8), kawait::concurrency(32), kawait::retry(5));
///
/// Options, in any order: on, concurrency, by_key or any_order, stop, retry, skip (for_each_options.hpp).
///
/// - The record's bytes are there until the handler returns, or its coroutine has ended. Each that is done is a sign of life
///   (max.poll.interval.ms); long work on one says partition::keep_alive() now and then.
/// - A partition that is revoked or closed gets no further record; the handler finishes the one in hand, or asks
///   partition::is_running() and returns sooner: then the record is not done. At the deadline and when the partition is lost it is
///   cancelled, at what it then waits for; the operation_aborted that it ends with is no error.
/// - A handler that throws ends everything in order, unless `retry` or `skip` say otherwise, and so does cancelling: as
///   for_each_partition. What was done before it is committed. What throws otherwise: errors of partition::async_next, and
///   errc::corrupt_batch from what does not decode.
/// - The handler is moved in, never copied, and kept until its last call has ended. Without `on` it runs on the consumer's executor,
///   where a plain function keeps everything else waiting. A plain function costs no allocation per record, a coroutine its frame.
///
/// g++ 12: give a handler with captures a name before the co_await, see for_each_partition. Throws kawait::error: what for_each_partition
/// throws.
template <record_handler Handler, detail::for_each_option... Options>
asio::awaitable<void> for_each_record(consumer& c, Handler handler, Options... options) {
  static_assert(detail::coroutine_handler<Handler, const record> || !(detail::within_partition<Options> || ...),
                "by_key and any_order need a coroutine: a plain function is never called twice at once for one partition");
  static_assert(detail::at_most_one_order<Options...>, "by_key or any_order, and once: each says how the records of a partition are handled");
  static_assert(detail::each_once<Options...>, "an option is given twice");
  static_assert(detail::stops_or_skips<Options...>, "stop and skip: what is to become of work whose handler throws?");
  detail::for_each_settings settings;
  (settings.set(std::move(options)), ...);
  return detail::handler_host::run(
      std::make_shared<detail::record_host_of<Handler>>(c.engine(), std::move(settings), std::move(handler)));
}

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/for_each_record.ipp>
// Defines read_concurrently(), and needs this header itself: it comes last.
#include <kawait/record_crew.hpp>
#endif
