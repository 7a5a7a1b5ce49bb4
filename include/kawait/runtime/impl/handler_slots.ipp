#pragma once

#include <kawait/runtime/handler_slots.hpp>

#include <algorithm>

namespace kawait::runtime {

namespace detail {

/// How often who waits looks whether it is to be kept alive: well within the interval, which is checked eight times as it passes.
inline milliseconds alive_pause(const engine& e) { return std::max(e.settings().max_poll_interval / 4, milliseconds(1)); }

}  // namespace detail

class handler_slots::waiter {
 public:
  waiter(std::shared_ptr<handler_slots> slots, stream_ptr stream) : slots_(std::move(slots)), stream_(std::move(stream)) {
    slots_->waiters_.push_back(this);
    slots_->contended_.fetch_add(1, std::memory_order_relaxed);
  }
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;
  ~waiter() {
    if (!granted_) leave();
  }

  const stream_ptr& stream() const noexcept { return stream_; }
  bool is_granted() const noexcept { return granted_; }
  void grant() {
    leave();
    granted_ = true;
    stream_->ended().notify_all();  // who waits for the end looks again, and so does this one
  }

 private:
  void leave() {
    slots_->waiters_.remove(this);
    slots_->contended_.fetch_sub(1, std::memory_order_relaxed);
  }

  std::shared_ptr<handler_slots> slots_;
  stream_ptr stream_;
  bool granted_ = false;
};

// Those at work move when one of them ends, or when what it works on does.
KAWAIT_DECL handler_slots::movement handler_slots::moved() const noexcept {
  std::uint64_t activity = 0;
  for (const auto& holder : holders_) activity += holder->activity.load(std::memory_order_relaxed);
  return movement(releases_, activity);
}

KAWAIT_DECL asio::awaitable<result<bool>> handler_slots::acquire(stream_ptr stream) {
  if (!stream || stream->is_ended()) co_return result<bool>(false);
  if (free_ > 0 && waiters_.empty()) {
    --free_;
    holders_.push_back(stream->info());
    co_return result<bool>(true);
  }
  const milliseconds pause = detail::alive_pause(engine_);
  waiter self(shared_from_this(), stream);
  movement seen = moved();
  stream->note_activity();
  for (;;) {
    const net::time_point next_look = net::environment::of(engine_.executor()).now() + pause;
    co_await stream->ended().wait_until(next_look);
    if (self.is_granted()) {
      if (!stream->is_ended()) co_return result<bool>(true);
      release(*stream->info());
      co_return result<bool>(false);
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return result<bool>(detail::aborted());
    if (stream->is_ended()) co_return result<bool>(false);
    if (std::exchange(seen, moved()) != seen) stream->note_activity();
  }
}

KAWAIT_DECL void handler_slots::release(const partition_info& held_by) {
  ++releases_;
  const auto at = std::find_if(holders_.begin(), holders_.end(), [&](const auto& h) { return h.get() == &held_by; });
  if (at != holders_.end()) holders_.erase(at);
  if (waiters_.empty()) {
    ++free_;
    return;
  }
  waiter* const next = waiters_.front();
  holders_.push_back(next->stream()->info());
  next->grant();
}

KAWAIT_DECL asio::awaitable<result<bool>> wait_to_retry(engine& e, stream_ptr stream, machine::backoff& pauses) {
  if (!stream) co_return result<bool>(false);
  net::environment& environment = net::environment::of(e.executor());
  const milliseconds look = detail::alive_pause(e);
  const net::time_point until = environment.now() + pauses.next(environment.random());
  while (!stream->is_ended()) {
    const net::time_point now = environment.now();
    if (now >= until) co_return result<bool>(true);
    stream->note_activity();
    co_await stream->ended().wait_until(std::min<net::time_point>(until, now + look));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return result<bool>(detail::aborted());
  }
  co_return result<bool>(false);
}

}  // namespace kawait::runtime
