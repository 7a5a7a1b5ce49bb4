#pragma once

#include <kawait/runtime/handler_slots.hpp>

#include <utility>

namespace kawait::runtime {

namespace detail {

/// Excuses a partition while one of its handlers waits, also if the coroutine is destroyed there.
class excused {
 public:
  explicit excused(stream_ptr stream) : stream_(std::move(stream)) { ++stream_->turns_awaited; }
  excused(const excused&) = delete;
  excused& operator=(const excused&) = delete;
  ~excused() {
    --stream_->turns_awaited;
    stream_->note_activity();
  }

 private:
  stream_ptr stream_;
};

}  // namespace detail

class handler_slots::waiter {
 public:
  waiter(std::shared_ptr<handler_slots> slots, stream_ptr stream, const asio::any_io_executor& executor)
      : slots_(std::move(slots)), stream_(std::move(stream)), woken_(executor) {
    in_stream_ = stream_->turn_waiters.insert(stream_->turn_waiters.end(), &woken_);
    try {
      in_slots_ = slots_->waiters_.insert(slots_->waiters_.end(), this);
    } catch (...) {
      stream_->turn_waiters.erase(in_stream_);
      throw;
    }
    slots_->contended_.fetch_add(1, std::memory_order_relaxed);
  }
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;
  ~waiter() {
    if (!is_granted_) leave();
  }

  bool is_granted() const noexcept { return is_granted_; }
  /// Notified when it is granted, and when the stream ends.
  net::condition& woken() noexcept { return woken_; }
  void grant() {
    leave();
    is_granted_ = true;
    ++stream_->turns_held;
    woken_.notify_all();
  }

 private:
  void leave() {
    slots_->waiters_.erase(in_slots_);
    stream_->turn_waiters.erase(in_stream_);
    slots_->contended_.fetch_sub(1, std::memory_order_relaxed);
  }

  std::shared_ptr<handler_slots> slots_;
  stream_ptr stream_;
  net::condition woken_;
  std::list<waiter*>::iterator in_slots_;
  std::list<net::condition*>::iterator in_stream_;
  bool is_granted_ = false;
};

KAWAIT_DECL asio::awaitable<result<bool>> handler_slots::acquire(stream_ptr stream) {
  if (!stream || stream->is_ended()) co_return result<bool>(false);
  if (free_ > 0) {
    --free_;
    ++stream->turns_held;
    co_return result<bool>(true);
  }
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  const auto slots = shared_from_this();
  waiter self(slots, stream, here);
  const detail::excused waiting(stream);
  while (!self.is_granted() && !stream->is_ended()) {
    co_await self.woken().wait();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none && !self.is_granted()) co_return result<bool>(detail::aborted());
  }
  if (!stream->is_ended()) co_return result<bool>(true);
  if (self.is_granted()) release(stream);
  co_return result<bool>(false);
}

KAWAIT_DECL void handler_slots::release(const stream_ptr& stream) {
  if (stream) --stream->turns_held;
  if (waiters_.empty()) {
    ++free_;
  } else {
    waiters_.front()->grant();
  }
}

KAWAIT_DECL asio::awaitable<result<bool>> wait_to_retry(asio::any_io_executor executor, stream_ptr stream, machine::backoff& pauses) {
  if (!stream) co_return result<bool>(false);
  net::environment& environment = net::environment::of(executor);
  const net::time_point until = environment.now() + pauses.next(environment.random());
  const detail::excused waiting(stream);
  while (!stream->is_ended()) {
    if (environment.now() >= until) co_return result<bool>(true);
    co_await stream->ended().wait_until(until);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return result<bool>(detail::aborted());
  }
  co_return result<bool>(false);
}

}  // namespace kawait::runtime
