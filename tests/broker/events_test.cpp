// Events: revocations that the test claims, or does not.

#include "events_support.hpp"

namespace kawait::tests {
namespace {

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
  const auto before = clock::now();  // it is told
  w.b->start();
  EVENTUALLY(w.a->count(event::kind::revoked) == 1);
  const event revoked = *w.a->last(event::kind::revoked);
  EVENTUALLY(revoked.revocation.is_done());
  CHECK(clock::now() - before >= 2700ms);  // half of 0.9 times 6 s; that it is no more is seen in virtual time
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

}  // namespace
}  // namespace kawait::tests
