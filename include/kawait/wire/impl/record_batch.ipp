#pragma once

#include <kawait/wire/record_batch.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>
#include <limits>
#include <utility>

#include <kawait/wire/crc32c.hpp>
#include <kawait/wire/reader.hpp>

namespace kawait::wire {
namespace batch_detail {

inline constexpr std::size_t magic_offset = 16;
inline constexpr std::int32_t smallest_length = static_cast<std::int32_t>(batch_header::size - batch_header::length_offset);
inline constexpr const char* too_many = "its count of records exceeds its bytes";

/// `p` has batch_header::size bytes.
inline void load(const std::byte* p, batch_header& h) noexcept {
  h.base_offset = load_big_endian<std::int64_t>(p);
  h.batch_length = load_big_endian<std::int32_t>(p + 8);
  h.leader_epoch = load_big_endian<std::int32_t>(p + 12);
  h.magic = static_cast<std::int8_t>(p[magic_offset]);
  h.crc = load_big_endian<std::uint32_t>(p + 17);
  h.attributes = load_big_endian<std::int16_t>(p + 21);
  h.last_offset_delta = load_big_endian<std::int32_t>(p + 23);
  h.base_timestamp = load_big_endian<std::int64_t>(p + 27);
  h.max_timestamp = load_big_endian<std::int64_t>(p + 35);
  h.producer_id = load_big_endian<std::int64_t>(p + 43);
  h.producer_epoch = load_big_endian<std::int16_t>(p + 51);
  h.base_sequence = load_big_endian<std::int32_t>(p + 53);
  h.record_count = load_big_endian<std::int32_t>(p + 57);
}

inline failure flawed(const batch_header& h, const char* flaw) {
  return failure(errc::corrupt_batch, "record batch at offset " + std::to_string(h.base_offset) + ": " + flaw);
}

/// What is wrong with a header by itself, or nullptr.
inline const char* flaw_of(const batch_header& h, std::int64_t floor) noexcept {
  if (h.base_offset < 0) return "its base offset is negative";
  if (h.last_offset_delta < 0) return "its last offset delta is negative";
  if (h.base_offset > std::numeric_limits<std::int64_t>::max() - (std::int64_t{1} << 31)) return "its offsets overflow";
  if (h.base_offset < floor) return "it begins below the end of the batch before it";
  if (h.record_count < 0) return "its count of records is negative";
  if (h.codec() == codec::none && h.record_count > (h.batch_length - smallest_length) / smallest_record_size) return too_many;
  return nullptr;
}

}  // namespace batch_detail

KAWAIT_DECL failure check_crc(const batch_view& batch) {
  const std::uint32_t computed = crc32c(batch.bytes.subspan(batch_header::crc_offset));
  if (computed == batch.header.crc) [[likely]] return {};
  return failure(errc::crc_mismatch, "record batch at offset " + std::to_string(batch.header.base_offset) + " (" +
                                         std::to_string(batch.bytes.size()) + " bytes) carries " +
                                         std::to_string(batch.header.crc) + ", its bytes give " + std::to_string(computed));
}

KAWAIT_DECL failure check_count(const batch_header& header, std::size_t bytes) {
  if (std::cmp_less_equal(header.record_count, bytes / smallest_record_size)) [[likely]] return {};
  return batch_detail::flawed(header, batch_detail::too_many);
}

KAWAIT_DECL bool batch_cursor::fail(errc code, std::string words) {
  error_ = failure(code, std::move(words));
  return false;
}

KAWAIT_DECL bool batch_cursor::cut(const char* what) {
  if (any_ || rest_.empty()) return false;
  return fail(errc::corrupt_batch, "no whole record batch in " + std::to_string(rest_.size()) + " bytes of records: " + what);
}

KAWAIT_DECL bool batch_cursor::next(batch_view& out) {
  if (error_) return false;
  if (rest_.size() <= batch_detail::magic_offset) return cut("they end within a header");
  const std::byte* const p = rest_.data();
  const auto magic = static_cast<std::int8_t>(p[batch_detail::magic_offset]);
  if (magic != 2) [[unlikely]] {
    return fail(errc::unsupported_magic, "record batch at offset " + std::to_string(load_big_endian<std::int64_t>(p)) +
                                             " has magic " + std::to_string(magic));
  }
  const auto length = load_big_endian<std::int32_t>(p + 8);
  if (length < batch_detail::smallest_length) [[unlikely]] {
    return fail(errc::corrupt_batch, "record batch at offset " + std::to_string(load_big_endian<std::int64_t>(p)) +
                                         " has length " + std::to_string(length));
  }
  const std::size_t whole = batch_header::length_offset + static_cast<std::size_t>(length);
  if (rest_.size() < whole) return cut("the first is longer");
  batch_detail::load(p, out.header);
  if (const char* const flaw = batch_detail::flaw_of(out.header, floor_)) [[unlikely]] {
    error_ = batch_detail::flawed(out.header, flaw);
    return false;
  }
  out.bytes = rest_.first(whole);
  rest_ = rest_.subspan(whole);
  any_ = true;
  floor_ = out.header.next_offset();
  return true;
}

KAWAIT_DECL failure summarize(std::span<const std::byte> records, records_summary& out, std::size_t most) {
  out = records_summary();
  batch_cursor cursor(records);
  batch_view batch;
  while (out.bytes < most && cursor.next(batch)) {
    if (out.batches++ == 0) out.first_offset = batch.header.base_offset;
    out.next_offset = batch.header.next_offset();
    if (KAWAIT_MUTANT(takes_last_record_plus_one)) out.next_offset = batch.header.base_offset + batch.header.record_count;
    out.leader_epoch = batch.header.leader_epoch;
    out.bytes += batch.bytes.size();
    out.largest_batch = std::max(out.largest_batch, batch.bytes.size());
  }
  return cursor.error();
}

KAWAIT_DECL aborted_transactions::aborted_transactions(std::vector<aborted_transaction> list) : list_(std::move(list)) {
  const auto earlier = [](const aborted_transaction& a, const aborted_transaction& b) { return a.first_offset < b.first_offset; };
  std::sort(list_.begin(), list_.end(), earlier);
}

KAWAIT_DECL void aborted_transactions::activate(std::int64_t last_offset) {
  for (; next_ != list_.size() && list_[next_].first_offset <= last_offset; ++next_) active_.insert(list_[next_].producer_id);
}

KAWAIT_DECL bool aborted_transactions::skips(const batch_header& header) {
  if (idle() || !header.has_producer_id()) return false;
  activate(header.last_offset());
  return header.is_transactional() && active_.contains(header.producer_id);
}

KAWAIT_DECL void aborted_transactions::on_control(const batch_header& header, control_type type) {
  if (idle() || !header.has_producer_id()) return;
  activate(header.last_offset());
  if (type == control_type::abort) active_.erase(header.producer_id);
}

}  // namespace kawait::wire
