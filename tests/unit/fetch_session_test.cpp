#include "fetch_session_support.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "catch.hpp"

namespace fetch_session_tests {

using namespace fetch_session_support;

const std::array<std::byte, 8> some_records{};

fetch_response with_records(fetch_response response, const topic_id_partition& p) {
  fetch_response::topic t;
  t.topic_id = p.topic_id;
  t.partitions.emplace_back();
  t.partitions.back().partition_index = p.partition;
  t.partitions.back().records = kawait::protocol::bytes_view(some_records);
  response.responses.push_back(std::move(t));
  return response;
}

/// A session with id 5, open, with partitions 0 … n-1 of topic 1 at offset 100.
fetch_session opened(int n) {
  fetch_session session;
  for (int p = 0; p < n; ++p) session.set(part(1, p), at(100));
  session.next(some_limits());
  session.on_response(answer(5));
  return session;
}

TEST_CASE("fetch_session: the first request is full and asks for a session (16, 21, 23)", "[fetch_session]") {
  fetch_session session;
  CHECK_FALSE(session.wants_any());
  session.set(part(2, 1), position(40, 9, 8, 777));
  session.set(part(1, 3), at(10));
  session.set(part(1, 0), at(20));
  CHECK(session.wants_any());
  CHECK(session.has_changes());
  const auto& request = session.next(some_limits());
  CHECK(session.in_flight());
  CHECK_FALSE(session.has_changes());
  CHECK(request.session_id == 0);
  CHECK(request.session_epoch == 0);
  CHECK(request.max_wait_ms == 500);
  CHECK(request.min_bytes == 1);
  CHECK(request.max_bytes == 50'000'000);
  CHECK(request.isolation_level == 1);
  CHECK(request.rack_id == "rack-a");
  CHECK(request.replica_id == -1);
  CHECK(listed(request) == std::vector<std::pair<topic_id_partition, std::int64_t>>{
                               {part(1, 0), 20}, {part(1, 3), 10}, {part(2, 1), 40}});
  REQUIRE(request.topics.size() == 2);  // ids are not repeated
  const auto& item = request.topics[1].partitions[0];
  CHECK(item.current_leader_epoch == 9);
  CHECK(item.last_fetched_epoch == 8);
  CHECK(item.partition_max_bytes == 777);
  CHECK(item.log_start_offset == -1);
  CHECK(request.forgotten_topics_data.empty());
}

TEST_CASE("fetch_session: epochs run from 1, and after the largest again from 1 (23)", "[fetch_session]") {
  auto session = opened(2);
  for (std::int32_t epoch = 1; epoch < 5; ++epoch) {
    const auto& request = session.next(some_limits());
    CHECK(request.session_id == 5);
    CHECK(request.session_epoch == epoch);
    CHECK(listed(request).empty());  // nothing changed
    CHECK(session.on_response(answer(5)).what == kind::deliver);
  }
  CHECK(kawait::machine::detail::next_session_epoch(1) == 2);
  CHECK(kawait::machine::detail::next_session_epoch(std::numeric_limits<std::int32_t>::max() - 1) ==
        std::numeric_limits<std::int32_t>::max());
  CHECK(kawait::machine::detail::next_session_epoch(std::numeric_limits<std::int32_t>::max()) == 1);
}

TEST_CASE("fetch_session: without a granted session every request is full (23)", "[fetch_session]") {
  fetch_session session;
  session.set(part(1, 0), at(100));
  session.set(part(1, 1), at(100));
  for (int i = 0; i < 3; ++i) {
    const auto& request = session.next(some_limits());
    CHECK(request.session_id == 0);
    CHECK(request.session_epoch == 0);
    CHECK(as_map(request).size() == 2);
    CHECK(session.on_response(answer(0)).what == kind::deliver);
  }
  CHECK_FALSE(session.closing());
}

TEST_CASE("fetch_session: an incremental request lists what was added, changed or forgotten (24, 25, 26)", "[fetch_session]") {
  auto session = opened(5000);
  session.set(part(1, 17), at(150));  // got data
  session.set(part(1, 18), at(100));  // unchanged
  session.set(part(2, 0), at(7));     // new
  session.remove(part(1, 4000));      // paused
  session.remove(part(1, 9999));      // never there
  CHECK(session.has_changes());
  const auto* request = &session.next(some_limits());
  CHECK(as_map(*request) == offsets{{part(1, 17), 150}, {part(2, 0), 7}});
  CHECK(forgotten(*request) == std::set<topic_id_partition>{part(1, 4000)});
  session.on_response(answer(5));

  // Once told, never again.
  request = &session.next(some_limits());
  CHECK(listed(*request).empty());
  CHECK(forgotten(*request).empty());
  session.on_response(answer(5));

  SECTION("removed and added again before a request: only its position is sent") {
    session.remove(part(1, 3));
    session.set(part(1, 3), at(200));
    session.remove(part(1, 4));
    session.set(part(1, 4), at(100));
    request = &session.next(some_limits());
    CHECK(as_map(*request) == offsets{{part(1, 3), 200}});
    CHECK(forgotten(*request).empty());
  }
  SECTION("added and removed before a request: the broker hears nothing of it") {
    session.set(part(3, 0), at(1));
    session.remove(part(3, 0));
    request = &session.next(some_limits());
    CHECK(listed(*request).empty());
    CHECK(forgotten(*request).empty());
  }
  SECTION("a change of anything but the offset is sent, too") {
    session.set(part(1, 5), position(100, 8, 3, 1024));
    session.set(part(1, 6), position(100, 7, 4, 1024));
    session.set(part(1, 7), position(100, 7, 3, 1025));
    CHECK(as_map(session.next(some_limits())).size() == 3);
  }
  SECTION("changed and changed back") {
    session.set(part(1, 5), at(300));
    session.set(part(1, 5), at(100));
    CHECK(listed(session.next(some_limits())).empty());
  }
}

TEST_CASE("fetch_session: a topic created again is forgotten and added in one request (31)", "[fetch_session]") {
  auto session = opened(1);
  session.remove(part(1, 0));
  session.set(part(2, 0), at(0));
  const auto& request = session.next(some_limits());
  CHECK(as_map(request) == offsets{{part(2, 0), 0}});
  CHECK(forgotten(request) == std::set<topic_id_partition>{part(1, 0)});
}

TEST_CASE("fetch_session: forgetting the last partition closes the session (26)", "[fetch_session]") {
  auto session = opened(1);
  session.remove(part(1, 0));
  CHECK_FALSE(session.wants_any());
  CHECK(session.has_changes());
  CHECK(forgotten(session.next(some_limits())).size() == 1);
  CHECK(session.on_response(answer(0)).what == kind::deliver);
  CHECK_FALSE(session.closing());
  session.set(part(1, 0), at(120));
  const auto& request = session.next(some_limits());
  CHECK(request.session_id == 0);
  CHECK(request.session_epoch == 0);
  CHECK(as_map(request) == offsets{{part(1, 0), 120}});
}

TEST_CASE("fetch_session: session errors are absorbed, positions stay (28)", "[fetch_session]") {
  struct {
    kafka_error error;
    std::int32_t next_id;
  } const rows[] = {
      {kafka_error::fetch_session_id_not_found, 0},
      {kafka_error::invalid_fetch_session_epoch, 5},
      {kafka_error::fetch_session_topic_id_error, 5},
  };
  for (const auto& row : rows) {
    CAPTURE(static_cast<int>(row.error));
    auto session = opened(3);
    session.set(part(1, 1), at(170));
    session.remove(part(1, 2));
    session.next(some_limits());
    CHECK(session.on_response(answer(0, row.error)).what == kind::absorbed);
    CHECK_FALSE(session.in_flight());
    const auto& request = session.next(some_limits());
    CHECK(request.session_id == row.next_id);
    CHECK(request.session_epoch == 0);
    CHECK(as_map(request) == offsets{{part(1, 0), 100}, {part(1, 1), 170}});
    CHECK(forgotten(request).empty());

    // To a full request the same error is no news of a session: without a pause it would be asked for ever.
    const auto verdict = session.on_response(answer(0, row.error));
    CHECK(verdict.what == kind::failed);
    CHECK(verdict.why.code == row.error);
  }
}

TEST_CASE("fetch_session: another error fails the request, and the next one is full", "[fetch_session]") {
  auto session = opened(2);
  session.next(some_limits());
  const auto verdict = session.on_response(answer(0, kafka_error::unknown_server_error));
  CHECK(verdict.what == kind::failed);
  CHECK(verdict.why.code == kafka_error::unknown_server_error);
  const auto& request = session.next(some_limits());
  CHECK(request.session_id == 5);
  CHECK(request.session_epoch == 0);
  CHECK(as_map(request).size() == 2);
}

TEST_CASE("fetch_session: after a disconnect, the old id with epoch 0 and everything (29)", "[fetch_session]") {
  auto session = opened(2);
  session.set(part(1, 1), at(101));
  session.next(some_limits());
  session.on_disconnected();
  CHECK_FALSE(session.in_flight());
  CHECK(session.on_response(answer(5)).what == kind::absorbed);  // a late answer is nobody's
  const auto& request = session.next(some_limits());
  CHECK(request.session_id == 5);
  CHECK(request.session_epoch == 0);
  CHECK(as_map(request) == offsets{{part(1, 0), 100}, {part(1, 1), 101}});
  session.on_response(answer(6));
  CHECK(session.next(some_limits()).session_id == 6);
}

TEST_CASE("fetch_session: throttled answers (30)", "[fetch_session]") {
  SECTION("to a full request: no session") {
    fetch_session session;
    session.set(part(1, 0), at(100));
    session.next(some_limits());
    auto throttled = answer(0);
    throttled.throttle_time_ms = 100;
    CHECK(session.on_response(throttled).what == kind::deliver);
    CHECK(session.next(some_limits()).session_epoch == 0);
  }
  SECTION("to an incremental one: the broker took the offsets and the epoch") {
    auto session = opened(2);
    session.set(part(1, 0), at(130));
    session.next(some_limits());
    auto throttled = answer(5);
    throttled.throttle_time_ms = 100;
    CHECK(session.on_response(throttled).what == kind::deliver);
    const auto& request = session.next(some_limits());
    CHECK(request.session_epoch == 2);
    CHECK(listed(request).empty());
    CHECK(session.asked_offset(part(1, 0)) == 130);
  }
}

TEST_CASE("fetch_session: an answer for another session ends ours", "[fetch_session]") {
  auto session = opened(1);
  session.next(some_limits());
  CHECK(session.on_response(answer(77)).what == kind::deliver);
  const auto& request = session.next(some_limits());
  CHECK(request.session_id == 5);
  CHECK(request.session_epoch == 0);
}

TEST_CASE("fetch_session: the offset a partition was asked with (27, 32)", "[fetch_session]") {
  auto session = opened(3);
  CHECK(session.asked_offset(part(1, 0)) == 100);
  session.next(some_limits());           // lists nothing: the broker answers for what it was sent before
  session.set(part(1, 0), at(5000));     // a seek while it is under way
  session.remove(part(1, 1));            // a revocation
  session.set(part(2, 0), at(1));        // an assignment
  CHECK(session.asked_offset(part(1, 0)) == 100);
  CHECK_FALSE(session.asked_offset(part(1, 1)));
  CHECK_FALSE(session.asked_offset(part(2, 0)));
  CHECK_FALSE(session.asked_offset(part(9, 0)));
  session.on_response(answer(5));
  CHECK(session.asked_offset(part(1, 0)) == 100);
  session.next(some_limits());
  CHECK(session.asked_offset(part(1, 0)) == 5000);
  CHECK_FALSE(session.asked_offset(part(1, 1)));
  CHECK(session.asked_offset(part(2, 0)) == 1);
}

TEST_CASE("fetch_session: in full requests each partition comes first in its turn (18)", "[fetch_session]") {
  // The worst broker: it serves the first partition in the request's order that has data, and only that one.
  fetch_session session;
  const std::set<topic_id_partition> with_data{part(1, 0), part(1, 2), part(2, 1), part(3, 0)};
  for (int t = 1; t <= 3; ++t) {
    for (int p = 0; p < 3; ++p) session.set(part(t, p), at(0));
  }
  std::map<topic_id_partition, int> served;
  for (int round = 0; round < 40; ++round) {
    const auto order = listed(session.next(some_limits()));
    CHECK(order.size() == 9);
    for (const auto& [p, offset] : order) {
      if (with_data.count(p) == 0) continue;
      ++served[p];
      session.set(p, at(offset + 1));
      session.on_response(with_records(answer(0), p));
      break;
    }
  }
  for (const auto& p : with_data) CHECK(served[p] == 10);
}

TEST_CASE("fetch_session: closing and one-shot requests (23)", "[fetch_session]") {
  CHECK_FALSE(fetch_session().closing());
  const auto session = opened(2);
  const auto closing = session.closing();
  REQUIRE(closing);
  CHECK(closing->session_id == 5);
  CHECK(closing->session_epoch == -1);
  CHECK(closing->max_wait_ms == 0);
  CHECK(closing->topics.empty());

  const std::vector<std::pair<topic_id_partition, position>> some{
      {part(1, 0), at(3)}, {part(1, 4), at(4)}, {part(2, 0), position(9, 1, 2, 3)}};
  const auto request = fetch_session::one_shot(some, fetch_session::limits(0, 1, 1000));
  CHECK(request.session_id == 0);
  CHECK(request.session_epoch == -1);
  CHECK(request.max_wait_ms == 0);
  CHECK(request.max_bytes == 1000);
  REQUIRE(request.topics.size() == 2);
  CHECK(as_map(request) == offsets{{part(1, 0), 3}, {part(1, 4), 4}, {part(2, 0), 9}});
  CHECK(request.topics[1].partitions[0].last_fetched_epoch == 2);
}

TEST_CASE("fetch_session: the request's storage is used again", "[fetch_session]") {
  auto session = opened(100);
  const void* storage = nullptr;
  for (std::int64_t i = 0; i < 10; ++i) {
    for (int p = 0; p < 20; ++p) session.set(part(1, p), at(200 + i));
    const auto& request = session.next(some_limits());
    REQUIRE(request.topics.size() == 1);
    if (i > 0) CHECK(static_cast<const void*>(request.topics[0].partitions.data()) == storage);
    storage = request.topics[0].partitions.data();
    session.on_response(answer(5));
  }
}

}  // namespace fetch_session_tests
