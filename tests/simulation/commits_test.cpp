#include "catch.hpp"

#include "simulation/reader.hpp"

// What whole consumers commit, in virtual time.

namespace {

using namespace std::chrono_literals;
using kawait::errc;
using kawait::kafka_error;
using simulated::codes;
using simulated::kafka;
using simulated::range;
using simulated::committed_map;

TEST_CASE("in manual mode nothing is committed by itself, and done() is not required", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 2);
  k.append_numbers(0, 10);
  k.append_numbers(1, 10);
  k.assign(0, {0, 1});
  const bool done = GENERATE(true, false);
  auto c = simulated::member_config();
  c.auto_commit(false);
  simulated::reader m(w, c);
  m.run();
  m.read_all(done);
  REQUIRE(w.run_until([&] { return m.total() == 20; }));
  w.advance(1min);
  k.append_numbers(0, 10);
  REQUIRE(w.run_until([&] { return m.total() == 30; }));
  k.assign(0, {0});
  w.advance(20s);
  CHECK(k.heartbeats.back().epoch > 0);
  CHECK(m.consumer.assignment().size() == 1);
  m.close();
  REQUIRE(w.run_until([&] { return m.closed && m.ended; }));
  CHECK(!*m.closed);
  CHECK(k.commits.empty());
  CHECK(m.errors == codes{errc::closed});
}

TEST_CASE("in manual mode async_commit commits what is done", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  auto c = simulated::member_config();
  c.auto_commit(false);
  simulated::reader m(w, c);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return m.total() == 10; }));
  const auto result = w.run(m.consumer.async_commit());
  REQUIRE(result.size() == 1);
  CHECK(result[0].offset == 10);
  CHECK(!result[0].code);
  CHECK(k.committed == committed_map{{0, 10}});
  CHECK(w.run(m.consumer.async_commit()).empty());  // nothing new
}

TEST_CASE("in manual mode a batch that is dropped holds commits up, which the next commit tells, once", "[reading]") {
  struct listener : kawait::observer {
    void on_warned(const warned& w) override { warnings.push_back(w.reason); }
    std::vector<kawait::failure> warnings;
  };
  const auto seen = std::make_shared<listener>();
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  auto c = simulated::member_config();
  c.auto_commit(false).add_observer(seen);
  simulated::reader m(w, c);
  m.run();
  const auto read = [&](bool done) {
    kawait::batch b = w.run(m.consumer.async_next());
    if (done) b.done();
    return b.next_offset();
  };
  CHECK(read(true) == 10);
  CHECK(w.run(m.consumer.async_commit()).size() == 1);
  CHECK(seen->warnings.empty());
  k.append_numbers(0, 10);
  CHECK(read(false) == 20);
  k.append_numbers(0, 10);
  CHECK(read(true) == 30);
  CHECK(seen->warnings.empty());  // whoever names his offsets need not call anything done
  for (int i = 0; i < 2; ++i) CHECK(w.run(m.consumer.async_commit()).empty());
  REQUIRE(seen->warnings.size() == 1);
  CHECK(seen->warnings[0].code == errc::batch_abandoned);
  CHECK(seen->warnings[0].words == "orders-0: offset 10 is not done, and its batch was released: no commit goes past it");
  m.consumer.assignment().front().seek(10);
  const std::int64_t next = read(true);
  CHECK(w.run(m.consumer.async_commit()).at(0).offset == next);
  CHECK(seen->warnings.size() == 1);
}

TEST_CASE("offsets to commit may be named; of what is not ours nothing is sent", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 3);
  k.append_numbers(0, 10);
  k.assign(0, {0, 1});
  auto c = simulated::member_config();
  c.auto_commit(false);
  simulated::reader m(w, c);
  m.run();
  m.read_all(false);
  REQUIRE(w.run_until([&] { return m.total() == 10; }));
  kawait::offset_map offsets;
  offsets[kawait::topic_partition("orders", 0)] = 5;
  offsets[kawait::topic_partition("orders", 2)] = 3;
  offsets[kawait::topic_partition("absent", 0)] = 1;
  std::error_code code;
  kawait::commit_result result;
  m.consumer.async_commit(offsets, [&](std::error_code ec, kawait::commit_result r) {
    code = ec;
    result = std::move(r);
  });
  REQUIRE(w.run_until([&] { return !result.empty(); }));
  CHECK(code == errc::commit_failed);
  REQUIRE(result.size() == 3);
  for (const auto& s : result) {
    CAPTURE(s.partition.to_string());
    if (s.partition == kawait::topic_partition("orders", 0)) {
      CHECK(!s.code);
      CHECK(s.offset == 5);
    } else {
      CHECK(s.code == errc::not_assigned);
    }
  }
  CHECK(k.committed == committed_map{{0, 5}});
}

TEST_CASE("a commit that the group's epoch overtook is repeated", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  k.commit_errors = {kafka_error::stale_member_epoch};
  simulated::reader m(w);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return m.total() == 10; }));
  const auto result = w.run(m.consumer.async_commit());
  REQUIRE(result.size() == 1);
  CHECK(!result[0].code);
  CHECK(k.committed[0] == 10);
  CHECK(k.commit_errors.empty());
}

