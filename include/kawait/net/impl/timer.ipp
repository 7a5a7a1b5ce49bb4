#pragma once

#include <algorithm>

#include <kawait/net/timer.hpp>

namespace kawait::net {

KAWAIT_DECL void timer::expires_at(time_point t) {
  cancel();
  expiry_ = t;
  if (!env_->clock()) steady_.expires_at(t);
}

KAWAIT_DECL void timer::expires_after(duration d) {
  const time_point now = env_->now();
  expires_at(d > time_point::max() - now ? time_point::max() : now + d);
}

KAWAIT_DECL void timer::cancel() {
  disarm();
  steady_.cancel();
}

KAWAIT_DECL void timer::arm() {
  if (bell_.order == 0 && expiry_ != time_point::max()) env_->clock()->arm(bell_, expiry_);
}

KAWAIT_DECL asio::awaitable<std::error_code> timer::async_wait() {
  const auto [ec] = co_await async_wait(kawait::detail::use_tuple);
  co_return ec;
}

class condition::timed_waiter {
 public:
  timed_waiter(condition& owner, const asio::any_io_executor& executor) : timer_(executor), owner_(&owner) {
    owner.timed_.push_back(this);
  }
  timed_waiter(const timed_waiter&) = delete;
  timed_waiter& operator=(const timed_waiter&) = delete;
  ~timed_waiter() { leave(); }

  timer& time() noexcept { return timer_; }
  bool notified() const noexcept { return notified_; }

  void notify() {
    notified_ = true;
    leave();
    timer_.cancel();
  }
  void orphan() {
    owner_ = nullptr;
    timer_.cancel();
  }

 private:
  void leave() {
    if (condition* owner = std::exchange(owner_, nullptr)) std::erase(owner->timed_, this);
  }

  timer timer_;
  condition* owner_;  // Null once it was notified or the condition is gone.
  bool notified_ = false;
};

KAWAIT_DECL condition::~condition() {
  for (timed_waiter* w : timed_) w->orphan();
}

KAWAIT_DECL asio::awaitable<void> condition::wait() { co_await steady_.async_wait(kawait::detail::use_tuple); }

KAWAIT_DECL asio::awaitable<std::error_code> condition::wait_until(time_point t) {
  timed_waiter waiter(*this, steady_.get_executor());
  waiter.time().expires_at(t);
  const std::error_code ec = co_await waiter.time().async_wait();
  if (waiter.notified()) co_return std::error_code();
  co_return ec ? ec : std::make_error_code(std::errc::timed_out);
}

KAWAIT_DECL void condition::notify_all() {
  steady_.cancel();
  while (!timed_.empty()) timed_.front()->notify();
}

KAWAIT_DECL asio::awaitable<void> async_sleep_for(duration d) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  timer t(executor);
  t.expires_after(d);
  const std::error_code ec = co_await t.async_wait();
  if (ec) throw std::system_error(ec);
}

}  // namespace kawait::net
