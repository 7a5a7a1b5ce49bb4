// Commits of a group in virtual time: every error of a commit, answers that are lost, and epochs that move under it.

#include "simulation/commit_story.hpp"

namespace embedded {
namespace {

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
      commit_story t(g);
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
    commit_story t;
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
  commit_story t;
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
      commit_story t(g);
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
    commit_story t(g);
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
    commit_story t(g);
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
    commit_story t(g);
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

// What is done while a commit is under way is another's to commit.
TEST_CASE("of two commits that overlap neither is told the other's unanswered", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    commit_story t(g);
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
    commit_story t(g);
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
