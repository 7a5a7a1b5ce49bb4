#pragma once

#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <kawait/detail/asio.hpp>
#include <kawait/net/environment.hpp>

namespace kawait::net {
namespace detail {

/// Under a virtual clock a timer ends its waits by cancelling them; whether that was its expiry is seen from the time. Holds no
/// pointer to the timer, which may be gone by then.
template <class Handler>
class virtual_wait : public kawait::detail::forwarding_handler<Handler> {
 public:
  virtual_wait(Handler handler, const asio::any_io_executor& executor, environment& env, time_point expiry)
      : kawait::detail::forwarding_handler<Handler>(std::move(handler), executor), env_(&env), expiry_(expiry) {}

  void operator()(std::error_code ec) {
    if (env_->now() >= expiry_) ec = {};
    std::move(this->handler_)(ec);
  }

 private:
  environment* env_;
  time_point expiry_;
};

}  // namespace detail

/// A timer by the environment's clock: std::chrono::steady_clock, or a test's virtual time. For one executor, like Asio's own.
/// Waits are owned by the execution context; destroying the timer cancels them.
class timer {
 public:
  explicit timer(const asio::any_io_executor& executor) : env_(&environment::of(executor)), steady_(executor), bell_(steady_) {
    steady_.expires_at(time_point::max());
  }
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer() { disarm(); }

  /// Both cancel what waits, as in Asio.
  KAWAIT_DECL void expires_at(time_point t);
  KAWAIT_DECL void expires_after(duration d);
  time_point expiry() const noexcept { return expiry_; }
  KAWAIT_DECL void cancel();

  asio::any_io_executor get_executor() { return steady_.get_executor(); }

  /// Completes with {} at the expiry, or with operation_aborted once cancelled or set again.
  KAWAIT_DECL asio::awaitable<std::error_code> async_wait();
  /// The same with any completion token of signature void(std::error_code).
  template <class Token>
  auto async_wait(Token&& token) {
    return asio::async_initiate<Token, void(std::error_code)>(initiation(*this), token);
  }

 private:
  class bell final : public alarm {
   public:
    explicit bell(asio::steady_timer& steady) : steady_(&steady) {}
    void ring() noexcept override { steady_->cancel(); }

   private:
    asio::steady_timer* steady_;
  };

  class initiation {
   public:
    using executor_type = asio::any_io_executor;
    explicit initiation(timer& t) : timer_(&t) {}
    executor_type get_executor() const noexcept { return timer_->steady_.get_executor(); }

    template <class Handler>
    void operator()(Handler&& handler) const {
      timer& t = *timer_;
      if (!t.env_->clock()) {
        t.steady_.async_wait(std::forward<Handler>(handler));
        return;
      }
      detail::virtual_wait<std::decay_t<Handler>> wait(std::forward<Handler>(handler), get_executor(), *t.env_, t.expiry_);
      t.arm();
      t.steady_.async_wait(std::move(wait));
    }

   private:
    timer* timer_;
  };

  KAWAIT_DECL void arm();
  void disarm() noexcept {
    if (bell_.order != 0) env_->clock()->disarm(bell_);
  }

  environment* env_;
  asio::steady_timer steady_;  // By a virtual clock: at its maximum, so that only cancelling ends a wait.
  bell bell_;
  time_point expiry_ = time_point::max();
};

/// Lets coroutines wait until something they look at has changed. All of it belongs to one executor that never runs two handlers
/// at once: look first, then wait, and look again afterwards. Waiters are owned by the execution context; destroying the
/// condition wakes them.
class condition {
 public:
  explicit condition(const asio::any_io_executor& executor) : steady_(executor, time_point::max()) {}
  condition(const condition&) = delete;
  condition& operator=(const condition&) = delete;
  KAWAIT_DECL ~condition();

  /// Returns after the next notify_all(). A cancelled waiter returns as well; its next co_await throws operation_aborted.
  KAWAIT_DECL asio::awaitable<void> wait();
  /// {} after notify_all(), std::errc::timed_out at the time, operation_aborted when cancelled or the condition is destroyed.
  KAWAIT_DECL asio::awaitable<std::error_code> wait_until(time_point t);
  KAWAIT_DECL void notify_all();

 private:
  class timed_waiter;

  asio::steady_timer steady_;  // At its maximum: waits end by being cancelled.
  std::vector<timed_waiter*> timed_;
};

/// Suspends the coroutine for a duration of the environment's time. Cancelled, it throws operation_aborted.
KAWAIT_DECL asio::awaitable<void> async_sleep_for(duration d);

}  // namespace kawait::net

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/net/impl/timer.ipp>
// Defines make_tcp_network().
#include <kawait/net/tcp.hpp>
#endif
