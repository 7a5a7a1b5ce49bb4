#pragma once

#include <atomic>
#include <cstddef>
#include <list>
#include <memory>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/core/result.hpp>
#include <kawait/machine/backoff.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/engine.hpp>

namespace kawait::runtime {

/// Bounds how many handlers of a consumer work at once. A partition that is at work keeps its slot from record to record while nobody
/// else waits; turns are in order of arrival. Who waits does not stand still (max.poll.interval.ms): those at work may. Consumer's
/// executor, but for is_contended().
class handler_slots : public std::enable_shared_from_this<handler_slots> {
 public:
  explicit handler_slots(std::size_t count) : free_(count) {}

  /// False once the partition's stream has ended: there is nothing to begin any more. Cancelled: operation_aborted.
  KAWAIT_DECL asio::awaitable<result<bool>> acquire(stream_ptr stream);
  /// By a handler of this stream, which may be gone by now (null).
  KAWAIT_DECL void release(const stream_ptr& stream);
  /// Somebody waits: any thread may ask.
  bool is_contended() const noexcept { return contended_.load(std::memory_order_relaxed) > 0; }

 private:
  class waiter;

  std::size_t free_;
  std::list<waiter*> waiters_;
  std::atomic<std::size_t> contended_{0};
};

/// Waits a pause before work is tried again. False if the stream ended meanwhile; cancelled: operation_aborted. The partition does not
/// stand still while it waits. Consumer's executor; `pauses` must live until then.
KAWAIT_DECL asio::awaitable<result<bool>> wait_to_retry(asio::any_io_executor executor, stream_ptr stream, machine::backoff& pauses);

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/handler_slots.ipp>
#endif
