#include "catch.hpp"

#include "simulation/simulated_kafka.hpp"

// Consumers that are told of assigned, revoked and lost partitions, in virtual time.

namespace events_tests {

using namespace std::chrono_literals;
using kawait::errc;
using kawait::kafka_error;
using simulated::kafka;
using codes = std::vector<std::error_code>;
using owned_set = std::set<std::int32_t>;
using kind = kawait::event::kind;

const std::error_code aborted = asio::error::operation_aborted;

/// A member that notes its events.
struct member {
  explicit member(kawait::testing::world& w, kawait::config c = simulated::member_config()) : world(w), began(w.now()) {
    consumer.emplace(w.executor(), c);
    consumer->subscribe(kafka::topic);
    consumer->async_run([this](std::error_code ec) {
      run_ended = true;
      run_error = ec;
    });
    next_event();
  }
  void next_event() {
    consumer->async_next_event([this](std::error_code ec, kawait::event e) {
      if (ec) {
        event_error = ec;
        return;
      }
      events.push_back(std::move(e));
      next_event();
    });
  }
  /// Reads one batch of a partition and keeps it.
  void read(const kawait::partition& p) {
    p.async_next([this](std::error_code ec, std::optional<kawait::batch> b) {
      read_errors.push_back(ec);
      if (b) batches.push_back(std::move(*b));
    });
  }
  kawait::partition partition(std::int32_t index) const {
    for (const auto& p : consumer->assignment()) {
      if (p.index() == index) return p;
    }
    return {};
  }
  void unassign(const kawait::event& e, codes& ends, asio::cancellation_slot slot = {}) {
    consumer->async_incremental_unassign(e.revocation,
                                         asio::bind_cancellation_slot(slot, [&ends](std::error_code ec) { ends.push_back(ec); }));
  }
  std::size_t count(kind k) const {
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const auto& e) { return e.what == k; }));
  }
  void close() {
    consumer->async_close(kawait::close_options(), [this](std::error_code ec) {
      closed_at = world.now();
      closed = ec;
    });
  }
  void go(bool closes, std::chrono::milliseconds timeout) {
    const auto note = [this](std::error_code ec) { closed = ec; };
    if (closes) return consumer->async_close(kawait::close_options(timeout), note);
    consumer->async_unsubscribe(timeout, note);
  }

  kawait::testing::world& world;
  kawait::net::time_point began;
  std::optional<kawait::consumer> consumer;
  std::vector<kawait::event> events;
  std::vector<kawait::batch> batches;
  codes read_errors;
  bool run_ended = false;
  std::error_code run_error, event_error;
  std::optional<std::error_code> closed;
  kawait::net::time_point closed_at{};
};

/// Two partitions are assigned and a batch of the second is in hand; then that one is revoked.
struct revoked {
  explicit revoked(bool hold = true) : k(w, 2), m(w) {
    k.append_numbers(0, 10);
    k.append_numbers(1, 10);
    k.assign(0, {0, 1});
    REQUIRE(w.run_until([&] { return m.count(kind::assigned) == 1; }));
    if (hold) {
      m.read(m.partition(1));
      REQUIRE(w.run_until([&] { return m.batches.size() == 1; }));
    }
    k.assign(0, {0});
    REQUIRE(w.run_until([&] { return m.count(kind::revoked) == 1; }));
    told = w.now();
  }
  /// The broker was told. (The keep-alives behind that name no partitions.)
  bool is_given_up() const {
    return std::any_of(k.heartbeats.begin(), k.heartbeats.end(), [](const auto& h) { return h.owned == owned_set{0}; });
  }

  kawait::testing::world w;
  kafka k;
  member m;
  kawait::net::time_point told{};
};

/// A member of one partition with a batch in hand.
struct holding {
  holding() : k(w, 1), m(w) {
    k.append_numbers(0, 10);
    k.assign(0, {0});
    REQUIRE(w.run_until([&] { return m.count(kind::assigned) == 1; }));
    m.read(m.partition(0));
    REQUIRE(w.run_until([&] { return m.batches.size() == 1; }));
  }

  kawait::testing::world w;
  kafka k;
  member m;
};

