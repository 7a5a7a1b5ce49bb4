// Faults by script, by name and by chance, and that consumers get over them.

#include <memory>
#include <set>

#include <kawait/testing/faults.hpp>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

/// A member that goes on after errors of a partition, as a user might: from where it stands.
struct stubborn {
  stubborn(testing::world& w, testing::broker& b) : consumer(w.executor(), member_of(b).auto_commit_interval(1s)) {
    consumer.subscribe("orders");
    consumer.async_run([this](std::error_code ec) { ended = ec; });
    read();
  }
  void read() {
    consumer.async_next([this](std::error_code ec, kawait::batch b) {
      if (ended || closed || ec == kawait::errc::closed || ec == asio::error::operation_aborted) return;
      if (ec) {
        errors.push_back(ec);
        for (const kawait::partition& p : consumer.assignment()) {
          if (const auto at = p.position()) p.seek(*at);
        }
      } else {
        for (const kawait::record& r : b) seen[b.partition()].insert(r.offset());
        b.done();
        b = kawait::batch();
      }
      read();
    });
  }
  void close() {
    consumer.async_close(kawait::close_options(), [this](std::error_code ec) { closed = ec; });
  }

  kawait::consumer consumer;
  std::map<std::int32_t, std::set<std::int64_t>> seen;
  std::vector<std::error_code> errors;
  std::optional<std::error_code> ended, closed;
};

/// Members of one group, and what they saw together.
struct group {
  group(testing::world& w, testing::broker& b, int count) {
    for (int i = 0; i < count; ++i) members.push_back(std::make_unique<stubborn>(w, b));
  }
  /// Offsets of a partition that nobody has seen.
  std::size_t missing(std::int32_t p, std::int64_t end) const {
    std::set<std::int64_t> seen;
    for (const auto& m : members) {
      const auto found = m->seen.find(p);
      if (found != m->seen.end()) seen.insert(found->second.begin(), found->second.end());
    }
    return static_cast<std::size_t>(end) - seen.size();
  }
  bool all_seen(testing::broker& b) const {
    for (const auto& p : b.partitions()) {
      if (missing(p.partition, b.end_offset(p.topic, p.partition)) != 0) return false;
    }
    return true;
  }
  bool any_ended() const {
    return std::any_of(members.begin(), members.end(), [](const auto& m) { return m->ended.has_value(); });
  }

  std::vector<std::unique_ptr<stubborn>> members;
};

TEST_CASE("faults by script: on the third heartbeat, drop the answer") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 1);
  testing::faults faults(b);
  faults.on(api_key::consumer_group_heartbeat, fault::kind::drop_answer).number(3).named("third");
  group g(w, b, 1);
  w.advance(2min);
  CHECK(faults.hits().at("third") == 1);
  b.append("orders", 0, numbers(10));
  REQUIRE(w.run_until([&] { return g.all_seen(b); }, 1min));
  faults.clear();
  const std::size_t before = b.count(api_key::consumer_group_heartbeat);
  w.advance(1min);
  CHECK(b.count(api_key::consumer_group_heartbeat) > before);
  CHECK(faults.hits().at("third") == 1);
}

TEST_CASE("faults by script: only some nodes, clients and kinds of heartbeat") {
  testing::world w;
  testing::broker b(w.executor(), nodes(2));
  b.create_topic("orders", 2);
  testing::faults faults(b);
  faults.on(api_key::fetch, fault::kind::drop_answer).node(7).named("no such node");
  faults.on(api_key::fetch, fault::kind::drop_answer).client("stranger").named("no such client");
  faults.on_any(fault::kind::drop_answer).heartbeat(testing::heartbeat_kind::join).number(1).named("join");
  faults.add("lost leave answer").number(1);
  group g(w, b, 1);
  w.advance(2min);
  g.members[0]->close();
  REQUIRE(w.run_until([&] { return g.members[0]->closed.has_value(); }, 2min));
  CHECK(faults.hits() == std::map<std::string, std::size_t>{{"join", 1}, {"lost leave answer", 1}});
  CHECK_THROWS_AS(faults.add("no such fault"), std::out_of_range);
  CHECK_THROWS_AS(faults.strike("no such fault"), std::out_of_range);
}

TEST_CASE("faults by name: a group gets over each of them") {
  for (const std::string_view name : testing::faults::catalogue()) {
    CAPTURE(std::string(name));
    testing::world w(3);
    testing::broker b(w.executor(), nodes(2));
    b.create_topic("orders", 4);
    group g(w, b, 2);
    w.advance(10s);  // that no broker can be reached at all is another story
    testing::faults faults(b, 3);
    faults.add(name).numbers(1, 2);
    faults.add(name).chance(0.3);
    for (int i = 0; i < 20; ++i) {
      for (const auto& p : b.partitions()) b.append(p.topic, p.partition, numbers(5));
      w.advance(7s);
      if (i == 3) g.members.push_back(std::make_unique<stubborn>(w, b));
      if (i == 5) b.grow_topic("orders", 6);
    }
    g.members[0]->close();
    w.advance(1s);
    faults.clear();
    const bool all = w.run_until([&] { return g.all_seen(b); }, 10min);
    if (name == "spoilt fetch") continue;
    CHECK(all);
    CHECK(!g.members[1]->ended);
    CHECK(faults.hits().contains(std::string(name)));
  }
}

TEST_CASE("faults by chance: a cluster that is shaken for minutes loses nothing") {
  std::map<std::string, std::size_t> hits;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    testing::world w(seed);
    testing::broker b(w.executor(), nodes(3));
    b.create_topic("orders", 4);
    testing::faults faults(b, seed);
    for (const char* name : {"lost request", "lost answer", "closed before", "closed after", "cut answer", "slow answer"}) {
      faults.add(name).chance(0.01);
    }
    auto shaking = faults.run(3min, 5s);
    asio::co_spawn(w.executor(), std::move(shaking), asio::detached);
    group g(w, b, 3);
    for (int i = 0; i < 100; ++i) {
      b.append("orders", i % 4, numbers(3));
      w.advance(2s);
    }
    faults.clear();
    CHECK(w.run_until([&] { return g.all_seen(b); }, 10min));
    CHECK(!g.any_ended());
    for (const auto& [name, n] : faults.hits()) hits[name] += n;
  }
  for (const std::string& name : testing::faults::cluster_faults()) {
    CAPTURE(name);
    CHECK(hits[name] > 0);
  }
}

}  // namespace
}  // namespace embedded
