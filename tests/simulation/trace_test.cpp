// The trace of a world: one hash a run.

#include <kawait/testing/faults.hpp>

#include <memory>
#include <sstream>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

/// A group of two under faults, rebalancing.
std::uint64_t run(std::uint64_t seed, std::ostream* lines = nullptr) {
  testing::world w(seed);
  if (lines) w.trace(*lines);
  testing::broker b(w, nodes(3));
  b.create_topic("orders", 5);
  testing::faults faults(b, 5);
  faults.by_chance("lost-answer", 0.01);
  faults.by_chance("latency", 0.5);
  faults.at_random(20s);
  reader first(w, member_of(b));
  first.run();
  first.read_all();
  w.advance(10s);
  reader second(w, member_of(b));
  second.run();
  second.read_all();
  for (int i = 0; i < 20; ++i) {
    b.append("orders", i % 5, numbers(10), testing::append_options(static_cast<kawait::wire::codec>(i % 5)));
    w.advance(7s);
  }
  first.close();
  w.advance(1min);
  return w.trace_hash();
}

TEST_CASE("trace: the same seed gives the same hash, another seed another") {
  const std::uint64_t one = run(1);
  CHECK(one == run(1));
  CHECK(one != run(2));
}

// Nothing may depend on where objects lie: the heap is another one for each run.
TEST_CASE("trace: addresses do not matter") {
  const std::uint64_t one = run(3);
  std::vector<std::unique_ptr<char[]>> clutter;
  std::uint64_t state = 1;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20'000; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      clutter.push_back(std::make_unique<char[]>(16 + (state >> 33) % 700));
    }
    for (std::size_t i = 0; i < clutter.size(); i += 1 + (state >> 40) % 3) clutter[i].reset();
    CAPTURE(round);
    CHECK(run(3) == one);
  }
}

TEST_CASE("trace: the lines say what happened, and reading them changes nothing") {
  std::ostringstream lines;
  CHECK(run(4, &lines) == run(4));
  const std::string text = lines.str();
  for (const char* part : {"          0.000000 10.0.0.1 port 9092\n", " client:40000 connected to port 9092\n",
                           " client:40000 > bytes ", " client:40000 < bytes ", " asks node 1: api_versions v4\n",
                           ": consumer_group_heartbeat v1\n", " closed after ", "FAULT lost-answer of request "}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("trace: every event changes the hash") {
  const auto hash = [](std::function<void(testing::event_trace&)> what) {
    testing::event_trace t(net::time_point{});
    what(t);
    return t.hash();
  };
  const std::byte a[] = {std::byte{1}, std::byte{0}};
  const net::time_point at(1s);
  std::vector<std::uint64_t> all = {hash([](auto&) {}),
                                    hash([&](auto& t) { t.add(at, "x", "y", 1); }),
                                    hash([&](auto& t) { t.add(at + 1ns, "x", "y", 1); }),
                                    hash([&](auto& t) { t.add(at, "xy", "", 1); }),
                                    hash([&](auto& t) { t.add(at, "x", "y", 2); }),
                                    hash([&](auto& t) { t.add(at, "x", "y", 1, std::span(a, 1)); }),
                                    hash([&](auto& t) { t.add(at, "x", "y", 1, std::span(a, 2)); }),
                                    hash([&](auto& t) { t.draw(at, 1); }),
                                    hash([&](auto& t) { t.draw(at, std::uint64_t{1} << 63); })};
  std::sort(all.begin(), all.end());
  CHECK(std::unique(all.begin(), all.end()) == all.end());
}

}  // namespace
}  // namespace embedded
