// Fetching from followers (KIP-392).

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using kawait::errc;

/// Two racks with a node each; both have the one partition of "orders". The reader is where the leader is not.
struct two_racks {
  explicit two_racks(std::chrono::milliseconds max_age = 5min, offset_reset reset = offset_reset::earliest) : b(w, options()) {
    b.create_topic("orders", 1);
    leader = b.leader("orders", 0);
    follower = 3 - leader;
    kawait::config c = plain();
    c.client_rack(follower == 1 ? "a" : "b").metadata_max_age(max_age).auto_offset_reset(reset);
    r.emplace(w, b, std::vector<std::int32_t>{0}, c);
  }
  static testing::broker_options options() {
    testing::broker_options o = nodes(2, 2);
    o.racks = {"a", "b"};
    return o;
  }
  void append(int count = 10) { b.append("orders", 0, numbers(count)); }
  bool read_all(net::duration limit = 5s) {
    return w.run_until([&] { return r->total() == static_cast<std::size_t>(b.end_offset("orders", 0)); }, limit);
  }
  /// Fetches that arrived since the last call.
  std::map<std::int32_t, int> fetches() {
    std::map<std::int32_t, int> n;
    for (const auto& q : b.requests()) {
      if (q.api == api_key::fetch && q.at > since) ++n[q.node];
    }
    since = w.now();
    return n;
  }
  /// What is appended now is fetched from this node.
  void check_node(std::int32_t node) {
    CAPTURE(node);
    append();
    CHECK(read_all());
    fetches();
    append();
    w.advance(2s);
    CHECK(read_all());
    const auto n = fetches();
    CHECK(n.size() == 1);
    CHECK(n.count(node) == 1);
    CHECK(r->seen[0] == range(0, b.end_offset("orders", 0)));
    CHECK(r->errors.empty());
  }

  testing::world w;
  testing::broker b;
  std::int32_t leader, follower;
  std::optional<assigned> r;
  net::time_point since{};
};

TEST_CASE("follower: the nearer replica is fetched from", "[follower]") {
  two_racks t;
  t.append();
  CHECK(t.read_all());
  const auto n = t.fetches();
  CHECK(n.at(t.leader) <= 3);
  t.check_node(t.follower);
  t.w.advance(1min);
  CHECK(t.fetches().size() == 1);
}

TEST_CASE("follower: the leader is asked again at metadata.max.age.ms, and not without pause", "[follower]") {
  two_racks t(10s);
  t.append();
  CHECK(t.read_all());
  t.w.advance(1s);
  t.fetches();
  t.w.advance(1min);
  const auto n = t.fetches();
  CHECK(n.at(t.leader) >= 4);
  CHECK(n.at(t.leader) <= 20);
  CHECK(n.at(t.follower) > 80);
  t.check_node(t.follower);
}

TEST_CASE("follower: when it goes, its leader is fetched from; when it is back, it is again", "[follower]") {
  two_racks t(10s);
  t.check_node(t.follower);
  t.b.stop_node(t.follower);
  t.append();
  CHECK(t.read_all(10s));
  t.check_node(t.leader);
  t.b.start_node(t.follower);
  t.w.advance(15s);
  t.check_node(t.follower);
}

TEST_CASE("follower: what it refuses is for the leader to say, and no reset", "[follower]") {
  const kafka_error error = GENERATE(kafka_error::offset_out_of_range, kafka_error::not_leader_or_follower, kafka_error::offset_not_available,
                                     kafka_error::unknown_leader_epoch, kafka_error::topic_authorization_failed);
  CAPTURE(static_cast<int>(error));
  two_racks t;
  t.check_node(t.follower);
  const std::size_t lists = t.b.count(api_key::list_offsets);
  int struck = 0;
  t.b.set_faults([&](const testing::request_view& q) {
    const bool hit = q.api == api_key::fetch && q.node == t.follower && struck < 3;
    struck += hit ? 1 : 0;
    return hit ? fault::answer_with(error) : fault();
  });
  for (int i = 0; i < 5; ++i) {
    t.append();
    CHECK(t.read_all(20s));
  }
  t.w.advance(10s);
  CHECK(struck == 3);
  CHECK(t.r->seen[0] == range(0, t.b.end_offset("orders", 0)));
  CHECK(t.r->errors.empty());
  CHECK(t.b.count(api_key::list_offsets) == lists);
  t.check_node(t.follower);
}

