// How partitions go: work in hand is waited for, the deadline ends the waiting, and what the group took away is lost.

#include "member_support.hpp"

#include <atomic>
#include <thread>

#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>

namespace kawait::tests {
namespace {

// ---- One slow handler.

struct slow_world {
  history* log = nullptr;
  std::string name;
  std::set<std::int32_t> slow;
  bool hurry = false;                                       // no more waiting: the test is over
  std::map<std::int32_t, clock::time_point> revoked_at;     // of those that were slow when they were revoked
};

/// The slow partitions' handlers have work in hand when the revocation comes, and take two seconds for it.
struct slow_handler {
  slow_world* world;
  asio::awaitable<void> operator()(kawait::partition p) const { return work(*world, std::move(p)); }
  static asio::awaitable<void> work(slow_world& w, kawait::partition p) {
    open_ownership own(*w.log, w.name, p);
    for (;;) {
      auto b = co_await p.async_next();
      if (!b) break;
      w.log->deliver(*own, *b);
      if (w.slow.contains(p.index()) && !w.hurry) {
        EVENTUALLY(w.hurry || p.end_reason() != end_reason::none);
        if (!w.hurry) {
          w.revoked_at[p.index()] = clock::now();
          co_await sleep_for(2s);
        }
      }
      b->done();
    }
    own.why = p.end_reason();
  }
};

asio::awaitable<void> slow_revocation(scenario& s) {
  const std::string topic = unique_name("slow"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 6);
  load& l = s.make<load>(s.admin, topic, 6);
  member& a = s.subscribe("a", s.settings(group), topic);
  member& b = s.subscribe("b", s.settings(group), topic);
  slow_world& w = s.make<slow_world>();
  w.log = &s.log;
  w.name = "a";
  w.slow = {0, 1, 2, 3, 4, 5};  // until it is known which of them go
  w.hurry = true;
  a.start_with(slow_handler{&w});
  s.spawn(l.run());
  EVENTUALLY(a.owned().size() == 6 && l.is_consumed(s.log) && l.total() > 600);
  // Of each half of the partitions one is slow, so that some assignment of three takes at least one of them, and leaves quick ones.
  w.slow = {0, 5};
  w.hurry = false;
  b.start();
  EVENTUALLY(!w.revoked_at.empty());
  const std::int32_t slow = w.revoked_at.begin()->first;
  const clock::time_point revoked = w.revoked_at.begin()->second;
  // All that stays with a and is not slow goes on meanwhile.
  std::set<std::int32_t> staying;
  for (const ownership& o : s.log.all()) {
    if (o.open && o.handle.end_reason() == end_reason::none && !w.slow.contains(o.name.partition)) staying.insert(o.name.partition);
  }
  CHECK(staying.size() >= 2);
  std::map<std::int32_t, std::size_t> before;
  for (const std::int32_t p : staying) before[p] = s.log.offsets(topic_partition(topic, p)).size();
  EVENTUALLY([&] {
    for (const std::int32_t p : staying) {
      if (s.log.offsets(topic_partition(topic, p)).size() < before[p] + 50) return false;
    }
    return true;
  }());
  CHECK(s.log.of(topic_partition(topic, slow)).size() == 1);  // nobody else has it yet, and a still works on it
  CHECK(s.log.of(topic_partition(topic, slow)).front()->open);
  EVENTUALLY(s.log.of(topic_partition(topic, slow)).size() == 2);
  const auto owners = s.log.of(topic_partition(topic, slow));
  CHECK(owners[0]->ended - revoked >= 1990ms);
  CHECK(owners[1]->began >= owners[0]->ended);
  CHECK(owners[1]->member == "b");
  // Quick ones that went did not wait for it: their handlers returned at once.
  for (const ownership& o : s.log.all()) {
    if (o.member == "a" && !o.open && !w.slow.contains(o.name.partition)) CHECK(o.ended < owners[0]->ended - 1s);
  }
  w.hurry = true;
  co_await l.stop();
  EVENTUALLY(l.is_consumed(s.log));
  EVENTUALLY(a.owned().size() == 3 && b.owned().size() == 3);
  co_await a.close();
  co_await b.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  CHECK(s.log.repeated() == 0);
  const auto told = co_await s.committed(group, topic, 6);
  for (std::int32_t p = 0; p < 6; ++p) CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
}

TEST_CASE("a handler that takes two seconds delays its partition's revocation, and no other's records", "[membership]") {
  scenario s;
  s.run(&slow_revocation);
}

// ---- Events.

/// A consumer in events mode: a coroutine for each assigned partition, revocations as the test wants them.
struct events_member {
  kawait::consumer consumer;
  history& log;
  std::string name;
  std::vector<event> told;
  bool hold = false;      ///< Batches are kept from now on.
  bool release = false;   ///< And given back, done.
  bool unassign = true;   ///< Revocations are claimed at once.
  bool is_over = false;
  std::error_code outcome;
  int holding = 0;
  std::set<std::int32_t> stale;  ///< Partitions whose held batch turned stale.

