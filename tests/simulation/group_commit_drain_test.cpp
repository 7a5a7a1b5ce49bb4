// Commits of a group in virtual time, and the partitions that are revoked while one is under way: what is done of them is committed
// before they are given up, and nothing after.

#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>

#include "simulation/commit_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;

// Point 29. The broker cannot tell a late commit from the next owner's where the epoch has not moved: so the heartbeat that gives a
// partition up waits until each commit that names it is answered, or its connection is gone. Here the answer is lost; that shows when
// the next answer on that connection is another's, and until then nothing is given up, though the work has long ended.
TEST_CASE("a partition is not given up while a commit that names it is unanswered", "[group]") {
  for (const auto g : generations) {
    for (const bool served : {true, false}) {
      CAPTURE(static_cast<int>(g), served);
      commit_story t(g, 2, false);
      t.a.held = {1};
      t.s.write(1, 5);
      REQUIRE(t.s.until([&] { return t.s.log.records() == 25; }));
      t.s.target(t.a, {0});
      REQUIRE(t.s.until([&] { return t.a.owned() == index_set{0}; }, 10s));
      t.s.next(api_key::offset_commit, {served ? fault::kind::drop_answer : fault::kind::drop_request});
      t.commit();
      t.s.world.advance(10ms);
      CHECK(t.s.has_happened(api_key::offset_commit));
      const std::uint64_t connection = t.s.last(api_key::offset_commit).connection;
      t.a.held.clear();
      t.s.world.advance(1s);
      CHECK(!t.s.log.of(1).front()->open);
      CHECK(t.s.broker.group().owner("g", topic_partition("orders", 1)) == t.a.id());
      REQUIRE(t.s.until([&] { return !t.s.broker.group().owner("g", topic_partition("orders", 1)); }, 10s));
      CHECK(t.s.last(api_key::consumer_group_heartbeat).connection != connection);
      CHECK(t.s.is_member(t.a));
      CHECK(t.s.log.ended(end_reason::lost) == 0);
    }
  }
}

// In automatic mode the drain itself does not end before what is done is committed.
TEST_CASE("a partition is given up with all that was done of it committed, however often that fails", "[group]") {
  const fault losses[] = {fault::kind::drop_request, fault::kind::drop_answer, fault::kind::close_before, fault::kind::close_after,
                          answer_with(kafka_error::coordinator_load_in_progress), answer_with(kafka_error::not_coordinator)};
  for (const auto g : generations) {
    for (const fault& f : losses) {
      CAPTURE(static_cast<int>(g), static_cast<int>(f.what));
      commit_story t(g);
      t.s.next(api_key::offset_commit, times(3, f));
      t.s.target(t.a, {0});
      std::optional<std::int64_t> at_release;
      t.s.otherwise = [&](const testing::request_view&) {
        if (!t.s.broker.group().owner("g", topic_partition("orders", 1)) && !at_release) {
          at_release = t.s.broker.committed("g", "orders", 1).value_or(-1);
        }
        return fault();
      };
      REQUIRE(t.s.until([&] { return at_release.has_value(); }, 1min));
      CHECK(at_release == 10);
      CHECK(t.s.has_happened(api_key::offset_commit));
      CHECK(t.s.log.ended(end_reason::lost) == 0);
    }
  }
}

// The same at the deadline: the connection is cut, which is an end of every commit on it, and the partition goes in time.
TEST_CASE("a commit that hangs does not hold a partition beyond the deadline", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    kawait::config c = s.settings("a");
    c.auto_commit_interval(1h).rebalance_timeout(10s);
    actor& a = s.join("a", c);
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20 && s.broker.group().settled("g"); }));
    s.otherwise = [&](const testing::request_view& r) { return r.api == api_key::offset_commit ? fault::kind::drop_request : fault(); };
    s.target(a, {0});
    REQUIRE(s.until([&] { return a.owned() == index_set{0}; }, 10s));
    const auto told = s.world.now();
    REQUIRE(s.until([&] { return !s.broker.group().owner("g", topic_partition("orders", 1)); }, 20s));
    CHECK(s.world.now() - told >= 8s);
    CHECK(s.world.now() - told <= 10s);
    CHECK(s.is_member(a));
    s.otherwise = nullptr;
    actor& b = s.join("b");
    REQUIRE(s.until([&] { return b.owned() == index_set{1}; }, 30s));
    CHECK(s.log.of(1).back()->first <= 0);  // nothing of it was committed
    s.write_all(2);
    a.close();
    REQUIRE(s.until_done(2, 2min));
    CHECK(s.log.ended(end_reason::lost) == 0);
  }
}

// Work that is done after the partition was given up cannot be committed any more: who comes next has the last word.
TEST_CASE("a late commit of an earlier owner is not sent", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    commit_story t(g);
    actor& b = t.s.join("b");
    REQUIRE(t.s.until([&] { return b.owned().size() == 1 && t.a.owned().size() == 1; }, 1min));
    const std::int32_t moved = *b.owned().begin();
    t.s.write(moved, 10);
    REQUIRE(t.s.until([&] { return t.s.broker.committed("g", "orders", moved) == 20; }, 1min));
    const std::size_t before = t.commits();
    kawait::offset_map late;
    late[topic_partition("orders", moved)] = 5;
    std::optional<kawait::commit_result> told;
    t.a.consumer().async_commit(late, [&](std::error_code, kawait::commit_result r) { told = std::move(r); });
    REQUIRE(t.s.until([&] { return told.has_value(); }, 10s));
    REQUIRE(told->size() == 1);
    CHECK(told->front().code == errc::not_assigned);
    CHECK(t.commits() == before);
    CHECK(t.s.broker.committed("g", "orders", moved) == 20);
  }
}

// How each partition's drain went.
struct drains final : kawait::observer {
  void on_drained(const drained& d) override { outcomes.push_back(d.outcome.code); }
  std::vector<std::error_code> outcomes;
};

asio::awaitable<void> commit_for_ever(kawait::consumer& consumer, kawait::offset_map offsets) {
  for (;;) {
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    co_await consumer.async_commit(offsets, token);
    co_await kawait::sleep_for(1ms);
  }
}

// Who commits by name all the time has a commit under way whenever a drain looks: it is none of the drain's own.
TEST_CASE("steady commits by name neither hold up a drain nor spoil what is told of it", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    const auto seen = std::make_shared<drains>();
    story s(2, of_generation(g, 2));
    actor& a = s.join("a", s.settings("a").auto_commit_interval(50ms).add_observer(seen));
    s.otherwise = [](const testing::request_view& r) {
      return r.api == api_key::offset_commit ? fault::answered_late(20ms) : fault();
    };
    s.write_all(2);
    REQUIRE(s.until([&] { return s.is_done(2); }, 1min));
    const kawait::offset_map offsets{{topic_partition("orders", 0), 10}, {topic_partition("orders", 1), 10}};
    for (int i = 0; i < 3; ++i) {
      asio::co_spawn(s.world.executor(), commit_for_ever(a.consumer(), offsets), asio::detached);
      s.world.advance(7ms);
    }
    s.target(a, {0});
    REQUIRE(s.until([&] { return !s.broker.group().owner("g", topic_partition("orders", 1)); }, 5s));
    CHECK(seen->outcomes == std::vector<std::error_code>{std::error_code()});
  }
}

}  // namespace
}  // namespace embedded
