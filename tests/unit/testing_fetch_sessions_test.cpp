#include <cstdint>
#include <utility>
#include <vector>

#include <kawait/testing/fetch_sessions.hpp>

#include "catch.hpp"

namespace testing_fetch_sessions_tests {

using namespace kawait;
using namespace std::chrono_literals;
using testing::fetch_sessions;
using testing::fetch_wish;
using kind = fetch_sessions::kind;

const std::vector<topic_id_partition> nothing;

topic_id_partition at(std::int32_t p) { return topic_id_partition(uuid(), p); }

fetch_wish wish(std::int32_t p, std::int64_t offset = 0) {
  fetch_wish w;
  w.partition = at(p);
  w.fetch_offset = offset;
  return w;
}

fetch_sessions::response response(std::int64_t high_watermark = 10, std::size_t bytes = 0) {
  static const std::vector<std::byte> zeros(1000);
  fetch_sessions::response r;
  r.high_watermark = high_watermark;
  r.log_start_offset = 0;
  r.records = protocol::bytes_view(zeros).first(bytes);
  return r;
}

struct harness {
  explicit harness(std::size_t slots = 1000) : sessions(slots) {}

  fetch_sessions::context begin(std::int32_t id, std::int32_t epoch, std::vector<fetch_wish> wishes,
                                const std::vector<topic_id_partition>& forgotten = nothing, bool ids = true) {
    auto c = sessions.begin(now, id, epoch, ids, std::move(wishes), forgotten);
    sessions.grant(c, now, ids, [this] { return next++; });
    return c;
  }
  /// A session of partitions 0 to n - 1.
  std::int32_t open(std::int32_t n) {
    std::vector<fetch_wish> wishes;
    for (std::int32_t p = 0; p < n; ++p) wishes.push_back(wish(p));
    auto c = begin(0, 0, wishes);
    for (std::int32_t p = 0; p < n; ++p) CHECK(sessions.must_answer(c, at(p), response()));
    return c.session_id;
  }
  std::vector<std::int32_t> order(const fetch_sessions::context& c) {
    std::vector<std::int32_t> all;
    for (const auto& w : c.wishes) all.push_back(w.partition.partition);
    return all;
  }

  machine::time_point now{1000h};
  std::uint64_t next = 41;
  fetch_sessions sessions;
};

using numbers = std::vector<std::int32_t>;

TEST_CASE("fetch_sessions: a full request is granted a session, an epoch of -1 none") {
  harness h;
  const auto c = h.begin(0, 0, {wish(0), wish(1)});
  CHECK(c.kind == kind::full);
  CHECK(c.session_id == 41);
  CHECK(h.order(c) == numbers{0, 1});
  const auto none = h.begin(41, -1, {wish(0)});
  CHECK(none.kind == kind::sessionless);
  CHECK(none.session_id == 0);
  CHECK(h.sessions.size() == 0);  // and it closed the one named
}

TEST_CASE("fetch_sessions: incremental requests name only what changes") {
  harness h;
  const auto id = h.open(3);
  auto c = h.begin(id, 1, {wish(1, 50), wish(7)}, {at(2)});
  CHECK(c.kind == kind::incremental);
  CHECK(c.session_id == id);
  CHECK(h.order(c) == numbers{0, 1, 7});
  CHECK(c.wishes[1].fetch_offset == 50);
  CHECK(h.sessions.must_answer(c, at(7), response()));  // new: it has no high watermark yet
  c = h.begin(id, 2, {});
  CHECK(c.wishes[1].fetch_offset == 50);  // as sent last
}

TEST_CASE("fetch_sessions: what has not changed is not answered") {
  harness h;
  const auto id = h.open(1);
  std::int32_t epoch = 1;
  const auto told = [&](const fetch_sessions::response& r) {
    auto c = h.begin(id, epoch++, {});
    return h.sessions.must_answer(c, at(0), r);
  };
  CHECK(!told(response()));
  CHECK(told(response(10, 5)));
  CHECK(told(response(10, 5)));
  CHECK(told(response(11)));
  CHECK(!told(response(11)));
  auto r = response(11);
  r.log_start_offset = 3;
  CHECK(told(r));
  CHECK(!told(r));
  r.preferred_read_replica = 2;
  CHECK(told(r));
  r.preferred_read_replica = -1;
  r.diverging_epoch.epoch = 1;
  CHECK(told(r));
  r.diverging_epoch.epoch = -1;
  r.error_code = 6;
  CHECK(told(r));
  CHECK(told(r));
  r.error_code = 0;
  CHECK(told(r));  // an error forgets the high watermark
  CHECK(!told(r));
}

TEST_CASE("fetch_sessions: who got records comes last the next time") {
  harness h;
  const auto id = h.open(3);
  auto c = h.begin(id, 1, {});
  CHECK(h.sessions.must_answer(c, at(0), response(10, 100)));
  CHECK(h.sessions.must_answer(c, at(1), response(10, 100)));
  CHECK(!h.sessions.must_answer(c, at(2), response()));
  c = h.begin(id, 2, {});
  CHECK(h.order(c) == numbers{2, 0, 1});
}

TEST_CASE("fetch_sessions: errors leave a session as it is") {
  harness h;
  const auto id = h.open(1);
  CHECK(h.begin(id + 1, 1, {}).error == kafka_error::fetch_session_id_not_found);
  CHECK(h.begin(id, 2, {}).error == kafka_error::invalid_fetch_session_epoch);
  CHECK(h.begin(id, 1, {}, nothing, false).error == kafka_error::fetch_session_topic_id_error);
  CHECK(h.begin(id, 1, {}).kind == kind::incremental);
  CHECK(h.begin(id, 1, {}).error == kafka_error::invalid_fetch_session_epoch);  // sent twice
  CHECK(h.begin(id, 2, {}).kind == kind::incremental);
}

TEST_CASE("fetch_sessions: forgetting the last partition closes the session") {
  harness h;
  const auto id = h.open(1);
  const auto c = h.begin(id, 1, {}, {at(0), at(5)});
  CHECK(c.kind == kind::sessionless);
  CHECK(c.session_id == 0);
  CHECK(h.sessions.size() == 0);
}

TEST_CASE("fetch_sessions: no room, until one has not been used for two minutes") {
  harness none(0);
  CHECK(none.begin(0, 0, {wish(0)}).session_id == 0);
  harness h(1);
  const auto id = h.open(1);
  CHECK(h.begin(0, 0, {wish(0)}).session_id == 0);
  h.now += 3min;
  const auto c = h.begin(0, 0, {wish(0)});
  CHECK(c.session_id != 0);
  CHECK(h.begin(id, 1, {}).error == kafka_error::fetch_session_id_not_found);
  h.sessions.evict(c.session_id);
  CHECK(h.sessions.size() == 0);
}

}  // namespace testing_fetch_sessions_tests
