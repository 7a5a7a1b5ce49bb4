#pragma once

#include <algorithm>
#include <limits>

#include <kawait/testing/impl/partition_log.ipp>
#include <kawait/testing/partition_log.hpp>

namespace kawait::testing {

KAWAIT_DECL std::int64_t partition_log::high_watermark() const { return held_ ? std::clamp(*held_, start_, end_) : end_; }

KAWAIT_DECL std::int64_t partition_log::last_stable_offset() const {
  const std::int64_t high = high_watermark();
  std::int64_t stable = std::min(producers_.first_undecided().value_or(high), high);
  for (const decided_transaction& d : decided_) {
    if (d.marker >= high) stable = std::min(stable, d.first);  // not replicated yet, and so not decided
  }
  return std::clamp(stable, std::min(start_, high), high);
}

/// The first batch that does not end below the offset; as many as there are if there is none.
KAWAIT_DECL std::size_t partition_log::find(std::int64_t offset) const {
  const auto at = std::upper_bound(batches_.begin(), batches_.end(), offset,
                                   [](std::int64_t o, const stored& s) { return o < s.next; });
  return static_cast<std::size_t>(at - batches_.begin());
}

KAWAIT_DECL std::int32_t partition_log::epoch_of(std::int64_t offset) const {
  std::int32_t found = -1;
  for (const auto& [epoch, begin] : epochs_) {
    if (begin <= offset) found = epoch;
  }
  return found;
}

KAWAIT_DECL read_outcome partition_log::read(std::int64_t offset, std::size_t max_bytes, bool read_committed,
                                             bool first_whole) const {
  read_outcome out;
  if (offset < start_ || offset > end_) {
    out.error = kafka_error::offset_out_of_range;
    return out;
  }
  const std::int64_t limit = bound(read_committed);
  std::int64_t upper = offset;
  for (std::size_t i = find(offset); i < batches_.size() && batches_[i].next <= limit; ++i) {
    const std::vector<std::byte>& bytes = batches_[i].bytes;
    const bool first = out.records.empty();
    std::size_t take = std::min(bytes.size(), max_bytes - std::min(max_bytes, out.records.size()));
    if (first && take < bytes.size()) take = first_whole ? bytes.size() : 0;
    if (take == 0) break;
    out.records.insert(out.records.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(take));
    upper = batches_[i].next;
  }
  for (const aborted_range& a : aborted_) {
    if (read_committed && a.last >= offset && a.first < upper) out.aborted.emplace_back(a.producer_id, a.first);
  }
  return out;
}

KAWAIT_DECL std::size_t partition_log::readable(std::int64_t offset, bool read_committed) const {
  if (offset < start_ || offset > end_) return 0;
  const std::int64_t limit = bound(read_committed);
  std::size_t size = 0;
  for (std::size_t i = find(offset); i < batches_.size() && batches_[i].next <= limit; ++i) size += batches_[i].bytes.size();
  return size;
}

KAWAIT_DECL offset_and_epoch partition_log::end_of_epoch(std::int32_t epoch) const {
  if (epoch < 0 || epochs_.empty()) return offset_and_epoch(-1, -1);
  if (epoch == epochs_.rbegin()->first) return offset_and_epoch(end_, epoch);
  const auto higher = epochs_.upper_bound(epoch);
  if (higher == epochs_.end()) return offset_and_epoch(-1, -1);
  if (higher == epochs_.begin()) return offset_and_epoch(higher->second, epoch);
  return offset_and_epoch(higher->second, std::prev(higher)->first);
}

KAWAIT_DECL partition_log::timestamp_and_offset partition_log::offset_for(std::int64_t timestamp, bool read_committed) const {
  timestamp_and_offset found;
  const std::int64_t limit = bound(read_committed);
  switch (timestamp) {
    case -1:
      found.offset = limit;
      found.leader_epoch = epoch_;
      return found;
    case -2:
    case -4:
      found.offset = start_;
      found.leader_epoch = epoch_of(start_);
      return found;
    case -5:
    case -6: return found;  // there is no remote storage
    default: break;
  }
  std::int64_t wanted = timestamp;
  if (timestamp == -3) {
    wanted = -1;
    for (const stored& s : batches_) {
      for (const auto& [offset, time] : s.times) {
        if (offset >= start_ && s.next <= limit) wanted = std::max(wanted, time);
      }
    }
    if (wanted < 0) return found;
  }
  for (const stored& s : batches_) {
    if (s.next > limit) break;
    for (const auto& [offset, time] : s.times) {
      if (offset < start_ || time < wanted) continue;
      found.offset = offset;
      found.timestamp = time;
      found.leader_epoch = s.epoch;
      return found;
    }
  }
  return found;
}

KAWAIT_DECL std::vector<partition_log::stored_record> partition_log::records(std::int64_t offset) const {
  std::vector<stored_record> all;
  offset = std::max(offset, start_);  // what lies below it in the batch that the log starts with is deleted
  for (std::size_t i = find(offset); i < batches_.size(); ++i) {
    wire::batch_view batch;
    if (!log_detail::view_of(batches_[i].bytes, batch) || batch.header.is_control()) continue;
    const failure bad = log_detail::each_record(batch, [&](const wire::record& r) {
      if (r.offset() < offset) return;
      stored_record s;
      s.offset = r.offset();
      s.timestamp = r.timestamp_ms();
      s.key = log_detail::text_of(r.key());
      s.value = log_detail::text_of(r.value());
      all.push_back(std::move(s));
    });
    (void)bad;
  }
  return all;
}

}  // namespace kawait::testing
