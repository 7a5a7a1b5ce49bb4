#pragma once

// Writes record batches of magic 2 as producers, brokers and the log cleaner do, for tests. Independent of kawait's decoders: it
// shares only the CRC, which has known vectors of its own.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include <kawait/wire/compression.hpp>
#include <kawait/wire/crc32c.hpp>
#include <kawait/wire/record_batch.hpp>

namespace kawait::tests {

using byte_vector = std::vector<std::byte>;

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

/// How a codec is used, where producers differ.
enum class codec_flavour {
  usual,   ///< As Java: zstd streamed without content size, lz4 in independent 64 KiB blocks, snappy in xerial frames.
  simple,  ///< As simpler clients: zstd in one shot with content size, lz4 with linked blocks, snappy as one bare block.
  checked  ///< With the optional sizes and checksums of zstd and lz4.
};

namespace builder_detail {

inline byte_vector gzip(std::span<const std::byte> in) {
  z_stream z = {};
  if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::runtime_error("deflateInit2");
  byte_vector out(deflateBound(&z, static_cast<uLong>(in.size())) + 64);
  z.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(in.data()));
  z.avail_in = static_cast<uInt>(in.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int state = deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  if (state != Z_STREAM_END) throw std::runtime_error("deflate");
  return out;
}

inline byte_vector bare_snappy(std::span<const std::byte> in) {
  std::size_t size = snappy_max_compressed_length(in.size());
  byte_vector out(size);
  snappy_compress(reinterpret_cast<const char*>(in.data()), in.size(), reinterpret_cast<char*>(out.data()), &size);
  out.resize(size);
  return out;
}

inline byte_vector xerial_snappy(std::span<const std::byte> in) {
  static constexpr unsigned char magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
  byte_vector out;
  for (const unsigned char c : magic) out.push_back(static_cast<std::byte>(c));
  append_big_endian(out, std::int32_t{1});  // version
  append_big_endian(out, std::int32_t{1});  // oldest version that can read it
  while (!in.empty()) {
    const std::size_t n = in.size() < 32768 ? in.size() : 32768;
    const byte_vector block = bare_snappy(in.first(n));
    append_big_endian(out, static_cast<std::int32_t>(block.size()));
    append(out, block);
    in = in.subspan(n);
  }
  return out;
}

inline byte_vector lz4(std::span<const std::byte> in, codec_flavour flavour) {
  LZ4F_preferences_t options = {};
  options.frameInfo.blockSizeID = LZ4F_max64KB;
  options.frameInfo.blockMode = flavour == codec_flavour::simple ? LZ4F_blockLinked : LZ4F_blockIndependent;
  if (flavour == codec_flavour::checked) {
    options.frameInfo.contentSize = in.size();
    options.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    options.frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
  }
  byte_vector out(LZ4F_compressFrameBound(in.size(), &options));
  const std::size_t n = LZ4F_compressFrame(out.data(), out.size(), in.data(), in.size(), &options);
  if (LZ4F_isError(n) != 0) throw std::runtime_error("lz4");
  out.resize(n);
  return out;
}

inline byte_vector zstd(std::span<const std::byte> in, codec_flavour flavour) {
  byte_vector out(ZSTD_compressBound(in.size()) + 64);
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
  if (n == 0 || ZSTD_isError(n) != 0) throw std::runtime_error("zstd");
  out.resize(n);
  return out;
}

}  // namespace builder_detail

inline byte_vector compress(wire::codec how, std::span<const std::byte> in, codec_flavour flavour = codec_flavour::usual) {
  switch (how) {
    case wire::codec::none: return byte_vector(in.begin(), in.end());
    case wire::codec::gzip: return builder_detail::gzip(in);
    case wire::codec::snappy:
      return flavour == codec_flavour::simple ? builder_detail::bare_snappy(in) : builder_detail::xerial_snappy(in);
    case wire::codec::lz4: return builder_detail::lz4(in, flavour);
    case wire::codec::zstd: return builder_detail::zstd(in, flavour);
  }
  throw std::runtime_error("no such codec");
}

struct record_header {
  std::string key;
  std::optional<std::string> value;

  record_header(std::string k, std::optional<std::string> v) : key(std::move(k)), value(std::move(v)) {}
};

/// Builds one batch; every setter returns the builder. The fields of `header` that build() does not compute may be set at will,
/// before or after records were added.
class batch_builder {
 public:
  explicit batch_builder(std::int64_t base_offset = 0) {
    header.base_offset = base_offset;
    header.leader_epoch = 0;
    header.base_timestamp = 1'700'000'000'000;
    header.max_timestamp = header.base_timestamp;
    header.last_offset_delta = -1;
  }

  wire::batch_header header;

