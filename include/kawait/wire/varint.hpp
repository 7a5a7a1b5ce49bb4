#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <kawait/detail/config.hpp>

namespace kawait::wire {

/// The longest varint of 32 and of 64 bits.
inline constexpr std::size_t max_varint_size = 5;
inline constexpr std::size_t max_varlong_size = 10;

constexpr std::uint32_t zigzag(std::int32_t v) noexcept {
  return (static_cast<std::uint32_t>(v) << 1) ^ static_cast<std::uint32_t>(v >> 31);
}
constexpr std::uint64_t zigzag(std::int64_t v) noexcept {
  return (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63);
}
constexpr std::int32_t unzigzag(std::uint32_t v) noexcept { return static_cast<std::int32_t>((v >> 1) ^ (0u - (v & 1u))); }
constexpr std::int64_t unzigzag(std::uint64_t v) noexcept { return static_cast<std::int64_t>((v >> 1) ^ (0u - (v & 1u))); }

namespace detail {

/// Byte by byte: the last bytes of the input, and varints of nine and ten bytes.
template <class Unsigned>
inline const std::byte* decode_slowly(const std::byte* p, const std::byte* end, Unsigned& out) noexcept {
  constexpr unsigned bits = sizeof(Unsigned) * 8;
  Unsigned value = 0;
  for (unsigned shift = 0; shift < bits; shift += 7) {
    if (p == end) return nullptr;
    const auto b = std::to_integer<std::uint8_t>(*p++);
    if (bits - shift < 7 && (b >> (bits - shift)) != 0) return nullptr;  // more than the type holds, or still no end
    value = static_cast<Unsigned>(value | (static_cast<Unsigned>(b & 0x7fu) << shift));
    if (b < 0x80) {
      out = value;
      return p;
    }
  }
  return nullptr;
}

inline std::uint64_t load_little_endian(const std::byte* p) noexcept {
  std::uint64_t v;
  std::memcpy(&v, p, sizeof v);
  if constexpr (std::endian::native == std::endian::big) {
    std::uint64_t swapped = 0;
    for (int i = 0; i < 8; ++i) swapped |= ((v >> (8 * i)) & 0xffu) << (56 - 8 * i);
    v = swapped;
  }
  return v;
}

/// Up to eight bytes at once, with one branch for "does it end within them": the lengths of a record's varints vary from record
/// to record, and a branch per byte is a misprediction per record.
template <class Unsigned>
inline const std::byte* decode_word(const std::byte* p, const std::byte* end, Unsigned& out) noexcept {
  if (end - p < 8) return decode_slowly(p, end, out);
  std::uint64_t x = load_little_endian(p);
  const std::uint64_t ends = ~x & 0x8080808080808080u;
  if (ends == 0) return decode_slowly(p, end, out);
  x &= (ends ^ (ends - 1)) & 0x7f7f7f7f7f7f7f7fu;
  x = (x & 0x007f007f007f007fu) | ((x & 0x7f007f007f007f00u) >> 1);
  x = (x & 0x00003fff00003fffu) | ((x & 0x3fff00003fff0000u) >> 2);
  x = (x & 0x000000000fffffffu) | ((x & 0x0fffffff00000000u) >> 4);
  const int size = (std::countr_zero(ends) >> 3) + 1;
  if constexpr (sizeof(Unsigned) == 4) {
    if (size > static_cast<int>(max_varint_size) || (x >> 32) != 0) return nullptr;
  }
  out = static_cast<Unsigned>(x);
  return p + size;
}

}  // namespace detail

/// Decodes an unsigned varint of [p, end) into `out`. Returns where it ends, or nullptr when the input is cut or the value does
/// not fit the type; `out` is then unchanged. Padded forms (0x80 0x00) that fit the longest encoding are accepted, as Kafka does.
inline const std::byte* decode_unsigned(const std::byte* p, const std::byte* end, std::uint32_t& out) noexcept {
  if (p != end && std::to_integer<std::uint8_t>(*p) < 0x80) [[likely]] {
    out = std::to_integer<std::uint8_t>(*p);
    return p + 1;
  }
  return detail::decode_word(p, end, out);
}
inline const std::byte* decode_unsigned(const std::byte* p, const std::byte* end, std::uint64_t& out) noexcept {
  if (p != end && std::to_integer<std::uint8_t>(*p) < 0x80) [[likely]] {
    out = std::to_integer<std::uint8_t>(*p);
    return p + 1;
  }
  return detail::decode_word(p, end, out);
}

/// Decodes a zigzag varint (32 bits) or varlong (64 bits), like decode_unsigned.
inline const std::byte* decode(const std::byte* p, const std::byte* end, std::int32_t& out) noexcept {
  std::uint32_t raw;
  p = decode_unsigned(p, end, raw);
  if (p != nullptr) out = unzigzag(raw);
  return p;
}
inline const std::byte* decode(const std::byte* p, const std::byte* end, std::int64_t& out) noexcept {
  std::uint64_t raw;
  p = decode_unsigned(p, end, raw);
  if (p != nullptr) out = unzigzag(raw);
  return p;
}

/// Writes `v` at `p`, which has room for max_varint_size or max_varlong_size bytes. Returns where it ends.
template <class Unsigned>
inline std::byte* encode_unsigned(std::byte* p, Unsigned v) noexcept {
  static_assert(sizeof(Unsigned) >= 4 && static_cast<Unsigned>(-1) > 0);
  while (v >= 0x80) {
    *p++ = static_cast<std::byte>(v | 0x80);
    v >>= 7;
  }
  *p++ = static_cast<std::byte>(v);
  return p;
}

inline std::byte* encode(std::byte* p, std::int32_t v) noexcept { return encode_unsigned(p, zigzag(v)); }
inline std::byte* encode(std::byte* p, std::int64_t v) noexcept { return encode_unsigned(p, zigzag(v)); }

}  // namespace kawait::wire
