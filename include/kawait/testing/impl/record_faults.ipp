#pragma once

#include <algorithm>
#include <limits>
#include <span>
#include <string>

#include <kawait/testing/batch_writer.hpp>
#include <kawait/testing/record_faults.hpp>
#include <kawait/wire/crc32c.hpp>
#include <kawait/wire/record_batch.hpp>
#include <kawait/wire/writer.hpp>

namespace kawait::testing {
namespace record_fault_detail {

inline constexpr std::size_t length_at = 8, magic_at = 16, crc_at = 17, attributes_at = 21, count_at = 57;

/// No record, but who gets as far as to see that has unpacked more than the limit.
inline std::vector<std::byte> compressed_bomb(wire::codec how) {
  const std::vector<std::byte> zeros(wire::default_decompression_limit + (std::size_t{1} << 20));
  return compress(how, zeros);
}

/// Compressed once a program: it takes a while.
inline const std::vector<std::byte>& bomb_of(wire::codec how) {
  switch (how) {
    case wire::codec::gzip: {
      static const std::vector<std::byte> gzip = compressed_bomb(how);
      return gzip;
    }
    case wire::codec::snappy: {
      static const std::vector<std::byte> snappy = compressed_bomb(how);
      return snappy;
    }
    case wire::codec::lz4: {
      static const std::vector<std::byte> lz4 = compressed_bomb(how);
      return lz4;
    }
    default: {
      static const std::vector<std::byte> zstd = compressed_bomb(wire::codec::zstd);
      return zstd;
    }
  }
}

inline void sign(std::vector<std::byte>& records, std::size_t size) {
  const auto covered = std::span<const std::byte>(records).first(size).subspan(wire::batch_header::crc_offset);
  wire::store_big_endian(records.data() + crc_at, wire::crc32c(covered));
}

/// Keeps the batch's offsets, with one record that is the bomb.
inline void replace_by_bomb(std::vector<std::byte>& records, const wire::batch_view& first, wire::codec how) {
  batch_writer writer(first.header.base_offset);
  writer.leader_epoch(first.header.leader_epoch).base_timestamp(first.header.base_timestamp);
  writer.codec(how == wire::codec::none ? wire::codec::zstd : how);
  writer.header.last_offset_delta = first.header.last_offset_delta;
  writer.header.record_count = 1;
  std::vector<std::byte> batch = writer.build_with(bomb_of(writer.header.codec()));
  batch.insert(batch.end(), records.begin() + static_cast<std::ptrdiff_t>(first.bytes.size()), records.end());
  records = std::move(batch);
}

inline bool truncate(std::vector<std::byte>& records) {
  wire::batch_cursor cursor{std::span<const std::byte>(records)};
  wire::batch_view batch;
  std::size_t count = 0, last = 0, end = 0;
  while (cursor.next(batch)) {
    ++count;
    last = batch.bytes.size();
    end += last;
  }
  if (count < 2) return false;
  records.resize(end - last / 2);
  return true;
}

}  // namespace record_fault_detail

KAWAIT_DECL bool spoil_records(std::vector<std::byte>& records, record_fault what, wire::codec codec) {
  namespace detail = record_fault_detail;
  wire::batch_cursor cursor{std::span<const std::byte>(records)};
  wire::batch_view first;
  if (what == record_fault::doubled_abort || !cursor.next(first)) return false;
  const std::size_t size = first.bytes.size();
  std::byte* const bytes = records.data();
  switch (what) {
    case record_fault::bad_crc:
      bytes[detail::crc_at] ^= std::byte{1};
      return true;
    case record_fault::unknown_magic:
      bytes[detail::magic_at] = std::byte{3};
      return true;
    case record_fault::unknown_codec:
      bytes[detail::attributes_at + 1] |= std::byte{7};
      detail::sign(records, size);
      return true;
    case record_fault::negative_length:
      wire::store_big_endian(bytes + detail::length_at, std::int32_t{-1});
      return true;
    case record_fault::huge_length:
      wire::store_big_endian(bytes + detail::length_at, std::numeric_limits<std::int32_t>::max());
      return true;
    case record_fault::truncated: return detail::truncate(records);
    case record_fault::hostile_count:
      wire::store_big_endian(bytes + detail::count_at, std::numeric_limits<std::int32_t>::max());
      detail::sign(records, size);
      return true;
    case record_fault::hostile_varint:
      std::fill_n(bytes + wire::batch_header::size, std::min<std::size_t>(size - wire::batch_header::size, 10), std::byte{0xff});
      detail::sign(records, size);
      return true;
    case record_fault::bomb: detail::replace_by_bomb(records, first, codec); return true;
    case record_fault::doubled_abort: break;
  }
  return false;
}

}  // namespace kawait::testing
