#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <kawait/detail/config.hpp>

namespace kawait::wire {

/// CRC32C (Castagnoli), as Kafka's record batches carry it. `crc` is the result for the bytes before `data`, so that
/// crc32c(ab) == crc32c(b, crc32c(a)). Uses the fastest way this processor has; see crc32c_variants.
KAWAIT_DECL std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t crc = 0) noexcept;

/// One way to compute the CRC. All of them give the same result: tests compare them, benchmarks rank them.
struct crc32c_variant {
  const char* name = nullptr;
  std::uint32_t (*compute)(const std::byte* data, std::size_t size, std::uint32_t crc) noexcept = nullptr;
  bool supported = false;  ///< Whether this processor can run it; calling it otherwise is an illegal instruction.
};

/// Every variant of this build, the preferred one first. The last ("table") runs everywhere.
KAWAIT_DECL std::span<const crc32c_variant> crc32c_variants() noexcept;

}  // namespace kawait::wire

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/wire/impl/crc32c.ipp>
#endif
