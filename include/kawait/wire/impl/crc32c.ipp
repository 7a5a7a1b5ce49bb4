#pragma once

#include <kawait/wire/crc32c.hpp>

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define KAWAIT_CRC32C_X86 1
#include <immintrin.h>
#endif

namespace kawait::wire {
namespace crc_detail {

// Polynomials over GF(2) are kept bit-reflected, as the CRC is defined: the highest power is in the lowest bit.
inline constexpr std::uint32_t polynomial = 0x82F63B78u;

/// x^n modulo the polynomial.
constexpr std::uint32_t power_of_x(std::size_t n) noexcept {
  std::uint32_t value = 0x80000000u;  // x^0
  for (; n != 0; --n) value = (value >> 1) ^ ((value & 1u) != 0 ? polynomial : 0u);
  return value;
}

using tables = std::array<std::array<std::uint32_t, 256>, 8>;

/// tables[k][b]: the effect of byte b with k zero bytes behind it.
constexpr tables make_tables() noexcept {
  tables t{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t value = b;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1u) != 0 ? polynomial : 0u);
    t[0][b] = value;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) t[k][b] = (t[k - 1][b] >> 8) ^ t[0][t[k - 1][b] & 255u];
  }
  return t;
}

inline constexpr tables slices = make_tables();

inline std::uint64_t load_little(const std::byte* p) noexcept {
  std::uint64_t value;
  std::memcpy(&value, p, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
  return value;
}

inline std::uint32_t by_table(const std::byte* p, std::size_t n, std::uint32_t crc) noexcept {
  crc = ~crc;
  for (; n >= 8; n -= 8, p += 8) {
    const std::uint64_t word = load_little(p) ^ crc;
    crc = 0;
    for (std::size_t k = 0; k < 8; ++k) crc ^= slices[7 - k][(word >> (8 * k)) & 255u];
  }
  for (; n != 0; --n, ++p) crc = (crc >> 8) ^ slices[0][(crc ^ std::to_integer<std::uint32_t>(*p)) & 255u];
  return ~crc;
}

#if defined(KAWAIT_CRC32C_X86)

#define KAWAIT_TARGET_SSE42 __attribute__((target("sse4.2,pclmul")))
#define KAWAIT_TARGET_AVX512 __attribute__((target("sse4.2,pclmul,avx512f,vpclmulqdq")))

KAWAIT_TARGET_SSE42 inline std::uint64_t step(std::uint64_t crc, const std::byte* p) noexcept {
  std::uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return _mm_crc32_u64(crc, word);
}

/// crc * factor without reduction. As a 64-bit message it reads one power of x higher, and the crc32 instruction that reduces it
/// multiplies by x^32: hence the 33 in the factors below.
KAWAIT_TARGET_SSE42 inline std::uint64_t multiply(std::uint64_t crc, std::uint32_t factor) noexcept {
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(crc)),
                                               _mm_cvtsi32_si128(static_cast<int>(factor)), 0);
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(product));
}

/// The crc32 instruction takes three cycles but a new one can start in each: three blocks side by side keep it busy. The results
/// are joined by shifting the first two over what lies behind them, one carry-less multiplication each.
template <std::size_t Block>
KAWAIT_TARGET_SSE42 inline std::uint64_t three_ways(const std::byte*& p, std::size_t& n, std::uint64_t crc) noexcept {
  constexpr std::uint32_t over_one = power_of_x(8 * Block - 33);
  constexpr std::uint32_t over_two = power_of_x(16 * Block - 33);
  while (n >= 3 * Block) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < Block; i += 8) {
      crc = step(crc, p + i);
      second = step(second, p + Block + i);
      third = step(third, p + 2 * Block + i);
    }
    crc = third ^ _mm_crc32_u64(0, multiply(crc, over_two) ^ multiply(second, over_one));
    p += 3 * Block;
    n -= 3 * Block;
  }
  return crc;
}

/// What is left of a buffer, on the bare register (not inverted).
KAWAIT_TARGET_SSE42 inline std::uint32_t tail(const std::byte* p, std::size_t n, std::uint64_t crc) noexcept {
  for (; n >= 8; n -= 8, p += 8) crc = step(crc, p);
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; n != 0; --n, ++p) narrow = _mm_crc32_u8(narrow, std::to_integer<unsigned char>(*p));
  return narrow;
}

KAWAIT_TARGET_SSE42 inline std::uint32_t by_sse42(const std::byte* p, std::size_t n, std::uint32_t crc) noexcept {
  std::uint64_t state = ~crc;
  state = three_ways<1024>(p, n, state);
  state = three_ways<128>(p, n, state);
  return ~tail(p, n, state);
}

