// Whom the coordinator's driver connects to, and when it looks the coordinator up anew.

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <kawait/runtime/coordinator_driver.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/world.hpp>

#include "catch.hpp"

namespace coordinator_driver_tests {
namespace {

using namespace std::chrono_literals;
using net_connection = std::shared_ptr<kawait::net::connection>;
namespace net = kawait::net;
namespace runtime = kawait::runtime;
namespace testing = kawait::testing;

struct rig {
  rig()
      : b(w.executor(), nodes()),
        pool(w.executor(), net::connection_options(), net::broker_pool::default_reconnect(), bootstrap()),
        tasks(w.executor()) {
    tasks.set_owner(owner, [](std::exception_ptr e) { std::rethrow_exception(e); });
    settings.group_id = "g";
    driver.emplace(w.executor(), tasks, pool, settings);
    b.set_connection_faults([this](std::int32_t node, const testing::connection_attempt&, testing::connection_plan& plan) {
      if (mute.contains(node)) plan.what = testing::connection_plan::outcome::black_hole;
    });
    for (std::int32_t n = 1; n <= 3; ++n) tell_address(n);
  }
  ~rig() {
    driver->stop();
    pool.close();
    w.run_until([&] { return tasks.running() == 0; }, 1min);
  }

  static testing::broker_options nodes() {
    testing::broker_options o;
    o.nodes = 3;
    return o;
  }
  std::vector<net::host_port> bootstrap() const {
    const std::vector<net::host_port> one(1, b.address(3));
    return one;
  }
  void tell_address(std::int32_t n) {
    const net::host_port where = b.address(n);
    pool.set_broker(net::broker(n, where.host, where.port));
  }
  asio::awaitable<void> get() {
    auto c = co_await driver->async_get(w.now() + 30s);
    if (c) got = *c;
  }
  /// The connection to the coordinator, if there is one in time.
  net_connection connection(net::duration within) {
    got.reset();
    w.spawn(get());
    w.run_until([&] { return got != nullptr; }, within);
    return got;
  }
  bool is_to(const net_connection& c, std::int32_t node) const { return c && c == pool.find(node, net::channel::control); }

  testing::world w;
  testing::broker b;
  net::broker_pool pool;
  runtime::options settings;
  std::shared_ptr<int> owner = std::make_shared<int>();
  runtime::task_group tasks;
  std::optional<runtime::coordinator_driver> driver;
  std::set<std::int32_t> mute;
  net_connection got;
};

TEST_CASE("a coordinator whose connection ended is looked up before it is connected to", "[group]") {
  rig r;
  r.b.set_coordinator(1);
  REQUIRE(r.is_to(r.connection(1s), 1));
  const std::size_t asked = r.b.count(testing::api_key::find_coordinator);
  SECTION("it is another by now, and the first does not answer any more") {
    r.b.cut_connections(1);
    r.mute = {1};
    r.b.set_coordinator(2);
    r.w.advance(1s);
    CHECK(r.is_to(r.connection(1s), 2));
  }
  SECTION("it is the same") {
    r.b.cut_connections(1);
    r.w.advance(1s);
    CHECK(r.is_to(r.connection(1s), 1));
    CHECK(r.b.count(testing::api_key::find_coordinator) == asked + 1);
  }
}

TEST_CASE("the next coordinator does not wait for the attempt to reach the one before", "[group]") {
  rig r;
  r.mute = {2};
  r.b.set_coordinator(2);
  CHECK(!r.connection(100ms));
  r.b.set_coordinator(1);
  r.driver->forget();
  REQUIRE(r.w.run_until([&] { return r.got != nullptr; }, 2s));
  CHECK(r.is_to(r.got, 1));
  r.w.advance(20s);  // the other attempt fails; that says nothing of this one
  CHECK(r.is_to(r.connection(100ms), 1));
}

TEST_CASE("an attempt at the coordinator before says nothing of one that is connected already", "[group]") {
  rig r;
  r.mute = {2};
  REQUIRE(r.w.run(r.pool.async_get(1, net::channel::control)));
  r.b.set_coordinator(2);
  CHECK(!r.connection(100ms));
  r.b.set_coordinator(1);
  r.driver->forget();
  REQUIRE(r.w.run_until([&] { return r.got != nullptr; }, 2s));
  const std::size_t asked = r.b.count(testing::api_key::find_coordinator);
  r.w.advance(20s);
  CHECK(r.is_to(r.connection(100ms), 1));
  CHECK(r.b.count(testing::api_key::find_coordinator) == asked);
}

TEST_CASE("an answer to a look-up that was given up does not stop the next", "[group]") {
  rig r;
  r.b.set_faults([](const testing::request_view& q) {
    return q.api == testing::api_key::find_coordinator ? testing::fault::delayed(300ms) : testing::fault();
  });
  const auto give_up = [&]() -> asio::awaitable<void> { (void)co_await r.driver->async_get(r.w.now() + 50ms); };
  r.w.spawn(give_up());
  r.w.advance(60ms);
  r.driver->on_disconnected();
  r.w.advance(340ms);
  r.b.set_faults({});
  CHECK(r.connection(5s));
}

TEST_CASE("what Metadata says of a broker that moved is newer than where the coordinator was found", "[group]") {
  rig r;
  r.b.set_coordinator(1);
  REQUIRE(r.connection(1s));
  r.b.move_node(1, "10.9.9.9");
  r.w.advance(1s);
  r.tell_address(1);
  const auto fetches = r.w.run(r.pool.async_get(1, net::channel::fetch));
  REQUIRE(fetches);
  CHECK(r.is_to(r.connection(1s), 1));
  CHECK((*fetches)->is_open());
}

}  // namespace
}  // namespace coordinator_driver_tests
