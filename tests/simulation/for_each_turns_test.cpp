// Turns that meet: a handler that ends while a read, another turn or the end of its partition is under way.

#include <asio/post.hpp>

#include "simulation/handlers.hpp"

namespace embedded {
namespace {

using kawait::any_order;
using kawait::by_key;
using kawait::concurrency;

// One of the two would be forgotten in silence.
static_assert(kawait::detail::at_most_one_order<>);
static_assert(kawait::detail::at_most_one_order<by_key, concurrency, kawait::retry>);
static_assert(kawait::detail::at_most_one_order<kawait::skip, any_order>);
static_assert(!kawait::detail::at_most_one_order<by_key, concurrency, any_order>);
static_assert(!kawait::detail::at_most_one_order<any_order, any_order>);

/// So many turns of the executor, each behind what is ready.
asio::awaitable<void> hop(int times) {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  for (int i = 0; i < times; ++i) co_await asio::post(here, asio::use_awaitable);
}

TEST_CASE("any_order: a batch that fills the share and ends while the next read hears of it ends nothing else") {
  const int hops = GENERATE(0, 1, 2, 3, 4, 5, 6);
  CAPTURE(hops);
  stage s;
  s.settings.fetch_buffer_bytes(1 << 20);
  std::vector<producer_record> big;
  for (int i = 0; i < 2; ++i) big.emplace_back(std::nullopt, std::string(300'000, 'x'));
  for (int i = 0; i < 20; ++i) s.append(0, big);
  s.each_record([&](kawait::record) -> asio::awaitable<void> { co_await hop(hops); }, any_order(2));
  s.until([&] { return s.ended || s.committed() == 40; }, 1min);
  CHECK(s.what() == "");
  CHECK(s.committed() == 40);
}

TEST_CASE("any_order: room that a batch leaves while the next read hears of none is used, also behind a slow batch") {
  const int hops = GENERATE(0, 1, 2, 3, 4, 5, 6, 7, 8);
  CAPTURE(hops);
  stage s;
  s.settings.fetch_buffer_bytes(1 << 20).set("max.partition.fetch.bytes", "1000");  // one batch of the log each
  const std::vector<producer_record> big{producer_record(std::nullopt, std::string(700'000, 'x'))};
  const std::vector<producer_record> small = numbers(1);
  s.append(0, small);
  s.append(0, big);
  for (int i = 0; i < 5; ++i) s.append(0, small);
  std::size_t done = 0;
  s.each_record([&](kawait::record r) -> asio::awaitable<void> {
    if (r.offset() == 0) co_await kawait::sleep_for(1min);
    if (r.offset() > 0) co_await hop(hops);
    ++done;
  }, any_order(2));
  s.world.advance(30s);
  CHECK(done == 6);
}

TEST_CASE("concurrency: one turn that is free wakes the one whose it is, not all of the partition that wait") {
  stage s;
  s.append(0, numbers(500));
  net::condition go(s.world.executor());
  bool is_open = false;
  std::size_t done = 0;
  s.each_record([&](kawait::record) -> asio::awaitable<void> {
    if (!is_open) co_await go.wait();
    co_await hop(2);
    ++done;
  }, any_order(300), concurrency(2));
  s.world.advance(2s);  // two are at work, the others wait
  REQUIRE(done == 0);
  is_open = true;
  go.notify_all();
  std::size_t steps = 0;
  for (std::size_t ran = 1; ran > 0; steps += ran) {
    s.world.context().restart();
    ran = s.world.context().poll();
  }
  CHECK(done == 500);
  CHECK(steps < 10 * done);
}

TEST_CASE("concurrency: all that wait for a turn hear that they are cancelled, or that the partition is lost") {
  const bool is_lost = GENERATE(false, true);
  CAPTURE(is_lost);
  stage s;
  s.append(0, numbers(100));
  int begun = 0, cancelled = 0;
  s.each_record([&](kawait::record) -> asio::awaitable<void> {
    ++begun;
    try {
      co_await kawait::sleep_for(1h);
    } catch (const std::system_error&) {
      ++cancelled;
      throw;
    }
  }, any_order(50), concurrency(2));
  s.world.advance(2s);
  REQUIRE(begun == 2);
  if (!is_lost) {
    s.cancel.emit(asio::cancellation_type::terminal);
    REQUIRE(s.until_ended());
    CHECK(begun == 2);
    CHECK(cancelled == 2);
    return;
  }
  s.fence();
  REQUIRE(s.until([&] { return begun == 4; }, 1min));  // given again, and begun anew
  CHECK(cancelled == 2);
  CHECK(!s.ended);
}

}  // namespace
}  // namespace embedded
