#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include <asio/io_context.hpp>

#include <kawait/net/environment.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/testing/memory_network.hpp>

namespace kawait::testing {

/// Virtual time: stands still while anything can run, and jumps to the next timer when nothing can. Random numbers come from the
/// seed.
class simulated_backend final : public net::backend, public net::virtual_clock {
 public:
  KAWAIT_DECL explicit simulated_backend(std::uint64_t seed);

  net::time_point now() override { return now_; }
  KAWAIT_DECL std::chrono::system_clock::time_point wall_clock() override;
  KAWAIT_DECL std::uint64_t random() override;
  memory_network& net() override { return network_; }
  net::virtual_clock* clock() noexcept override { return this; }

  KAWAIT_DECL void arm(net::alarm& a, net::time_point at) override;
  KAWAIT_DECL void disarm(net::alarm& a) noexcept override;

  /// The time of the next alarm; time_point::max() if there is none.
  KAWAIT_DECL net::time_point next() const;
  /// Moves to the next alarm and rings it.
  KAWAIT_DECL void step();
  /// Not back.
  void set_now(net::time_point t) { now_ = std::max(now_, t); }
  /// The wall clock is set forward or back; timers do not care.
  void shift_wall_clock(std::chrono::milliseconds d) { shift_ += d; }

 private:
  net::time_point start_;
  net::time_point now_;
  std::chrono::milliseconds shift_{0};
  std::map<std::pair<net::time_point, std::uint64_t>, net::alarm*> alarms_;
  std::uint64_t last_order_ = 0;
  std::uint64_t seed_;
  memory_network network_;
};

/// A small universe for tests: an io_context in which time, randomness and network are simulated. No real time passes, nothing
/// waits for a real clock or socket, and the same seed gives the same run: see trace_hash().
///
///     testing::world world;
///     testing::broker broker(world);                       // kawait/testing/broker.hpp: an embedded Kafka
///     kawait::consumer consumer(world.executor(), kawait::config(broker.bootstrap()).group_id("g"));
///     consumer.subscribe("orders");
///     world.spawn(kawait::for_each_partition(consumer, your_handler));
///     world.advance(std::chrono::seconds(5));              // and everything that happens in that time has happened
///
/// Time stands still while anything can run and jumps to the next timer when nothing can. Handlers share it if they wait by
/// kawait::timer and kawait::sleep_for (kawait/time.hpp); an asio::steady_timer, a thread or a socket of their own does not belong
/// here. Everything made on its executor must be gone before it, or be owned by what runs in it: declare the world first.
class world {
 public:
  KAWAIT_DECL explicit world(std::uint64_t seed = 1);
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  asio::io_context& context() noexcept { return *io_; }
  asio::any_io_executor executor() { return io_->get_executor(); }
  net::time_point now() const { return backend_->now(); }
  memory_network& network() noexcept { return backend_->net(); }

  /// A hash of all that has happened: connections, bytes with their times and directions, random numbers. Equal for the same seed
  /// and the same program: a test that compares two runs finds what is not deterministic.
  std::uint64_t trace_hash() { return network().trace().hash(); }
  /// Writes a line for each event from now on: what connects, which requests arrive, which faults strike. The stream must
  /// outlive the world.
  void trace(std::ostream& out) { network().trace().write_to(&out); }

  /// Starts a coroutine, which runs when the world does. What it throws leaves poll(), advance(), run_until() or run(), whichever
  /// runs it; but for operation_aborted, the end of what was cancelled.
  KAWAIT_DECL void spawn(asio::awaitable<void> coroutine);

  /// Runs everything that can run without time passing.
  KAWAIT_DECL void poll();
  /// Runs until the predicate holds, asked whenever nothing more can run at a time. False if it does not within `limit`.
  KAWAIT_DECL bool run_until(const std::function<bool()>& predicate, net::duration limit = std::chrono::hours(1));
  /// Lets so much time pass, and runs all that happens in it.
  KAWAIT_DECL void advance(net::duration d);

  /// Runs a coroutine to its end and returns its result; what it throws is thrown. std::runtime_error if it does not end in time.
  template <class T>
  T run(asio::awaitable<T> coroutine, net::duration limit = std::chrono::hours(1));

  /// Destroys the context with all that is pending in it; nothing but the destructor may follow.
  void destroy_context() { io_.reset(); }

 private:
  std::shared_ptr<simulated_backend> backend_;
  std::unique_ptr<asio::io_context> io_;
};

template <class T>
T world::run(asio::awaitable<T> coroutine, net::duration limit) {
  struct end {
    bool reached = false;
    std::exception_ptr error;
    std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
  };
  const auto shared = std::make_shared<end>();  // the coroutine may outlive this call if it does not end in time
  const auto finish = [](asio::awaitable<T> c, std::shared_ptr<end> e) -> asio::awaitable<void> {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(c);
    } else {
      auto value = co_await std::move(c);
      e->value.emplace(std::move(value));
    }
  };
  asio::co_spawn(executor(), finish(std::move(coroutine), shared), [shared](std::exception_ptr e) {
    shared->reached = true;
    shared->error = e;
  });
  if (!run_until([&] { return shared->reached; }, limit)) throw std::runtime_error("the coroutine did not end in time");
  if (shared->error) std::rethrow_exception(shared->error);
  if constexpr (!std::is_void_v<T>) return *std::move(shared->value);
}

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/world.ipp>
#endif
