#include "catch.hpp"

#include <array>
#include <atomic>
#include <thread>

#include <asio/executor_work_guard.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>

#include "simulation/reader.hpp"
#include "threads/crew.hpp"

// Who cancels is on another thread than what is cancelled. For the thread sanitizer.

namespace {

using namespace std::chrono_literals;
using kawait::kafka_error;
using simulated::kafka;

/// Waits for one thing after another, as a coroutine of the library's does, until it is cancelled.
struct busy {
  explicit busy(asio::any_io_executor e) : executor(std::move(e)) {}
  asio::awaitable<kawait::failure> operator()() const { return run(executor); }

  static asio::awaitable<kawait::failure> run(asio::any_io_executor executor) {
    for (;;) {
      asio::steady_timer t(executor);
      t.expires_after(20us);
      co_await t.async_wait(kawait::detail::use_tuple);
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return kawait::failure(std::error_code(asio::error::operation_aborted));
    }
  }

  asio::any_io_executor executor;
};

asio::awaitable<void> cancel_often(asio::any_io_executor there, int& rounds) {
  using namespace asio::experimental::awaitable_operators;
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  for (int i = 0; i < 200; ++i) {
    asio::steady_timer t(here);
    t.expires_after(std::chrono::microseconds(i * 2));
    const busy work(there);
    auto either = kawait::detail::await_done_on(there, work) || t.async_wait(asio::use_awaitable);
    const auto first = co_await std::move(either);
    if (first.index() == 1) ++rounds;
  }
}

TEST_CASE("an operation on one context is cancelled from a coroutine of another", "[threads]") {
  asio::io_context here, there;
  const auto work = asio::make_work_guard(there);
  std::thread other([&] { there.run(); });
  int rounds = 0;
  std::exception_ptr thrown;
  asio::co_spawn(here, cancel_often(there.get_executor(), rounds), [&](std::exception_ptr e) { thrown = e; });
  here.run();
  there.stop();
  other.join();
  CHECK(!thrown);
  CHECK(rounds == 200);
}

/// A handler on a pool that works in small steps until it is cancelled, with a commit now and then if it may.
struct stepping {
  stepping(std::atomic<int>& r, std::atomic<int>& c, bool commit) : running(&r), cancelled(&c), commits(commit) {}

  asio::awaitable<void> operator()(kawait::partition p) const { return run(p, running, cancelled, commits); }

  static asio::awaitable<void> run(kawait::partition p, std::atomic<int>* running, std::atomic<int>* cancelled, bool commits) {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    running->fetch_add(1);
    for (;;) {
      asio::steady_timer t(here);
      t.expires_after(20us);
      std::error_code ec;
      try {
        if (commits) {
          co_await p.async_commit();
        } else {
          co_await t.async_wait(asio::use_awaitable);
        }
      } catch (const std::system_error& e) {
        ec = e.code();
      }
      if (!ec) continue;
      if (ec == asio::error::operation_aborted) cancelled->fetch_add(1);
      throw std::system_error(asio::error::operation_aborted);
    }
  }

  std::atomic<int>* running;
  std::atomic<int>* cancelled;
  bool commits;
};

TEST_CASE("handlers on a thread pool are cancelled when their partition is lost", "[threads]") {
  const bool commits = GENERATE(false, true);
  CAPTURE(commits);
  kawait::testing::world w;
  kafka k(w, 2);
  k.assign(0, {0, 1});
  asio::thread_pool pool(2);
  std::atomic<int> running{0}, cancelled{0};
  {
    simulated::reader m(w);
    m.handle(stepping(running, cancelled, commits), kawait::on(pool.get_executor()));
    for (int round = 1; round <= 20; ++round) {
      REQUIRE(threaded::until(w, [&] { return running.load() == 2 * round; }));
      k.heartbeat_errors.push_back(kafka_error::unknown_member_id);
    }
    m.close();
    REQUIRE(threaded::until(w, [&] { return m.closed && m.ended; }));
    CHECK(!m.thrown);
    CHECK(cancelled.load() > 0);
  }
  pool.join();
}

}  // namespace
