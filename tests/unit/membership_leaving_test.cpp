#include "catch.hpp"

#include "membership_harness.hpp"

#include <functional>

// Leaving.

namespace membership_leaving_tests {

using namespace membership_test;

const std::string join = "join timeout=300000 names=t owned=";

TEST_CASE("membership drains before it leaves (points 21, 35, 36)") {
  harness t;
  t.settle("A0 A1");
  t.m.leave(leave_kind::default_);
  CHECK(t.poll() == "revoke A0#1 A1#2 within 270000");
  CHECK(t.poll() == "idle 5000");
  CHECK(t.m.holds(lease("A0", 1)));
  t.now += 5s;
  CHECK(t.poll() == "alive 1");  // the session goes on
  t.answer(1);
  t.drained("A0", 1);
  CHECK(t.poll() == "idle 5000");
  t.drained("A1", 2);
  CHECK(t.poll() == "leave -1");
  CHECK(t.poll() == "idle");
  t.answer(-1);
  CHECK(t.poll() == "left");
  CHECK(t.poll() == "idle");
  CHECK(t.m.state_name() == "unsubscribed");
  CHECK(t.m.member_epoch() == 0);
}

TEST_CASE("membership that leaves keeps the deadline of what is drained and not acknowledged (points 25, 35)") {
  harness t;
  t.settle_and_revoke();
  t.now += 268s;
  CHECK(t.poll() == "alive 1");
  SECTION("drained in time") {
    t.drained("A1", 2);  // its acknowledgement waits for that heartbeat's answer
    t.m.leave(leave_kind::default_);
    CHECK(t.poll() == "revoke A0#1 within 2000");
  }
  SECTION("given up: the broker expels us after 300 s") {
    t.now += 3s;
    CHECK(t.poll() == "abandon A1#2");
    t.m.leave(leave_kind::default_);
    CHECK(t.poll() == "revoke A0#1 within 14000");
  }
}

TEST_CASE("membership leaves once, whatever comes of it (points 13, 15, 22)") {
  const std::function<void(harness&)> answers[] = {
      [](harness& t) { t.answer(-1); },
      [](harness& t) { t.disconnect(); },
      [](harness& t) { t.refuse(kafka_error::unknown_member_id); },
      [](harness& t) { t.refuse(kafka_error::group_id_not_found); },
      [](harness& t) { t.refuse(kafka_error::fenced_member_epoch); },
      [](harness& t) { t.refuse(kafka_error::not_coordinator); },
      [](harness& t) { t.refuse(kafka_error::group_authorization_failed); },
  };
  for (const auto& answer : answers) {
    harness t;
    t.settle("A0");
    t.m.leave(leave_kind::default_);
    t.run();
    t.drained("A0", 1);
    CHECK(t.run() == "leave -1");
    answer(t);
    CHECK(t.run() == "left");
    t.now += 1h;
    CHECK(t.poll() == "idle");
  }
}

TEST_CASE("membership of whom the broker cannot know leaves without a word") {
  SECTION("never subscribed") {
    harness t;
    t.m.leave(leave_kind::default_);
    CHECK(t.run() == "left");
  }
  SECTION("never asked") {
    harness t;
    t.m.subscribe({"t"}, std::nullopt);
    t.m.leave(leave_kind::default_);
    CHECK(t.run() == "left");
  }
  SECTION("but the answer to the join may be lost") {
    harness t;
    t.m.subscribe({"t"}, std::nullopt);
    t.poll();
    t.disconnect();
    t.m.leave(leave_kind::default_);
    CHECK(t.run() == "find coordinator; leave -1");
    t.answer(-1);
    CHECK(t.run() == "left");
  }
}

TEST_CASE("membership leaves behind the heartbeat that is under way") {
  harness t;
  t.m.subscribe({"t"}, std::nullopt);
  CHECK(t.poll() == join);
  t.m.leave(leave_kind::default_);
  CHECK(t.poll() == "idle");
  SECTION("the join succeeds: what it brings is not taken") {
    t.answer(1, "A0");
    CHECK(t.run() == "leave -1");
  }
  SECTION("the join is not answered") {
    t.disconnect();
    CHECK(t.run() == "find coordinator; leave -1");
  }
  SECTION("the join is refused for good") {
    t.refuse(kafka_error::group_authorization_failed);
    CHECK(t.run() == "left");
  }
  SECTION("the coordinator is another") {
    t.refuse(kafka_error::not_coordinator);
    CHECK(t.run() == "find coordinator; leave -1");
  }
}

TEST_CASE("membership fenced while leaving neither leaves nor joins again (point 13)") {
  for (const auto code : {kafka_error::unknown_member_id, kafka_error::fenced_member_epoch, kafka_error::group_id_not_found}) {
    const auto name = make_error_code(code).message();
    harness t;
    t.settle("A0");
    t.m.leave(leave_kind::default_);
    t.run();
    t.now += 5s;
    CHECK(t.poll() == "alive 1");
    t.refuse(code);
    CHECK(t.run() == "lose A0#1: " + name + "; left");
    CHECK(t.poll() == "idle");
    t.m.subscribe({"t"}, std::nullopt);  // but if the user wants it
    CHECK(t.poll() == join);
  }
}

TEST_CASE("membership that fails while leaving has left") {
  harness t;
  t.settle("A0");
  t.m.leave(leave_kind::default_);
  t.run();
  t.now += 5s;
  t.poll();
  t.refuse(kafka_error::group_authorization_failed);
  CHECK(t.run() == "lose A0#1: GROUP_AUTHORIZATION_FAILED; left");
}

TEST_CASE("membership leaving takes no assignment and makes no exception at the deadline") {
  harness t;
  t.settle("A0 A1");
  t.m.leave(leave_kind::default_);
  t.run();
  t.now += 5s;
  t.poll();
  t.answer(2, "B0");
  CHECK(t.run() == "");
  t.drained("A1", 2);
  t.commit_sent("A0", 1);
  t.now += 265s;
  CHECK(t.poll() == "abandon A0#1");
  CHECK(t.poll() == "cut");  // a leave gives everything up (point 29 b)
  t.run();
  t.commit_answered("A0", 1);
  t.disconnect();
  CHECK(t.run() == "find coordinator; leave -1");
}

TEST_CASE("membership leaving while it reconciles drains the rest, too (points 24, 36)") {
  harness t;
  t.settle("A0 A1");
  t.now += 5s;
  t.poll();
  t.answer(1, "A0 B0");
  CHECK(t.run() == "revoke A1#2 within 270000");
  t.now += 1s;
  t.m.leave(leave_kind::default_);
  CHECK(t.run() == "revoke A0#1 within 269000");
  t.drained("A0", 1);
  t.now += 1s;
  CHECK(t.run() == "");
  t.drained("A1", 2);
  CHECK(t.run() == "leave -1");
}

TEST_CASE("membership leaving cuts for the first whose commit hangs while others drain (points 25, 29 b, 36)") {
  harness t;
  t.settle_and_revoke_in_turn();
  t.m.leave(leave_kind::default_);
  t.run();
  t.now += 170s;
  CHECK(t.poll() == "abandon A1#2");
  CHECK(t.poll() == "cut");
  t.commit_answered("A1", 2);
  t.run();
  if (t.m.heartbeat_in_flight()) t.answer(1);
  t.drained("A0", 1);
  CHECK(t.run() == "leave -1");
}

TEST_CASE("membership waits for the answers of all commits before it leaves (points 29 b, 36)") {
  harness t;
  t.settle("A0");
  t.commit_sent("A0", 1);
  t.m.leave(leave_kind::default_);
  t.run();
  t.drained("A0", 1);
  CHECK(t.poll() == "idle 5000");
  t.commit_answered("A0", 1);
  CHECK(t.poll() == "leave -1");
}

TEST_CASE("membership subscribed while leaving joins afterwards") {
  harness t;
  t.settle("A0");
  t.m.leave(leave_kind::default_);
  t.run();
  t.m.subscribe({"u"}, std::nullopt);
  CHECK(t.poll() == "idle 5000");
  t.drained("A0", 1);
  CHECK(t.run() == "leave -1");
  SECTION("and joins") {
    t.answer(-1);
    CHECK(t.run() == "left; join timeout=300000 names=u owned=");
    t.answer(1, "A0");
    CHECK(t.run() == "alive 1 owned=A0; assign A0#2 at 1");
  }
  SECTION("unless it is left again") {
    t.m.leave(leave_kind::default_);
    t.answer(-1);
    CHECK(t.run() == "left");
    CHECK(t.poll() == "idle");
  }
}

TEST_CASE("membership leaves as it is told (point 21)") {
  struct {
    bool is_static;
    leave_kind kind;
    const char* says;
  } const cases[] = {
      {false, leave_kind::default_, "leave -1"},
      {false, leave_kind::leave_group, "leave -1"},
      {false, leave_kind::remain_in_group, "left"},
      {true, leave_kind::default_, "leave -2 instance=i"},
      {true, leave_kind::leave_group, "leave -1 instance=i"},
      {true, leave_kind::remain_in_group, "leave -2 instance=i"},
  };
  for (const auto& c : cases) {
    harness t(c.is_static ? harness::static_options() : member_options("g", "m"));
    t.settle("A0");
    t.m.leave(c.kind);
    CHECK(t.run() == "revoke A0#1 within 270000");
    t.drained("A0", 1);
    CHECK(t.run() == c.says);
  }
}

TEST_CASE("membership that remained without a word ignores what is still answered") {
  harness t;
  t.settle("A0");
  t.m.leave(leave_kind::remain_in_group);
  t.run();
  t.now += 5s;
  CHECK(t.poll() == "alive 1");
  t.drained("A0", 1);
  CHECK(t.run() == "left");
  t.m.subscribe({"t"}, std::nullopt);
  CHECK(t.poll() == "idle");  // one heartbeat in flight
  t.answer(7, "A0");
  CHECK(t.m.member_epoch() == 0);
  CHECK(t.run() == join);
  t.answer(8, "A0");
  CHECK(t.run() == "alive 8 owned=A0; assign A0#2 at 8");
}

TEST_CASE("membership closed while it resigns has left with that (points 12, 13)") {
  harness t;
  t.settle("A0");
  t.now += 5s;
  t.poll();
  t.refuse(kafka_error::fenced_member_epoch);
  CHECK(t.run() == "lose A0#1: FENCED_MEMBER_EPOCH; leave -1");
  t.m.leave(leave_kind::default_);
  CHECK(t.poll() == "idle");
  t.answer(-1);
  CHECK(t.run() == "left");
  CHECK(t.poll() == "idle");
}

}  // namespace membership_leaving_tests
