// Closing a member in each state it can be in, and the deadline of the close; in virtual time. One deadline holds for all of it: the
// drain, the last commit, the leave (point 36).

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;

/// Closes, and says how long that took.
kawait::net::duration close(story& s, actor& a, std::chrono::milliseconds timeout = 30s) {
  a.close(timeout);
  REQUIRE(s.until([&] { return a.closed && a.has_ended; }, timeout + 1min));
  CHECK(a.closed_at - a.closed_from <= timeout);
  CHECK(!a.thrown);
  return a.closed_at - a.closed_from;
}

/// Of two partitions all is done but ten records, which stay in hand.
void work_without_end(story& s, actor& a) {
  s.write_all(2);
  REQUIRE(s.until_done(2));
  a.work_time = [](const kawait::batch&) { return 24h; };
  s.write(1, 10);
  REQUIRE(s.until([&] { return s.log.records() == 30; }));
}

TEST_CASE("closed before it has joined", "[group]") {
  story s;
  s.next(api_key::consumer_group_heartbeat, {fault::answered_late(3s)});
  actor& a = s.join("a");
  REQUIRE(s.until([&] { return s.count(api_key::consumer_group_heartbeat) == 1; }, 1s));
  CHECK(close(s, a) <= 5s);
  CHECK(!*a.closed);
  CHECK(s.broker.group().members("g").empty());  // the join was served, and so was the leave behind it

  story t;
  actor& b = t.prepare("b");
  b.start();
  CHECK(close(t, b) == 0s);
  CHECK(!*b.closed);
  CHECK(t.count(api_key::consumer_group_heartbeat) == 0);
}

TEST_CASE("closed while the coordinator cannot be found", "[group]") {
  story s;
  s.otherwise = [](const testing::request_view& r) {
    return r.api == api_key::find_coordinator ? answer_with(kafka_error::coordinator_not_available) : fault();
  };
  actor& a = s.join("a");
  s.world.advance(10s);
  CHECK(close(s, a) <= 1s);
}

TEST_CASE("closed while it waits for partitions", "[group]") {
  story s;
  actor& a = s.prepare("a");
  s.target(a, {});
  a.start();
  REQUIRE(s.until([&] { return s.is_member(a); }));
  s.world.advance(3s);
  CHECK(close(s, a) <= 1s);
  CHECK(!*a.closed);
  CHECK(!s.is_member(a));
}

TEST_CASE("closed with work in hand: it is waited for, committed, and told", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a");
    a.work_time = [](const kawait::batch&) { return 8s; };
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20; }));
    a.close();
    s.world.advance(5s);
    CHECK(s.is_member(a));  // its partitions are its own until the work is done
    REQUIRE(s.until([&] { return a.closed && a.has_ended; }, 10s));
    CHECK(!*a.closed);
    CHECK(a.closed_at - a.closed_from <= 8s);
    CHECK(s.is_done(2));
    CHECK(!s.is_member(a));
    CHECK(s.log.ended(end_reason::closed) == 2);
  }
}

TEST_CASE("closed with work in hand that does not end: its deadline is kept, with time for the leave", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a");
    work_without_end(s, a);
    CHECK(close(s, a, 10s) >= 9s);
    CHECK(*a.closed == errc::revocation_deadline);
    CHECK(!s.is_member(a));
    CHECK(s.broker.committed("g", "orders", 1) == 10);
  }
}

TEST_CASE("closed while a revocation drains", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until_done(2));
    a.held = {1};
    s.write(1, 10);
    REQUIRE(s.until([&] { return s.log.records() == 30; }));
    s.target(a, {0});
    REQUIRE(s.until([&] { return a.owned() == index_set{0}; }, 10s));
    a.close();
    s.world.advance(5s);
    CHECK(s.is_member(a));
    a.held.clear();
    REQUIRE(s.until([&] { return a.closed && a.has_ended; }, 1s));
    CHECK(!*a.closed);
    CHECK(s.is_done(2));
    CHECK(!s.is_member(a));
  }
}

TEST_CASE("closed while its commits are refused for now, or lost", "[group]") {
  const fault troubles[] = {answer_with(kafka_error::coordinator_load_in_progress), answer_with(kafka_error::not_coordinator),
                            answer_with(kafka_error::unknown_topic_id), fault::kind::close_before, fault::kind::close_after};
  for (const auto g : generations) {
    for (const fault& f : troubles) {
      CAPTURE(static_cast<int>(g), static_cast<int>(f.what), static_cast<int>(f.error));
      story s(2, of_generation(g));
      actor& a = s.join("a", s.settings("a").auto_commit_interval(1h));
      s.write_all(2);
      REQUIRE(s.until([&] { return s.log.records() == 20; }));
      s.next(api_key::offset_commit, times(4, f));
      CHECK(close(s, a) <= 10s);  // contract row 15
      CHECK(!*a.closed);
      CHECK(s.is_done(2));
      CHECK(!s.is_member(a));
    }
  }
}

