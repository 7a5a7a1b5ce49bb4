#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/core/result.hpp>
#include <kawait/detail/cancellation.hpp>
#include <kawait/machine/backoff.hpp>
#include <kawait/runtime/engine.hpp>

namespace kawait::runtime {

/// Bounds how many handlers of a consumer work at once. A partition that is at work keeps its slot from record to record while nobody
/// else waits; turns are in order of arrival. Consumer's executor, but for is_contended().
class handler_slots : public std::enable_shared_from_this<handler_slots> {
 public:
  handler_slots(engine& e, std::size_t count) : engine_(e), free_(count) {}

  /// False once the partition's stream has ended: there is nothing to begin any more. Cancelled: operation_aborted. While it waits
  /// behind handlers that move, the partition does not stand still (max.poll.interval.ms).
  KAWAIT_DECL asio::awaitable<result<bool>> acquire(stream_ptr stream);
  /// By the partition's handler that has it.
  KAWAIT_DECL void release(const partition_info& held_by);
  /// Somebody waits: any thread may ask.
  bool is_contended() const noexcept { return contended_.load(std::memory_order_relaxed) > 0; }

 private:
  class waiter;

  using movement = std::pair<std::uint64_t, std::uint64_t>;
  KAWAIT_DECL movement moved() const noexcept;

  engine& engine_;  // outlives its handlers
  std::size_t free_;
  std::uint64_t releases_ = 0;
  std::vector<std::shared_ptr<partition_info>> holders_;
  std::list<waiter*> waiters_;
  std::atomic<std::size_t> contended_{0};
};

/// Waits a pause before work is tried again. False if the stream ended meanwhile; cancelled: operation_aborted. The partition does not
/// stand still while it waits. Consumer's executor; `pauses` must live until then.
KAWAIT_DECL asio::awaitable<result<bool>> wait_to_retry(engine& e, stream_ptr stream, machine::backoff& pauses);

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/handler_slots.ipp>
#endif
