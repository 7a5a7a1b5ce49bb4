#include "catch.hpp"

#include <asio/bind_cancellation_slot.hpp>

#include <kawait/runtime/gate.hpp>
#include <kawait/testing/world.hpp>

namespace gate_tests {

using kawait::runtime::gate;
using kawait::testing::world;

/// Waits for a gate and notes that it came back.
struct waiter {
  bool returned = false;
  asio::cancellation_signal cancel;

  waiter(world& w, gate& g) {
    const auto wait = [](gate& which, bool& done) -> asio::awaitable<void> {
      co_await which.async_wait();
      done = true;
    };
    asio::co_spawn(w.executor(), wait(g, returned), asio::bind_cancellation_slot(cancel.slot(), [](std::exception_ptr e) {
                     if (e) std::rethrow_exception(e);
                   }));
  }
};

TEST_CASE("a gate drains when it is closed and the last has left", "[gate]") {
  world w;
  gate g(w.executor());
  CHECK(g.enter());
  CHECK(g.enter());
  CHECK(g.inside() == 2);
  waiter a(w, g), b(w, g);
  g.leave();
  w.poll();
  CHECK(!a.returned);
  CHECK(!g.is_closed());
  g.close();
  CHECK(g.is_closed());
  CHECK(!g.is_drained());
  w.poll();
  CHECK(!a.returned);
  g.leave();
  CHECK(g.is_drained());
  w.poll();
  CHECK(a.returned);
  CHECK(b.returned);
}

TEST_CASE("an open gate that is empty is not drained", "[gate]") {
  world w;
  gate g(w.executor());
  waiter a(w, g);
  REQUIRE(g.enter());
  g.leave();
  w.poll();
  CHECK(!a.returned);
  CHECK(!g.is_drained());
  g.close();
  w.poll();
  CHECK(a.returned);
  CHECK(g.is_drained());
}

TEST_CASE("nobody enters a closed gate", "[gate]") {
  world w;
  gate g(w.executor());
  REQUIRE(g.enter());
  g.close();
  CHECK(!g.enter());
  CHECK(g.inside() == 1);
  g.close();  // again changes nothing
  CHECK(!g.is_drained());
  g.leave();
  CHECK(g.is_drained());
  CHECK(!g.enter());
}

TEST_CASE("giving up wakes the waiters with the work still in hand", "[gate]") {
  world w;
  gate g(w.executor());
  REQUIRE(g.enter());
  g.close();
  waiter a(w, g), b(w, g);
  w.poll();
  REQUIRE(!a.returned);
  g.give_up();
  w.poll();
  CHECK(a.returned);
  CHECK(b.returned);
  CHECK(g.is_given_up());
  CHECK(!g.is_drained());
  // Who comes later does not wait either; the end of the work is still told.
  waiter late(w, g);
  w.poll();
  CHECK(late.returned);
  bool told = false;
  const auto watch = [](gate& which, bool& done) -> asio::awaitable<void> {
    while (!which.is_drained()) co_await which.changed().wait();
    done = true;
  };
  asio::co_spawn(w.executor(), watch(g, told), asio::detached);
  w.poll();
  CHECK(!told);
  g.leave();
  w.poll();
  CHECK(told);
  CHECK(g.is_drained());
}

TEST_CASE("a wait that is cancelled cancels nothing else", "[gate]") {
  world w;
  gate g(w.executor());
  REQUIRE(g.enter());
  g.close();
  waiter a(w, g), b(w, g);
  w.poll();
  a.cancel.emit(asio::cancellation_type::terminal);
  w.poll();
  CHECK(a.returned);
  CHECK(!b.returned);
  CHECK(!g.is_given_up());
  CHECK(!g.is_drained());
  g.leave();
  w.poll();
  CHECK(b.returned);
}

TEST_CASE("a context that is destroyed with waiters at a gate leaks nothing", "[gate]") {
  auto w = std::make_unique<world>();
  auto wait = [](std::shared_ptr<gate> g) -> asio::awaitable<void> { co_await g->async_wait(); };
  auto g = std::make_shared<gate>(w->executor());
  asio::co_spawn(w->executor(), wait(g), asio::detached);
  g.reset();
  w->poll();
  w.reset();
}

}  // namespace gate_tests
