#pragma once

#include <kawait/testing/batch_writer.hpp>

#include <string>

#if !defined(KAWAIT_NO_LZ4)
#include <lz4frame.h>
#endif
#if !defined(KAWAIT_NO_SNAPPY)
#include <snappy-c.h>
#endif
#if !defined(KAWAIT_NO_ZLIB)
#include <zlib.h>
#endif
#include <zstd.h>

#include <kawait/core/error.hpp>
#include <kawait/wire/crc32c.hpp>
#include <kawait/wire/writer.hpp>

namespace kawait::testing {
namespace batch_detail {

using bytes = std::vector<std::byte>;

[[noreturn]] inline void not_compressed(wire::codec how) {
  throw error(errc::unsupported_codec, std::string(wire::name_of(how)) + ": not compressed");
}

#if !defined(KAWAIT_NO_ZLIB)
inline bytes gzip(std::span<const std::byte> in) {
  z_stream z = {};
  if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) not_compressed(wire::codec::gzip);
  bytes out(deflateBound(&z, static_cast<uLong>(in.size())) + 64);
  z.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int state = deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  if (state != Z_STREAM_END) not_compressed(wire::codec::gzip);
  return out;
}
#endif

#if !defined(KAWAIT_NO_SNAPPY)
inline bytes bare_snappy(std::span<const std::byte> in) {
  std::size_t size = snappy_max_compressed_length(in.size());
  bytes out(size);
  snappy_compress(reinterpret_cast<const char*>(in.data()), in.size(), reinterpret_cast<char*>(out.data()), &size);
  out.resize(size);
  return out;
}

inline bytes xerial_snappy(std::span<const std::byte> in) {
  static constexpr unsigned char magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
  bytes out;
  wire::writer w(out);
  w.write_bytes(std::as_bytes(std::span<const unsigned char>(magic)));
  w.write(std::int32_t{1});  // version
  w.write(std::int32_t{1});  // oldest version that can read it
  while (!in.empty()) {
    const std::size_t n = in.size() < 32768 ? in.size() : 32768;
    const bytes block = bare_snappy(in.first(n));
    w.write(static_cast<std::int32_t>(block.size()));
    w.write_bytes(block);
    in = in.subspan(n);
  }
  return out;
}
#endif

#if !defined(KAWAIT_NO_LZ4)
inline bytes lz4(std::span<const std::byte> in, codec_flavour flavour) {
  LZ4F_preferences_t options = {};
  options.frameInfo.blockSizeID = LZ4F_max64KB;
  options.frameInfo.blockMode = flavour == codec_flavour::simple ? LZ4F_blockLinked : LZ4F_blockIndependent;
  if (flavour == codec_flavour::checked) {
    options.frameInfo.contentSize = in.size();
    options.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    options.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
  }
  bytes out(LZ4F_compressFrameBound(in.size(), &options));
  const std::size_t n = LZ4F_compressFrame(out.data(), out.size(), in.data(), in.size(), &options);
  if (LZ4F_isError(n) != 0) not_compressed(wire::codec::lz4);
  out.resize(n);
  return out;
}
#endif

inline bytes zstd(std::span<const std::byte> in, codec_flavour flavour) {
  bytes out(ZSTD_compressBound(in.size()) + 64);
  ZSTD_CCtx* c = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, flavour == codec_flavour::checked ? 1 : 0);
  std::size_t n = 0;
  if (flavour == codec_flavour::usual) {
    // The first call does not tell that it is the last, so the size is not known when the frame's header is written.
    ZSTD_outBuffer to = {out.data(), out.size(), 0};
    ZSTD_inBuffer from = {in.data(), in.size(), 0};
    ZSTD_compressStream2(c, &to, &from, ZSTD_e_continue);
    n = ZSTD_compressStream2(c, &to, &from, ZSTD_e_end) == 0 ? to.pos : 0;
  } else {
    n = ZSTD_compress2(c, out.data(), out.size(), in.data(), in.size());
  }
  ZSTD_freeCCtx(c);
  if (n == 0 || ZSTD_isError(n) != 0) not_compressed(wire::codec::zstd);
  out.resize(n);
  return out;
}

inline void write_nullable(wire::writer& out, std::optional<std::string_view> text) {
  out.write_varint(text ? static_cast<std::int32_t>(text->size()) : -1);
  if (text) out.write_bytes(std::as_bytes(std::span<const char>(text->data(), text->size())));
}

}  // namespace batch_detail

