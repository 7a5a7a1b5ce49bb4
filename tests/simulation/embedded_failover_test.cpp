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

/// The cluster, and a member that beat once.
struct failover {
  explicit failover(std::int32_t count) : b(w, nodes(count)), m(w, b, "m") {
    b.create_topic("orders", 2);
    m.beat();
  }
  /// The member's session of 45 s began anew just now.
  void check_full_session() {
    CHECK(m.lives_after(44s));
    CHECK(!m.lives_after(2s));
  }

  testing::world w;
  testing::broker b;
  spoken_member m;
};

TEST_CASE("embedded: no session ends while there is no coordinator, and the next one gives each its full length") {
  failover f(1);
  CHECK(f.m.lives_after(40s));
  f.b.stop_node(1);
  CHECK(f.m.lives_after(10min));
  CHECK(f.b.group().settled("g"));
  f.b.start_node(1);
  f.check_full_session();
}

TEST_CASE("embedded: another coordinator begins all sessions anew") {
  failover f(2);
  CHECK(f.m.lives_after(40s));
  SECTION("because the old one is gone") { f.b.stop_node(f.b.coordinator()); }
  SECTION("because it was moved") { f.b.set_coordinator(2); }
  f.check_full_session();
}

TEST_CASE("embedded: one that is told to coordinate and does already changes nothing") {
  failover f(2);
  CHECK(f.m.lives_after(40s));
  f.b.set_coordinator(f.b.coordinator());
  f.b.stop_node(2);
  f.b.start_node(2);
  CHECK(!f.m.lives_after(6s));
}

TEST_CASE("embedded: another coordinator begins the time for a revocation anew") {
  failover f(2);
  spoken_member other(f.w, f.b, "other");
  other.beat();
  f.m.beat();
  REQUIRE(f.b.group().member("g", "m")->state == testing::reconciliation::unrevoked);
  CHECK(f.m.lives_after(8s));
  f.b.stop_node(1);
  CHECK(f.m.lives_after(9s));
  CHECK(!f.m.lives_after(2s));
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
