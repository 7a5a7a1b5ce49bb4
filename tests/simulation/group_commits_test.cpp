// Commits of a group in virtual time: every error of a commit, answers that are lost, epochs that move under it, and partitions that
// are revoked while it is under way.

#include <asio/detached.hpp>
#include <asio/redirect_error.hpp>

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;

/// A member that has read ten records of each partition and committed nothing: it commits when it is asked.
struct ready {
  explicit ready(kafka_generation g = kafka_generation::v4_3, std::int32_t partitions = 2, bool automatic = true)
      : s(partitions, of_generation(g, 2)), a(s.join("a", s.settings("a").auto_commit_interval(1h).auto_commit(automatic))) {
    s.write_all(partitions);
    REQUIRE(s.until([&] { return s.log.records() == 10 * static_cast<std::size_t>(partitions) && s.broker.group().settled("g"); }));
    s.world.advance(100ms);
  }
  void commit() {
    result.reset();
    const auto all = [](ready& r) -> asio::awaitable<void> {
      try {
        r.result = co_await r.a.consumer().async_commit();
      } catch (const kawait::error& e) {
        r.code = e.code();
        r.result.emplace();
      }
    };
    code.clear();
    asio::co_spawn(s.world.executor(), all(*this), [](std::exception_ptr) {});
  }
  bool run(kawait::net::duration limit = 2min) {
    commit();
    return s.until([&] { return result.has_value(); }, limit);
  }
  std::size_t commits() const { return s.count(api_key::offset_commit); }

  story s;
  actor& a;
  std::optional<kawait::commit_result> result;
  std::error_code code;
};

// Point 32.
TEST_CASE("a commit that is refused for now is repeated until it is done", "[group]") {
  struct row {
    kafka_error error;
    bool looks_up;
  };
  const row rows[] = {{kafka_error::coordinator_load_in_progress, false},
                      {kafka_error::not_coordinator, true},
                      {kafka_error::coordinator_not_available, true},
                      {kafka_error::request_timed_out, true},
                      {kafka_error::unknown_topic_id, false},
                      {kafka_error::unknown_topic_or_partition, false}};
  for (const auto g : generations) {
    for (const row& r : rows) {
      CAPTURE(static_cast<int>(g), static_cast<int>(r.error));
      ready t(g);
      const std::size_t looked_up = t.s.count(api_key::find_coordinator), before = t.commits();
      t.s.next(api_key::offset_commit, times(4, answer_with(r.error)));
      const auto began = t.s.world.now();
      REQUIRE(t.run());
      CHECK(!t.code);
      CHECK(t.s.broker.committed("g", "orders", 0) == 10);
      CHECK(t.s.broker.committed("g", "orders", 1) == 10);
      CHECK(t.commits() == before + 5);
      CHECK(t.s.world.now() - began >= 300ms);  // with pauses
      CHECK(t.s.world.now() - began <= 5s);
      CHECK((t.s.count(api_key::find_coordinator) > looked_up) == r.looks_up);
      CHECK(t.s.log.all().size() == 2);
    }
  }
}

TEST_CASE("a commit that is refused for good fails at once, and the next one covers it", "[group]") {
  const kafka_error errors[] = {kafka_error::unknown_member_id,         kafka_error::group_id_not_found,
                                kafka_error::offset_metadata_too_large, kafka_error::invalid_commit_offset_size,
                                kafka_error::group_authorization_failed, kafka_error::topic_authorization_failed,
                                static_cast<kafka_error>(9999)};
  for (const kafka_error e : errors) {
    CAPTURE(static_cast<int>(e));
    ready t;
    const std::size_t before = t.commits();
    t.s.next(api_key::offset_commit, {answer_with(e)});
    const auto began = t.s.world.now();
    REQUIRE(t.run());
    CHECK(t.code == errc::commit_failed);
    CHECK(t.commits() == before + 1);
    CHECK(t.s.world.now() == began);
    CHECK(!t.s.broker.committed("g", "orders", 0));
    REQUIRE(t.run());
    CHECK(!t.code);
    CHECK(t.s.broker.committed("g", "orders", 0) == 10);
    CHECK(t.a.owned().size() == 2);
  }
}

TEST_CASE("a commit whose topic stays unknown fails within default.api.timeout.ms, and not sooner", "[group]") {
  ready t;
  t.s.otherwise = [](const testing::request_view& r) {
    return r.api == api_key::offset_commit ? answer_with(kafka_error::unknown_topic_id) : fault();
  };
  const auto began = t.s.world.now();
  REQUIRE(t.run());
  CHECK(t.code == errc::commit_failed);
  CHECK(t.s.world.now() - began >= 55s);
  CHECK(t.s.world.now() - began <= 61s);
}

