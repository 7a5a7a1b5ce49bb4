#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <kawait/core/kafka_error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/testing/batch_writer.hpp>
#include <kawait/testing/producer_state.hpp>
#include <kawait/wire/record_batch.hpp>

namespace kawait::testing {

/// How records are written by partition_log::append().
struct append_options {
  wire::codec codec = wire::codec::none;
  bool log_append_time = false;         ///< All records get `now` as the broker's own time.
  std::optional<std::int64_t> producer;  ///< A producer id: with `transactional`, part of its open transaction.
  bool transactional = false;

  append_options() = default;
  explicit append_options(wire::codec c) : codec(c) {}
  /// Of a transaction that partition_log::end_transaction() decides.
  static append_options in_transaction(std::int64_t producer_id) {
    append_options o;
    o.producer = producer_id;
    o.transactional = true;
    return o;
  }
};

/// What became of a producer's records.
struct append_outcome {
  kafka_error error = kafka_error::none;
  std::int64_t base_offset = -1;
  const char* words = "";  ///< What was wrong with them.
};

/// What a fetch of one partition yields.
struct read_outcome {
  kafka_error error = kafka_error::none;  ///< offset_out_of_range, or none.
  std::vector<std::byte> records;         ///< Perhaps ending within a batch, as brokers do.
  std::vector<wire::aborted_transaction> aborted;  ///< Under read_committed.
};

/// The record batches of one partition: as its leader has them, and, since nothing replicates here, its followers too. Pure: no
/// clock; whoever appends says what time it is (milliseconds since 1970).
class partition_log {
 public:
  /// ---- Writing.

  /// Appends what a producer sent: one whole record batch. Magic, CRC, counts and every record are checked, compressed or not;
  /// the sequence numbers of idempotent producers too (a repeated batch yields its old offset).
  KAWAIT_DECL append_outcome append(std::span<const std::byte> batch);
  /// Appends records as one batch; returns the first one's offset.
  KAWAIT_DECL std::int64_t append(const std::vector<producer_record>& records, std::int64_t now,
                                  const append_options& options = append_options());
  /// Appends bytes unchecked and unchanged, as a batch with a wrong CRC or of an unknown codec. Their first eight bytes are its
  /// base offset, which is raised to the end if it lies below it; returned.
  KAWAIT_DECL std::int64_t append_raw(std::vector<std::byte> batch);
  /// Leaves `count` offsets out behind the end, as if compaction had removed what was there: the last batch's range grows, or, if
  /// that is of an older leader epoch, there is a batch without records.
  KAWAIT_DECL void append_hole(std::int32_t count);
  /// Writes the marker of a transaction's end, whether or not one is open.
  KAWAIT_DECL void end_transaction(std::int64_t producer_id, std::int16_t producer_epoch, bool commit, std::int64_t now);

  /// Log compaction: keeps the records that `keep` wants, in batches whose offsets stay; emptied batches stay as headers without
  /// records. Control batches are kept.
  KAWAIT_DECL void compact(const std::function<bool(std::int64_t offset)>& keep);
  /// Log compaction that leaves nothing of the last segments: the batches from `offset` on are gone (from the start of the one that
  /// holds it), and the end stays where it is.
  KAWAIT_DECL void drop_tail(std::int64_t offset);
  /// As by unclean leader election: everything from `offset` on (from the start of the batch that holds it) is gone. A transaction
  /// of which only the end is gone is open again.
  KAWAIT_DECL void truncate(std::int64_t offset);
  /// Batches that lie wholly below it are gone and the log starts there. Returns the start; nothing happens above the end.
  KAWAIT_DECL std::int64_t delete_records(std::int64_t before);
  /// A leader was elected: what is appended from now on bears its epoch.
  KAWAIT_DECL void begin_epoch(std::int32_t epoch);
  /// Readers see only what lies below it, until it is raised or forgotten: replicas that lag.
  void hold_high_watermark(std::optional<std::int64_t> offset) { held_ = offset; }

  /// ---- Reading.

  std::int64_t start_offset() const noexcept { return start_; }
  std::int64_t end_offset() const noexcept { return end_; }
  KAWAIT_DECL std::int64_t high_watermark() const;
  /// Below it every transaction is decided.
  KAWAIT_DECL std::int64_t last_stable_offset() const;
  std::int32_t leader_epoch() const noexcept { return epoch_; }
  /// Whether the high watermark has come to where the leader's epoch begins. Until then it may lie below what readers were told
  /// by the leader before, and the new one does not say where the end is (KIP-207).
  bool knows_end() const { return high_watermark() >= epoch_start_; }

  /// From the batch that holds `offset` on, at most `max_bytes`, cut anywhere. If the first batch is longer: all of it if
  /// `first_whole`, else nothing.
  KAWAIT_DECL read_outcome read(std::int64_t offset, std::size_t max_bytes, bool read_committed, bool first_whole) const;
  /// How many bytes there are from `offset` on; 0 also if it is out of range.
  KAWAIT_DECL std::size_t readable(std::int64_t offset, bool read_committed) const;

  /// OffsetForLeaderEpoch: the largest epoch up to `epoch` and where it ends; (-1, -1) for a future one or without any.
  KAWAIT_DECL offset_and_epoch end_of_epoch(std::int32_t epoch) const;

  struct timestamp_and_offset {
    std::int64_t timestamp = -1;
    std::int64_t offset = -1;
    std::int32_t leader_epoch = -1;
  };
  /// ListOffsets: the first record that is not older, or one of the special times -1 to -6. Offset -1: there is none.
  KAWAIT_DECL timestamp_and_offset offset_for(std::int64_t timestamp, bool read_committed) const;

  /// The decoded records from `offset` on, control batches left out, transactions not looked at: for a test's own eyes.
  struct stored_record {
    std::int64_t offset = -1;
    std::int64_t timestamp = -1;
    std::optional<std::string> key, value;
  };
  KAWAIT_DECL std::vector<stored_record> records(std::int64_t offset = 0) const;

  const producer_state& producers() const noexcept { return producers_; }

 private:
  struct stored {
    std::vector<std::byte> bytes;
    std::int64_t base = 0;
    std::int64_t next = 0;  // the offset behind it
    std::int32_t epoch = -1;
    std::vector<std::pair<std::int64_t, std::int64_t>> times;  // offset and timestamp of each record; none of a control batch
  };
  struct aborted_range {
    std::int64_t producer_id, first, last;
  };
  struct decided_transaction {
    std::int64_t first, marker;
  };

  KAWAIT_DECL void store(std::vector<std::byte> bytes, std::vector<std::pair<std::int64_t, std::int64_t>> times);
  KAWAIT_DECL void reload_producers();
  KAWAIT_DECL std::size_t find(std::int64_t offset) const;
  KAWAIT_DECL std::int32_t epoch_of(std::int64_t offset) const;
  std::int64_t bound(bool read_committed) const { return read_committed ? last_stable_offset() : high_watermark(); }

  std::vector<stored> batches_;                   // ascending
  std::map<std::int32_t, std::int64_t> epochs_{{0, 0}};  // where each begins
  std::vector<aborted_range> aborted_;
  std::vector<decided_transaction> decided_;  // whose marker may not be replicated yet
  producer_state producers_;
  std::int64_t start_ = 0;
  std::int64_t end_ = 0;
  std::int32_t epoch_ = 0;
  std::int64_t epoch_start_ = 0;
  std::optional<std::int64_t> held_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/partition_log.ipp>
#endif
