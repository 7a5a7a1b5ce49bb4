// What the embedded cluster and its world do for the fault catalogue: moves, names, clocks, idle connections, old metadata. How faults
// end, and by whom.

#include <kawait/testing/faults.hpp>

#include <memory>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

TEST_CASE("moves: a cluster whose nodes all have other addresses is found again by its name") {
  testing::world w;
  testing::broker b(w, by_name(2));
  CHECK(b.bootstrap() == "kafka:9092");
  b.create_topic("orders", 2);
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  w.advance(5s);
  for (const std::int32_t p : {0, 1}) b.append("orders", p, numbers(10));
  REQUIRE(w.run_until([&] { return r.total() == 20; }, 10s));
  const std::size_t before = w.network().attempts("10.0.0.1", 9092);
  b.move_node(1, "10.7.0.1");
  b.move_node(2, "10.7.0.2");
  CHECK(b.address(2).to_string() == "10.7.0.2:9092");
  for (const std::int32_t p : {0, 1}) b.append("orders", p, numbers(10));
  CHECK(w.run_until([&] { return r.total() == 40; }, 1min));
  CHECK(w.network().attempts("10.7.0.1", 9092) + w.network().attempts("10.7.0.2", 9092) > 1);
  w.advance(10s);
  const std::size_t after = w.network().attempts("10.0.0.1", 9092);
  CHECK(after < before + 20);
  w.advance(1min);
  CHECK(w.network().attempts("10.0.0.1", 9092) == after);  // nobody asks there any more
  CHECK(r.errors.empty());
}

TEST_CASE("moves: a node that is down moves too, and faults of connections follow it") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 2);
  testing::faults faults(b);
  assigned r(w, b, {0, 1}, plain());
  w.advance(1s);
  b.stop_node(2);
  b.move_node(2, "10.7.0.2");
  w.advance(10s);
  faults.on_connection().node(2).once().inject("refused");
  b.start_node(2);
  b.set_leader("orders", 0, 2);
  b.append("orders", 0, numbers(10));
  CHECK(w.run_until([&] { return r.total() == 10; }, 1min));
  CHECK(faults.hits("refused") == 1);
  CHECK(w.network().attempts("10.7.0.2", 9092) > 1);
}

TEST_CASE("moves: a name that does not resolve is asked again") {
  testing::world w;
  testing::broker b(w, by_name(1));
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(10));
  b.set_name_resolves(false);
  assigned r(w, b, {0}, plain());
  w.advance(20s);
  CHECK(r.total() == 0);
  b.set_name_resolves(true);
  CHECK(w.run_until([&] { return r.total() == 10; }, 30s));
}

TEST_CASE("moves: only in memory, and names only for nodes with addresses of their own") {
  testing::world w;
  testing::broker_options o = by_name(1);
  o.host = "10.0.0.9";
  CHECK_THROWS_AS(testing::broker(w, o), kawait::error);
  testing::broker b(w);
  CHECK(!b.has_bootstrap_name());
  CHECK_THROWS_AS(b.move_node(7, "10.7.0.1"), std::out_of_range);
  testing::faults faults(b);
  for (const char* name : {"node-moved", "cluster-moved", "name-lost"}) CHECK(!faults.act(name));
}

TEST_CASE("clocks: the wall clock jumps, and no timer cares") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  testing::faults faults(b, 3);
  b.append("orders", 0, numbers(1));
  const auto before = w.now();
  REQUIRE(faults.act("clock-jump"));
  CHECK(w.now() == before);
  b.append("orders", 0, numbers(1));
  const auto records = b.log("orders", 0).records();
  REQUIRE(records.size() == 2);
  CHECK(std::abs(records[1].timestamp - records[0].timestamp) > 1000);
}

