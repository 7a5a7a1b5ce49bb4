// Partitions that change hands, in virtual time: slow handlers, handlers that never return, targets that change meanwhile, members
// that vanish. The twins of what tests/broker shows against a real Kafka, without its luck.

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;

TEST_CASE("two, then three members share six partitions, and every record is read once", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(6, of_generation(g, 2));
    actor& a = s.join("a");
    REQUIRE(s.until([&] { return a.owned().size() == 6; }, 1min));
    const auto load = [&](int seconds) {
      for (int i = 0; i < seconds * 10; ++i) {
        s.write(i % 6, 5);
        s.world.advance(100ms);
      }
    };
    load(5);
    actor& b = s.join("b");
    load(20);
    CHECK(a.owned().size() == 3);
    CHECK(b.owned().size() == 3);
    actor& c = s.join("c");
    load(20);
    CHECK(a.owned().size() == 2);
    CHECK(b.owned().size() == 2);
    CHECK(c.owned().size() == 2);
    b.close();
    load(20);
    CHECK(b.has_ended);
    CHECK(a.owned().size() == 3);
    CHECK(c.owned().size() == 3);
    REQUIRE(s.until_done(6, 1min));
    CHECK(s.log.repeated() == 0);  // all of it was done, so no new owner reads it again
    a.close();
    c.close();
    REQUIRE(s.until([&] { return a.has_ended && c.has_ended; }, 1min));
    CHECK(s.log.ended(end_reason::lost) == 0);
  }
}

TEST_CASE("a handler that takes two seconds delays its partition's revocation, and no other's records", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(6, of_generation(g));
    actor& a = s.join("a");
    s.write_all(6);
    REQUIRE(s.until_done(6));
    s.broker.group().set_target("g", a.id(), std::vector<topic_partition>{{"orders", 0}, {"orders", 1}, {"orders", 2}});
    // Of the three that go one is slow: its work began just before the group changed its mind.
    a.work_time = [](const kawait::batch& b) { return b.partition() == 5 ? 2000ms : 0ms; };
    actor& b = s.prepare("b");
    kawait::net::time_point told{};
    bool slow = false;
    s.otherwise = [&](const testing::request_view& r) {
      const auto m = s.view(a);
      if (r.client_id == "a" && r.api == api_key::consumer_group_heartbeat && m && m->revoking.empty() && !slow) {
        slow = true;
        s.write(5, 1);
        return fault::delayed(1s);  // so that the record arrives before the news
      }
      return fault();
    };
    b.start();
    REQUIRE(s.until([&] { return !s.log.of(5).front()->handle.is_stale() && s.log.of(5).front()->handle.end_reason() != end_reason::none; }, 1min));
    told = s.world.now();
    CHECK(s.log.of(5).front()->open);
    // All that stays goes on meanwhile.
    std::size_t before = s.log.records();
    for (int i = 0; i < 5; ++i) {
      s.write_all(3, 2);
      s.world.advance(100ms);
      before += 6;
      CHECK(s.log.records() == before);
    }
    CHECK(s.log.of(5).size() == 1);
    REQUIRE(s.until([&] { return b.owned() == index_set{3, 4, 5}; }, 30s));
    const auto slow_ones = s.log.of(5);
    REQUIRE(slow_ones.size() == 2);
    CHECK(slow_ones[0]->ended >= told + 900ms);
    CHECK(slow_ones[0]->ended <= told + 2s);
    CHECK(slow_ones[1]->began >= slow_ones[0]->ended);
    // The quick ones' handlers returned at once.
    CHECK(s.log.of(3)[0]->ended == told);
    CHECK(s.log.of(4)[0]->ended == told);
    a.work_time = nullptr;
    s.write_all(6);
    REQUIRE(s.until_done(6, 1min));
    CHECK(s.log.repeated() == 0);
  }
}

