#include "position_finder_support.hpp"

#include <cstdint>
#include <optional>
#include <vector>

#include "catch.hpp"

namespace position_finder_tests {

using namespace position_finder_support;

TEST_CASE("position_finder: OffsetFetch carries member, epoch, names, ids and RequireStable (12, G33)", "[position_finder]") {
  driven d;
  d.finder.from_committed(lease(2, 0));
  d.finder.from_committed(lease(1, 2));
  d.finder.from_committed(lease(1, 0));
  const auto ask = d.expect<position_finder::fetch_committed>();
  const auto request = ask.request("group", "member", 7);
  CHECK(request.require_stable);
  REQUIRE(request.groups.size() == 1);
  CHECK(request.groups[0].group_id == "group");
  CHECK(request.groups[0].member_id == "member");
  CHECK(request.groups[0].member_epoch == 7);
  REQUIRE(request.groups[0].topics);
  const auto& topics = *request.groups[0].topics;
  REQUIRE(topics.size() == 2);
  CHECK(topics[0].name == "a");
  CHECK(topics[0].topic_id == id(1));
  CHECK(topics[0].partition_indexes == std::vector<std::int32_t>{0, 2});
  CHECK(topics[1].name == "b");
  CHECK(topics[1].topic_id == id(2));
  CHECK_FALSE(ask.request("group", std::nullopt, -1).groups[0].member_id);

  // One in flight: what comes now waits for its answer.
  d.finder.from_committed(lease(1, 1));
  CHECK(d.idle() == -1);
  d.answer(offsets({{1, 0, 40, 3}, {1, 2, 50, -1}, {2, 0, 60, 5}}));
  d.expect_found(lease(1, 0), {40, 3}, source::committed);
  d.expect_found(lease(1, 2), {50, -1}, source::committed);
  d.expect_found(lease(2, 0), {60, 5}, source::committed);
  CHECK(d.expect<position_finder::fetch_committed>().items.size() == 1);
  d.answer(offsets({{1, 1, 0, 0}}));
  d.expect_found(lease(1, 1), {0, 0}, source::committed);  // 0 is an offset
  CHECK(d.finder.empty());
  CHECK(d.idle() == -1);
}

TEST_CASE("position_finder: version 9 answers with names", "[position_finder]") {
  driven d;
  d.finder.from_committed(lease(2, 0));
  d.finder.from_committed(lease(1, 0));
  d.expect<position_finder::fetch_committed>();
  d.answer(offsets({{2, 0, 60, 5}, {3, 0, 1, 1}, {1, 0, 40, 3}}, false));
  d.expect_found(lease(2, 0), {60, 5}, source::committed);
  d.expect_found(lease(1, 0), {40, 3}, source::committed);
  CHECK(d.finder.empty());
}

TEST_CASE("position_finder: only 'no offset' lets the reset policy speak (12, 13, G33)", "[position_finder]") {
  struct {
    policy p;
    std::int64_t timestamp;
  } const rows[] = {{policy::earliest, -2}, {policy::latest, -1}};
  for (const auto& row : rows) {
    driven d(row.p);
    d.finder.from_committed(lease(1, 0));
    d.finder.from_committed(lease(1, 2));
    d.expect<position_finder::fetch_committed>();
    d.answer(offsets({{1, 0, -1, -1}, {1, 2, -1, -1}}));
    const auto first = d.expect<position_finder::list_offsets>();
    CHECK(first.node == 1);
    const auto request = first.request();
    CHECK(request.replica_id == -1);
    CHECK(request.isolation_level == 1);
    CHECK(request.timeout_ms == 30'000);
    REQUIRE(request.topics.size() == 1);
    CHECK(request.topics[0].name == "a");
    REQUIRE(request.topics[0].partitions.size() == 1);
    CHECK(request.topics[0].partitions[0].partition_index == 0);
    CHECK(request.topics[0].partitions[0].current_leader_epoch == 10);
    CHECK(request.topics[0].partitions[0].timestamp == row.timestamp);
    const auto second = d.expect<position_finder::list_offsets>();
    CHECK(second.node == 2);
    REQUIRE(second.items.size() == 1);
    CHECK(second.items[0].lease == lease(1, 2));
    CHECK(d.idle() == -1);
    d.answer(2, lists({{"a", 2, 77, 6}}));
    d.expect_found(lease(1, 2), {77, 6}, source::reset);
    d.answer(1, lists({{"a", 0, 0, -1}}));
    d.expect_found(lease(1, 0), {0, -1}, source::reset);
  }
  driven d(policy::none);
  d.finder.from_committed(lease(1, 0));
  d.expect<position_finder::fetch_committed>();
  d.answer(offsets({{1, 0, -1, -1}}));
  d.expect_not_found(lease(1, 0), errc::no_offset);
  CHECK(d.finder.empty());
}

TEST_CASE("position_finder: a reset by hand, and times (13, 35)", "[position_finder]") {
  driven d(policy::none);
  d.finder.from_reset(lease(1, 0));
  d.expect_not_found(lease(1, 0), errc::no_offset);

  d.finder.from_reset(lease(1, 0), policy::latest);
  d.finder.from_timestamp(lease(1, 1), 1'700'000'000'000);
  const auto ask = d.expect<position_finder::list_offsets>();
  REQUIRE(ask.items.size() == 2);
  CHECK(ask.items[0].timestamp == -1);
  CHECK(ask.items[1].timestamp == 1'700'000'000'000);
  SECTION("no record is as late: an answer, not an error") {
    d.answer(1, lists({{"a", 0, 90, 4}, {"a", 1, -1, -1}}));
    d.expect_found(lease(1, 0), {90, 4}, source::reset);
    d.expect_found(lease(1, 1), {-1, -1}, source::timestamp);
  }
  SECTION("but a log has ends") {
    d.answer(1, lists({{"a", 0, -1, -1}, {"a", 1, 10, 2}}));
    d.expect_found(lease(1, 1), {10, 2}, source::timestamp);
    check_pause(d.idle(), 100);
    d.pass_idle();
    CHECK(d.expect<position_finder::list_offsets>().items.size() == 1);
  }
}

TEST_CASE("position_finder: a time that no record has yet is the end, and nothing that comes meanwhile is lost", "[position_finder]") {
  driven d(policy::none);
  d.finder.from_timestamp_or_end(lease(1, 0), 77);
  const auto ask = [&] {
    const auto what = d.expect<position_finder::list_offsets>();
    REQUIRE(what.items.size() == 1);
    return what.items[0].timestamp;
  };
  CHECK(ask() == 77);
  SECTION("there is one") {
    d.answer(1, lists({{"a", 0, 8, 1}}));
    d.expect_found(lease(1, 0), {8, 1}, source::timestamp);
    return;
  }
  d.answer(1, lists({{"a", 0, -1, -1}}));
  CHECK(ask() == -1);
  SECTION("the end, asked for again as long as the broker does not know it") {
    d.answer(1, lists({{"a", 0, -1, -1}}));
    d.pass_idle();
    CHECK(ask() == -1);
    d.answer(1, lists({{"a", 0, 30, 4}}));
    CHECK(ask() == 77);
    d.answer(1, lists({{"a", 0, -1, -1}}));
    d.expect_found(lease(1, 0), {30, 4}, source::timestamp);
  }
  SECTION("a record of that time was written between the two questions") {
    d.answer(1, lists({{"a", 0, 31, 4}}));
    CHECK(ask() == 77);
    d.answer(1, lists({{"a", 0, 30, 4}}));
    d.expect_found(lease(1, 0), {30, 4}, source::timestamp);
  }
  SECTION("a seek meanwhile") {
    d.finder.from_timestamp_or_end(lease(1, 0), 99);
    d.answer(1, lists({{"a", 0, 30, 4}}));
    CHECK(ask() == 99);
  }
}

TEST_CASE("position_finder: by_duration counts back from when the question leaves", "[position_finder]") {
  using std::chrono::system_clock;
  position_finder::options o(policy::none, 1, milliseconds(30'000), machine::backoff_options(milliseconds(100), milliseconds(1000)));
  o.back = std::chrono::hours(1);
  driven d;
  d.finder = position_finder(o);
  const bool committed_first = GENERATE(true, false);
  if (committed_first) {
    d.finder.from_committed(lease(1, 0));
    d.expect<position_finder::fetch_committed>();
    d.answer(offsets({{1, 0, -1, -1}}));
  } else {
    d.finder.from_reset(lease(1, 0));
  }
  auto what = d.expect<position_finder::list_offsets>();
  const system_clock::time_point now(std::chrono::hours(100));
  CHECK(what.request(now).topics[0].partitions[0].timestamp == 99 * 3'600'000);
  CHECK(what.request(system_clock::time_point(std::chrono::minutes(1))).topics[0].partitions[0].timestamp == 0);
  d.answer(1, lists({{"a", 0, -1, -1}}));  // nothing for an hour
  what = d.expect<position_finder::list_offsets>();
  CHECK(what.request(now).topics[0].partitions[0].timestamp == -1);
  d.answer(1, lists({{"a", 0, 12, 3}}));
  what = d.expect<position_finder::list_offsets>();
  CHECK(what.request(now).topics[0].partitions[0].timestamp == 99 * 3'600'000);
  d.answer(1, lists({{"a", 0, -1, -1}}));
  d.expect_found(lease(1, 0), {12, 3}, source::reset);
}

TEST_CASE("position_finder: an unknown name or leader waits for metadata", "[position_finder]") {
  driven d;
  d.finder.from_committed(lease(3, 0));
  d.finder.from_reset(lease(1, 7));
  d.finder.from_committed(lease(1, 0));
  // What is known does not wait.
  CHECK(d.expect<position_finder::fetch_committed>().items.size() == 1);
  d.expect<position_finder::refresh_metadata>();
  CHECK(d.idle() == 1000);
  d.now += 999;
  CHECK(d.idle() == 1);
  d.now += 1;
  d.expect<position_finder::refresh_metadata>();
  d.answer(offsets({{1, 0, 5, 1}}));
  d.expect_found(lease(1, 0), {5, 1}, source::committed);
  CHECK(d.idle() == 1000);
  // Nothing but the cluster changes, and the time does not pass.
  tell(d.metadata, {{"a", id(1), {1, 1, 2, 1, 1, 1, 1, 2}}, {"c", id(3), {1}}}, d.now, 1);
  const auto ask = d.expect<position_finder::fetch_committed>();
  REQUIRE(ask.items.size() == 1);
  CHECK(ask.items[0].topic == "c");
  CHECK(d.expect<position_finder::list_offsets>().items[0].lease == lease(1, 7));
  CHECK(d.idle() == -1);
}

TEST_CASE("position_finder: a topic created again never inherits a position", "[position_finder]") {
  driven d;
  d.finder.from_committed(lease(1, 0));
  d.finder.from_reset(lease(1, 1));
  tell(d.metadata, {{"a", id(4), {1, 1, 1}}, {"b", id(2), {2}}}, d.now, 1);
  // By its name the old topic's partitions would be answered for with the new one's offsets.
  d.expect<position_finder::refresh_metadata>();
  CHECK(d.idle() == 1000);
  d.finder.from_committed(lease(4, 0));
  d.finder.from_reset(lease(4, 1));
  const auto ask = d.expect<position_finder::fetch_committed>();
  REQUIRE(ask.items.size() == 1);
  CHECK(ask.items[0].lease == lease(4, 0));
  CHECK(d.expect<position_finder::list_offsets>().items.size() == 1);
}

TEST_CASE("position_finder: late answers are nobody's", "[position_finder]") {
  driven d;
  SECTION("removed") {
    d.finder.from_committed(lease(1, 0));
    d.expect<position_finder::fetch_committed>();
    d.finder.remove(lease(1, 0).partition);
    d.answer(offsets({{1, 0, 5, 1}}));
    CHECK(d.idle() == -1);
  }
  SECTION("assigned again: the old answer is not the new lease's, not even with the same generation") {
    for (const std::uint64_t generation : {1u, 2u}) {
      d.finder.from_committed(lease(1, 0));
      d.expect<position_finder::fetch_committed>();
      d.finder.from_committed(lease(1, 0, generation));
      d.answer(offsets({{1, 0, 5, 1}}));
      d.expect<position_finder::fetch_committed>();
      d.answer(offsets({{1, 0, 6, 1}}));
      d.expect_found(lease(1, 0, generation), {6, 1}, source::committed);
    }
  }
  SECTION("a seek to a time while the committed offset is asked for") {
    d.finder.from_committed(lease(1, 0));
    d.expect<position_finder::fetch_committed>();
    d.finder.from_timestamp(lease(1, 0), 99);
    d.expect<position_finder::list_offsets>();
    d.answer(offsets({{1, 0, 5, 1}}));
    CHECK(d.idle() == -1);
    d.answer(1, lists({{"a", 0, 8, 1}}));
    d.expect_found(lease(1, 0), {8, 1}, source::timestamp);
  }
  SECTION("found, and removed before it was told") {
    d.finder.from_committed(lease(1, 0));
    d.finder.from_committed(lease(2, 0));
    d.expect<position_finder::fetch_committed>();
    d.answer(offsets({{1, 0, 5, 1}, {2, 0, 7, 1}}));
    CHECK_FALSE(d.finder.empty());
    d.finder.remove(lease(1, 0).partition);
    d.finder.from_reset(lease(2, 0, 2));
    d.expect<position_finder::list_offsets>();
    d.answer(2, lists({{"b", 0, 1, 1}}));
    d.expect_found(lease(2, 0, 2), {1, 1}, source::reset);
    CHECK(d.finder.empty());
  }
  SECTION("not asked at all") {
    d.answer(offsets({{1, 0, 5, 1}}));
    d.finder.on_offset_fetch_failed(failure(errc::connection_closed), at_ms(d.now), 0);
    d.answer(1, lists({{"a", 0, 5, 1}}));
    CHECK(d.idle() == -1);
  }
}

TEST_CASE("position_finder: 5,000 partitions, one request", "[position_finder]") {
  driven d;
  tell(d.metadata, {{"a", id(1), std::vector<std::int32_t>(5000, 1)}}, d.now, 1);
  std::vector<committed> all;
  for (std::int32_t p = 0; p < 5000; ++p) {
    d.finder.from_committed(lease(1, p));
    all.push_back({1, p, p, 1});
  }
  CHECK(d.expect<position_finder::fetch_committed>().items.size() == 5000);
  d.answer(offsets(all));
  std::int64_t sum = 0;
  for (int i = 0; i < 5000; ++i) sum += d.expect<position_finder::found>().position.offset;
  CHECK(sum == 5000 * 4999 / 2);
  CHECK(d.finder.empty());
}

}  // namespace position_finder_tests
