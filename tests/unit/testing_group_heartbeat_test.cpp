#include "catch.hpp"

#include "testing_group_support.hpp"

// What a coordinator answers to one heartbeat: what is valid, who is who, and who is fenced.

namespace testing_group_heartbeat_tests {

using namespace testing_group;

TEST_CASE("group: requests that are wrong in themselves (points 1 to 4)") {
  struct {
    heartbeat_text h;
    std::int16_t version;
    const char* words;
  } const table[] = {
      {join("", "A"), 1, "MemberId can't be empty."},
      {alive("", 3), 0, "MemberId can't be empty."},
      {alive("", -1), 0, "MemberId can't be empty."},
      {join("m", "A").in(""), 1, "GroupId can't be empty."},
      {heartbeat_text("m", 0).to("A").owns(""), 1, "RebalanceTimeoutMs must be provided in first request."},
      {heartbeat_text("m", 0).to("A").within(1), 1, "TopicPartitions must be empty when (re-)joining."},
      {join("m", "A").owns("A0"), 1, "TopicPartitions must be empty when (re-)joining."},
      {heartbeat_text("m", 0).owns("").within(1), 1,
       "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining."},
      {alive("m", -2), 1, "InstanceId can't be null."},
      {alive("m", -3).as("i"), 1, "MemberEpoch is invalid."},
  };
  for (const auto& row : table) {
    cluster k;
    CAPTURE(row.words);
    CHECK(k.beat(row.h, row.version) == "INVALID_REQUEST");
    CHECK(k.words == row.words);
    CHECK(k.c.groups().empty());
  }
  cluster k;
  const auto h = join("m", "A");  // the request views it
  auto r = h.request();
  r.instance_id = "";
  CHECK(k.c.heartbeat(k.now, r, 1, "").error_code == 42);
  r.instance_id.reset();
  r.rack_id = "";
  CHECK(k.c.heartbeat(k.now, r, 1, "").error_code == 42);
}

TEST_CASE("group: version 0 makes member ids (point 1)") {
  cluster k;
  const auto h = join("", "A");
  auto r = h.request();
  const auto a = k.c.heartbeat(k.now, r, 0, "client");
  CHECK(a.error_code == 0);
  REQUIRE(a.member_id.has_value());
  const std::string first(*a.member_id);
  CHECK(first.size() == 22);
  const auto b = k.c.heartbeat(k.now, r, 0, "client");
  CHECK(*b.member_id != first);
  CHECK(k.c.members("g").size() == 2);
  CHECK(k.c.members("g")[0].client_id == "client");
}

TEST_CASE("group: assignors and sizes (point 14)") {
  group_options o;
  o.max_size = 1;
  cluster k(o);
  CHECK(k.beat(join("m", "A").with("sticky")) == "UNSUPPORTED_ASSIGNOR");
  CHECK(k.words == "ServerAssignor sticky is not supported. Supported assignors: uniform, range.");
  CHECK(k.beat(join("m", "A").with("range")) == "2: A0 A1 A2 A3");
  CHECK(k.beat(join("n", "A")) == "GROUP_MAX_SIZE_REACHED");
  CHECK(k.beat(join("m", "A")) == "2: A0 A1 A2 A3");
}

TEST_CASE("group: null and -1 say unchanged (point 4)") {
  cluster k;
  CHECK(k.beat(join("m", "A B")) == "1: A0 A1 A2 A3 B0 B1");
  CHECK(k.beat(alive("m", 1)) == "1");
  CHECK(k.beat(alive("m", 1).owns("A0 A1 A2 A3 B0 B1")) == "1");
  CHECK(k.beat(alive("m", 1).to("A B")) == "1");
  CHECK(k.c.epoch("g") == 1);
  CHECK(k.c.member("g", "m")->topics == std::vector<std::string>{"A", "B"});
}

TEST_CASE("group: when an assignment is told (point 9)") {
  cluster k;
  CHECK(k.beat(join("m", "B")) == "1: B0 B1");
  CHECK(k.beat(alive("m", 1)) == "1");
  CHECK(k.beat(full("m", 1, "B", "B0 B1")) == "1: B0 B1");
  CHECK(k.beat(join("n", "A")) == "2: A0 A1 A2 A3");
  // The epoch moves without an assignment, where nothing changes for the member.
  CHECK(k.beat(alive("m", 1)) == "2");
  // Not full: the rebalance time-out is missing.
  CHECK(k.beat(alive("m", 2).to("B").owns("B0 B1")) == "2");
  // Empty: own nothing.
  CHECK(k.beat(join("o", "C")) == "3:");
}

TEST_CASE("group: the first epoch is a generation's") {
  CHECK(cluster(group_options(kafka_generation::v4_0)).beat(join("m", "A")) == "1: A0 A1 A2 A3");
  CHECK(cluster(group_options(kafka_generation::v4_2)).beat(join("m", "A")) == "1: A0 A1 A2 A3");
  CHECK(cluster(group_options(kafka_generation::v4_3)).beat(join("m", "A")) == "2: A0 A1 A2 A3");
}

TEST_CASE("group: the previous epoch goes on with a subset of what is assigned (point 8)") {
  struct {
    heartbeat_text h;
    const char* expected;
  } const table[] = {
      {alive("m", 1).owns("B0"), "2"},
      {full("m", 1, "B", "B0"), "2: B0"},
      {full("m", 1, "B", ""), "2: B0"},
      {alive("m", 1), "FENCED_MEMBER_EPOCH"},                // null is no subset
      {full("m", 1, "B", "B0 B1"), "FENCED_MEMBER_EPOCH"},   // more than it was given
      {full("m", 1, "B", "A0"), "FENCED_MEMBER_EPOCH"},
      {full("m", 3, "B", "B0"), "FENCED_MEMBER_EPOCH"},
      {alive("m", 2), "2"},
  };
  for (const auto& row : table) {
    cluster k;
    CHECK(k.beat(join("m", "B")) == "1: B0 B1");
    CHECK(k.beat(join("n", "B")) == "2:");
    CHECK(k.beat(alive("m", 1)) == "1: B0");
    CHECK(k.beat(alive("m", 1).owns("B0")) == "2");  // and this answer is lost
    CAPTURE(row.expected);
    CHECK(k.beat(row.h) == row.expected);
  }
}

TEST_CASE("group: two lost answers in a row fence (point 8)") {
  cluster k;
  k.beat(join("m", "B"));
  k.beat(join("n", "B"));
  k.beat(alive("m", 1));
  // n holds on to nothing; o waits for m.
  CHECK(k.beat(alive("n", 2)) == "2");
  CHECK(k.beat(alive("m", 1).owns("B0")) == "2");
  k.beat(join("o", "A"));
  CHECK(k.beat(full("m", 1, "B", "B0")) == "3: B0");  // lost too: the epoch moved twice
  CHECK(k.beat(full("m", 1, "B", "B0")) == "FENCED_MEMBER_EPOCH");
}

TEST_CASE("group: who is not known (points 12, 15)") {
  cluster k;
  CHECK(k.beat(alive("m", 1)) == "GROUP_ID_NOT_FOUND");
  CHECK(k.words == "Consumer group g not found.");
  CHECK(k.beat(alive("m", -1)) == "GROUP_ID_NOT_FOUND");
  k.c.set_offset(k.now, "g", topic_partition("A", 0), offset_and_epoch(5));
  CHECK(k.beat(alive("m", 1)) == "GROUP_ID_NOT_FOUND");
  CHECK(k.words == "Group g is not a consumer group.");
  CHECK(k.beat(join("m", "A")) == "1: A0 A1 A2 A3");
  CHECK(k.beat(alive("n", 1)) == "UNKNOWN_MEMBER_ID");
  CHECK(k.beat(alive("m", -1)) == "-1");
  CHECK(k.beat(alive("m", -1)) == "UNKNOWN_MEMBER_ID");
  CHECK(k.c.committed("g", topic_partition("A", 0))->position.offset == 5);
}

TEST_CASE("group: a known member joins again (point 12)") {
  struct {
    kafka_generation generation;
    const char* expected;
  } const table[] = {
      {kafka_generation::v4_0, "FENCED_MEMBER_EPOCH"},
      {kafka_generation::v4_2, "2: A0 A1 A2 A3"},
      {kafka_generation::v4_3, "3: A0 A1 A2 A3"},
  };
  for (const auto& row : table) {
    cluster k{group_options(row.generation)};
    const bool later = row.generation == kafka_generation::v4_3;  // its epochs begin one later
    k.beat(join("m", "A"));
    k.beat(join("n", "B"));
    CHECK(k.beat(alive("m", later ? 2 : 1)) == (later ? "3" : "2"));
    CHECK(k.beat(join("m", "A")) == row.expected);
    // Everywhere a leave has no epoch check, and the next join succeeds at once.
    CHECK(k.beat(alive("m", -1)) == "-1");
    CHECK(k.beat(join("m", "A")) == (later ? "5: A0 A1 A2 A3" : "4: A0 A1 A2 A3"));
  }
}

TEST_CASE("group: a lost answer to the first join can be asked for again, on 4.0 too (point 12)") {
  cluster k{group_options(kafka_generation::v4_0)};
  CHECK(k.beat(join("m", "A")) == "1: A0 A1 A2 A3");
  CHECK(k.beat(join("m", "A")) == "1: A0 A1 A2 A3");
}

TEST_CASE("group: fenced by hand until it joins or leaves") {
  cluster k;
  k.beat(join("m", "A"));
  CHECK(k.c.fence("g", "m"));
  CHECK_FALSE(k.c.fence("g", "n"));
  CHECK_FALSE(k.c.fence("h", "m"));
  CHECK(k.beat(alive("m", 1)) == "FENCED_MEMBER_EPOCH");
  CHECK(k.beat(full("m", 1, "A", "A0")) == "FENCED_MEMBER_EPOCH");
  CHECK(k.beat(join("m", "A")) == "1: A0 A1 A2 A3");
  CHECK(k.beat(alive("m", 1)) == "1");
}

TEST_CASE("group: owned lists of any kind do no harm") {
  cluster k;
  k.beat(join("m", "A"));
  CHECK(k.beat(full("m", 1, "A", "A0 A0 A0 A-1 Z7 A2147483647")) == "1: A0 A1 A2 A3");
  CHECK(k.beat(join("n", "A A A")) == "2:");
  CHECK(k.beat(full("m", 1, "A", "A0 A0 Z7 A-5 A3")) == "1: A0 A1");
  CHECK(k.beat(full("m", 1, "A", "Z7")) == "2: A0 A1");
}

}  // namespace testing_group_heartbeat_tests
