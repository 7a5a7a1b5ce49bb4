#pragma once

#include <kawait/runtime/partition_stream.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>
#include <cstdint>

namespace kawait::runtime {

KAWAIT_DECL partition_stream::partition_stream(asio::any_io_executor executor, stream_host& host, const machine::leased& id,
                                               std::string topic)
    : id_(id),
      host_(host),
      info_(std::make_shared<partition_info>(std::move(topic), id.partition)),
      gate_(executor),
      readable_(executor),
      ended_condition_(executor) {}

KAWAIT_DECL void partition_stream::wake_readers() {
  readable_.notify_all();
  host_.on_readable(*this);
}

KAWAIT_DECL bool partition_stream::is_readable() const noexcept {
  if (is_ended() || has_stopped()) return true;
  if (paused_) return false;
  return !queue_.empty() || has_hole() || has_leases_over_quota();
}

KAWAIT_DECL void partition_stream::start() {
  auto* const waiting_to_start = std::get_if<unstarted>(&state_);
  if (!waiting_to_start || is_ended()) return;
  const unstarted before = *waiting_to_start;
  if (before.wanted) {
    state_ = flowing{*before.wanted};
  } else {
    state_ = locating{before.time};
  }
  try {
    host_.on_first_read(*this);
  } catch (...) {  // nobody looks for its position: the next read begins anew
    state_ = before;
    throw;
  }
}

KAWAIT_DECL void partition_stream::stop(failure why) {
  why.words = name().to_string() + (read_position_ ? '@' + std::to_string(*read_position_) : std::string()) +
              (why.words.empty() ? "" : ": " + why.words);
  drop_queue();
  state_ = stopped{std::move(why)};
  wake_readers();
  host_.on_demand(*this);
}

// Of several the first: who is told of a later one and seeks to behind it would never hear of what is before.
KAWAIT_DECL void partition_stream::stop_at_hole() {
  const auto abandoned = done_is_required_ ? tracker_.abandoned() : std::nullopt;
  if (damage_ && (!abandoned || *abandoned >= damage_->batch)) {
    failure why(errc::corrupt_batch, "the record there does not decode");
    read_position_ = damage_->at;
    stop(std::move(why));
    damage_.reset();
  } else {
    stop(failure(errc::batch_abandoned, "offset " + std::to_string(*abandoned) + " is not done"));
  }
}

KAWAIT_DECL void partition_stream::drop_queue() {
  queue_.clear();
  queued_bytes_ = 0;
}

KAWAIT_DECL void partition_stream::leave_position() {
  drop_queue();
  end_seen_.reset();
  passed_over_ = 0;
}

KAWAIT_DECL void partition_stream::restart(const offset_and_epoch& position) {
  damage_.reset();
  tracker_.restart(position);
}

KAWAIT_DECL void partition_stream::seek(const offset_and_epoch& to) {
  leave_position();
  read_position_ = to.offset;
  read_epoch_ = to.leader_epoch;
  restart(to);
  if (std::holds_alternative<unstarted>(state_)) {
    state_ = unstarted{to, std::nullopt};
    return;
  }
  state_ = flowing{to};
  host_.on_seek(*this);
}

// The position runs ahead of the reader: the queue goes with what was lost, and he reads on where he is, unless that was lost, too.
KAWAIT_DECL std::int64_t partition_stream::go_back(const offset_and_epoch& end) {
  const std::int64_t next = std::min(end.offset, read_position_.value_or(end.offset));
  leave_position();
  read_position_ = next;
  read_epoch_ = end.leader_epoch;
  if (damage_ && damage_->at >= end.offset) damage_.reset();
  tracker_.truncate(end);
  state_ = flowing{offset_and_epoch(next, end.leader_epoch)};
  host_.on_seek(*this);
  return next;
}

KAWAIT_DECL void partition_stream::fetch_again() noexcept {
  leave_position();
  state_ = flowing{offset_and_epoch(*read_position_, read_epoch_)};
  try {
    host_.on_seek(*this);
  } catch (...) {
    full_ = true;  // see ask_for_more()
  }
}

KAWAIT_DECL void partition_stream::seek_to_time(std::int64_t timestamp) {
  leave_position();
  read_position_.reset();
  restart(offset_and_epoch(0));
  if (std::holds_alternative<unstarted>(state_)) {
    state_ = unstarted{std::nullopt, timestamp};
    return;
  }
  state_ = locating{timestamp};
  host_.on_seek(*this);
}

KAWAIT_DECL std::optional<std::int64_t> partition_stream::sought_time() const noexcept {
  const auto* const l = std::get_if<locating>(&state_);
  return l ? l->time : std::nullopt;
}

KAWAIT_DECL void partition_stream::on_end_seen(std::int64_t offset) {
  const auto position = fetch_position();
  if (!position || position->offset != offset || paused_) return;
  end_seen_ = offset;
  if (at_end()) readable_.notify_all();
}

KAWAIT_DECL void partition_stream::on_passed_over(std::int64_t offset, std::size_t partitions) {
  if (++passed_over_ > partitions) on_end_seen(offset);
}

KAWAIT_DECL void partition_stream::on_out_of_range() {
  if (!is_ended()) put_behind(failure(kafka_error::offset_out_of_range));
}

// The position runs ahead of the reader: what was fetched before is sound, and comes first.
KAWAIT_DECL void partition_stream::put_behind(failure why) {
  if (queue_.empty()) return meet(std::move(why));
  chunk end;
  end.next_offset = queue_.back().next_offset;
  end.error = std::move(why);
  queue_.push_back(std::move(end));
  host_.on_demand(*this);
}

KAWAIT_DECL void partition_stream::meet(failure why) {
  if (why.code != make_error_code(kafka_error::offset_out_of_range)) return stop(std::move(why));
  const offset_and_epoch refused = fetch_position().value_or(offset_and_epoch());
  leave_position();
  state_ = locating{};
  host_.on_out_of_range(*this, refused);
}

KAWAIT_DECL void partition_stream::on_located(const offset_and_epoch& where) {
  if (!std::holds_alternative<locating>(state_) || is_ended()) return;  // sought or revoked meanwhile
  state_ = flowing{where};
  read_position_ = where.offset;
  read_epoch_ = where.leader_epoch;
  restart(where);
  host_.on_demand(*this);
}

KAWAIT_DECL void partition_stream::on_truncated(const offset_and_epoch& end) {
  if (std::holds_alternative<locating>(state_) && !is_ended()) go_back(end);
}

KAWAIT_DECL void partition_stream::on_locate_failed(failure why) {
  if (std::holds_alternative<locating>(state_) && !is_ended()) stop(std::move(why));
}

KAWAIT_DECL void partition_stream::fail(failure why) {
  if (!is_ended()) put_behind(std::move(why));
}

KAWAIT_DECL std::optional<offset_and_epoch> partition_stream::fetch_position() const noexcept {
  const auto* const f = std::get_if<flowing>(&state_);
  if (!f || is_ended()) return std::nullopt;
  return f->fetch_position;
}

KAWAIT_DECL bool partition_stream::wants_fetch() noexcept {
  // Half of that is enough to read ahead: so the queues of partitions stay, with what is under way, below half the budget, and nothing is
  // copied out as long as readers keep up.
  const std::size_t window = KAWAIT_MUTANT(reads_ahead_without_bound) ? SIZE_MAX : quota_ + ahead_;
  if (held_bytes() >= window || queued_bytes_ >= window / 2) {
    full_ = true;
  } else if (queue_.empty() || (held_bytes() < window / 2 && queued_bytes_ < window / 4)) {
    full_ = false;  // also where a reader keeps most of the share in hand and asks for more: it waits for nobody but us
  }
  // Behind a bad batch that the reader has not reached yet the same would be fetched, and queued, again and again.
  const bool meets_error = !queue_.empty() && queue_.back().error;
  return !full_ && !paused_ && !meets_error && fetch_position().has_value();
}

KAWAIT_DECL std::size_t partition_stream::room() const noexcept {
  const std::size_t window = quota_ + ahead_;
  return window - std::min(held_bytes(), window - 1);
}

KAWAIT_DECL std::size_t partition_stream::fetch_room() const noexcept {
  // One that is a byte too large is left out, unless it is the answer's first. So what others have counts, too: batches that are filled
  // up to a limit differ by a record or two, and one's own may have been sent before they were full. But not much: what comes beyond
  // what there is room for comes in vain.
  const std::size_t others = largest_batch_ == 0 ? largest_elsewhere_ : std::min(largest_elsewhere_, largest_batch_ + largest_batch_ / 4);
  const std::size_t batch = std::max(largest_batch_, others);
  return std::max(room(), batch + batch / 16);
}

KAWAIT_DECL void partition_stream::set_quota(std::size_t bytes) {
  const bool was_blocked = has_leases_over_quota();
  quota_ = bytes;
  if (was_blocked != has_leases_over_quota() && !has_stopped() && is_readable()) wake_readers();
  ask_for_more();
}

// Without memory for it, the next release asks, or the next metadata: what was handed out meanwhile is not lost for that.
KAWAIT_DECL void partition_stream::ask_for_more() noexcept try {
  if (full_ && wants_fetch()) host_.on_demand(*this);
} catch (...) {
  full_ = true;
}

KAWAIT_DECL void partition_stream::on_fetched(chunk data, const wire::records_summary& summary) {
  if (summary.next_offset >= 0) {
    std::get<flowing>(state_).fetch_position = offset_and_epoch(summary.next_offset, summary.leader_epoch);
  }
  if (summary.batches > 0) largest_batch_ = std::max(summary.largest_batch, largest_batch_ - largest_batch_ / 128);
  end_seen_.reset();
  passed_over_ = 0;
  data.next_offset = std::get<flowing>(state_).fetch_position.offset;
  queued_bytes_ += data.bytes.size();
  const bool was_empty = queue_.empty();
  queue_.push_back(std::move(data));
  if (was_empty && !has_leases_over_quota()) wake_readers();
}

KAWAIT_DECL void partition_stream::pause() {
  if (std::exchange(paused_, true)) return;
  if (KAWAIT_MUTANT(pause_drops_what_is_buffered)) drop_queue();
  end_seen_.reset();  // what is written from now on, nobody tells us
  passed_over_ = 0;
  host_.on_demand(*this);
}

KAWAIT_DECL void partition_stream::resume() {
  if (!std::exchange(paused_, false)) return;
  host_.on_demand(*this);
  if (is_readable()) wake_readers();
}

KAWAIT_DECL void partition_stream::end(end_reason why, failure error) {
  if (is_ended()) return;
  info_->ended.store(why, std::memory_order_release);
  end_error_ = std::move(error);
  drop_queue();
  gate_.close();
  wake_readers();
  ended_condition_.notify_all();
  for (net::condition* w : turn_waiters) w->notify_all();
}

KAWAIT_DECL void partition_stream::on_marked(lease& l) { tracker_.done(l.ticket, l.low_water_mark()); }

KAWAIT_DECL void partition_stream::on_released(lease& l) {
  const std::int64_t done = l.low_water_mark();
  const std::int64_t corrupt = l.corrupt_at.load(std::memory_order_relaxed);
  // Not of before a seek, nor what the log has lost since: other records may be read at the same offset by now. Of several the position
  // is the first, in whatever order they are released; also once it has been told.
  const bool is_missing = corrupt >= 0 && done < l.next_offset && tracker_.is_of_log(l.ticket, corrupt);
  if (is_missing && corrupt < position().value_or(corrupt + 1)) damage_ = damage{l.first_offset, corrupt};
  tracker_.done(l.ticket, done);
  tracker_.released(l.ticket);
  const bool was_blocked = has_leases_over_quota();
  leased_bytes_ -= l.charge;
  is_moving_ = true;
  if (!KAWAIT_MUTANT(leaks_a_lease)) gate_.leave();  // first: what follows may be short of memory
  ask_for_more();
  if (has_stopped()) return;  // what is told is told once, also that leases fill the share
  if (has_hole() || (was_blocked && !has_leases_over_quota() && is_readable())) wake_readers();
}

KAWAIT_DECL std::optional<std::int64_t> partition_stream::take_untold_hole() noexcept {
  const auto hole = done_is_required_ ? std::nullopt : tracker_.abandoned();
  return std::exchange(told_hole_, hole) == hole ? std::nullopt : hole;
}

}  // namespace kawait::runtime
