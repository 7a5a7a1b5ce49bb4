// How for_each_partition ends: by an error of the handler, or cancelled.

#include "handler_support.hpp"

namespace kawait::tests {
namespace {

// ---- How for_each_partition ends.

asio::awaitable<void> returning_handler(steps& s, kawait::partition) {
  ++s.step;
  co_return;
}

asio::awaitable<void> early_return(scenario& s) {
  const auto t = co_await prepare(s, 10);
  member& m = s.subscribe("returns", s.settings(t.group), t.topic);
  steps told;
  m.start_with(own_handler{&told, &returning_handler});
  co_await m.ended();
  CHECK(told.step == 1);
  CHECK(m.outcome() == errc::handler_returned_early);
  const std::size_t members = co_await s.admin.member_count(t.group);
  CHECK(members == 0);  // it has left: the next need not wait for a session's end
  member& next = s.subscribe("next", s.settings(t.group), t.topic);
  next.start();
  EVENTUALLY(next.owned().size() == 1);
  co_await next.close();
}

TEST_CASE("a handler that returns while its partition is assigned is an error", "[membership]") {
  scenario s;
  s.run(&early_return);
}

struct thrown_by_test {};

/// Partition 0 throws once the others have work in hand; those finish it half a second later.
asio::awaitable<void> throwing_handler(steps& s, kawait::partition p) {
  for (;;) {
    auto b = co_await p.async_next();
    if (!b) break;
    if (p.index() == 0) {
      b->done();
      EVENTUALLY(s.step == 3);
      throw thrown_by_test();
    }
    ++s.step;
    EVENTUALLY(p.end_reason() != end_reason::none);
    co_await sleep_for(500ms);
    b->done();
    s.offsets.push_back(b->next_offset());
  }
}

asio::awaitable<void> handler_throws(scenario& s) {
  const auto t = co_await prepare(s, 10, 4);
  config c = s.settings(t.group);
  c.auto_commit_interval(60s);  // so that only the end commits
  member& m = s.subscribe("throws", c, t.topic);
  steps told;
  m.start_with(own_handler{&told, &throwing_handler});
  co_await m.ended();
  bool same = false;
  try {
    if (m.thrown()) std::rethrow_exception(m.thrown());
  } catch (const thrown_by_test&) {
    same = true;
  }
  CHECK(same);
  CHECK(told.offsets.size() == 3);  // they drained
  const auto offsets = co_await s.committed(t.group, t.topic, 4);
  CHECK(offsets[0] >= 1);
  for (std::size_t p = 1; p < 4; ++p) CHECK(offsets[p] >= 1);
  const std::size_t members = co_await s.admin.member_count(t.group);
  CHECK(members == 0);
  member& next = s.subscribe("next", s.settings(t.group), t.topic);
  next.start();
  EVENTUALLY(next.owned().size() == 4);
  EVENTUALLY([&] {
    for (std::int32_t p = 0; p < 4; ++p) {
      const auto from = offsets[static_cast<std::size_t>(p)];
      if (from < 10 && !s.log.offsets(topic_partition(t.topic, p)).contains(9)) return false;
    }
    return true;
  }());
  co_await next.close();
}

TEST_CASE("a handler that throws: the others drain, done work is committed, the member leaves, it is rethrown", "[membership]") {
  scenario s;
  s.run(&handler_throws);
}

asio::awaitable<void> busy_handler(steps& s, kawait::partition p) {
  auto b = co_await p.async_next();
  if (!b) co_return;
  s.step = 1;
  try {
    EVENTUALLY(s.go == 1);
    b->done();
  } catch (const std::system_error& e) {
    s.code = e.code();
    s.stale = b->is_stale();
    throw;
  }
  s.finished = true;
  b.reset();
  co_await skip_to_end(p);
}

/// A member that has a batch in hand and is cancelled once.
asio::awaitable<member*> cancelled_at_work(scenario& s, one_partition t, steps& told) {
  config c = s.settings(t.group);
  c.auto_commit_interval(60s);
  member& m = s.subscribe("cancelled", c, t.topic);
  m.start_with(own_handler{&told, &busy_handler});
  EVENTUALLY(told.step == 1);
  m.cancel();
  co_return &m;
}

asio::awaitable<void> cancelled_once(scenario& s) {
  const auto t = co_await prepare(s, 10);
  steps told;
  member* const m = co_await cancelled_at_work(s, t, told);
  co_await sleep_for(300ms);
  CHECK_FALSE(m->has_ended());  // work is in hand
  told.go = 1;
  co_await m->ended();
  CHECK(told.finished);
  CHECK(m->outcome() == asio::error::operation_aborted);
  const std::int64_t offset = co_await committed_of(s, t);
  CHECK(offset >= 1);
}

TEST_CASE("for_each_partition cancelled once ends in order", "[membership]") {
  scenario s;
  s.run(&cancelled_once);
}

asio::awaitable<void> cancelled_twice(scenario& s) {
  const auto t = co_await prepare(s, 10);
  steps told;
  member* const m = co_await cancelled_at_work(s, t, told);
  co_await sleep_for(100ms);
  m->cancel();
  co_await m->ended();
  CHECK(m->outcome() == asio::error::operation_aborted);
  CHECK(told.code == asio::error::operation_aborted);  // the handler was cancelled at its work
  CHECK_FALSE(told.finished);
  CHECK(told.stale);
  const std::int64_t offset = co_await committed_of(s, t);
  CHECK(offset == -1);
}

TEST_CASE("for_each_partition cancelled twice ends at once", "[membership]") {
  scenario s;
  s.run(&cancelled_twice);
}

// ---- A race against a timer.

asio::awaitable<void> racing_handler(steps& s, kawait::partition p) {
  using namespace std::chrono;
  for (int round = 0;; ++round) {
    timer t(co_await asio::this_coro::executor);
    t.expires_after(milliseconds(round % 7));
    // What `||` does: whoever comes first cancels the other.
    asio::cancellation_signal give_up;
    bool done = false;
    auto finished = [&done](std::error_code) { done = true; };
    p.async_wait(asio::bind_cancellation_slot(give_up.slot(), finished));
    co_await t.async_wait();
    give_up.emit(asio::cancellation_type::all);
    EVENTUALLY(done);
    auto b = p.try_next();
    if (b) {
      for (const record& r : *b) s.offsets.push_back(r.offset());
      b->done();
    }
    if (p.end_reason() != end_reason::none) break;
  }
}

asio::awaitable<void> race(scenario& s) {
  const auto t = co_await prepare(s, 10);
  member& m = s.subscribe("races", s.settings(t.group), t.topic);
  steps told;
  m.start_with(own_handler{&told, &racing_handler});
  t.records->pause = 3ms;
  s.spawn(t.records->run());
  EVENTUALLY(told.offsets.size() > 1000 || m.has_ended());
  co_await t.records->stop();
  EVENTUALLY(static_cast<std::int64_t>(told.offsets.size()) >= t.records->total() || m.has_ended());
  co_await m.close();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < told.offsets.size(); ++i) wrong += told.offsets[i] == static_cast<std::int64_t>(i) ? 0 : 1;
  CHECK(wrong == 0);
  CHECK(static_cast<std::int64_t>(told.offsets.size()) == t.records->total());
}

TEST_CASE("async_wait and try_next against a timer lose nothing") {
  scenario s;
  s.run(&race);
}

// ---- max.poll.interval.ms.

asio::awaitable<void> stands_still(scenario& s) {
  const std::string topic = unique_name("still"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 2);
  load& l = s.make<load>(s.admin, topic, 2);
  config impatient = s.settings(group);
  impatient.max_poll_interval(2s).rebalance_timeout(30s);
  member& a = s.subscribe("a", impatient, topic);
  member& b = s.subscribe("b", s.settings(group), topic);
  a.start();
  b.start();
  EVENTUALLY(a.owned().size() == 1 && b.owned().size() == 1);
  a.work_time = [](const batch&) { return 60s; };
  co_await l.add(20);
  EVENTUALLY(a.consumer().last_warning().code == errc::poll_interval_exceeded);
  a.work_time = nullptr;  // its handler was cancelled with its partition; from now on it works
  for (std::int32_t p = 0; p < 2; ++p) {
    const topic_partition name(topic, p);
    EVENTUALLY(s.log.of(name).back()->done == 20);
  }
  EVENTUALLY(a.owned().size() == 1 && b.owned().size() == 1);  // back by itself
  std::map<std::string, int> losses;
  for (const ownership& o : s.log.all()) losses[o.member] += o.handle.end_reason() == end_reason::lost ? 1 : 0;
  CHECK(losses["a"] == 1);
  CHECK(losses["b"] == 0);
  co_await a.close();
  co_await b.close();
  CHECK(s.log.violations().empty());
  const auto told = co_await s.committed(group, topic, 2);
  CHECK(told[0] == 20);
  CHECK(told[1] == 20);
}

TEST_CASE("work that stands still for max.poll.interval: leave first, lost, and back by itself") {
  scenario s;
  s.run(&stands_still);
}

}  // namespace
}  // namespace kawait::tests
