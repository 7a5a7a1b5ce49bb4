#include "catch.hpp"

#include "simulation/reader.hpp"

// How whole consumers end, in virtual time.

namespace {

using namespace std::chrono_literals;
using kawait::errc;
using kawait::kafka_error;
using simulated::kafka;

TEST_CASE("a consumer that is being closed cannot be subscribed again", "[closing]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 5);
  k.assign(0, {0});
  simulated::reader m(w);
  m.handle([](kawait::partition p) -> asio::awaitable<void> {
    while (auto batch = co_await p.async_next()) batch->done();
    co_await kawait::sleep_for(5s);
  });
  w.advance(10s);
  m.close();
  w.advance(1s);
  REQUIRE(!m.closed);
  const auto code_of_subscribe = [&] {
    try {
      m.consumer.subscribe("orders");
    } catch (const kawait::error& e) {
      return e.code();
    }
    return std::error_code();
  };
  CHECK(code_of_subscribe() == errc::closed);
  REQUIRE(w.run_until([&] { return m.closed && m.ended; }));
  CHECK(!*m.closed);
  CHECK(k.heartbeats.back().epoch == -1);
  CHECK(code_of_subscribe() == errc::closed);
}

TEST_CASE("a handler that closes the consumer before the others have begun", "[closing]") {
  kawait::testing::world w;
  kafka k(w, 3);
  kawait::config c("10.0.0.1:9092");
  c.auto_offset_reset(kawait::offset_reset::earliest);
  kawait::consumer consumer(w.executor(), c);
  consumer.assign({kawait::topic_partition("orders", 0), kawait::topic_partition("orders", 1), kawait::topic_partition("orders", 2)});
  int begun = 0;
  bool ended = false;
  std::exception_ptr thrown;
  auto handler = [&](kawait::partition p) -> asio::awaitable<void> {
    ++begun;
    consumer.async_close(kawait::close_options(), [](std::error_code) {});
    while (auto batch = co_await p.async_next()) batch->done();
  };
  asio::co_spawn(w.executor(), kawait::for_each_partition(consumer, handler), [&](std::exception_ptr e) {
    ended = true;
    thrown = e;
  });
  REQUIRE(w.run_until([&] { return ended; }, 1min));
  CHECK(!thrown);
  CHECK(begun >= 1);
  CHECK(begun < 3);
}

TEST_CASE("a leader that sends its readers to a node that nobody knows is not asked again without pause", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.is_rack_aware = true;
  k.append_numbers(0, 10);
  k.assign(0, {0});
  auto c = simulated::member_config();
  c.client_rack("r1");
  simulated::reader m(w, c);
  m.run();
  m.read_all();
  w.advance(10s);
  CHECK(m.total() == 0);
  CHECK(k.fetches < 200);
  CHECK(m.consumer.last_warning().code == kafka_error::replica_not_available);
  CHECK(m.consumer.last_warning().words.find("node 2, which is not known") != std::string::npos);
  k.is_rack_aware = false;
  CHECK(w.run_until([&] { return m.total() == 10; }, 5s));
}

TEST_CASE("done work is committed when a revocation begins, whoever has yet to claim it", "[events]") {
  kawait::testing::world w;
  kafka k(w, 2);
  k.append_numbers(1, 5);
  k.assign(0, {0, 1});
  auto c = simulated::member_config();
  c.auto_commit_interval(1h);
  simulated::reader m(w, c);
  m.run();
  std::vector<kawait::partition> owned;
  std::optional<kawait::revocation> revoked;
  const std::function<void()> follow = [&] {
    m.consumer.async_next_event([&](std::error_code ec, kawait::event e) {
      if (ec) return;
      if (e.what == kawait::event::kind::assigned) owned.insert(owned.end(), e.partitions.begin(), e.partitions.end());
      if (e.what == kawait::event::kind::revoked) revoked = e.revocation;
      follow();
    });
  };
  follow();
  REQUIRE(w.run_until([&] { return owned.size() == 2; }));
  for (const auto& p : owned) {
    if (p.name().partition != 1) continue;
    auto batch = w.run(p.async_next());
    REQUIRE(batch);
    batch->done();
  }
  CHECK(k.commits.empty());
  k.assign(0, {0});
  REQUIRE(w.run_until([&] { return revoked.has_value(); }));
  w.poll();
  CHECK(k.committed[1] == 5);
  CHECK(m.consumer.assignment().size() == 1);
}

}  // namespace
