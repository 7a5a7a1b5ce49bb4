#pragma once

#include <concepts>
#include <exception>
#include <map>
#include <memory>
#include <type_traits>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/consumer.hpp>
#include <kawait/detail/cancellation.hpp>
#include <kawait/for_each_options.hpp>
#include <kawait/runtime/revocation.hpp>

namespace kawait {

namespace detail {

/// Runs a handler's coroutine for each assigned partition, and knows when each has ended.
class handler_host : public runtime::assignment_listener, public std::enable_shared_from_this<handler_host> {
 public:
  KAWAIT_DECL handler_host(std::shared_ptr<runtime::engine> e, asio::any_io_executor handlers);
  virtual ~handler_host() = default;

  /// Until the consumer is over and the last handler has ended. Throws what ended it. The work is a coroutine of its own, so that
  /// what it does to its cancellation state is not done to the caller's.
  KAWAIT_DECL static asio::awaitable<void> run(std::shared_ptr<handler_host> self);

 protected:
  virtual asio::awaitable<void> invoke(partition p) = 0;
  const std::shared_ptr<runtime::engine>& engine() const noexcept { return engine_; }
  /// Handlers do not run on the consumer's executor.
  bool is_elsewhere() const { return handler_executor_ != engine_->executor(); }

 private:
  // A handler that was cancelled may end with operation_aborted: that is no error.
  struct handler {
    std::weak_ptr<cancellation_relay> cancel;
    bool cancelled = false;
  };
  // Until the destructor the engine tells this host; a context that is destroyed destroys its coroutines in no order to rely on.
  class listening {
   public:
    explicit listening(std::shared_ptr<handler_host> host) : host_(std::move(host)) { host_->engine_->set_listener(host_.get()); }
    listening(const listening&) = delete;
    listening& operator=(const listening&) = delete;
    ~listening() { host_->engine_->set_listener(nullptr); }

   private:
    std::shared_ptr<handler_host> host_;
  };
  // Operations as objects, since a lambda with captures in a coroutine's arguments is destroyed twice by g++ 12.
  struct host_operation {
    explicit host_operation(std::shared_ptr<handler_host> h) : host(std::move(h)) {}
    std::shared_ptr<handler_host> host;
    asio::awaitable<failure> operator()() const { return host_handlers(host); }
  };
  struct handler_operation {
    handler_operation(std::shared_ptr<handler_host> h, std::shared_ptr<cancellation_relay> c, partition p)
        : host(std::move(h)), cancel(std::move(c)), what(std::move(p)) {}
    std::shared_ptr<handler_host> host;
    std::shared_ptr<cancellation_relay> cancel;
    partition what;
    // With the coroutine's frame goes what this holds of the consumer's: this itself is destroyed behind the completion, on a thread
    // that may be another's, when the user may have destroyed the context already.
    asio::awaitable<std::exception_ptr> operator()() { return run_handler(std::move(host), cancel, std::move(what)); }
  };

  KAWAIT_DECL void on_assigned(const runtime::stream_ptr& stream) override;
  KAWAIT_DECL void on_gone(runtime::partition_stream& stream) override;
  KAWAIT_DECL void on_handler_ended(const runtime::stream_ptr& stream, std::exception_ptr thrown);
  KAWAIT_DECL void fail(const runtime::partition_stream& stream, std::exception_ptr why);
  KAWAIT_DECL static asio::awaitable<failure> host_handlers(std::shared_ptr<handler_host> self);
  KAWAIT_DECL static asio::awaitable<std::exception_ptr> run_handler(std::shared_ptr<handler_host> self,
                                                                     std::shared_ptr<cancellation_relay> cancel, partition p);
  KAWAIT_DECL static asio::awaitable<void> run_engine(std::shared_ptr<handler_host> self);

  std::shared_ptr<runtime::engine> engine_;
  asio::any_io_executor handler_executor_;
  net::condition changed_;
  std::map<runtime::stream_ptr, handler> running_;
  std::exception_ptr thrown_;
  failure outcome_;
  bool engine_ended_ = false;
};

template <class Handler>
class handler_host_of final : public handler_host {
 public:
  handler_host_of(std::shared_ptr<runtime::engine> e, asio::any_io_executor handlers, Handler h)
      : handler_host(std::move(e), std::move(handlers)), handler_(std::move(h)) {}

 private:
  asio::awaitable<void> invoke(partition p) override { return handler_(std::move(p)); }

  Handler handler_;
};

}  // namespace detail

/// A coroutine that takes a partition: what for_each_partition runs. It may be an object with state, and move-only: all partitions'
/// coroutines are of the one object that for_each_partition was given.
template <class Handler>
concept partition_handler = std::move_constructible<Handler> && requires(Handler& h, partition p) {
  { h(std::move(p)) } -> std::same_as<asio::awaitable<void>>;
};

/// Runs the consumer, and one coroutine of `handler` for each partition as long as it is assigned. Returning is the drain: a revocation
/// completes once the handler has returned and released its batches; then the broker is told.
///
/// - A partition that is revoked or closed ends its stream; the handler finishes its work in hand. At the deadline, and when the partition
///   is lost, the handler is cancelled, unless it waits in async_next: then its stream merely ends. No second handler of a partition
///   starts before the first has ended.
/// - A handler that throws ends everything in order: all streams end, running handlers drain, done work is committed, the member
///   leaves; then the exception is rethrown (the first: of those that others throw until the consumer has ended observers are warned). A
///   handler that returns while its partition is still assigned is treated alike, with kawait::error(errc::handler_returned_early).
/// - Cancelling (with any type that the awaiting coroutine lets through; by default that is terminal only) does the same and ends with
///   operation_aborted; cancelling a second time is abrupt. As after any cancelled operation, the awaiting coroutine's own
///   cancellation state stays as the cancellation left it.
/// - Such an end in order has 30 s for all of it: to drain, commit and leave.
/// - After consumer.async_close() it returns.
///
/// g++ 12 destroys the captures of a lambda twice that is written inside a co_await expression: give a handler with captures a name
/// first, `auto work = [db](kawait::partition p) -> asio::awaitable<void> {...}; co_await for_each_partition(consumer, work);`.
///
/// What the close itself fails with (a commit that was refused, a deadline) is told by async_close(), not here. A handler must not await
/// async_close(), which waits for the handler: spawn it.
///
/// The handler is moved in, never copied, and kept until its last coroutine has ended. Throws kawait::error: what async_run completes
/// with, and errc::mixed_modes, already_running. The consumer must outlive it. May be awaited on any executor; it runs on the
/// consumer's.
template <partition_handler Handler>
asio::awaitable<void> for_each_partition(consumer& c, Handler handler) {
  return detail::handler_host::run(
      std::make_shared<detail::handler_host_of<Handler>>(c.engine(), c.get_executor(), std::move(handler)));
}
template <partition_handler Handler>
asio::awaitable<void> for_each_partition(consumer& c, Handler handler, on where) {
  return detail::handler_host::run(
      std::make_shared<detail::handler_host_of<Handler>>(c.engine(), std::move(where.executor), std::move(handler)));
}

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/for_each.ipp>
#endif
