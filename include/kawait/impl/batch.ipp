#pragma once

#include <kawait/batch.hpp>

#include <algorithm>

namespace kawait {

// Told here, and by the stream once the batch is released: what comes behind is not handed out as if nothing were missing.
KAWAIT_DECL void batch::iterator::fail(const failure& bad, std::int64_t offset) const {
  lease_->corrupt_at.store(offset, std::memory_order_relaxed);
  const topic_partition name(lease_->info->topic, lease_->info->id.partition);
  throw error(bad.code, name.to_string() + '@' + std::to_string(offset) + ": " + bad.words);
}

KAWAIT_DECL void batch::iterator::open_segment() {
  const auto& segments = lease_->segments;
  while (segment_ < segments.size()) {
    reader_ = wire::record_reader(segments[segment_].header, segments[segment_].records, lease_->first_offset);
    if (reader_.next(current_)) return;
    if (const failure bad = reader_.error()) fail(bad, std::max(segments[segment_].header.base_offset, lease_->first_offset));
    ++segment_;
  }
  lease_ = nullptr;
}

KAWAIT_DECL void batch::iterator::next_segment() {
  if (const failure bad = reader_.error()) fail(bad, current_.offset() + 1);
  ++segment_;
  open_segment();
}

// Behind the last record there may be offsets that are nobody's: removed by compaction, or of control batches.
KAWAIT_DECL void batch::done_through(const record& r) noexcept {
  const wire::batch_header& last = lease_->segments.back().header;
  const bool is_last = r.offset() >= last.base_offset && r.ordinal() + 1 == static_cast<std::uint32_t>(last.record_count);
  if (is_last) {
    lease_->mark_all_done();
  } else {
    lease_->mark_done_through(r.offset() + 1);
  }
}

KAWAIT_DECL void batch::done(const record& r) {
  const auto& segments = lease_->segments;
  const auto it = std::lower_bound(segments.begin(), segments.end(), r.offset(),
                                   [](const runtime::lease_segment& s, std::int64_t offset) { return s.header.last_offset() < offset; });
  if (it == segments.end() || r.offset() < lease_->first_offset) return;  // not a record of this batch
  lease_->mark_one_done(it->first_ordinal + r.ordinal(), r.offset());
}

KAWAIT_DECL owned_batch batch::to_owned() const {
  owned_batch copy;
  copy.topic_ = topic();
  copy.partition_ = partition();
  copy.next_offset_ = next_offset();
  for (const record& r : *this) {
    owned_batch::owned_record& to = copy.records_.emplace_back();
    to.offset = r.offset();
    to.timestamp_ms = r.timestamp_ms();
    to.key = *r.key();
    to.value = *r.value();
    to.key_is_null = r.key().is_null();
    to.value_is_null = r.value().is_null();
    for (const header& h : r.headers()) {
      owned_batch::owned_header& own = to.headers.emplace_back();
      own.key = h.key;
      own.value = *h.value;
      own.is_null = h.value.is_null();
    }
  }
  return copy;
}

}  // namespace kawait
