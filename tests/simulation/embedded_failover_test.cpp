// What members of a group live through while its coordinator is away, and when there is another.

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using kawait::protocol::consumer_group_heartbeat_request;

/// A member of "g" by hand, which a test lets speak when it likes.
struct spoken_member {
  spoken_member(testing::world& w, testing::broker& b, std::string i) : world(w), cluster(b), id(std::move(i)) {}

  void beat() {
    consumer_group_heartbeat_request q;
    q.group_id = "g";
    q.member_id = id;
    q.member_epoch = epoch;
    if (epoch == 0) {
      q.rebalance_timeout_ms = 10'000;
      q.subscribed_topic_names.emplace().push_back("orders");
      q.topic_partitions.emplace();
    }
    const auto r = cluster.group().heartbeat(world.now(), q, 1, "spoken");
    REQUIRE(r.error_code == 0);
    epoch = r.member_epoch;
  }
  bool lives_after(net::duration d) {
    world.advance(d);
    return cluster.group().member("g", id).has_value();
  }

  testing::world& world;
  testing::broker& cluster;
  std::string id;
  std::int32_t epoch = 0;
};

TEST_CASE("embedded: no session ends while there is no coordinator, and the next one gives each its full length") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  spoken_member m(w, b, "m");
  m.beat();
  CHECK(m.lives_after(40s));
  b.stop_node(1);
  CHECK(m.lives_after(10min));
  CHECK(b.group().settled("g"));
  b.start_node(1);
  CHECK(m.lives_after(44s));
  CHECK(!m.lives_after(2s));
}

TEST_CASE("embedded: another coordinator begins all sessions anew") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 2);
  spoken_member m(w, b, "m");
  m.beat();
  CHECK(m.lives_after(40s));
  SECTION("because the old one is gone") { b.stop_node(b.coordinator()); }
  SECTION("because it was moved") { b.set_coordinator(2); }
  CHECK(m.lives_after(44s));
  CHECK(!m.lives_after(2s));
}

TEST_CASE("embedded: one that is told to coordinate and does already changes nothing") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 2);
  spoken_member m(w, b, "m");
  m.beat();
  CHECK(m.lives_after(40s));
  b.set_coordinator(b.coordinator());
  b.stop_node(2);
  b.start_node(2);
  CHECK(!m.lives_after(6s));
}

TEST_CASE("embedded: another coordinator begins the time for a revocation anew") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 2);
  spoken_member m(w, b, "m"), other(w, b, "other");
  m.beat();
  other.beat();
  m.beat();
  REQUIRE(b.group().member("g", "m")->state == testing::reconciliation::unrevoked);
  CHECK(m.lives_after(8s));
  b.stop_node(1);
  CHECK(m.lives_after(9s));
  CHECK(!m.lives_after(2s));
  CHECK(other.lives_after(1s));
}

TEST_CASE("embedded: members without a client outlive a time without a coordinator") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  CHECK(!b.add_member("g", testing::scripted_member("other", {"orders"})));
  b.stop_node(1);
  w.advance(10min);
  CHECK(b.group().members("g").size() == 1);
  CHECK(b.add_member("g", testing::scripted_member("late", {"orders"})).code == kafka_error::coordinator_not_available);
  b.start_node(1);
  w.advance(10min);
  CHECK(b.group().members("g").size() == 1);
}

TEST_CASE("embedded: a member goes on with what it has when its group was without a coordinator for long") {
  testing::world w;
  testing::broker b(w, nodes(1, 1));
  b.create_topic("orders", 2);
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  for (const std::int32_t p : {0, 1}) b.append("orders", p, numbers(5));
  REQUIRE(w.run_until([&] { return r.total() == 10; }, 1min));
  w.advance(10s);
  const std::int32_t epoch = b.group().epoch("g");
  b.stop_node(1);
  w.advance(30s);
  b.start_node(1);
  for (const std::int32_t p : {0, 1}) b.append("orders", p, numbers(5));
  REQUIRE(w.run_until([&] { return r.total() == 20; }, 1min));
  CHECK(b.group().epoch("g") == epoch);
  for (const std::int32_t p : {0, 1}) CHECK(r.seen[p] == range(0, 10));
}

}  // namespace
}  // namespace embedded
