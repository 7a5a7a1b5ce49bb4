// Members that are fenced, in every state that they can be in; in virtual time.

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;

/// The ways in which a group goes on without a member.
enum class way { fenced, expired, gone };
const way ways[] = {way::fenced, way::expired, way::gone};

void expel(story& s, const actor& a, way w) {
  auto& group = s.broker.group();
  switch (w) {
    case way::fenced: REQUIRE(group.fence("g", a.id())); return;
    case way::expired: REQUIRE(group.expire(s.world.now(), "g", a.id())); return;
    case way::gone: s.next(api_key::consumer_group_heartbeat, {answer_with(kafka_error::group_id_not_found)}); return;
  }
}

template <class Test>
void each_way(Test test) {
  for (const auto g : generations) {
    for (const way w : ways) {
      CAPTURE(static_cast<int>(g), static_cast<int>(w));
      test(g, w);
    }
  }
}

/// The only member, with all done but its second ten records of partition `held`, which it has in hand.
actor& join_and_hold(story& s, std::int32_t partitions, std::int32_t held) {
  actor& a = s.join("a");
  s.write_all(partitions);
  REQUIRE(s.until_done(partitions));
  a.held = {held};
  s.write_all(partitions);
  REQUIRE(s.until([&] { return s.log.records() == 20 * static_cast<std::size_t>(partitions); }));
  return a;
}

TEST_CASE("fenced while nothing moves: all is lost, and the member comes back with its id", "[group]") {
  each_way([](kafka_generation g, way w) {
    story s(2, of_generation(g));
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until_done(2));
    expel(s, a, w);
    REQUIRE(s.until([&] { return s.log.ended(end_reason::lost) == 2; }, 10s));
    REQUIRE(s.until([&] { return a.owned().size() == 2; }, 10s));
    s.write_all(2);
    REQUIRE(s.until_done(2, 30s));
    CHECK(s.log.repeated() == 0);
    CHECK(s.broker.group().members("g").size() == 1);
    CHECK(s.is_member(a));
  });
}

// What is in hand is told that it is stale, and cannot be committed; whoever comes next reads it again.
TEST_CASE("fenced with work in hand: nothing of it is committed, and it is done again", "[group]") {
  each_way([](kafka_generation g, way w) {
    story s(1, of_generation(g));
    actor& a = join_and_hold(s, 1, 0);
    expel(s, a, w);
    REQUIRE(s.until([&] { return s.log.ended(end_reason::lost) == 1; }, 10s));
    CHECK(s.broker.committed("g", "orders", 0) == 10);
    a.held.clear();
    REQUIRE(s.until_done(1, 30s));
    CHECK(s.log.repeated() == 10);
    CHECK(s.log.of(0)[1]->first == 10);
  });
}

TEST_CASE("fenced while it waits for its first partitions", "[group]") {
  each_way([](kafka_generation g, way w) {
    story s(2, of_generation(g));
    actor& a = s.prepare("a");
    s.target(a, {});
    a.start();
    REQUIRE(s.until([&] { return s.is_member(a) && a.consumer().member_epoch() > 0; }, 10s));
    expel(s, a, w);
    s.world.advance(10s);
    CHECK(s.is_member(a));  // again
    s.broker.group().set_target("g", a.id(), std::nullopt);
    s.write_all(2);
    REQUIRE(s.until_done(2, 1min));
    CHECK(s.log.all().size() == 2);
    CHECK(!a.has_ended);
  });
}

// The broker knows a member that never heard of it; the session of the first join ends, or it is fenced by hand.
TEST_CASE("fenced while it joins", "[group]") {
  each_way([](kafka_generation g, way w) {
    story s(2, of_generation(g));
    s.write_all(2);
    s.next(api_key::consumer_group_heartbeat, {fault::answered_late(2s)});
    actor& a = s.join("a");
    REQUIRE(s.until([&] { return s.is_member(a); }, 1s));
    expel(s, a, w);
    REQUIRE(s.until_done(2, 1min));
    CHECK(s.log.repeated() == 0);
    CHECK(!a.has_ended);
  });
}

