#include "catch.hpp"

#include "testing_group_support.hpp"

// Static members, leaving, and subscriptions by regular expression.

namespace testing_group_static_tests {

using namespace testing_group;

heartbeat_text static_join(std::string member) { return join(std::move(member), "A").as("i"); }

TEST_CASE("group: a second member of an instance must wait (points 18, 19)") {
  cluster k;
  CHECK(k.beat(static_join("m")) == "1: A0 A1 A2 A3");
  CHECK(k.beat(static_join("n")) == "UNRELEASED_INSTANCE_ID");
  CHECK(k.words == "Static member n with instance id i cannot join the group because the instance id is owned by m member.");
  // The trap: the holder itself gets the same.
  CHECK(k.beat(static_join("m")) == "UNRELEASED_INSTANCE_ID");
  CHECK(k.c.members("g").size() == 1);
  CHECK(k.beat(alive("m", 1).as("i")) == "1");
}

TEST_CASE("group: -2 decides who the instance belongs to (point 19)") {
  cluster k;
  k.beat(static_join("m"));
  CHECK(k.beat(alive("n", -2).as("i")) == "FENCED_INSTANCE_ID");
  CHECK(k.words == "Static member n with instance id i was fenced by member m.");
  CHECK(k.beat(alive("m", -2).as("i")) == "-2");
  CHECK(k.beat(alive("m", -2).as("i")) == "-2");  // harmless
  CHECK(k.beat(static_join("m")) == "1: A0 A1 A2 A3");
  CHECK(k.beat(alive("m", -2).as("j")) == "UNKNOWN_MEMBER_ID");
  CHECK(k.words == "Instance id j is unknown.");
}

TEST_CASE("group: a new member takes over what a static one left (point 20)") {
  cluster k;
  k.beat(static_join("m"));
  k.beat(join("o", "A"));
  k.beat(alive("m", 1).as("i"));
  CHECK(k.beat(alive("m", 1).as("i").owns("A0 A1")) == "2");
  CHECK(k.beat(alive("m", -2).as("i")) == "-2");
  CHECK(k.member("m") == "-2 stable A0 A1");
  CHECK(*k.c.owner("g", topic_partition("A", 0)) == "m");
  CHECK(k.c.epoch("g") == 2);  // nobody rebalances
  CHECK(k.beat(static_join("n")) == "2: A0 A1");
  CHECK(k.member("m") == "none");
  CHECK(*k.c.owner("g", topic_partition("A", 0)) == "n");
  CHECK(k.c.epoch("g") == 2);
  CHECK(k.beat(alive("m", 2).as("i")) == "FENCED_INSTANCE_ID");
  CHECK(k.beat(alive("m", 2)) == "UNKNOWN_MEMBER_ID");
  CHECK(k.beat(alive("m", -2).as("i")) == "FENCED_INSTANCE_ID");
  CHECK(k.beat(alive("n", 2).as("i")) == "2");
}

TEST_CASE("group: what a static member was to give up is free when it leaves") {
  cluster k;
  k.beat(static_join("m"));
  k.beat(join("o", "A"));
  CHECK(k.beat(alive("m", 1).as("i")) == "1: A0 A1");
  k.beat(alive("m", -2).as("i"));
  CHECK(k.beat(alive("o", 2)) == "2: A2 A3");
  CHECK(k.beat(static_join("n")) == "2: A0 A1");
}

TEST_CASE("group: the instance is free when the session ends (point 20)") {
  cluster k;
  k.beat(static_join("m"));
  k.pass(10s);
  k.beat(alive("m", -2).as("i"));  // does not prolong it
  k.pass(34999ms);
  CHECK(k.member("m") == "-2 stable A0 A1 A2 A3");
  k.pass(1ms);
  CHECK(k.member("m") == "none");
  k.beat(static_join("m"));
  CHECK(k.beat(static_join("n")) == "UNRELEASED_INSTANCE_ID");
  k.pass(45s);
  CHECK(k.beat(static_join("n")) == "5: A0 A1 A2 A3");
}

TEST_CASE("group: a heartbeat of a static member that left is fenced") {
  cluster k;
  k.beat(static_join("m"));
  k.beat(alive("m", -2).as("i"));
  CHECK(k.beat(alive("m", 1).as("i")) == "FENCED_MEMBER_EPOCH");
}

TEST_CASE("group: a static member leaves for good with -1 (point 21)") {
  cluster k;
  k.beat(static_join("m"));
  CHECK(k.beat(alive("n", -1).as("i")) == "FENCED_INSTANCE_ID");
  CHECK(k.beat(alive("m", -1).as("i")) == "-1");
  CHECK(k.c.members("g").empty());
  CHECK(k.beat(static_join("n")) == "3: A0 A1 A2 A3");
}

TEST_CASE("group: without its instance id a join is taken for a dynamic member's (point 3)") {
  cluster k;
  k.beat(static_join("m"));
  CHECK(k.beat(join("m", "A")) == "1: A0 A1 A2 A3");
  CHECK(k.beat(static_join("n")) == "UNRELEASED_INSTANCE_ID");
}

TEST_CASE("group: an instance is taken over under the id of another member") {
  cluster k;
  k.beat(static_join("m"));
  k.beat(join("n", "A"));
  k.beat(alive("m", 1).as("i"));
  k.beat(alive("m", 1).as("i").owns("A0 A1"));
  k.beat(alive("n", 2));
  k.beat(alive("m", -2).as("i"));
  CHECK(k.beat(static_join("n")) == "2: A0 A1");
  CHECK(k.c.members("g").size() == 1);
  CHECK_FALSE(k.c.owner("g", topic_partition("A", 3)).has_value());
}

TEST_CASE("group: leaving gives all away at once (points 21, 22)") {
  cluster k;
  k.beat(join("m", "A"));
  k.beat(join("n", "A"));
  CHECK(k.beat(alive("m", -1)) == "-1");
  CHECK(k.beat(alive("m", -1)) == "UNKNOWN_MEMBER_ID");
  CHECK(k.beat(alive("n", 2)) == "3: A0 A1 A2 A3");
}

// --- Regular expressions.

heartbeat_text pattern_join(std::string member, std::string regex) {
  return heartbeat_text(std::move(member), 0).matching(std::move(regex)).owns("").within(10000);
}

std::vector<topic_image> named(std::initializer_list<const char*> names) {
  std::vector<topic_image> list;
  for (const auto* n : names) list.emplace_back(n, topic(n[0]), 1);
  return list;
}

TEST_CASE("group: a regular expression is resolved later, and matches whole names (point 17)") {
  cluster k;
  k.c.set_topics(named({"aa", "bab", "a", "Xaa"}));
  CHECK(k.beat(pattern_join("m", "a+")) == "1:");
  CHECK(k.beat(alive("m", 1)) == "1");
  k.pass(999ms);
  CHECK(k.beat(alive("m", 1)) == "1");
  k.pass(1ms);
  // By then it is known, but members hear of it in a heartbeat only.
  CHECK(k.c.epoch("g") == 2);
  const auto a = k.beat(alive("m", 1));
  CHECK(a == "2: a0");  // of the topics "a" and "aa", which share an id here
}

TEST_CASE("group: 4.3 keeps its first epoch while the first expression is unresolved") {
  cluster k{group_options(kafka_generation::v4_3)};
  CHECK(k.beat(pattern_join("m", "A|B")) == "1:");
  k.pass(1s);
  CHECK(k.beat(alive("m", 1)) == "2: A0 A1 A2 A3 B0 B1");
}

TEST_CASE("group: new topics are matched at the next refresh, not sooner than after 10 s (point 17)") {
  cluster k;
  k.c.set_topics(topics("A1"));
  k.beat(pattern_join("m", "[AB]"));
  k.pass(1s);
  CHECK(k.beat(alive("m", 1)) == "2: A0");
  k.c.set_topics(topics("A1 B1"));
  k.pass(10s);
  CHECK(k.beat(alive("m", 2)) == "2");
  k.pass(2s);
  CHECK(k.beat(alive("m", 2)) == "2");  // begins the refresh
  k.pass(1s);
  CHECK(k.beat(alive("m", 2)) == "3: A0 B0");
  // A topic that goes is no refresh's business.
  k.c.set_topics(topics("A1"));
  CHECK(k.beat(alive("m", 3)) == "3: A0");
}

TEST_CASE("group: an invalid expression (point 14)") {
  cluster k;
  CHECK(k.beat(pattern_join("m", "a(")) == "INVALID_REGULAR_EXPRESSION");
  CHECK(k.words.find("SubscribedTopicRegex `a(` is not a valid regular expression: ") == 0);
  CHECK(k.c.groups().empty());
  k.beat(join("m", "A"));
  CHECK(k.beat(alive("m", 1).matching("[")) == "INVALID_REGULAR_EXPRESSION");
  CHECK(k.member("m") == "1 stable A0 A1 A2 A3");
}

TEST_CASE("group: names and an expression together, and cleared (points 4, 38)") {
  cluster k;
  CHECK(k.beat(pattern_join("m", "B").to("A")) == "1: A0 A1 A2 A3");
  k.pass(1s);
  CHECK(k.beat(alive("m", 1)) == "2: A0 A1 A2 A3 B0 B1");
  CHECK(k.c.member("g", "m")->regex == "B");
  // Another member with the same one is served at once.
  CHECK(k.beat(pattern_join("n", "B")) == "3:");
  CHECK(k.beat(alive("m", 2).matching("")) == "2: A0 A1 A2 A3");
  CHECK(k.beat(alive("m", 2).owns("A0 A1 A2 A3")) == "4");
  CHECK(k.beat(alive("n", 3)) == "4: B0 B1");
}

TEST_CASE("group: a changed expression loses the old topics at once (point 38)") {
  cluster k;
  k.beat(pattern_join("m", "A"));
  k.pass(1s);
  CHECK(k.beat(alive("m", 1)) == "2: A0 A1 A2 A3");
  CHECK(k.beat(alive("m", 2).matching("B")) == "2:");
  CHECK(k.beat(alive("m", 2).owns("")) == "2");
  k.pass(1s);
  CHECK(k.beat(alive("m", 2)) == "3: B0 B1");
}

TEST_CASE("group: in Kafka 4.0 a changed expression counts once it is resolved, and giving it up not at all") {
  const group_options old(kafka_generation::v4_0);
  cluster k(old);
  k.beat(pattern_join("m", "A"));
  k.pass(1s);
  CHECK(k.beat(alive("m", 1)) == "2: A0 A1 A2 A3");
  CHECK(k.beat(alive("m", 2).matching("nothing")) == "2");
  k.pass(1s);
  CHECK(k.beat(alive("m", 2)) == "2:");
  CHECK(k.beat(alive("m", 2).owns("")) == "3");
  CHECK(k.beat(alive("m", 3).matching("B")) == "3");
  k.pass(1s);
  CHECK(k.beat(alive("m", 3)) == "4: B0 B1");
  CHECK(k.beat(alive("m", 4).matching("")) == "4");
  k.pass(20s);
  CHECK(k.beat(alive("m", 4)) == "4");
  CHECK(k.beat(join("n", "A")) == "5: A0 A1 A2 A3");  // which is another reason
  CHECK(k.beat(alive("m", 4)) == "4:");
}

TEST_CASE("topic_pattern: what matches") {
  struct {
    const char *pattern, *name;
    bool yes;
  } const table[] = {
      {"orders", "orders", true},      {"orders", "orders-1", false},   {"orders.*", "orders-1", true},
      {"orders|payments", "payments", true}, {"a{2,3}", "aa", true},    {"a{2,3}", "a", false},
      {"[^.]+", "a.b", false},         {"^a$", "a", true},              {"", "", true},
      {"\\d+", "12", true},            {".*", "anything", true},
  };
  for (const auto& row : table) {
    CAPTURE(row.pattern, row.name);
    const auto p = topic_pattern::compile(row.pattern);
    REQUIRE(static_cast<bool>(p));
    CHECK(p->matches(row.name) == row.yes);
  }
}

TEST_CASE("topic_pattern: what is refused") {
  const std::string table[] = {"(", "[a", "(?i)a", "\\", "a{2", "a{100000}", "(a{100}){100}b", std::string(1001, 'a'),
                               std::string(101, '(') + "a" + std::string(101, ')'), "(a)\\1", "((a{99}){99}){99}"};
  for (const auto& text : table) {
    CAPTURE(text);
    const auto p = topic_pattern::compile(text);
    REQUIRE_FALSE(static_cast<bool>(p));
    CHECK(p.error().code == kafka_error::invalid_regular_expression);
    CHECK(p.error().words.find("SubscribedTopicRegex `") == 0);
  }
}

TEST_CASE("topic_pattern: what would take for ever ends") {
  const std::string table[] = {"(a*)*b", "(a|a)*b", "(a?){90}a{90}", std::string(100, '(') + "a*" + std::string(100, ')') + "b",
                               std::string(998, '.')};
  for (const auto& text : table) {
    CAPTURE(text);
    const auto p = topic_pattern::compile(text);
    if (p) CHECK_FALSE(p->matches(std::string(249, 'a') + "c"));
  }
}

}  // namespace testing_group_static_tests
