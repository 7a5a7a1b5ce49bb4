#pragma once

// What compression.ipp is made of: the slab that is written, and one function a codec.

#include <kawait/wire/compression.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#if !defined(KAWAIT_NO_LZ4)
#include <lz4.h>
#endif
#if !defined(KAWAIT_NO_SNAPPY)
#include <snappy-c.h>
#endif
#if !defined(KAWAIT_NO_ZLIB)
#include <zlib.h>
#endif
#if !defined(KAWAIT_NO_ZSTD)
#include <zstd.h>
#include <zstd_errors.h>
#endif

namespace kawait::wire::compression_detail {

/// The libraries' states, each made when it is first needed.
struct contexts {
  contexts() = default;
  contexts(const contexts&) = delete;
  contexts& operator=(const contexts&) = delete;

  ~contexts() {
#if !defined(KAWAIT_NO_ZSTD)
    ZSTD_freeDCtx(zstd);
#endif
#if !defined(KAWAIT_NO_ZLIB)
    if (zlib_ready) inflateEnd(&zlib);
#endif
  }

#if !defined(KAWAIT_NO_ZSTD)
  ZSTD_DCtx* zstd = nullptr;
#endif
#if !defined(KAWAIT_NO_ZLIB)
  z_stream zlib = {};
  bool zlib_ready = false;
#endif
};

/// The slab that is written, which moves to a larger one as long as the limit allows.
class sink {
 public:
  sink(slab_source& source, std::size_t limit) noexcept : source_(source), limit_(limit) {}

  std::byte* next() noexcept { return slab_->data() + used_; }
  const std::byte* begin() noexcept { return slab_->data(); }
  std::size_t room() const noexcept { return capacity_ - used_; }
  std::size_t used() const noexcept { return used_; }
  std::size_t capacity() const noexcept { return capacity_; }
  void wrote(std::size_t bytes) noexcept { used_ += bytes; }

  /// A slab of `capacity`, but never more than the limit; keeps what was written.
  void acquire(std::size_t capacity) {
    if (used_ == 0) slab_.reset();  // before, so that not both are charged
    slab_ref larger = source_.acquire(std::min(capacity, limit_));
    if (!larger) throw std::bad_alloc();
    if (used_ != 0) std::memcpy(larger->data(), slab_->data(), used_);
    slab_ = std::move(larger);
    capacity_ = std::min(slab_->capacity(), limit_);
  }
  /// Doubles; false at the limit. What is there is full, or nearly: so allocation stays within a ratio of real output.
  bool grow() {
    if (capacity_ >= limit_) return false;
    acquire(capacity_ * 2);
    return true;
  }
  slab_ref release() noexcept { return std::move(slab_); }