// Points 12, 24: the drain of what was being revoked does not hold up the rejoin, and its late end does no harm.
TEST_CASE("fenced while a drain is under way", "[group]") {
  each_way([](kafka_generation g, way w) {
    story s(2, of_generation(g));
    actor& a = join_and_hold(s, 2, 1);
    s.target(a, {0});
    REQUIRE(s.until([&] { return a.owned() == index_set{0}; }, 10s));
    CHECK(s.log.of(1).front()->open);
    expel(s, a, w);
    REQUIRE(s.until([&] { return s.log.of(0).size() == 2 && !s.log.of(1).front()->open; }, 20s));
    CHECK(s.log.of(0).front()->why == end_reason::lost);
    CHECK(s.broker.committed("g", "orders", 1) == 10);
    a.held.clear();
    actor& b = s.join("b");
    REQUIRE(s.until([&] { return b.owned() == index_set{1}; }, 30s));
    REQUIRE(s.until_done(2, 30s));
    CHECK(s.log.of(1).back()->first == 10);
  });
}

// Point 13: neither leave again nor come back.
TEST_CASE("fenced while it leaves: it has left", "[group]") {
  each_way([](kafka_generation g, way w) {
    story s(2, of_generation(g));
    actor& a = join_and_hold(s, 2, 1);
    a.close(25s);
    s.world.advance(100ms);
    expel(s, a, w);
    REQUIRE(s.until([&] { return a.closed && a.has_ended; }, 25s));
    CHECK(a.closed_at - a.closed_from <= 10s);  // nobody waits for the work: it can no longer be committed
    CHECK(!a.thrown);
    const std::size_t said = s.count(api_key::consumer_group_heartbeat);
    s.world.advance(1min);
    CHECK(s.count(api_key::consumer_group_heartbeat) == said);
    CHECK(!s.is_member(a));  // of what is fenced the session ends
    CHECK(s.broker.committed("g", "orders", 1) == 10);
  });
}

TEST_CASE("fenced again and again it does not spin", "[group]") {
  story s;
  actor& a = s.join("a");
  REQUIRE(s.until([&] { return a.owned().size() == 2; }));
  s.otherwise = [&](const testing::request_view& r) {
    if (r.api == api_key::consumer_group_heartbeat && s.is_member(a)) s.broker.group().fence("g", a.id());
    return fault();
  };
  const std::size_t before = s.count(api_key::consumer_group_heartbeat);
  s.world.advance(1min);
  CHECK(s.count(api_key::consumer_group_heartbeat) - before <= 240);
  s.otherwise = nullptr;
  s.write_all(2);
  REQUIRE(s.until_done(2, 30s));
}

// The session ends while the machine sleeps; others have its partitions when it wakes up (point 15 is its cousin without others).
TEST_CASE("a member that slept past its session works on nothing that is another's, and shares again", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(4, of_generation(g, 2));
    actor& a = s.join("a");
    actor& b = s.join("b");
    s.write_all(4);
    REQUIRE(s.until([&] { return a.owned().size() == 2 && b.owned().size() == 2 && s.is_done(4); }));
    const index_set were = a.owned();
    s.otherwise = [&](const testing::request_view& r) { return r.client_id == "a" ? fault(fault::kind::drop_request) : fault(); };
    REQUIRE(s.until([&] { return b.owned().size() == 4; }, 2min));
    s.write_all(4);
    REQUIRE(s.until_done(4, 1min));
    s.otherwise = nullptr;
    REQUIRE(s.until([&] { return s.log.ended(end_reason::lost) == 2 && a.owned().size() == 2 && b.owned().size() == 2; }, 2min));
    s.write_all(4);
    REQUIRE(s.until_done(4, 1min));
    CHECK(s.log.repeated() <= 20);  // what its fetches under way brought it meanwhile, and it could not commit
    for (const auto p : were) CHECK(s.log.of(p).front()->why == end_reason::lost);
  }
}

// ---- Static members.

