#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <kawait/core/error.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/wire/slab.hpp>

namespace kawait::wire {

/// Compression of a record batch, as its attributes number it.
enum class codec : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };

/// "none", "gzip", "snappy", "lz4", "zstd" as Kafka's compression.type spells them; "unknown" for the numbers 5 to 7.
KAWAIT_DECL std::string_view name_of(codec) noexcept;

/// Whether this build can decompress it (gzip, snappy, lz4 and zstd can each be left out).
KAWAIT_DECL bool is_supported(codec) noexcept;

/// What one record batch may decompress to unless configured otherwise, in bytes.
inline constexpr std::size_t default_decompression_limit = std::size_t{64} << 20;

namespace compression_detail {
struct contexts;
}

/// Decompresses record batches; keeps the codecs' contexts between calls, so use one a consumer. Not for two threads at once.
class decompressor {
 public:
  KAWAIT_DECL decompressor() noexcept;
  KAWAIT_DECL decompressor(decompressor&&) noexcept;
  KAWAIT_DECL decompressor& operator=(decompressor&&) noexcept;
  KAWAIT_DECL ~decompressor();

  /// Decompresses all of `in`, the bytes behind a batch's record count, into a slab of `source`; on success `out` holds it and
  /// its first `size` bytes are the records. What a hostile `in` declares is a hint only: a slab is never larger than `limit`
  /// (but for the source's own rounding up), nor than the larger of 4 KiB, 22 times `in`, and twice what has come out with one
  /// codec block. Fails with errc::decompression_limit, errc::corrupt_batch, errc::unsupported_codec (the words name the build
  /// option) or std::errc::not_enough_memory; `out` is empty then.
  KAWAIT_DECL failure decompress(codec how, std::span<const std::byte> in, std::size_t limit, slab_source& source, slab_ref& out,
                                 std::size_t& size);

 private:
  KAWAIT_DECL compression_detail::contexts& ready();

  std::unique_ptr<compression_detail::contexts> contexts_;
  std::array<std::size_t, 8> expansion_{};  // per codec: recent output per input, in sixteenths
};

}  // namespace kawait::wire

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/wire/impl/compression.ipp>
#endif
