#include "catch.hpp"

#include <asio/experimental/awaitable_operators.hpp>
#include <asio/strand.hpp>

#include "simulation/reader.hpp"

// How whole consumers are read: batches of all partitions, pauses, seeks, handlers elsewhere; in virtual time.

namespace {

using namespace std::chrono_literals;
using kawait::errc;
using kawait::kafka_error;
using simulated::codes;
using simulated::kafka;
using simulated::range;

// ---- Batches of all partitions.

TEST_CASE("async_next takes one batch of each partition in turn", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 3);
  for (int p = 0; p < 3; ++p) {
    for (int i = 0; i < 20; ++i) k.append_numbers(p, 10);
  }
  k.assign(0, {0, 1, 2});
  auto c = simulated::member_config();
  c.max_partition_fetch_bytes(300);  // a record batch a response
  simulated::reader m(w, c);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return m.total() == 600; }));
  for (int p = 0; p < 3; ++p) CHECK(m.seen[p] == range(0, 200));
  REQUIRE(m.order.size() == 60);
  std::map<int, int> taken;
  for (const auto p : m.order) {
    ++taken[p];
    const auto [least, most] = std::minmax({taken[0], taken[1], taken[2]});
    CHECK(most - least <= 2);
  }
  m.close();
  REQUIRE(w.run_until([&] { return m.closed && m.ended; }));
  CHECK(k.committed == simulated::committed_map{{0, 200}, {1, 200}, {2, 200}});
  CHECK(m.errors == codes{errc::closed});
}

TEST_CASE("async_next tells a partition's failure once, and the others go on", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 2);
  k.corrupt_next = true;
  k.append_numbers(0, 10);
  k.append_numbers(0, 10);
  k.assign(0, {0, 1});
  simulated::reader m(w);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return m.errors.size() == 1; }));
  CHECK(m.errors == codes{errc::crc_mismatch});
  m.read_all();
  k.append_numbers(1, 10);
  REQUIRE(w.run_until([&] { return m.total() == 10; }));
  w.advance(1min);
  CHECK(m.errors.size() == 1);
  for (const auto& p : m.consumer.assignment()) {
    if (p.index() == 0) p.seek(10);
  }
  REQUIRE(w.run_until([&] { return m.total() == 20; }));
  CHECK(m.seen[0] == range(10, 20));
}

TEST_CASE("one mode of reading a consumer", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.assign(0, {0});
  simulated::reader m(w);
  codes ends;
  const auto note = [&](std::error_code ec, auto&&...) { ends.push_back(ec); };
  const bool events_first = GENERATE(true, false);
  if (events_first) {
    m.consumer.async_next_event(note);
    m.consumer.async_next(note);
  } else {
    m.consumer.async_next(note);
    m.consumer.async_next_event(note);
  }
  w.poll();
  CHECK(ends == codes{errc::mixed_modes});
  m.handle([](kawait::partition) -> asio::awaitable<void> { co_return; });
  w.poll();
  REQUIRE(m.thrown);
  CHECK_THROWS_AS(std::rethrow_exception(m.thrown), kawait::error);
  CHECK(ends.size() == 1);
}

// ---- Pause and seek.

TEST_CASE("a paused partition gives nothing, its neighbour flows, and nothing is lost", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 2);
  k.append_numbers(0, 10);
  k.assign(0, {0, 1});
  simulated::reader m(w);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return m.total() == 10; }));
  std::map<int, kawait::partition> parts;
  for (const auto& p : m.consumer.assignment()) parts[p.index()] = p;
  parts[0].pause();
  CHECK(parts[0].is_paused());
  for (int i = 0; i < 10; ++i) {
    k.append_numbers(0, 5);
    k.append_numbers(1, 5);
    w.advance(2s);
  }
  CHECK(m.seen[0].size() == 10);
  CHECK(m.seen[1] == range(0, 50));
  parts[0].resume();
  REQUIRE(w.run_until([&] { return m.seen[0].size() == 60; }, 1s));
  CHECK(m.seen[0] == range(0, 60));
}

TEST_CASE("a seek before the first read needs no committed offset", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.append_numbers(0, 10);
  k.committed[0] = 3;
  k.assign(0, {0});
  simulated::reader m(w);
  m.handle([&](kawait::partition p) -> asio::awaitable<void> {
    CHECK(!p.position());
    p.seek(15);
    CHECK(p.position() == 15);
    while (auto b = co_await p.async_next()) {
      for (const auto& r : *b) m.seen[0].push_back(r.offset());
      b->done();
    }
  });
  REQUIRE(w.run_until([&] { return m.total() == 5; }));
  CHECK(m.seen[0] == range(15, 20));
  CHECK(k.offset_fetches == 0);
  CHECK(k.offset_lists == 0);
  REQUIRE(w.run_until([&] { return k.committed[0] == 20; }));
}

TEST_CASE("auto.offset.reset none: no offset is an error until a seek", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  auto c = simulated::member_config();
  c.auto_offset_reset(kawait::offset_reset::none);
  simulated::reader m(w, c);
  std::vector<std::string> words;
  m.handle([&](kawait::partition p) -> asio::awaitable<void> {
    for (;;) {
      bool bad = false;
      try {
        auto b = co_await p.async_next();
        if (!b) co_return;
        for (const auto& r : *b) m.seen[0].push_back(r.offset());
        b->done();
      } catch (const kawait::error& e) {
        m.errors.push_back(e.code());
        words.push_back(e.words());
        bad = true;
      }
      if (bad && m.errors.size() == 3) p.seek(4);
    }
  });
  REQUIRE(w.run_until([&] { return m.total() == 6; }));
  CHECK(m.errors == codes(3, errc::no_offset));
  CHECK(words[0].find("orders-0") != std::string::npos);
  CHECK(k.offset_lists == 0);
}

