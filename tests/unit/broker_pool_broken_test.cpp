#include "catch.hpp"

#include "scripted_broker.hpp"

#include <kawait/net/broker_pool.hpp>

namespace broker_pool_broken_tests {

using namespace scripted;
using kawait::errc;
using net::channel;

TEST_CASE("who waited for a connection that broke before he ran is told why it did", "[net]") {
  testing::world w;
  w.network().listen("a", 9092, serve_metadata);
  net::broker_pool pool(w.executor(), net::connection_options(), net::broker_pool::default_reconnect(), {});
  pool.set_broker(net::broker(1, "a", 9092));
  bool tries_again = false;
  const auto breaks = [&]() -> asio::awaitable<void> {
    auto first = co_await pool.async_get(1, channel::control);
    (*first)->close(kawait::failure(errc::connection_closed, "the first to run has broken it"));
    if (tries_again) (void)co_await pool.async_get(1, channel::control);
  };
  kawait::failure told;
  const auto hears = [&]() -> asio::awaitable<void> {
    auto second = co_await pool.async_get(1, channel::control);
    if (!second) told = second.error();
  };
  SECTION("and nobody tries anew") {}
  SECTION("and another has begun to try anew") { tries_again = true; }
  asio::co_spawn(w.executor(), breaks(), asio::detached);
  asio::co_spawn(w.executor(), hears(), asio::detached);
  w.advance(5s);
  CHECK(told.code == errc::connection_closed);
  CHECK(told.words == "the first to run has broken it");
}

}  // namespace broker_pool_broken_tests
