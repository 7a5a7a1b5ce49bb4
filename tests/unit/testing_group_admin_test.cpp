#include "catch.hpp"

#include "testing_group_support.hpp"

// What an administrator sees of a group, and deleting it.

namespace testing_group_admin_tests {

using namespace testing_group;

struct seen : cluster {
  using cluster::cluster;

  /// "Stable 2/2 uniform": the group's epoch, that of its target.
  std::string look(std::string_view group = "g") const {
    const auto v = c.view(group);
    if (!v) return "none";
    return std::string(v->state) + " " + std::to_string(v->epoch) + "/" + std::to_string(v->target_epoch) + " " + v->assignor;
  }
  std::string remove(std::string_view group = "g") { return std::string(kawait::name_of(c.remove_group(now, group))); }
};

TEST_CASE("group: its states as an administrator sees them") {
  group_options options(kafka_generation::v4_2);
  options.assignment_interval = 10s;
  seen k(options);
  CHECK(k.look() == "none");
  k.beat(join("m", "A"));
  CHECK(k.look() == "Stable 1/1 uniform");
  k.beat(join("n", "A").with("range"));
  CHECK(k.look() == "Assigning 2/1 range");  // the target waits for its interval
  k.pass(10s);
  k.beat(full("m", 1, "A", "A0 A1 A2 A3"));
  CHECK(k.look() == "Reconciling 2/2 range");
  k.beat(full("m", 1, "A", "A0 A1"));
  k.beat(full("n", 1, "A", ""));
  CHECK(k.look() == "Stable 2/2 range");
  CHECK(k.beat(alive("n", -1)) == "-1");
  CHECK(k.look() == "Assigning 3/2 uniform");
  k.beat(alive("m", -1));
  CHECK(k.look() == "Empty 4/2 uniform");
}

TEST_CASE("group: with a static member away it is not stable") {
  seen k;
  k.beat(join("m", "A").as("i"));
  CHECK(k.look() == "Stable 1/1 uniform");
  k.beat(alive("m", -2).as("i"));
  CHECK(k.look() == "Reconciling 1/1 uniform");
  k.beat(join("n", "A").as("i"));
  CHECK(k.look() == "Stable 1/1 uniform");
}

TEST_CASE("group: it is deleted once it has no members, offsets and all") {
  seen k;
  CHECK(k.remove() == "GROUP_ID_NOT_FOUND");
  k.beat(join("m", "A").as("i"));
  k.c.set_offset(k.now, "g", topic_partition("A", 1), offset_and_epoch(7, 1));
  CHECK(k.remove() == "NON_EMPTY_GROUP");
  k.beat(alive("m", -2).as("i"));
  CHECK(k.remove() == "NON_EMPTY_GROUP");  // it may come back
  CHECK(k.c.committed("g", topic_partition("A", 1)).has_value());
  k.pass(46s);
  CHECK(k.remove() == "NONE");
  CHECK(k.look() == "none");
  CHECK_FALSE(k.c.committed("g", topic_partition("A", 1)).has_value());
  CHECK(k.beat(alive("m", 1).as("i")) == "GROUP_ID_NOT_FOUND");
  CHECK(k.remove() == "GROUP_ID_NOT_FOUND");
  CHECK(k.beat(join("m", "A")) == "1: A0 A1 A2 A3");  // from the beginning
}

TEST_CASE("group: what only has offsets is deleted with them") {
  seen k;
  k.c.set_offset(k.now, "g", topic_partition("A", 1), offset_and_epoch(7, 1));
  CHECK(k.look() == "none");
  CHECK(k.remove() == "NONE");
  CHECK_FALSE(k.c.committed("g", topic_partition("A", 1)).has_value());
}

}  // namespace testing_group_admin_tests
