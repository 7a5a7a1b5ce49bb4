#include "position_finder_support.hpp"

#include <cstdint>
#include <set>
#include <utility>

#include "catch.hpp"

namespace position_finder_errors_tests {

using namespace position_finder_support;

TEST_CASE("position_finder: a partition's error is asked again, or final, and never a reset (12, G33)", "[position_finder]") {
  struct {
    kafka_error error;
    bool refresh, final;
  } const rows[] = {
      {kafka_error::unstable_offset_commit, false, false},
      {kafka_error::unknown_topic_id, true, false},
      {kafka_error::unknown_topic_or_partition, true, false},
      {kafka_error::request_timed_out, false, false},
      {kafka_error::coordinator_load_in_progress, false, false},
      {kafka_error::stale_member_epoch, false, false},
      {kafka_error::unknown_member_id, false, false},
      {kafka_error::topic_authorization_failed, false, true},
      {kafka_error::unknown_server_error, false, true},
      {static_cast<kafka_error>(4711), false, true},
  };
  for (const auto& row : rows) {
    CAPTURE(static_cast<int>(row.error));
    driven d;
    d.finder.from_committed(lease(1, 0));
    for (const std::int64_t pause : {100, 200, 400}) {
      d.expect<position_finder::fetch_committed>();
      // Brokers send -1 as the offset beside an error; with whatever offset, it is none.
      d.answer(offsets({{1, 0, pause == 200 ? 5 : -1, -1, row.error}}));
      if (row.final) break;
      if (row.refresh) d.expect<position_finder::refresh_metadata>();
      check_pause(d.idle(), pause);
      d.pass_idle();
    }
    if (row.final) {
      d.expect_not_found(lease(1, 0), row.error);
      CHECK(d.finder.empty());
      continue;
    }
    d.expect<position_finder::fetch_committed>();
    d.answer(offsets({{1, 0, 12, 1}}));
    d.expect_found(lease(1, 0), {12, 1}, source::committed);
  }
}

TEST_CASE("position_finder: an error of the whole group (G33)", "[position_finder]") {
  struct {
    kafka_error error;
    bool look_up, final;
  } const rows[] = {
      {kafka_error::coordinator_load_in_progress, false, false},
      {kafka_error::stale_member_epoch, false, false},
      {kafka_error::unknown_member_id, false, false},
      {kafka_error::fenced_member_epoch, false, false},
      {kafka_error::group_id_not_found, false, false},
      {kafka_error::not_coordinator, true, false},
      {kafka_error::coordinator_not_available, true, false},
      {kafka_error::group_authorization_failed, false, true},
      {kafka_error::invalid_group_id, false, true},
  };
  for (const auto& row : rows) {
    CAPTURE(static_cast<int>(row.error));
    driven d;
    d.finder.from_committed(lease(1, 0));
    d.finder.from_committed(lease(2, 0));
    bool first = true;
    for (const std::int64_t pause : {100, 200, 400}) {
      CHECK(d.expect<position_finder::fetch_committed>().items.size() == 2);
      d.answer(group_error(row.error));
      if (row.final) break;
      if (row.look_up) d.expect<machine::find_coordinator>();
      // The first time the new coordinator is asked at once.
      if (!(row.look_up && std::exchange(first, false))) {
        check_pause(d.idle(), pause);
        d.pass_idle();
      }
    }
    if (row.final) {
      std::set<leased> failed;
      for (int i = 0; i < 2; ++i) {
        const auto not_found = d.expect<position_finder::not_found>();
        CHECK(not_found.why.code == row.error);
        failed.insert(not_found.lease);
      }
      CHECK(failed == std::set<leased>{lease(1, 0), lease(2, 0)});
      continue;
    }
    d.expect<position_finder::fetch_committed>();
    d.answer(offsets({{1, 0, 1, 1}, {2, 0, 2, 1}}));
    d.expect<position_finder::found>();
    d.expect<position_finder::found>();
    CHECK(d.finder.empty());
  }
}

TEST_CASE("position_finder: the group's pauses begin anew after an answer", "[position_finder]") {
  driven d;
  d.finder.from_committed(lease(1, 0));
  for (int i = 0; i < 3; ++i) {
    d.expect<position_finder::fetch_committed>();
    d.answer(group_error(kafka_error::coordinator_load_in_progress));
    d.pass_idle();
  }
  d.expect<position_finder::fetch_committed>();
  d.answer(offsets({{1, 0, 5, 1}}));
  d.expect<position_finder::found>();
  d.finder.from_committed(lease(1, 0));
  d.expect<position_finder::fetch_committed>();
  d.answer(group_error(kafka_error::coordinator_load_in_progress));
  check_pause(d.idle(), 100);
}

TEST_CASE("position_finder: no answer, and answers with holes", "[position_finder]") {
  driven d;
  d.finder.from_committed(lease(1, 0));
  d.finder.from_committed(lease(2, 0));
  d.expect<position_finder::fetch_committed>();
  SECTION("disconnected") {
    d.finder.on_offset_fetch_failed(failure(errc::connection_closed), at_ms(d.now), 0);
    check_pause(d.idle(), 100);
  }
  SECTION("an answer that does not decode") {
    d.finder.on_offset_fetch_failed(failure(errc::malformed_response), at_ms(d.now), 0);
    check_pause(d.idle(), 100);
  }
  SECTION("no group in the answer") {
    d.answer(offset_fetch_response());
    check_pause(d.idle(), 100);
  }
  SECTION("no partition in the answer") {
    d.answer(offsets({}));
    check_pause(d.idle(), 100);
  }
  SECTION("the broker lacks the API: no retry mends it") {
    d.finder.on_offset_fetch_failed(failure(errc::unsupported_broker), at_ms(d.now), 0);
    CHECK(d.expect<position_finder::not_found>().why.code == errc::unsupported_broker);
    CHECK(d.expect<position_finder::not_found>().why.code == errc::unsupported_broker);
    return;
  }
  SECTION("one partition is missing, one is named twice") {
    d.answer(offsets({{1, 0, 5, 1}, {1, 0, 6, 1}}));
    d.expect_found(lease(1, 0), {5, 1}, source::committed);
    check_pause(d.idle(), 100);
    d.pass_idle();
    const auto ask = d.expect<position_finder::fetch_committed>();
    REQUIRE(ask.items.size() == 1);
    CHECK(ask.items[0].lease == lease(2, 0));
    return;
  }
  d.pass_idle();
  CHECK(d.expect<position_finder::fetch_committed>().items.size() == 2);
}

TEST_CASE("position_finder: an offset that cannot be", "[position_finder]") {
  driven d;
  d.finder.from_committed(lease(1, 0));
  d.finder.from_reset(lease(2, 0));
  d.expect<position_finder::fetch_committed>();
  d.answer(offsets({{1, 0, -7, -9}}));
  d.expect_not_found(lease(1, 0), errc::malformed_response);
  CHECK(d.expect<position_finder::list_offsets>().node == 2);
  d.answer(2, lists({{"b", 0, -7, -9}}));
  d.expect_not_found(lease(2, 0), errc::malformed_response);
}

TEST_CASE("position_finder: errors of ListOffsets (13, 33, 34)", "[position_finder]") {
  struct {
    kafka_error error;
    bool final;
  } const rows[] = {
      {kafka_error::not_leader_or_follower, false},
      {kafka_error::fenced_leader_epoch, false},
      {kafka_error::unknown_leader_epoch, false},
      {kafka_error::leader_not_available, false},
      {kafka_error::offset_not_available, false},
      {kafka_error::kafka_storage_error, false},
      {kafka_error::replica_not_available, false},
      {kafka_error::unknown_topic_or_partition, false},
      {kafka_error::request_timed_out, false},
      {kafka_error::topic_authorization_failed, true},
      {kafka_error::unsupported_version, true},
      {kafka_error::unsupported_for_message_format, true},
  };
  for (const auto& row : rows) {
    CAPTURE(static_cast<int>(row.error));
    driven d;
    d.finder.from_reset(lease(1, 0));
    d.finder.from_reset(lease(1, 1));
    CHECK(d.expect<position_finder::list_offsets>().node == 1);
    d.answer(1, lists({{"a", 0, 3, 4, row.error}, {"a", 1, 8, 2}}));
    if (row.final) {
      d.expect_not_found(lease(1, 0), row.error);
      d.expect_found(lease(1, 1), {8, 2}, source::reset);
      CHECK(d.finder.empty());
      continue;
    }
    d.expect_found(lease(1, 1), {8, 2}, source::reset);
    d.expect<position_finder::refresh_metadata>();
    check_pause(d.idle(), 100);
    // Meanwhile the leader has moved.
    tell(d.metadata, {{"a", id(1), {3, 3, 3}}, {"b", id(2), {2}}}, d.now, 1);
    d.pass_idle();
    const auto ask = d.expect<position_finder::list_offsets>();
    CHECK(ask.node == 3);
    REQUIRE(ask.items.size() == 1);
    CHECK(ask.items[0].leader_epoch == 11);
    d.answer(3, lists({{"a", 0, 3, 4}}));
    d.expect_found(lease(1, 0), {3, 4}, source::reset);
  }
}

// Java's OffsetFetcherUtils retries what it does not expect.
TEST_CASE("position_finder: a leader's error that nobody expected may pass", "[position_finder]") {
  for (const int code : {-1, 8, 4711}) {
    driven d;
    d.finder.from_reset(lease(2, 0));
    d.expect<position_finder::list_offsets>();
    d.answer(2, lists({{"b", 0, -1, -1, static_cast<kafka_error>(code)}}));
    d.expect<position_finder::refresh_metadata>();
    check_pause(d.idle(), 100);
    d.pass_idle();
    d.expect<position_finder::list_offsets>();
    d.answer(2, lists({{"b", 0, 4, 1}}));
    d.expect_found(lease(2, 0), {4, 1}, source::reset);
  }
}

TEST_CASE("position_finder: a leader that does not answer delays only its own partitions", "[position_finder]") {
  driven d;
  d.finder.from_reset(lease(1, 0));
  CHECK(d.expect<position_finder::list_offsets>().node == 1);
  d.finder.from_reset(lease(1, 1));
  CHECK(d.idle() == -1);  // one in flight for each broker
  d.finder.from_reset(lease(2, 0));
  CHECK(d.expect<position_finder::list_offsets>().node == 2);
  // Also one that leaves just now, and whose address is gone before it is no leader any more (seed 19394).
  d.finder.on_list_offsets_failed(1, failure(GENERATE(errc::request_timeout, errc::unknown_broker)), at_ms(d.now), 0);
  d.answer(2, lists({{"b", 0, 4, 1}}));
  d.expect_found(lease(2, 0), {4, 1}, source::reset);
  d.expect<position_finder::refresh_metadata>();
  check_pause(d.idle(), 100);
  d.finder.from_reset(lease(2, 0, 2));
  CHECK(d.expect<position_finder::list_offsets>().node == 2);
  d.pass_idle();
  CHECK(d.expect<position_finder::list_offsets>().items.size() == 2);
  // A second answer, one of a broker that was not asked, one with names that were not.
  d.answer(2, lists({{"b", 0, 4, 1}, {"zzz", 0, 4, 1}}));
  d.expect_found(lease(2, 0, 2), {4, 1}, source::reset);
  d.answer(2, lists({{"b", 0, 9, 1}}));
  d.answer(3, lists({{"a", 0, 9, 1}}));
  d.finder.on_list_offsets_failed(3, failure(errc::request_timeout), at_ms(d.now), 0);
  CHECK(d.idle() == -1);
}

}  // namespace position_finder_errors_tests
