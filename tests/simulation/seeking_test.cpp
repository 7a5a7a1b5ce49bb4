// Seeks to places that are looked up, and resets; what latest means for partitions that are added.

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using kawait::topic_partition;
using std::chrono::system_clock;

system_clock::time_point time_at(std::int64_t ms) { return system_clock::time_point(std::chrono::milliseconds(ms)); }

/// Ten records at 1000, 2000, ... ms.
void fill_by_time(testing::broker& b) {
  b.create_topic("orders", 1);
  for (int i = 1; i <= 10; ++i) b.append("orders", 0, {producer_record(std::nullopt, std::to_string(i), i * 1000)});
  b.log("orders", 0).delete_records(2);
}

struct single {
  single(testing::world& world, const testing::broker& b, kawait::config c = plain())
      : w(world), consumer(w.executor(), c.bootstrap_servers(b.bootstrap())) {
    consumer.assign({topic_partition("orders", 0)});
    consumer.async_run([](std::error_code) {});
    REQUIRE(w.run_until([&] { return !consumer.assignment().empty(); }, 10s));
    p = consumer.assignment().front();
  }
  /// The offset of the next record.
  std::int64_t first(net::duration limit = 5s) {
    auto batch = w.run(p.async_next(), limit);
    REQUIRE(batch);
    const std::int64_t offset = batch->begin()->offset();
    batch->done();
    return offset;
  }

  testing::world& w;
  kawait::consumer consumer;
  kawait::partition p;
};

