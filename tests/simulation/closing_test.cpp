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

/// Of two partitions the second is done, but not committed; then it is revoked, and nobody has claimed that yet.
struct done_and_revoked {
  explicit done_and_revoked(std::chrono::milliseconds commit_takes = 0ms) : k(w, 2), m(w, by_hand()) {
    k.append_numbers(1, 5);
    k.assign(0, {0, 1});
    k.commit_delay = commit_takes;
    m.run();
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
  }
  static kawait::config by_hand() {
    auto c = simulated::member_config();
    c.auto_commit_interval(1h);
    return c;
  }
  void follow() {
    m.consumer.async_next_event([this](std::error_code ec, kawait::event e) {
      if (ec) return;
      if (e.what == kawait::event::kind::assigned) owned.insert(owned.end(), e.partitions.begin(), e.partitions.end());
      if (e.what == kawait::event::kind::revoked) revoked = e.revocation;
      follow();
    });
  }

  kawait::testing::world w;
  kafka k;
  simulated::reader m;
  std::vector<kawait::partition> owned;
  std::optional<kawait::revocation> revoked;
};

TEST_CASE("done work is committed when a revocation begins, whoever has yet to claim it", "[events]") {
  done_and_revoked r;
  CHECK(r.k.committed[1] == 5);
  CHECK(r.m.consumer.assignment().size() == 1);
}

// Nothing is in hand any more, so that whoever waits for the revocation is woken before the drain, which waits for the commit.
TEST_CASE("a revocation whose commit is unanswered ends with what ended the consumer", "[closing]") {
  done_and_revoked r(1h);
  std::optional<std::error_code> ended;
  r.m.consumer.async_incremental_unassign(*r.revoked, [&](std::error_code ec) { ended = ec; });
  r.w.advance(1s);
  REQUIRE(!ended);
  std::error_code expected = asio::error::operation_aborted;
  SECTION("its destruction") { auto gone = std::move(r.m.consumer); }
  SECTION("an error") {
    r.k.heartbeat_errors.push_back(kafka_error::group_authorization_failed);
    expected = kafka_error::group_authorization_failed;
  }
  REQUIRE(r.w.run_until([&] { return ended.has_value(); }));
  CHECK(*ended == expected);
}

TEST_CASE("closed after its run was cancelled, there is nothing left to fail", "[closing]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.assign(0, {0});
  kawait::consumer consumer(w.executor(), simulated::member_config());
  consumer.subscribe("orders");
  asio::cancellation_signal enough;
  std::optional<std::error_code> ran, closed;
  consumer.async_run(asio::bind_cancellation_slot(enough.slot(), [&](std::error_code ec) { ran = ec; }));
  w.advance(5s);
  REQUIRE(!ran);
  enough.emit(asio::cancellation_type::total);
  REQUIRE(w.run_until([&] { return ran.has_value(); }));
  CHECK(*ran == asio::error::operation_aborted);
  consumer.async_close(kawait::close_options(), [&](std::error_code ec) { closed = ec; });
  REQUIRE(w.run_until([&] { return closed.has_value(); }));
  CHECK(!*closed);
}

}  // namespace
