#pragma once

#include <kawait/wire/record.hpp>

#include <string>

#include <kawait/wire/reader.hpp>

namespace kawait::wire {

KAWAIT_DECL void header_range::iterator::load() noexcept {
  // record_reader has walked these bytes already, so none of this can fail; if it did, the range would end here.
  std::int32_t size = 0;
  const std::byte* p = decode(at_, end_, size);
  if (!p || size < 0 || size > end_ - p) {
    left_ = 0;
    return;
  }
  header_.key = std::string_view(reinterpret_cast<const char*>(p), static_cast<std::size_t>(size));
  p = decode(p + size, end_, size);
  if (!p || size < -1 || size > end_ - p) {
    left_ = 0;
    return;
  }
  header_.value = nullable_view(p, size);
  at_ = p + (size < 0 ? 0 : size);
}

KAWAIT_DECL std::optional<header> header_range::last(std::string_view key) const noexcept {
  std::optional<header> found;
  for (const header& h : *this) {
    if (h.key == key) found = h;
  }
  return found;
}

/// Only what finding the first wanted record takes: what is in the others is not looked at.
KAWAIT_DECL void record_reader::skip_below(std::int64_t from_offset) noexcept {
  while (read_ != stop_) {
    std::int32_t length = 0;
    std::int32_t offset_delta = 0;
    std::int64_t timestamp_delta = 0;
    const std::byte* p = decode(at_, end_, length);
    if (!p || length <= 0 || length > end_ - p) {
      fail(flaw::length);
      return;
    }
    const std::byte* const record_end = p + length;
    p = decode(p + 1, record_end, timestamp_delta);
    if (p) p = decode(p, record_end, offset_delta);
    if (!p) {
      fail(flaw::truncated);
      return;
    }
    if (offset_delta <= previous_delta_ || offset_delta > last_delta_) {
      fail(flaw::offset);
      return;
    }
    if (base_offset_ + offset_delta >= from_offset) return;
    previous_delta_ = offset_delta;
    ++read_;
    at_ = record_end;
  }
}

/// next() where the buffer ends soon: every read is checked against the record's end.
KAWAIT_DECL bool record_reader::next_carefully(record& out) noexcept {
  std::int32_t length = 0, offset_delta = 0, key_size = 0, value_size = 0, header_count = 0;
  std::int64_t timestamp_delta = 0;
  const std::byte* p = decode(at_, end_, length);
  if (!p || length <= 0 || length > end_ - p) return fail(flaw::length);
  const std::byte* const record_end = p + length;
  p = decode(p + 1, record_end, timestamp_delta);
  if (p) p = decode(p, record_end, offset_delta);
  if (!p) return fail(flaw::truncated);
  if (offset_delta <= previous_delta_ || offset_delta > last_delta_) return fail(flaw::offset);
  p = decode(p, record_end, key_size);
  if (!p || key_size < -1 || key_size > record_end - p) return fail(flaw::key_size);
  out.key_ = p;
  out.key_size_ = key_size;
  if (key_size > 0) p += key_size;
  p = decode(p, record_end, value_size);
  if (!p || value_size < -1 || value_size > record_end - p) return fail(flaw::value_size);
  out.value_ = p;
  out.value_size_ = value_size;
  if (value_size > 0) p += value_size;
  p = decode(p, record_end, header_count);
  if (const flaw what = check_headers(p, record_end, header_count); what != flaw::none) return fail(what);
  out.headers_ = p;
  out.headers_size_ = static_cast<std::uint32_t>(record_end - p);
  out.header_count_ = static_cast<std::uint32_t>(header_count);
  accept(out, record_end, offset_delta, timestamp_delta);
  return true;
}

/// Whether `count` headers fill [p, end) exactly. They are decoded only when someone iterates over them.
KAWAIT_DECL record_reader::flaw record_reader::check_headers(const std::byte* p, const std::byte* end,
                                                             std::int32_t count) noexcept {
  if (!p || p > end) return flaw::truncated;
  if (count == 0) return p == end ? flaw::none : flaw::excess;
  if (count < 0 || count > (end - p) / 2) return flaw::headers;  // two sizes each
  for (; count != 0; --count) {
    std::int32_t size = 0;
    p = decode(p, end, size);
    if (!p || size < 0 || size > end - p) return flaw::headers;
    p = decode(p + size, end, size);
    if (!p || size < -1 || size > end - p) return flaw::headers;
    if (size > 0) p += size;
  }
  return p == end ? flaw::none : flaw::headers;
}

KAWAIT_DECL failure record_reader::describe(flaw what, std::int32_t read, std::int32_t count, std::int64_t base_offset) {
  const char* text = "";
  switch (what) {
    case flaw::none: return {};
    case flaw::count: text = "the bytes cannot hold that many"; break;
    case flaw::length: text = "its length is not positive or exceeds the batch"; break;
    case flaw::truncated: text = "its fields exceed its length"; break;
    case flaw::offset: text = "its offset does not ascend or lies outside the batch"; break;
    case flaw::key_size: text = "its key's size is out of range"; break;
    case flaw::value_size: text = "its value's size is out of range"; break;
    case flaw::headers: text = "its headers do not fill it exactly"; break;
    case flaw::excess: text = "bytes are left behind its fields"; break;
    case flaw::left_over: text = "bytes are left behind the last record"; break;
  }
  return failure(errc::corrupt_batch, "record " + std::to_string(read) + " of " + std::to_string(count) +
                                          " in the batch at offset " + std::to_string(base_offset) + ": " + text);
}

KAWAIT_DECL failure parse_control(const batch_header& header, std::span<const std::byte> records, control_type& out) {
  out = control_type::other;
  record_reader reader(header, records);
  record marker;
  if (!reader.next(marker)) return reader.error();
  const std::span<const std::byte> key = marker.key().bytes();
  if (key.size() < 4) {
    return failure(errc::corrupt_batch, "control record at offset " + std::to_string(marker.offset()) + " has a key of " +
                                            std::to_string(key.size()) + " bytes");
  }
  const auto version = load_big_endian<std::int16_t>(key.data());
  if (version < 0) {
    return failure(errc::corrupt_batch, "control record at offset " + std::to_string(marker.offset()) + " has version " +
                                            std::to_string(version));
  }
  // A later version keeps the type where it is (KIP-98), so only the type decides.
  const auto type = load_big_endian<std::int16_t>(key.data() + 2);
  if (type == 0) out = control_type::abort;
  if (type == 1) out = control_type::commit;
  return {};
}

}  // namespace kawait::wire
