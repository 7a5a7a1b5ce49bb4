// Members that end otherwise than by a close, and what the others get of it; and members that are told of changes by events. In virtual
// time; the twins of tests/broker's.

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>

#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/offset_commit.hpp>

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;
using kind = kawait::event::kind;

// ---- Handlers.

TEST_CASE("a handler that throws ends its member in order: the others take over at once, and lose nothing", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(4, of_generation(g));
    actor& a = s.join("a");
    actor& b = s.join("b");
    REQUIRE(s.until([&] { return a.owned().size() == 2 && b.owned().size() == 2; }, 1min));
    const std::int32_t poisoned = *a.owned().begin(), other = *a.owned().rbegin();
    bool thrown = false;
    a.work_time = [&](const kawait::batch& batch) -> std::chrono::milliseconds {
      if (batch.partition() != poisoned) return 5s;
      if (!std::exchange(thrown, true)) throw std::runtime_error("poison");
      return 0ms;
    };
    s.write_all(4);
    REQUIRE(s.until([&] { return a.has_ended; }, 1min));
    REQUIRE(a.thrown);
    CHECK_THROWS_AS(std::rethrow_exception(a.thrown), std::runtime_error);
    CHECK(!s.is_member(a));
    CHECK(s.broker.committed("g", "orders", other) == 10);  // it was done
    CHECK(!s.broker.committed("g", "orders", poisoned));
    REQUIRE(s.until_done(4, 10s));
    CHECK(s.log.repeated() == 10);
  }
}

// ---- Events.

/// A member that reads what it is assigned and claims no revocation by itself.
struct listener {
  listener(story& owner, const std::string& name, kawait::config c) : s(owner), consumer(owner.world.executor(), c.client_id(name)) {
    consumer.subscribe("orders");
    consumer.async_run([has_ended = ended](std::error_code) { *has_ended = true; });  // it may end behind this object
    next();
  }
  void next() {
    consumer.async_next_event([this](std::error_code ec, kawait::event e) {
      if (ec) return;
      events.push_back(e);
      if (e.what == kind::assigned) {
        for (const auto& p : e.partitions) read(p);
      }
      next();
    });
  }
  void read(const kawait::partition& p) {
    p.async_next([this, p](std::error_code ec, std::optional<kawait::batch> b) {
      if (ec || !b) return;
      records += static_cast<std::size_t>(b->next_offset() - b->first_offset());
      if (hold) {
        batches.push_back(std::move(*b));
        return;
      }
      b->done();
      b.reset();
      read(p);
    });
  }
  std::size_t count(kind what) const {
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const auto& e) { return e.what == what; }));
  }
  const kawait::event& last(kind what) const {
    return *std::find_if(events.rbegin(), events.rend(), [&](const auto& e) { return e.what == what; });
  }

  story& s;
  kawait::consumer consumer;
  std::vector<kawait::event> events;
  std::vector<kawait::batch> batches;
  std::size_t records = 0;
  bool hold = false;
  std::shared_ptr<bool> ended = std::make_shared<bool>(false);
};

/// A listener that holds a batch of each of four partitions while another member comes, which is to have two of them.
struct listening {
  explicit listening(kafka_generation g) : s(4, of_generation(g)), a(s, "a", s.settings("a")) {
    // What a does with its batches only the broker sees; b's handlers are watched.
    s.write_all(4);
    REQUIRE(s.until([&] { return a.records == 40 && s.broker.group().settled("g"); }));
    REQUIRE(s.until([&] { return s.broker.committed("g", "orders", 3) == 10; }));
    for (std::int32_t p = 0; p < 4; ++p) s.log.expect_committed(topic_id_partition(s.broker.topic_id("orders"), p), 20);
    a.hold = true;
    s.write_all(4);
    REQUIRE(s.until([&] { return a.batches.size() == 4; }));
    b = &s.join("b");
    REQUIRE(s.until([&] { return a.count(kind::revoked) == 1; }, 1min));
    told = s.world.now();
  }
  story s;
  listener a;
  actor* b = nullptr;
  kawait::net::time_point told{};
};

TEST_CASE("events: only the change is told, and many may wait for the drain", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    listening t(g);
    const kawait::event revoked = t.a.last(kind::revoked);
    CHECK(revoked.partitions.size() == 2);
    CHECK(t.a.consumer.assignment().size() == 2);
    for (const auto& p : revoked.partitions) CHECK(p.end_reason() == end_reason::revoked);
    std::optional<std::error_code> first, second, cancelled;
    asio::cancellation_signal cancel;
    t.a.consumer.async_incremental_unassign(revoked.revocation, [&](std::error_code ec) { first = ec; });
    const auto note = [&](std::error_code ec) { cancelled = ec; };
    t.a.consumer.async_incremental_unassign(revoked.revocation, asio::bind_cancellation_slot(cancel.slot(), note));
    t.a.consumer.async_incremental_unassign(revoked.revocation, [&](std::error_code ec) { second = ec; });
    t.s.world.advance(3s);
    cancel.emit(asio::cancellation_type::all);
    t.s.world.advance(3s);
    CHECK(cancelled == asio::error::operation_aborted);
    CHECK(!first);
    CHECK(t.b->owned().empty());
    for (auto& batch : t.a.batches) batch.done();
    t.a.batches.clear();
    REQUIRE(t.s.until([&] { return t.b->owned().size() == 2; }, 10s));
    CHECK(first == std::error_code());
    CHECK(second == std::error_code());
    CHECK(revoked.revocation.is_done());
    for (const auto& p : revoked.partitions) CHECK(t.s.broker.committed("g", "orders", p.index()) == 20);
    CHECK(t.a.count(kind::lost) == 0);
  }
}

