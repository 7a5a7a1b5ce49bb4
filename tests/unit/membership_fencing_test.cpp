#include "catch.hpp"

#include "membership_harness.hpp"

// What happens to a member that the group goes on without.

namespace membership_fencing_tests {

using namespace membership_test;

const std::string join = "join timeout=300000 names=t owned=";

harness member() {
  harness t;
  t.settle("A0 A1");
  t.now += 5s;
  CHECK(t.poll() == "alive 1");
  return t;
}

TEST_CASE("membership that is unknown loses all and joins with the same id (point 12)") {
  harness t = member();
  t.refuse(kafka_error::unknown_member_id, "who?");
  const auto e = t.next();
  CHECK(show(e, t.now) == "lose A0#1 A1#2: UNKNOWN_MEMBER_ID");
  CHECK(std::get<lose_partitions>(e).reason.words == "group 'g': who?");
  CHECK(t.m.member_epoch() == 0);
  CHECK_FALSE(t.m.holds(lease("A0", 1)));
  CHECK(t.m.lost(lease("A0", 1)));
  CHECK(t.poll() == join);
  t.answer(1, "A0 A1");  // the same epoch and assignment: other leases (point 12)
  CHECK(t.run() == "alive 1 owned=A0 A1; assign A0#3 A1#4 at 1");
  CHECK_FALSE(t.m.holds(lease("A0", 1)));
  CHECK(t.m.holds(lease("A0", 3)));
  CHECK_FALSE(t.m.lost(lease("A0", 3)));
}

TEST_CASE("membership whose group is gone joins anew (point 15)") {
  harness t = member();
  t.refuse(kafka_error::group_id_not_found);
  CHECK(t.run() == "lose A0#1 A1#2: GROUP_ID_NOT_FOUND; " + join);
  t.refuse(kafka_error::group_id_not_found, "classic");
  const auto e = t.next();
  CHECK(show(e, t.now) == "failed GROUP_ID_NOT_FOUND");  // at a join: the group cannot be upgraded (points 15, 40)
  CHECK(std::get<failed>(e).reason.words.find("classic") != std::string::npos);
}

TEST_CASE("membership that is fenced leaves first, then joins (point 12)") {
  harness t = member();
  t.refuse(kafka_error::fenced_member_epoch);
  CHECK(t.run() == "lose A0#1 A1#2: FENCED_MEMBER_EPOCH; leave -1");
  CHECK(t.m.state_name() == "resigning");

  SECTION("any answer will do") {
    t.answer(-1);
    CHECK(t.run() == join);
  }
  SECTION("which the broker knows not") {
    t.refuse(kafka_error::unknown_member_id);
    CHECK(t.run() == join);
  }
  SECTION("nor its group") {
    t.refuse(kafka_error::group_id_not_found);
    CHECK(t.run() == join);
  }
  SECTION("no answer is none") {
    t.disconnect();
    CHECK(t.run() == "find coordinator");
    t.now += 160ms;
    CHECK(t.run() == "leave -1");
    t.refuse(kafka_error::not_coordinator);
    CHECK(t.run() == "find coordinator");
    t.now += 320ms;
    CHECK(t.run() == "leave -1");
    t.refuse(kafka_error::coordinator_load_in_progress);
    t.now += 640ms;
    CHECK(t.run() == "leave -1");
    t.answer(-1);
    CHECK(t.run() == join);
  }
  SECTION("a join that is refused for the same reason is tried with pauses") {
    t.answer(-1);
    CHECK(t.run() == join);
    t.refuse(kafka_error::fenced_member_epoch);
    CHECK(t.run() == "");
    t.now += 160ms;
    CHECK(t.run() == "leave -1");
    t.answer(-1);
    CHECK(t.run() == join);
  }
  SECTION("what must not happen is fatal") {
    t.refuse(kafka_error::group_authorization_failed);
    CHECK(t.run() == "failed GROUP_AUTHORIZATION_FAILED");
  }
}

TEST_CASE("membership that is fenced again and again does not spin") {
  harness t = member();
  int heartbeats = 0;
  const auto end = t.now + 60s;
  while (t.now < end) {
    t.refuse(kafka_error::unknown_member_id);
    t.run();
    while (!t.m.heartbeat_in_flight() && t.now < end) {
      t.now += 1ms;
      t.run();
    }
    ++heartbeats;
    if (heartbeats % 2) t.answer(1, "A0");  // the join succeeds, its acknowledgement is refused
    t.run();
  }
  CHECK(heartbeats < 200);
}

TEST_CASE("membership that is fenced while it drains does not wait for the drain (points 12, 24)") {
  harness t = member();
  t.answer(1, "A0");
  CHECK(t.run() == "revoke A1#2 within 270000");
  t.now += 5s;
  t.poll();
  t.refuse(kafka_error::unknown_member_id);
  CHECK(t.run() == "lose A0#1 A1#2: UNKNOWN_MEMBER_ID; " + join);
  t.drained("A1", 2);
  t.answer(4, "A1");
  CHECK(t.run() == "alive 4 owned=A1; assign A1#3 at 4");
  t.drained("A1", 2);
  CHECK(t.m.holds(lease("A1", 3)));
}

TEST_CASE("membership does not lose what it has already given up") {
  harness t = member();
  t.answer(1, "");
  t.run();
  t.drained("A1", 2);
  t.now += 270s;
  CHECK(t.poll() == "abandon A0#1");
  CHECK(t.poll() == "alive 1 owned=");
  t.refuse(kafka_error::unknown_member_id);
  CHECK(t.run() == join);
}

TEST_CASE("membership joins only after the commits of the lost ownership are answered, or cut (point 29 b)") {
  harness t = member();
  t.commit_sent("A0", 1);
  t.refuse(kafka_error::unknown_member_id);
  CHECK(t.run() == "lose A0#1 A1#2: UNKNOWN_MEMBER_ID");
  CHECK(t.poll() == "idle 5000");
  SECTION("answered") {
    t.commit_answered("A0", 1);
    CHECK(t.poll() == join);
  }
  SECTION("cut") {
    t.now += 5s;
    CHECK(t.poll() == "cut");
    CHECK(t.poll() == "idle");
    t.commit_answered("A0", 1);
    CHECK(t.poll() == join);
  }
}

}  // namespace membership_fencing_tests
