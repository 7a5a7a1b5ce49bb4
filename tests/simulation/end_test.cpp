// Reading to the end and stopping there.

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using kawait::topic_partition;

/// A consumer of all partitions of "orders", without a group, and its partitions.
struct to_the_end {
  to_the_end(testing::world& world, const testing::broker& b, std::int32_t partitions, kawait::config c = plain())
      : w(world), consumer(w.executor(), c.bootstrap_servers(b.bootstrap())) {
    std::vector<topic_partition> all;
    for (std::int32_t p = 0; p < partitions; ++p) all.emplace_back("orders", p);
    consumer.assign(all);
    consumer.async_run([](std::error_code) {});
    REQUIRE(w.run_until([&] { return consumer.assignment().size() == all.size(); }, 10s));
  }
  kawait::partition at(std::size_t number) const { return consumer.assignment().at(number); }
  static asio::awaitable<void> read(kawait::partition p, std::vector<std::int64_t>& seen) {
    while (auto batch = co_await p.async_next_or_end()) {
      for (const auto& r : *batch) seen.push_back(r.offset());
      batch->done();
    }
  }
  /// All that is there; it fails if it does not end in time.
  std::vector<std::int64_t> read(std::size_t number, net::duration limit = 2s) {
    std::vector<std::int64_t> seen;
    w.run(read(at(number), seen), limit);
    CHECK(at(number).at_end());
    CHECK(at(number).end_reason() == kawait::end_reason::none);
    return seen;
  }

  testing::world& w;
  kawait::consumer consumer;
};

TEST_CASE("end: of a log, of what was added, and again", "[end]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  for (int i = 0; i < 5; ++i) b.append("orders", 0, numbers(10));
  to_the_end r(w, b, 2);
  CHECK(!r.at(0).at_end());
  CHECK(r.read(0) == range(0, 50));
  CHECK(r.read(0).empty());
  CHECK(r.read(1).empty());  // nothing was ever there
  b.append("orders", 0, numbers(3));
  REQUIRE(w.run_until([&] { return !r.at(0).at_end(); }, 1s));
  CHECK(r.read(0) == range(50, 53));
  // Who waits for records, not for the end, is not woken by it.
  bool told = false;
  r.at(0).async_next([&](std::error_code, const auto&) { told = true; });
  w.advance(5s);
  CHECK(!told);
}

TEST_CASE("end: a log that starts and ends above zero, and one whose last records compaction removed", "[end]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  b.append("orders", 0, numbers(10));
  b.log("orders", 0).delete_records(10);
  b.append("orders", 1, numbers(10));
  b.append("orders", 1, numbers(10));
  b.append("orders", 1, numbers(10));
  b.log("orders", 1).compact([](std::int64_t offset) { return offset < 10; });
  to_the_end r(w, b, 2);
  CHECK(r.read(0).empty());
  CHECK(r.at(0).position() == 10);
  CHECK(r.read(1) == range(0, 10));
}

/// A log whose last offsets no batch covers: what a broker answers when their segments are empty.
void lose_tail(testing::broker& b, std::int32_t partition) {
  b.append("orders", partition, numbers(10));
  b.append("orders", partition, numbers(10));
  auto& log = b.log("orders", partition);
  log.drop_tail(10);
  CHECK(log.end_offset() == 20);
}

TEST_CASE("end: of a log whose last offsets are in no batch at all", "[end]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 3);
  lose_tail(b, 0);
  lose_tail(b, 2);
  to_the_end r(w, b, 3);
  SECTION("a quiet neighbour") {
    CHECK(r.read(0) == range(0, 10));
    CHECK(r.at(0).position() == 10);
    CHECK(r.read(0).empty());
  }
  SECTION("a neighbour in every answer") {
    b.append("orders", 1, numbers(1));
    bool stop = false;
    std::size_t others = 0;
    const auto busy = [&]() -> asio::awaitable<void> {
      const kawait::partition p = r.at(1);
      while (!stop) {
        auto batch = co_await p.async_next();
        if (!batch) co_return;
        ++others;
        batch->done();
        co_await kawait::sleep_for(1ms);
        b.append("orders", 1, numbers(1));
      }
    };
    asio::co_spawn(w.executor(), busy(), asio::detached);
    std::vector<std::int64_t> beside;
    bool is_beside_over = false;
    asio::co_spawn(w.executor(), to_the_end::read(r.at(2), beside), [&](std::exception_ptr) { is_beside_over = true; });
    CHECK(r.read(0) == range(0, 10));
    CHECK(others > 3);
    REQUIRE(w.run_until([&] { return is_beside_over; }, 2s));
    CHECK(beside == range(0, 10));
    stop = true;
  }
}