TEST_CASE("events: a revocation that nobody claims begins at half the deadline", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    listening t(g);
    for (auto& batch : t.a.batches) batch.done();
    t.a.batches.clear();
    t.s.world.advance(26s);
    CHECK(t.b->owned().empty());
    REQUIRE(t.s.until([&] { return t.b->owned().size() == 2; }, 10s));
    CHECK(t.s.world.now() - t.told >= 27s);  // half of 0.9 times 60 s
    CHECK(t.s.world.now() - t.told <= 33s);
  }
}

/// Whether it commits one of these partitions of "orders".
bool names_one_of(const testing::request_view& r, const index_set& partitions) {
  kawait::protocol::offset_commit_request q;
  REQUIRE(!kawait::protocol::decode_request(q, r.body, r.version));
  for (const auto& t : q.topics) {
    for (const auto& p : t.partitions) {
      if (partitions.contains(p.partition_index)) return true;
    }
  }
  return false;
}

TEST_CASE("events: at the deadline a held batch turns stale, and the next owner begins", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    listening t(g);
    const kawait::event revoked = t.a.last(kind::revoked);
    index_set given_up;
    for (const auto& p : revoked.partitions) given_up.insert(p.index());
    std::size_t commits = 0, theirs = 0;  // of a, and those that name what it gives up
    t.s.otherwise = [&](const testing::request_view& r) {
      if (r.api == api_key::offset_commit && r.client_id == "a") {
        ++commits;
        theirs += names_one_of(r, given_up) ? 1 : 0;
      }
      return fault();
    };
    std::optional<std::error_code> claimed;
    t.a.consumer.async_incremental_unassign(revoked.revocation, [&](std::error_code ec) { claimed = ec; });
    t.s.world.advance(26s);
    CHECK(!t.a.consumer.last_warning());
    t.s.world.advance(2s);  // half of 0.9 times 60 s: whoever waits for himself is told what for
    CHECK(t.a.consumer.last_warning().code == errc::revocation_deadline);
    for (const auto& p : revoked.partitions) {
      CHECK(t.a.consumer.last_warning().words.find(p.name().to_string()) != std::string::npos);
    }
    REQUIRE(t.s.until([&] { return t.b->owned().size() == 2; }, 2min));
    CHECK(t.s.world.now() - t.told >= 53s);
    CHECK(t.s.world.now() - t.told <= 60s);
    CHECK(claimed == errc::revocation_deadline);
    for (const auto& p : revoked.partitions) CHECK(p.is_stale());
    CHECK(t.a.consumer.assignment().size() == 2);  // the broker did not throw it out
    CHECK(t.a.count(kind::lost) == 0);
    REQUIRE(t.s.until([&] { return t.s.log.records() == 20; }, 10s));
    for (const ownership& o : t.s.log.all()) CHECK(o.first == 10);
    // Done too late: it must not become a commit. What is done of the others does.
    const std::size_t before = theirs, all_before = commits;
    for (auto& batch : t.a.batches) batch.done();
    t.a.batches.clear();
    t.s.world.advance(20s);
    CHECK(commits > all_before);
    CHECK(theirs == before);
    CHECK(!*t.a.ended);
  }
}

TEST_CASE("events: what is lost is told with the broker's reason, and comes back as another assignment", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    listener a(s, "a", s.settings("a"));
    REQUIRE(s.until([&] { return a.count(kind::assigned) == 1; }, 1min));
    const kawait::event before = a.last(kind::assigned);
    const std::string id = a.consumer.member_id();
    REQUIRE(s.broker.group().expire(s.world.now(), "g", id));
    REQUIRE(s.until([&] { return a.count(kind::lost) == 1; }, 10s));
    CHECK(a.last(kind::lost).partitions.size() == 2);
    CHECK(a.last(kind::lost).reason.code == kafka_error::unknown_member_id);
    for (const auto& p : before.partitions) {
      CHECK(p.is_stale());
      CHECK(p.end_reason() == end_reason::lost);
    }
    REQUIRE(s.until([&] { return a.count(kind::assigned) == 2; }, 10s));
    CHECK(a.consumer.member_id() == id);
    CHECK(!(a.last(kind::assigned).partitions.front() == before.partitions.front()));
  }
}

}  // namespace
}  // namespace embedded