 private:
  slab_source& source_;
  const std::size_t limit_;
  slab_ref slab_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

inline failure corrupt(std::string what) { return failure(errc::corrupt_batch, std::move(what)); }

inline failure too_large(std::size_t limit) {
  return failure(errc::decompression_limit, "more than " + std::to_string(limit) + " bytes");
}

inline failure left_out(codec how, const char* option) {
  return failure(errc::unsupported_codec,
                 "codec " + std::string(name_of(how)) + " was left out of this build (" + option + "=OFF)");
}

inline std::uint32_t load_little32(const std::byte* p) noexcept {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = (value << 8) | std::to_integer<std::uint32_t>(p[i]);
  return value;
}

inline std::uint32_t load_big32(const std::byte* p) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = (value << 8) | std::to_integer<std::uint32_t>(p[i]);
  return value;
}

#if !defined(KAWAIT_NO_ZSTD)
/// In one shot, begun again with twice the room where it did not suffice, rather than as a stream: the output is then the window,
/// so a frame cannot ask for window memory, nothing goes through a second buffer, and what most frames lack, their content size,
/// is not needed. `initial` being what recent batches needed, the second try is rare; and all tries together cost at most twice
/// the last.
inline failure zstd(contexts& c, std::span<const std::byte> in, std::size_t limit, sink& out) {
  if (!c.zstd) c.zstd = ZSTD_createDCtx();
  if (!c.zstd) throw std::bad_alloc();
  for (;;) {
    const std::size_t n = ZSTD_decompressDCtx(c.zstd, out.next(), out.room(), in.data(), in.size());
    if (!ZSTD_isError(n)) {
      out.wrote(n);
      return {};
    }
    if (ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall) return corrupt(std::string("zstd: ") + ZSTD_getErrorName(n));
    if (!out.grow()) return too_large(limit);
  }
}

/// What the first frame declares, or 0.
inline std::size_t zstd_hint(std::span<const std::byte> in) noexcept {
  const unsigned long long declared = ZSTD_getFrameContentSize(in.data(), in.size());
  if (declared == ZSTD_CONTENTSIZE_UNKNOWN || declared == ZSTD_CONTENTSIZE_ERROR) return 0;
  return static_cast<std::size_t>(std::min<unsigned long long>(declared, SIZE_MAX));
}
#endif

#if !defined(KAWAIT_NO_ZLIB)
inline failure gzip(contexts& c, std::span<const std::byte> in, std::size_t limit, sink& out) {
  constexpr int gzip_only = 15 + 16;
  if (!c.zlib_ready && inflateInit2(&c.zlib, gzip_only) != Z_OK) throw std::bad_alloc();
  c.zlib_ready = true;
  inflateReset(&c.zlib);
  constexpr std::size_t most = 1u << 30;  // zlib counts in unsigned int
  if (in.size() > most) return corrupt("gzip: the batch is too large");
  c.zlib.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
  c.zlib.avail_in = static_cast<uInt>(in.size());
  for (;;) {
    const auto room = static_cast<uInt>(std::min(out.room(), most));
    c.zlib.next_out = reinterpret_cast<Bytef*>(out.next());
    c.zlib.avail_out = room;
    const int state = inflate(&c.zlib, Z_NO_FLUSH);
    out.wrote(room - c.zlib.avail_out);
    if (state == Z_STREAM_END) {
      // As Java reads it: another member is appended, anything else behind a member is ignored.
      const bool another = c.zlib.avail_in >= 2 && c.zlib.next_in[0] == 0x1f && c.zlib.next_in[1] == 0x8b;
      if (!another) return {};
      inflateReset(&c.zlib);
      continue;
    }
    if (state == Z_MEM_ERROR) throw std::bad_alloc();
    if (state != Z_OK && state != Z_BUF_ERROR) return corrupt("gzip: invalid data");
    if (c.zlib.avail_out != 0) return corrupt("gzip: the data is cut short");  // it wanted more input, not more room
    if (!out.grow()) return too_large(limit);
  }
}
#endif

#if !defined(KAWAIT_NO_LZ4)
/// Walks an lz4 frame. The library's own frame decoder would decode into a buffer of its own and copy, unless a whole block's
/// room is left, which is more than most Kafka batches are long. The frame's optional checksums are skipped: the batch has a CRC.
class lz4_frame {
 public:
  lz4_frame(std::span<const std::byte> in, std::size_t limit, sink& out) noexcept : in_(in), limit_(limit), out_(out) {}

  failure run() {
    do {
      if (failure f = header()) return f;
      for (;;) {
        if (in_.size() < 4) return cut();
        const std::uint32_t word = load_little32(in_.data());
        in_ = in_.subspan(4);
        if (word == 0) break;  // the end mark
        if (failure f = block(word & 0x7fffffffu, (word & 0x80000000u) != 0)) return f;
      }
      if (content_checksum_ && !skip(4)) return cut();
    } while (!in_.empty());  // frames may follow one another
    return {};
  }

 private:
  static failure cut() { return corrupt("lz4: the frame is cut short"); }

  bool skip(std::size_t bytes) noexcept {
    if (in_.size() < bytes) return false;
    in_ = in_.subspan(bytes);
    return true;
  }

  failure header() {
    if (in_.size() < 7) return cut();
    if (load_little32(in_.data()) != 0x184D2204u) return corrupt("lz4: not a frame");
    const auto flags = std::to_integer<unsigned>(in_[4]);
    const auto block_code = (std::to_integer<unsigned>(in_[5]) >> 4) & 7u;
    if ((flags >> 6) != 1 || block_code < 4) return corrupt("lz4: unknown frame version or block size");
    if ((flags & 1) != 0) return corrupt("lz4: the frame needs a dictionary");
    independent_ = (flags & 0x20) != 0;
    block_checksum_ = (flags & 0x10) != 0;
    content_checksum_ = (flags & 0x04) != 0;
    largest_block_ = std::size_t{1} << (8 + 2 * block_code);  // 64 KiB to 4 MiB
    frame_begin_ = out_.used();
    const std::size_t content_size = (flags & 0x08) != 0 ? 8 : 0;  // a hint that is not needed
    return skip(7 + content_size) ? failure() : cut();
  }

