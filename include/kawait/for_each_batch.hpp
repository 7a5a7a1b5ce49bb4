#pragma once

#include <memory>
#include <utility>

#include <asio/awaitable.hpp>

#include <kawait/batch.hpp>
#include <kawait/consumer.hpp>
#include <kawait/for_each_options.hpp>
#include <kawait/for_each_work.hpp>

namespace kawait {

/// What for_each_batch runs: takes (batch&) or (batch&, partition&), const or not; returns asio::awaitable<void>, or void. An object
/// with state is one object for all partitions; it may be move-only.
template <class Handler>
concept batch_handler = detail::plain_handler<Handler, batch> || detail::coroutine_handler<Handler, batch>;

namespace detail {

class batch_host : public work_host {
 public:
  using work_host::work_host;

 protected:
  virtual asio::awaitable<void> handle(batch& b, partition& p) = 0;

 private:
  KAWAIT_DECL asio::awaitable<void> invoke(partition p) final;
};

template <class Handler>
class batch_host_of final : public batch_host {
 public:
  batch_host_of(std::shared_ptr<runtime::engine> e, for_each_settings s, Handler h)
      : batch_host(std::move(e), std::move(s)), handler_(std::move(h)) {}

 private:
  asio::awaitable<void> handle(batch& b, partition& p) override {
    if constexpr (plain_handler<Handler, batch>) {
      return call(handler_, b, p);
    } else {
      return call_handler(handler_, b, p);
    }
  }
  static asio::awaitable<void> call(Handler& h, batch& b, partition& p) {
    call_handler(h, b, p);
    co_return;
  }

  Handler handler_;
};

}  // namespace detail

/// Runs the consumer and calls the handler with each batch; of one partition with one batch after the other, in order, of several at
/// once (KafkaJS's eachBatch). Returning is done: of all of the batch.
///
///     struct inserter {                                    // a handler with state: one object for all partitions
///       explicit inserter(database& d) : db(&d) {}
///       database* db;
///       asio::awaitable<void> operator()(kawait::batch& orders) const {
///         for (const kawait::record& r : orders) co_await db->async_insert(r.key(), r.value());
///         co_await db->async_flush();                      // what is thrown until here is not done
///       }
///     };
///     inserter insert(db);
///     co_await kawait::for_each_batch(consumer, insert, kawait::concurrency(8), kawait::retry(5));
///
/// Options, in any order: on, concurrency, stop, retry, skip (for_each_options.hpp).
///
/// - The batch is the handler's until it returns, or its coroutine has ended. Long work says keep_alive() now and then. done_through()
///   makes part of it count before. A handler that moves the batch away has it done, or not, as it says itself.
/// - A partition that is revoked or closed gets no further batch; the handler finishes the one in hand, or asks
///   partition::is_running() and returns sooner: then what it has not marked itself is the next owner's. At the deadline and when the
///   partition is lost it is cancelled, at what it then waits for; the operation_aborted that it ends with is no error.
/// - A handler that throws ends everything in order, unless `retry` or `skip` say otherwise, and so does cancelling: as
///   for_each_partition. What throws otherwise: errors of partition::async_next.
/// - The handler is moved in, never copied, and kept until its last call has ended. Without `on` it runs on the consumer's executor,
///   where a plain function keeps everything else waiting.
///
/// g++ 12: give a handler with captures a name before the co_await, see for_each_partition. Throws kawait::error: what for_each_partition
/// throws.
template <batch_handler Handler, detail::for_each_option... Options>
asio::awaitable<void> for_each_batch(consumer& c, Handler handler, Options... options) {
  static_assert(!(detail::within_partition<Options> || ...), "by_key and any_order are for for_each_record: a batch is handled as a whole");
  static_assert(detail::each_once<Options...>, "an option is given twice");
  static_assert(detail::stops_or_skips<Options...>, "stop and skip: what is to become of work whose handler throws?");
  detail::for_each_settings settings;
  (settings.set(std::move(options)), ...);
  return detail::handler_host::run(
      std::make_shared<detail::batch_host_of<Handler>>(c.engine(), std::move(settings), std::move(handler)));
}

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/for_each_batch.ipp>
#endif
