#pragma once

// What becomes of queued responses when a reader asks: leases.

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

KAWAIT_DECL result<std::unique_ptr<lease>> partition_stream::take(const hand_out_context& context) {
  if (is_ended()) return end_error_;
  if (has_hole() && !has_stopped()) stop_at_hole();
  if (const auto* why = std::get_if<stopped>(&state_)) return why->why;
  if (paused_) return std::unique_ptr<lease>();
  while (!queue_.empty()) {
    if (has_leases_over_quota()) break;
    std::unique_ptr<lease> handed_out;
    failure bad;
    try {
      handed_out = std::make_unique<lease>(context.releases);
      bad = fill(*handed_out, queue_.front(), context);
      if (!handed_out->segments.empty()) hand_out(*handed_out);
    } catch (...) {
      fetch_again();  // out of memory: some of what was queued is in no lease, and not in the queue any more
      throw;
    }
    if (!handed_out->segments.empty()) {
      // What precedes a bad batch is handed out first; the next call meets the bad one again.
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
  // The epoch is that of what ends at next_offset: with an older one a broker would take our place for one behind a truncation.
  l.ticket = tracker_.open(l.first_offset, l.next_offset, l.last_epoch);
  if (KAWAIT_MUTANT(commits_what_is_handed_out)) tracker_.done(l.ticket, l.next_offset);
  leased_bytes_ += l.charge;
  gate_.enter();  // open: the stream has not ended
  read_position_ = l.next_offset;
  read_epoch_ = l.last_epoch;
}

// Moves whole record batches from the front chunk into the lease; pops the chunk when nothing is left of it.
KAWAIT_DECL failure partition_stream::fill(lease& l, chunk& from, const hand_out_context& context) {
  l.first_offset = *read_position_;
  l.next_offset = *read_position_;
  l.last_epoch = read_epoch_;
  std::size_t inflated = 0;
  // What comes out of the queue keeps to the partition's share, but for one record batch; and leaves room for a second of the kind.
  const std::size_t enough = std::max<std::size_t>(std::min(quota_ / 2, quota_ - std::min(leased_bytes_, quota_)), 1);
  bool views_the_response = false;
  failure bad;
  wire::batch_cursor cursor(from.bytes);
  wire::batch_view batch;
  while (inflated < detail::inflated_per_lease && l.charge + inflated < enough && cursor.next(batch)) {
    const std::size_t before = l.segments.size();
    bad = add_batch(l, from, batch, context, inflated);
    if (bad) break;
    views_the_response |= l.segments.size() > before && batch.header.codec() == wire::codec::none;
    l.next_offset = std::max(l.next_offset, batch.header.next_offset());
    l.last_epoch = batch.header.leader_epoch;
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
    tracker_.skip(l.next_offset, l.last_epoch);
    read_position_ = l.next_offset;
    read_epoch_ = l.last_epoch;
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

}  // namespace kawait::runtime
