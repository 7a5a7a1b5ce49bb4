// What for_each_record costs: a plain function no allocation a record. And what becomes of for_each_partition without memory for the end
// of a handler, or for the consumer's.

#include <algorithm>
#include <cstddef>
#include <new>
#include <stdexcept>

#include "allocations/count_support.hpp"
#include "simulation/handlers.hpp"

namespace embedded {
namespace {

TEST_CASE("for_each_record with a plain function allocates nothing for a record") {
  const bool bounded = GENERATE(false, true);
  const auto codec = GENERATE(kawait::wire::codec::none, kawait::wire::codec::zstd);
  CAPTURE(bounded, static_cast<int>(codec));
  constexpr std::size_t batches = 20, size = 1000;
  stage s;
  for (std::size_t i = 0; i < batches; ++i) {
    testing::append_options options;
    options.codec = codec;
    s.broker.append("orders", 0, numbers(static_cast<int>(size)), options);
  }
  std::size_t records = 0, within = 0, last = 0;
  const auto handler = [&](const kawait::record& r) {
    const std::size_t now = counted::allocations();
    // From a record to the next of the same record batch.
    if (records++ > 0 && r.ordinal() > 0) within += now - last;
    last = now;
  };
  if (bounded) {
    s.each_record(handler, kawait::concurrency(3), kawait::retry(3), kawait::skip([](const kawait::skipped_work&) {}));
  } else {
    s.each_record(handler);
  }
  REQUIRE(s.until([&] { return records == batches * size; }, 1min));
  CHECK(within == 0);
  CHECK(counted::allocations() > 0);
}

enum class handler_end { throws, returns, throws_second };

/// Memory is short at the `nth` allocation behind the end of a handler, whose exception exists before.
void end_without_memory(std::size_t nth, handler_end how) {
  stage s(2);
  std::size_t left = 0;
  const auto handler = [&](kawait::partition p) -> asio::awaitable<void> {
    if (p.index() == 0) {
      co_await kawait::sleep_for(5s);
      const std::runtime_error first("the first handler's");
      if (how != handler_end::throws_second) left = nth;
      if (how == handler_end::returns) co_return;
      throw first;
    }
    co_await p.async_wait_end();
    if (how != handler_end::throws_second) co_return;
    const std::runtime_error second("the second handler's, longer than what a string holds in place");
    left = nth;
    throw second;
  };
  s.each_partition(handler);
  bool threw = false;
  try {
    const counted::shortage now(left);
    s.until_ended();
  } catch (const std::bad_alloc&) {
    threw = true;
  }
  CHECK(left == 0);
  CHECK(!threw);
  CHECK(s.until_ended());
  if (how != handler_end::returns) CHECK(s.what() == "the first handler's");
}

TEST_CASE("without memory for what follows a handler's end, for_each_partition ends all the same") {
  const auto how = GENERATE(handler_end::throws, handler_end::returns, handler_end::throws_second);
  CAPTURE(static_cast<int>(how));
  // The first is that of Asio's that brings the end to the consumer's executor. The next are of telling it.
  for (std::size_t nth = 2; nth <= 4; ++nth) {
    CAPTURE(nth);
    end_without_memory(nth, how);
  }
}

/// What ends the consumer while its handler sleeps: the engine's own call, so that no allocation of the caller's is among the first.
enum class way { closes, closes_once_more, stops };

/// Whether memory was short.
bool end_the_sleeper(std::size_t nth, way how) {
  stage s;
  bool works = false;
  s.each_partition([&works](kawait::partition) -> asio::awaitable<void> {
    works = true;
    co_await kawait::sleep_for(24h);
  });
  REQUIRE(s.until([&] { return works; }));
  const auto engine = s.consumer().engine();
  if (how == way::closes_once_more) engine->begin_close(1h);
  std::size_t left = nth;
  {
    const counted::shortage now(left);
    if (how == way::stops) {
      engine->stop(kawait::failure(errc::closed));
    } else {
      engine->begin_close(30s);
    }
  }
  CHECK(s.until_ended(1min));
  CHECK(engine->is_over());
  return left == 0;
}

TEST_CASE("whichever allocation of ending a consumer fails, it ends, and so does a handler that sleeps") {
  // How many there are before that of Asio's that ends the program: its dispatch() to a coroutine is noexcept.
  const auto [how, most] = GENERATE(table<way, std::size_t>({{way::closes, 4}, {way::closes_once_more, 1}, {way::stops, 99}}));
  CAPTURE(static_cast<int>(how));
  std::size_t nth = 0;
  for (bool was_short = true; was_short && nth < most;) {
    CAPTURE(++nth);
    was_short = end_the_sleeper(nth, how);
  }
  CHECK(nth >= std::min<std::size_t>(most, 3));
}

}  // namespace
}  // namespace embedded
