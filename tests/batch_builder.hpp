#pragma once

// Record batches for tests: the shipped writer by its old name, and the bytes of what it does not write. Independent of kawait's
// decoders: it shares only the CRC, which has known vectors of its own.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <kawait/testing/batch_writer.hpp>
#include <kawait/wire/crc32c.hpp>

namespace kawait::tests {

using byte_vector = std::vector<std::byte>;
using batch_builder = testing::batch_writer;
using testing::codec_flavour;
using testing::compress;
using testing::control_batch;
using testing::record_header;

inline byte_vector to_bytes(std::string_view text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  return byte_vector(p, p + text.size());
}

inline void append(byte_vector& out, std::span<const std::byte> more) { out.insert(out.end(), more.begin(), more.end()); }

template <class Int>
void append_big_endian(byte_vector& out, Int value) {
  for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::byte>((static_cast<std::uint64_t>(value) >> shift) & 255u));
  }
}

inline void append_little_endian(byte_vector& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<std::byte>((value >> shift) & 255u));
}

inline void append_varint(byte_vector& out, std::int64_t value) {
  auto zigzag = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  for (; zigzag >= 0x80; zigzag >>= 7) out.push_back(static_cast<std::byte>((zigzag & 0x7f) | 0x80));
  out.push_back(static_cast<std::byte>(zigzag));
}

}  // namespace kawait::tests