TEST_CASE("events tell only what changes", "[events]") {
  revoked r;
  REQUIRE(r.m.events.size() == 2);
  REQUIRE(r.m.events[0].partitions.size() == 2);
  REQUIRE(r.m.events[1].partitions.size() == 1);
  CHECK(r.m.events[1].partitions[0].index() == 1);
  CHECK(r.m.events[1].partitions[0].end_reason() == kawait::end_reason::revoked);
  CHECK(!r.m.events[0].revocation);
  CHECK(r.m.events[1].revocation);
  CHECK(!r.m.events[1].revocation.is_done());
  CHECK(r.m.consumer->assignment().size() == 1);
  r.m.batches.clear();
}

TEST_CASE("many may wait for a revocation; cancelling a wait does not cancel the drain", "[events]") {
  revoked r;
  codes first, second, third;
  asio::cancellation_signal cancel;
  r.m.unassign(r.m.events[1], first, cancel.slot());
  r.m.unassign(r.m.events[1], second);
  r.w.advance(5s);
  CHECK(first.empty());
  cancel.emit(asio::cancellation_type::total);
  r.w.advance(5s);
  CHECK(first == codes{aborted});
  CHECK(second.empty());
  CHECK(!r.is_given_up());
  r.m.batches[0].done();
  r.w.advance(1s);
  CHECK(second.empty());  // done, and still in hand
  r.m.batches.clear();
  REQUIRE(r.w.run_until([&] { return !second.empty(); }));
  CHECK(second == codes{std::error_code()});
  CHECK(r.k.committed[1] == 10);
  CHECK(r.m.events[1].revocation.is_done());
  REQUIRE(r.w.run_until([&] { return r.is_given_up(); }));
  CHECK(r.w.now() - r.told < 15s);
  // Who asks later is told at once.
  r.m.unassign(r.m.events[1], third);
  r.w.poll();
  CHECK(third == codes{std::error_code()});
}

TEST_CASE("a revocation that nobody claims starts by itself at half its deadline", "[events]") {
  revoked r(false);
  r.w.advance(26s);
  CHECK(!r.is_given_up());
  CHECK(!r.m.events[1].revocation.is_done());
  r.w.advance(3s);
  CHECK(r.is_given_up());
  CHECK(r.m.events[1].revocation.is_done());
}

TEST_CASE("work that is still in hand at the deadline is told, and goes stale", "[events]") {
  revoked r;
  codes ends;
  r.m.unassign(r.m.events[1], ends);
  r.w.advance(52s);
  CHECK(ends.empty());
  CHECK(!r.m.batches[0].is_stale());
  REQUIRE(r.w.run_until([&] { return !ends.empty(); }));
  CHECK(r.w.now() - r.told <= 54s);
  CHECK(ends == codes{errc::revocation_deadline});
  CHECK(r.m.batches[0].is_stale());
  r.m.batches[0].done();
  r.m.batches.clear();
  REQUIRE(r.w.run_until([&] { return r.is_given_up(); }));
  r.w.advance(20s);
  CHECK(!r.k.committed.contains(1));
}

// Kafka does not, but the machine is ready for it: the deadline passes, the heartbeat that gives the partition up leaves, and in the same
// breath it is the member's again.
TEST_CASE("a partition that is given back while it is given up waits for the work in hand all the same", "[events]") {
  revoked r;
  r.k.takes_revocations_back = true;
  r.k.assign(0, {0, 1});
  REQUIRE(r.w.run_until([&] { return r.m.batches[0].is_stale(); }));
  CHECK(r.w.now() - r.told >= 50s);
  r.w.advance(10s);
  CHECK(r.m.count(kind::assigned) == 1);
  r.m.batches.clear();
  REQUIRE(r.w.run_until([&] { return r.m.count(kind::assigned) == 2; }, 5s));
  r.m.read(r.m.partition(1));
  REQUIRE(r.w.run_until([&] { return r.m.batches.size() == 1; }, 5s));
  CHECK(r.m.batches[0].first_offset() == 0);
  r.m.batches.clear();
}