TEST_CASE("end: under read_committed", "[end]") {
  using testing::append_options;
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  b.append("orders", 0, numbers(10), append_options::in_transaction(1));
  b.end_transaction("orders", 0, 1, false);
  b.append("orders", 1, numbers(2));
  b.append("orders", 1, numbers(3), append_options::in_transaction(2));
  b.append("orders", 1, numbers(4));
  kawait::config c = plain();
  c.isolation(kawait::isolation_level::read_committed);
  to_the_end r(w, b, 2, c);
  CHECK(r.read(0).empty());  // all of it is aborted
  CHECK(r.at(0).position() == 11);
  CHECK(r.read(1) == range(0, 2));  // up to what is not decided
  CHECK(r.at(1).lag() == 0);
  b.end_transaction("orders", 1, 2, true);
  REQUIRE(w.run_until([&] { return !r.at(1).at_end(); }, 1s));
  CHECK(r.read(1) == range(2, 9));
}

TEST_CASE("end: after seeks, also to where a fetch is parked", "[end]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  b.append("orders", 0, numbers(10));
  to_the_end r(w, b, 2);
  CHECK(r.read(0) == range(0, 10));
  w.advance(2s);
  for (const std::int64_t to : {10, 3, 10, 10, 0}) {
    CAPTURE(to);
    r.at(0).seek(to);
    CHECK(!r.at(0).at_end());
    CHECK(r.read(0) == range(to, 10));
  }
  r.at(0).seek_to_end();
  CHECK(r.read(0).empty());
  r.at(0).seek_to_beginning();
  CHECK(r.read(0) == range(0, 10));
  r.at(0).seek(1000);  // out of range: earliest
  CHECK(r.read(0) == range(0, 10));
  r.at(0).pause();
  CHECK(!r.at(0).at_end());
  b.append("orders", 0, numbers(2));
  w.advance(2s);
  r.at(0).resume();
  CHECK(r.read(0) == range(10, 12));
  r.at(0).pause();
  r.at(0).resume();
  CHECK(r.read(0).empty());
}

TEST_CASE("end: a reader who waits for it is told of the stream's end, errors, and of cancelling", "[end]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  to_the_end r(w, b, 1);
  const auto p = r.at(0);
  p.pause();
  std::map<std::string, std::pair<std::error_code, bool>> ends;
  const auto note = [&](std::string name) {
    return [&ends, name](std::error_code ec, std::optional<kawait::batch> next) { ends[name] = {ec, next.has_value()}; };
  };
  asio::cancellation_signal stop;
  p.async_next_or_end(asio::bind_cancellation_slot(stop.slot(), note("cancelled")));
  kawait::diagnostics words;
  w.advance(2s);
  CHECK(ends.empty());  // paused
  p.async_next_or_end(words, note("second"));
  w.poll();
  CHECK(ends["second"].first == kawait::errc::already_running);
  stop.emit(asio::cancellation_type::total);
  w.poll();
  CHECK(ends["cancelled"].first == asio::error::operation_aborted);
  p.async_next_or_end(note("closed"));
  r.consumer.async_close([](std::error_code) {});
  w.advance(1s);
  CHECK(ends.at("closed") == std::pair<std::error_code, bool>());
  CHECK(!p.at_end());
  CHECK(p.end_reason() == kawait::end_reason::closed);
}

TEST_CASE("end: several partitions of a group's member, all read to their ends", "[end]") {
  testing::world w;
  testing::broker b(w, nodes(3));
  b.create_topic("orders", 6);
  for (std::int32_t p = 0; p < 5; ++p) b.append("orders", p, numbers(100 * p));
  kawait::consumer consumer(w.executor(), member_of(b));
  consumer.subscribe("orders");
  std::size_t ended = 0, records = 0;
  const auto handler = [&](kawait::partition p) -> asio::awaitable<void> {
    while (auto batch = co_await p.async_next_or_end()) {
      for (const auto& r : *batch) records += r.offset() >= 0 ? 1 : 0;
      batch->done();
    }
    if (p.at_end()) ++ended;
    co_await p.async_wait_end();
  };
  bool over = false;
  asio::co_spawn(w.executor(), kawait::for_each_partition(consumer, handler), [&](std::exception_ptr e) { over = !e; });
  REQUIRE(w.run_until([&] { return ended == 6; }, 20s));
  CHECK(records == 1000);
  w.run(consumer.async_close());
  w.advance(1s);
  CHECK(over);
  CHECK(b.committed("g", "orders", 4) == 400);
}

}  // namespace
}  // namespace embedded
