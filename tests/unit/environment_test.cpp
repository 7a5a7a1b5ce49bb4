#include "catch.hpp"

#include <atomic>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include <asio/strand.hpp>

#include <kawait/testing/world.hpp>

namespace environment_tests {

using namespace std::chrono_literals;
namespace net = kawait::net;
using kawait::testing::world;

const std::error_code aborted = asio::error::operation_aborted;

struct wait_end {
  std::error_code code;
  net::time_point at;
};

asio::awaitable<void> wait_for(world& w, net::timer& t, std::vector<wait_end>& ends) {
  const std::error_code ec = co_await t.async_wait();
  ends.push_back(wait_end{ec, w.now()});
}

TEST_CASE("by default the environment is the real world", "[net]") {
  asio::io_context io(1);
  net::environment& env = net::environment::of(asio::any_io_executor(io.get_executor()));
  CHECK(&env == &net::environment::of(io));
  CHECK(&env == &net::environment::of(asio::any_io_executor(asio::make_strand(io))));
  CHECK(env.clock() == nullptr);
  const auto real = std::chrono::steady_clock::now();
  CHECK(env.now() - real < 10s);
  CHECK(env.now() >= real);
  CHECK(env.random() != env.random());
  net::timer t(io.get_executor());
  std::error_code first = aborted;
  std::error_code second;
  t.expires_after(1ms);
  t.async_wait([&](std::error_code ec) { first = ec; });
  net::timer never(io.get_executor());
  never.expires_after(net::duration::max());
  never.async_wait([&](std::error_code ec) { second = ec; });
  t.async_wait([&](std::error_code) { never.cancel(); });
  io.run();
  CHECK(!first);
  CHECK(second == aborted);
}

TEST_CASE("a virtual timer rings at its time exactly", "[net]") {
  world w;
  const auto begin = w.now();
  std::vector<wait_end> ends;
  net::timer t(w.executor());
  t.expires_after(720h);
  asio::co_spawn(w.executor(), wait_for(w, t, ends), asio::detached);
  asio::co_spawn(w.executor(), wait_for(w, t, ends), asio::detached);
  w.advance(720h - 1ns);
  CHECK(ends.empty());
  w.advance(1ns);
  REQUIRE(ends.size() == 2);
  CHECK(!ends[0].code);
  CHECK(ends[1].at == begin + 720h);
  SECTION("a time in the past rings at once") {
    t.expires_at(begin);
    asio::co_spawn(w.executor(), wait_for(w, t, ends), asio::detached);
    w.advance(0s);
    REQUIRE(ends.size() == 3);
    CHECK(!ends[2].code);
    CHECK(ends[2].at == begin + 720h);
  }
  SECTION("it can be used again") {
    t.expires_after(5s);
    asio::co_spawn(w.executor(), wait_for(w, t, ends), asio::detached);
    w.advance(1h);
    REQUIRE(ends.size() == 3);
    CHECK(ends[2].at == begin + 720h + 5s);
  }
}

TEST_CASE("what cancels a virtual timer", "[net]") {
  world w;
  const auto begin = w.now();
  std::vector<wait_end> ends;
  auto t = std::make_unique<net::timer>(w.executor());
  t->expires_after(10s);
  asio::cancellation_signal stop;
  asio::co_spawn(w.executor(), wait_for(w, *t, ends), asio::bind_cancellation_slot(stop.slot(), [](std::exception_ptr) {}));
  w.advance(1s);
  REQUIRE(ends.empty());
  SECTION("cancel()") { t->cancel(); }
  SECTION("setting it again") { t->expires_after(1h); }
  SECTION("its end") { t.reset(); }
  SECTION("the waiter's cancellation") { stop.emit(asio::cancellation_type::terminal); }
  w.poll();
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].code == aborted);
  CHECK(ends[0].at == begin + 1s);
  w.advance(2h);
  CHECK(ends.size() == 1);
}

TEST_CASE("timers of one time ring in the order they were armed", "[net]") {
  world w;
  std::string order;
  std::vector<std::unique_ptr<net::timer>> timers;
  const auto add = [&](char name, net::duration d) {
    timers.push_back(std::make_unique<net::timer>(w.executor()));
    timers.back()->expires_after(d);
    timers.back()->async_wait([&order, name](std::error_code) { order += name; });
  };
  add('c', 3s);
  add('a', 1s);
  add('b', 1s);
  add('d', 3s);
  add('0', 0s);
  w.advance(5s);
  CHECK(order == "0abcd");
}

TEST_CASE("a condition wakes who waits, and only then", "[net]") {
  world w;
  auto c = std::make_unique<net::condition>(w.executor());
  int woken = 0;
  const auto waiter = [&]() -> asio::awaitable<void> {
    co_await c->wait();
    ++woken;
  };
  c->notify_all();  // is not remembered
  asio::co_spawn(w.executor(), waiter(), asio::detached);
  asio::co_spawn(w.executor(), waiter(), asio::detached);
  w.advance(24h * 365);
  CHECK(woken == 0);
  SECTION("notified") { c->notify_all(); }
  SECTION("destroyed") { c.reset(); }
  w.poll();
  CHECK(woken == 2);
}