  failure block(std::size_t size, bool stored) {
    if (size > largest_block_) return corrupt("lz4: a block exceeds the frame's block size");
    if (in_.size() < size) return cut();
    for (;;) {
      const int written = stored ? store(size) : decode(size);
      if (written >= 0) {
        out_.wrote(static_cast<std::size_t>(written));
        break;
      }
      // Corrupt, or too little room: the decoder cannot tell. With room for all that a block of this size can give it is corrupt.
      if (out_.room() >= std::min(largest_block_, size * 255)) return corrupt("lz4: invalid block");
      if (!out_.grow()) return too_large(limit_);
    }
    return skip(size + (block_checksum_ ? 4 : 0)) ? failure() : cut();
  }

  int store(std::size_t size) noexcept {
    if (out_.room() < size) return -1;
    std::memcpy(out_.next(), in_.data(), size);
    return static_cast<int>(size);
  }

  int decode(std::size_t size) noexcept {
    const auto* from = reinterpret_cast<const char*>(in_.data());
    auto* to = reinterpret_cast<char*>(out_.next());
    const int room = static_cast<int>(std::min(out_.room(), largest_block_));
    if (independent_) return LZ4_decompress_safe(from, to, static_cast<int>(size), room);
    const std::size_t history = std::min(out_.used() - frame_begin_, std::size_t{64} << 10);
    return LZ4_decompress_safe_usingDict(from, to, static_cast<int>(size), room, to - history, static_cast<int>(history));
  }

  std::span<const std::byte> in_;
  const std::size_t limit_;
  sink& out_;
  bool independent_ = true;
  bool block_checksum_ = false;
  bool content_checksum_ = false;
  std::size_t largest_block_ = 0;
  std::size_t frame_begin_ = 0;
};
#endif

#if !defined(KAWAIT_NO_SNAPPY)
/// Of a block, or 0. Three bytes of snappy make 64 at most, so a larger claim is a lie, and no memory is spent on it.
inline failure snappy_length(std::span<const std::byte> block, std::size_t& length) {
  if (snappy_uncompressed_length(reinterpret_cast<const char*>(block.data()), block.size(), &length) != SNAPPY_OK) {
    return corrupt("snappy: no length");
  }
  return length / 22 > block.size() ? corrupt("snappy: the declared length is impossible") : failure();
}

inline failure snappy_block(std::span<const std::byte> block, std::size_t length, sink& out) {
  std::size_t written = length;
  const auto* from = reinterpret_cast<const char*>(block.data());
  const snappy_status status = snappy_uncompress(from, block.size(), reinterpret_cast<char*>(out.next()), &written);
  if (status != SNAPPY_OK || written != length) return corrupt("snappy: invalid data");
  out.wrote(written);
  return {};
}

/// Calls `use` with each block of the xerial stream behind its header.
template <class Use>
failure each_xerial_block(std::span<const std::byte> in, Use use) {
  while (!in.empty()) {
    if (in.size() < 4) return corrupt("snappy: the data is cut short");
    const std::size_t size = load_big32(in.data());
    if (size > in.size() - 4) return corrupt("snappy: a block exceeds the data");
    if (failure f = use(in.subspan(4, size))) return f;
    in = in.subspan(4 + size);
  }
  return {};
}

/// What Java writes (snappy-java's frames: 16 bytes of header, then blocks), or one bare block, as other clients do. All lengths
/// are declared, so they are added up first and the slab fits exactly.
inline failure snappy(std::span<const std::byte> in, std::size_t limit, sink& out) {
  static constexpr unsigned char magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
  constexpr std::size_t frame_header = 16;
  const bool framed = in.size() >= frame_header && std::memcmp(in.data(), magic, sizeof magic) == 0;
  std::size_t total = 0;
  const auto measure = [&](std::span<const std::byte> block) {
    std::size_t length = 0;
    if (failure f = snappy_length(block, length)) return f;
    if (length > limit - total) return too_large(limit);
    total += length;
    return failure();
  };
  const auto decode = [&](std::span<const std::byte> block) {
    std::size_t length = 0;
    if (failure f = snappy_length(block, length)) return f;
    return snappy_block(block, length, out);
  };
  const std::span<const std::byte> blocks = framed ? in.subspan(frame_header) : in;
  if (failure f = framed ? each_xerial_block(blocks, measure) : measure(blocks)) return f;
  out.acquire(total);
  return framed ? each_xerial_block(blocks, decode) : decode(blocks);
}
#endif

}  // namespace kawait::wire::compression_detail
