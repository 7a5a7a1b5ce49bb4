#include "catch.hpp"

#include <algorithm>
#include <vector>

#include "membership_harness.hpp"

// Joining, heartbeats, reconciliation, subscriptions. What goes wrong is in membership_errors_test.cpp, leaving and static
// members in membership_leaving_test.cpp. Points are those of the group protocol's notes.

namespace membership_tests {

using namespace membership_test;

TEST_CASE("membership says nothing before it is subscribed") {
  harness t;
  CHECK(t.poll() == "idle");
  CHECK(t.m.member_epoch() == 0);
  CHECK(t.m.state_name() == "unsubscribed");
}

TEST_CASE("membership join carries all that a join must (points 1-5)") {
  member_options o("g", "m");
  o.rack_id = "r";
  o.remote_assignor = "uniform";
  o.rebalance_timeout = 60s;
  harness t(o);
  t.m.subscribe({"b", "a", "b"}, "x.*");
  const auto e = t.next();
  CHECK(show(e, t.now) == "join rack=r timeout=60000 names=a,b regex=x.* assignor=uniform owned=");
  CHECK(t.poll() == "idle");  // one in flight
  CHECK(t.m.heartbeat_in_flight());

  const auto& h = std::get<send_heartbeat>(e);
  const auto r = h.request();
  CHECK(r.group_id == "g");
  CHECK(r.member_id == "m");
  CHECK(r.member_epoch == 0);
  CHECK_FALSE(r.instance_id.has_value());
  CHECK(r.rack_id == "r");
  CHECK(r.rebalance_timeout_ms == 60000);
  REQUIRE(r.subscribed_topic_names.has_value());
  CHECK(r.subscribed_topic_names->size() == 2);
  CHECK(r.subscribed_topic_regex == "x.*");
  CHECK(r.server_assignor == "uniform");
  REQUIRE(r.topic_partitions.has_value());  // empty, not null
  CHECK(r.topic_partitions->empty());
}

TEST_CASE("a subscription that changes while the join is under way is told behind it") {
  harness t;
  t.m.subscribe({"a"}, {});
  CHECK(t.run().find("names=a") != std::string::npos);
  t.m.subscribe({"b"}, {});
  t.answer(1);
  CHECK(t.run() == "alive 1 names=b");
}

TEST_CASE("membership heartbeat views its partitions by topic") {
  send_heartbeat h("g", "m", 3);
  h.owned = partitions("A0 A5 B1");
  const auto r = h.request();
  REQUIRE(r.topic_partitions.has_value());
  REQUIRE(r.topic_partitions->size() == 2);
  CHECK((*r.topic_partitions)[0].topic_id == topic('A'));
  CHECK((*r.topic_partitions)[0].partitions == std::vector<std::int32_t>{0, 5});
  CHECK((*r.topic_partitions)[1].partitions == std::vector<std::int32_t>{1});
  CHECK_FALSE(r.subscribed_topic_names.has_value());
  CHECK_FALSE(r.subscribed_topic_regex.has_value());
  CHECK(r.rebalance_timeout_ms == -1);
}

TEST_CASE("membership of a regex alone joins without names (point 3)") {
  harness t;
  t.m.subscribe({}, "x.*");
  CHECK(t.poll() == "join timeout=300000 names= regex=x.* owned=");
}

TEST_CASE("membership is assigned, acknowledges, and then only says that it lives (points 4, 6, 26)") {
  harness t;
  t.m.subscribe({"t"}, std::nullopt);
  CHECK(t.poll() == "join timeout=300000 names=t owned=");
  t.answer(3, "A0 A1");
  CHECK(t.poll() == "alive 3 owned=A0 A1");
  CHECK(t.poll() == "assign A0#1 A1#2 at 3");
  CHECK(t.poll() == "idle");
  t.answer(3);
  CHECK(t.poll() == "idle 5000");
  t.now += 4999ms;
  CHECK(t.poll() == "idle 1");
  t.now += 1ms;
  CHECK(t.poll() == "alive 3");
  t.answer(4, std::nullopt, 1000);  // the epoch moves without an assignment, the interval as the broker likes (points 6, 9)
  CHECK(t.m.member_epoch() == 4);
  CHECK(t.poll() == "idle 1000");
  t.now += 1s;
  CHECK(t.poll() == "alive 4");
  CHECK(t.m.state_name() == "stable");
}

TEST_CASE("membership counts the interval from the sending, not the answer (point 6)") {
  harness t;
  t.settle("A0");
  t.now += 5s;
  CHECK(t.poll() == "alive 1");
  t.now += 2s;
  t.answer(1);
  CHECK(t.poll() == "idle 3000");
}

TEST_CASE("membership claims in every list what was assigned and is not begun (points 8, 23)") {
  harness t;
  t.settle("A0 A1");
  t.now += 5s;
  t.poll();
  t.answer(1, "A0 B0");
  CHECK(t.run() == "revoke A1#2 within 270000");
  t.now += 5s;
  t.poll();
  t.disconnect();
  t.run();
  t.now += 80ms;
  CHECK(t.poll() == "alive 1 timeout=300000 names=t owned=A0 A1 B0");
}

TEST_CASE("membership that waits for its first partitions asks sooner, ever less often") {
  harness t;
  t.m.subscribe({"t"}, std::nullopt);
  t.poll();
  t.answer(1, "");
  CHECK(t.m.state_name() == "awaiting");
  std::vector<std::int64_t> pauses;
  const auto since = t.now;
  bool when_all_were_told = false;
  do {
    const auto asked = t.now;
    while (t.poll() != "alive 1") t.now += 1ms;
    pauses.push_back((t.now - asked) / 1ms);
    if (t.now - since == 5050ms) {
      when_all_were_told = true;
      pauses.pop_back();  // it comes too soon for the order
    }
    // No later than a quarter of what was waited, but for the first ones and the clock of this test.
    CHECK(t.now - asked <= std::max<kawait::machine::duration>(50ms, (asked - since) / 4 + 1ms));
    t.answer(1);
    REQUIRE(pauses.size() < 30);
  } while (pauses.back() < 5000);
  CHECK(std::is_sorted(pauses.begin(), pauses.end()));
  CHECK(pauses.front() == 50);
  CHECK(when_all_were_told);
  CHECK(pauses.size() == 26);
  CHECK(t.poll() == "idle 5000");

  SECTION("until something is assigned") {
    t.now += 5s;
    t.poll();
    t.answer(2, "A0");
    CHECK(t.run() == "alive 2 owned=A0; assign A0#1 at 2");
    t.answer(2);
    CHECK(t.poll() == "idle 5000");
    t.now += 5s;
    t.poll();
    t.answer(3, "");  // revoked again: no hurry, it had its share
    t.drained("A0", 1);
    t.run();
    t.answer(3);
    CHECK(t.poll() == "idle 5000");
  }
}

TEST_CASE("membership says a changed subscription at once, and only what changed (point 38)") {
  harness t;
  t.settle("A0");
  CHECK(t.poll() == "idle 5000");
  t.m.subscribe({"t"}, std::nullopt);
  CHECK(t.poll() == "idle 5000");  // nothing changed
  t.m.subscribe({"u", "t"}, std::nullopt);
  CHECK(t.poll() == "alive 1 names=t,u");
  t.answer(1);
  CHECK(t.poll() == "idle 5000");
  t.m.subscribe({"t", "u"}, "x.*");
  CHECK(t.poll() == "alive 1 regex=x.*");
  t.m.subscribe({"u"}, "y.*");  // while one is under way
  CHECK(t.poll() == "idle");
  t.answer(1);
  CHECK(t.poll() == "alive 1 names=u regex=y.*");
  t.answer(1);
  t.m.subscribe({"u"}, std::nullopt);
  CHECK(t.poll() == "alive 1 regex=");  // empty clears it (point 4)
  t.answer(1);
  CHECK(t.poll() == "idle 5000");
  t.disconnect();
  CHECK(t.poll() == "idle 5000");  // nothing was under way
}

TEST_CASE("membership that cleared its regex says so whenever it says all (points 4, 8)") {
  harness t;
  t.m.subscribe({"t"}, "x.*");
  t.poll();
  t.answer(1, "A0");
  t.run();
  t.answer(1);
  t.m.subscribe({"t"}, std::nullopt);
  CHECK(t.poll() == "alive 1 regex=");
  t.disconnect();
  CHECK(t.run() == "find coordinator");
  t.now += 80ms;
  CHECK(t.poll() == "alive 1 timeout=300000 names=t regex= owned=A0");
}

TEST_CASE("membership trusts an assignment of topics it never heard of (point 17)") {
  harness t;
  t.m.subscribe({}, "x.*");
  t.poll();
  t.answer(1, "Q7");
  CHECK(t.run() == "alive 1 owned=Q7; assign Q7#1 at 1");
}

TEST_CASE("membership survives hostile assignments") {
  SECTION("a duplicate partition is one partition") {
    harness t;
    t.m.subscribe({"t"}, std::nullopt);
    t.poll();
    t.answer(1, "A0 A0 B1 A0");
    CHECK(t.run() == "alive 1 owned=A0 B1; assign A0#1 B1#2 at 1");
  }
  SECTION("negative partitions and the zero topic id are no partitions") {
    harness t;
    t.m.subscribe({"t"}, std::nullopt);
    t.poll();
    t.answer(1, "A-1 A0 00 05");
    CHECK(t.run() == "alive 1 owned=A0; assign A0#1 at 1");
  }
  SECTION("an interval that is none is ignored") {
    harness t;
    t.m.subscribe({"t"}, std::nullopt);
    t.poll();
    t.answer(1, "A0", -1);
    t.run();
    t.answer(1, std::nullopt, 0);
    CHECK(t.poll() == "idle 5000");
  }
  SECTION("an answer nobody asked for is ignored") {
    harness t;
    t.answer(1, "A0");
    CHECK(t.poll() == "idle");
    t.settle("A0");
    t.answer(9, "");
    t.refuse(kafka_error::unknown_member_id);
    CHECK(t.poll() == "idle 5000");
    CHECK(t.m.member_epoch() == 1);
  }
}

TEST_CASE("membership takes an epoch that cannot be for a lost answer") {
  for (const int epoch : {0, -1, -2, INT32_MIN}) {
    CAPTURE(epoch);
    harness t;
    t.settle("A0");
    t.now += 5s;
    t.poll();
    t.answer(epoch, "");
    CHECK(t.poll() == "idle 80");
    CHECK(t.m.member_epoch() == 1);
    CHECK(t.m.holds(lease("A0", 1)));
    t.now += 80ms;
    CHECK(t.poll() == "alive 1 timeout=300000 names=t owned=A0");

    harness joiner;
    joiner.m.subscribe({"t"}, std::nullopt);
    joiner.poll();
    joiner.answer(epoch, "A0");
    CHECK(joiner.poll() == "idle 80");
    joiner.now += 80ms;
    CHECK(joiner.poll() == "join timeout=300000 names=t owned=");
  }
}

TEST_CASE("membership takes an epoch that goes back as the broker says it") {
  harness t;
  t.settle("A0");
  t.now += 5s;
  t.poll();
  t.answer(7);
  t.now += 5s;
  t.poll();
  t.answer(3);
  t.now += 5s;
  CHECK(t.poll() == "alive 3");
}

}  // namespace membership_tests
