#include <kawait/machine/poll_watch.hpp>

#include <chrono>
#include <vector>

#include "catch.hpp"

namespace poll_watch_tests {

using namespace std::chrono_literals;
using namespace kawait::machine;

leased lease_of(std::int32_t partition, std::uint64_t generation = 1) {
  kawait::uuid topic;
  topic.bytes[0] = std::byte{9};
  return leased(kawait::topic_id_partition(topic, partition), generation);
}

struct watched {
  poll_watch watch{80s};
  time_point now{};

  /// Looks once more, a pause later.
  std::vector<leased> look(std::vector<work_sight> all) {
    now += watch.pause();
    return watch.look(all, now);
  }
};

TEST_CASE("poll watch: work that stands still is overdue after the interval, not before, and a look later at most") {
  watched w;
  CHECK(w.watch.pause() == 10s);
  const std::vector<work_sight> still = {work_sight(lease_of(0), true, 7)};
  CHECK(w.look(still).empty());  // may have moved just now
  for (int i = 0; i < 7; ++i) CHECK(w.look(still).empty());
  CHECK(w.look(still) == std::vector<leased>{lease_of(0)});
  CHECK(w.look(still) == std::vector<leased>{lease_of(0)});
}

TEST_CASE("poll watch: a call, a pause, no data and a new lease begin anew") {
  const struct {
    const char* what;
    work_sight sight;
  } rows[] = {
      {"a call", work_sight(lease_of(0), true, 8)},
      {"nothing owed", work_sight(lease_of(0), false, 7)},
      {"another lease", work_sight(lease_of(0, 2), true, 7)},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    watched w;
    const std::vector<work_sight> still = {work_sight(lease_of(0), true, 7)}, moved = {row.sight};
    for (int i = 0; i < 8; ++i) CHECK(w.look(still).empty());
    CHECK(w.look(moved).empty());
    for (int i = 0; i < 7; ++i) CHECK(w.look(still).empty());
  }
}

TEST_CASE("poll watch: each partition by itself, and nothing is kept of those that are gone") {
  watched w;
  std::uint64_t calls = 0;
  std::vector<leased> overdue;
  for (int i = 0; i < 20; ++i) {
    overdue = w.look({work_sight(lease_of(0), true, ++calls), work_sight(lease_of(1), true, 0), work_sight(lease_of(2), false, 0)});
  }
  CHECK(overdue == std::vector<leased>{lease_of(1)});
  CHECK(w.look({}).empty());
  CHECK(w.look({work_sight(lease_of(1), true, 0)}).empty());
}

TEST_CASE("poll watch: the shortest interval has a pause") {
  CHECK(poll_watch(1ms).pause() == 1ms);
}

}  // namespace poll_watch_tests