TEST_CASE("a drain during which the partition is lost ends with errc::lost", "[events]") {
  const bool claimed_before = GENERATE(true, false);
  revoked r;
  codes ends;
  if (claimed_before) r.m.unassign(r.m.events[1], ends);
  r.k.heartbeat_errors.push_back(kafka_error::fenced_member_epoch);
  REQUIRE(r.w.run_until([&] { return r.m.count(kind::lost) == 1; }));
  CHECK(r.m.batches[0].is_stale());
  if (!claimed_before) r.m.unassign(r.m.events[1], ends);
  REQUIRE(r.w.run_until([&] { return !ends.empty(); }, 5s));
  CHECK(ends == codes{errc::lost});
  r.m.batches[0].done();
  r.m.batches.clear();
  r.w.advance(10s);
  CHECK(!r.k.committed.contains(1));
}

TEST_CASE("a final commit that fails is told, and the partition given up nevertheless", "[events]") {
  revoked r;
  codes ends;
  r.k.commit_errors.assign(10, kafka_error::group_authorization_failed);
  r.m.batches[0].done();
  r.m.batches.clear();
  r.m.unassign(r.m.events[1], ends);
  REQUIRE(r.w.run_until([&] { return !ends.empty(); }));
  CHECK(ends == codes{errc::commit_failed});
  REQUIRE(r.w.run_until([&] { return r.is_given_up(); }));
  CHECK(!r.k.committed.contains(1));
}

TEST_CASE("the offset of a partition that is being revoked may be committed by name until it is given up", "[events]") {
  revoked r;
  const kawait::offset_map named{{kawait::topic_partition(kafka::topic, 1), 4}};
  codes ends;
  const auto note = [&](std::error_code ec, const kawait::commit_result& result) {
    REQUIRE(result.size() == 1);
    ends.push_back(ec ? result[0].code : ec);
  };
  r.m.consumer->async_commit(named, note);
  REQUIRE(r.w.run_until([&] { return ends.size() == 1; }, 5s));
  CHECK(ends.back() == std::error_code());
  CHECK(r.k.committed[1] == 4);
  REQUIRE(r.w.run_until([&] { return r.m.batches[0].is_stale(); }));
  r.m.consumer->async_commit(named, note);
  REQUIRE(r.w.run_until([&] { return ends.size() == 2; }, 5s));
  CHECK(ends.back() == errc::not_assigned);
  r.m.batches.clear();
}

TEST_CASE("lost partitions come back under a new assignment", "[events]") {
  kawait::testing::world w;
  kafka k(w, 2);
  k.append_numbers(0, 10);
  k.assign(0, {0, 1});
  member m(w);
  REQUIRE(w.run_until([&] { return m.count(kind::assigned) == 1; }));
  const kawait::partition before = m.partition(0);
  m.read(before);
  REQUIRE(w.run_until([&] { return m.batches.size() == 1; }));
  k.heartbeat_errors.push_back(kafka_error::unknown_member_id);
  REQUIRE(w.run_until([&] { return m.count(kind::lost) == 1; }));
  CHECK(before.end_reason() == kawait::end_reason::lost);
  CHECK(m.events[1].reason.code == kafka_error::unknown_member_id);
  CHECK_THROWS_AS(before.seek(0), kawait::error);
  m.batches.clear();
  REQUIRE(w.run_until([&] { return m.count(kind::assigned) >= 2; }));
  w.advance(1s);
  CHECK(m.consumer->assignment().size() == 2);
  CHECK(!(m.partition(0) == before));
}

// ---- Close.

TEST_CASE("closing does not wait for a revocation that nobody has claimed", "[events]") {
  revoked r;
  r.m.batches[0].done();
  r.m.batches.clear();
  r.m.close();
  REQUIRE(r.w.run_until([&] { return r.m.closed && r.m.run_ended; }));
  CHECK(!*r.m.closed);
  CHECK(!r.m.run_error);
  CHECK(r.w.now() - r.told < 5s);
  CHECK(r.k.committed[1] == 10);
  CHECK(r.k.heartbeats.back().epoch == -1);
}

