// Where members of a group begin, in virtual time: every error of OffsetFetch, offsets that are not stable yet, and topics that come
// late, go and come again. An error never leads to a reset (point 33): the group has committed 5, and with auto.offset.reset "latest" a
// reset would show as a lost record.

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;

/// Two partitions of ten records, of which the group has committed five each.
struct half_read {
  explicit half_read(kafka_generation g = kafka_generation::v4_3, std::int32_t node_count = 1) : s(2, of_generation(g, node_count)) {
    s.write_all(2);
    for (std::int32_t p = 0; p < 2; ++p) {
      s.broker.group().set_offset(s.world.now(), "g", topic_partition("orders", p), kawait::offset_and_epoch(5));
      s.log.expect_committed(topic_id_partition(s.broker.topic_id("orders"), p), 5);
    }
  }
  actor& join(const std::string& name = "a") { return s.join(name, s.settings(name).auto_offset_reset(offset_reset::latest)); }
  bool is_read() { return s.log.records() == 10 && s.broker.committed("g", "orders", 0) == 10 && s.broker.committed("g", "orders", 1) == 10; }
  bool never_reset() const { return s.count(api_key::list_offsets) == 0; }

  story s;
};

TEST_CASE("offsets that cannot be told now are asked for again, and nothing is reset", "[group]") {
  struct row {
    kafka_error error;
    bool looks_up;
  };
  const row rows[] = {{kafka_error::coordinator_load_in_progress, false}, {kafka_error::not_coordinator, true},
                      {kafka_error::coordinator_not_available, true},     {kafka_error::stale_member_epoch, false},
                      {kafka_error::unknown_member_id, false},            {kafka_error::unstable_offset_commit, false},
                      {kafka_error::request_timed_out, false},            {kafka_error::group_id_not_found, false}};
  for (const auto g : generations) {
    for (const row& r : rows) {
      CAPTURE(static_cast<int>(g), static_cast<int>(r.error));
      half_read t(g);
      t.s.next(api_key::offset_fetch, times(5, answer_with(r.error)));
      actor& a = t.join();
      REQUIRE(t.s.until([&] { return a.owned().size() == 2; }, 10s));
      const std::size_t looked_up = t.s.count(api_key::find_coordinator);
      REQUIRE(t.s.until([&] { return t.is_read(); }, 1min));
      CHECK(t.s.has_happened(api_key::offset_fetch));
      CHECK(t.never_reset());
      CHECK((t.s.count(api_key::find_coordinator) > looked_up) == r.looks_up);
      CHECK(!a.has_ended);
      for (const ownership& o : t.s.log.all()) CHECK(o.first == 5);
    }
  }
}

TEST_CASE("an offset fetch that is lost is repeated", "[group]") {
  for (const fault& f : {fault(fault::kind::drop_request), fault(fault::kind::drop_answer), fault(fault::kind::close_before),
                         fault(fault::kind::close_after), fault::cut_after(9)}) {
    CAPTURE(static_cast<int>(f.what));
    half_read t;
    t.s.next(api_key::offset_fetch, {f, f});
    t.join();
    REQUIRE(t.s.until([&] { return t.is_read(); }, 3min));
    CHECK(t.never_reset());
  }
}

TEST_CASE("offsets that may not be read are told to the handler, and nothing is reset", "[group]") {
  half_read t;
  t.s.otherwise = [](const testing::request_view& r) {
    return r.api == api_key::offset_fetch ? answer_with(kafka_error::group_authorization_failed) : fault();
  };
  actor& a = t.join();
  REQUIRE(t.s.until([&] { return a.has_ended; }, 1min));
  CHECK(a.error() == kafka_error::group_authorization_failed);
  CHECK(t.s.log.records() == 0);
  CHECK(t.never_reset());
}

// Points 25 and 33: a transaction that commits offsets is under way. The member acknowledges what it was given without waiting for it,
// keeps its session, reads its other partition, and gives the waiting one up when it must.
TEST_CASE("offsets that are not stable for minutes hold up their partition only, and nobody is fenced", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    half_read t(g);
    t.s.broker.group().set_pending("g", topic_partition("orders", 1), true);
    actor& a = t.join();
    REQUIRE(t.s.until([&] { return t.s.broker.committed("g", "orders", 0) == 10 && t.s.broker.group().settled("g"); }, 1min));
    t.s.world.advance(5min);
    CHECK(t.s.log.records() == 5);
    CHECK(t.never_reset());
    CHECK(t.s.log.ended(end_reason::lost) == 0);
    CHECK(a.owned() == index_set{0, 1});
    const std::size_t asked = t.s.count(api_key::offset_fetch);
    t.s.world.advance(1min);
    CHECK(t.s.count(api_key::offset_fetch) - asked >= 30);
    CHECK(t.s.count(api_key::offset_fetch) - asked <= 90);
    t.s.target(a, {0});
    REQUIRE(t.s.until([&] { return t.s.view(a)->assigned.size() == 1 && t.s.view(a)->revoking.empty(); }, 10s));
    t.s.target(a, {0, 1});
    t.s.broker.group().set_pending("g", topic_partition("orders", 1), false);
    REQUIRE(t.s.until([&] { return t.is_read(); }, 1min));
    CHECK(t.never_reset());
  }
}

