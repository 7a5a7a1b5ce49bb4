#pragma once

#include <kawait/testing/partition_log.hpp>

#include <algorithm>
#include <cstring>

#include <kawait/wire/crc32c.hpp>
#include <kawait/wire/reader.hpp>
#include <kawait/wire/record.hpp>
#include <kawait/wire/writer.hpp>

namespace kawait::testing {
namespace log_detail {

inline constexpr std::size_t crc_at = 17, last_offset_delta_at = 23;

/// Calls f(record) for each record of a batch; what is wrong with it, or no failure.
template <class F>
failure each_record(const wire::batch_view& batch, F&& f) {
  std::span<const std::byte> records = batch.records();
  wire::slab_ref slab;
  if (batch.header.codec() != wire::codec::none) {
    wire::decompressor codecs;
    wire::heap_slabs memory;
    std::size_t size = 0;
    failure bad = codecs.decompress(batch.header.codec(), records, wire::default_decompression_limit, memory, slab, size);
    if (bad) return bad;
    records = std::span<const std::byte>(slab->data(), size);
  }
  wire::record_reader reader(batch.header, records);
  wire::record r;
  while (reader.next(r)) f(r);
  return reader.error();
}

inline void renew_crc(std::vector<std::byte>& batch) {
  const auto covered = std::span<const std::byte>(batch).subspan(wire::batch_header::crc_offset);
  wire::store_big_endian(batch.data() + crc_at, wire::crc32c(covered));
}

inline append_outcome refuse(kafka_error error, const char* words) {
  append_outcome out;
  out.error = error;
  out.words = words;
  return out;
}

/// A stored batch, if it is one that can be read.
inline bool view_of(std::span<const std::byte> bytes, wire::batch_view& out) {
  wire::batch_cursor cursor(bytes);
  return cursor.next(out);
}

inline std::optional<std::string> text_of(const wire::nullable_view& v) {
  return v.has_value() ? std::optional<std::string>(std::string(*v)) : std::nullopt;
}

}  // namespace log_detail

KAWAIT_DECL append_outcome partition_log::append(std::span<const std::byte> bytes) {
  wire::batch_cursor cursor(bytes);
  wire::batch_view batch;
  if (!cursor.next(batch)) {
    if (cursor.error().code == errc::unsupported_magic) {
      return log_detail::refuse(kafka_error::unsupported_for_message_format, "only record batches of magic 2 are taken");
    }
    return log_detail::refuse(kafka_error::corrupt_message, "no whole record batch");
  }
  if (cursor.rest() != 0) return log_detail::refuse(kafka_error::invalid_record, "more than one record batch");
  const wire::batch_header& h = batch.header;
  if (wire::check_crc(batch)) return log_detail::refuse(kafka_error::corrupt_message, "the CRC is wrong");
  if (h.is_control()) return log_detail::refuse(kafka_error::invalid_record, "only brokers write control batches");
  if (h.record_count == 0 || h.last_offset_delta != h.record_count - 1) {
    return log_detail::refuse(kafka_error::invalid_record, "the count of records is not that of the offsets");
  }
  if (static_cast<int>(h.codec()) > static_cast<int>(wire::codec::zstd)) {
    return log_detail::refuse(kafka_error::unsupported_compression_type, "no such codec");
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> times;
  const failure bad = log_detail::each_record(batch, [&](const wire::record& r) {
    times.emplace_back(end_ + r.offset() - h.base_offset, r.timestamp_ms());
  });
  if (bad.code == errc::unsupported_codec) {
    return log_detail::refuse(kafka_error::unsupported_compression_type, "this build lacks the codec");
  }
  if (bad) return log_detail::refuse(kafka_error::invalid_record, "its records do not decode");
  const producer_state::verdict v = producers_.check(h);
  if (v.error != kafka_error::none) return log_detail::refuse(v.error, "");
  append_outcome out;
  out.base_offset = v.duplicate_of.value_or(end_);
  if (v.duplicate_of) return out;
  std::vector<std::byte> copy(bytes.begin(), bytes.end());
  wire::store_big_endian(copy.data(), end_);
  producers_.appended(h, end_);
  store(std::move(copy), std::move(times));
  return out;
}

KAWAIT_DECL std::int64_t partition_log::append(const std::vector<producer_record>& records, std::int64_t now,
                                               const append_options& options) {
  const std::int64_t base = end_;
  if (records.empty()) return base;
  batch_writer w(base);
  w.codec(options.codec).base_timestamp(records.front().timestamp.value_or(now));
  if (options.producer) w.producer(*options.producer, 0, -1);
  if (options.transactional) w.transactional();
  std::vector<std::pair<std::int64_t, std::int64_t>> times;
  for (const producer_record& r : records) {
    producer_record timed = r;
    if (!timed.timestamp) timed.timestamp = now;
    w.add(timed);
    times.emplace_back(base + w.header.last_offset_delta, options.log_append_time ? now : *timed.timestamp);
  }
  if (options.log_append_time) w.log_append_time(now);
  std::vector<std::byte> bytes = w.build();
  producers_.appended(w.header, base);
  store(std::move(bytes), std::move(times));
  return base;
}

KAWAIT_DECL std::int64_t partition_log::append_raw(std::vector<std::byte> batch) {
  stored s;
  std::int64_t base = batch.size() >= 8 ? wire::load_big_endian<std::int64_t>(batch.data()) : end_;
  base = std::max(base, end_);
  const bool has_delta = batch.size() >= log_detail::last_offset_delta_at + 4;
  const auto delta = has_delta ? wire::load_big_endian<std::int32_t>(batch.data() + log_detail::last_offset_delta_at) : 0;
  if (batch.size() >= 8) wire::store_big_endian(batch.data(), base);
  s.bytes = std::move(batch);
  s.base = base;
  s.next = base + std::max(delta, 0) + 1;
  s.epoch = epoch_;
  end_ = s.next;
  batches_.push_back(std::move(s));
  return base;
}

KAWAIT_DECL void partition_log::append_hole(std::int32_t count) {
  if (count <= 0) return;
  wire::batch_view last;
  // A batch that reached into a newer epoch's offsets would be of neither: who has read it would be told again and again that its
  // log has diverged.
  if (batches_.empty() || batches_.back().next != end_ || batches_.back().epoch != epoch_ || !log_detail::view_of(batches_.back().bytes, last)) {
    batch_writer empty(end_);
    empty.hole(count);
    store(empty.build(), {});
    return;
  }
  stored& s = batches_.back();
  s.next += count;
  wire::store_big_endian(s.bytes.data() + log_detail::last_offset_delta_at, last.header.last_offset_delta + count);
  log_detail::renew_crc(s.bytes);
  end_ = s.next;
}

KAWAIT_DECL void partition_log::end_transaction(std::int64_t producer_id, std::int16_t producer_epoch, bool commit,
                                                std::int64_t now) {
  const std::optional<std::int64_t> first = producers_.ended(producer_id, producer_epoch);
  if (!commit && first) aborted_.push_back(aborted_range{producer_id, *first, end_});
  std::erase_if(decided_, [high = high_watermark()](const decided_transaction& d) { return d.marker < high; });
  if (first) decided_.push_back(decided_transaction{*first, end_});
  const auto type = commit ? wire::control_type::commit : wire::control_type::abort;
  store(control_batch(end_, producer_id, type, 0, producer_epoch, now), {});
}

/// Stamps the leader's epoch, which the CRC does not cover, as a leader does.
KAWAIT_DECL void partition_log::store(std::vector<std::byte> bytes, std::vector<std::pair<std::int64_t, std::int64_t>> times) {
  stored s;
  s.base = end_;
  s.next = end_ + wire::load_big_endian<std::int32_t>(bytes.data() + log_detail::last_offset_delta_at) + 1;
  s.epoch = epoch_;
  s.times = std::move(times);
  s.bytes = std::move(bytes);
  wire::store_big_endian(s.bytes.data() + wire::batch_header::length_offset, epoch_);
  if (epochs_.empty() || epochs_.rbegin()->first < epoch_) epochs_[epoch_] = end_;
  end_ = s.next;
  batches_.push_back(std::move(s));
}

KAWAIT_DECL void partition_log::compact(const std::function<bool(std::int64_t)>& keep) {
  for (stored& s : batches_) {
    wire::batch_view batch;
    if (!log_detail::view_of(s.bytes, batch) || batch.header.is_control()) continue;
    batch_writer w(s.base);
    const wire::batch_header before = batch.header;
    w.header = before;
    w.header.last_offset_delta = -1;
    w.header.record_count = 0;
    std::vector<std::pair<std::int64_t, std::int64_t>> times;
    const failure bad = log_detail::each_record(batch, [&](const wire::record& r) {
      if (!keep(r.offset())) return;
      std::vector<record_header> headers;
      for (const wire::header& h : r.headers()) headers.emplace_back(std::string(h.key), log_detail::text_of(h.value));
      w.hole(static_cast<std::int32_t>(r.offset() - s.base) - w.header.last_offset_delta - 1);
      w.add(r.key(), r.value(), headers, r.timestamp_ms() - before.base_timestamp);
      times.emplace_back(r.offset(), r.timestamp_ms());
    });
    if (bad) continue;
    w.header.last_offset_delta = before.last_offset_delta;
    w.header.max_timestamp = before.max_timestamp;
    s.bytes = w.build();
    s.times = std::move(times);
  }
}

KAWAIT_DECL void partition_log::drop_tail(std::int64_t offset) {
  batches_.erase(batches_.begin() + static_cast<std::ptrdiff_t>(find(offset)), batches_.end());
}

KAWAIT_DECL void partition_log::truncate(std::int64_t offset) {
  const std::size_t first = find(offset);
  if (offset >= end_) return;
  end_ = first == batches_.size() ? offset : batches_[first].base;
  batches_.erase(batches_.begin() + static_cast<std::ptrdiff_t>(first), batches_.end());
  start_ = std::min(start_, end_);
  epoch_start_ = std::min(epoch_start_, end_);
  std::erase_if(epochs_, [&](const auto& e) { return e.second >= end_ && e.second != 0; });
  std::erase_if(aborted_, [&](const aborted_range& a) { return a.last >= end_; });
  std::erase_if(decided_, [&](const decided_transaction& d) { return d.marker >= end_; });
  reload_producers();
}

// What is known of producers is what the log says; Kafka's snapshots are there to read less of it.
KAWAIT_DECL void partition_log::reload_producers() {
  producers_ = producer_state();
  for (const stored& s : batches_) {
    wire::batch_view batch;
    if (!log_detail::view_of(s.bytes, batch)) continue;
    wire::control_type type = wire::control_type::other;
    if (!batch.header.is_control()) {
      producers_.appended(batch.header, s.base);
    } else if (!wire::parse_control(batch.header, batch.records(), type) && type != wire::control_type::other) {
      producers_.ended(batch.header.producer_id, batch.header.producer_epoch);
    }
  }
}

KAWAIT_DECL std::int64_t partition_log::delete_records(std::int64_t before) {
  if (before > end_ || before <= start_) return start_;
  start_ = before;
  while (!batches_.empty() && batches_.front().next <= start_) batches_.erase(batches_.begin());
  std::erase_if(aborted_, [&](const aborted_range& a) { return a.last < start_; });
  // The epoch that the log now starts in starts with it.
  const std::int32_t first = epoch_of(start_);
  std::erase_if(epochs_, [&](const auto& e) { return e.first < first; });
  if (first >= 0) epochs_[first] = std::max(epochs_[first], start_);
  return start_;
}

KAWAIT_DECL void partition_log::begin_epoch(std::int32_t epoch) {
  epoch_ = epoch;
  epoch_start_ = end_;
  // An epoch in which nothing was written leaves no trace.
  std::erase_if(epochs_, [&](const auto& e) { return e.second >= end_; });
  epochs_[epoch] = end_;
}

}  // namespace kawait::testing

#include <kawait/testing/impl/partition_log_read.ipp>
