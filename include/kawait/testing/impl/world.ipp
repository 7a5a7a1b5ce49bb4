#pragma once

#include <algorithm>

#include <kawait/testing/world.hpp>

namespace kawait::testing {

// Not the epoch, so that a time before the start can be told from no time at all.
KAWAIT_DECL simulated_backend::simulated_backend(std::uint64_t seed)
    : start_(std::chrono::hours(1000)), now_(start_), seed_(seed), network_(start_) {}

KAWAIT_DECL std::chrono::system_clock::time_point simulated_backend::wall_clock() {
  const std::chrono::system_clock::time_point begin(std::chrono::hours(24 * 365 * 55));
  return begin + shift_ + std::chrono::duration_cast<std::chrono::system_clock::duration>(now_ - start_);
}

// SplitMix64.
KAWAIT_DECL std::uint64_t simulated_backend::random() {
  std::uint64_t z = seed_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  network_.trace().draw(now_, z);
  return z;
}

KAWAIT_DECL void simulated_backend::arm(net::alarm& a, net::time_point at) {
  a.at = at;
  a.order = ++last_order_;
  alarms_.emplace(std::pair(at, a.order), &a);
}

KAWAIT_DECL void simulated_backend::disarm(net::alarm& a) noexcept {
  if (a.order == 0) return;
  alarms_.erase(std::pair(a.at, a.order));
  a.order = 0;
}

KAWAIT_DECL net::time_point simulated_backend::next() const {
  return alarms_.empty() ? net::time_point::max() : alarms_.begin()->first.first;
}

KAWAIT_DECL void simulated_backend::step() {
  if (alarms_.empty()) return;
  net::alarm& a = *alarms_.begin()->second;
  now_ = std::max(now_, a.at);
  disarm(a);
  a.ring();
}

KAWAIT_DECL world::world(std::uint64_t seed)
    : backend_(std::make_shared<simulated_backend>(seed)), io_(std::make_unique<asio::io_context>(1)) {
  net::environment::of(static_cast<asio::execution_context&>(*io_)).install(backend_);
}

KAWAIT_DECL void world::spawn(asio::awaitable<void> coroutine) {
  asio::co_spawn(executor(), std::move(coroutine), [](std::exception_ptr thrown) {
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::system_error& e) {
      if (e.code() != asio::error::operation_aborted) throw;
    }
  });
}

KAWAIT_DECL void world::poll() {
  io_->restart();
  io_->poll();
}

KAWAIT_DECL bool world::run_until(const std::function<bool()>& predicate, net::duration limit) {
  const net::time_point end = now() + limit;
  for (;;) {
    poll();
    if (predicate()) return true;
    if (backend_->next() > end) {
      backend_->set_now(end);
      return predicate();  // of the time, perhaps
    }
    backend_->step();
  }
}

KAWAIT_DECL void world::advance(net::duration d) {
  const net::time_point end = now() + d;
  for (poll(); backend_->next() <= end; poll()) backend_->step();
  backend_->set_now(end);
}

}  // namespace kawait::testing