// The epoch with which it asks is that of its last heartbeat; the broker's has moved meanwhile.
TEST_CASE("an offset fetch that the group's epoch overtook", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    half_read t(g);
    actor& a = t.s.prepare("a", t.s.settings("a").auto_offset_reset(offset_reset::latest));
    t.s.target(a, {0});
    a.start();
    REQUIRE(t.s.until([&] { return t.s.broker.committed("g", "orders", 0) == 10 && t.s.broker.group().settled("g"); }, 1min));
    int moves = 0;
    t.s.otherwise = [&](const testing::request_view& r) {
      // Each time that offsets are asked for, the group has moved on, and the member is told two seconds later.
      if (r.api == api_key::consumer_group_heartbeat && ++moves <= 6) {
        t.s.target(a, {0, 1});
        return fault::answered_late(300ms);
      }
      return fault();
    };
    t.s.target(a, {0, 1});
    REQUIRE(t.s.until([&] { return t.is_read(); }, 2min));
    CHECK(moves >= 1);
    CHECK(t.never_reset());
    CHECK(t.s.log.ended(end_reason::lost) == 0);
  }
}

// ---- No offset.

TEST_CASE("without an offset, and only then, the policy decides", "[group]") {
  story s(2);
  s.write_all(2);
  s.log.starts_at_commit = false;
  s.broker.group().set_offset(s.world.now(), "g", topic_partition("orders", 1), kawait::offset_and_epoch(5));
  s.log.expect_committed(topic_id_partition(s.broker.topic_id("orders"), 1), 5);
  s.next(api_key::offset_fetch, {answer_with(kafka_error::coordinator_load_in_progress)});
  s.join("a", s.settings("a").auto_offset_reset(offset_reset::latest));
  REQUIRE(s.until([&] { return s.broker.committed("g", "orders", 1) == 10; }, 1min));
  s.write_all(2);
  REQUIRE(s.until([&] { return s.broker.committed("g", "orders", 0) == 20 && s.broker.committed("g", "orders", 1) == 20; }, 1min));
  CHECK(s.log.of(0).front()->first == 10);
  CHECK(s.log.of(1).front()->first == 5);
}

// ---- Topics that come late, go, and come again.

TEST_CASE("a topic created after subscribe is read; a subscription changes at run time", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(1, of_generation(g));
    actor& a = s.prepare("a");
    a.consumer().subscribe("orders", "later");
    a.start();
    s.write_all(1);
    REQUIRE(s.until_done(1));
    s.world.advance(1min);
    s.broker.create_topic("later", 2);
    for (std::int32_t p = 0; p < 2; ++p) s.write(p, 10, "later");
    REQUIRE(s.until([&] { return s.is_done(2, "later"); }, 10min));
    s.write_all(1);
    REQUIRE(s.until_done(1, 1min));
    CHECK(s.log.of(0).size() == 1);  // it was never given up for that
    const auto began = s.world.now();
    a.consumer().subscribe("later");
    REQUIRE(s.until([&] { return s.log.ended(end_reason::revoked) == 1; }, 10s));
    CHECK(s.world.now() == began);  // point 38: said at once
    CHECK(!s.log.of(0).front()->open);
    for (std::int32_t p = 0; p < 2; ++p) s.write(p, 10, "later");
    REQUIRE(s.until([&] { return s.is_done(2, "later"); }, 1min));
    CHECK(s.log.repeated() == 0);
  }
}

TEST_CASE("a topic that is deleted is given up, and the others flow on", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    s.broker.create_topic("doomed", 1);
    actor& a = s.prepare("a");
    a.consumer().subscribe("orders", "doomed");
    a.start();
    s.write_all(2);
    s.write(0, 10, "doomed");
    REQUIRE(s.until([&] { return s.is_done(2) && s.is_done(1, "doomed"); }, 1min));
    s.broker.delete_topic("doomed");
    for (int i = 0; i < 60; ++i) {
      const std::size_t before = s.log.records();
      s.write_all(2, 1);
      s.world.advance(1s);
      CHECK(s.log.records() == before + 2);
    }
    CHECK(s.log.of(0, "doomed").size() == 1);
    CHECK(!s.log.of(0, "doomed").front()->open);
    CHECK(s.log.of(0).size() == 1);
    CHECK(!a.has_ended);
  }
}

// Work on the old topic's records is in hand, and done late: nothing of it may count for the new topic (invariant 9).
TEST_CASE("a topic made anew is read from its beginning, and no offset of the old one is inherited", "[group]") {
  for (const auto g : generations) {
    for (const bool working : {false, true}) {
      CAPTURE(static_cast<int>(g), working);
      story s(2, of_generation(g));
      actor& a = s.join("a");
      s.write_all(2, 20);
      REQUIRE(s.until_done(2));
      if (working) {
        a.held = {1};
        s.write(1, 20);
        REQUIRE(s.until([&] { return s.log.records() == 60; }));
      }
      s.broker.recreate_topic("orders");
      s.write_all(2, 5);
      s.world.advance(20s);
      a.held.clear();
      REQUIRE(s.until_done(2, 20min));
      CHECK(s.broker.committed("g", "orders", 1) == 5);
      CHECK(s.log.of(1).back()->first == 0);
      CHECK(!a.has_ended);
    }
  }
}

}  // namespace
}  // namespace embedded
