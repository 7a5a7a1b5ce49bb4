// max.poll.interval.ms: a member that keeps a partition and does not work on it leaves, and is back when its application moves again.

#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>

#include "simulation/group_story.hpp"
#include "simulation/handlers.hpp"

namespace embedded {
namespace {

constexpr auto interval = 5min;

void take_one(reader& r, std::optional<kawait::batch>& in_hand) {
  r.consumer.async_next([&](std::error_code ec, kawait::batch b) {
    if (!ec) in_hand.emplace(std::move(b));
  });
}

/// What members said when they joined, in milliseconds.
std::vector<std::int32_t> told_rebalance_times(const kawait::config& settings) {
  story s(1);
  std::vector<std::int32_t> told;
  s.otherwise = [&](const testing::request_view& r) {
    if (testing::heartbeat_kind_of(r) == testing::heartbeat_kind::join) {
      kawait::protocol::consumer_group_heartbeat_request q;
      REQUIRE(!kawait::protocol::decode_request(q, r.body, r.version));
      told.push_back(q.rebalance_timeout_ms);
    }
    return fault();
  };
  kawait::config c = settings;
  actor& a = s.join("a", c.bootstrap_servers(s.broker.bootstrap()));
  REQUIRE(s.until([&] { return s.is_member(a); }, 1min));
  return told;
}

TEST_CASE("the rebalance time-out that a member joins with is max.poll.interval.ms, unless it is set") {
  const std::int32_t by_default = 5 * 60'000;
  kawait::config c;
  c.group_id("g");
  CHECK(told_rebalance_times(c) == std::vector{by_default});
  c.max_poll_interval(37s);
  CHECK(told_rebalance_times(c) == std::vector{37'000});
  c.rebalance_timeout(41s);
  CHECK(told_rebalance_times(c) == std::vector{41'000});
}

TEST_CASE("work within max.poll.interval keeps a member, however slow it is") {
  story s(2);
  actor& a = s.join("a");
  a.work_time = [](const kawait::batch&) { return 290s; };
  for (int i = 0; i < 6; ++i) s.write_all(2, 1);
  const auto joined = [&] { return s.is_member(a); };
  REQUIRE(s.until(joined));
  for (int i = 0; i < 60; ++i) {
    s.world.advance(1min);
    CHECK(s.is_member(a));
  }
  CHECK(s.until_done(2, 30min));
  CHECK(s.log.ended(kawait::end_reason::lost) == 0);
}

TEST_CASE("a member without anything to do stays, whether it reads or not") {
  story s(2);
  actor& a = s.join("a");
  reader idle(s.world, member_of(s.broker).group_id("idle"));
  idle.run();
  s.world.advance(1h);
  CHECK(s.is_member(a));
  CHECK(s.broker.group().members("idle").size() == 1);
}

TEST_CASE("work that stands still: the member leaves, its partitions are lost, others go on, and it is back when its handler returned") {
  story s(2);
  actor& a = s.join("a");
  a.held = {0};
  s.write_all(2);
  REQUIRE(s.until([&] { return s.log.records() == 20; }));
  const auto began = s.world.now();
  const std::string id = a.id();
  REQUIRE(s.until([&] { return s.log.ended(kawait::end_reason::lost) == 2; }, 20min));
  CHECK(s.world.now() - began >= interval);
  CHECK(s.world.now() - began <= interval * 5 / 4 + 10s);
  CHECK(a.consumer().last_warning().code == errc::poll_interval_exceeded);
  CHECK(a.consumer().last_warning().words == "orders-0");
  // The handler was cancelled and returned: that is a move.
  a.held.clear();
  REQUIRE(s.until([&] { return s.is_member(a) && a.owned() == index_set{0, 1}; }, 1min));
  REQUIRE(s.until_done(2));
  CHECK(!a.has_ended);
}

TEST_CASE("the partitions of a member that stands still are another's meanwhile") {
  story s(2);
  // Reads one batch and does nothing more.
  reader stuck(s.world, s.settings("stuck"));
  std::optional<kawait::batch> in_hand;
  const auto take = [&] { take_one(stuck, in_hand); };
  stuck.run();
  s.write_all(2);
  take();
  REQUIRE(s.until([&] { return in_hand.has_value(); }));
  actor& b = s.prepare("b");
  s.log.starts_at_commit = true;
  b.start();
  // It keeps what the first does not give up, until that one has left.
  REQUIRE(s.until([&] { return b.owned() == index_set{0, 1}; }, 20min));
  CHECK(s.broker.group().members("g").size() == 1);
  CHECK(in_hand->is_stale());
  REQUIRE(s.until_done(2));
  s.world.advance(1h);
  CHECK(s.broker.group().members("g").size() == 1);
  SECTION("asking for more is a move") {
    take();
    CHECK(s.until([&] { return s.broker.group().members("g").size() == 2; }, 1min));
  }
  SECTION("so is done, though it is too late") {
    in_hand->done();
    CHECK(s.until([&] { return s.broker.group().members("g").size() == 2; }, 1min));
  }
  SECTION("and to close is still possible") {
    stuck.close();
    CHECK(s.until([&] { return stuck.closed.has_value(); }, 1min));
  }
  in_hand.reset();
}

TEST_CASE("a member that stands still with nothing in hand does not come back before its application moves") {
  story s(1);
  reader stuck(s.world, s.settings("stuck"));
  std::optional<kawait::batch> in_hand;
  const auto take = [&] { take_one(stuck, in_hand); };
  stuck.run();
  s.write_all(1);
  take();
  REQUIRE(s.until([&] { return in_hand.has_value(); }));
  in_hand->done();
  in_hand.reset();
  s.write_all(1);
  s.world.advance(interval * 5 / 4 + 10s);
  CHECK(s.broker.group().members("g").empty());
  s.world.advance(1h);
  CHECK(s.broker.group().members("g").empty());
  take();
  CHECK(s.until([&] { return s.broker.group().members("g").size() == 1; }, 1min));
}

TEST_CASE("a handler that outlives its lost partition is a standstill of the next assignment, too") {
  stage s;
  s.append(0, {"a"});
  int begun = 0;
  bool returns = false;
  s.each_partition([&](kawait::partition p) -> asio::awaitable<void> {
    const bool hangs = ++begun == 1;
    auto first = co_await p.async_next();
    if (first) first->done();
    first.reset();
    if (hangs) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (hangs && !returns) co_await kawait::sleep_for(1s);
    while (auto b = co_await p.async_next()) b->done();
  });
  REQUIRE(s.until([&] { return s.committed() == 1; }));
  s.world.advance(1h);
  CHECK(s.members() == 1);  // it owes nothing
  s.fence();
  s.append(0, {"b"});
  s.world.advance(20s);
  CHECK(s.members() == 1);
  REQUIRE(s.until([&] { return s.members() == 0; }, interval * 5 / 4 + 10s));
  CHECK(s.consumer().last_warning().code == errc::poll_interval_exceeded);
  s.world.advance(1h);
  CHECK(s.members() == 0);
  CHECK(begun == 1);
  returns = true;
  CHECK(s.until([&] { return s.committed() == 2; }, 1min));
  CHECK(begun == 2);
}

TEST_CASE("keep_alive says that long work goes on; a paused partition owes none") {
  story s(1);
  reader slow(s.world, s.settings("slow"));
  std::optional<kawait::batch> in_hand;
  slow.run();
  s.write_all(1);
  take_one(slow, in_hand);
  REQUIRE(s.until([&] { return in_hand.has_value(); }));
  for (int i = 0; i < 20; ++i) {
    s.world.advance(1min);
    in_hand->keep_alive();
  }
  CHECK(!in_hand->is_stale());
  slow.consumer.assignment().front().pause();
  s.world.advance(1h);
  CHECK(!in_hand->is_stale());
  slow.consumer.assignment().front().resume();
  s.world.advance(interval * 3 / 2);
  CHECK(in_hand->is_stale());
  in_hand.reset();
}

}  // namespace
}  // namespace embedded
