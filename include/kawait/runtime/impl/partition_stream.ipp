#pragma once

#include <kawait/runtime/partition_stream.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>
#include <cstring>

#include <kawait/wire/record.hpp>

namespace kawait::runtime {

namespace detail {

/// Whether compaction left nothing of a batch at `from` or above, where the position lies within it. Handed out, it could not be done
/// record by record: there is none.
inline bool is_empty_from(const wire::batch_header& header, std::span<const std::byte> records, std::int64_t from) {
  if (header.base_offset >= from) return false;
  wire::record_reader reader(header, records, from);
  wire::record unused;
  return !reader.next(unused) && !reader.error();
}

/// The most output of compressed batches in one hand-out: decompression runs on the consumer's executor, which others want, too.
inline constexpr std::size_t inflated_per_lease = std::size_t{1} << 20;

}  // namespace detail

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
  if (is_ended() || std::holds_alternative<stopped>(state_)) return true;
  if (paused_) return false;
  return !queue_.empty() || has_hole() || has_leases_over_quota();
}

KAWAIT_DECL void partition_stream::start() {
  auto* const waiting_to_start = std::get_if<unstarted>(&state_);
  if (!waiting_to_start || is_ended()) return;
  if (const auto wanted = waiting_to_start->wanted) {
    state_ = flowing{*wanted};
  } else {
    const auto time = waiting_to_start->time;
    state_ = locating{time};
  }
  host_.on_first_read(*this);
}

KAWAIT_DECL void partition_stream::stop(failure why) {
  why.words = name().to_string() + (read_position_ ? '@' + std::to_string(*read_position_) : std::string()) +
              (why.words.empty() ? "" : ": " + why.words);
  drop_queue();
  state_ = stopped{std::move(why)};
  wake_readers();
  host_.on_demand(*this);
}

KAWAIT_DECL result<std::unique_ptr<lease>> partition_stream::take(const hand_out_context& context) {
  if (is_ended()) return end_error_;
  if (has_hole() && !std::holds_alternative<stopped>(state_)) {
    if (corrupt_at_) {
      read_position_ = std::exchange(corrupt_at_, std::nullopt);
      stop(failure(errc::corrupt_batch, "the record there does not decode"));
    } else {
      stop(failure(errc::batch_abandoned, "offset " + std::to_string(*tracker_.abandoned()) + " is not done"));
    }
  }
  if (const auto* why = std::get_if<stopped>(&state_)) return why->why;
  if (paused_) return std::unique_ptr<lease>();
  while (!queue_.empty()) {
    if (has_leases_over_quota()) break;
    auto handed_out = std::make_unique<lease>(context.releases);
    failure bad = fill(*handed_out, queue_.front(), context);
    if (!handed_out->segments.empty()) {
      // What precedes a bad batch is handed out first; the next call meets the bad one again.
      hand_out(*handed_out);
      ask_for_more();
      return handed_out;
    }
    if (bad) {
      meet(std::move(bad));
      if (const auto* why = std::get_if<stopped>(&state_)) return why->why;
      return std::unique_ptr<lease>();
    }
    ask_for_more();  // what was there was nobody's to read
  }
  if (has_leases_over_quota()) return failure(errc::lease_quota, name().to_string());
  return std::unique_ptr<lease>();
}

KAWAIT_DECL void partition_stream::hand_out(lease& l) {
  l.info = info_;
  l.stream = weak_from_this();
  l.ticket = tracker_.open(l.first_offset, l.next_offset, l.segments.back().header.leader_epoch);
  if (KAWAIT_MUTANT(commits_what_is_handed_out)) tracker_.done(l.ticket, l.next_offset);
  leased_bytes_ += l.charge;
  gate_.enter();  // open: the stream has not ended
  read_position_ = l.next_offset;
}

