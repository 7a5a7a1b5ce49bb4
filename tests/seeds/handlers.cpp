// What members' handlers do with what they get.

#include <algorithm>
#include <stdexcept>

#include <asio/strand.hpp>
#include <asio/this_coro.hpp>

#include <kawait/for_each.hpp>
#include <kawait/for_each_batch.hpp>
#include <kawait/for_each_record.hpp>
#include <kawait/time.hpp>

#include "member.hpp"

namespace seeds {

using namespace std::chrono_literals;
using kawait::topic_id_partition;
using kawait::topic_partition;

namespace {

struct handler_failed : std::runtime_error {
  handler_failed() : std::runtime_error("the handler throws, as it was told to") {}
};

/// Counts what is in hand until it goes.
class hold {
 public:
  hold(oracle& o, holding h) : what(std::move(h)), oracle_(&o) {}
  hold(hold&& other) noexcept : what(std::move(other.what)), oracle_(std::exchange(other.oracle_, nullptr)) {}
  hold& operator=(hold&&) = delete;
  ~hold() {
    if (oracle_) oracle_->release(what);
  }

  holding what;

 private:
  oracle* oracle_;
};

/// The batch goes before the count of it.
struct held_batch {
  held_batch(oracle& o, holding h, kawait::batch b) : held(o, std::move(h)), batch(std::move(b)) {}
  hold held;
  kawait::batch batch;
};

/// One handler of a partition at a time.
class handler_count {
 public:
  handler_count(life& l, const topic_id_partition& p, std::string key = "") : life_(l), where_(p), key_(std::move(key)) {
    change(1);
  }
  handler_count(const handler_count&) = delete;
  handler_count& operator=(const handler_count&) = delete;
  ~handler_count() { change(-1); }