  batch_builder& codec(wire::codec how, codec_flavour flavour = codec_flavour::usual) {
    header.attributes = static_cast<std::int16_t>((header.attributes & ~7) | static_cast<int>(how));
    flavour_ = flavour;
    return *this;
  }
  batch_builder& leader_epoch(std::int32_t epoch) {
    header.leader_epoch = epoch;
    return *this;
  }
  /// Every record gets this one, whatever its delta says.
  batch_builder& log_append_time(std::int64_t timestamp) {
    header.max_timestamp = timestamp;
    return flag(0x08);
  }
  batch_builder& producer(std::int64_t id, std::int16_t epoch = 0, std::int32_t sequence = 0) {
    header.producer_id = id;
    header.producer_epoch = epoch;
    header.base_sequence = sequence;
    return *this;
  }
  batch_builder& transactional() { return flag(0x10); }
  batch_builder& control() { return flag(0x20); }
  batch_builder& delete_horizon(std::int64_t timestamp) {
    header.base_timestamp = timestamp;
    return flag(0x40);
  }
  /// Leaves `n` offsets out, as the log cleaner does; also behind the last record.
  batch_builder& hole(std::int32_t n = 1) {
    header.last_offset_delta += n;
    return *this;
  }

  batch_builder& add(std::optional<std::string_view> key, std::optional<std::string_view> value,
                     const std::vector<record_header>& headers = {}, std::int64_t timestamp_delta = 0) {
    byte_vector body;
    body.push_back(std::byte{0});
    append_varint(body, timestamp_delta);
    append_varint(body, ++header.last_offset_delta);
    append_nullable(body, key);
    append_nullable(body, value);
    append_varint(body, static_cast<std::int64_t>(headers.size()));
    for (const record_header& h : headers) {
      append_nullable(body, h.key);
      append_nullable(body, h.value ? std::optional<std::string_view>(*h.value) : std::nullopt);
    }
    const bool append_time = header.timestamp_type() == wire::timestamp_type::log_append_time;
    const std::int64_t timestamp = header.base_timestamp + timestamp_delta;
    if (!append_time && timestamp > header.max_timestamp) header.max_timestamp = timestamp;
    return add_raw(body);
  }
  /// A record whose body (behind its length) the caller wrote; counted, no offset of its own.
  batch_builder& add_raw(std::span<const std::byte> body) {
    append_varint(records_, static_cast<std::int64_t>(body.size()));
    append(records_, body);
    ++header.record_count;
    return *this;
  }
  /// Bytes behind the records, not counted.
  batch_builder& add_garbage(std::span<const std::byte> bytes) {
    append(records_, bytes);
    return *this;
  }

  /// The records as they are before compression.
  const byte_vector& records() const noexcept { return records_; }

  /// Computes length and CRC; everything else is as in `header`.
  byte_vector build() const { return build_with(compress(header.codec(), records_, flavour_)); }

  /// The same around records that are compressed already (or broken).
  byte_vector build_with(std::span<const std::byte> compressed) const {
    byte_vector covered;
    append_big_endian(covered, header.attributes);
    append_big_endian(covered, header.last_offset_delta);
    append_big_endian(covered, header.base_timestamp);
    append_big_endian(covered, header.max_timestamp);
    append_big_endian(covered, header.producer_id);
    append_big_endian(covered, header.producer_epoch);
    append_big_endian(covered, header.base_sequence);
    append_big_endian(covered, header.record_count);
    append(covered, compressed);
    byte_vector out;
    append_big_endian(out, header.base_offset);
    append_big_endian(out, static_cast<std::int32_t>(covered.size() + 9));
    append_big_endian(out, header.leader_epoch);
    append_big_endian(out, header.magic);
    append_big_endian(out, wire::crc32c(covered));
    append(out, covered);
    return out;
  }

 private:
  batch_builder& flag(int bit) {
    header.attributes = static_cast<std::int16_t>(header.attributes | bit);
    return *this;
  }
  static void append_nullable(byte_vector& out, std::optional<std::string_view> text) {
    append_varint(out, text ? static_cast<std::int64_t>(text->size()) : -1);
    if (text) append(out, {reinterpret_cast<const std::byte*>(text->data()), text->size()});
  }

  byte_vector records_;
  codec_flavour flavour_ = codec_flavour::usual;
};

/// The end of a transaction, as brokers write it.
inline byte_vector control_batch(std::int64_t offset, std::int64_t producer_id, wire::control_type type,
                                 std::int32_t coordinator_epoch = 0) {
  byte_vector key;
  append_big_endian(key, std::int16_t{0});
  append_big_endian(key, static_cast<std::int16_t>(type));
  byte_vector value;
  append_big_endian(value, std::int16_t{0});
  append_big_endian(value, coordinator_epoch);
  const auto text = [](const byte_vector& v) { return std::string_view(reinterpret_cast<const char*>(v.data()), v.size()); };
  batch_builder builder(offset);
  builder.producer(producer_id, 0, -1).transactional().control().add(text(key), text(value));
  return builder.build();
}

}  // namespace kawait::tests
