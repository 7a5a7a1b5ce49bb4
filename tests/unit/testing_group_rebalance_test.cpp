#include "catch.hpp"

#include "testing_group_support.hpp"

// The way of members to their target: revocations, waiting for others, time-outs, the interval between targets.

namespace testing_group_rebalance_tests {

using namespace testing_group;

TEST_CASE("group: revoked first, then free partitions at once and held ones later (point 27)") {
  cluster k;
  CHECK(k.beat(join("m", "A")) == "1: A0 A1 A2 A3");
  CHECK(k.beat(join("n", "A")) == "2:");
  CHECK(k.member("n") == "2 unreleased");
  // The member keeps its epoch while it has something to give up, however often it heartbeats.
  CHECK(k.beat(alive("m", 1)) == "1: A0 A1");
  CHECK(k.beat(alive("m", 1)) == "1");
  CHECK(k.beat(full("m", 1, "A", "A0 A1 A2")) == "1: A0 A1");
  CHECK(k.member("m") == "1 unrevoked A0 A1 - A2 A3");
  CHECK(*k.c.owner("g", topic_partition("A", 2)) == "m");
  CHECK(k.beat(alive("n", 2)) == "2");
  CHECK_FALSE(k.c.settled("g"));
  CHECK(k.beat(alive("m", 1).owns("A0 A1")) == "2");
  CHECK_FALSE(k.c.owner("g", topic_partition("A", 2)).has_value());
  CHECK(k.beat(alive("n", 2)) == "2: A2 A3");
  CHECK(k.member("n") == "2 stable A2 A3");
  CHECK(*k.c.owner("g", topic_partition("A", 2)) == "n");
  CHECK(k.c.settled("g"));
}

TEST_CASE("group: some partitions are free, others come as they are given up (point 27)") {
  cluster k(group_options(kafka_generation::v4_2), "A6");
  k.beat(join("m", "A"));
  k.beat(join("n", "A"));
  k.beat(alive("m", 1));
  k.beat(alive("m", 1).owns("A0 A1 A2"));
  CHECK(k.beat(alive("n", 2)) == "2: A3 A4 A5");
  CHECK(k.beat(join("o", "A")) == "3:");
  CHECK(k.beat(alive("m", 2)) == "2: A0 A1");
  CHECK(k.beat(alive("m", 2).owns("A0 A1")) == "3");
  CHECK(k.beat(alive("o", 3)) == "3: A2");
  CHECK(k.member("o") == "3 unreleased A2");
  CHECK(k.beat(alive("n", 2)) == "2: A3 A4");
  CHECK(k.beat(alive("o", 3)) == "3");
  CHECK(k.beat(alive("n", 2).owns("A3 A4")) == "3");
  CHECK(k.beat(alive("o", 3)) == "3: A2 A5");
  CHECK(k.c.settled("g"));
}

TEST_CASE("group: a newer target that revokes more keeps the epoch (point 27)") {
  struct {
    kafka_generation generation;
    const char *acknowledged, *last;
  } const table[] = {{kafka_generation::v4_0, "2: A0", "3"}, {kafka_generation::v4_2, "1: A0", "3"}};
  for (const auto& row : table) {
    cluster k{group_options(row.generation)};
    k.beat(join("m", "A"));
    k.beat(join("n", "A"));
    CHECK(k.beat(alive("m", 1)) == "1: A0 A1");
    k.c.set_target("g", "m", std::vector{topic_partition("A", 0)});
    CHECK(k.beat(alive("n", 2)) == "3");
    // Told of the next revocation when it acknowledges the last.
    CHECK(k.beat(alive("m", 1).owns("A0 A1")) == row.acknowledged);
    const int epoch = row.acknowledged[0] - '0';
    CHECK(k.beat(alive("m", epoch).owns("A0")) == row.last);
  }
}

TEST_CASE("group: what it owned no more need not be revoked") {
  cluster k;
  k.beat(join("m", "A"));
  k.beat(join("n", "A"));
  CHECK(k.beat(full("m", 1, "A", "A0 A1")) == "2: A0 A1");
  CHECK(k.beat(alive("n", 2)) == "2: A2 A3");
}

TEST_CASE("group: a partition comes back to who has just given it up") {
  struct {
    kafka_generation generation;
    const char *acknowledged, *next;
  } const table[] = {{kafka_generation::v4_0, "3: A0 A1", "3: A0 A1 A2 A3"}, {kafka_generation::v4_2, "3: A0 A1 A2 A3", "3"}};
  for (const auto& row : table) {
    cluster k{group_options(row.generation)};
    k.beat(join("m", "A"));
    k.beat(join("n", "A"));
    k.beat(alive("m", 1));
    k.beat(alive("n", -1));
    const std::string acknowledged = k.beat(alive("m", 1).owns("A0 A1"));
    CHECK(acknowledged == (row.generation == kafka_generation::v4_0 ? "3" : row.acknowledged));
    CHECK(k.beat(alive("m", 3)) == row.next);
  }
}

TEST_CASE("group: the rebalance time-out runs while a revocation is unacknowledged (point 27)") {
  cluster k;
  k.beat(join("m", "A"));
  k.beat(join("n", "A"));
  k.beat(alive("m", 1));  // ten seconds from here
  k.pass(9s);
  k.beat(alive("m", 1));
  k.beat(alive("n", 2));
  // What is to be given up changes: the clock starts again.
  k.beat(full("m", 1, "B", "A0 A1 A2 A3"));
  CHECK(k.member("m") == "1 unrevoked - A0 A1 A2 A3");
  k.pass(9999ms);
  CHECK(k.beat(alive("m", 1)) == "1");
  k.pass(1ms);
  CHECK(k.beat(alive("m", 1)) == "UNKNOWN_MEMBER_ID");
  CHECK(k.beat(alive("n", 2)) == "4: A0 A1 A2 A3");
}

TEST_CASE("group: no clock runs for what is added") {
  cluster k;
  k.beat(join("m", "A"));
  for (int i = 0; i < 100; ++i) {
    k.pass(40s);
    CHECK(k.beat(alive("m", 1)) == "1");
  }
}

TEST_CASE("group: a session ends after 45 s without a heartbeat (point 6, 12, 15)") {
  cluster k;
  k.beat(join("m", "A"));
  k.beat(join("n", "B"));
  k.pass(44999ms);
  k.beat(alive("n", 2));
  k.pass(1ms);
  CHECK(k.member("m") == "none");
  CHECK(k.beat(alive("m", 1)) == "UNKNOWN_MEMBER_ID");
  CHECK(k.c.epoch("g") == 3);
  CHECK(k.beat(alive("n", 2)) == "3");
  k.pass(45s);
  CHECK(k.c.members("g").empty());
  CHECK(k.beat(alive("n", 3)) == "UNKNOWN_MEMBER_ID");
  k.pass(10min);
  CHECK(k.beat(alive("n", 3)) == "GROUP_ID_NOT_FOUND");
  CHECK(k.c.epoch("g") == -1);
  CHECK_FALSE(k.c.next().has_value());
}

TEST_CASE("group: a call sees the time that passed without ticks") {
  cluster k;
  k.beat(join("m", "A"));
  k.now += 46s;
  CHECK(k.beat(alive("m", 1)) == "UNKNOWN_MEMBER_ID");
}

TEST_CASE("group: next() is when something may happen") {
  cluster k;
  CHECK_FALSE(k.c.next().has_value());
  k.beat(join("m", "A"));
  REQUIRE(k.c.next().has_value());
  CHECK(*k.c.next() == k.now + 45s);
  k.pass(20s);
  k.beat(alive("m", 1));
  int wakes = 0;
  while (!k.c.members("g").empty()) {
    REQUIRE(k.c.next().has_value());
    k.now = *k.c.next();
    k.c.tick(k.now);
    ++wakes;
  }
  CHECK(k.now == time_point(1000s) + 65s);
  CHECK(wakes <= 2);
}

TEST_CASE("group: expired by hand") {
  cluster k;
  k.beat(join("m", "A"));
  CHECK_FALSE(k.c.expire(k.now, "g", "n"));
  CHECK(k.c.expire(k.now, "g", "m"));
  CHECK(k.beat(alive("m", 1)) == "UNKNOWN_MEMBER_ID");
}

TEST_CASE("group: 4.3 waits between two targets (point 28)") {
  group_options o;
  o.assignment_interval = traits_of(o.generation).assignment_interval;
  cluster k(o);
  CHECK(k.beat(join("m", "A")) == "2: A0 A1 A2 A3");
  k.pass(500ms);
  CHECK(k.beat(join("n", "A")) == "2:");  // a member at the old target's epoch
  CHECK(k.c.epoch("g") == 3);
  CHECK(k.beat(alive("m", 2)) == "2");
  k.pass(499ms);
  CHECK(k.beat(alive("m", 2)) == "2");
  k.pass(1ms);
  CHECK(k.beat(alive("m", 2)) == "2: A0 A1");
  CHECK(k.beat(alive("m", 2).owns("A0 A1")) == "3");
  CHECK(k.beat(alive("n", 2)) == "3: A2 A3");
}

TEST_CASE("group: what is no longer subscribed to goes before the next target (point 28)") {
  group_options o;
  o.assignment_interval = 1s;
  cluster k(o);
  CHECK(k.beat(join("m", "A B")) == "2: A0 A1 A2 A3 B0 B1");
  CHECK(k.beat(alive("m", 2).to("B")) == "2: B0 B1");
  CHECK(k.member("m") == "2 unrevoked B0 B1 - A0 A1 A2 A3");
  CHECK(k.beat(alive("m", 2).owns("B0 B1")) == "2");
  CHECK(k.member("m") == "2 stable B0 B1");
  k.pass(1s);
  CHECK(k.beat(alive("m", 2)) == "3");
}

TEST_CASE("group: topics that come, grow, go and come again (point 39)") {
  cluster k(group_options(kafka_generation::v4_2), "A2");
  CHECK(k.beat(join("m", "A B")) == "1: A0 A1");
  k.c.set_topics(topics("A2 Z1"));  // none of ours
  CHECK(k.beat(alive("m", 1)) == "1");
  k.c.set_topics(topics("A2 B1"));
  CHECK(k.beat(alive("m", 1)) == "2: A0 A1 B0");
  k.c.set_topics(topics("A3 B1"));
  CHECK(k.beat(alive("m", 2)) == "3: A0 A1 A2 B0");
  k.c.set_topics(topics("A3"));
  CHECK(k.beat(alive("m", 3)) == "3: A0 A1 A2");
  CHECK(k.member("m") == "3 unrevoked A0 A1 A2 - B0");
  CHECK(k.beat(alive("m", 3).owns("A0 A1 A2")) == "4");
  k.c.set_topics({topic_image("A", topic('X'), 1)});  // made anew: another id
  CHECK(k.beat(alive("m", 4)) == "4:");
  CHECK(k.beat(alive("m", 4).owns("")) == "5: X0");
}

TEST_CASE("group: targets by hand") {
  cluster k;
  k.c.set_target("g", "m", std::vector{topic_partition("A", 3), topic_partition("B", 0), topic_partition("nowhere", 0)});
  CHECK(k.beat(join("m", "A")) == "2: A3 B0");  // whether it subscribes to it or not
  CHECK(k.beat(join("n", "A B")) == "3: A0 A1 A2 B1");
  k.c.set_target_ids("g", "m", partitions("A3 Y7"));
  CHECK(k.beat(alive("m", 2)) == "2: A3");
  CHECK(k.beat(alive("m", 2).owns("A3")) == "4: A3 Y7");
  k.c.set_target("g", "m", std::nullopt);
  CHECK(k.beat(alive("m", 4)) == "4: A3");
  CHECK(k.beat(alive("m", 4).owns("A3")) == "5");
  CHECK(k.beat(alive("n", 3)) == "3: A0 B1");
  CHECK(k.beat(alive("n", 3).owns("A0 B1")) == "5: A0 B0 B1");
  CHECK(k.beat(alive("m", 5)) == "5: A1 A2 A3");
}

TEST_CASE("group: two targets that name the same partition have one owner") {
  cluster k;
  k.c.set_target("g", "m", std::vector{topic_partition("A", 0)});
  k.c.set_target("g", "n", std::vector{topic_partition("A", 0)});
  CHECK(k.beat(join("m", "A")) == "3: A0");
  CHECK(k.beat(join("n", "A")) == "4:");
  CHECK(k.beat(alive("n", 4)) == "4");
  k.beat(alive("m", -1));
  CHECK(k.beat(alive("n", 4)) == "5: A0");
}

TEST_CASE("group: scripted members share, hold on, and live by ticks") {
  cluster k;
  REQUIRE_FALSE(k.c.add_member(k.now, "g", scripted_member("s", {"A"})));
  CHECK(k.member("s") == "1 stable A0 A1 A2 A3");
  CHECK(k.beat(join("m", "A")) == "2:");
  k.pass(5s);
  CHECK(k.member("s") == "2 stable A0 A1");
  CHECK(k.beat(alive("m", 2)) == "2: A2 A3");
  for (int i = 0; i < 10; ++i) {
    k.pass(40s);
    CHECK(k.beat(alive("m", 2)) == "2");
  }
  scripted_member holds("h", {"A"});
  holds.acknowledges = false;
  REQUIRE_FALSE(k.c.add_member(k.now, "g", holds));
  CHECK(k.beat(alive("m", 2)) == "3");
  k.pass(10s);
  CHECK(k.member("h") == "3 stable A1");
  CHECK(k.c.remove_member(k.now, "g", "s"));
  CHECK_FALSE(k.c.remove_member(k.now, "g", "s"));
  k.pass(5s);
  CHECK(k.member("h") == "4 stable A0 A1");
  k.c.set_target("g", "h", std::vector{topic_partition("A", 0)});
  REQUIRE_FALSE(k.c.add_member(k.now, "g", scripted_member("t", {"A"})));
  k.pass(20s);
  CHECK(k.member("h").find("unrevoked") != std::string::npos);
  CHECK(k.c.acknowledge(k.now, "g", "h"));
  CHECK(k.member("h").find("stable") != std::string::npos);
  // Without a word: expelled when its session ends.
  CHECK(k.c.abandon_member("g", "t"));
  k.beat(alive("m", 3));
  k.pass(25s);
  k.beat(alive("m", 3));
  k.pass(21s);
  CHECK(k.member("t") == "none");
}

TEST_CASE("group: a scripted member comes back by itself") {
  cluster k;
  REQUIRE_FALSE(k.c.add_member(k.now, "g", scripted_member("s", {"A"})));
  k.c.fence("g", "s");
  k.pass(5s);
  CHECK(k.member("s") == "3 stable A0 A1 A2 A3");
  k.c.expire(k.now, "g", "s");
  k.pass(5s);
  CHECK(k.member("s") == "5 stable A0 A1 A2 A3");
  k.pass(24h);  // in one leap
  CHECK(k.member("s") == "5 stable A0 A1 A2 A3");
}

TEST_CASE("group: a scripted member that cannot join says why") {
  cluster k;
  scripted_member s("s", {});
  s.regex = "(";
  const auto f = k.c.add_member(k.now, "g", s);
  CHECK(f.code == kafka_error::invalid_regular_expression);
  CHECK(k.c.groups().empty());
}

}  // namespace testing_group_rebalance_tests
