#include "catch.hpp"

#include "membership_harness.hpp"

// Static members, and the poll time-out.

namespace membership_static_tests {

using namespace membership_test;

const std::string join = "join timeout=300000 names=t owned=";
const std::string static_join = "join instance=i timeout=300000 names=t owned=";

TEST_CASE("membership says its instance id in every heartbeat (points 3, 5)") {
  harness t(harness::static_options());
  t.m.subscribe({"t"}, std::nullopt);
  CHECK(t.poll() == static_join);
  t.answer(1, "A0");
  CHECK(t.run() == "alive 1 instance=i owned=A0; assign A0#1 at 1");
  t.answer(1);
  t.now += 5s;
  CHECK(t.poll() == "alive 1 instance=i");
  t.disconnect();
  t.run();
  t.now += 80ms;
  CHECK(t.poll() == "alive 1 instance=i timeout=300000 names=t owned=A0");
}

TEST_CASE("membership finds out whose an unreleased instance id is (points 18, 19)") {
  harness t(harness::static_options());
  t.m.subscribe({"t"}, std::nullopt);
  t.poll();
  t.refuse(kafka_error::unreleased_instance_id, "in use");
  CHECK(t.run() == "leave -2 instance=i");

  SECTION("ours: an earlier join whose answer was lost") {
    t.answer(-2);
    CHECK(t.run() == static_join);
    t.answer(3, "A0");
    CHECK(t.run() == "alive 3 instance=i owned=A0; assign A0#1 at 3");
  }
  SECTION("nobody's: the other has gone meanwhile") {
    t.refuse(kafka_error::unknown_member_id);
    CHECK(t.run() == static_join);
  }
  SECTION("another's: fatal for us, and the holder is not disturbed") {
    t.refuse(kafka_error::fenced_instance_id);
    const auto e = t.next();
    CHECK(show(e, t.now) == "failed UNRELEASED_INSTANCE_ID");
    CHECK(std::get<failed>(e).reason.words.find("in use") != std::string::npos);
  }
  SECTION("not to be found out now") {
    t.disconnect();
    CHECK(t.run() == "find coordinator");
    t.now += 160ms;
    CHECK(t.run() == "leave -2 instance=i");  // a repeated one is harmless
    t.refuse(kafka_error::coordinator_load_in_progress);
    t.now += 320ms;
    CHECK(t.run() == "leave -2 instance=i");
  }
  SECTION("and again, with pauses") {
    t.answer(-2);
    CHECK(t.run() == static_join);
    t.refuse(kafka_error::unreleased_instance_id);
    CHECK(t.run() == "");
    t.now += 160ms;
    CHECK(t.run() == "leave -2 instance=i");
  }
}

TEST_CASE("membership of a static member that is fenced says -2 before it joins (point 12)") {
  harness t(harness::static_options());
  t.settle("A0");
  t.now += 5s;
  t.poll();
  t.refuse(kafka_error::fenced_member_epoch);
  CHECK(t.run() == "lose A0#1: FENCED_MEMBER_EPOCH; leave -2 instance=i");
  SECTION("joins") {
    t.answer(-2);
    CHECK(t.run() == static_join);
  }
  SECTION("unless its instance id is another's by now (point 20)") {
    t.refuse(kafka_error::fenced_instance_id);
    CHECK(t.run() == "failed FENCED_INSTANCE_ID");
  }
}

TEST_CASE("membership of a static member that was replaced is lost for good (point 20)") {
  harness t(harness::static_options());
  t.settle("A0");
  t.now += 5s;
  t.poll();
  t.refuse(kafka_error::fenced_instance_id);
  CHECK(t.run() == "lose A0#1: FENCED_INSTANCE_ID; failed FENCED_INSTANCE_ID");
}

TEST_CASE("membership leaves first and loses then when the application does not move (point 34)") {
  for (const bool is_static : {false, true}) {
    harness t(is_static ? harness::static_options() : member_options("g", "m"));
    t.settle("A0 A1");
    t.m.on_poll_timeout();
    CHECK_FALSE(t.m.holds(lease("A0", 1)));
    CHECK(t.poll() == (is_static ? "leave -2 instance=i" : "leave -1"));
    CHECK(t.poll() == "lose A0#1 A1#2: the partition was lost");
    CHECK(t.poll() == "idle");
    SECTION(is_static ? "static: answered" : "answered") {
      t.answer(-1);
      t.now += 1h;
      CHECK(t.poll() == "idle");  // no heartbeat until it moves
      t.m.on_application_moved();
      CHECK(t.poll() == (is_static ? static_join : join));
      t.answer(1, "A0");
      t.run();
      CHECK(t.m.holds(lease("A0", 3)));
    }
    SECTION(is_static ? "static: moves before the answer" : "moves before the answer") {
      t.m.on_application_moved();
      CHECK(t.poll() == "idle");
      t.answer(-1);
      CHECK(t.poll() == (is_static ? static_join : join));
    }
    SECTION(is_static ? "static: not answered" : "not answered") {
      t.disconnect();
      CHECK(t.run() == "find coordinator");
      t.now += 1h;
      CHECK(t.poll() == "idle");
      t.m.on_application_moved();
      CHECK(t.poll() == (is_static ? static_join : join));
    }
    SECTION(is_static ? "static: closed meanwhile" : "closed meanwhile") {
      t.m.leave(leave_kind::default_);
      CHECK(t.poll() == "idle");
      t.answer(-1);
      CHECK(t.run() == "left");
    }
  }
}

TEST_CASE("membership leaves at a poll time-out behind a heartbeat and commits under way (points 29 b, 34)") {
  harness t;
  t.settle("A0");
  t.now += 5s;
  CHECK(t.poll() == "alive 1");
  t.commit_sent("A0", 1);
  t.m.on_poll_timeout();
  CHECK(t.poll() == "idle");
  SECTION("answered") {
    t.answer(2, "A0 B0");
    CHECK(t.poll() == "idle 5000");
    t.commit_answered("A0", 1);
    CHECK(t.run() == "leave -1; lose A0#1: the partition was lost");
  }
  SECTION("fenced: no leave is needed") {
    t.refuse(kafka_error::unknown_member_id);
    CHECK(t.run() == "lose A0#1: UNKNOWN_MEMBER_ID");
    t.now += 1h;
    CHECK(t.poll() == "idle");
    t.commit_answered("A0", 1);
    t.m.on_application_moved();
    CHECK(t.poll() == join);
  }
  SECTION("the commit hangs") {
    t.answer(1);
    CHECK(t.poll() == "idle 5000");
    t.now += 5s;
    CHECK(t.poll() == "cut");
    CHECK(t.poll() == "idle");
    t.commit_answered("A0", 1);
    CHECK(t.run() == "leave -1; lose A0#1: the partition was lost");
  }
  SECTION("moved before the leave could go: it leaves, loses and joins all the same") {
    t.m.on_application_moved();
    t.commit_answered("A0", 1);
    t.answer(1);
    CHECK(t.run() == "leave -1; lose A0#1: the partition was lost");
    t.answer(-1);
    CHECK(t.poll() == join);
  }
  SECTION("closed before the leave could go") {
    t.m.leave(leave_kind::default_);
    CHECK(t.run() == "lose A0#1: the partition was lost");
    t.commit_answered("A0", 1);
    t.answer(1);
    CHECK(t.run() == "leave -1");
    t.answer(-1);
    CHECK(t.run() == "left");
  }
}

TEST_CASE("membership keeps the deadline of an earlier revocation while the leave of a poll time-out waits (points 25, 34)") {
  harness t;
  t.settle_and_revoke();
  t.now += 268s;
  SECTION("for a commit: the connection goes then") {
    t.commit_sent("A0", 1);
    t.m.on_poll_timeout();
    CHECK(t.poll() == "idle 2000");
    t.now += 2s;
    CHECK(t.poll() == "abandon A1#2");
    CHECK(t.poll() == "cut");
    t.commit_answered("A0", 1);
    CHECK(t.run() == "leave -1; lose A0#1: the partition was lost");
  }
  SECTION("for the answer of a heartbeat") {
    CHECK(t.poll() == "alive 1");
    t.m.on_poll_timeout();
    CHECK(t.poll() == "idle 2000");
    t.now += 2s;
    CHECK(t.poll() == "abandon A1#2");
    CHECK(t.poll() == "idle");
    t.answer(1);
    CHECK(t.run() == "leave -1; lose A0#1: the partition was lost");
  }
}

TEST_CASE("membership without partitions to give up minds no poll time-out") {
  harness t;
  t.m.on_poll_timeout();
  CHECK(t.poll() == "idle");
  t.m.subscribe({"t"}, std::nullopt);
  t.m.on_poll_timeout();
  t.m.on_application_moved();
  CHECK(t.poll() == join);
}

TEST_CASE("membership forgets at a poll time-out what it never began (points 3, 34)") {
  harness t;
  t.auto_resolve = false;
  t.m.subscribe({"t"}, std::nullopt);
  t.poll();
  t.answer(1, "A0");
  CHECK(t.run() == "resolve A; alive 1 owned=A0");
  t.answer(1);
  t.m.on_poll_timeout();
  CHECK(t.run() == "leave -1");
  t.answer(-1);
  t.m.on_application_moved();
  CHECK(t.run() == join);
}

}  // namespace membership_static_tests