TEST_CASE("clocks: clients that stood still longer than their session join anew, and repeat no more than they must") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  testing::faults faults(b, 5);
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  b.append("orders", 0, numbers(10));
  w.advance(20s);
  const auto id = r.consumer.member_id();
  const std::int32_t epoch = b.group().epoch("g");
  faults.after(1s, [&](testing::broker&) {
    auto* clock = dynamic_cast<testing::simulated_backend*>(net::environment::of(w.executor()).clock());
    REQUIRE(clock != nullptr);
    clock->set_now(w.now() + 60s);
  });
  const auto before = w.now();
  w.advance(2s);
  CHECK(w.now() - before >= 61s);
  w.advance(10s);
  CHECK(b.group().epoch("g") > epoch);  // it was expelled, and is back
  CHECK(r.consumer.assignment().size() == 2);
  CHECK(r.consumer.member_id() == id);
  b.append("orders", 0, numbers(10));
  w.advance(5s);
  CHECK(r.seen[0] == range(0, 20));
  CHECK(r.errors.empty());
}

TEST_CASE("idle connections are closed, busy ones are not") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  assigned r(w, b, {0}, plain());
  w.advance(2min);
  const std::size_t open = b.connections();
  REQUIRE(open == 2);  // one has a fetch in hand, the other has had nothing to do for long
  CHECK(b.close_idle_connections(5s) == 1);
  w.advance(1s);
  b.append("orders", 0, numbers(3));
  CHECK(w.run_until([&] { return r.total() == 3; }, 1s));
  CHECK(b.close_idle_connections(24h) == 0);
}

TEST_CASE("metadata that is held tells the old leader, and readers find the new one") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 1);
  assigned early(w, b, {0}, plain());
  w.advance(1s);
  const std::int32_t old = b.leader("orders", 0);
  b.hold_metadata(true);
  b.set_leader("orders", 0, 3 - old);
  b.append("orders", 0, numbers(5));
  // Who was told so by the answer to a fetch needs no metadata; who asks metadata only has to wait.
  CHECK(w.run_until([&] { return early.total() == 5; }, 5s));
  assigned late(w, b, {0}, plain());
  w.advance(5s);
  b.hold_metadata(false);
  CHECK(w.run_until([&] { return late.total() == 5; }, 10s));
  CHECK(early.errors.empty());
  CHECK(late.errors.empty());
}

TEST_CASE("faults: records that were to be spoilt are sound again when the faults end") {
  enum class end { healed, gone, replaced };
  for (const end how : {end::healed, end::gone, end::replaced}) {
    CAPTURE(static_cast<int>(how));
    testing::world w;
    testing::broker b(w);
    b.create_topic("orders", 1);
    auto faults = std::make_unique<testing::faults>(b);
    assigned r(w, b, {0}, plain());
    w.advance(2s);
    int struck = 0;
    fault bad = fault::spoilt(testing::record_fault::bad_crc);
    bad.struck = [&] { ++struck; };
    faults->on(api_key::fetch).inject(bad);
    w.advance(2s);
    if (how == end::healed) faults->heal();
    if (how == end::gone) faults.reset();
    if (how == end::replaced) b.set_faults(nullptr);
    b.append("orders", 0, numbers(10));
    CHECK(w.run_until([&] { return r.total() == 10; }, 5s));
    CHECK(struck == 0);
    CHECK(r.errors.empty());
  }
}

TEST_CASE("faults: connections that were mute are closed when the faults end") {
  for (const auto kind : {fault::kind::silence, fault::kind::partial_answer}) {
    for (const bool gone : {false, true}) {
      CAPTURE(static_cast<int>(kind));
      CAPTURE(gone);
      testing::world w;
      testing::broker b(w);
      b.create_topic("orders", 1);
      auto faults = std::make_unique<testing::faults>(b);
      assigned r(w, b, {0}, plain());
      w.advance(2s);
      faults->on(api_key::fetch).once().inject(fault(kind), "mute");
      w.advance(2s);
      CHECK(faults->hits("mute") == 1);
      b.append("orders", 0, numbers(10));
      w.advance(2s);
      CHECK(r.total() == 0);
      if (gone) faults.reset();
      if (!gone) faults->heal();
      CHECK(w.run_until([&] { return r.total() == 10; }, 5s));  // not only when request.timeout.ms is over
    }
  }
}

