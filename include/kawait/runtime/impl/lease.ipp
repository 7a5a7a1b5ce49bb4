#pragma once

#include <kawait/runtime/lease.hpp>

#include <asio/post.hpp>

#include <algorithm>
#include <limits>

namespace kawait::runtime {

KAWAIT_DECL lease::~lease() { delete[] marks_.load(std::memory_order_relaxed); }

KAWAIT_DECL void lease::announce(std::uint32_t bits) noexcept {
  // Copied first: a lease that is queued already may be freed by the executor as soon as its bits are set.
  const std::shared_ptr<release_queue> queue = queue_;
  const std::uint32_t old = state_.fetch_or(bits | queued, std::memory_order_acq_rel);
  if (!(old & queued)) queue->push(this);
}

// Record after record marks, and the executor looks now and then. It clears `queued` first and reads the marks then, so that who finds
// `queued` set after its mark was made (both in the one order of sequential consistency) need not say so again.
KAWAIT_DECL void lease::announce_mark() noexcept {
  info->activity.fetch_add(1, std::memory_order_relaxed);
  if (!(state_.load() & queued)) announce(0);
}

KAWAIT_DECL void lease::mark_done_through(std::int64_t next) noexcept {
  std::int64_t seen = done_through_.load(std::memory_order_relaxed);
  while (seen < next && !done_through_.compare_exchange_weak(seen, next)) {
  }
  announce_mark();
}

KAWAIT_DECL void lease::mark_one_done(std::uint32_t ordinal, std::int64_t offset) {
  if (ordinal >= record_count) return;
  std::atomic<std::int64_t>* marks = marks_.load(std::memory_order_acquire);
  if (!marks) {
    auto* const fresh = new std::atomic<std::int64_t>[record_count]();
    if (marks_.compare_exchange_strong(marks, fresh)) {
      marks = fresh;
    } else {
      delete[] fresh;  // another thread was first
    }
  }
  marks[ordinal].store(offset + 1);
  announce_mark();
}

KAWAIT_DECL void lease::release() noexcept { announce(released); }

KAWAIT_DECL std::int64_t lease::low_water_mark() noexcept {
  const std::int64_t through = done_through();
  const auto* const marks = marks_.load();
  if (!marks) return through;
  // A broker may begin with records below the position: they were never handed out, so nobody will mark them.
  const std::int64_t covered = segments.front().header.base_offset < first_offset ? std::max(through, first_offset) : through;
  while (marks_seen_ < record_count) {
    std::int64_t next = marks[marks_seen_].load();
    if (next == 0 && run_ < covered) {
      const std::int64_t offset = offset_of(marks_seen_);
      if (offset < covered) next = offset + 1;
    }
    if (next == 0) return std::max(through, run_);
    run_ = next;
    ++marks_seen_;
  }
  return next_offset;
}

// Calls ascend, so that all of them together walk the lease once. What does not decode is above all.
KAWAIT_DECL std::int64_t lease::offset_of(std::uint32_t ordinal) noexcept {
  wire::record r;
  while (walked_ <= ordinal) {
    if (walked_segment_ > 0 && walker_.next(r)) {
      walked_ = segments[walked_segment_ - 1].first_ordinal + r.ordinal() + 1;
      walked_offset_ = r.offset();
    } else if (walked_segment_ < segments.size()) {
      walker_ = wire::record_reader(segments[walked_segment_].header, segments[walked_segment_].records);
      ++walked_segment_;
    } else {
      return std::numeric_limits<std::int64_t>::max();
    }
  }
  return walked_offset_;
}

KAWAIT_DECL release_queue::release_queue(asio::any_io_executor executor)
    : executor_(std::move(executor)), context_(net::environment::of(executor_).lifetime()) {}

KAWAIT_DECL void release_queue::push(lease* l) noexcept {
  lease* head = head_.load(std::memory_order_relaxed);
  do {
    l->next_ = head;
  } while (!head_.compare_exchange_weak(head, l, std::memory_order_acq_rel));
  if (!waking_.exchange(true, std::memory_order_acq_rel)) wake();
}

// A thread that releases while the consumer or the context goes: either it entered before, and then they wait for the post to be made,
// or it finds the door closed and frees what is in the list. Two such threads each take what they find.
KAWAIT_DECL void release_queue::wake() noexcept {
  const bool context_lives = context_->enter();
  const bool consumer_lives = context_lives && consumer_.enter();
  if (consumer_lives) {
    posting now{this};
    posting* const outer = std::exchange(posting_, &now);
    try {
      asio::post(executor_, wake_up(shared_from_this()));
    } catch (...) {
      now.dropped = false;
      waking_.store(false, std::memory_order_release);  // no memory for a wake-up: the next release, or async_next, drains
    }
    posting_ = outer;
    consumer_.leave();
    if (now.dropped) free_instead();
  }
  if (context_lives) context_->leave();
  if (!consumer_lives) free_instead();
}

// Out of here an exception would leave the run() of the user's execution context.
KAWAIT_DECL void release_queue::wake_up::operator()() {
  const auto queue = std::exchange(queue_, nullptr);
  try {
    queue->drain();
  } catch (...) {
    if (queue->sink_) queue->sink_->on_failed(std::current_exception());
  }
}

KAWAIT_DECL release_queue::wake_up::~wake_up() {
  if (!queue_) return;
  if (posting_ && posting_->queue == queue_.get()) {
    posting_->dropped = true;  // wake() knows whether the context is gone, or only memory was short
  } else {
    queue_->free_instead();
  }
}

KAWAIT_DECL void release_queue::detach() noexcept {
  sink_ = nullptr;
  consumer_.close();
  executor_ = asio::any_io_executor();
  free_taken();  // what came in without memory for a wake-up
}

KAWAIT_DECL void release_queue::free_instead() noexcept {
  // The context is shut down (the rundown was closed before): nobody will drain, so whoever pushes from now on frees.
  waking_.store(false, std::memory_order_release);
  free_taken();
}

KAWAIT_DECL lease* release_queue::take() noexcept {
  lease* stack = head_.exchange(nullptr, std::memory_order_acq_rel);
  lease* queue = nullptr;  // oldest first
  while (stack) {
    lease* const next = stack->next_;
    stack->next_ = queue;
    queue = stack;
    stack = next;
  }
  return queue;
}

KAWAIT_DECL void release_queue::free_taken() noexcept {
  lease* l = take();
  while (l) {
    lease* const next = l->next_;
    if (l->state_.fetch_and(~std::uint32_t{lease::queued}, std::memory_order_acq_rel) & lease::released) delete l;
    l = next;
  }
}

KAWAIT_DECL void release_queue::drain() {
  // Cleared before the list is taken: a push that comes in between posts one wake-up too many, never one too few.
  waking_.store(false, std::memory_order_release);
  const auto self = shared_from_this();
  std::exception_ptr failed;  // memory that one lease's partition is short of is no reason to forget the others'
  for (lease* l = take(); l != nullptr;) {
    lease* const next = l->next_;
    const std::uint32_t old = l->state_.fetch_and(~std::uint32_t{lease::queued});
    const std::unique_ptr<lease> owned(old & lease::released ? l : nullptr);
    try {
      if (sink_) owned ? sink_->on_released(*l) : sink_->on_marked(*l);
    } catch (...) {
      failed = std::current_exception();
    }
    l = next;
  }
  if (failed) std::rethrow_exception(failed);
}

}  // namespace kawait::runtime