// Whatever is lost of it, a commit is said again, by the newest connection; saying it twice does no harm.
TEST_CASE("a commit that is lost is repeated", "[group]") {
  const fault losses[] = {fault::kind::drop_request, fault::kind::drop_answer, fault::kind::close_before, fault::kind::close_after,
                          fault::cut_after(5)};
  for (const auto g : generations) {
    for (const fault& f : losses) {
      CAPTURE(static_cast<int>(g), static_cast<int>(f.what));
      ready t(g);
      t.s.next(api_key::offset_commit, {f});
      REQUIRE(t.run());
      CHECK(!t.code);
      CHECK(t.s.is_done(2));
      CHECK(t.s.log.all().size() == 2);
    }
  }
}

// Point 31.
TEST_CASE("commits go by topic id where the broker has them, else by name", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    ready t(g);
    REQUIRE(t.run());
    for (const auto& r : t.s.broker.requests()) {
      if (r.api == api_key::offset_commit || r.api == api_key::offset_fetch) CHECK(r.version == (g == kafka_generation::v4_0 ? 9 : 10));
    }
  }
}

// Point 30: the group's epoch moved and the member does not know it yet. Kafka 4.3 takes the epoch of the lease; older ones answer
// STALE_MEMBER_EPOCH, and the commit waits for the heartbeat that is under way.
TEST_CASE("a commit that the group's epoch overtook", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    ready t(g);
    const auto epoch = t.s.view(t.a)->epoch;
    t.s.target(t.a, {0, 1});
    t.s.next(api_key::consumer_group_heartbeat, {fault::answered_late(2s)});
    REQUIRE(t.s.until([&] { return t.s.view(t.a)->epoch > epoch; }, 10s));
    CHECK(t.a.consumer().member_epoch() == epoch);
    const std::size_t before = t.commits();
    REQUIRE(t.run(10s));
    CHECK(!t.code);
    CHECK(t.s.is_done(2));
    CHECK(t.commits() - before == (g == kafka_generation::v4_3 ? 1 : 2));
    CHECK(t.s.log.all().size() == 2);
    // The stamp of a lease goes on being good.
    t.s.write_all(2);
    t.s.world.advance(1s);
    REQUIRE(t.run(10s));
    CHECK(t.s.is_done(2));
  }
}

TEST_CASE("a commit that is stale once and again is repeated behind heartbeats, and no busier than they", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    ready t(g);
    const std::size_t before = t.commits();
    t.s.next(api_key::offset_commit, times(4, answer_with(kafka_error::stale_member_epoch)));
    const auto began = t.s.world.now();
    REQUIRE(t.run());
    CHECK(!t.code);
    CHECK(t.s.is_done(2));
    CHECK(t.s.world.now() - began >= 10s);  // two heartbeats at least; from then on 4.3's partitions go one by one
    CHECK(t.commits() - before <= 7);
    CHECK(t.s.log.all().size() == 2);
  }
}

// Point 29. The broker cannot tell a late commit from the next owner's where the epoch has not moved: so the heartbeat that gives a
// partition up waits until each commit that names it is answered, or its connection is gone. Here the answer is lost; that shows when
// the next answer on that connection is another's, and until then nothing is given up, though the work has long ended.
TEST_CASE("a partition is not given up while a commit that names it is unanswered", "[group]") {
  for (const auto g : generations) {
    for (const bool served : {true, false}) {
      CAPTURE(static_cast<int>(g), served);
      ready t(g, 2, false);
      t.a.held = {1};
      t.s.write(1, 5);
      REQUIRE(t.s.until([&] { return t.s.log.records() == 25; }));
      t.s.target(t.a, {0});
      REQUIRE(t.s.until([&] { return t.a.owned() == index_set{0}; }, 10s));
      t.s.next(api_key::offset_commit, {served ? fault::kind::drop_answer : fault::kind::drop_request});
      t.commit();
      t.s.world.advance(10ms);
      CHECK(t.s.has_happened(api_key::offset_commit));
      const std::uint64_t connection = t.s.last(api_key::offset_commit).connection;
      t.a.held.clear();
      t.s.world.advance(1s);
      CHECK(!t.s.log.of(1).front()->open);
      CHECK(t.s.broker.group().owner("g", topic_partition("orders", 1)) == t.a.id());
      REQUIRE(t.s.until([&] { return !t.s.broker.group().owner("g", topic_partition("orders", 1)); }, 10s));
      CHECK(t.s.last(api_key::consumer_group_heartbeat).connection != connection);
      CHECK(t.s.is_member(t.a));
      CHECK(t.s.log.ended(end_reason::lost) == 0);
    }
  }
}

