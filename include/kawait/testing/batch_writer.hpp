#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/wire/compression.hpp>
#include <kawait/wire/record_batch.hpp>

namespace kawait::testing {

/// How a codec is used, where producers differ.
enum class codec_flavour {
  usual,   ///< As Java: zstd streamed without content size, lz4 in independent 64 KiB blocks, snappy in xerial frames.
  simple,  ///< As simpler clients: zstd in one shot with content size, lz4 with linked blocks, snappy as one bare block.
  checked  ///< With the optional sizes and checksums of zstd and lz4.
};

/// Compresses the records of a batch. Throws kawait::error(errc::unsupported_codec) for a codec that was left out of this build.
KAWAIT_DECL std::vector<std::byte> compress(wire::codec how, std::span<const std::byte> in,
                                            codec_flavour flavour = codec_flavour::usual);

struct record_header {
  std::string key;
  std::optional<std::string> value;

  record_header(std::string k, std::optional<std::string> v) : key(std::move(k)), value(std::move(v)) {}
};

/// A record to be written: what a producer sends. A null value is a tombstone.
struct producer_record {
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<record_header> headers;
  std::optional<std::int64_t> timestamp;  ///< Milliseconds since 1970; if none, when it is appended.

  producer_record() = default;
  producer_record(std::string v) : value(std::move(v)) {}
  producer_record(const char* v) : value(v) {}
  producer_record(std::optional<std::string> k, std::optional<std::string> v, std::optional<std::int64_t> ms = std::nullopt)
      : key(std::move(k)), value(std::move(v)), timestamp(ms) {}
};

/// Writes one record batch of magic 2 as producers, brokers and the log cleaner do. Every setter returns the writer. The fields
/// of `header` that build() does not compute may be set at will, before or after records were added: also to what no broker would
/// store, for tests of those who read it.
class batch_writer {
 public:
  KAWAIT_DECL explicit batch_writer(std::int64_t base_offset = 0);

  wire::batch_header header;

  batch_writer& codec(wire::codec how, codec_flavour flavour = codec_flavour::usual) {
    header.attributes = static_cast<std::int16_t>((header.attributes & ~7) | static_cast<int>(how));
    flavour_ = flavour;
    return *this;
  }
  batch_writer& leader_epoch(std::int32_t epoch) {
    header.leader_epoch = epoch;
    return *this;
  }
  /// Before records are added: the batch's own time, to which those of its records are relative.
  batch_writer& base_timestamp(std::int64_t timestamp) {
    header.base_timestamp = header.max_timestamp = timestamp;
    return *this;
  }
  /// Every record gets this one, whatever its delta says.
  batch_writer& log_append_time(std::int64_t timestamp) {
    header.max_timestamp = timestamp;
    return flag(0x08);
  }
  batch_writer& producer(std::int64_t id, std::int16_t epoch = 0, std::int32_t sequence = 0) {
    header.producer_id = id;
    header.producer_epoch = epoch;
    header.base_sequence = sequence;
    return *this;
  }
  batch_writer& transactional() { return flag(0x10); }
  batch_writer& control() { return flag(0x20); }
  batch_writer& delete_horizon(std::int64_t timestamp) {
    header.base_timestamp = timestamp;
    return flag(0x40);
  }
  /// Leaves `n` offsets out, as the log cleaner does; also behind the last record.
  batch_writer& hole(std::int32_t n = 1) {
    header.last_offset_delta += n;
    return *this;
  }

  KAWAIT_DECL batch_writer& add(std::optional<std::string_view> key, std::optional<std::string_view> value,
                                const std::vector<record_header>& headers = {}, std::int64_t timestamp_delta = 0);
  /// Its timestamp, if it has one, counts from 1970 and so gets a delta.
  KAWAIT_DECL batch_writer& add(const producer_record& r);
  /// A record whose body (behind its length) the caller wrote; counted, no offset of its own.
  KAWAIT_DECL batch_writer& add_raw(std::span<const std::byte> body);
  /// Bytes behind the records, not counted.
  KAWAIT_DECL batch_writer& add_garbage(std::span<const std::byte> bytes);

  /// The records as they are before compression.
  const std::vector<std::byte>& records() const noexcept { return records_; }

  /// Computes length and CRC; everything else is as in `header`.
  std::vector<std::byte> build() const { return build_with(compress(header.codec(), records_, flavour_)); }
  /// The same around records that are compressed already (or broken).
  KAWAIT_DECL std::vector<std::byte> build_with(std::span<const std::byte> compressed) const;

 private:
  batch_writer& flag(int bit) {
    header.attributes = static_cast<std::int16_t>(header.attributes | bit);
    return *this;
  }

  std::vector<std::byte> records_;
  codec_flavour flavour_ = codec_flavour::usual;
};

/// The end of a transaction, as brokers write it.
KAWAIT_DECL std::vector<std::byte> control_batch(std::int64_t offset, std::int64_t producer_id, wire::control_type type,
                                                 std::int32_t coordinator_epoch = 0, std::int16_t producer_epoch = 0,
                                                 std::int64_t timestamp = 1'700'000'000'000);

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/batch_writer.ipp>
#endif
