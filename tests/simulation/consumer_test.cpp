#include "catch.hpp"

#include <asio/use_future.hpp>

#include "simulation/member.hpp"

namespace {

using namespace std::chrono_literals;
using kawait::errc;
using kawait::kafka_error;
using simulated::kafka;
using simulated::member;

TEST_CASE("a member reads from the start, commits what is done, and leaves", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 3);
  for (int p = 0; p < 3; ++p) k.append_numbers(p, 100);
  k.assign(0, {0, 1, 2});
  member m(w);
  m.start();
  REQUIRE(w.run_until([&] { return m.total() == 300; }));
  for (int p = 0; p < 3; ++p) CHECK(m.seen[p].front() == 0);
  CHECK(k.committed.empty());  // five seconds have not passed
  m.close();
  REQUIRE(w.run_until([&] { return m.ended && m.closed; }));
  CHECK(!m.thrown);
  CHECK(k.committed == std::map<std::int32_t, std::int64_t>{{0, 100}, {1, 100}, {2, 100}});
  CHECK(m.ends == std::map<std::int32_t, kawait::end_reason>{
                      {0, kawait::end_reason::closed}, {1, kawait::end_reason::closed}, {2, kawait::end_reason::closed}});
  CHECK(k.heartbeats.back().epoch == -1);
}

TEST_CASE("days of heartbeats pass in virtual time, committing by the clock", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.heartbeat_interval = 60s;
  k.assign(0, {0});
  member m(w, simulated::member_config().fetch_max_wait(10min).auto_commit_interval(60s));
  m.start();
  const auto began = w.now();
  for (int day = 0; day < 3; ++day) {
    k.append_numbers(0, 1);
    w.advance(24h);
  }
  CHECK(w.now() - began >= 3 * 24h);
  CHECK(m.total() == 3);
  CHECK(k.committed[0] == 3);
  CHECK(k.heartbeats.size() > 3 * 24 * 60 - 10);
}

TEST_CASE("a revocation is acknowledged only after the work in hand, which is committed first", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 2);
  k.append_numbers(0, 10);
  k.append_numbers(1, 10);
  k.assign(0, {0, 1});
  member m(w);
  m.start(20s);
  REQUIRE(w.run_until([&] { return m.total() == 20; }));
  const auto began = w.now();
  k.assign(0, {0});
  REQUIRE(w.run_until([&] { return m.ends.contains(1); }));
  CHECK(m.ends[1] == kawait::end_reason::revoked);
  REQUIRE(w.run_until([&] { return !k.heartbeats.empty() && k.heartbeats.back().owned == std::set<std::int32_t>{0}; }));
  // The batch was taken at `began`, so its work ended 20 s later; nothing was acknowledged before.
  CHECK(w.now() - began >= 19s);
  for (const auto& h : k.heartbeats) {
    if (h.owned && h.at > began && h.at < w.now()) CHECK(h.owned->contains(1));
  }
  const auto committed = std::find_if(k.commits.begin(), k.commits.end(), [](const auto& c) { return c.partition == 1; });
  REQUIRE(committed != k.commits.end());
  CHECK(committed->offset == 10);
  CHECK(committed->at <= k.heartbeats.back().at);
  CHECK(m.running == std::set<std::int32_t>{0});  // the other partition's handler goes on
}

TEST_CASE("a handler that never returns holds its partition until the deadline, and is cancelled then", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  member m(w);
  bool cancelled = false;
  std::optional<kawait::batch> held;
  m.start([&](kawait::partition p) -> asio::awaitable<void> {
    held = co_await p.async_next();
    try {
      co_await kawait::sleep_for(24h);
    } catch (const std::system_error& e) {
      cancelled = e.code() == asio::error::operation_aborted;
      throw;
    }
  });
  REQUIRE(w.run_until([&] { return held.has_value(); }));
  const auto began = w.now();
  k.assign(0, {});
  REQUIRE(w.run_until([&] { return cancelled; }));
  // 0.9 of the rebalance time-out of 60 s, from the heartbeat that brought the revocation.
  CHECK(w.now() - began >= 54s);
  CHECK(w.now() - began <= 56s);
  CHECK(held->is_stale());
  held->done();
  REQUIRE(w.run_until([&] { return k.heartbeats.back().owned && k.heartbeats.back().owned->empty(); }));
  held.reset();
  w.advance(20s);
  CHECK(!k.committed.contains(0));  // done too late: the partition was given up
  CHECK(!m.ended);                  // what escaped the cancelled handler is no error
}

TEST_CASE("fenced: the partitions are lost, and the member comes back by itself", "[consumer]") {
  const kafka_error why = GENERATE(kafka_error::fenced_member_epoch, kafka_error::unknown_member_id, kafka_error::group_id_not_found);
  CAPTURE(static_cast<int>(why));
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  member m(w);
  m.start();
  REQUIRE(w.run_until([&] { return m.total() == 10; }));
  REQUIRE(w.run_until([&] { return k.committed[0] == 10; }));
  k.heartbeat_errors.push_back(why);
  REQUIRE(w.run_until([&] { return m.ends.contains(0); }));
  CHECK(m.ends[0] == kawait::end_reason::lost);
  k.append_numbers(0, 5);
  REQUIRE(w.run_until([&] { return m.total() == 15; }));
  CHECK(m.seen[0][10] == 10);
  CHECK(m.running == std::set<std::int32_t>{0});
}