// A fetch waits at the broker with its fault decided; heal() comes before the answer.
TEST_CASE("faults: an answer under way is sound when the faults end") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  testing::faults faults(b);
  assigned r(w, b, {0}, plain());
  w.advance(2s);
  faults.on(api_key::fetch).inject(fault(fault::kind::partial_answer), "mute");
  const std::size_t before = b.count(api_key::fetch);
  REQUIRE(w.run_until([&] { return b.count(api_key::fetch) > before; }, 5s));
  faults.heal();
  b.append("orders", 0, numbers(10));
  CHECK(w.run_until([&] { return r.total() == 10; }, 2s));
  CHECK(faults.hits("mute") == 0);
}

TEST_CASE("faults: a transaction that a truncation has opened again is aborted, one that was open is its producer's") {
  int reopened = 0, gone = 0;
  for (std::uint64_t seed = 1; seed <= 16; ++seed) {
    CAPTURE(seed);
    testing::world w;
    testing::broker b(w);
    b.create_topic("orders", 1);
    testing::faults faults(b, seed);
    b.append("orders", 0, numbers(1), testing::append_options::in_transaction(1));
    b.append("orders", 0, numbers(1), testing::append_options::in_transaction(2));
    b.end_transaction("orders", 0, 2, true);
    REQUIRE(faults.act("log-truncated"));
    const auto& producers = b.log("orders", 0).producers();
    const auto left = producers.undecided();
    if (seed % 2 == 0) faults.heal();
    w.advance(20s);
    CHECK(producers.undecided().size() == left.count(1));
    if (!left.contains(2)) {
      CHECK(b.end_offset("orders", 0) == static_cast<std::int64_t>(left.size()));
      ++gone;
      continue;
    }
    REQUIRE(b.end_offset("orders", 0) == 3);  // a marker anew
    b.end_transaction("orders", 0, 1, true);
    CHECK(b.log("orders", 0).read(0, 1 << 20, true, true).aborted.size() == 1);
    ++reopened;
  }
  CHECK(reopened > 0);
  CHECK(gone > 0);
}

TEST_CASE("faults: a condition may heal, make rules and end the faults that ask it") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(10));
  auto faults = std::make_unique<testing::faults>(b);
  std::string big(1000, 'x');  // what a condition has captured lives while it runs
  std::size_t asked = 0;
  SECTION("it heals") {
    faults->on(api_key::fetch).when([&, big](const testing::request_view&) {
      faults->heal();
      asked += big.size();
      return true;
    }).drop_request();
    faults->on(api_key::fetch).drop_request();
  }
  SECTION("it makes rules") {
    faults->on(api_key::fetch).once().when([&, big](const testing::request_view&) {
      for (int i = 0; i < 100 && asked == 0; ++i) faults->on(api_key::metadata).nth(1).inject(fault(fault::kind::none), "none");
      asked += big.size();
      return false;
    }).drop_request();
  }
  SECTION("it ends them") {
    faults->on(api_key::fetch).when([&, big](const testing::request_view&) {
      faults.reset();
      asked += big.size();
      return true;
    }).drop_request();
  }
  SECTION("the broker's own function is replaced by itself") {
    faults.reset();
    b.set_faults([&, big](const testing::request_view&) {
      b.set_faults(nullptr);
      b.set_connection_faults(nullptr);
      asked += big.size();
      return fault();
    });
    b.set_connection_faults([&, big](std::int32_t, const testing::connection_attempt&, testing::connection_plan&) {
      b.set_connection_faults(nullptr);
      asked += big.size();
    });
  }
  assigned r(w, b, {0}, plain());
  CHECK(w.run_until([&] { return r.total() == 10; }, 5s));
  CHECK(asked >= big.size());
}

}  // namespace
}  // namespace embedded