// Moves whole record batches from the front chunk into the lease; pops the chunk when nothing is left of it.
KAWAIT_DECL failure partition_stream::fill(lease& l, chunk& from, const hand_out_context& context) {
  l.first_offset = *read_position_;
  l.next_offset = *read_position_;
  std::size_t inflated = 0;
  // What is queued keeps to the partition's share; what comes out of it does, too, but for one record batch.
  const std::size_t enough = std::clamp<std::size_t>(quota_ - std::min(leased_bytes_, quota_), 1, detail::inflated_per_lease);
  bool views_the_response = false;
  std::int32_t last_epoch = -1;
  failure bad;
  wire::batch_cursor cursor(from.bytes);
  wire::batch_view batch;
  while (inflated < enough && cursor.next(batch)) {
    const std::size_t before = l.segments.size();
    bad = add_batch(l, from, batch, context, inflated);
    if (bad) break;
    views_the_response |= l.segments.size() > before && batch.header.codec() == wire::codec::none;
    l.next_offset = std::max(l.next_offset, batch.header.next_offset());
    last_epoch = batch.header.leader_epoch;
    from.bytes = from.bytes.subspan(batch.bytes.size());
    queued_bytes_ -= batch.bytes.size();
  }
  if (views_the_response) {
    l.buffers.push_back(from.buffer);
    if (context.pool.is_tight()) copy_out(l, context);
  }
  l.charge += inflated;
  if (!bad && from.bytes.empty()) l.next_offset = std::max(l.next_offset, from.next_offset);
  if (l.segments.empty()) {  // nothing but control batches and aborted ones
    tracker_.skip(l.next_offset, last_epoch);
    read_position_ = l.next_offset;
  }
  if (bad || !from.bytes.empty()) return bad;
  bad = std::move(from.error);
  queue_.pop_front();
  if (bad && !l.segments.empty()) {  // shown by the next call
    chunk rest;
    rest.next_offset = l.next_offset;
    rest.error = std::move(bad);
    queue_.push_front(std::move(rest));
    return {};
  }
  return bad;
}

KAWAIT_DECL failure partition_stream::add_batch(lease& l, chunk& from, const wire::batch_view& batch, const hand_out_context& context,
                                                std::size_t& inflated) {
  const wire::batch_header& header = batch.header;
  if (context.check_crcs) {
    if (failure bad = wire::check_crc(batch)) return bad;
  }
  const bool filters = context.read_committed && !KAWAIT_MUTANT(shows_aborted_records);
  const bool skipped = filters && !header.is_control() && from.aborted.skips(header);
  if (skipped || header.next_offset() <= l.first_offset || (header.is_control() && !context.read_committed)) return {};
  std::span<const std::byte> records = batch.records();
  wire::slab_ref buffer;
  if (header.codec() != wire::codec::none) {
    std::size_t size = 0;
    failure bad = context.codecs.decompress(header.codec(), records, context.decompression_limit, context.pool, buffer, size);
    if (!bad) bad = wire::check_count(header, size);
    if (bad) return bad;
    records = std::span<const std::byte>(buffer->data(), size);
  }
  if (header.is_control()) {
    if (from.aborted.idle()) return {};
    wire::control_type type = wire::control_type::other;
    if (failure bad = wire::parse_control(header, records, type)) return bad;
    from.aborted.on_control(header, type);
    return {};
  }
  if (header.record_count == 0 || detail::is_empty_from(header, records, l.first_offset)) return {};
  if (buffer) {
    inflated += buffer->capacity();
    l.buffers.push_back(std::move(buffer));
  } else {
    l.charge += batch.bytes.size();
  }
  l.segments.emplace_back(header, records, l.record_count);
  l.record_count += static_cast<std::uint32_t>(header.record_count);
  return {};
}

// Above half the budget a lease that owns less than a quarter of the response gets a slab of its own, so that a stalled one pins no
// more than its own bytes.
KAWAIT_DECL void partition_stream::copy_out(lease& l, const hand_out_context& context) {
  if (l.charge >= l.buffers.back()->capacity() / 4) return;
  wire::slab_ref own = context.pool.acquire(l.charge);
  std::byte* to = own->data();
  for (lease_segment& segment : l.segments) {
    if (segment.header.codec() != wire::codec::none) continue;
    std::memcpy(to, segment.records.data(), segment.records.size());
    segment.records = std::span<const std::byte>(to, segment.records.size());
    to += segment.records.size();
  }
  l.buffers.back() = std::move(own);
}

