#pragma once

#include <cerrno>
#include <random>
#include <thread>

#include <kawait/net/environment.hpp>

namespace kawait::net {
namespace detail {

class real_world final : public backend {
 public:
  real_world() : network_(make_tcp_network()) {
    std::random_device device;
    seed_ = (static_cast<std::uint64_t>(device()) << 32) | device();
  }

  time_point now() override { return std::chrono::steady_clock::now(); }
  std::chrono::system_clock::time_point wall_clock() override { return std::chrono::system_clock::now(); }

  // SplitMix64: one atomic addition, because strands of one context may ask at the same time.
  std::uint64_t random() override {
    std::uint64_t z = seed_.fetch_add(0x9E3779B97F4A7C15u, std::memory_order_relaxed);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  network& net() override { return *network_; }

 private:
  std::unique_ptr<network> network_;
  std::atomic<std::uint64_t> seed_;
};

}  // namespace detail

KAWAIT_DECL void rundown::close() noexcept {
  state_.fetch_or(1, std::memory_order_acq_rel);
  while (state_.load(std::memory_order_acquire) > 1) std::this_thread::yield();
}

KAWAIT_DECL environment::environment(asio::execution_context& context)
    : asio::execution_context::service(context),
      backend_(std::make_shared<detail::real_world>()),
      lifetime_(std::make_shared<rundown>()) {}

KAWAIT_DECL environment::~environment() = default;

KAWAIT_DECL environment& environment::of(asio::execution_context& context) { return asio::use_service<environment>(context); }

KAWAIT_DECL environment& environment::of(const asio::any_io_executor& executor) {
  environment& env = of(kawait::detail::context_of(executor));
  if (!env.started_.load(std::memory_order_relaxed)) env.start(executor);
  return env;
}

// Asio sets io_uring up when the first timer or socket of a context is made, and throws from there. Everything of ours comes here
// before it makes either, so this is the one place where the error can say what to do.
KAWAIT_DECL void environment::start(const asio::any_io_executor& executor) {
#if defined(ASIO_HAS_IO_URING)
  try {
    const asio::steady_timer probe(executor);
  } catch (const std::system_error& e) {
    // By number: the category of Asio 1.22 has no conditions.
    const int n = e.code().value();
    const bool forbidden = n == ENOSYS || n == EPERM || n == EACCES || n == ENOMEM;
    if (!forbidden) throw;
    throw error(errc::io_uring_unavailable, e.code().message());
  }
#else
  (void)executor;
#endif
  started_.store(true, std::memory_order_relaxed);
}

KAWAIT_DECL void environment::install(std::shared_ptr<backend> b) {
  backend_ = std::move(b);
  clock_ = backend_->clock();
}

// The backend stays: what other services destroy after this (coroutines with timers in them) still refers to it.
KAWAIT_DECL void environment::shutdown() { lifetime_->close(); }

}  // namespace kawait::net
