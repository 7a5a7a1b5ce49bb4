// The coordinator moves, dies, is cut off and comes back, in virtual time. Fetching goes on without it, and the assignment is what it
// was until a heartbeat's answer says otherwise (point 37).

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;

/// Four partitions led by nodes 2 and 3, the group coordinated by node 1.
struct apart {
  explicit apart(kafka_generation g = kafka_generation::v4_3) : s(4, of_generation(g, 3)) {
    s.broker.set_coordinator(1);
    for (std::int32_t p = 0; p < 4; ++p) s.broker.set_leader("orders", p, 2 + p % 2);
  }
  /// Writes so long, and checks that all of it is read at once, whoever owns it.
  void flow(int seconds) {
    for (int i = 0; i < seconds; ++i) {
      const std::size_t before = s.log.records();
      s.write_all(4, 1);
      s.world.advance(1s);
      CHECK(s.log.records() == before + 4);
    }
  }
  /// What coordinates is heard of no more by this member, or by any.
  void cut(const std::string& member = "") {
    s.otherwise = [member](const testing::request_view& r) {
      const bool of_group = r.api == api_key::consumer_group_heartbeat || r.api == api_key::offset_commit || r.api == api_key::offset_fetch;
      return of_group && (member.empty() || r.client_id == member) ? fault(fault::kind::close_before) : fault();
    };
  }
  void mend() { s.otherwise = nullptr; }

  story s;
};

TEST_CASE("the coordinator moves: nothing is lost, nothing stops", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    apart t(g);
    actor& a = t.s.join("a");
    REQUIRE(t.s.until([&] { return a.owned().size() == 4; }));
    for (int round = 0; round < 6; ++round) {
      t.s.broker.set_coordinator(1 + (round + 1) % 3);
      t.flow(8);
    }
    REQUIRE(t.s.until_done(4, 30s));
    CHECK(t.s.log.all().size() == 4);
    CHECK(t.s.log.repeated() == 0);
  }
}

TEST_CASE("the coordinator moves while work drains", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    apart t(g);
    actor& a = t.s.join("a");
    t.s.write_all(4);
    REQUIRE(t.s.until_done(4));
    a.held = {3};
    t.s.write(3, 10);
    REQUIRE(t.s.until([&] { return t.s.log.records() == 50; }));
    actor& b = t.s.join("b");
    t.s.target(a, {0, 1});
    REQUIRE(t.s.until([&] { return a.owned() == index_set{0, 1}; }, 10s));
    t.s.broker.set_coordinator(3);
    t.s.world.advance(12s);
    t.s.broker.set_coordinator(2);
    a.held.clear();
    REQUIRE(t.s.until([&] { return b.owned() == index_set{2, 3}; }, 30s));
    t.s.write_all(4);
    REQUIRE(t.s.until_done(4, 30s));
    CHECK(t.s.log.repeated() == 0);
    CHECK(t.s.log.ended(end_reason::lost) == 0);
  }
}

TEST_CASE("the coordinator dies and another takes over", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    apart t(g);
    actor& a = t.s.join("a");
    actor& b = t.s.join("b");
    REQUIRE(t.s.until([&] { return a.owned().size() == 2 && b.owned().size() == 2; }, 1min));
    t.flow(5);
    t.s.broker.stop_node(1);
    t.flow(20);
    t.s.broker.start_node(1);
    t.flow(5);
    REQUIRE(t.s.until_done(4, 1min));
    CHECK(t.s.log.repeated() == 0);
    CHECK(t.s.log.ended(end_reason::lost) == 0);
  }
}

// Contract row 14.
TEST_CASE("with the coordinator out of reach for less than the session nothing changes but that commits wait", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    apart t(g);
    actor& a = t.s.join("a");
    REQUIRE(t.s.until([&] { return a.owned().size() == 4; }));
    t.flow(10);
    REQUIRE(t.s.until_done(4, 10s));
    t.cut();
    t.flow(35);
    CHECK(t.s.broker.committed("g", "orders", 0) == 10);
    CHECK(a.consumer().last_warning());
    t.mend();
    REQUIRE(t.s.until_done(4, 15s));
    CHECK(t.s.log.all().size() == 4);
    CHECK(t.s.log.repeated() == 0);
  }
}

