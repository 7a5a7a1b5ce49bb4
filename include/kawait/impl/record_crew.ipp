#pragma once

#include <kawait/record_crew.hpp>

#include <algorithm>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>

namespace kawait::detail {

inline bool is_aborted(const std::exception_ptr& e) {
  try {
    std::rethrow_exception(e);
  } catch (const std::system_error& x) {
    return x.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

KAWAIT_DECL asio::awaitable<void> record_host::read_concurrently(partition p) {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  const auto self = std::static_pointer_cast<record_host>(shared_from_this());
  const auto crew = std::make_shared<record_crew>(self, std::move(p), here);
  co_await record_crew::run(crew);
}

KAWAIT_DECL record_crew::record_crew(std::shared_ptr<record_host> host, partition p, asio::any_io_executor executor)
    : host_(std::move(host)),
      partition_(std::move(p)),
      executor_(std::move(executor)),
      most_(host_->settings().in_partition),
      window_(std::max<std::size_t>(256, 4 * most_)),
      order_(host_->settings().is_ordered),
      changed_(executor_) {}

// The handlers that are at work end before this does, whatever happened: the partition is not given up under their hands.
KAWAIT_DECL asio::awaitable<void> record_crew::run(std::shared_ptr<record_crew> self) {
  co_await asio::this_coro::throw_if_cancelled(false);
  try {
    co_await self->read();
  } catch (...) {  // a record that does not decode
    self->fail(std::current_exception());
  }
  self->order_.clear();
  while (self->workers_ > 0 || self->is_reading_) {
    // Lost, or given up at the deadline. Who waits for the next batch is not cancelled then, but those at work must be. Looked at again
    // each time: on another thread the end of the stream is seen before the loss is, and the read's completion is behind both.
    if (!self->has_cancelled_workers_ && self->partition_.is_stale()) self->cancel_workers();
    co_await self->wait();
  }
  self->in_hand_.clear();
  if (self->thrown_) std::rethrow_exception(std::exchange(self->thrown_, nullptr));
  if (self->cancelled_) throw error(std::error_code(asio::error::operation_aborted), self->partition_.name().to_string());
}

KAWAIT_DECL asio::awaitable<void> record_crew::read() {
  for (;;) {
    if (is_over() || has_ended_) co_return;
    if (hand_on()) continue;
    // Below half of what may wait there is room for the next batch; whose workers are all busy has time.
    if (!is_reading_ && !quota_is_full_ && order_.waiting() < window_ / 2) start_read();
    co_await wait();
  }
}

// The next record of the newest batch. False if there is none, or no room.
KAWAIT_DECL bool record_crew::hand_on() {
  if (in_hand_.empty() || order_.waiting() >= window_) return false;
  const held last = std::prev(in_hand_.end());
  if (last->at == std::default_sentinel) return false;
  const record r = *last->at;
  ++last->open;
  order_.add(item(last, r), r.key());
  ++last->at;
  if (workers_ < most_ && order_.has_ready()) start_worker();
  return true;
}

KAWAIT_DECL void record_crew::start_read() {
  is_reading_ = true;
  has_closed_ = false;
  auto on_batch = [self = shared_from_this()](std::error_code code, std::optional<batch> next) {
    self->on_read(code, std::move(next));
  };
  auto here = asio::bind_executor(executor_, asio::bind_cancellation_slot(read_cancel_.slot(), std::move(on_batch)));
  partition_.async_next(words_, std::move(here));
}

KAWAIT_DECL void record_crew::on_read(std::error_code code, std::optional<batch> next) {
  is_reading_ = false;
  if (code == errc::lease_quota && (has_closed_ || !in_hand_.empty())) {
    // The read finds the share full, and its answer is on its way; a worker ends a batch, which makes room; the answer comes. Waiting
    // for a batch to end then would be for one that is over: the next read finds out.
    quota_is_full_ = !has_closed_;
  } else if (code) {
    fail(std::make_exception_ptr(error(code, words_.text())));
  } else if (!next) {
    has_ended_ = true;
  } else if (!is_over()) {
    try {
      in_hand_.emplace_back(std::move(*next));
      close_if_done(std::prev(in_hand_.end()));
    } catch (...) {  // its first record does not decode
      fail(std::current_exception());
    }
  }
  changed_.notify_all();
}

KAWAIT_DECL asio::awaitable<void> record_crew::wait() {
  co_await changed_.wait();
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() == asio::cancellation_type::none) co_return;
  co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
  cancelled_ = true;
  if (is_reading_) read_cancel_.emit(asio::cancellation_type::all);
  cancel_workers();
}

KAWAIT_DECL void record_crew::start_worker() {
  ++workers_;
  std::erase_if(cancels_, [](const std::weak_ptr<cancellation_relay>& c) { return c.expired(); });
  const auto cancel = std::make_shared<cancellation_relay>(executor_);
  cancels_.push_back(cancel);
  auto ended = [](std::exception_ptr) {};
  auto here = asio::bind_executor(executor_, asio::bind_cancellation_slot(cancel->slot(), std::move(ended)));
  try {
    asio::co_spawn(executor_, worker_operation(shared_from_this(), cancel), std::move(here));
  } catch (...) {
    --workers_;
    throw;
  }
}

// A worker takes what is ready until nothing is: the one that ends a record finds the next of the same key ready, so that none of those
// that wait is ever without somebody to begin it.
KAWAIT_DECL asio::awaitable<void> record_crew::work_on(std::shared_ptr<record_crew> self, std::shared_ptr<cancellation_relay> cancel) {
  const present here(*self);
  if (!cancel->start()) co_return;
  try {
    const auto turn = self->host_->make_turn(self->partition_);
    while (!self->is_over()) {
      const auto next = self->order_.start();
      if (!next) break;
      const bool is_done = co_await self->handle(next->item, *turn);
      if (!is_done) break;  // the partition goes
      self->on_done(next->item);
      self->order_.finish(*next);
      self->changed_.notify_all();
      if (turn->is_contended()) turn->release();
    }
  } catch (...) {
    const auto why = std::current_exception();
    if (!self->has_cancelled_workers_ || !is_aborted(why)) self->fail(why);
  }
}

KAWAIT_DECL asio::awaitable<bool> record_crew::handle(const item& one, work_turn& turn) {
  const bool is_ours = co_await turn.take();
  if (!is_ours || is_over()) co_return false;
  std::optional<work_host::attempts> tries;
  for (;;) {
    std::exception_ptr thrown;
    try {
      co_await host_->handle(one.what, partition_);
    } catch (...) {
      thrown = std::current_exception();
    }
    if (!thrown) co_return !partition_.info()->was_told_to_stop.load(std::memory_order_relaxed);
    if (!tries) tries.emplace(host_->settings(), one.what.offset());
    skipped_work what;
    what.thrown = std::move(thrown);
    what.offset = one.what.offset();
    what.next_offset = what.offset + 1;
    what.record = &one.what;
    const work_host::verdict v = co_await host_->judge(partition_, turn, *tries, what);
    if (v != work_host::verdict::again) co_return v == work_host::verdict::done;
    if (is_over()) co_return false;  // a sibling has failed meanwhile, and that is told when this ends
  }
}

KAWAIT_DECL void record_crew::on_done(const item& one) {
  one.from->what.done(one.what);
  --one.from->open;
  close_if_done(one.from);
}

// The newest batch is not closed before all of it was handed on.
KAWAIT_DECL void record_crew::close_if_done(held b) {
  if (b->open > 0 || b->at != std::default_sentinel) return;
  b->what.done();
  in_hand_.erase(b);
  quota_is_full_ = false;
  has_closed_ = true;
}

KAWAIT_DECL void record_crew::fail(std::exception_ptr why) {
  if (!thrown_) thrown_ = std::move(why);
  if (is_reading_) read_cancel_.emit(asio::cancellation_type::all);
  changed_.notify_all();
}

KAWAIT_DECL void record_crew::cancel_workers() {
  has_cancelled_workers_ = true;
  for (const auto& weak : std::vector<std::weak_ptr<cancellation_relay>>(cancels_)) {
    const auto cancel = weak.lock();
    if (!cancel) continue;
    cancel->request();
    cancel->emit(asio::cancellation_type::all);
  }
}

}  // namespace kawait::detail