KAWAIT_DECL void partition_stream::drop_queue() {
  queue_.clear();
  queued_bytes_ = 0;
}

KAWAIT_DECL void partition_stream::leave_position() {
  drop_queue();
  corrupt_at_.reset();
  end_seen_.reset();
  passed_over_ = 0;
}

KAWAIT_DECL void partition_stream::seek(const offset_and_epoch& to) {
  leave_position();
  read_position_ = to.offset;
  tracker_.restart(to);
  if (std::holds_alternative<unstarted>(state_)) {
    state_ = unstarted{to, std::nullopt};
    return;
  }
  state_ = flowing{to};
  host_.on_seek(*this);
}

// The position runs ahead of the reader: the queue goes with what was lost, and he reads on where he is, unless that was lost, too.
KAWAIT_DECL void partition_stream::go_back(const offset_and_epoch& to) {
  leave_position();
  read_position_ = to.offset;
  tracker_.truncate(to);
  state_ = flowing{to};
  host_.on_seek(*this);
}

KAWAIT_DECL void partition_stream::seek_to_time(std::int64_t timestamp) {
  leave_position();
  read_position_.reset();
  tracker_.restart(offset_and_epoch(0));
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
  tracker_.restart(where);
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
  // Half of its share is enough to read ahead: so the queues of all partitions stay, with what is under way, below half the budget,
  // and nothing is copied out as long as readers keep up.
  if (held_bytes() >= quota_ || queued_bytes_ >= quota_ / 2) {
    full_ = true;
  } else if (queue_.empty() || (held_bytes() < quota_ / 2 && queued_bytes_ < quota_ / 4)) {
    full_ = false;  // also where a reader keeps most of the share in hand and asks for more: it waits for nobody but us
  }
  // Behind a bad batch that the reader has not reached yet the same would be fetched, and queued, again and again.
  const bool meets_error = !queue_.empty() && queue_.back().error;
  return !full_ && !paused_ && !meets_error && fetch_position().has_value();
}

KAWAIT_DECL void partition_stream::ask_for_more() {
  if (full_ && wants_fetch()) host_.on_demand(*this);
}

KAWAIT_DECL void partition_stream::on_fetched(chunk data, const wire::records_summary& summary) {
  if (summary.next_offset >= 0) {
    std::get<flowing>(state_).fetch_position = offset_and_epoch(summary.next_offset, summary.leader_epoch);
  }
  end_seen_.reset();
  passed_over_ = 0;
  data.next_offset = std::get<flowing>(state_).fetch_position.offset;
  queued_bytes_ += data.bytes.size();
  const bool was_empty = queue_.empty();
  queue_.push_back(std::move(data));
  if (was_empty) wake_readers();
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
  // The tickets of before a seek are no concern of what is read now.
  const bool is_current = tracker_.is_current(l.ticket);
  if (corrupt >= 0 && done < l.next_offset && is_current && !corrupt_at_) corrupt_at_ = corrupt;
  tracker_.done(l.ticket, done);
  tracker_.released(l.ticket);
  const bool was_blocked = has_leases_over_quota();
  leased_bytes_ -= l.charge;
  ask_for_more();
  if (was_blocked && is_readable()) wake_readers();
  if (has_hole()) wake_readers();
  if (KAWAIT_MUTANT(leaks_a_lease)) return;
  gate_.leave();
}

KAWAIT_DECL std::optional<std::int64_t> partition_stream::take_untold_hole() noexcept {
  const auto hole = done_is_required_ ? std::nullopt : tracker_.abandoned();
  return std::exchange(told_hole_, hole) == hole ? std::nullopt : hole;
}

}  // namespace kawait::runtime
