// for_each_record: returning is done, record by record.

#include <memory>

#include "simulation/handlers.hpp"

namespace embedded {
namespace {

std::vector<producer_record> letters(int count) {
  std::vector<producer_record> all;
  for (int i = 0; i < count; ++i) all.emplace_back(std::string(1, static_cast<char>('a' + i % 26)));
  return all;
}

TEST_CASE("for_each_record: returning is done, whatever form the handler has") {
  const int form = GENERATE(0, 1, 2, 3, 4, 5);
  CAPTURE(form);
  stage s(1);
  std::vector<std::int64_t> seen;
  std::vector<std::string> values;
  const auto take = [&](const kawait::record& r) {
    seen.push_back(r.offset());
    values.emplace_back(*r.value());
  };
  s.append(0, letters(5));
  switch (form) {
    case 0:
      s.each_record([&](const kawait::record& r) { take(r); });
      break;
    case 1:
      s.each_record([&](kawait::record r, kawait::partition p) {
        if (p.topic() == "orders") take(r);
      });
      break;
    case 2:
      s.each_record([&](const kawait::record& r) -> asio::awaitable<void> {
        co_await kawait::sleep_for(1s);
        take(r);
      });
      break;
    case 3:
      s.each_record([&](kawait::record r, const kawait::partition& p) -> asio::awaitable<void> {
        if (p.index() == 0) take(r);
        co_return;
      });
      break;
    case 4:
      s.each_record([&](auto&& r, auto&&) { take(r); });
      break;
    default: {
      auto own = std::make_unique<int>(7);
      s.each_record([&take, own = std::move(own)](const kawait::record& r) {
        if (*own == 7) take(r);
      });
    }
  }
  REQUIRE(s.until([&] { return s.committed() == 5; }, 1min));
  s.append(0, {"last"});
  REQUIRE(s.until([&] { return s.committed() == 6; }, 1min));
  CHECK(seen == range(0, 6));
  CHECK(values == std::vector<std::string>{"a", "b", "c", "d", "e", "last"});
  s.close();
  REQUIRE(s.until_ended());
  CHECK(s.what() == "");
}

TEST_CASE("for_each_record: what precedes the record that threw is committed, and nothing behind it") {
  const bool is_plain = GENERATE(false, true);
  const int bad = GENERATE(0, 5, 9);
  CAPTURE(is_plain, bad);
  stage s;
  s.append(0, letters(10));
  int calls = 0;
  if (is_plain) {
    s.each_record([&](const kawait::record& r) {
      ++calls;
      if (r.offset() == bad) throw std::runtime_error("bad");
    });
  } else {
    s.each_record([&](const kawait::record& r) -> asio::awaitable<void> {
      ++calls;
      if (r.offset() == bad) throw std::runtime_error("bad");
      co_await kawait::sleep_for(10ms);
    });
  }
  REQUIRE(s.until_ended());
  CHECK(s.what() == "bad");
  CHECK(calls == bad + 1);
  CHECK(s.committed() == (bad == 0 ? -1 : bad));
  CHECK(s.members() == 0);
}

TEST_CASE("for_each_record: records are committed while their batch is still worked on") {
  stage s;
  s.append(0, letters(100));
  s.each_record([](const kawait::record&) -> asio::awaitable<void> { co_await kawait::sleep_for(1s); });
  s.world.advance(31s);
  CHECK(s.committed() >= 20);
  CHECK(s.committed() <= 31);
}

TEST_CASE("for_each_record: a partition that goes gets no further record") {
  stage s;
  s.append(0, letters(100));
  int calls = 0;
  s.each_record([&](const kawait::record&) -> asio::awaitable<void> {
    ++calls;
    co_await kawait::sleep_for(1s);
  });
  REQUIRE(s.until([&] { return calls == 4; }));
  SECTION("closed") {
    s.close();
    REQUIRE(s.until_ended(5s));
    CHECK(s.what() == "");
  }
  SECTION("revoked") {
    s.broker.group().set_target("g", s.consumer().member_id(), std::vector<kawait::topic_partition>());
    REQUIRE(s.until([&] { return s.consumer().assignment().empty(); }, 20s));
    const int until_then = calls;
    s.world.advance(20s);
    CHECK(calls == until_then);
    CHECK(!s.ended);
  }
  CHECK(s.committed() == calls);
}

TEST_CASE("for_each_record: a record whose handler was told to stop, and did, is not done") {
  stage s;
  s.append(0, letters(3));
  int calls = 0;
  s.each_record([&](const kawait::record& r, kawait::partition& p) -> asio::awaitable<void> {
    ++calls;
    while (r.offset() == 2 && p.is_running()) co_await kawait::sleep_for(1s);
  });
  s.world.advance(10s);
  s.close();
  REQUIRE(s.until_ended());
  CHECK(calls == 3);
  CHECK(s.committed() == 2);  // although it was the batch's last
}

TEST_CASE("for_each_record: done records and keep_alive are signs of life") {
  const bool keeps_alive = GENERATE(true, false);
  CAPTURE(keeps_alive);
  stage s;
  s.settings.max_poll_interval(20s).rebalance_timeout(20s);
  s.append(0, letters(10));
  int done = 0, lost = 0;
  s.each_record([&](const kawait::record& r, kawait::partition p) -> asio::awaitable<void> {
    const int pieces = r.offset() == 5 ? 10 : 1;
    try {
      for (int i = 0; i < pieces; ++i) {
        co_await kawait::sleep_for(8s);
        if (keeps_alive) p.keep_alive();
      }
      ++done;
    } catch (const std::system_error&) {
      ++lost;
      throw;
    }
  });
  s.world.advance(39s);
  CHECK(done == 4);
  CHECK(lost == 0);
  s.world.advance(106s);
  CHECK((lost > 0) == !keeps_alive);
  if (keeps_alive) CHECK(done >= 7);
}

TEST_CASE("for_each_record: what does not decode ends it, with all before it done, and is no handler's error to retry or skip") {
  const bool is_plain = GENERATE(false, true);
  CAPTURE(is_plain);
  stage s;
  s.append(0, letters(3));
  testing::batch_writer damaged(3);
  const std::vector<std::byte> garbage(7);
  damaged.add("key", "d").add("key", "e").add_garbage(garbage);
  s.broker.log("orders", 0).append_raw(damaged.build());
  int calls = 0, reports = 0;
  const kawait::skip skips([&](const kawait::skipped_work&) { ++reports; });
  if (is_plain) {
    s.each_record([&](const kawait::record&) { ++calls; }, skips);
  } else {
    s.each_record([&](const kawait::record&) -> asio::awaitable<void> {
      ++calls;
      co_return;
    }, skips);
  }
  REQUIRE(s.until_ended());
  CHECK(s.code() == errc::corrupt_batch);
  CHECK(reports == 0);
  CHECK(calls == 5);
  CHECK(s.committed() == 5);
}

}  // namespace
}  // namespace embedded
