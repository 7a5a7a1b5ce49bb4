#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/dispatch.hpp>

#include <kawait/detail/config.hpp>

namespace kawait::detail {

/// Cancels a coroutine that runs on another executor than who cancels it. A signal and its slot belong to one executor: the
/// coroutine installs a handler in the slot for every operation that it waits for, and emitting runs that handler. Asio 1.22.1 gives
/// the slot of co_spawn's handler to the coroutine as it is, so a caller on another thread would emit while the coroutine installs.
/// Hence the coroutine gets this signal, which is emitted on its executor only.
///
/// Owned by the coroutine: whoever may cancel holds a weak_ptr, and comes too late when the coroutine has ended or its context
/// was destroyed.
class cancellation_relay {
 public:
  explicit cancellation_relay(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  cancellation_relay(const cancellation_relay&) = delete;
  cancellation_relay& operator=(const cancellation_relay&) = delete;

  /// The coroutine's. Any thread.
  const asio::any_io_executor& executor() const noexcept { return executor_; }
  /// For co_spawn's handler.
  asio::cancellation_slot slot() noexcept { return signal_.slot(); }

  /// The coroutine says that it runs, and hears whether it was cancelled before: co_spawn would have passed a terminal cancellation
  /// on as an exception that no handler expects, and have dropped any other.
  bool start() noexcept {
    started_ = true;
    return !cancelled_.load();
  }
  /// Any thread: ahead of emit(), which may find the coroutine running.
  void request() noexcept { cancelled_.store(true); }
  /// On the coroutine's executor.
  void emit(asio::cancellation_type type) {
    if (started_) signal_.emit(type);
  }

 private:
  asio::any_io_executor executor_;
  asio::cancellation_signal signal_;
  std::atomic<bool> cancelled_{false};
  bool started_ = false;
};

/// What stands in the slot of the user's handler.
class relay_cancellation {
 public:
  explicit relay_cancellation(std::weak_ptr<cancellation_relay> to) : to_(std::move(to)) {}

  void operator()(asio::cancellation_type type) const {
    auto to = to_.lock();
    if (!to) return;
    to->request();
    const asio::any_io_executor executor = to->executor();
    asio::dispatch(executor, [to = std::move(to), type] { to->emit(type); });
  }

 private:
  std::weak_ptr<cancellation_relay> to_;
};

}  // namespace kawait::detail
