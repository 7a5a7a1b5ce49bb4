// The embedded cluster with whole consumers: groups, leaders, nodes.

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

TEST_CASE("embedded: a member reads and commits, whatever the generation") {
  using g = testing::kafka_generation;
  for (const auto generation : {g::v4_0, g::v4_2, g::v4_3}) {
    CAPTURE(static_cast<int>(generation));
    testing::world w;
    testing::broker b(w.executor(), testing::broker_options(generation));
    b.create_topic("orders", 3);
    for (std::int32_t p = 0; p < 3; ++p) b.append("orders", p, numbers(10));
    reader r(w, member_of(b));
    r.run();
    r.read_all();
    REQUIRE(w.run_until([&] { return r.total() == 30; }, 1min));
    for (std::int32_t p = 0; p < 3; ++p) CHECK(r.seen[p] == range(0, 10));
    b.append("orders", 1, numbers(5), testing::append_options(kawait::wire::codec::zstd));
    REQUIRE(w.run_until([&] { return r.total() == 35; }, 1min));
    CHECK(b.fetch_sessions(1) == 1);
    r.close();
    REQUIRE(w.run_until([&] { return r.closed.has_value(); }, 1min));
    CHECK(!*r.closed);
    CHECK(b.committed("g", "orders", 1) == 15);
    CHECK(b.group().members("g").empty());
    CHECK(w.run_until([&] { return b.connections() == 0; }, 1min));
    CHECK(b.fetch_sessions(1) == 0);
  }
}

TEST_CASE("embedded: two members share, one leaves, nothing is read twice") {
  testing::world w;
  testing::broker b(w.executor(), nodes(2, 1));
  b.create_topic("orders", 4);
  for (std::int32_t p = 0; p < 4; ++p) b.append("orders", p, numbers(10));
  reader first(w, member_of(b));
  first.run();
  first.read_all();
  REQUIRE(w.run_until([&] { return first.total() == 40; }, 1min));
  reader second(w, member_of(b));
  second.run();
  second.read_all();
  REQUIRE(w.run_until([&] { return first.consumer.assignment().size() == 2 && second.consumer.assignment().size() == 2; }, 1min));
  for (std::int32_t p = 0; p < 4; ++p) b.append("orders", p, numbers(10));
  REQUIRE(w.run_until([&] { return first.total() + second.total() == 80; }, 1min));
  CHECK(second.total() == 20);
  first.close();
  REQUIRE(w.run_until([&] { return first.closed && second.consumer.assignment().size() == 4; }, 1min));
  for (std::int32_t p = 0; p < 4; ++p) b.append("orders", p, numbers(5));
  REQUIRE(w.run_until([&] { return first.total() + second.total() == 100; }, 1min));
  for (std::int32_t p = 0; p < 4; ++p) {
    std::vector<std::int64_t> all = first.seen[p];
    all.insert(all.end(), second.seen[p].begin(), second.seen[p].end());
    CHECK(all == range(0, 25));
  }
}

TEST_CASE("embedded: a member without a client takes its share, and what it has is free when it leaves") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 2);
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  REQUIRE(w.run_until([&] { return r.consumer.assignment().size() == 2; }, 1min));
  CHECK(!b.group().add_member(w.now(), "g", testing::scripted_member("other", {"orders"})));
  REQUIRE(w.run_until([&] { return r.consumer.assignment().size() == 1 && b.group().settled("g"); }, 1min));
  CHECK(b.group().remove_member(w.now(), "g", "other"));
  REQUIRE(w.run_until([&] { return r.consumer.assignment().size() == 2; }, 1min));
}

TEST_CASE("embedded: reading goes on when leaders move") {
  testing::world w;
  testing::broker b(w.executor(), nodes(3));
  b.create_topic("orders", 3);
  assigned r(w, b, {0, 1, 2}, plain());
  for (int round = 0; round < 12; ++round) {
    const std::int32_t p = round % 3;
    b.append("orders", p, numbers(10));
    b.set_leader("orders", p, 1 + (round / 3 + p) % 3);
    CHECK(b.leader_epoch("orders", p) == 1 + round / 3);
    b.append("orders", p, numbers(10));
    CAPTURE(round);
    REQUIRE(w.run_until([&] { return r.total() == static_cast<std::size_t>(20 * (round + 1)); }, 1min));
  }
  for (std::int32_t p = 0; p < 3; ++p) CHECK(r.seen[p] == range(0, 80));
  CHECK(r.errors.empty());
}

