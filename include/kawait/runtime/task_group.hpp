#pragma once

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/detail/asio.hpp>
#include <kawait/net/timer.hpp>

namespace kawait::runtime {

/// The coroutines that work for one consumer. Each keeps the owner alive while it runs, so that nothing it refers to goes before it;
/// the owner is freed when it was stopped and the last has ended, or when the execution context destroys their frames.
class task_group {
 public:
  explicit task_group(const asio::any_io_executor& executor) : executor_(executor), idle_(executor) {}

  /// Before the first spawn. `on_exception` hears of what escapes a task (out of memory, say).
  void set_owner(std::weak_ptr<void> owner, std::function<void(std::exception_ptr)> on_exception) {
    owner_ = std::move(owner);
    on_exception_ = std::move(on_exception);
  }

  void spawn(asio::awaitable<void> work) {
    ++running_;
    try {
      kawait::detail::spawn(executor_, keep(owner_.lock(), this, std::move(work)));
    } catch (...) {
      --running_;
      throw;
    }
  }

  std::size_t running() const noexcept { return running_; }

  asio::awaitable<void> async_wait_idle() {
    while (running_ > 0) co_await idle_.wait();
  }

 private:
  static asio::awaitable<void> keep(std::shared_ptr<void> owner, task_group* group, asio::awaitable<void> work) {
    try {
      co_await std::move(work);
    } catch (...) {
      group->on_exception_(std::current_exception());
    }
    if (--group->running_ == 0) group->idle_.notify_all();
    owner.reset();
  }

  asio::any_io_executor executor_;
  net::condition idle_;
  std::weak_ptr<void> owner_;
  std::function<void(std::exception_ptr)> on_exception_;
  std::size_t running_ = 0;
};

}  // namespace kawait::runtime
