// What becomes of a record or a batch whose handler throws: stop, retry, skip.

#include "simulation/handlers.hpp"

namespace embedded {
namespace {

using kawait::retry;
using kawait::skip;
using kawait::skipped_work;

const std::vector<producer_record> five{"a", "b", "c", "d", "e"};

/// Throws for one value so many times, and notes when it was called.
struct flaky {
  explicit flaky(stage& s, int n) : world(s.world), throws_left(n) {}
  void operator()(const kawait::record& r) {
    calls.emplace_back(r.offset());
    if (r.value() != "c") return;
    at.push_back(world.now());
    if (throws_left-- > 0) throw std::runtime_error("c again");
  }
  testing::world& world;
  int throws_left;
  std::vector<std::int64_t> calls;
  std::vector<net::time_point> at;
};

TEST_CASE("retry: the same record again after growing pauses; what precedes it is committed meanwhile") {
  const bool is_plain = GENERATE(false, true);
  CAPTURE(is_plain);
  stage s;
  s.append(0, five);
  flaky work(s, 4);
  const retry again(4, 2s, 10s);
  if (is_plain) {
    s.each_record([&](const kawait::record& r) { work(r); }, again);
  } else {
    s.each_record([&](const kawait::record& r) -> asio::awaitable<void> {
      work(r);
      co_return;
    }, again);
  }
  REQUIRE(s.until([&] { return work.at.size() == 4; }));
  CHECK(s.committed() == 2);
  REQUIRE(s.until([&] { return s.committed() == 5; }, 2min));
  CHECK(work.calls == std::vector<std::int64_t>{0, 1, 2, 2, 2, 2, 2, 3, 4});
  const std::vector<std::chrono::milliseconds> expected{2s, 4s, 8s, 10s};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto pause = work.at[i + 1] - work.at[i];
    CAPTURE(i, pause.count());
    CHECK(pause >= expected[i] * 4 / 5);
    CHECK(pause <= std::min<net::duration>(expected[i] * 6 / 5, 10s));
  }
  CHECK(!s.ended);
}

TEST_CASE("retry: after the last time it ends as without, and nothing behind is done") {
  stage s;
  s.append(0, five);
  flaky work(s, 100);
  s.each_record([&](const kawait::record& r) { work(r); }, retry(3, 100ms), kawait::stop);
  REQUIRE(s.until_ended());
  CHECK(s.what() == "c again");
  CHECK(work.calls == std::vector<std::int64_t>{0, 1, 2, 2, 2, 2});
  CHECK(s.committed() == 2);
}

TEST_CASE("retry: each record has its own times, and pauses that begin anew") {
  stage s;
  s.append(0, five);
  std::map<std::int64_t, int> calls;
  std::map<std::int64_t, net::time_point> first;
  s.each_record(
      [&](const kawait::record& r) {
        first.try_emplace(r.offset(), s.world.now());
        if (++calls[r.offset()] <= 2) throw std::runtime_error("twice");
      },
      retry(2, 1s));
  REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
  for (const auto& [offset, n] : calls) CHECK(n == 3);
  CHECK(first[4] - first[3] <= 3600ms);
}

TEST_CASE("retry: a batch is tried again as a whole") {
  stage s;
  s.append(0, five);
  std::vector<std::int64_t> first;
  s.each_batch([&](kawait::batch& b) -> asio::awaitable<void> {
    first.push_back(b.first_offset());
    co_await kawait::sleep_for(100ms);
    if (first.size() < 3) throw std::runtime_error("not yet");
  }, retry(5, 1s));
  REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
  CHECK(first == std::vector<std::int64_t>{0, 0, 0});
}

TEST_CASE("retry: a pause longer than max.poll.interval is no standstill") {
  stage s;
  s.settings.max_poll_interval(20s).rebalance_timeout(20s);
  s.append(0, five);
  flaky work(s, 1);
  int lost = 0;
  auto handler = [&](kawait::record r, kawait::partition p) -> asio::awaitable<void> {
    work(r);
    if (p.end_reason() == kawait::end_reason::lost) ++lost;
    co_return;
  };
  s.each_record(handler, retry(1, 4min, 4min));
  s.world.advance(3min);
  CHECK(s.members() == 1);
  CHECK(work.calls.size() == 3);
  REQUIRE(s.until([&] { return s.committed() == 5; }, 3min));
  CHECK(work.calls == std::vector<std::int64_t>{0, 1, 2, 2, 3, 4});
  CHECK(lost == 0);
}

TEST_CASE("retry: a partition that goes while it backs off is not waited for; its record is the next owner's") {
  const int how = GENERATE(0, 1, 2);
  CAPTURE(how);
  stage s;
  s.append(0, five);
  flaky work(s, 1000);
  s.each_record([&](const kawait::record& r) { work(r); }, retry(1000, 1min, 1h), skip([](const skipped_work&) { FAIL("skipped"); }));
  s.world.advance(10s);
  CHECK(work.calls.size() == 3);
  const auto began = s.world.now();
  if (how == 0) {
    s.close();
    REQUIRE(s.until_ended());
    CHECK(s.what() == "");
    CHECK(*s.ended - began < 5s);
  } else if (how == 1) {
    s.broker.group().set_target("g", s.consumer().member_id(), std::vector<kawait::topic_partition>());
    REQUIRE(s.until([&] { return s.consumer().assignment().empty(); }, 20s));
    CHECK(!s.ended);
  } else {
    s.fence();
    REQUIRE(s.until([&] { return work.calls.size() == 4; }, 30s));  // it is back, at the same record
    CHECK(work.calls.back() == 2);
    CHECK(!s.ended);
  }
  CHECK(s.committed() == 2);
}

TEST_CASE("skip: what is given up is reported and done") {
  stage s;
  s.append(0, five);
  std::vector<std::string> reports;
  const skip to_list([&](const skipped_work& w) {
    reports.push_back(w.partition.to_string() + '@' + std::to_string(w.offset) + '-' + std::to_string(w.next_offset) + ' ' + w.what() + ' ' +
                      std::to_string(w.attempts) + (w.record ? ' ' + std::string(*w.record->value()) : ""));
  });
  flaky work(s, 1000);
  SECTION("a record") {
    s.each_record([&](const kawait::record& r) { work(r); }, to_list);
    REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
    CHECK(work.calls == std::vector<std::int64_t>{0, 1, 2, 3, 4});
    CHECK(reports == std::vector<std::string>{"orders-0@2-3 c again 1 c"});
  }
  SECTION("a record, after it was tried again") {
    s.each_record([&](const kawait::record& r) -> asio::awaitable<void> {
      work(r);
      co_return;
    }, to_list, retry(2, 10ms));
    REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
    CHECK(work.calls == std::vector<std::int64_t>{0, 1, 2, 2, 2, 3, 4});
    CHECK(reports == std::vector<std::string>{"orders-0@2-3 c again 3 c"});
  }
  SECTION("the last record") {
    s.each_record([&](const kawait::record& r) {
      if (r.offset() == 4) throw 7;
    }, to_list);
    REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
    CHECK(reports == std::vector<std::string>{"orders-0@4-5 not a std::exception 1 e"});
  }
  SECTION("a batch") {
    s.each_batch([&](kawait::batch& b) {
      for (const auto& r : b) work(r);
    }, to_list);
    REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
    CHECK(reports == std::vector<std::string>{"orders-0@0-5 c again 1"});
  }
  SECTION("several at once") {
    s.each_record([&](const kawait::record& r) -> asio::awaitable<void> {
      work(r);
      co_return;
    }, to_list, kawait::any_order(3));
    REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
    CHECK(reports == std::vector<std::string>{"orders-0@2-3 c again 1 c"});
  }
  CHECK(!s.ended);
}

TEST_CASE("skip: a report that throws ends it, and the record is not done") {
  stage s;
  s.append(0, five);
  flaky work(s, 1000);
  const skip bad([](const skipped_work&) { throw std::runtime_error("no dead letters today"); });
  s.each_record([&](const kawait::record& r) { work(r); }, bad);
  REQUIRE(s.until_ended());
  CHECK(s.what() == "no dead letters today");
  CHECK(s.committed() == 2);
}

TEST_CASE("retry: who tries again does not hold back what ends it") {
  stage s;
  s.append(0, {"a"});
  testing::batch_writer damaged(1);
  const std::vector<std::byte> garbage(7);
  damaged.add("another", "b").add_garbage(garbage);
  s.broker.log("orders", 0).append_raw(damaged.build());
  int calls = 0;
  const auto handler = [&](kawait::record r) -> asio::awaitable<void> {
    if (r.offset() == 0) ++calls;
    if (r.offset() == 0) throw std::runtime_error("a again");
    co_return;
  };
  s.each_record(handler, kawait::by_key(2), retry(1000, 1s, 10s));
  REQUIRE(s.until_ended(30s));
  CHECK(s.code() == errc::corrupt_batch);
  CHECK(calls <= 4);
}

TEST_CASE("neither retry nor skip takes a cancelled handler for a failed one") {
  stage s;
  s.append(0, five);
  int begun = 0, reports = 0;
  s.each_record([&](const kawait::record&) -> asio::awaitable<void> {
    if (++begun == 1) co_await kawait::sleep_for(1h);
  }, retry(3, 1ms), skip([&](const skipped_work&) { ++reports; }));
  REQUIRE(s.until([&] { return begun == 1; }));
  s.fence();
  REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
  CHECK(begun == 6);
  CHECK(reports == 0);
}

TEST_CASE("options that make no sense are refused") {
  CHECK_THROWS_AS(kawait::concurrency(0), kawait::error);
  CHECK_THROWS_AS(kawait::by_key(0), kawait::error);
  CHECK_THROWS_AS(kawait::any_order(0), kawait::error);
  CHECK_THROWS_AS(retry(0), kawait::error);
  CHECK_THROWS_AS(retry(1, 0ms), kawait::error);
  CHECK_THROWS_AS(retry(1, 2s, 1s), kawait::error);
  CHECK_THROWS_AS(skip(nullptr), kawait::error);
}

}  // namespace
}  // namespace embedded