TEST_CASE("no second handler of a partition starts before the first has ended", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  member m(w);
  int running = 0, most = 0, runs = 0;
  m.start([&](kawait::partition p) -> asio::awaitable<void> {
    ++runs;
    most = std::max(most, ++running);
    while (auto batch = co_await p.async_next()) {
      batch->done();
      // Cannot be hurried: it takes its hour although it is cancelled.
      for (int i = 0; i < 60; ++i) {
        kawait::timer t(w.executor());
        t.expires_after(1min);
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await t.async_wait();
      }
    }
    --running;
  });
  REQUIRE(w.run_until([&] { return running == 1 && k.commits.size() == 1; }, 2h));
  k.append_numbers(0, 10);
  const std::size_t heartbeats = k.heartbeats.size();
  k.heartbeat_errors.push_back(kafka_error::unknown_member_id);
  // The partition is the member's again long before the handler's hour is over.
  const auto is_back = [&] {
    const auto since = k.heartbeats.begin() + static_cast<std::ptrdiff_t>(heartbeats);
    return std::any_of(since, k.heartbeats.end(), [](const auto& h) { return h.epoch == 0; });
  };
  REQUIRE(w.run_until(is_back, 1min));
  w.advance(2min);
  CHECK(k.heartbeats.back().epoch > 0);
  CHECK(running == 1);
  CHECK(runs == 1);
  REQUIRE(w.run_until([&] { return runs == 2; }, 5h));
  CHECK(most == 1);
}

TEST_CASE("a handler that throws ends all in order and the exception comes out", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 2);
  k.append_numbers(0, 10);
  k.append_numbers(1, 10);
  k.assign(0, {0, 1});
  member m(w);
  bool other_returned = false;
  m.start([&](kawait::partition p) -> asio::awaitable<void> {
    while (auto batch = co_await p.async_next()) {
      if (p.index() == 1) {
        co_await kawait::sleep_for(1s);
        throw std::runtime_error("poison");
      }
      co_await kawait::sleep_for(3s);
      batch->done();
    }
    other_returned = true;
  });
  REQUIRE(w.run_until([&] { return m.ended; }));
  REQUIRE(m.thrown);
  CHECK_THROWS_AS(std::rethrow_exception(m.thrown), std::runtime_error);
  CHECK(other_returned);
  CHECK(k.committed == std::map<std::int32_t, std::int64_t>{{0, 10}});
  CHECK(k.heartbeats.back().epoch == -1);
}

TEST_CASE("a handler that returns early is an error", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 1);
  k.assign(0, {0});
  member m(w);
  m.start([](kawait::partition p) -> asio::awaitable<void> {
    auto batch = co_await p.async_next();
    batch->done();
  });
  REQUIRE(w.run_until([&] { return m.ended; }));
  CHECK(m.error() == errc::handler_returned_early);
  CHECK(k.committed[0] == 1);
}

TEST_CASE("cancelling for_each_partition drains, commits and leaves; a second time is abrupt", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  member m(w);
  const bool twice = GENERATE(false, true);
  m.start(5s);
  REQUIRE(w.run_until([&] { return m.total() == 10; }));
  m.cancel.emit(asio::cancellation_type::terminal);
  w.poll();
  CHECK(!m.ended);  // five seconds of work are in hand
  if (twice) m.cancel.emit(asio::cancellation_type::terminal);
  REQUIRE(w.run_until([&] { return m.ended; }));
  CHECK(m.error() == asio::error::operation_aborted);
  CHECK(k.committed.contains(0) == !twice);
  CHECK((k.heartbeats.back().epoch == -1) == !twice);
}

TEST_CASE("a batch released without done() stops its stream in automatic mode, naming the offset", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  member m(w);
  m.start([](kawait::partition p) -> asio::awaitable<void> {
    while (auto batch = co_await p.async_next()) {
      auto r = batch->begin();
      ++r;
      ++r;
      batch->done_through(*r);
    }
  });
  REQUIRE(w.run_until([&] { return m.ended; }));
  CHECK(m.error() == errc::batch_abandoned);
  try {
    std::rethrow_exception(m.thrown);
  } catch (const kawait::error& e) {
    CHECK(std::string(e.what()).find("orders-0") != std::string::npos);
    CHECK(std::string(e.what()).find("offset 3") != std::string::npos);
  }
  CHECK(k.committed[0] == 3);  // the low-water mark
}

TEST_CASE("done through the last record is done through the offsets behind it that are nobody's", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.append_hole(0, 5);
  k.assign(0, {0});
  member m(w);
  m.start([](kawait::partition p) -> asio::awaitable<void> {
    while (auto batch = co_await p.async_next()) {
      for (const auto& r : *batch) batch->done_through(r);
    }
  });
  REQUIRE(w.run_until([&] { return k.committed[0] == 15; }, 1min));
  k.append_numbers(0, 1);
  REQUIRE(w.run_until([&] { return k.committed[0] == 16; }, 1min));
  CHECK(!m.ended);
}

TEST_CASE("a bad record batch is reported with its place, and a seek goes past it", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.append_numbers(0, 10);
  k.corrupt_next = true;
  k.append_numbers(0, 10);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  member m(w);
  std::vector<std::int64_t> offsets;
  std::string words;
  m.start([&](kawait::partition p) -> asio::awaitable<void> {
    for (;;) {
      bool bad = false;
      try {
        auto batch = co_await p.async_next();
        if (!batch) co_return;
        for (const auto& r : *batch) offsets.push_back(r.offset());
        batch->done();
      } catch (const kawait::error& e) {
        bad = e.code() == errc::crc_mismatch;
        words = e.what();
      }
      if (bad) p.seek(30);
    }
  });
  REQUIRE(w.run_until([&] { return offsets.size() == 30; }));
  CHECK(offsets[19] == 19);
  CHECK(offsets[20] == 30);
  CHECK(words.find("orders-0@20") != std::string::npos);
}

}  // namespace
