#include "catch.hpp"

#include <string>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>

#include <kawait/runtime/fetcher.hpp>

namespace fetch_budget_tests {
namespace {

using kawait::runtime::buffer_pool;
using kawait::runtime::fetch_budget;

/// A buffer that is full, so that one request at a time has room.
struct rig {
  rig() : pool(1 << 20), full(pool.acquire(1 << 20)), budget(io.get_executor(), settings, pool) { budget.fetchers = 1; }

  void poll() {
    io.restart();
    io.poll();
  }
  void answer() {
    budget.on_answered();
    poll();
  }

  asio::io_context io{1};
  kawait::runtime::options settings;
  buffer_pool pool;
  kawait::wire::slab_ref full;
  fetch_budget budget;
  std::string sent;
};

asio::awaitable<void> send(rig& r, fetch_budget::sender& s, char name) {
  while (!s.has_room()) co_await s.async_wait_room();
  s.on_sent();
  r.sent += name;
}

void start(rig& r, fetch_budget::sender& s, char name) {
  asio::co_spawn(r.io, send(r, s, name), asio::detached);
  r.poll();
}

TEST_CASE("fetch budget: where there is room for one request only, it goes round", "[fetch]") {
  rig r;
  fetch_budget::sender a(r.budget), b(r.budget), c(r.budget);
  start(r, a, 'a');
  CHECK(r.sent == "a");
  start(r, b, 'b');
  start(r, c, 'c');
  CHECK(r.sent == "a");
  // Its answer comes, and it asks again before the others have heard of it.
  r.budget.on_answered();
  CHECK(!a.has_room());
  start(r, a, 'A');
  CHECK(r.sent == "ab");
  r.answer();
  CHECK(r.sent == "abc");
  r.answer();
  CHECK(r.sent == "abcA");
}

TEST_CASE("fetch budget: who leaves the line, or goes, lets the next one in", "[fetch]") {
  rig r;
  fetch_budget::sender a(r.budget), d(r.budget);
  start(r, a, 'a');
  {
    fetch_budget::sender b(r.budget), c(r.budget);
    asio::co_spawn(r.io, b.async_wait_room(), asio::detached);
    asio::co_spawn(r.io, c.async_wait_room(), asio::detached);
    r.poll();
    start(r, d, 'd');
    r.answer();
    CHECK(r.sent == "a");  // it is b's turn
    b.leave();
    r.poll();
    CHECK(r.sent == "a");
  }
  r.poll();
  CHECK(r.sent == "ad");
}

TEST_CASE("fetch budget: with room for all nobody waits", "[fetch]") {
  rig r;
  r.full.reset();
  fetch_budget::sender a(r.budget), b(r.budget);
  start(r, a, 'a');
  start(r, b, 'b');
  CHECK(r.sent == "ab");
}

}  // namespace
}  // namespace fetch_budget_tests