TEST_CASE("follower: one that refuses for ever costs no more than pauses", "[follower]") {
  two_racks t;
  t.b.set_faults([&](const testing::request_view& q) {
    return q.api == api_key::fetch && q.node == t.follower ? fault::answer_with(kafka_error::offset_out_of_range) : fault();
  });
  t.append();
  t.w.advance(30s);
  CHECK(t.r->total() == 0);  // the leader gives no records to who is nearer to another
  CHECK(t.b.count(api_key::fetch) < 400);
  CHECK(t.b.count(api_key::list_offsets) == 1);
  t.b.set_faults({});
  CHECK(t.read_all());
}

TEST_CASE("follower: a new leader, and one that has become it", "[follower]") {
  two_racks t;
  t.check_node(t.follower);
  t.b.set_leader("orders", 0, t.follower);
  t.check_node(t.follower);
  t.b.set_leader("orders", 0, t.leader);
  t.append();
  CHECK(t.read_all());
  t.check_node(t.follower);
}

TEST_CASE("follower: a selector that looks at no rack", "[follower]") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 2);
  assigned r(w, b, {0, 1}, plain());
  w.advance(1s);
  b.set_preferred_replica("orders", 0, 3 - b.leader("orders", 0));
  for (const std::int32_t p : {0, 1}) b.append("orders", p, numbers(10));
  w.advance(10s);
  CHECK(r.seen[0] == range(0, 10));
  CHECK(r.seen[1] == range(0, 10));
  b.set_preferred_replica("orders", 0, std::nullopt);
  b.append("orders", 0, numbers(10));
  w.advance(1s);
  CHECK(r.seen[0] == range(0, 20));
  CHECK(r.errors.empty());
}

TEST_CASE("follower: that its log ends below is for the leader to say, and no truncation", "[follower]") {
  two_racks t;
  for (int i = 0; i < 10; ++i) t.append();
  REQUIRE(t.read_all());
  t.w.advance(1s);
  int asked = 0;  // of the leader before the follower is believed
  t.b.set_faults([&](const testing::request_view& q) {
    if (q.api == api_key::fetch && q.node == t.leader && ++asked == 1) t.append(50);  // its own log was never cut
    return fault();
  });
  t.b.log("orders", 0).truncate(50);
  t.w.advance(5s);
  CHECK(asked > 0);
  t.append();
  CHECK(t.read_all());
  CHECK(t.r->seen[0] == range(0, t.b.end_offset("orders", 0)));
  CHECK(t.r->consumer.last_warning().code != errc::log_truncated);
  CHECK(t.r->errors.empty());
}

// A seek asks the follower at once, beside the fetch that is parked there; its answer comes when the leader has been gone back to.
TEST_CASE("follower: a late refusal is no leader's, and no reset", "[follower]") {
  for (const auto late : {700ms, 1100ms, 1500ms, 2200ms}) {
    CAPTURE(late.count());
    two_racks t(1s, kawait::offset_reset::latest);
    t.w.advance(1s);
    kawait::partition p = t.r->consumer.assignment().front();
    p.seek(0);
    t.append();
    REQUIRE(t.read_all());
    t.w.advance(2s);
    int asked = 0;
    t.b.set_faults([&](const testing::request_view& q) {
      if (q.api != api_key::fetch) return fault();
      if (q.node == t.leader) return fault::answered_late(2s);
      if (++asked > 1) return fault();
      fault refused = fault::answer_with(kafka_error::offset_out_of_range);
      refused.answer_delay = late;
      return refused;
    });
    const std::size_t looked_up = t.b.count(api_key::list_offsets);
    p.seek(5);
    t.w.advance(20s);
    CHECK(t.b.count(api_key::list_offsets) == looked_up);
    std::vector<std::int64_t> expected = range(0, 10);
    for (std::int64_t o = 5; o < 10; ++o) expected.push_back(o);
    CHECK(t.r->seen[0] == expected);
  }
}

TEST_CASE("follower: a leader that names itself is not asked without pause", "[follower]") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 1);
  assigned r(w, b, {0}, plain());
  w.advance(1s);
  b.set_preferred_replica("orders", 0, b.leader("orders", 0));
  b.append("orders", 0, numbers(10));
  const std::size_t before = b.count(api_key::fetch);
  w.advance(1min);
  CHECK(b.count(api_key::fetch) - before < 300);
}

TEST_CASE("follower: read to the end", "[follower]") {
  two_racks t;
  t.append();
  CHECK(t.read_all());
  t.w.advance(1s);
  const auto p = t.r->consumer.assignment().front();
  CHECK(p.at_end());
  CHECK(p.lag() == 0);
}

}  // namespace
}  // namespace embedded
