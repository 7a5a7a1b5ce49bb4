#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct list_offsets_response {
  static constexpr const char* api_name = "ListOffsets";
  static constexpr std::int16_t api_key = 2, min_version = 7, max_version = 11, first_flexible_version = 6;

  struct partition {
    std::int32_t partition_index = 0;
    std::int16_t error_code = 0;
    std::int64_t timestamp = -1;
    std::int64_t offset = -1;  ///< -1 without error: no record matches.
    std::int32_t leader_epoch = -1;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("PartitionIndex"), &partition::partition_index);
      visit(field("ErrorCode"), &partition::error_code);
      visit(field("Timestamp").since(1), &partition::timestamp);
      visit(field("Offset").since(1), &partition::offset);
      visit(field("LeaderEpoch").since(4), &partition::leader_epoch);
    }
  };

  struct topic {
    std::string_view name;
    std::vector<partition> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("Partitions"), &topic::partitions);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic> topics;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = list_offsets_response;
    visit(field("ThrottleTimeMs").since(2).ignorable(), &m::throttle_time_ms);
    visit(field("Topics"), &m::topics);
  }
};

/// Offsets by time, from each partition's leader.
struct list_offsets_request {
  static constexpr const char* api_name = "ListOffsets";
  static constexpr std::int16_t api_key = 2, min_version = 7, max_version = 11, first_flexible_version = 6;
  using response = list_offsets_response;

  // What stands for a time; a partition asked with one that its version lacks answers UNSUPPORTED_VERSION.
  static constexpr std::int64_t latest = -1;                   ///< The last stable offset under read_committed.
  static constexpr std::int64_t earliest = -2;
  static constexpr std::int64_t max_timestamp = -3;
  static constexpr std::int64_t earliest_local = -4;           ///< Since version 8.
  static constexpr std::int64_t latest_tiered = -5;            ///< Since version 9.
  static constexpr std::int64_t earliest_pending_upload = -6;  ///< Since version 11.

  struct partition {
    std::int32_t partition_index = 0;
    std::int32_t current_leader_epoch = -1;
    std::int64_t timestamp = 0;  ///< Milliseconds since 1970, or one of the above.

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("PartitionIndex"), &partition::partition_index);
      visit(field("CurrentLeaderEpoch").since(4).ignorable(), &partition::current_leader_epoch);
      visit(field("Timestamp"), &partition::timestamp);
    }
  };

  struct topic {
    std::string_view name;
    std::vector<partition> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("Partitions"), &topic::partitions);
    }
  };

  std::int32_t replica_id = 0;  ///< Kafka's default; consumers set it to -1.
  std::int8_t isolation_level = 0;
  std::vector<topic> topics;
  std::int32_t timeout_ms = 0;  ///< For offsets in remote storage, since version 10.

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = list_offsets_request;
    visit(field("ReplicaId"), &m::replica_id);
    visit(field("IsolationLevel").since(2), &m::isolation_level);
    visit(field("Topics"), &m::topics);
    visit(field("TimeoutMs").since(10).ignorable(), &m::timeout_ms);
  }
};

}  // namespace kawait::protocol