// In automatic mode the drain itself does not end before what is done is committed.
TEST_CASE("a partition is given up with all that was done of it committed, however often that fails", "[group]") {
  const fault losses[] = {fault::kind::drop_request, fault::kind::drop_answer, fault::kind::close_before, fault::kind::close_after,
                          answer_with(kafka_error::coordinator_load_in_progress), answer_with(kafka_error::not_coordinator)};
  for (const auto g : generations) {
    for (const fault& f : losses) {
      CAPTURE(static_cast<int>(g), static_cast<int>(f.what));
      ready t(g);
      t.s.next(api_key::offset_commit, times(3, f));
      t.s.target(t.a, {0});
      std::optional<std::int64_t> at_release;
      t.s.otherwise = [&](const testing::request_view&) {
        if (!t.s.broker.group().owner("g", topic_partition("orders", 1)) && !at_release) {
          at_release = t.s.broker.committed("g", "orders", 1).value_or(-1);
        }
        return fault();
      };
      REQUIRE(t.s.until([&] { return at_release.has_value(); }, 1min));
      CHECK(at_release == 10);
      CHECK(t.s.has_happened(api_key::offset_commit));
      CHECK(t.s.log.ended(end_reason::lost) == 0);
    }
  }
}

// The same at the deadline: the connection is cut, which is an end of every commit on it, and the partition goes in time.
TEST_CASE("a commit that hangs does not hold a partition beyond the deadline", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    kawait::config c = s.settings("a");
    c.auto_commit_interval(1h).rebalance_timeout(10s);
    actor& a = s.join("a", c);
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20 && s.broker.group().settled("g"); }));
    s.otherwise = [&](const testing::request_view& r) { return r.api == api_key::offset_commit ? fault::kind::drop_request : fault(); };
    s.target(a, {0});
    REQUIRE(s.until([&] { return a.owned() == index_set{0}; }, 10s));
    const auto told = s.world.now();
    REQUIRE(s.until([&] { return !s.broker.group().owner("g", topic_partition("orders", 1)); }, 20s));
    CHECK(s.world.now() - told >= 8s);
    CHECK(s.world.now() - told <= 10s);
    CHECK(s.is_member(a));
    s.otherwise = nullptr;
    actor& b = s.join("b");
    REQUIRE(s.until([&] { return b.owned() == index_set{1}; }, 30s));
    CHECK(s.log.of(1).back()->first <= 0);  // nothing of it was committed
    s.write_all(2);
    a.close();
    REQUIRE(s.until_done(2, 2min));
    CHECK(s.log.ended(end_reason::lost) == 0);
  }
}

// Work that is done after the partition was given up cannot be committed any more: who comes next has the last word.
TEST_CASE("a late commit of an earlier owner is not sent", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    ready t(g);
    actor& b = t.s.join("b");
    REQUIRE(t.s.until([&] { return b.owned().size() == 1 && t.a.owned().size() == 1; }, 1min));
    const std::int32_t moved = *b.owned().begin();
    t.s.write(moved, 10);
    REQUIRE(t.s.until([&] { return t.s.broker.committed("g", "orders", moved) == 20; }, 1min));
    const std::size_t before = t.commits();
    kawait::offset_map late;
    late[topic_partition("orders", moved)] = 5;
    std::optional<kawait::commit_result> told;
    t.a.consumer().async_commit(late, [&](std::error_code, kawait::commit_result r) { told = std::move(r); });
    REQUIRE(t.s.until([&] { return told.has_value(); }, 10s));
    REQUIRE(told->size() == 1);
    CHECK(told->front().code == errc::not_assigned);
    CHECK(t.commits() == before);
    CHECK(t.s.broker.committed("g", "orders", moved) == 20);
  }
}

// What is done while a commit is under way is another's to commit.
TEST_CASE("of two commits that overlap neither is told the other's unanswered", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    ready t(g);
    t.s.otherwise = [](const testing::request_view& r) {
      return r.api == api_key::offset_commit ? fault::answered_late(50ms) : fault();
    };
    std::vector<std::error_code> told;
    const auto commit = [&] {
      t.a.consumer().async_commit([&](std::error_code ec, const kawait::commit_result&) { told.push_back(ec); });
    };
    commit();
    t.s.world.advance(10ms);
    t.s.write_all(2);
    t.s.world.advance(10ms);
    commit();
    REQUIRE(t.s.until([&] { return told.size() == 2; }, 5s));
    CHECK(told == std::vector<std::error_code>(2));
    CHECK(t.s.broker.committed("g", "orders", 0) == 20);
  }
}

