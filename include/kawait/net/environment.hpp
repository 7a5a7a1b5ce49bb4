#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include <kawait/detail/asio.hpp>
#include <kawait/net/network.hpp>

namespace kawait::net {

/// Says to other threads whether the execution context still lives. A thread that got in may post to an executor of the context
/// until it leaves; the context's shutdown waits for it, so it must not block in between.
class rundown {
 public:
  /// False once the context shuts down: then only memory may be freed.
  bool enter() noexcept {
    if (state_.fetch_add(2, std::memory_order_acquire) & 1) {
      leave();
      return false;
    }
    return true;
  }
  void leave() noexcept { state_.fetch_sub(2, std::memory_order_release); }

  /// Refuses who comes from now on and waits until nobody is inside.
  KAWAIT_DECL void close() noexcept;

 private:
  std::atomic<std::uint32_t> state_{0};  // Bit 0: closed. The rest: twice the number of threads inside.
};

/// A wait of a virtual clock. The clock calls ring() once when its time has come.
class alarm {
 public:
  virtual void ring() noexcept = 0;

  time_point at{};
  std::uint64_t order = 0;  ///< 0: not armed. Alarms of one time ring in this order.

 protected:
  ~alarm() = default;
};

/// A clock that stands still until a test moves it.
class virtual_clock {
 public:
  /// Arms a disarmed alarm. A time in the past rings at the clock's next step.
  virtual void arm(alarm& a, time_point at) = 0;
  /// Does nothing to a disarmed one.
  virtual void disarm(alarm& a) noexcept = 0;

 protected:
  ~virtual_clock() = default;
};

/// What an environment is made of. A test's world replaces all of it at once.
class backend {
 public:
  virtual ~backend() = default;

  virtual time_point now() = 0;
  virtual std::chrono::system_clock::time_point wall_clock() = 0;
  virtual std::uint64_t random() = 0;
  virtual network& net() = 0;
  /// Null: timers run by the real clock.
  virtual virtual_clock* clock() noexcept { return nullptr; }
};

/// Clock, randomness and network of everything that runs in an execution context: a service of it, found from any of its
/// executors. By default the real ones.
class environment final : public asio::execution_context::service {
 public:
  using key_type = environment;
  static inline asio::execution_context::id id;

  KAWAIT_DECL explicit environment(asio::execution_context& context);
  KAWAIT_DECL ~environment() override;

  KAWAIT_DECL static environment& of(asio::execution_context& context);
  /// Throws kawait::error(errc::io_uring_unavailable) where Asio was built for io_uring and the kernel or the container forbids
  /// it.
  KAWAIT_DECL static environment& of(const asio::any_io_executor& executor);

  time_point now() { return backend_->now(); }
  std::chrono::system_clock::time_point wall_clock() { return backend_->wall_clock(); }
  /// 64 random bits; of a seed in a simulated world.
  std::uint64_t random() { return backend_->random(); }
  network& net() { return backend_->net(); }
  virtual_clock* clock() noexcept { return clock_; }

  /// Replaces everything, before anything else in the context has used it.
  KAWAIT_DECL void install(std::shared_ptr<backend> b);

  /// Shared by everything in this context; closed when the context shuts down.
  const std::shared_ptr<rundown>& lifetime() const noexcept { return lifetime_; }

 private:
  KAWAIT_DECL void shutdown() override;
  KAWAIT_DECL void start(const asio::any_io_executor& executor);

  std::shared_ptr<backend> backend_;
  virtual_clock* clock_ = nullptr;
  std::shared_ptr<rundown> lifetime_;
  std::atomic<bool> started_{false};
};

}  // namespace kawait::net

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/net/impl/environment.ipp>
// The real world's network needs timers, and they this header: it comes last, by way of theirs.
#include <kawait/net/timer.hpp>
#endif