/// Factors that move a 128-bit lane `bits` ahead: its first half lies 64 powers higher. A product reads one power too high (see
/// multiply), hence the ones; a factor is a 64-bit reflected word, so its 32 bits are the upper ones.
constexpr long long first_half(std::size_t bits) noexcept {
  return static_cast<long long>(std::uint64_t{power_of_x(bits + 64 - 1)} << 32);
}
constexpr long long second_half(std::size_t bits) noexcept {
  return static_cast<long long>(std::uint64_t{power_of_x(bits - 1)} << 32);
}

KAWAIT_TARGET_AVX512 inline __m512i fold(__m512i from, __m512i factors, __m512i onto) noexcept {
  const __m512i first = _mm512_clmulepi64_epi128(from, factors, 0x00);
  const __m512i second = _mm512_clmulepi64_epi128(from, factors, 0x11);
  return _mm512_ternarylogic_epi64(first, second, onto, 0x96);  // exclusive or of all three
}

KAWAIT_TARGET_SSE42 inline __m128i fold(__m128i from, __m128i onto) noexcept {
  constexpr long long first = first_half(128);
  constexpr long long second = second_half(128);
  const __m128i factors = _mm_set_epi64x(second, first);
  return _mm_xor_si128(onto, _mm_xor_si128(_mm_clmulepi64_si128(from, factors, 0x00), _mm_clmulepi64_si128(from, factors, 0x11)));
}

/// Four 64-byte registers fold 256 bytes a turn onto what lies behind; at the end one 16-byte remainder is left, whose CRC is the
/// buffer's. Twice as fast as the crc32 instruction, which cannot do more than eight bytes a cycle.
KAWAIT_TARGET_AVX512 inline std::uint32_t by_avx512(const std::byte* p, std::size_t n, std::uint32_t crc) noexcept {
  if (n < 512) return by_sse42(p, n, crc);
  constexpr long long far_first = first_half(2048);
  constexpr long long far_second = second_half(2048);
  constexpr long long near_first = first_half(512);
  constexpr long long near_second = second_half(512);
  const __m512i far = _mm512_set4_epi64(far_second, far_first, far_second, far_first);
  const __m512i near = _mm512_set4_epi64(near_second, near_first, near_second, near_first);
  __m512i a = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(~crc))));
  __m512i b = _mm512_loadu_si512(p + 64);
  __m512i c = _mm512_loadu_si512(p + 128);
  __m512i d = _mm512_loadu_si512(p + 192);
  for (p += 256, n -= 256; n >= 256; p += 256, n -= 256) {
    a = fold(a, far, _mm512_loadu_si512(p));
    b = fold(b, far, _mm512_loadu_si512(p + 64));
    c = fold(c, far, _mm512_loadu_si512(p + 128));
    d = fold(d, far, _mm512_loadu_si512(p + 192));
  }
  d = fold(fold(fold(a, near, b), near, c), near, d);
  for (; n >= 64; p += 64, n -= 64) d = fold(d, near, _mm512_loadu_si512(p));
  alignas(64) __m128i lanes[4];
  _mm512_store_si512(lanes, d);
  __m128i rest = fold(fold(fold(lanes[0], lanes[1]), lanes[2]), lanes[3]);
  for (; n >= 16; p += 16, n -= 16) rest = fold(rest, _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  alignas(16) std::uint64_t words[2];
  _mm_store_si128(reinterpret_cast<__m128i*>(words), rest);
  return ~tail(p, n, _mm_crc32_u64(_mm_crc32_u64(0, words[0]), words[1]));
}

#undef KAWAIT_TARGET_SSE42
#undef KAWAIT_TARGET_AVX512

#endif

inline std::array<crc32c_variant, 3> find_variants() noexcept {
  std::array<crc32c_variant, 3> found;
  std::size_t n = 0;
#if defined(KAWAIT_CRC32C_X86)
  __builtin_cpu_init();
  const bool sse42 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
  const bool avx512 = sse42 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq");
  found[n++] = crc32c_variant{"avx512", &by_avx512, avx512};
  found[n++] = crc32c_variant{"sse42", &by_sse42, sse42};
#endif
  found[n++] = crc32c_variant{"table", &by_table, true};
  return found;
}

inline const std::array<crc32c_variant, 3>& variants() noexcept {
  static const std::array<crc32c_variant, 3> found = find_variants();
  return found;
}

inline const crc32c_variant& best_variant() noexcept {
  for (const crc32c_variant& v : variants()) {
    if (v.supported) return v;
  }
  return variants().back();
}

}  // namespace crc_detail

KAWAIT_DECL std::span<const crc32c_variant> crc32c_variants() noexcept {
  const auto& found = crc_detail::variants();
  std::size_t n = 0;
  while (n != found.size() && found[n].compute) ++n;
  return {found.data(), n};
}

KAWAIT_DECL std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t crc) noexcept {
  static const auto compute = crc_detail::best_variant().compute;
  return compute(data.data(), data.size(), crc);
}

}  // namespace kawait::wire
