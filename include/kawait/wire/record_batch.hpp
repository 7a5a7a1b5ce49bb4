#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/wire/compression.hpp>

namespace kawait::wire {

/// Where a record's timestamp comes from.
enum class timestamp_type : std::uint8_t {
  create_time = 0,     ///< The producer's clock.
  log_append_time = 1  ///< The broker's clock when it appended the batch.
};

/// A record's length, attributes, both deltas, two sizes and the count of its headers take a byte each at least.
inline constexpr std::int32_t smallest_record_size = 7;

/// The fixed part of a record batch of magic 2 (KIP-98), in wire order.
struct batch_header {
  static constexpr std::size_t size = 61;           ///< Bytes on the wire.
  static constexpr std::size_t length_offset = 12;  ///< batch_length counts from here.
  static constexpr std::size_t crc_offset = 21;     ///< The CRC covers the batch from here, so not the leader epoch.

  std::int64_t base_offset = 0;
  std::int32_t batch_length = 0;
  std::int32_t leader_epoch = -1;
  std::int8_t magic = 2;
  std::uint32_t crc = 0;
  std::int16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  std::int64_t base_timestamp = -1;
  std::int64_t max_timestamp = -1;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  std::int32_t record_count = 0;

  /// May be a number that no codec has (5 to 7).
  wire::codec codec() const noexcept { return static_cast<wire::codec>(attributes & 7); }
  wire::timestamp_type timestamp_type() const noexcept { return static_cast<wire::timestamp_type>((attributes >> 3) & 1); }
  bool is_transactional() const noexcept { return (attributes & 0x10) != 0; }
  /// Transaction markers and the like: they move the position and are never shown to the user.
  bool is_control() const noexcept { return (attributes & 0x20) != 0; }
  /// base_timestamp is the time from which compaction may drop the batch's tombstones (KIP-534); timestamp deltas add up as ever.
  bool has_delete_horizon() const noexcept { return (attributes & 0x40) != 0; }
  bool has_producer_id() const noexcept { return producer_id >= 0; }

  /// For a header that batch_cursor gave out these cannot overflow.
  std::int64_t last_offset() const noexcept { return base_offset + last_offset_delta; }
  /// The position after this batch. Not the last record's offset + 1: compaction leaves holes, even batches without a record.
  std::int64_t next_offset() const noexcept { return last_offset() + 1; }
};

/// A whole record batch inside a response's bytes, which must outlive it.
struct batch_view {
  batch_header header;
  std::span<const std::byte> bytes;  ///< From the base offset to the end of the records.

  /// The records, compressed as header.codec() says.
  std::span<const std::byte> records() const noexcept { return bytes.subspan(batch_header::size); }
};

/// Compares the batch's CRC32C: errc::crc_mismatch, with both values and the offset in the words.
KAWAIT_DECL failure check_crc(const batch_view& batch);

/// Compares the count with what so many bytes of records can hold: errc::corrupt_batch. For those that were compressed; batch_cursor
/// looks at others itself.
KAWAIT_DECL failure check_count(const batch_header& header, std::size_t bytes);

/// Walks the record batches in one partition's records of a fetch response. Reads headers only, neither CRC nor records.
class batch_cursor {
 public:
  batch_cursor() = default;
  explicit batch_cursor(std::span<const std::byte> records) noexcept : rest_(records) {}

  /// The next whole batch. False at the end, where a batch that is cut short is dropped, and on an error; see error(). A header
  /// that is given out is sane: offsets are not negative, ascend from batch to batch and do not overflow; the count is not
  /// negative, nor, in an uncompressed batch, larger than its bytes allow.
  KAWAIT_DECL bool next(batch_view& out);

  /// After next() returned false: errc::unsupported_magic, or errc::corrupt_batch (also if non-empty records hold no whole
  /// batch).
  const failure& error() const noexcept { return error_; }
  /// Bytes not walked over yet; at the end those of the dropped batch.
  std::size_t rest() const noexcept { return rest_.size(); }

 private:
  KAWAIT_DECL bool fail(errc code, std::string words);
  KAWAIT_DECL bool cut(const char* what);

  std::span<const std::byte> rest_;
  bool any_ = false;  // whole batches so far
  std::int64_t floor_ = 0;
  failure error_;
};

/// What a fetcher must know of a response before it sends the next request.
struct records_summary {
  std::int64_t first_offset = -1;  ///< Base offset of the first whole batch, perhaps below the fetch offset; -1: there is none.
  std::int64_t next_offset = -1;   ///< The position behind the last whole batch.
  std::int32_t leader_epoch = -1;  ///< Of the last whole batch.
  std::size_t batches = 0;
  std::size_t bytes = 0;          ///< Of the whole batches, as they lie.
  std::size_t largest_batch = 0;  ///< Bytes of the largest of them.
};

/// Walks the headers only, and no further than `most` bytes and the batch that reaches beyond them. If it fails, `out` is about the
/// batches before the bad one, whose offset the position is then.
KAWAIT_DECL failure summarize(std::span<const std::byte> records, records_summary& out,
                              std::size_t most = std::numeric_limits<std::size_t>::max());

/// What a control batch says.
enum class control_type : std::int16_t {
  abort = 0,
  commit = 1,
  other = -1  ///< Something that is none of a consumer's business.
};

/// A transaction that was aborted, as a fetch response lists it. Its first offset may lie below the fetch offset.
struct aborted_transaction {
  std::int64_t producer_id = -1;
  std::int64_t first_offset = 0;

  aborted_transaction() = default;
  aborted_transaction(std::int64_t id, std::int64_t offset) noexcept : producer_id(id), first_offset(offset) {}
};

/// Tells, under read_committed, which batches of one partition's records in one response belong to aborted transactions (KIP-98).
/// Show it every batch of the response in order, control batches included.
class aborted_transactions {
 public:
  aborted_transactions() = default;
  /// In any order, as listed in the response.
  KAWAIT_DECL explicit aborted_transactions(std::vector<aborted_transaction> list);

  /// Whether the data batch is to be skipped.
  KAWAIT_DECL bool skips(const batch_header& header);
  /// A control batch. (Never handed out, so there is nothing to tell.)
  KAWAIT_DECL void on_control(const batch_header& header, control_type type);
  /// Nothing is, or will become, aborted: control batches need not be parsed.
  bool idle() const noexcept { return active_.empty() && next_ == list_.size(); }

 private:
  KAWAIT_DECL void activate(std::int64_t last_offset);

  std::vector<aborted_transaction> list_;  // by first offset
  std::size_t next_ = 0;
  std::unordered_set<std::int64_t> active_;  // producer ids
};

}  // namespace kawait::wire

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/wire/impl/record_batch.ipp>
#endif