// Answered twice, the connection is closed behind the answer that counts.
TEST_CASE("what a commit's answer has decided is told, though no coordinator is to be had from then on", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    ready t(g);
    t.s.next(api_key::offset_commit, {fault::kind::repeat_answer});
    t.s.otherwise = [](const testing::request_view& r) {
      return r.api == api_key::find_coordinator ? fault(fault::kind::drop_request) : fault();
    };
    REQUIRE(t.run(1s));
    CHECK(!t.code);
    CHECK(t.s.has_happened(api_key::offset_commit));
    CHECK(t.s.broker.committed("g", "orders", 0) == 10);
  }
}

// How each partition's drain went.
struct drains final : kawait::observer {
  void on_drained(const drained& d) override { outcomes.push_back(d.outcome.code); }
  std::vector<std::error_code> outcomes;
};

asio::awaitable<void> commit_for_ever(kawait::consumer& consumer, kawait::offset_map offsets) {
  for (;;) {
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    co_await consumer.async_commit(offsets, token);
    co_await kawait::sleep_for(1ms);
  }
}

// Who commits by name all the time has a commit under way whenever a drain looks: it is none of the drain's own.
TEST_CASE("steady commits by name neither hold up a drain nor spoil what is told of it", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    const auto seen = std::make_shared<drains>();
    story s(2, of_generation(g, 2));
    actor& a = s.join("a", s.settings("a").auto_commit_interval(50ms).add_observer(seen));
    s.otherwise = [](const testing::request_view& r) {
      return r.api == api_key::offset_commit ? fault::answered_late(20ms) : fault();
    };
    s.write_all(2);
    REQUIRE(s.until([&] { return s.is_done(2); }, 1min));
    const kawait::offset_map offsets{{topic_partition("orders", 0), 10}, {topic_partition("orders", 1), 10}};
    for (int i = 0; i < 3; ++i) {
      asio::co_spawn(s.world.executor(), commit_for_ever(a.consumer(), offsets), asio::detached);
      s.world.advance(7ms);
    }
    s.target(a, {0});
    REQUIRE(s.until([&] { return !s.broker.group().owner("g", topic_partition("orders", 1)); }, 5s));
    CHECK(seen->outcomes == std::vector<std::error_code>{std::error_code()});
  }
}

TEST_CASE("an automatic commit that is refused is told by last_warning, since nobody waits for it") {
  story s(1);
  actor& a = s.join("a");
  s.otherwise = [](const testing::request_view& r) {
    return r.api == api_key::offset_commit ? answer_with(kafka_error::group_authorization_failed) : fault();
  };
  s.write_all(1);
  REQUIRE(s.until([&] { return static_cast<bool>(a.consumer().last_warning()); }, 1min));
  CHECK(a.consumer().last_warning().code == kafka_error::group_authorization_failed);
  CHECK(a.consumer().last_warning().words.starts_with("commit of orders-0"));
  s.otherwise = nullptr;
  CHECK(s.until_done(1));
}

TEST_CASE("metadata is kept beside an offset, and told again", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a", s.settings("a").auto_commit(false));
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20; }));
    const topic_partition first("orders", 0), second("orders", 1);
    const kawait::metadata_map both{{first, {7, "page 3"}}, {second, {9, ""}}};
    std::optional<std::error_code> committed;
    a.consumer().async_commit(both, [&](std::error_code ec, const kawait::commit_result&) { committed = ec; });
    REQUIRE(s.until([&] { return committed.has_value(); }, 1s));
    CHECK(!*committed);
    std::optional<kawait::metadata_map> told;
    a.consumer().async_committed_metadata({first, second}, [&](std::error_code, kawait::metadata_map m) { told = std::move(m); });
    REQUIRE(s.until([&] { return told.has_value(); }, 1s));
    CHECK(*told == both);
    std::optional<kawait::offset_map> offsets;
    a.consumer().async_committed({first, second}, [&](std::error_code, kawait::offset_map m) { offsets = std::move(m); });
    REQUIRE(s.until([&] { return offsets.has_value(); }, 1s));
    CHECK(*offsets == kawait::offset_map{{first, 7}, {second, 9}});
    s.log.expect_committed(topic_id_partition(s.broker.topic_id("orders"), 0), 7);
    s.log.expect_committed(topic_id_partition(s.broker.topic_id("orders"), 1), 9);
  }
}

}  // namespace
}  // namespace embedded