TEST_CASE("with the coordinator alone out of reach fetching goes on, and commits wait", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.coordinator_is_apart = true;
  k.append_numbers(0, 10);
  k.assign(0, {0});
  simulated::reader m(w);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return m.total() == 10 && k.committed[0] == 10; }));
  k.cut_coordinator();
  for (int i = 0; i < 30; ++i) {
    k.append_numbers(0, 10);
    w.advance(5s);
    CHECK(m.total() == 20 + 10 * static_cast<std::size_t>(i));
  }
  CHECK(k.committed[0] == 10);
  CHECK(m.consumer.assignment().size() == 1);
  CHECK(m.consumer.last_warning());
  k.mend_coordinator();
  REQUIRE(w.run_until([&] { return k.committed[0] == 310; }, 30s));
  CHECK(m.errors.empty());
  CHECK(m.seen[0] == range(0, 310));
}

TEST_CASE("a close that has nothing to commit does not wait for a coordinator that is gone", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.coordinator_is_apart = true;
  k.append_numbers(0, 10);
  k.assign(0, {0});
  simulated::reader m(w);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return k.committed[0] == 10; }));
  k.cut_coordinator();
  w.advance(45s);
  const auto begin = w.now();
  m.close();
  REQUIRE(w.run_until([&] { return m.closed && m.ended; }));
  CHECK(!*m.closed);
  CHECK(w.now() == begin);
}

TEST_CASE("a close keeps its deadline though an earlier commit has a later one", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.coordinator_is_apart = true;
  k.append_numbers(0, 10);
  k.assign(0, {0});
  auto c = simulated::member_config();
  c.auto_commit_interval(1h).default_api_timeout(10min);
  simulated::reader m(w, c);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return m.total() == 10; }));
  k.cut_coordinator();
  std::optional<std::error_code> committed;
  kawait::offset_map offsets;
  offsets[kawait::topic_partition("orders", 0)] = 10;
  m.consumer.async_commit(offsets, [&](std::error_code ec, kawait::commit_result) { committed = ec; });
  w.advance(1s);
  const auto begin = w.now();
  m.consumer.async_close(5s, [&](std::error_code ec) { m.closed = ec; });
  REQUIRE(w.run_until([&] { return m.closed && m.ended && committed; }));
  CHECK(*m.closed == errc::commit_failed);
  CHECK(w.now() - begin <= 5s);
}

TEST_CASE("a commit that is not allowed to find its coordinator says so at once, and ends the member", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.coordinator_error = kafka_error::group_authorization_failed;
  simulated::reader m(w);
  m.run();
  REQUIRE(w.run_until([&] { return m.ended.has_value(); }, 10s));
  CHECK(*m.ended == kafka_error::group_authorization_failed);

  kawait::consumer assigned(w.executor(), simulated::member_config());
  assigned.assign({kawait::topic_partition("orders", 0)});
  assigned.async_run([](std::error_code) {});
  w.advance(1s);
  std::optional<kawait::commit_result> told;
  kawait::offset_map offsets;
  offsets[kawait::topic_partition("orders", 0)] = 1;
  assigned.async_commit(offsets, [&](std::error_code, kawait::commit_result r) { told = std::move(r); });
  REQUIRE(w.run_until([&] { return told.has_value(); }, 10s));
  REQUIRE(told->size() == 1);
  CHECK(told->front().code == kafka_error::group_authorization_failed);
}

TEST_CASE("async_committed follows a coordinator that moved", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.committed[0] = 7;
  kawait::consumer c(w.executor(), simulated::member_config());
  c.assign({kawait::topic_partition("orders", 0)});
  c.async_run([](std::error_code) {});
  w.advance(1s);
  const std::size_t before = k.look_ups;
  k.offset_fetch_errors = {kafka_error::not_coordinator, kafka_error::coordinator_load_in_progress};
  std::vector<kawait::topic_partition> asked{kawait::topic_partition("orders", 0)};
  const auto offsets = w.run(c.async_committed(asked));
  CHECK(offsets.at(asked[0]) == 7);
  CHECK(k.look_ups > before);
}

TEST_CASE("async_commit does not succeed before the commit that is under way has", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 5);
  k.assign(0, {0});
  simulated::reader m(w);
  m.run();
  m.read_all();
  REQUIRE(w.run_until([&] { return m.total() == 5; }));
  k.commit_delay = 3s;
  k.commit_errors = {kafka_error::unknown_member_id};  // the automatic one is refused
  w.advance(5500ms);
  CHECK(k.commits.empty());
  const auto result = w.run(m.consumer.async_commit());
  REQUIRE(result.size() == 1);
  CHECK(!result[0].code);
  CHECK(k.committed[0] == 5);
}

TEST_CASE("an offset that was named is not overtaken by an older one that is done", "[reading]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  simulated::reader m(w);
  bool checked = false;
  m.handle([&](kawait::partition p) -> asio::awaitable<void> {
    auto batch = co_await p.async_next();
    for (const kawait::record& r : *batch) {
      if (r.offset() == 2) batch->done_through(r);
    }
    kawait::offset_map offsets;
    offsets[p.name()] = 8;
    co_await m.consumer.async_commit(offsets);
    co_await kawait::sleep_for(20s);
    CHECK(k.committed[0] == 8);
    CHECK(k.commits.size() == 1);
    batch->done();
    batch.reset();
    co_await kawait::sleep_for(6s);
    CHECK(k.committed[0] == 10);
    checked = true;
    while (auto next = co_await p.async_next()) next->done();
  });
  REQUIRE(w.run_until([&] { return checked; }));
}

}  // namespace