  events_member(asio::any_io_executor executor, history& h, std::string n, config c)
      : consumer(std::move(executor), std::move(c)), log(h), name(std::move(n)) {}

  void start() {
    consumer.async_run([this](std::error_code ec) {
      outcome = ec;
      is_over = true;
    });
    asio::co_spawn(consumer.get_executor(), listen(), asio::detached);
  }
  std::size_t count(event::kind what) const {
    std::size_t n = 0;
    for (const event& e : told) n += e.what == what ? 1 : 0;
    return n;
  }
  const event* last(event::kind what) const {
    const event* found = nullptr;
    for (const event& e : told) {
      if (e.what == what) found = &e;
    }
    return found;
  }
  asio::awaitable<void> listen() {
    try {
      for (;;) {
        auto e = co_await consumer.async_next_event();
        told.push_back(e);
        if (e.what == event::kind::assigned) {
          for (const auto& p : e.partitions) asio::co_spawn(consumer.get_executor(), read(p), asio::detached);
        } else if (e.what == event::kind::revoked && unassign) {
          consumer.async_incremental_unassign(e.revocation, [](std::error_code) {});
        }
      }
    } catch (const error&) {
    }
  }
  asio::awaitable<void> read(kawait::partition p) {
    try {
      open_ownership own(log, name, p);
      for (;;) {
        auto b = co_await p.async_next();
        if (!b) break;
        log.deliver(*own, *b);
        if (hold) {
          ++holding;
          EVENTUALLY(release || is_over);
          --holding;
          if (b->is_stale()) stale.insert(p.index());
        }
        b->done();
      }
      own.why = p.end_reason();
    } catch (const error&) {
    }
  }
  asio::awaitable<void> close() {
    co_await consumer.async_close();
    EVENTUALLY(is_over);
  }
};

struct events_world {
  std::string topic = unique_name("events"), group = unique_name("group");
  load* records = nullptr;
  events_member* a = nullptr;
  member* b = nullptr;
};

asio::awaitable<events_world> prepare_events(scenario& s, std::chrono::milliseconds rebalance_timeout) {
  events_world w;
  co_await s.admin.create_topic(w.topic, 6);
  w.records = &s.make<load>(s.admin, w.topic, 6);
  config c = s.settings(w.group);
  c.rebalance_timeout(rebalance_timeout);
  w.a = &s.make<events_member>(s.executor(), s.log, "a", c);
  w.a->consumer.subscribe(w.topic);
  w.b = &s.subscribe("b", c, w.topic);
  w.a->start();
  EVENTUALLY(w.a->consumer.assignment().size() == 6);
  s.spawn(w.records->run());
  EVENTUALLY(w.records->total() > 300 && w.records->is_consumed(s.log));
  co_return w;
}

asio::awaitable<void> finish_events(scenario& s, events_world w) {
  co_await w.records->stop();
  EVENTUALLY(w.records->is_consumed(s.log));
  co_await w.a->close();
  co_await w.b->close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  const auto told = co_await s.committed(w.group, w.topic, 6);
  for (std::int32_t p = 0; p < 6; ++p) CHECK(told[static_cast<std::size_t>(p)] == w.records->produced(p));
}

struct waiter {
  bool done = false;
  std::error_code code;
  void operator()(std::error_code ec) {
    done = true;
    code = ec;
  }
};

asio::awaitable<void> waiters(scenario& s) {
  const auto w = co_await prepare_events(s, 60s);
  w.a->unassign = false;
  w.a->hold = true;
  EVENTUALLY(w.a->holding == 6);
  w.b->start();
  EVENTUALLY(w.a->count(event::kind::revoked) == 1);
  const event revoked = *w.a->last(event::kind::revoked);
  CHECK(revoked.partitions.size() == 3);  // only the delta
  CHECK(w.a->consumer.assignment().size() == 3);
  for (const auto& p : revoked.partitions) CHECK(p.end_reason() == end_reason::revoked);
  CHECK_FALSE(revoked.revocation.is_done());

  waiter first, second, cancelled;
  asio::cancellation_signal cancel;
  w.a->consumer.async_incremental_unassign(revoked.revocation, [&first](std::error_code ec) { first(ec); });
  auto on_cancelled = [&cancelled](std::error_code ec) { cancelled(ec); };
  w.a->consumer.async_incremental_unassign(revoked.revocation, asio::bind_cancellation_slot(cancel.slot(), on_cancelled));
  w.a->consumer.async_incremental_unassign(revoked.revocation, [&second](std::error_code ec) { second(ec); });
  co_await sleep_for(50ms);
  cancel.emit(asio::cancellation_type::all);
  EVENTUALLY(cancelled.done);
  CHECK(cancelled.code == asio::error::operation_aborted);
  co_await sleep_for(500ms);
  CHECK_FALSE(first.done);  // work is in hand
  CHECK_FALSE(revoked.revocation.is_done());
  CHECK(w.b->owned().empty());
  w.a->hold = false;
  w.a->release = true;
  EVENTUALLY(first.done && second.done);
  CHECK_FALSE(first.code);
  CHECK_FALSE(second.code);
  CHECK(revoked.revocation.is_done());
  EVENTUALLY(w.b->owned().size() == 3);
  waiter late;
  w.a->consumer.async_incremental_unassign(revoked.revocation, [&late](std::error_code ec) { late(ec); });
  EVENTUALLY(late.done);
  CHECK_FALSE(late.code);
  co_await finish_events(s, w);
  CHECK(s.log.repeated() == 0);
}

TEST_CASE("events: many may wait for a revocation; cancelling a wait does not cancel the drain", "[membership]") {
  scenario s;
  s.run(&waiters);
}

asio::awaitable<void> uncalled(scenario& s) {
  const auto w = co_await prepare_events(s, 6s);
  w.a->unassign = false;
  w.b->start();
  EVENTUALLY(w.a->count(event::kind::revoked) == 1);
  const auto began = clock::now();
  const event revoked = *w.a->last(event::kind::revoked);
  EVENTUALLY(revoked.revocation.is_done());
  CHECK(clock::now() - began > 2500ms);  // half of 0.9 times 6 s
  CHECK(clock::now() - began < 5400ms);  // and not the whole
  EVENTUALLY(w.b->owned().size() == 3);
  w.a->unassign = true;
  co_await finish_events(s, w);
  CHECK(s.log.repeated() == 0);
}

TEST_CASE("events: a revocation that nobody claims begins at half the deadline", "[membership]") {
  scenario s;
  s.run(&uncalled);
}

asio::awaitable<void> held_too_long(scenario& s) {
  const auto w = co_await prepare_events(s, 4s);
  w.a->unassign = false;
  w.a->hold = true;
  EVENTUALLY(w.a->holding == 6);
  w.b->start();
  EVENTUALLY(w.a->count(event::kind::revoked) == 1);
  const event revoked = *w.a->last(event::kind::revoked);
  waiter claimed;
  w.a->consumer.async_incremental_unassign(revoked.revocation, [&claimed](std::error_code ec) { claimed(ec); });
  EVENTUALLY(claimed.done);
  CHECK(claimed.code == errc::revocation_deadline);
  for (const auto& p : revoked.partitions) CHECK(p.is_stale());
  EVENTUALLY(w.b->owned().size() == 3);
  CHECK(w.a->consumer.assignment().size() == 3);  // the broker did not throw it out
  CHECK(w.a->count(event::kind::lost) == 0);
  w.a->hold = false;
  w.a->release = true;
  EVENTUALLY(w.a->holding == 0);
  CHECK(w.a->stale.size() == 3);
  co_await finish_events(s, w);
}

TEST_CASE("events: at the deadline a held batch turns stale and the next owner gets the partition", "[membership]") {
  scenario s;
  s.run(&held_too_long);
}

// ---- The deadline of a handler.

struct stubborn_world {
  history* log = nullptr;
  bool hold = false;
  int holding = 0, aborted = 0, stale = 0;
};

struct stubborn_handler {
  stubborn_world* world;
  asio::awaitable<void> operator()(kawait::partition p) const { return work(*world, std::move(p)); }
  static asio::awaitable<void> work(stubborn_world& w, kawait::partition p) {
    open_ownership own(*w.log, "a", p);
    for (;;) {
      auto b = co_await p.async_next();
      if (!b) break;
      w.log->deliver(*own, *b);
      if (w.hold) {
        ++w.holding;
        try {
          EVENTUALLY(!w.hold);
        } catch (const std::system_error& e) {
          if (e.code() == asio::error::operation_aborted) ++w.aborted;
          if (b->is_stale()) ++w.stale;
          throw;
        }
      }
      b->done();
    }
    own.why = p.end_reason();
  }
};

asio::awaitable<void> stubborn(scenario& s) {
  const std::string topic = unique_name("stubborn"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 4);
  load& l = s.make<load>(s.admin, topic, 4);
  config c = s.settings(group);
  c.rebalance_timeout(4s);
  member& a = s.subscribe("a", c, topic);
  member& b = s.subscribe("b", c, topic);
  stubborn_world& w = s.make<stubborn_world>();
  w.log = &s.log;
  a.start_with(stubborn_handler{&w});
  s.spawn(l.run());
  EVENTUALLY(a.owned().size() == 4 && l.is_consumed(s.log) && l.total() > 200);
  w.hold = true;
  EVENTUALLY(w.holding == 4);
  b.start();
  EVENTUALLY(w.aborted == 2);
  CHECK(w.stale == 2);
  EVENTUALLY(b.owned().size() == 2);
  CHECK_FALSE(a.has_ended());
  CHECK(a.owned().size() == 2);
  w.hold = false;
  co_await l.stop();
  EVENTUALLY(l.is_consumed(s.log));
  co_await a.close();
  co_await b.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  const auto told = co_await s.committed(group, topic, 4);
  for (std::int32_t p = 0; p < 4; ++p) CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
}

TEST_CASE("at the deadline a handler at work is cancelled, and the member stays", "[membership]") {
  scenario s;
  s.run(&stubborn);
}

// ---- Fenced.

asio::awaitable<void> fenced(scenario& s) {
  const std::string topic = unique_name("fenced"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 2);
  co_await s.admin.set_group(group, "consumer.session.timeout.ms", "3000");
  load& l = s.make<load>(s.admin, topic, 2);
  co_await l.add(50);
  events_member& a = s.make<events_member>(s.executor(), s.log, "a", s.settings(group));
  a.consumer.subscribe(topic);
  a.start();
  EVENTUALLY(a.consumer.assignment().size() == 2);
  EVENTUALLY(l.is_consumed(s.log));
  const std::string id = a.consumer.member_id();
  // No heartbeat for longer than the session. Nothing else may run on this executor meanwhile either: that is the point.
  std::this_thread::sleep_for(6s);
  EVENTUALLY(a.count(event::kind::lost) == 1);
  const event lost = *a.last(event::kind::lost);
  CHECK(lost.partitions.size() == 2);
  CHECK(lost.reason);
  for (const auto& p : lost.partitions) {
    CHECK(p.is_stale());
    CHECK(p.end_reason() == end_reason::lost);
  }
  EVENTUALLY(a.count(event::kind::assigned) >= 2 && a.consumer.assignment().size() == 2);
  CHECK(a.consumer.member_id() == id);
  co_await l.add(50);
  EVENTUALLY(l.is_consumed(s.log));
  co_await a.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  const auto told = co_await s.committed(group, topic, 2);
  for (std::int32_t p = 0; p < 2; ++p) CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
}

TEST_CASE("a member that was fenced loses its partitions, joins again and loses no record", "[membership]") {
  scenario s;
  s.run(&fenced);
}

asio::awaitable<void> killed_member(scenario& s) {
  const std::string topic = unique_name("killed"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 4);
  co_await s.admin.set_group(group, "consumer.session.timeout.ms", "3000");
  load& l = s.make<load>(s.admin, topic, 4);
  member& b = s.subscribe("b", s.settings(group), topic);
  s.spawn(l.run());
  {
    // Destroyed as by kill -9: nothing is committed, nobody is told.
    events_member& a = s.make<events_member>(s.executor(), s.log, "a", s.settings(group));
    a.consumer.subscribe(topic);
    a.start();
    b.start();
    EVENTUALLY(a.consumer.assignment().size() == 2 && b.owned().size() == 2);
    const std::size_t before = s.log.records();
    EVENTUALLY(s.log.records() > before + 200);
    asio::cancellation_signal abrupt;
    kawait::consumer gone(std::move(a.consumer));
    CHECK_FALSE(gone.assignment().empty());
  }
  EVENTUALLY(b.owned().size() == 4);
  co_await l.stop();
  EVENTUALLY(l.is_consumed(s.log));
  co_await b.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  const auto told = co_await s.committed(group, topic, 4);
  for (std::int32_t p = 0; p < 4; ++p) CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
}

TEST_CASE("a member that vanishes: its partitions move after the session, no record is lost", "[membership]") {
  scenario s;
  s.run(&killed_member);
}

// ---- The plain loop.

struct plain_member {
  kawait::consumer consumer;
  std::map<topic_partition, std::map<std::int64_t, int>> seen;
  bool is_over = false, loop_over = false;

