#pragma once

#include <kawait/wire/compression.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include <kawait/wire/impl/compression_codecs.ipp>

namespace kawait::wire {
namespace compression_detail {

inline failure stored(std::span<const std::byte> in, std::size_t limit, sink& out) {
  if (in.size() > limit) return too_large(limit);
  out.acquire(in.size());
  if (!in.empty()) std::memcpy(out.next(), in.data(), in.size());
  out.wrote(in.size());
  return {};
}

inline failure run(codec how, contexts& c, std::span<const std::byte> in, std::size_t limit, std::size_t likely, sink& out) {
  (void)c;
  (void)likely;
  if (in.empty()) return stored(in, limit, out);  // no data, no records: whether that is right the count will tell
  switch (how) {
    case codec::none: return stored(in, limit, out);
    case codec::gzip:
#if defined(KAWAIT_NO_ZLIB)
      return left_out(how, "KAWAIT_ZLIB");
#else
      out.acquire(likely);
      return gzip(c, in, limit, out);
#endif
    case codec::snappy:
#if defined(KAWAIT_NO_SNAPPY)
      return left_out(how, "KAWAIT_SNAPPY");
#else
      return snappy(in, limit, out);
#endif
    case codec::lz4:
#if defined(KAWAIT_NO_LZ4)
      return left_out(how, "KAWAIT_LZ4");
#else
      out.acquire(likely);
      return lz4_frame(in, limit, out).run();
#endif
    case codec::zstd:
#if defined(KAWAIT_NO_ZSTD)
      return left_out(how, "KAWAIT_ZSTD");
#else
      if (const std::size_t hint = zstd_hint(in)) likely = std::min(hint, 16 * in.size());
      out.acquire(likely);
      return zstd(c, in, limit, out);
#endif
  }
  return failure(errc::unsupported_codec, "codec number " + std::to_string(static_cast<int>(how)));
}

}  // namespace compression_detail

KAWAIT_DECL std::string_view name_of(codec how) noexcept {
  switch (how) {
    case codec::none: return "none";
    case codec::gzip: return "gzip";
    case codec::snappy: return "snappy";
    case codec::lz4: return "lz4";
    case codec::zstd: return "zstd";
  }
  return "unknown";
}

KAWAIT_DECL bool is_supported(codec how) noexcept {
  switch (how) {
    case codec::none: return true;
#if !defined(KAWAIT_NO_ZLIB)
    case codec::gzip: return true;
#endif
#if !defined(KAWAIT_NO_SNAPPY)
    case codec::snappy: return true;
#endif
#if !defined(KAWAIT_NO_LZ4)
    case codec::lz4: return true;
#endif
#if !defined(KAWAIT_NO_ZSTD)
    case codec::zstd: return true;
#endif
    default: return false;
  }
}

KAWAIT_DECL decompressor::decompressor() noexcept = default;
KAWAIT_DECL decompressor::decompressor(decompressor&&) noexcept = default;
KAWAIT_DECL decompressor& decompressor::operator=(decompressor&&) noexcept = default;
KAWAIT_DECL decompressor::~decompressor() = default;

KAWAIT_DECL compression_detail::contexts& decompressor::ready() {
  if (!contexts_) contexts_ = std::make_unique<compression_detail::contexts>();
  return *contexts_;
}

KAWAIT_DECL failure decompressor::decompress(codec how, std::span<const std::byte> in, std::size_t limit, slab_source& source,
                                             slab_ref& out, std::size_t& size) {
  out.reset();
  size = 0;
  // Room for what recent batches of the codec needed and an eighth more, so that a batch seldom outgrows its first slab.
  std::size_t& expansion = expansion_[static_cast<std::size_t>(how) & 7u];
  const std::size_t sixteenths = std::clamp<std::size_t>(expansion + expansion / 8, 64, 256);
  const std::size_t likely = std::max<std::size_t>(in.size() / 16 * sixteenths, 4096);
  try {
    compression_detail::sink sink(source, limit);
    if (failure f = compression_detail::run(how, ready(), in, limit, likely, sink)) return f;
    size = sink.used();
    out = sink.release();
  } catch (const std::bad_alloc&) {
    return failure(std::make_error_code(std::errc::not_enough_memory), "decompressing a record batch");
  }
  if (in.size() >= 256) {
    const std::size_t now = size / (in.size() / 16);
    expansion = now > expansion ? now : expansion - (expansion - now) / 8;
  }
  return {};
}

}  // namespace kawait::wire
