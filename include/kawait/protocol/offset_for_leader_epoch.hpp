#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct offset_for_leader_epoch_response {
  static constexpr const char* api_name = "OffsetForLeaderEpoch";
  static constexpr std::int16_t api_key = 23, min_version = 4, max_version = 4, first_flexible_version = 4;

  struct epoch_end_offset {
    std::int16_t error_code = 0;
    std::int32_t partition = 0;
    std::int32_t leader_epoch = -1;  ///< The largest epoch up to the one asked for; -1 unknown.
    std::int64_t end_offset = -1;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("ErrorCode"), &epoch_end_offset::error_code);
      visit(field("Partition"), &epoch_end_offset::partition);
      visit(field("LeaderEpoch").since(1).ignorable(), &epoch_end_offset::leader_epoch);
      visit(field("EndOffset"), &epoch_end_offset::end_offset);
    }
  };
  using partition = epoch_end_offset;

  struct topic {
    std::string_view topic;
    std::vector<epoch_end_offset> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      using m = offset_for_leader_epoch_response::topic;
      visit(field("Topic"), &m::topic);
      visit(field("Partitions"), &m::partitions);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic> topics;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = offset_for_leader_epoch_response;
    visit(field("ThrottleTimeMs").since(2).ignorable(), &m::throttle_time_ms);
    visit(field("Topics"), &m::topics);
  }
};

/// Where an epoch ends in the leader's log: shows a position whose records were truncated (KIP-320).
struct offset_for_leader_epoch_request {
  static constexpr const char* api_name = "OffsetForLeaderEpoch";
  static constexpr std::int16_t api_key = 23, min_version = 4, max_version = 4, first_flexible_version = 4;
  using response = offset_for_leader_epoch_response;

  struct partition {
    std::int32_t partition = 0;
    std::int32_t current_leader_epoch = -1;
    std::int32_t leader_epoch = 0;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      using m = offset_for_leader_epoch_request::partition;
      visit(field("Partition"), &m::partition);
      visit(field("CurrentLeaderEpoch").since(2).ignorable(), &m::current_leader_epoch);
      visit(field("LeaderEpoch"), &m::leader_epoch);
    }
  };

  struct topic {
    std::string_view topic;
    std::vector<partition> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      using m = offset_for_leader_epoch_request::topic;
      visit(field("Topic"), &m::topic);
      visit(field("Partitions"), &m::partitions);
    }
  };

  std::int32_t replica_id = -2;  ///< Kafka's default, a debugging consumer; consumers set it to -1.
  std::vector<topic> topics;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = offset_for_leader_epoch_request;
    visit(field("ReplicaId").since(3).ignorable(), &m::replica_id);
    visit(field("Topics"), &m::topics);
  }
};

}  // namespace kawait::protocol