TEST_CASE("embedded: a group outlives each of its nodes") {
  testing::world w;
  testing::broker b(w.executor(), nodes(3));
  b.create_topic("orders", 3);
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  std::size_t written = 0;
  const auto write = [&] {
    for (std::int32_t p = 0; p < 3; ++p) b.append("orders", p, numbers(10));
    written += 30;
  };
  write();
  REQUIRE(w.run_until([&] { return r.total() == written; }, 1min));
  for (std::int32_t node = 1; node <= 3; ++node) {
    CAPTURE(node);
    b.stop_node(node);
    CHECK(b.leader("orders", 0) != node);
    write();
    REQUIRE(w.run_until([&] { return r.total() == written; }, 2min));
    b.start_node(node);
    write();
    REQUIRE(w.run_until([&] { return r.total() == written; }, 2min));
  }
  b.freeze_node(b.coordinator());
  w.advance(10s);
  b.thaw_node(1);
  write();
  REQUIRE(w.run_until([&] { return r.total() == written; }, 2min));
  r.close();
  REQUIRE(w.run_until([&] { return r.closed.has_value(); }, 2min));
  CHECK(b.committed("g", "orders", 2) == static_cast<std::int64_t>(written / 3));
  for (std::int32_t p = 0; p < 3; ++p) CHECK(r.seen[p] == range(0, static_cast<std::int64_t>(written / 3)));
}

TEST_CASE("embedded: topics that appear, grow, and are made anew") {
  testing::world w;
  testing::broker b(w.executor());
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  w.advance(30s);
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(3));
  REQUIRE(w.run_until([&] { return r.total() == 3; }, 10min));
  b.grow_topic("orders", 2);
  b.append("orders", 1, numbers(3));
  REQUIRE(w.run_until([&] { return r.total() == 6; }, 10min));
  const kawait::uuid before = b.topic_id("orders");
  CHECK(before != b.recreate_topic("orders"));
  b.append("orders", 0, numbers(4));
  REQUIRE(w.run_until([&] { return r.total() == 10; }, 20min));
  CHECK(r.seen[0] == std::vector<std::int64_t>{0, 1, 2, 0, 1, 2, 3});
}

TEST_CASE("embedded: a topic that is deleted with work on it uncommitted holds nothing up") {
  using g = testing::kafka_generation;
  for (const auto generation : {g::v4_0, g::v4_2, g::v4_3}) {
    CAPTURE(static_cast<int>(generation));
    testing::world w;
    testing::broker b(w.executor(), testing::broker_options(generation));
    b.create_topic("orders", 2);
    for (std::int32_t p = 0; p < 2; ++p) b.append("orders", p, numbers(3));
    auto c = member_of(b);
    c.rebalance_timeout(10min).auto_commit_interval(1min);
    reader r(w, c);
    r.run();
    r.read_all();
    REQUIRE(w.run_until([&] { return r.total() == 6; }, 1min));
    b.recreate_topic("orders");
    for (std::int32_t p = 0; p < 2; ++p) b.append("orders", p, numbers(4));
    REQUIRE(w.run_until([&] { return r.total() == 14; }, 30s));  // the revocation's deadline is nine minutes off
    r.close();
    REQUIRE(w.run_until([&] { return r.closed.has_value(); }, 1min));
    for (std::int32_t p = 0; p < 2; ++p) CHECK(b.committed("g", "orders", p) == 4);
  }
}

TEST_CASE("embedded: one seed, one run") {
  const auto run = [](std::uint64_t seed) {
    testing::world w(seed);
    testing::broker b(w.executor(), nodes(3));
    b.create_topic("orders", 3);
    b.append("orders", 0, numbers(10));
    reader r(w, member_of(b));
    r.run();
    r.read_all();
    w.advance(2min);
    std::string trace = b.topic_id("orders").to_string();
    for (const auto& s : b.requests()) {
      trace += ' ' + std::to_string(s.at.time_since_epoch().count()) + ':' + std::to_string(static_cast<int>(s.api));
    }
    return trace;
  };
  CHECK(run(3) == run(3));
  CHECK(run(3) != run(4));
}

TEST_CASE("embedded: a context that is destroyed with everything pending leaks nothing") {
  testing::world w;
  auto b = std::make_unique<testing::broker>(w.executor(), nodes(2));
  b->create_topic("orders", 2);
  auto r = std::make_unique<reader>(w, member_of(*b));
  r->run();
  r->read_all();
  w.advance(10s);
  r.reset();
  b.reset();
  w.destroy_context();
}

}  // namespace
}  // namespace embedded