TEST_CASE("seeking: the beginning, the end, and times; before the first read and behind it", "[seeking]") {
  testing::world w;
  testing::broker b(w);
  fill_by_time(b);
  single s(w, b);
  if (GENERATE(true, false)) CHECK(s.first() == 2);
  struct {
    std::int64_t ms, offset;
  } const rows[] = {{-5, 2}, {0, 2}, {1000, 2}, {3001, 3}, {4000, 3}, {10'000, 9}};
  for (const auto& row : rows) {
    CAPTURE(row.ms);
    s.p.seek_to(time_at(row.ms));
    CHECK(!s.p.position());
    CHECK(s.first() == row.offset);
  }
  s.p.seek_to_beginning();
  CHECK(s.first() == 2);
  for (const bool by_time : {true, false}) {
    if (by_time) s.p.seek_to(time_at(10'001));
    if (!by_time) s.p.seek_to_end();
    std::optional<std::int64_t> got;
    s.p.async_next([&](std::error_code, std::optional<kawait::batch> n) {
      got = n->begin()->offset();
      n->done();
    });
    w.advance(3s);
    CHECK(!got);
    const std::int64_t end = b.end_offset("orders", 0);
    CHECK(s.p.position() == end);
    b.append("orders", 0, {producer_record(std::nullopt, "late", 5000)});
    w.advance(3s);
    CHECK(got == end);
  }
}

// Who reads all partitions hears of their failures one by one, and may begin again with all of them at the first.
TEST_CASE("seeking: what does not decode is where the position is, as soon as its batch is released", "[seeking]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  testing::batch_writer damaged(0);
  const std::vector<std::byte> garbage(7);
  damaged.add_garbage(garbage).add("key", "b");
  b.log("orders", 0).append_raw(damaged.build());
  single s(w, b);
  auto batch = w.run(s.p.async_next());
  REQUIRE(batch);
  const std::int64_t behind = batch->next_offset();
  CHECK(behind > 0);
  CHECK_THROWS_AS(batch->begin(), kawait::error);
  CHECK(s.p.position() == behind);
  batch.reset();
  CHECK(s.p.position() == 0);
}

TEST_CASE("seeking: needs no committed offset, and no reset policy", "[seeking]") {
  testing::world w;
  testing::broker b(w);
  fill_by_time(b);
  kawait::config c;
  c.auto_offset_reset(offset_reset::none).group_id("g");
  single s(w, b, c);
  const std::size_t before = b.count(api_key::offset_fetch);
  s.p.seek_to(time_at(4000));
  CHECK(s.first() == 3);
  CHECK(b.count(api_key::offset_fetch) == before);
}

TEST_CASE("seeking: during a fetch, during a reset, and twice in a row, only the last counts", "[seeking]") {
  testing::world w;
  testing::broker b(w);
  fill_by_time(b);
  const std::string when = GENERATE("parked", "fetching", "resetting", "looking up");
  CAPTURE(when);
  single s(w, b);
  std::vector<std::int64_t> seen;
  std::function<void()> read = [&] {
    s.p.async_next([&](std::error_code ec, std::optional<kawait::batch> n) {
      if (ec || !n) return;
      for (const auto& r : *n) seen.push_back(r.offset());
      n->done();
      n.reset();
      read();
    });
  };
  const auto slow = [&](api_key api) {
    b.set_faults([api](const testing::request_view& r) { return r.api == api ? fault::answered_late(700ms) : fault(); });
  };
  if (when == "parked") {
    read();
    w.advance(2s);
    CHECK(seen == range(2, 10));
    seen.clear();
  } else if (when == "fetching") {
    slow(api_key::fetch);
    read();
    w.advance(300ms);
  } else if (when == "resetting") {
    slow(api_key::list_offsets);
    read();
    w.advance(300ms);
  } else {
    slow(api_key::list_offsets);
    read();
    s.p.seek_to_beginning();
    w.advance(300ms);
  }
  CHECK(seen.empty());
  std::vector<std::int64_t> expected;
  SECTION("a time") {
    s.p.seek_to(time_at(8000));
    expected = range(7, 10);
  }
  SECTION("the end, then a time") {
    s.p.seek_to_end();
    s.p.seek_to(time_at(9000));
    expected = range(8, 10);
  }
  SECTION("a time, then an offset") {
    s.p.seek_to(time_at(3000));
    s.p.seek(6);
    expected = range(6, 10);
  }
  SECTION("an offset, then the end") {
    s.p.seek(6);
    s.p.seek_to_end();
  }
  SECTION("the same time twice, with a pause in between") {
    s.p.seek_to(time_at(5000));
    w.advance(200ms);
    seen.clear();
    s.p.seek_to(time_at(5000));
    expected = range(4, 10);
  }
  w.advance(10s);
  CHECK(seen == expected);
  CHECK(s.p.position() == 10);
}

TEST_CASE("seeking: not while a partition is revoked", "[seeking]") {
  testing::world w;
  testing::broker b(w);
  fill_by_time(b);
  single s(w, b);
  auto held = w.run(s.p.async_next());
  REQUIRE(held);
  s.consumer.async_close([](std::error_code) {});
  w.poll();
  const auto code_of = [](auto f) {
    try {
      f();
    } catch (const kawait::error& e) {
      return e.code();
    }
    return std::error_code();
  };
  CHECK(code_of([&] { s.p.seek_to_beginning(); }) == kawait::errc::not_assigned);
  CHECK(code_of([&] { s.p.seek_to_end(); }) == kawait::errc::not_assigned);
  CHECK(code_of([&] { s.p.seek_to(time_at(5)); }) == kawait::errc::not_assigned);
}

TEST_CASE("seeking: what was in hand before is not committed over it", "[seeking]") {
  testing::world w;
  testing::broker b(w);
  fill_by_time(b);
  single s(w, b, plain().group_id("g").auto_commit(false));
  auto held = w.run(s.p.async_next());
  REQUIRE(held);
  s.p.seek_to_beginning();
  held->done();
  held.reset();
  CHECK(w.run(s.p.async_commit()).empty());
  CHECK(s.first() == 2);
  w.run(s.p.async_commit());
  CHECK(b.committed("g", "orders", 0) > 2);
}

// ---- Resets.

TEST_CASE("seeking: by_duration starts with what is no older", "[seeking]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  for (int i = 0; i < 5; ++i) {
    b.append("orders", 0, numbers(1));
    w.advance(1h);
  }
  struct {
    std::chrono::minutes back;
    std::int64_t offset;
  } const rows[] = {{30min, 5}, {90min, 4}, {150min, 3}, {100h, 0}};
  for (const auto& row : rows) {
    CAPTURE(row.back.count());
    for (const bool typed : {true, false}) {
      kawait::config c;
      if (typed) c.auto_offset_reset(kawait::by_duration(row.back));
      if (!typed) c.set("auto.offset.reset", "by_duration:PT" + std::to_string(row.back.count()) + "M");
      single s(w, b, c);
      CHECK(!s.p.try_next());
      REQUIRE(w.run_until([&] { return s.p.position().has_value(); }, 5s));
      CHECK(s.p.position() == row.offset);
    }
  }
}

/// What a member reads of a partition that is added while it runs, with three records written before it can know.
std::vector<std::int64_t> read_of_added(kawait::config (*how)(kawait::config)) {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  auto c = member_of(b);
  c.metadata_max_age(10s);
  kawait::consumer consumer(w.executor(), how(c));
  consumer.subscribe("orders");
  std::vector<std::int64_t> seen;
  const auto handler = [&](kawait::partition p) -> asio::awaitable<void> {
    while (auto batch = co_await p.async_next()) {
      for (const auto& r : *batch) {
        if (p.index() == 1) seen.push_back(r.offset());
      }
      batch->done();
    }
  };
  w.spawn(kawait::for_each_partition(consumer, handler));
  w.advance(10s);
  CHECK(consumer.assignment().size() == 1);
  b.grow_topic("orders", 2);
  b.append("orders", 1, numbers(3));
  REQUIRE(w.run_until([&] { return consumer.assignment().size() == 2; }, 1min));
  w.advance(5s);
  b.append("orders", 1, numbers(2));
  w.advance(5s);
  return seen;
}

TEST_CASE("seeking: latest skips what was written to an added partition before it was read, as Java's consumer does", "[seeking]") {
  using config = kawait::config;
  CHECK(read_of_added([](config c) { return c.auto_offset_reset(offset_reset::latest); }) == range(3, 5));
  CHECK(read_of_added([](config c) { return c.auto_offset_reset(offset_reset::earliest); }) == range(0, 5));
  CHECK(read_of_added([](config c) { return c.auto_offset_reset(kawait::by_duration(10min)); }) == range(0, 5));
}

}  // namespace
}  // namespace embedded