 private:
  void change(int by) { life_.on().watch.on_handler(life_.seen(), where_, key_, by); }
  life& life_;
  topic_id_partition where_;
  std::string key_;
};

bool is_aborted(const std::system_error& e) { return e.code() == asio::error::operation_aborted; }

/// All records of a batch are looked at. False: one does not decode.
bool look_at(life& l, held_batch& b, std::vector<kawait::record>& records) {
  try {
    for (const kawait::record& r : b.batch) {
      l.on().watch.saw(l.seen(), b.held.what, b.batch.lease().info->id, r);
      records.push_back(r);
    }
    l.on().watch.check_whole(l.seen(), b.held.what, b.batch.lease().info->id, b.batch.first_offset(), b.batch.next_offset());
  } catch (const kawait::error&) {
    return false;
  }
  return true;
}

asio::awaitable<void> commit(life& l, std::optional<kawait::partition> p) {
  if (!p && !l.consumer()) co_return;
  // What was sent by then is waited for.
  const auto one = l.begin("async_commit", api_timeout + request_timeout);
  bool aborted = false;
  try {
    if (p) {
      (void)co_await p->async_commit();
    } else {
      (void)co_await l.consumer()->async_commit();
    }
  } catch (const std::system_error& e) {
    aborted = is_aborted(e);
  }
  l.complete(one);
  if (aborted) throw std::system_error(std::error_code(asio::error::operation_aborted));
}

asio::awaitable<void> go_elsewhere(life& l, const kawait::partition& p, std::int64_t next) {
  const member_plan& m = l.script();
  dice& d = l.draw();
  if (l.on().healed) co_return;
  if (d.chance(m.seeks_percent) && p.end_reason() == kawait::end_reason::none) {
    const int by = d.between(-5, 5);
    const book* b = l.on().watch.book_of_records().find(p.info()->id);
    if (b && !b->gone) {
      const std::int64_t to = std::clamp<std::int64_t>(next + by, 0, b->end);
      l.on().watch.on_seek(l.seen(), p.info()->id, next, to);
      p.seek(to);
    }
  }
  if (d.chance(m.pauses_percent) && p.end_reason() == kawait::end_reason::none) {
    p.pause();
    const auto d_ms = std::chrono::milliseconds(d.between(1, 3000));
    co_await kawait::sleep_for(d_ms);
    if (p.end_reason() == kawait::end_reason::none) p.resume();
  }
}

/// After a read that failed: again from the same place, or, where none was found, from the beginning.
void begin_again(life& l, const kawait::partition& p) {
  if (p.end_reason() != kawait::end_reason::none) return;
  const auto position = p.position();
  l.on().watch.on_seek(l.seen(), p.info()->id, std::nullopt, position.value_or(0));
  if (position) {
    p.seek(*position);
  } else {
    p.seek_to_beginning();
  }
}

struct partition_worker {
  explicit partition_worker(std::shared_ptr<life> l) : self(std::move(l)) {}
  std::shared_ptr<life> self;
  asio::awaitable<void> operator()(kawait::partition p) const { return read_partition(self, std::move(p)); }
};

struct batch_worker {
  explicit batch_worker(life& l) : self(&l) {}
  life* self;
  asio::awaitable<void> operator()(kawait::batch& b, kawait::partition& p) const {
    if (self->script().elsewhere) return self->handle(std::move(b), p);
    return in_place(*self, b, p);
  }
  static asio::awaitable<void> in_place(life& l, kawait::batch& b, kawait::partition p) {
    oracle& watch = l.on().watch;
    hold held(watch, watch.take(l.seen(), p.name(), b.first_offset(), b.next_offset()));
    const handler_count counted(l, p.info()->id);
    for (const kawait::record& r : b) watch.saw(l.seen(), held.what, p.info()->id, r);
    watch.check_whole(l.seen(), held.what, p.info()->id, b.first_offset(), b.next_offset());
    co_await l.work(p);
    watch.done(held.what, b.first_offset(), b.next_offset());
  }
};

struct record_worker {
  explicit record_worker(life& l) : self(&l) {}
  life* self;
  asio::awaitable<void> operator()(const kawait::record& r, kawait::partition& p) const { return handle(*self, r, p); }
  static asio::awaitable<void> handle(life& l, kawait::record r, kawait::partition p) {
    oracle& watch = l.on().watch;
    hold held(watch, watch.take(l.seen(), p.name(), r.offset(), r.offset() + 1));
    watch.check_begins(l.seen(), held.what, r.offset());
    watch.saw(l.seen(), held.what, p.info()->id, r);
    std::optional<handler_count> counted;
    const bool by_key = l.script().how == style::records_by_key;
    // Without a key there is no order.
    if (l.script().how == style::records || (by_key && r.key())) {
      const std::string key(by_key ? *r.key() : std::string_view());
      watch.check_order(l.seen(), held.what, key, r.offset());
      counted.emplace(l, p.info()->id, key);
    }
    co_await l.work(p);
    watch.done(held.what, r.offset(), r.offset() + 1);
  }
};

struct plain_worker {
  explicit plain_worker(life& l) : self(&l) {}
  life* self;
  void operator()(const kawait::record& r, kawait::partition& p) const {
    oracle& watch = self->on().watch;
    hold held(watch, watch.take(self->seen(), p.name(), r.offset(), r.offset() + 1));
    watch.check_begins(self->seen(), held.what, r.offset());
    watch.check_order(self->seen(), held.what, "", r.offset());
    watch.saw(self->seen(), held.what, p.info()->id, r);
    self->throw_perhaps();
    watch.done(held.what, r.offset(), r.offset() + 1);
  }
};

struct skip_report {
  explicit skip_report(life& l) : self(&l) {}
  life* self;
  void operator()(const kawait::skipped_work& w) const {
    self->on().watch.on_skipped(self->seen(), w.partition, w.offset, w.next_offset);
  }
};

}  // namespace

asio::any_io_executor life::handlers() {
  if (!plan_.elsewhere) return executor_;
  return asio::make_strand(stage_.world.context());
}

void life::throw_perhaps() {
  if (!stage_.healed && dice_.chance(plan_.throws_percent)) throw handler_failed();
}

asio::awaitable<void> life::work(kawait::partition p) {
  if (plan_.stubborn) co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  if (!stage_.healed && dice_.chance(plan_.stuck_percent)) {
    const bool alive = dice_.chance(50);
    while (!stage_.healed) {
      if (alive) p.keep_alive();
      co_await kawait::sleep_for(700ms);
    }
  }
  const int ms = stage_.healed ? std::min(plan_.work_ms, 50) : plan_.work_ms;
  if (ms > 0) {
    const auto pause = std::chrono::milliseconds(ms);
    co_await kawait::sleep_for(pause);
  }
  throw_perhaps();
}

asio::awaitable<void> life::handle(kawait::batch b, std::optional<kawait::partition> p) {
  oracle& watch = stage_.watch;
  const topic_partition name(b.topic(), b.partition());
  holding taken = watch.take(client_, name, b.first_offset(), b.next_offset());
  held_batch held(watch, std::move(taken), std::move(b));
  std::vector<kawait::record> records;
  if (!look_at(*this, held, records)) co_return;
  if (p) {
    co_await work(*p);
  } else if (plan_.work_ms > 0) {
    const auto pause = std::chrono::milliseconds(stage_.healed ? 1 : plan_.work_ms);
    co_await kawait::sleep_for(pause);
  }
  if (plan_.by_record && !records.empty()) {
    for (std::size_t i = records.size(); i > 1; --i) std::swap(records[i - 1], records[dice_.next() % i]);
    for (const kawait::record& r : records) {
      watch.done(held.held.what, r.offset(), r.offset() + 1);
      held.batch.done(r);
      if (dice_.chance(10)) co_await kawait::sleep_for(10ms);
    }
  }
  watch.done(held.held.what, held.batch.first_offset(), held.batch.next_offset());
  held.batch.done();
}

asio::awaitable<void> read_partition(std::shared_ptr<life> self, kawait::partition p) {
  // With events nobody but its reader can end a reader.
  std::optional<handler_count> counted;
  if (self->script().how == style::partitions) counted.emplace(*self, p.info()->id);
  for (;;) {
    std::optional<kawait::batch> b;
    std::error_code failed;
    try {
      b = co_await p.async_next();
    } catch (const std::system_error& e) {
      if (is_aborted(e)) throw;
      self->on().watch.check_survives(self->seen(), "a read", e.code());
      failed = e.code();
    }
    if (failed) {
      co_await kawait::sleep_for(100ms);
      if (failed != kawait::errc::lease_quota) begin_again(*self, p);
      continue;
    }
    if (!b) co_return;
    const std::int64_t next = b->next_offset();
    kawait::batch one = *std::exchange(b, std::nullopt);
    if (self->script().elsewhere && !self->script().manual && self->draw().chance(50)) {
      // Released by another coroutine, while this one reads on.
      self->spawn(self->handle(std::move(one), std::nullopt), "a handler");
    } else {
      co_await self->handle(std::move(one), p);
    }
    if (self->script().manual) co_await commit(*self, p);
    co_await go_elsewhere(*self, p, next);
  }
}

asio::awaitable<void> life::each(std::shared_ptr<life> self) {
  life& l = *self;
  if (!l.consumer_) co_return;  // the run ended before it began
  const kawait::on where(l.handlers());
  const kawait::concurrency few(static_cast<std::size_t>(l.dice_.pick(std::vector<int>{1, 2, 8})));
  const kawait::retry again(1, 50ms, 200ms);
  const kawait::skip over{skip_report(l)};
  const batch_worker batches(l);
  if (l.plan_.how == style::partitions) {
    partition_worker worker(self);
    co_await kawait::for_each_partition(*l.consumer_, worker, where);
  } else if (l.plan_.how == style::batches && l.plan_.retries) {
    co_await kawait::for_each_batch(*l.consumer_, batches, where, few, again, over);
  } else if (l.plan_.how == style::batches) {
    co_await kawait::for_each_batch(*l.consumer_, batches, where, few);
  } else {
    co_await each_record(l);
  }
}

asio::awaitable<void> life::each_record(life& l) {
  const kawait::on where(l.handlers());
  const kawait::concurrency some(8);
  const kawait::retry again(2, 50ms, 200ms);
  const kawait::skip over{skip_report(l)};
  const record_worker records(l);
  if (l.plan_.how == style::records && l.plan_.work_ms == 0) {
    const plain_worker plain(l);
    co_await kawait::for_each_record(*l.consumer_, plain, where);
  } else if (l.plan_.how == style::records) {
    co_await kawait::for_each_record(*l.consumer_, records, where, some, again, over);
  } else if (l.plan_.how == style::records_by_key) {
    const kawait::by_key keys(3);
    co_await kawait::for_each_record(*l.consumer_, records, where, some, keys, again, over);
  } else {
    const kawait::any_order any(4);
    co_await kawait::for_each_record(*l.consumer_, records, where, some, any, again, over);
  }
}

asio::awaitable<void> life::pull(std::shared_ptr<life> self) {
  while (self->consumer_ && !self->has_ended()) {
    kawait::batch b;
    std::error_code failed;
    try {
      b = co_await self->consumer_->async_next();
    } catch (const std::system_error& e) {
      if (is_aborted(e)) throw;
      self->on().watch.check_survives(self->seen(), "a read", e.code());
      failed = e.code();
    }
    if (!self->consumer_) co_return;
    if (failed) {
      co_await kawait::sleep_for(100ms);
      if (!self->consumer_) co_return;
      if (failed == kawait::errc::lease_quota) continue;
      for (const kawait::partition& p : self->consumer_->assignment()) begin_again(*self, p);
      continue;
    }
    std::optional<kawait::partition> of;
    for (const kawait::partition& p : self->consumer_->assignment()) {
      if (p.info() == b.lease().info) of = p;
    }
    if (self->plan_.elsewhere && !self->plan_.manual) {
      self->spawn(self->handle(std::move(b), std::nullopt), "a handler");
    } else {
      co_await self->handle(std::move(b), of);
    }
    if (self->plan_.manual) co_await commit(*self, std::nullopt);
  }
}

asio::awaitable<void> life::unassign(std::shared_ptr<life> self, kawait::revocation r, int delay_ms) {
  const auto pause = std::chrono::milliseconds(delay_ms);
  co_await kawait::sleep_for(pause);
  if (!self->consumer_) co_return;
  try {
    co_await self->consumer_->async_incremental_unassign(r);
  } catch (const std::system_error& e) {
    if (is_aborted(e)) throw;
  }
}

asio::awaitable<void> life::listen(std::shared_ptr<life> self) {
  while (self->consumer_ && !self->has_ended()) {
    kawait::event e;
    try {
      e = co_await self->consumer_->async_next_event();
    } catch (const std::system_error&) {
      co_return;
    }
    if (e.what == kawait::event::kind::assigned) {
      for (const kawait::partition& p : e.partitions) self->spawn(read_partition(self, p), "a reader");
    } else if (e.what == kawait::event::kind::revoked && self->dice_.chance(90)) {
      self->spawn(unassign(self, e.revocation, self->dice_.chance(50) ? 0 : self->dice_.between(1, 2000)), "a revocation");
    }
  }
}

}  // namespace seeds