TEST_CASE("a condition can be waited for until a time", "[net]") {
  world w;
  auto c = std::make_unique<net::condition>(w.executor());
  const auto begin = w.now();
  std::vector<wait_end> ends;
  const auto waiter = [&](net::time_point t) -> asio::awaitable<void> {
    const std::error_code ec = co_await c->wait_until(t);
    ends.push_back(wait_end{ec, w.now()});
  };
  asio::cancellation_signal stop;
  const auto ignore = [](std::exception_ptr) {};
  asio::co_spawn(w.executor(), waiter(begin + 10s), asio::bind_cancellation_slot(stop.slot(), ignore));
  asio::co_spawn(w.executor(), waiter(begin + 1s), asio::detached);
  w.advance(5s);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].code == std::errc::timed_out);
  CHECK(ends[0].at == begin + 1s);
  SECTION("notified") {
    c->notify_all();
    w.poll();
    REQUIRE(ends.size() == 2);
    CHECK(!ends[1].code);
  }
  SECTION("notified at the very time") {
    net::timer t(w.executor());
    t.expires_at(begin + 10s);
    t.async_wait([&](std::error_code) { c->notify_all(); });
    w.advance(5s);
    REQUIRE(ends.size() == 2);
    CHECK(ends[1].at == begin + 10s);
  }
  SECTION("destroyed") {
    c.reset();
    w.poll();
    REQUIRE(ends.size() == 2);
    CHECK(ends[1].code == aborted);
  }
  SECTION("cancelled") {
    stop.emit(asio::cancellation_type::terminal);
    w.poll();
    REQUIRE(ends.size() == 2);
    CHECK(ends[1].code == aborted);
    c->notify_all();
  }
  w.advance(1h);
  CHECK(ends.size() == 2);
}

TEST_CASE("a seed repeats its world, another one does not", "[net]") {
  world a(7);
  world b(7);
  world c(8);
  const auto draw = [](world& w) { return net::environment::of(w.executor()).random(); };
  const auto first = draw(a);
  CHECK(first == draw(b));
  CHECK(first != draw(c));
  CHECK(first != draw(a));
}

TEST_CASE("a month of heartbeats passes in a moment, and the wall clock with it", "[net]") {
  world w;
  net::environment& env = net::environment::of(w.executor());
  const auto wall = env.wall_clock();
  int beats = 0;
  const auto beat = [&]() -> asio::awaitable<void> {
    for (;;) {
      co_await net::async_sleep_for(300s);
      ++beats;
    }
  };
  asio::co_spawn(w.executor(), beat(), asio::detached);
  w.advance(720h);
  CHECK(beats == 8640);
  CHECK(env.wall_clock() - wall == 720h);
}

TEST_CASE("run_until says whether its predicate came true", "[net]") {
  world w;
  const auto begin = w.now();
  CHECK(!w.run_until([] { return false; }, 5s));
  CHECK(w.now() == begin + 5s);
  CHECK(w.run_until([] { return true; }, 5s));
  CHECK(w.now() == begin + 5s);
  CHECK_THROWS_AS(w.run(net::async_sleep_for(2h)), std::runtime_error);
  const auto failing = []() -> asio::awaitable<void> {
    co_await net::async_sleep_for(1s);
    throw std::logic_error("as it should");
  };
  CHECK_THROWS_AS(w.run(failing()), std::logic_error);
}

TEST_CASE("a context may be destroyed with timers and conditions waited for", "[net]") {
  world w;
  std::vector<wait_end> ends;
  const auto waiter = [&]() -> asio::awaitable<void> {
    net::timer t(w.executor());
    net::condition c(w.executor());
    t.expires_after(1s);
    co_await wait_for(w, t, ends);
    (void)co_await c.wait_until(w.now() + 24h);
  };
  asio::co_spawn(w.executor(), waiter(), asio::detached);
  w.advance(500ms);
  asio::co_spawn(w.executor(), waiter(), asio::detached);
  w.advance(700ms);
  CHECK(ends.size() == 1);
  w.destroy_context();
  CHECK(ends.size() == 1);
}

TEST_CASE("a rundown lets threads in until the context shuts down, and waits for them", "[net]") {
  std::shared_ptr<net::rundown> life;
  std::atomic<int> inside{0};
  std::atomic<int> posted{0};
  std::atomic<bool> gone{false};
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  {
    asio::io_context io;
    life = net::environment::of(io).lifetime();
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, executor = io.get_executor()] {
        while (life->enter()) {
          ++inside;
          if (gone) wrong = true;
          asio::post(executor, [] {});
          ++posted;
          --inside;
          life->leave();
        }
      });
    }
    while (posted < 1000) std::this_thread::yield();
  }
  gone = true;
  CHECK(inside == 0);
  for (std::thread& t : threads) t.join();
  CHECK(!wrong);
  CHECK(!life->enter());
}

#if defined(ASIO_HAS_IO_URING)
/// Makes io_uring_setup fail in this process for good.
bool forbid_io_uring() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {4, program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

int look_for_io_uring() {
  if (!forbid_io_uring()) return 2;
  asio::io_context io(1);
  try {
    net::timer t(io.get_executor());
    return 3;
  } catch (const kawait::error& e) {
    return e.code() == kawait::errc::io_uring_unavailable ? 0 : 4;
  } catch (...) {
    return 5;
  }
}

TEST_CASE("where io_uring is forbidden, the error says so", "[net]") {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(look_for_io_uring());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif

}  // namespace environment_tests