// Points 18 and 20.
TEST_CASE("a second member of an instance is refused, and the holder not disturbed", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a", s.settings("a").group_instance_id("i"));
    s.write_all(2);
    REQUIRE(s.until_done(2));
    actor& b = s.join("b", s.settings("b").group_instance_id("i"));
    REQUIRE(s.until([&] { return b.has_ended; }, 1min));
    CHECK(b.error() == kafka_error::unreleased_instance_id);
    s.write_all(2);
    REQUIRE(s.until_done(2, 30s));
    CHECK(s.log.all().size() == 2);
    CHECK(a.owned().size() == 2);
    // It leaves for a while, and whoever comes next has the same partitions without a rebalance.
    actor& other = s.join("other");
    REQUIRE(s.until([&] { return other.owned().size() == 1 && a.owned().size() == 1; }, 1min));
    const index_set had = a.owned();
    const auto epoch = s.broker.group().epoch("g");
    a.close();
    REQUIRE(s.until([&] { return a.has_ended; }, 1min));
    actor& c = s.join("c", s.settings("c").group_instance_id("i"));
    REQUIRE(s.until([&] { return c.owned() == had; }, 1min));
    CHECK(s.broker.group().epoch("g") <= epoch + 1);
    CHECK(s.log.of(*other.owned().begin()).size() <= 2);
    s.write_all(2);
    REQUIRE(s.until_done(2, 30s));
    CHECK(s.log.repeated() == 0);
  }
}

// Point 20: a crash without -2 blocks the instance until the session ends.
TEST_CASE("an instance is free again once its holder's session has ended", "[group]") {
  story s;
  actor& a = s.join("a", s.settings("a").group_instance_id("i"));
  s.write_all(2);
  REQUIRE(s.until_done(2));
  a.vanish();
  actor& early = s.join("early", s.settings("early").group_instance_id("i"));
  REQUIRE(s.until([&] { return early.has_ended; }, 1min));
  CHECK(early.error() == kafka_error::unreleased_instance_id);
  s.world.advance(46s);
  actor& late = s.join("late", s.settings("late").group_instance_id("i"));
  REQUIRE(s.until([&] { return late.owned().size() == 2; }, 1min));
  s.write_all(2);
  REQUIRE(s.until_done(2, 1min));
  CHECK(s.log.repeated() == 0);
}

// Points 12 and 19: who was fenced says -2 first, or the join would be refused as a duplicate of itself.
TEST_CASE("a static member that is fenced comes back as itself", "[group]") {
  each_way([](kafka_generation g, way w) {
    story s(2, of_generation(g));
    actor& a = s.join("a", s.settings("a").group_instance_id("i"));
    s.write_all(2);
    REQUIRE(s.until_done(2));
    expel(s, a, w);
    REQUIRE(s.until([&] { return s.log.ended(end_reason::lost) == 2 && a.owned().size() == 2; }, 30s));
    s.write_all(2);
    REQUIRE(s.until_done(2, 30s));
    CHECK(s.log.repeated() == 0);
    CHECK(!a.has_ended);
  });
}

// Point 20: its instance was taken over while it could not be heard.
TEST_CASE("a static member whose instance went to another ends, and works on nothing more", "[group]") {
  story s(2);
  actor& a = s.join("a", s.settings("a").group_instance_id("i"));
  s.write_all(2);
  REQUIRE(s.until_done(2));
  s.otherwise = [&](const testing::request_view& r) {
    return r.client_id == "a" && r.api == api_key::consumer_group_heartbeat ? fault(fault::kind::close_before) : fault();
  };
  s.world.advance(50s);
  actor& b = s.join("b", s.settings("b").group_instance_id("i"));
  REQUIRE(s.until([&] { return b.owned().size() == 2; }, 1min));
  s.otherwise = nullptr;
  REQUIRE(s.until([&] { return a.has_ended; }, 1min));
  CHECK(a.error() == kafka_error::fenced_instance_id);
  s.write_all(2);
  REQUIRE(s.until_done(2, 1min));
  CHECK(s.log.ended(end_reason::lost) == 2);
}

}  // namespace
}  // namespace embedded