// Contract rows 11 and 23: no barrier, however many there are.
TEST_CASE("of fifty members none stops reading while one more joins, but for the partition that moves", "[group]") {
  constexpr std::int32_t partitions = 102;
  story s(partitions);
  std::vector<actor*> members;
  for (int i = 0; i < 50; ++i) members.push_back(&s.join("m" + std::to_string(i)));
  const auto owned = [&] {
    std::size_t sum = 0;
    for (const actor* m : members) sum += m->owned().size();
    return sum;
  };
  s.write_all(partitions, 1);
  REQUIRE(s.until([&] { return owned() == partitions && s.log.records() == partitions; }));
  const std::size_t ownerships = s.log.all().size(), revoked = s.log.ended(kawait::end_reason::revoked);
  const kawait::uuid topic = s.broker.topic_id("orders");
  std::vector<std::size_t> lag(partitions);  // the most rounds that a partition's reader was behind
  members.push_back(&s.join("last"));
  // While the group changes each partition gets a record ten times a second.
  for (std::size_t round = 1; round <= 200; ++round) {
    s.write_all(partitions, 1);
    s.world.advance(100ms);
    for (std::int32_t p = 0; p < partitions; ++p) {
      std::size_t& most = lag[static_cast<std::size_t>(p)];
      most = std::max(most, round + 1 - s.log.seen(topic_id_partition(topic, p)));
    }
  }
  REQUIRE(s.until_done(partitions));
  CHECK(members.back()->owned().size() == 2);
  index_set moved;
  for (std::size_t i = ownerships; i < s.log.all().size(); ++i) moved.insert(s.log.all()[i].name.partition);
  CHECK(moved.size() == 2);
  CHECK(s.log.all().size() == ownerships + 2);
  CHECK(s.log.ended(kawait::end_reason::revoked) - revoked == 2);
  for (std::int32_t p = 0; p < partitions; ++p) {
    CAPTURE(p, lag[static_cast<std::size_t>(p)]);
    CHECK((moved.contains(p) || lag[static_cast<std::size_t>(p)] <= 1));
  }
  CHECK(s.log.ended(kawait::end_reason::lost) == 0);
  CHECK(s.log.repeated() == 0);
}

TEST_CASE("a handler that never returns is cancelled at the deadline, its work undone, and the member stays", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(4, of_generation(g));
    actor& a = s.join("a");
    s.write_all(4);
    REQUIRE(s.until_done(4));
    s.write_all(4);
    a.work_time = [](const kawait::batch&) { return 24h; };
    REQUIRE(s.until([&] { return s.log.records() == 80; }));
    actor& b = s.join("b");
    REQUIRE(s.until([&] { return a.owned().size() == 2; }, 1min));
    const auto told = s.world.now();
    REQUIRE(s.until([&] { return b.owned().size() == 2; }, 2min));
    CHECK(s.world.now() - told >= 54s);  // 0.9 of the rebalance time-out of 60 s
    CHECK(s.world.now() - told <= 60s);
    CHECK(s.log.ended(end_reason::revoked) == 2);
    CHECK(s.log.ended(end_reason::lost) == 0);
    CHECK(a.owned().size() == 2);
    CHECK(!a.has_ended);
    for (const auto p : b.owned()) {
      CAPTURE(p);
      REQUIRE(s.until([&] { return s.broker.committed("g", "orders", p) == 20; }, 30s));
      CHECK(s.log.of(p)[1]->first == 10);  // what a did not finish b does
    }
  }
}

TEST_CASE("a handler that ends just before the deadline is committed, and not done again", "[group]") {
  story s(2);
  actor& a = s.join("a");
  s.write_all(2);
  REQUIRE(s.until_done(2));
  s.write(1, 10);
  a.held = {1};
  REQUIRE(s.until([&] { return s.log.records() == 30; }));
  s.target(a, {0});
  REQUIRE(s.until([&] { return a.owned() == index_set{0}; }, 10s));
  s.world.advance(53s);
  CHECK(s.log.of(1).front()->open);
  a.held.clear();
  REQUIRE(s.until([&] { return s.view(a)->revoking.empty(); }, 1s));
  CHECK(s.broker.committed("g", "orders", 1) == 20);
  CHECK(s.log.ended(end_reason::revoked) == 1);
}

