// How partitions go: work in hand is waited for, the deadline ends the waiting, and what the group took away is lost.

#include "events_support.hpp"

#include <algorithm>
#include <thread>

namespace kawait::tests {
namespace {

// ---- One slow handler.

struct slow_world {
  history* log = nullptr;
  std::string name;
  std::set<std::int32_t> slow;
  bool hurry = false;               // no more waiting: the test is over, or has seen what it waits for
  std::set<std::int32_t> at_work;   // of those that were slow, when they were revoked
};

/// The slow partitions' handlers have work in hand when the revocation comes, and take their time for it.
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
        w.at_work.insert(p.index());
        EVENTUALLY(w.hurry);
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
  EVENTUALLY(!w.at_work.empty());
  const std::int32_t slow = *w.at_work.begin();
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
  // Quick ones that go do not wait for it: their handlers return at once.
  EVENTUALLY([&] {
    const auto is_going = [&](const ownership& o) {
      return o.member == "a" && o.open && o.handle.end_reason() != end_reason::none && !w.slow.contains(o.name.partition);
    };
    return std::none_of(s.log.all().begin(), s.log.all().end(), is_going);
  }());
  co_await sleep_for(500ms);
  CHECK(s.log.of(topic_partition(topic, slow)).size() == 1);  // nobody else has it yet, and a still works on it
  CHECK(s.log.of(topic_partition(topic, slow)).front()->open);
  CHECK_FALSE(w.hurry);
  w.hurry = true;
  EVENTUALLY(s.log.of(topic_partition(topic, slow)).size() == 2);
  const auto owners = s.log.of(topic_partition(topic, slow));
  CHECK(owners[1]->began >= owners[0]->ended);
  CHECK(owners[1]->member == "b");
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

TEST_CASE("a handler that takes its time delays its partition's revocation, and no other's records", "[membership]") {
  scenario s;
  s.run(&slow_revocation);
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

}  // namespace
}  // namespace kawait::tests