TEST_CASE("closed while its commits are refused for good, or for too long", "[group]") {
  for (const kafka_error e : {kafka_error::group_authorization_failed, kafka_error::coordinator_load_in_progress}) {
    CAPTURE(static_cast<int>(e));
    story s;
    actor& a = s.join("a", s.settings("a").auto_commit_interval(1h));
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20; }));
    s.otherwise = [e](const testing::request_view& r) { return r.api == api_key::offset_commit ? answer_with(e) : fault(); };
    close(s, a, 10s);
    CHECK(*a.closed == errc::commit_failed);
    CHECK(!s.is_member(a));  // and left all the same
  }
}

TEST_CASE("closed while the coordinator is gone, or frozen", "[group]") {
  for (const bool frozen : {false, true}) {
    CAPTURE(frozen);
    story s(2, nodes(2, 1));
    s.broker.set_coordinator(2);
    for (std::int32_t p = 0; p < 2; ++p) s.broker.set_leader("orders", p, 1);
    actor& a = s.join("a", s.settings("a").auto_commit_interval(1h));
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20; }));
    if (frozen) {
      s.broker.freeze_node(2);
    } else {
      s.otherwise = [](const testing::request_view& r) { return r.node == 2 ? fault(fault::kind::close_before) : fault(); };
    }
    s.world.advance(10s);
    close(s, a, 10s);
    CHECK(*a.closed);
    CHECK(!s.broker.committed("g", "orders", 0));
    if (frozen) s.broker.thaw_node(2);
    s.otherwise = nullptr;
    actor& b = s.join("b");
    REQUIRE(s.until([&] { return s.is_done(2) && b.owned().size() == 2; }, 2min));
  }
}

// Whoever reopens the coordinator's connection (here the look-up that follows a failed attempt), it is no longer out of reach: to
// leave is worth asking for.
TEST_CASE("closed after the coordinator was out of reach for a while", "[group]") {
  story s;
  actor& a = s.join("a");
  s.write_all(2);
  REQUIRE(s.until_done(2));
  s.broker.stop_node(1);
  s.world.advance(10s);  // heartbeats among what fails
  s.broker.start_node(1);
  const std::size_t beats = s.count(api_key::consumer_group_heartbeat);
  REQUIRE(s.until([&] { return s.count(api_key::consumer_group_heartbeat) > beats; }, 10s));
  REQUIRE(s.is_member(a));
  CHECK(close(s, a) <= 1s);
  CHECK(!*a.closed);
  CHECK(!s.is_member(a));
}

// Point 21: by default a static member leaves for a while, with -2.
TEST_CASE("a static member that is closed keeps its place until its session ends", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a", s.settings("a").group_instance_id("i"));
    actor& b = s.join("b");
    REQUIRE(s.until([&] { return a.owned().size() == 1 && b.owned().size() == 1; }, 1min));
    s.write_all(2);
    REQUIRE(s.until_done(2));
    close(s, a);
    REQUIRE(s.is_member(a));
    CHECK(s.view(a)->epoch == -2);
    s.world.advance(40s);
    CHECK(b.owned().size() == 1);
    s.world.advance(20s);
    CHECK(b.owned().size() == 2);
  }
}

TEST_CASE("closed twice, and by a handler's end", "[group]") {
  story s;
  actor& a = s.join("a");
  s.write_all(2);
  REQUIRE(s.until_done(2));
  std::optional<std::error_code> second;
  a.close();
  a.consumer().async_close(kawait::close_options(), [&](std::error_code ec) { second = ec; });
  REQUIRE(s.until([&] { return a.closed && second && a.has_ended; }, 1min));
  CHECK(!*a.closed);
  CHECK(!*second);
  CHECK(s.count(api_key::consumer_group_heartbeat) >= 2);
  CHECK(!s.is_member(a));
}

// The end that a throwing handler makes has 30 s; who closes meanwhile has told how long he has.
TEST_CASE("closed while another close is under way: the earlier deadline is kept", "[group]") {
  const auto first = GENERATE(10s, 30s);
  story s(2);
  actor& a = s.join("a");
  work_without_end(s, a);
  const auto begin = s.world.now();
  a.close(first);
  std::optional<std::error_code> second;
  a.consumer().async_close(kawait::close_options(40s - first), [&](std::error_code ec) { second = ec; });
  REQUIRE(s.until([&] { return a.closed && second && a.has_ended; }, 1min));
  CHECK(s.world.now() - begin <= 10s);
  CHECK(*a.closed == errc::revocation_deadline);
  CHECK(*second == errc::revocation_deadline);
  CHECK(!s.is_member(a));
}

// All is drained and committed, and the coordinator does not answer the leave: the drains' deadline means nothing any more.
TEST_CASE("closed anew while only the leave is unanswered", "[group]") {
  story s;
  actor& a = s.join("a");
  s.write_all(2);
  REQUIRE(s.until([&] { return s.is_done(2) && s.broker.committed("g", "orders", 1) == 10; }, 1min));
  s.broker.freeze_node(1);
  a.close(30s);
  s.world.advance(27500ms);
  REQUIRE(!a.closed);
  const auto again = s.world.now();
  std::optional<std::error_code> second;
  a.consumer().async_close(kawait::close_options(100ms), [&](std::error_code ec) { second = ec; });
  REQUIRE(s.until([&] { return a.closed && second && a.has_ended; }, 1min));
  CHECK(s.world.now() - again <= 100ms);
}

}  // namespace
}  // namespace embedded