// Beyond the session it goes on likewise, for nobody told it otherwise; what it did meanwhile is done again by whoever is next: it could
// not be committed. When it is heard again it has lost all, and shares again.
TEST_CASE("with the coordinator out of reach for longer than the session", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    apart t(g);
    actor& a = t.s.join("a");
    actor& b = t.s.join("b");
    REQUIRE(t.s.until([&] { return a.owned().size() == 2 && b.owned().size() == 2; }, 1min));
    t.flow(10);
    REQUIRE(t.s.until_done(4, 10s));
    t.cut("a");
    t.flow(35);
    CHECK(a.owned().size() == 2);
    REQUIRE(t.s.until([&] { return b.owned().size() == 4; }, 30s));
    CHECK(a.owned().size() == 2);  // it cannot know
    t.s.write_all(4);
    REQUIRE(t.s.until_done(4, 30s));
    const auto at = t.s.broker.committed("g", "orders", *a.owned().begin());
    t.mend();
    REQUIRE(t.s.until([&] { return t.s.log.ended(end_reason::lost) == 2 && a.owned().size() == 2 && b.owned().size() == 2; }, 1min));
    CHECK(t.s.broker.committed("g", "orders", *a.owned().begin()) >= at);
    t.s.write_all(4);
    REQUIRE(t.s.until_done(4, 30s));
  }
}

// A machine that slept: its own clock jumps, and so do all timers. Seen from the broker it was silent; nobody else was there.
TEST_CASE("alone and asleep beyond the session, a member is told so and comes back to the same", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until_done(2));
    s.write_all(2);
    s.world.advance(100ms);
    s.broker.freeze_node(1);
    s.world.advance(10min);
    CHECK(s.broker.group().members("g").empty());
    CHECK(a.owned().size() == 2);
    s.broker.thaw_node(1);
    REQUIRE(s.until([&] { return s.log.ended(end_reason::lost) == 2 && a.owned().size() == 2; }, 1min));
    REQUIRE(s.until_done(2, 1min));
    CHECK(s.log.repeated() == 20);  // done before it slept, and not committed in time
    CHECK(!a.has_ended);
  }
}

// SIGSTOP of the coordinator: its connections stay open and say nothing.
TEST_CASE("a coordinator that is frozen for a while is waited for", "[group]") {
  for (const int seconds : {10, 35}) {
    CAPTURE(seconds);
    apart t;
    actor& a = t.s.join("a");
    REQUIRE(t.s.until([&] { return a.owned().size() == 4; }));
    t.flow(10);
    t.s.broker.freeze_node(1);
    t.flow(seconds);
    t.s.broker.thaw_node(1);
    t.flow(5);
    REQUIRE(t.s.until_done(4, 1min));
    CHECK(!a.has_ended);
  }
}

TEST_CASE("a member joins while the coordinator is away, and begins when it is back", "[group]") {
  apart t;
  t.s.write_all(4);
  t.cut();
  actor& a = t.s.join("a");
  t.s.world.advance(5min);
  CHECK(t.s.log.all().empty());
  CHECK(!a.has_ended);
  t.mend();
  REQUIRE(t.s.until_done(4, 15s));
}

TEST_CASE("a member has reached the cluster, though no Metadata was answered before all of it went away", "[group]") {
  story s;
  s.otherwise = [](const testing::request_view& r) { return r.api == api_key::metadata ? fault(fault::kind::close_before) : fault(); };
  actor& a = s.join("a");
  REQUIRE(s.until([&] { return s.is_member(a); }, 5s));
  for (const std::int32_t node : s.broker.nodes()) s.broker.stop_node(node);
  s.world.advance(5min);
  CHECK(!a.has_ended);
  s.otherwise = nullptr;
  for (const std::int32_t node : s.broker.nodes()) s.broker.start_node(node);
  s.write_all(2);
  REQUIRE(s.until_done(2, 1min));
}

TEST_CASE("every connection is cut every second: nothing is lost, nothing read twice", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    apart t(g);
    actor& a = t.s.join("a");
    actor& b = t.s.join("b");
    for (int i = 0; i < 60; ++i) {
      t.s.write_all(4, 2);
      t.s.world.advance(std::chrono::milliseconds(700 + 37 * (i % 13)));
      t.s.broker.cut_connections();
      if (i == 30) b.close();
    }
    REQUIRE(t.s.until([&] { return b.has_ended && a.owned().size() == 4; }, 1min));
    REQUIRE(t.s.until_done(4, 1min));
    CHECK(t.s.log.repeated() == 0);
    CHECK(t.s.log.ended(end_reason::lost) == 0);
  }
}

}  // namespace
}  // namespace embedded
