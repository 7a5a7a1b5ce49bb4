// A position that the leader refuses: where its epoch ends tells a truncated log from one whose head was deleted (14, 15).

#include "position_finder_support.hpp"

namespace position_finder_epoch_tests {

using namespace position_finder_support;
using ask_ends = position_finder::find_epoch_ends;

TEST_CASE("position_finder: a refused position without an epoch is reset at once (35)", "[position_finder]") {
  driven d;
  d.finder.from_out_of_range(lease(1, 0), offset_and_epoch(50));
  CHECK(d.expect<position_finder::list_offsets>().items.at(0).timestamp == -2);
}

TEST_CASE("position_finder: one with an epoch is asked about first (14, 15)", "[position_finder]") {
  driven d;
  d.finder.from_out_of_range(lease(1, 1), offset_and_epoch(50, 7));
  d.finder.from_out_of_range(lease(1, 0), offset_and_epoch(60, 8));
  const auto ask = d.expect<ask_ends>();
  CHECK(ask.node == 1);
  const auto request = ask.request();
  CHECK(request.replica_id == -1);
  REQUIRE(request.topics.size() == 1);
  CHECK(request.topics[0].topic == "a");
  REQUIRE(request.topics[0].partitions.size() == 2);
  CHECK(request.topics[0].partitions[0].partition == 0);
  CHECK(request.topics[0].partitions[0].leader_epoch == 8);
  CHECK(request.topics[0].partitions[1].leader_epoch == 7);
  CHECK(request.topics[0].partitions[1].current_leader_epoch == 10);
  CHECK(d.idle() == -1);

  d.answer(1, ends({{"a", 0, 40, 6}, {"a", 1, 50, 7}}));
  SECTION("below it the epochs part: there it goes on") {
    d.expect_found(lease(1, 0), {40, 6}, source::truncated);
  }
  SECTION("the epoch reaches to it: the log's head was deleted, and the policy speaks") {
    d.expect<position_finder::found>();
    const auto list = d.expect<position_finder::list_offsets>();
    REQUIRE(list.items.size() == 1);
    CHECK(list.items[0].lease == lease(1, 1));
    CHECK(list.items[0].timestamp == -2);
    d.answer(1, lists({{"a", 1, 55, 7}}));
    d.expect_found(lease(1, 1), {55, 7}, source::reset);
  }
}

TEST_CASE("position_finder: of an epoch that the leader never had the policy speaks, and it is a truncation (14)", "[position_finder]") {
  for (const listed& unknown : {listed{"a", 0, -1, -1}, listed{"a", 0, -1, 3}, listed{"a", 0, 70, -1}}) {
    driven d;
    d.finder.from_out_of_range(lease(1, 0), offset_and_epoch(60, 8));
    d.expect<ask_ends>();
    d.answer(1, ends({unknown}));
    d.expect<position_finder::list_offsets>();
    d.answer(1, lists({{"a", 0, 12, 3}}));
    d.expect_found(lease(1, 0), {12, 3}, source::truncated);
  }
}

TEST_CASE("position_finder: without a policy a truncation and a deleted head are told apart", "[position_finder]") {
  struct {
    listed end;
    errc expected;
  } const rows[] = {
      {{"a", 0, 40, 6}, errc::log_truncated},
      {{"a", 0, -1, -1}, errc::log_truncated},
      {{"a", 0, 60, 8}, errc::no_offset},
      {{"a", 0, 99, 8}, errc::no_offset},
  };
  for (const auto& row : rows) {
    CAPTURE(row.end.offset);
    driven d(policy::none);
    d.finder.from_out_of_range(lease(1, 0), offset_and_epoch(60, 8));
    d.expect<ask_ends>();
    d.answer(1, ends({row.end}));
    d.expect_not_found(lease(1, 0), row.expected);
    CHECK(d.finder.empty());
  }
}

TEST_CASE("position_finder: errors of OffsetForLeaderEpoch are asked again, or final, and never a reset (14)", "[position_finder]") {
  for (const auto error : {kafka_error::fenced_leader_epoch, kafka_error::unknown_leader_epoch, kafka_error::not_leader_or_follower,
                           kafka_error::unknown_topic_or_partition}) {
    CAPTURE(static_cast<int>(error));
    driven d;
    d.finder.from_out_of_range(lease(1, 0), offset_and_epoch(60, 8));
    d.expect<ask_ends>();
    d.answer(1, ends({{"a", 0, 1, 1, error}}));
    d.expect<position_finder::refresh_metadata>();
    check_pause(d.idle(), 100);
    tell(d.metadata, {{"a", id(1), {3, 3, 3}}, {"b", id(2), {2}}}, d.now, 1);
    d.pass_idle();
    const auto again = d.expect<ask_ends>();
    CHECK(again.node == 3);
    CHECK(again.items.at(0).leader_epoch == 11);
    CHECK(again.items.at(0).epoch == 8);
    d.answer(1, ends({{"a", 0, 5, 5}}));  // the former leader's, once more
    d.answer(3, ends({{"a", 0, 40, 6}}));
    d.expect_found(lease(1, 0), {40, 6}, source::truncated);
  }
  driven d;
  d.finder.from_out_of_range(lease(1, 0), offset_and_epoch(60, 8));
  d.expect<ask_ends>();
  d.answer(1, ends({{"a", 0, 1, 1, kafka_error::topic_authorization_failed}}));
  d.expect_not_found(lease(1, 0), kafka_error::topic_authorization_failed);
}

TEST_CASE("position_finder: a leader that does not say where epochs end is asked again", "[position_finder]") {
  driven d;
  d.finder.from_out_of_range(lease(1, 0), offset_and_epoch(60, 8));
  d.expect<ask_ends>();
  SECTION("its connection broke") {
    d.finder.on_epoch_ends_failed(1, failure(errc::request_timeout), at_ms(d.now), 0);
    d.expect<position_finder::refresh_metadata>();
  }
  SECTION("its answer leaves the partition out") {
    d.answer(1, ends({{"zzz", 0, 4, 1}, {"a", 2, 4, 1}}));
  }
  check_pause(d.idle(), 100);
  d.pass_idle();
  d.expect<ask_ends>();
  // Sought meanwhile: the answer is nobody's.
  d.finder.remove(lease(1, 0).partition);
  d.answer(1, ends({{"a", 0, 40, 6}}));
  CHECK(d.idle() == -1);
  CHECK(d.finder.empty());
}

}  // namespace position_finder_epoch_tests
