#include "catch.hpp"

#include "testing_group_actor.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

// How soon many members that join at once have their partitions, and what their asking early costs the coordinator.

namespace testing_group_settle_tests {

using namespace testing_group_membership;

constexpr int members = 300;

class joiner : public actor {
 public:
  joiner(surroundings& s, const std::string& id) : actor(s, member_options("g", id)) {
    faults = false;
    member_.subscribe({"A"}, std::nullopt);
    subscribed = true;
  }

  std::size_t asked = 0;  // heartbeats that were sent for nothing but the first partitions
  time_point joined{}, served{};

  /// Everything there is to do now; handlers end at once, and the coordinator answers at once.
  void live() {
    for (;;) {
      settle();
      drain_all();
      settle();
      const bool awaits = machine().state_name() == "awaiting";
      if (awaits && joined == time_point()) joined = now_;
      if (assigned > 0 && served == time_point()) served = now_;
      if (idle_connection()) return;
      asked += awaits;
      serve();
    }
  }
  bool was_served() const { return served != time_point(); }
  /// A first one that is served when it joins waits for nothing.
  duration waited() const { return joined == time_point() ? duration(0) : served - joined; }
};

struct joining {
  kafka_generation generation;
  std::chrono::milliseconds interval, assignment_interval;
  std::int32_t partitions;
};

class crowd {
 public:
  explicit crowd(const joining& j) : world_(options(j), 1), began_(world_.now) {
    world_.names[topic('A')] = "A";
    world_.coordinator.set_topics({topic_image("A", topic('A'), j.partitions)});
    for (int i = 0; i < members; ++i) joiners_.push_back(std::make_unique<joiner>(world_, "m" + std::to_string(i)));
  }

  const std::vector<std::unique_ptr<joiner>>& joiners() const { return joiners_; }

  /// How long until all have what is theirs.
  duration settle() {
    for (auto& j : joiners_) j->live();
    while (!settled()) {
      REQUIRE(world_.now - began_ < 5min);
      time_point next = never;
      for (const auto& j : joiners_) next = std::min(next, j->wake());
      world_.now = next;
      world_.coordinator.tick(next);
      for (auto& j : joiners_) {
        if (j->wake() <= next) j->live();
        REQUIRE(j->violation == "");
      }
    }
    return world_.now - began_;
  }

 private:
  static group_options options(const joining& j) {
    group_options o(j.generation);
    o.heartbeat_interval = j.interval;
    o.assignment_interval = j.assignment_interval;
    return o;
  }

  bool settled() const {
    if (!std::all_of(joiners_.begin(), joiners_.end(), [](const auto& j) { return j->was_served(); })) return false;
    return world_.coordinator.settled("g") && std::all_of(joiners_.begin(), joiners_.end(), [](const auto& j) { return j->content(); });
  }

  surroundings world_;
  time_point began_;
  std::vector<std::unique_ptr<joiner>> joiners_;
};

TEST_CASE("group: questions of who awaits its first partitions, as the formula has them and as the docstring says") {
  CHECK(most_questions(0s, 5s) == 0);
  CHECK(most_questions(200ms, 5s) == 4);
  CHECK(most_questions(1s, 5s) == 12);  // the twelfth comes in the second one
  CHECK(most_questions(20s, 5s) == 26);
  CHECK(most_questions(30s, 5s) == 28);
}

// They all join before the first one, to whom everything is given, hears of them.
TEST_CASE("group: three hundred members that join at once are served soon, and ask no more often than said") {
  const joining all[] = {{kafka_generation::v4_2, 5s, 0s, 600}, {kafka_generation::v4_3, 5s, 1s, 600}, {kafka_generation::v4_3, 1s, 1s, 300}};
  for (const auto& j : all) {
    CAPTURE(j.interval.count(), j.assignment_interval.count(), j.partitions);
    crowd c(j);
    const duration took = c.settle();
    // The first one's next heartbeat, and the least time between two of the others' questions.
    CHECK(took <= j.interval + 50ms);
    std::size_t asked = 0, waiting = 0;
    for (const auto& m : c.joiners()) {
      CAPTURE(m->machine().member_id(), m->waited().count(), m->asked);
      CHECK(static_cast<double>(m->asked) <= most_questions(m->waited(), j.interval));
      asked += m->asked;
      waiting += m->asked > 0;
    }
    CHECK(waiting == members - 1);
    CHECK(static_cast<double>(asked) <= members * most_questions(took, j.interval));
    CHECK(asked >= 10 * waiting);  // they did ask early
  }
}

}  // namespace testing_group_settle_tests