// Point 27: what is acknowledged towards an older target gives the newest; its clock starts again.
TEST_CASE("a target that changes while work drains, to take more", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(3, of_generation(g));
    actor& a = s.join("a");
    s.write_all(3);
    REQUIRE(s.until([&] { return s.is_done(3) && s.broker.group().settled("g"); }));
    a.held = {2};
    s.write_all(3);
    REQUIRE(s.until([&] { return s.log.records() == 60; }));
    const auto epoch = s.view(a)->epoch;
    s.target(a, {0, 1});
    REQUIRE(s.until([&] { return a.owned() == index_set{0, 1}; }, 10s));
    s.target(a, {0});
    s.world.advance(12s);
    CHECK(a.owned() == index_set{0, 1});  // one revocation at a time
    CHECK(s.view(a)->epoch == epoch);     // who has yet to give up keeps its epoch
    const auto released = s.world.now();
    a.held.clear();
    REQUIRE(s.until([&] { return a.owned() == index_set{0} && s.broker.group().settled("g"); }, 1min));
    CHECK(s.world.now() - released <= 11s);
    actor& b = s.join("b");
    REQUIRE(s.until([&] { return b.owned() == index_set{1, 2}; }, 1min));
    s.write_all(3);
    REQUIRE(s.until_done(3, 1min));
    CHECK(s.log.repeated() == 0);
    CHECK(s.log.ended(end_reason::lost) == 0);
    CHECK(s.log.of(0).size() == 1);
  }
}

// A partition may come back while it is still draining: it is a new lease, which begins when the old one has ended.
TEST_CASE("a target that changes back while work drains", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until([&] { return s.is_done(2) && s.broker.group().settled("g"); }));
    a.held = {1};
    s.write(1, 10);
    REQUIRE(s.until([&] { return s.log.records() == 30; }));
    s.target(a, {0});
    REQUIRE(s.until([&] { return a.owned() == index_set{0}; }, 10s));
    s.target(a, {0, 1});
    s.world.advance(12s);
    CHECK(s.log.of(1).size() == 1);
    a.held.clear();
    REQUIRE(s.until([&] { return a.owned() == index_set{0, 1}; }, 20s));
    CHECK(s.log.of(1).size() == 2);
    CHECK(s.log.of(1)[1]->began >= s.log.of(1)[0]->ended);
    s.write_all(2);
    REQUIRE(s.until_done(2, 30s));
    CHECK(s.log.repeated() == 0);
    CHECK(s.log.of(0).size() == 1);
  }
}

// Members that come one after the other while every handler is slow: targets that change in the middle of reconciliations.
TEST_CASE("members that come and go faster than work drains", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(6, of_generation(g));
    actor& a = s.join("a");
    a.work_time = [](const kawait::batch&) { return 7s; };
    for (int i = 0; i < 12; ++i) {
      s.write_all(6, 3);
      s.world.advance(3s);
      if (i % 4 == 3) {
        CHECK(s.broker.group().remove_member(s.world.now(), "g", "other"));
      } else if (i % 4 == 0) {
        s.add_other();
      }
    }
    REQUIRE(s.until_done(6, 5min));
    CHECK(s.log.repeated() == 0);
    CHECK(s.log.ended(end_reason::lost) == 0);
    CHECK(a.owned().size() == 6);
  }
}

TEST_CASE("a member that vanishes: its partitions move after the session, and no record is lost", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(4, of_generation(g));
    actor& a = s.join("a");
    actor& b = s.join("b");
    s.write_all(4);
    REQUIRE(s.until([&] { return a.owned().size() == 2 && b.owned().size() == 2 && s.is_done(4); }, 1min));
    s.write_all(4);
    s.world.advance(1s);
    const auto gone = s.world.now();
    a.vanish();  // with ten records of each of its partitions done, and not committed
    REQUIRE(s.until([&] { return b.owned().size() == 4; }, 2min));
    CHECK(s.world.now() - gone >= 40s);
    CHECK(s.world.now() - gone <= 51s);
    REQUIRE(s.until_done(4, 1min));
    CHECK(s.log.repeated() <= 20);
  }
}

// Point 27: who does not acknowledge in time is expelled though it goes on with its heartbeats; the others need not wait for its session.
TEST_CASE("a member that never gives up is expelled at its rebalance time-out, and others take over", "[group]") {
  story s(2);
  testing::scripted_member stubborn("stubborn", {"orders"});
  stubborn.acknowledges = false;
  stubborn.rebalance_timeout = 30s;
  REQUIRE(!s.broker.group().add_member(s.world.now(), "g", stubborn));
  s.write_all(2);
  actor& a = s.join("a");
  s.world.advance(20s);
  CHECK(a.owned().empty());
  CHECK(!a.has_ended);
  REQUIRE(s.until([&] { return a.owned().size() >= 1; }, 30s));
  s.broker.group().remove_member(s.world.now(), "g", "stubborn");
  REQUIRE(s.until_done(2, 30s));
}

}  // namespace
}  // namespace embedded