KAWAIT_DECL std::vector<std::byte> compress(wire::codec how, std::span<const std::byte> in, codec_flavour flavour) {
  switch (how) {
    case wire::codec::none: return batch_detail::bytes(in.begin(), in.end());
    case wire::codec::zstd: return batch_detail::zstd(in, flavour);
#if !defined(KAWAIT_NO_ZLIB)
    case wire::codec::gzip: return batch_detail::gzip(in);
#endif
#if !defined(KAWAIT_NO_SNAPPY)
    case wire::codec::snappy:
      return flavour == codec_flavour::simple ? batch_detail::bare_snappy(in) : batch_detail::xerial_snappy(in);
#endif
#if !defined(KAWAIT_NO_LZ4)
    case wire::codec::lz4: return batch_detail::lz4(in, flavour);
#endif
    default: break;
  }
  batch_detail::not_compressed(how);
}

KAWAIT_DECL batch_writer::batch_writer(std::int64_t base_offset) {
  header.base_offset = base_offset;
  header.leader_epoch = 0;
  header.base_timestamp = 1'700'000'000'000;
  header.max_timestamp = header.base_timestamp;
  header.last_offset_delta = -1;
}

KAWAIT_DECL batch_writer& batch_writer::add(std::optional<std::string_view> key, std::optional<std::string_view> value,
                                            const std::vector<record_header>& headers, std::int64_t timestamp_delta) {
  std::vector<std::byte> body;
  wire::writer w(body);
  w.write(std::int8_t{0});
  w.write_varlong(timestamp_delta);
  w.write_varint(++header.last_offset_delta);
  batch_detail::write_nullable(w, key);
  batch_detail::write_nullable(w, value);
  w.write_varint(static_cast<std::int32_t>(headers.size()));
  for (const record_header& h : headers) {
    batch_detail::write_nullable(w, h.key);
    batch_detail::write_nullable(w, h.value);
  }
  const bool append_time = header.timestamp_type() == wire::timestamp_type::log_append_time;
  const std::int64_t timestamp = header.base_timestamp + timestamp_delta;
  if (!append_time && timestamp > header.max_timestamp) header.max_timestamp = timestamp;
  return add_raw(body);
}

KAWAIT_DECL batch_writer& batch_writer::add(const producer_record& r) {
  return add(r.key, r.value, r.headers, r.timestamp ? *r.timestamp - header.base_timestamp : 0);
}

KAWAIT_DECL batch_writer& batch_writer::add_raw(std::span<const std::byte> body) {
  wire::writer w(records_);
  w.write_varint(static_cast<std::int32_t>(body.size()));
  w.write_bytes(body);
  ++header.record_count;
  return *this;
}

KAWAIT_DECL batch_writer& batch_writer::add_garbage(std::span<const std::byte> bytes) {
  records_.insert(records_.end(), bytes.begin(), bytes.end());
  return *this;
}

KAWAIT_DECL std::vector<std::byte> batch_writer::build_with(std::span<const std::byte> compressed) const {
  std::vector<std::byte> out;
  out.reserve(wire::batch_header::size + compressed.size());
  wire::writer w(out);
  w.write(header.base_offset);
  w.write(static_cast<std::int32_t>(wire::batch_header::size - wire::batch_header::length_offset + compressed.size()));
  w.write(header.leader_epoch);
  w.write(header.magic);
  w.write(std::uint32_t{0});  // the CRC, once what it covers is there
  w.write(header.attributes);
  w.write(header.last_offset_delta);
  w.write(header.base_timestamp);
  w.write(header.max_timestamp);
  w.write(header.producer_id);
  w.write(header.producer_epoch);
  w.write(header.base_sequence);
  w.write(header.record_count);
  w.write_bytes(compressed);
  const std::uint32_t crc = wire::crc32c(std::span<const std::byte>(out).subspan(wire::batch_header::crc_offset));
  wire::store_big_endian(out.data() + 17, crc);
  return out;
}

KAWAIT_DECL std::vector<std::byte> control_batch(std::int64_t offset, std::int64_t producer_id, wire::control_type type,
                                                 std::int32_t coordinator_epoch, std::int16_t producer_epoch,
                                                 std::int64_t timestamp) {
  std::vector<std::byte> key;
  wire::writer k(key);
  k.write(std::int16_t{0});
  k.write(static_cast<std::int16_t>(type));
  std::vector<std::byte> value;
  wire::writer v(value);
  v.write(std::int16_t{0});
  v.write(coordinator_epoch);
  const auto text = [](const std::vector<std::byte>& b) {
    return std::string_view(reinterpret_cast<const char*>(b.data()), b.size());
  };
  batch_writer writer(offset);
  writer.base_timestamp(timestamp).producer(producer_id, producer_epoch, -1).transactional().control();
  writer.add(text(key), text(value));
  return writer.build();
}

}  // namespace kawait::testing