TEST_CASE("closing or unsubscribing for ever waits for a batch that is held", "[events]") {
  const bool closes = GENERATE(true, false);
  holding h;
  auto& [w, k, m] = h;
  m.go(closes, std::chrono::milliseconds::max());
  w.advance(20s);
  CHECK(!m.closed);
  CHECK(!m.batches[0].is_stale());
  m.batches[0].done();
  m.batches.clear();
  REQUIRE(w.run_until([&] { return m.closed.has_value(); }, 1min));
  CHECK(!*m.closed);
  CHECK(k.committed[0] == 10);
}

// Nobody has claimed the revocation: its drain begins with the close, and finds the partition gone.
TEST_CASE("closing or unsubscribing tells of what is lost meanwhile, not of what was before", "[events]") {
  const bool closes = GENERATE(true, false), before = GENERATE(true, false);
  revoked r;
  if (!before) r.m.go(closes, 30s);
  r.k.heartbeat_errors.push_back(kafka_error::unknown_member_id);
  REQUIRE(r.w.run_until([&] { return r.m.count(kind::lost) == 1; }));
  if (before) r.m.go(closes, 30s);
  REQUIRE(r.w.run_until([&] { return r.m.closed.has_value(); }));
  CHECK(*r.m.closed == (before ? std::error_code() : make_error_code(errc::lost)));
  r.m.batches.clear();
}

TEST_CASE("closing waits for a batch that is held until near its time-out", "[events]") {
  holding h;
  auto& [w, k, m] = h;
  const auto began = w.now();
  m.close();
  REQUIRE(w.run_until([&] { return m.closed && m.run_ended; }));
  CHECK(*m.closed == errc::revocation_deadline);
  CHECK(m.closed_at - began >= 27s);
  CHECK(m.closed_at - began <= 30s);
  CHECK(m.batches[0].is_stale());
  CHECK(k.heartbeats.back().epoch == -1);  // the rest of the time was for the leave
  CHECK(m.event_error == errc::closed);
}

// Each time the partition is lost with a batch in hand, and announced again once the time for that batch is over.
TEST_CASE("batches of earlier assignments that never come back keep no consumer from ending", "[events]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  member m(w);
  for (std::size_t times = 1; times <= 3; ++times) {
    CAPTURE(times);
    REQUIRE(w.run_until([&] { return m.count(kind::assigned) == times; }));
    m.read(m.partition(0));
    REQUIRE(w.run_until([&] { return m.batches.size() == times; }));
    if (times == 3) break;
    k.heartbeat_errors.push_back(kafka_error::unknown_member_id);
    REQUIRE(w.run_until([&] { return m.count(kind::lost) == times; }));
  }
  m.close();
  REQUIRE(w.run_until([&] { return m.closed.has_value(); }));
  CHECK(*m.closed == errc::revocation_deadline);
  CHECK(w.run_until([&] { return m.run_ended; }, 1s));
  m.batches.clear();
}

TEST_CASE("destroying a consumer ends what waits for a revocation, claimed or not", "[events]") {
  const bool claimed = GENERATE(true, false);
  revoked r;
  codes ends;
  if (claimed) r.m.unassign(r.m.events[1], ends);
  r.w.advance(1s);
  r.m.consumer.reset();
  r.w.poll();
  CHECK(r.m.run_ended);
  CHECK(r.m.run_error == aborted);
  if (claimed) CHECK(ends == codes{aborted});
  r.m.batches.clear();
}

TEST_CASE("a partition that the user was never told of is given up at once", "[events]") {
  holding h;
  auto& [w, k, m] = h;
  // Lost with a batch in hand and assigned again: it is announced once the batch is back. Before that it is revoked.
  k.heartbeat_errors.push_back(kafka_error::unknown_member_id);
  REQUIRE(w.run_until([&] { return m.count(kind::lost) == 1; }));
  w.advance(3s);
  CHECK(m.count(kind::assigned) == 1);
  k.assign(0, {});
  const auto began = w.now();
  REQUIRE(w.run_until([&] { return k.heartbeats.back().owned == owned_set{}; }));
  CHECK(w.now() - began < 5s);
  CHECK(m.count(kind::revoked) == 0);
  m.batches.clear();
}

}  // namespace events_tests