TEST_CASE("waiting loses races against a timer without losing a record", "[reading]") {
  using namespace asio::experimental::awaitable_operators;
  kawait::testing::world w;
  kafka k(w, 1);
  k.assign(0, {0});
  simulated::reader m(w);
  int timeouts = 0, wins = 0;
  m.handle([&](kawait::partition p) -> asio::awaitable<void> {
    while (p.end_reason() == kawait::end_reason::none) {
      auto data = p.async_wait();
      auto pause = kawait::sleep_for(300ms);
      const auto first = co_await (std::move(data) || std::move(pause));
      ++(first.index() == 0 ? wins : timeouts);
      while (auto b = p.try_next()) {
        for (const auto& r : *b) m.seen[0].push_back(r.offset());
        b->done();
      }
    }
  });
  for (int i = 0; i < 40; ++i) {
    k.append_numbers(0, 5);
    w.advance(std::chrono::milliseconds(100 + 37 * (i % 11)));
  }
  m.close();
  REQUIRE(w.run_until([&] { return m.closed && m.ended; }));
  CHECK(!m.thrown);
  CHECK(m.seen[0] == range(0, 200));
  CHECK(timeouts > 5);
  CHECK(wins > 5);
  CHECK(k.committed[0] == 200);
}

// ---- The rest.

TEST_CASE("assigning a topic that does not exist times out with its name", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  kawait::config c("10.0.0.1:9092");
  kawait::consumer consumer(w.executor(), c);
  consumer.assign({kawait::topic_partition("orders", 0), kawait::topic_partition("absent", 2)});
  std::optional<std::error_code> ended;
  kawait::diagnostics words;
  const auto began = w.now();
  consumer.async_run(words, [&](std::error_code ec) { ended = ec; });
  REQUIRE(w.run_until([&] { return ended.has_value(); }));
  CHECK(*ended == kafka_error::unknown_topic_or_partition);
  CHECK(words.text().find("absent-2") != std::string::npos);
  CHECK(w.now() - began >= 60s);
  CHECK(w.now() - began <= 65s);
}

TEST_CASE("handlers may run on another executor", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 2);
  k.append_numbers(0, 10);
  k.append_numbers(1, 10);
  k.assign(0, {0, 1});
  simulated::reader m(w);
  auto strand = asio::make_strand(w.context());
  int elsewhere = 0, ended = 0;
  bool cancelled = false;
  m.handle(
      [&](kawait::partition p) -> asio::awaitable<void> {
        while (auto b = co_await p.async_next()) {
          elsewhere += strand.running_in_this_thread() ? 0 : 1;
          for (const auto& r : *b) m.seen[p.index()].push_back(r.offset());
          try {
            co_await kawait::sleep_for(p.index() == 1 && m.seen[1].size() > 10 ? 1h : 1s);
          } catch (const std::system_error&) {
            cancelled = true;
            throw;
          }
          elsewhere += strand.running_in_this_thread() ? 0 : 1;
          b->done();
        }
        ++ended;
      },
      kawait::on(strand));
  REQUIRE(w.run_until([&] { return m.total() == 20; }));
  k.assign(0, {1});
  REQUIRE(w.run_until([&] { return ended == 1; }));
  REQUIRE(w.run_until([&] { return k.committed[0] == 10; }));
  k.append_numbers(1, 10);
  REQUIRE(w.run_until([&] { return m.seen[1].size() == 20; }));
  k.heartbeat_errors.push_back(kafka_error::unknown_member_id);
  REQUIRE(w.run_until([&] { return cancelled; }));
  m.close();
  REQUIRE(w.run_until([&] { return m.closed && m.ended; }));
  CHECK(!m.thrown);
  CHECK(elsewhere == 0);
}

TEST_CASE("slow partitions stop only themselves, within the budget", "[reading]") {
  constexpr int partitions = 100;
  constexpr std::size_t budget = 4 << 20, response = budget / 8;
  kawait::testing::world w;
  kafka k(w, partitions);
  const std::vector<std::string> values(4, std::string(1000, 'x'));
  std::set<std::int32_t> all;
  for (int p = 0; p < partitions; ++p) {
    all.insert(p);
    for (int i = 0; i < 30; ++i) k.append(p, values);  // 120 kB each, 12 MB in all
  }
  k.assign(0, all);
  auto c = simulated::member_config();
  c.fetch_buffer_bytes(budget);
  simulated::reader m(w, c);
  m.handle([&](kawait::partition p) -> asio::awaitable<void> {
    std::vector<kawait::batch> held;
    while (auto b = co_await p.async_next()) {
      for (const auto& r : *b) m.seen[p.index()].push_back(r.offset());
      if (p.index() != 99) {
        held.push_back(std::move(*b));
        co_await kawait::sleep_for(1000h);
      } else {
        b->done();
      }
    }
  });
  REQUIRE(w.run_until([&] { return m.seen.size() == partitions && m.seen[99].size() == 120; }));
  const auto began = w.now();
  for (int i = 0; i < 200; ++i) {
    k.append(99, values);
    REQUIRE(w.run_until([&] { return m.seen[99].size() == 120 + 4 * static_cast<std::size_t>(i + 1); }, 10s));
  }
  CHECK(w.now() - began <= 1s);
  CHECK(m.seen[99] == range(0, 920));
  const auto& pool = m.consumer.engine()->buffers();
  CHECK(pool.peak() <= budget + response + response / 4);
  CHECK(pool.peak() >= budget / 4);  // the test is about something
}

}  // namespace
