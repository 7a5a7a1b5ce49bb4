#include "catch.hpp"

#include <array>
#include <atomic>

#include <asio/steady_timer.hpp>
#include <asio/thread_pool.hpp>

#include "simulation/handlers.hpp"
#include "threads/crew.hpp"

// for_each_batch and for_each_record with handlers on a thread pool. For the thread sanitizer.

namespace {

using namespace std::chrono_literals;
using embedded::stage;
using kawait::testing::producer_record;
using threaded::until;

constexpr std::int32_t partitions = 4;

/// Handlers of one partition never run on two threads at once, and altogether never more than the bound.
struct watch {
  std::atomic<int> now{0}, most{0}, violations{0}, calls{0};
  std::array<std::atomic<int>, partitions> in_partition{};

  void begin(std::int32_t p) {
    ++calls;
    const int n = ++now;
    int seen = most.load();
    while (seen < n && !most.compare_exchange_weak(seen, n)) {
    }
    if (++in_partition[static_cast<std::size_t>(p)] > 1) ++violations;
  }
  void end(std::int32_t p) {
    --in_partition[static_cast<std::size_t>(p)];
    --now;
  }
};

std::vector<producer_record> some(int count) {
  std::vector<producer_record> all;
  for (int i = 0; i < count; ++i) all.emplace_back("k" + std::to_string(i % 5), std::to_string(i));
  return all;
}

asio::awaitable<void> nap(std::chrono::microseconds d) {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  asio::steady_timer t(here);
  t.expires_after(d);
  co_await t.async_wait(asio::use_awaitable);
}

bool all_committed(stage& s, std::int64_t end) {
  for (std::int32_t p = 0; p < partitions; ++p) {
    if (s.committed(p) != end) return false;
  }
  return true;
}

TEST_CASE("for_each on a thread pool: bounded, one thread a partition, all of it done", "[threads]") {
  const int form = GENERATE(0, 1, 2, 3);
  CAPTURE(form);
  stage s(partitions);
  for (std::int32_t p = 0; p < partitions; ++p) s.append(p, some(50));
  asio::thread_pool pool(4);
  watch w;
  const kawait::on there(pool.get_executor());
  const kawait::concurrency bound(3);
  if (form == 0) {
    s.each_record([&](const kawait::record&, const kawait::partition& p) {
      w.begin(p.index());
      w.end(p.index());
    }, there, bound);
  } else if (form == 1) {
    auto handler = [&](kawait::record r, kawait::partition p) -> asio::awaitable<void> {
      w.begin(p.index());
      if (r.offset() % 3 == 0) co_await nap(20us);
      w.end(p.index());
    };
    s.each_record(handler, there, bound);
  } else if (form == 2) {
    s.each_batch([&](kawait::batch& b) -> asio::awaitable<void> {
      w.begin(b.partition());
      for (const kawait::record& r : b) {
        b.done(r);
        if (r.offset() % 10 == 0) co_await nap(20us);
      }
      w.end(b.partition());
    }, there, bound);
  } else {
    // Those of one partition take turns on its strand, between their waits.
    auto handler = [&](kawait::record r, kawait::partition p) -> asio::awaitable<void> {
      w.begin(p.index());
      w.end(p.index());
      co_await nap(std::chrono::microseconds(r.offset() % 7 * 20));
      w.begin(p.index());
      w.end(p.index());
      p.keep_alive();
    };
    s.each_record(handler, there, kawait::by_key(4));
  }
  REQUIRE(until(s.world, [&] { return all_committed(s, 50); }));
  for (std::int32_t p = 0; p < partitions; ++p) s.append(p, some(50));
  REQUIRE(until(s.world, [&] { return all_committed(s, 100); }));
  CHECK(w.violations == 0);
  CHECK(w.most <= (form == 3 ? 4 : 3));
  CHECK(w.calls >= (form == 2 ? 8 : 400));
  s.close();
  REQUIRE(until(s.world, [&] { return s.ended.has_value(); }));
  CHECK(s.what() == "");
  pool.join();
}

TEST_CASE("for_each on a thread pool: tried again, skipped, lost, and closed in the middle", "[threads]") {
  const bool at_once = GENERATE(false, true);
  CAPTURE(at_once);
  stage s(partitions);
  for (std::int32_t p = 0; p < partitions; ++p) s.append(p, some(300));
  asio::thread_pool pool(3);
  std::atomic<int> calls{0}, reports{0};
  const kawait::on there(pool.get_executor());
  const kawait::retry again(2, 1ms, 5ms);
  const kawait::skip report([&](const kawait::skipped_work&) { ++reports; });
  auto handler = [&](kawait::record r, kawait::partition p) -> asio::awaitable<void> {
    const int n = ++calls;
    if (r.offset() % 50 == 7) throw std::runtime_error("always");
    if (n % 20 == 0) throw std::runtime_error("now and then");
    if (p.is_running()) co_await nap(30us);
  };
  if (at_once) {
    s.each_record(handler, there, again, report, kawait::by_key(3), kawait::concurrency(5));
  } else {
    s.each_record(handler, there, again, report, kawait::concurrency(2));
  }
  for (int round = 0; round < 5; ++round) {
    const int before = calls.load();
    REQUIRE(until(s.world, [&] { return calls.load() > before + 40; }));
    s.fence();
  }
  REQUIRE(until(s.world, [&] { return reports.load() > 3; }));
  s.close();
  REQUIRE(until(s.world, [&] { return s.ended.has_value(); }));
  CHECK(s.what() == "");
  pool.join();
}

}  // namespace
