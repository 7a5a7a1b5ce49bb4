#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include <kawait/core/kafka_error.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/wire/record_batch.hpp>

namespace kawait::testing {

/// What a partition remembers of the producers that write to it (KIP-98): the last sequence numbers of the idempotent ones, and
/// the open transactions.
class producer_state {
 public:
  struct verdict {
    kafka_error error = kafka_error::none;
    std::optional<std::int64_t> duplicate_of;  ///< The batch was appended before, at this offset.
  };

  /// Whether the batch may be appended. Always none for a batch without a producer id.
  KAWAIT_DECL verdict check(const wire::batch_header& batch) const;
  /// It was appended at `offset`.
  KAWAIT_DECL void appended(const wire::batch_header& batch, std::int64_t offset);
  /// The producer's transaction ended. The offset of its first record, if one was open.
  KAWAIT_DECL std::optional<std::int64_t> ended(std::int64_t producer_id, std::int16_t producer_epoch);

  /// The first record of the oldest open transaction.
  KAWAIT_DECL std::optional<std::int64_t> first_undecided() const;
  /// The open transactions: by producer id, the first record of each.
  KAWAIT_DECL std::map<std::int64_t, std::int64_t> undecided() const;

 private:
  struct batch {
    std::int32_t first_sequence, last_sequence;
    std::int64_t offset;
  };
  struct producer {
    std::int16_t epoch = -1;
    std::deque<batch> last;  // as many as a producer may have under way: five
    std::optional<std::int64_t> transaction;
  };

  std::map<std::int64_t, producer> producers_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/producer_state.ipp>
#endif
