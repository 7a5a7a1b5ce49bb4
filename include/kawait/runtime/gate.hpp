#pragma once

#include <cassert>
#include <cstddef>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/net/timer.hpp>

namespace kawait::runtime {

/// What a revocation closes: counts the work in hand of one partition lease (unreleased batches, and its handler) and tells when the
/// last has gone. Used on the consumer's executor only.
class gate {
 public:
  explicit gate(const asio::any_io_executor& executor) : drained_(executor) {}

  /// Refused once closed: no new work begins on a partition that is being given up.
  bool enter() noexcept {
    if (closed_) return false;
    ++inside_;
    return true;
  }

  void leave() {
    assert(inside_ > 0);
    if (--inside_ == 0 && closed_) drained_.notify_all();
  }

  void close() {
    closed_ = true;
    if (inside_ == 0) drained_.notify_all();
  }

  bool is_closed() const noexcept { return closed_; }
  bool is_drained() const noexcept { return closed_ && inside_ == 0; }
  std::size_t inside() const noexcept { return inside_; }

  /// Wakes when it was drained, or given up on.
  net::condition& changed() noexcept { return drained_; }
  bool is_given_up() const noexcept { return given_up_; }

  /// Wakes every waiter although work is still in hand: the deadline passed. is_drained() stays false.
  void give_up() {
    given_up_ = true;
    drained_.notify_all();
  }

  /// Until the work in hand is done, or was given up on. Many may wait; cancelling a wait cancels nothing else.
  asio::awaitable<void> async_wait() {
    while (!is_drained() && !given_up_) {
      co_await drained_.wait();
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return;
    }
  }

 private:
  net::condition drained_;
  std::size_t inside_ = 0;
  bool closed_ = false;
  bool given_up_ = false;
};

}  // namespace kawait::runtime