  plain_member(asio::any_io_executor executor, config c) : consumer(std::move(executor), std::move(c)) {}
  void start() {
    consumer.async_run([this](std::error_code) { is_over = true; });
    asio::co_spawn(consumer.get_executor(), loop(), asio::detached);
  }
  asio::awaitable<void> loop() {
    try {
      for (;;) {
        auto b = co_await consumer.async_next();
        auto& offsets = seen[topic_partition(b.topic(), b.partition())];
        for (const record& r : b) ++offsets[r.offset()];
        b.done();
      }
    } catch (const error& e) {
      CHECK(e.code() == errc::closed);
    }
    loop_over = true;
  }
};

asio::awaitable<void> plain_loop(scenario& s) {
  const std::string topic = unique_name("plain"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 6);
  load& l = s.make<load>(s.admin, topic, 6);
  plain_member& a = s.make<plain_member>(s.executor(), s.settings(group));
  plain_member& b = s.make<plain_member>(s.executor(), s.settings(group));
  a.consumer.subscribe(topic);
  b.consumer.subscribe(topic);
  a.start();
  s.spawn(l.run());
  EVENTUALLY(a.seen.size() == 6);
  b.start();
  EVENTUALLY(a.consumer.assignment().size() == 3 && b.consumer.assignment().size() == 3 && b.seen.size() == 3);
  co_await l.stop();
  const auto times = [&](const topic_partition& p, std::int64_t offset) { return a.seen[p][offset] + b.seen[p][offset]; };
  EVENTUALLY([&] {
    for (std::int32_t p = 0; p < 6; ++p) {
      if (times(topic_partition(topic, p), l.produced(p) - 1) == 0) return false;
    }
    return true;
  }());
  std::size_t missing = 0, repeated = 0;
  for (std::int32_t p = 0; p < 6; ++p) {
    for (std::int64_t o = 0; o < l.produced(p); ++o) {
      const int n = times(topic_partition(topic, p), o);
      missing += n == 0 ? 1 : 0;
      repeated += n > 1 ? 1 : 0;
    }
  }
  CHECK(missing == 0);
  CHECK(repeated == 0);
  co_await a.consumer.async_close();
  co_await b.consumer.async_close();
  EVENTUALLY(a.is_over && b.is_over && a.loop_over && b.loop_over);
  const auto told = co_await s.committed(group, topic, 6);
  for (std::int32_t p = 0; p < 6; ++p) CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
}

TEST_CASE("consumer.async_next: two members, one loop each", "[membership]") {
  scenario s;
  s.run(&plain_loop);
}

// ---- A topic that comes later.

asio::awaitable<void> later_topic(scenario& s) {
  const std::string now = unique_name("now"), later = unique_name("later"), group = unique_name("group");
  co_await s.admin.create_topic(now, 1);
  config c = s.settings(group);
  c.metadata_max_age(1s);
  member& m = s.make<member>(s.executor(), s.log, "m", c);
  m.consumer().subscribe(now, later);
  m.start();
  load& first = s.make<load>(s.admin, now, 1);
  co_await first.add(10);
  EVENTUALLY(first.is_consumed(s.log));
  co_await s.admin.create_topic(later, 2);
  load& second = s.make<load>(s.admin, later, 2);
  co_await second.add(10);
  EVENTUALLY(second.is_consumed(s.log));
  co_await first.add(10);
  EVENTUALLY(first.is_consumed(s.log));
  CHECK(s.log.of(topic_partition(now, 0)).size() == 1);  // it was never given up for that
  m.consumer().subscribe(later);  // and a changed subscription takes the other away
  EVENTUALLY(s.log.of(topic_partition(now, 0)).front()->why == end_reason::revoked);
  co_await second.add(10);
  EVENTUALLY(second.is_consumed(s.log));
  co_await m.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
}

TEST_CASE("a topic created after subscribe is consumed; a subscription changes at run time", "[membership]") {
  scenario s;
  s.run(&later_topic);
}

// ---- Other threads.

struct threaded_world {
  history* log = nullptr;
  asio::thread_pool pool{2};
  std::atomic<int> released{0};
};

/// The work is done, and the batch released, on a pool's thread; the handler asks for the next one meanwhile.
struct threaded_handler {
  threaded_world* world;
  asio::awaitable<void> operator()(kawait::partition p) const { return work(*world, std::move(p)); }
  static asio::awaitable<void> work(threaded_world& w, kawait::partition p) {
    open_ownership own(*w.log, "a", p);
    for (;;) {
      auto b = co_await p.async_next();
      if (!b) break;
      w.log->deliver(*own, *b);
      auto held = std::make_shared<batch>(std::move(*b));
      asio::post(w.pool, [held = std::move(held), &w]() mutable {
        std::this_thread::sleep_for(1ms);
        held->done();
        held.reset();
        ++w.released;
      });
    }
    own.why = p.end_reason();
  }
};

asio::awaitable<void> released_elsewhere(scenario& s) {
  const std::string topic = unique_name("threads"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 6);
  load& l = s.make<load>(s.admin, topic, 6);
  member& a = s.subscribe("a", s.settings(group), topic);
  member& b = s.subscribe("b", s.settings(group), topic);
  threaded_world& w = s.make<threaded_world>();
  w.log = &s.log;
  a.start_with(threaded_handler{&w});
  s.spawn(l.run());
  EVENTUALLY(a.owned().size() == 6 && w.released > 50);
  b.start();
  EVENTUALLY(b.owned().size() == 3);
  co_await b.close();
  EVENTUALLY(a.owned().size() == 6);
  co_await l.stop();
  EVENTUALLY(l.is_consumed(s.log));
  co_await a.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  CHECK(s.log.repeated() == 0);
  const auto told = co_await s.committed(group, topic, 6);
  for (std::int32_t p = 0; p < 6; ++p) CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
}

TEST_CASE("batches released on other threads during a revocation", "[membership]") {
  scenario s;
  s.run(&released_elsewhere);
}

struct elsewhere_world {
  explicit elsewhere_world(std::thread::id m) : main(m) {}
  std::thread::id main;
  asio::thread_pool pool{2};
  std::atomic<int> records{0}, on_main{0}, ended{0};
};

struct elsewhere_handler {
  elsewhere_world* world;
  asio::awaitable<void> operator()(kawait::partition p) const { return work(*world, std::move(p)); }
  static asio::awaitable<void> work(elsewhere_world& w, kawait::partition p) {
    for (;;) {
      auto b = co_await p.async_next();
      if (std::this_thread::get_id() == w.main) ++w.on_main;
      if (!b) break;
      for (const record& r : *b) w.records += r.offset() >= 0 ? 1 : 0;
      b->done();
    }
    ++w.ended;
  }
};

asio::awaitable<void> handlers_elsewhere(scenario& s) {
  const std::string topic = unique_name("elsewhere"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 4);
  load& l = s.make<load>(s.admin, topic, 4);
  member& a = s.subscribe("a", s.settings(group), topic);
  member& b = s.subscribe("b", s.settings(group), topic);
  elsewhere_world& w = s.make<elsewhere_world>(std::this_thread::get_id());
  a.start_with(elsewhere_handler{&w}, on(asio::make_strand(w.pool)));
  co_await l.add(100);
  EVENTUALLY(w.records == 400);
  b.start();
  EVENTUALLY(b.owned().size() == 2 && w.ended == 2);
  co_await l.add(50);
  EVENTUALLY(w.records + static_cast<int>(s.log.records()) == 600);
  co_await a.close();
  co_await b.close();
  CHECK(w.on_main == 0);
  CHECK(w.ended == 4);
  const auto told = co_await s.committed(group, topic, 4);
  for (std::int32_t p = 0; p < 4; ++p) CHECK(told[static_cast<std::size_t>(p)] == 150);
}

TEST_CASE("handlers run on the executor they are given") {
  scenario s;
  s.run(&handlers_elsewhere);
}

}  // namespace
}  // namespace kawait::tests
