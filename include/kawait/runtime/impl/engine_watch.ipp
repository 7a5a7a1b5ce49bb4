#pragma once

#include <algorithm>

#include <kawait/detail/list_of.hpp>
#include <kawait/runtime/engine.hpp>

namespace kawait::runtime {

// max.poll.interval.ms: whoever keeps a partition and does not work on it leaves the group, so that another may; and is back when its
// application moves again.

// One loop over all partitions: to go on with it is a sign of life for each.
KAWAIT_DECL std::uint64_t engine::activity_of(const partition_stream& stream) const noexcept {
  return stream.info()->activity.load(std::memory_order_relaxed) + (mode_ == reading_mode::batches ? reads_of_any_ : 0);
}

// Where the handler of an earlier lease has not returned, nobody is told of the next one, and nothing of it is read: the same standstill.
KAWAIT_DECL stream_ptr engine::worked_on(const stream_ptr& stream) const {
  const stream_ptr before = stream->is_announced ? nullptr : newest_retired(stream->id().partition);
  return before && !before->work().is_drained() ? before : stream;
}

KAWAIT_DECL void engine::on_application_moved() noexcept {
  if (!stalled_.empty()) moved_.notify_all();
}

KAWAIT_DECL asio::awaitable<void> engine::watch_application() {
  machine::poll_watch watch(options_.max_poll_interval);
  while (std::holds_alternative<running>(state_)) {
    co_await moved_.wait_until(environment_.now() + watch.pause());
    if (!std::holds_alternative<running>(state_)) break;
    std::vector<machine::work_sight> sights;
    for (const auto& [id, stream] : streams_) {
      const stream_ptr at_work = worked_on(stream);
      sights.emplace_back(stream->id(), at_work != stream || stream->owes_work(), activity_of(*at_work));
    }
    const auto overdue = watch.look(sights, environment_.now());
    if (overdue.empty()) continue;
    stall(overdue);
    while (std::holds_alternative<running>(state_) && !has_stalled_moved()) {
      co_await moved_.wait_until(environment_.now() + watch.pause());  // keep_alive() on another thread wakes nobody
    }
    stalled_.clear();
    group_->membership().on_application_moved();
    group_->wake();
  }
}

KAWAIT_DECL void engine::stall(const std::vector<machine::leased>& overdue) {
  std::vector<std::string> names;
  loss_ = loss_word::untold;
  for (const machine::leased& id : overdue) {
    const stream_ptr stream = worked_on(find_stream(id.partition));
    stalled_work s;
    s.stream = stream;
    s.activity = activity_of(*stream);
    s.has_work = stream->work().inside() > 0;  // it is lost next, and would look drained if nothing was in hand
    stalled_.push_back(std::move(s));
    names.push_back(stream->name().to_string());
  }
  warn(failure(errc::poll_interval_exceeded, kawait::detail::list_of(names)));
  group_->membership().on_poll_timeout();
  group_->wake();
}

// Who was told of the loss has dropped the partition, and asks for the next assignment: with nothing of it in hand there is nothing else
// that could move.
KAWAIT_DECL void engine::note_asked_on() noexcept {
  if (loss_ != loss_word::told) return;
  loss_ = loss_word::answered;
  on_application_moved();
}

// Its partition is lost by now. A handler that was cancelled moves by returning, one at work by its next call, which is told the end.
KAWAIT_DECL bool engine::has_stalled_moved() const {
  return std::any_of(stalled_.begin(), stalled_.end(), [this](const stalled_work& s) {
    if (s.has_work && s.stream->work().is_drained()) return true;
    if (!s.has_work && loss_ == loss_word::answered) return true;
    return activity_of(*s.stream) != s.activity;
  });
}

}  // namespace kawait::runtime
