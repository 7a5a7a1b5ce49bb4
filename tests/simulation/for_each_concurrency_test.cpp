// Handlers at once: over all partitions (concurrency), and within one (by_key, any_order).

#include <algorithm>
#include <random>
#include <set>

#include "simulation/handlers.hpp"

namespace embedded {
namespace {

using kawait::any_order;
using kawait::by_key;
using kawait::concurrency;

std::vector<producer_record> keyed(int count, int keys, unsigned seed = 1) {
  std::minstd_rand random(seed);
  std::vector<producer_record> all;
  for (int i = 0; i < count; ++i) {
    const auto k = static_cast<int>(random() >> 8) % (keys + 1);
    std::optional<std::string> key;
    if (k > 0) key = 'k' + std::to_string(k);
    all.emplace_back(std::move(key), std::to_string(i));
  }
  return all;
}

TEST_CASE("concurrency: never more handlers at once than it says, and all it says") {
  const int form = GENERATE(0, 1, 2);
  const std::size_t bound = GENERATE(1u, 2u, 5u);
  CAPTURE(form, bound);
  stage s(6);
  for (int p = 0; p < 6; ++p) s.append(p, keyed(30, 5));
  int now = 0, most = 0;
  std::minstd_rand random(7);
  const auto nap = [&] { return std::chrono::milliseconds(random() % 200); };
  if (form == 0) {
    s.each_batch([&](kawait::batch&) -> asio::awaitable<void> {
      const at_work here(now, most);
      co_await kawait::sleep_for(nap());
    }, concurrency(bound));
  } else {
    auto handler = [&](const kawait::record&) -> asio::awaitable<void> {
      const at_work here(now, most);
      co_await kawait::sleep_for(nap());
    };
    if (form == 1) s.each_record(handler, concurrency(bound));
    if (form == 2) s.each_record(handler, by_key(4), concurrency(bound));
  }
  const auto all_done = [&] {
    for (int p = 0; p < 6; ++p) {
      if (s.committed(p) != 30) return false;
    }
    return true;
  };
  REQUIRE(s.until(all_done));
  CHECK(most == static_cast<int>(bound));
  CHECK(now == 0);
  s.close();
  REQUIRE(s.until_ended());
}

TEST_CASE("concurrency: turns go round; no partition is served behind all others' records") {
  stage s(3);
  for (int p = 0; p < 3; ++p) s.append(p, keyed(100, 5));
  std::vector<std::int32_t> order;
  s.each_record([&](const kawait::record&, const kawait::partition& p) -> asio::awaitable<void> {
    order.push_back(p.index());
    co_await kawait::sleep_for(100ms);
  }, concurrency(1));
  REQUIRE(s.until([&] { return order.size() == 60; }));
  for (std::int32_t p = 0; p < 3; ++p) CHECK(std::count(order.begin(), order.end(), p) >= 15);
}

TEST_CASE("concurrency: who waits for its turn behind others that move does not stand still; behind one that does not it does") {
  const bool hangs = GENERATE(false, true);
  CAPTURE(hangs);
  stage s(4);
  s.settings.max_poll_interval(20s).rebalance_timeout(20s);
  for (int p = 0; p < 4; ++p) s.append(p, keyed(3, 1));
  int cancelled = 0;
  s.each_batch([&](kawait::batch&) -> asio::awaitable<void> {
    try {
      co_await kawait::sleep_for(hangs ? 10min : 15s);  // the last waits for 45 s
    } catch (const std::system_error&) {
      ++cancelled;
      throw;
    }
  }, concurrency(1));
  s.world.advance(70s);
  if (hangs) {
    CHECK(cancelled >= 1);
    return;
  }
  CHECK(cancelled == 0);
  for (int p = 0; p < 4; ++p) CHECK(s.committed(p) == 3);
}

TEST_CASE("concurrency: one at work whose handler says keep_alive keeps those alive that wait for it") {
  stage s(2);
  s.settings.max_poll_interval(20s).rebalance_timeout(20s);
  for (int p = 0; p < 2; ++p) s.append(p, keyed(3, 1));
  int done = 0;
  s.each_batch([&](kawait::batch& b) -> asio::awaitable<void> {
    for (int i = 0; i < 10; ++i) {
      co_await kawait::sleep_for(8s);
      b.keep_alive();
    }
    ++done;
  }, concurrency(1));
  s.world.advance(170s);
  CHECK(done == 2);
  for (int p = 0; p < 2; ++p) CHECK(s.committed(p) == 3);
}

TEST_CASE("concurrency: a partition that goes while it waits for its turn is not waited for") {
  stage s(2);
  for (int p = 0; p < 2; ++p) s.append(p, keyed(3, 1));
  std::set<std::int32_t> begun;
  s.each_batch([&](kawait::batch& b) -> asio::awaitable<void> {
    begun.insert(b.partition());
    co_await kawait::sleep_for(10s);
  }, concurrency(1));
  REQUIRE(s.until([&] { return begun.size() == 1; }));
  const std::int32_t waits = 1 - *begun.begin();
  s.close();
  REQUIRE(s.until_ended(15s));
  CHECK(s.what() == "");
  CHECK(begun.size() == 1);
  CHECK(s.committed(waits) == -1);
  CHECK(s.committed(1 - waits) == 3);
}

/// Looks at what a partition's handlers do: order by key, and what is done.
struct key_watch {
  explicit key_watch(unsigned seed) : random(seed) {}
  std::chrono::milliseconds nap() { return std::chrono::milliseconds(random() % 300); }
  void begin(const kawait::record& r) {
    most = std::max(most, ++now);
    begun.push_back(r.offset());
    if (!r.key()) return;
    const std::string key(*r.key());
    if (!busy.insert(key).second) ++violations;
    auto& newest = last.try_emplace(key, -1).first->second;
    if (r.offset() <= newest) ++violations;
    newest = r.offset();
  }
  void end(const kawait::record& r) {
    --now;
    done.insert(r.offset());
    if (r.key()) busy.erase(std::string(*r.key()));
  }
  std::int64_t low_water_mark() const {
    std::int64_t mark = 0;
    while (done.contains(mark)) ++mark;
    return mark;
  }
  std::minstd_rand random;
  int now = 0, most = 0, violations = 0;
  std::vector<std::int64_t> begun;
  std::set<std::int64_t> done;
  std::set<std::string> busy;
  std::map<std::string, std::int64_t> last;
};

TEST_CASE("by_key: the order of each key is kept, whatever time each record takes, also across batches") {
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u);
  CAPTURE(seed);
  stage s(1, seed);
  key_watch watch(seed);
  auto handler = [&](kawait::record r) -> asio::awaitable<void> {
    watch.begin(r);
    const auto nap = watch.nap();
    if (nap > 50ms) co_await kawait::sleep_for(nap);  // some do not suspend
    watch.end(r);
  };
  s.append(0, keyed(300, 6, seed));
  s.each_record(handler, by_key(8));
  for (int i = 1; i < 5; ++i) {
    s.world.advance(1s);
    s.append(0, keyed(200, 6, seed + 10u * static_cast<unsigned>(i)));
  }
  REQUIRE(s.until([&] { return s.committed() == 1100; }));
  CHECK(watch.violations == 0);
  CHECK(watch.most == 8);
  CHECK(watch.begun.size() == 1100);
  CHECK(watch.done.size() == 1100);
  s.close();
  REQUIRE(s.until_ended());
  CHECK(s.what() == "");
}

TEST_CASE("by_key: what is committed is never above the low-water mark") {
  stage s;
  key_watch watch(3);
  s.settings.auto_commit_interval(100ms);
  s.append(0, keyed(200, 20));
  s.each_record([&](kawait::record r) -> asio::awaitable<void> {
    watch.begin(r);
    co_await kawait::sleep_for(r.offset() == 50 ? 10s : 20ms);
    watch.end(r);
  }, by_key(5));
  for (int i = 0; i < 100; ++i) {
    s.world.advance(100ms);
    CHECK(s.committed() <= watch.low_water_mark());
  }
  CHECK(watch.done.size() > 150);  // the slow one kept nobody else waiting but its key
  s.world.advance(3s);
  CHECK(s.committed() == 200);
}

TEST_CASE("by_key: one that throws ends all; those at work end first, and all below the low-water mark is committed") {
  const std::int64_t bad = GENERATE(0, 37, 199);
  CAPTURE(bad);
  stage s;
  key_watch watch(5);
  int began_behind = 0;
  bool has_thrown = false;
  s.append(0, keyed(200, 20));
  s.each_record([&](kawait::record r) -> asio::awaitable<void> {
    if (has_thrown) ++began_behind;
    watch.begin(r);
    co_await kawait::sleep_for(watch.nap());
    if (r.offset() == bad) {
      has_thrown = true;
      throw std::runtime_error("bad");
    }
    watch.end(r);
  }, by_key(6));
  REQUIRE(s.until_ended());
  CHECK(s.what() == "bad");
  CHECK(began_behind == 0);
  CHECK(watch.now == 1);  // the one that threw
  CHECK(watch.low_water_mark() <= bad);
  CHECK(s.committed() == (watch.low_water_mark() == 0 ? -1 : watch.low_water_mark()));
  CHECK(s.members() == 0);
}

TEST_CASE("by_key: a partition that goes gets no further record, and those at work are awaited") {
  const int how = GENERATE(0, 1, 2);
  CAPTURE(how);
  stage s;
  key_watch watch(5);
  s.append(0, keyed(1000, 20));
  s.each_record([&](kawait::record r) -> asio::awaitable<void> {
    watch.begin(r);
    co_await kawait::sleep_for(2s);
    watch.end(r);
  }, by_key(6));
  REQUIRE(s.until([&] { return watch.begun.size() == 20; }));
  const std::size_t begun = watch.begun.size();
  if (how == 0) {
    s.close();
  } else if (how == 1) {
    s.broker.group().set_target("g", s.consumer().member_id(), std::vector<kawait::topic_partition>());
    REQUIRE(s.until([&] { return s.consumer().assignment().empty(); }, 20s));
    s.close();
  } else {
    s.cancel.emit(asio::cancellation_type::terminal);
  }
  REQUIRE(s.until_ended());
  CHECK(s.code() == (how == 2 ? asio::error::operation_aborted : std::error_code()));
  CHECK(watch.now == 0);
  if (how != 1) CHECK(watch.begun.size() <= begun + 6);
  CHECK(watch.begun.size() < 100);
  CHECK(s.committed() == watch.low_water_mark());
}

TEST_CASE("by_key: those at work are cancelled when the partition is lost, and that is no error") {
  const bool reads_meanwhile = GENERATE(false, true);
  CAPTURE(reads_meanwhile);
  stage s;
  int cancelled = 0, begun = 0;
  bool is_slow = true;
  s.append(0, keyed(reads_meanwhile ? 3 : 600, 50));
  s.each_record([&](kawait::record) -> asio::awaitable<void> {
    ++begun;
    try {
      if (is_slow) co_await kawait::sleep_for(1h);
    } catch (const std::system_error&) {
      ++cancelled;
      throw;
    }
  }, by_key(3));
  REQUIRE(s.until([&] { return begun == 3; }));
  s.world.advance(1s);
  s.fence();
  is_slow = false;
  const std::int64_t all = reads_meanwhile ? 3 : 600;
  REQUIRE(s.until([&] { return s.committed() == all; }, 1min));
  CHECK(cancelled == 3);
  CHECK(!s.ended);
}

TEST_CASE("by_key: handlers that outlast the deadline of a revocation are cancelled") {
  stage s;
  int cancelled = 0, begun = 0;
  s.append(0, keyed(3, 50));
  s.each_record([&](kawait::record) -> asio::awaitable<void> {
    ++begun;
    try {
      co_await kawait::sleep_for(1h);
    } catch (const std::system_error&) {
      ++cancelled;
      throw;
    }
  }, by_key(3));
  REQUIRE(s.until([&] { return begun == 3; }));
  s.broker.group().set_target("g", s.consumer().member_id(), std::vector<kawait::topic_partition>());
  s.world.advance(40s);
  CHECK(cancelled == 0);
  s.world.advance(30s);
  CHECK(cancelled == 3);
  CHECK(!s.ended);
}

TEST_CASE("any_order: equal keys at once, too") {
  stage s;
  key_watch watch(1);
  s.append(0, keyed(100, 1));
  s.each_record([&](kawait::record r) -> asio::awaitable<void> {
    watch.begin(r);
    co_await kawait::sleep_for(watch.nap());
    watch.end(r);
  }, any_order(4));
  REQUIRE(s.until([&] { return s.committed() == 100; }));
  CHECK(watch.most == 4);
  CHECK(watch.violations > 0);
}

TEST_CASE("by_key: batches that fill the partition's share are waited for, and are no error") {
  stage s;
  s.settings.set("fetch.buffer.bytes", "1048576");
  std::vector<producer_record> big;
  for (int i = 0; i < 20; ++i) big.emplace_back("k" + std::to_string(i), std::string(20'000, 'x'));
  for (int i = 0; i < 20; ++i) s.append(0, big);
  int now = 0, most = 0;
  s.each_record([&](kawait::record r) -> asio::awaitable<void> {
    const at_work here(now, most);
    co_await kawait::sleep_for(r.offset() == 0 ? 5s : 10ms);
  }, by_key(4));
  REQUIRE(s.until([&] { return s.committed() == 400; }, 2min));
  CHECK(most == 4);
  CHECK(!s.ended);
}

TEST_CASE("by_key: what does not decode ends it") {
  stage s;
  s.append(0, keyed(3, 2));
  testing::batch_writer damaged(3);
  const std::vector<std::byte> garbage(7);
  damaged.add("key", "d").add_garbage(garbage);
  s.broker.log("orders", 0).append_raw(damaged.build());
  int now = 0, most = 0;
  s.each_record([&](kawait::record) -> asio::awaitable<void> {
    const at_work here(now, most);
    co_await kawait::sleep_for(1s);
  }, by_key(4));
  REQUIRE(s.until_ended());
  CHECK(s.code() == errc::corrupt_batch);
  CHECK(now == 0);
}

TEST_CASE("by_key: everything may be destroyed in the middle") {
  const int how = GENERATE(0, 1, 2);
  auto s = std::make_unique<stage>(2);
  int begun = 0;
  for (int p = 0; p < 2; ++p) s->append(p, keyed(600, 50));
  s->each_record([&](kawait::record) -> asio::awaitable<void> {
    if (++begun == 3) throw std::runtime_error("once");
    co_await kawait::sleep_for(1h);
  }, by_key(4), concurrency(6), kawait::retry(3, 10s));
  s->world.advance(2s);
  CHECK(begun >= 6);
  if (how == 0) {
    s->destroy_world();
  } else if (how == 1) {
    s->destroy();
    s->world.advance(1s);
    CHECK(s->ended);
  } else {
    s->destroy();  // and nothing runs any more
  }
}

}  // namespace
}  // namespace embedded
