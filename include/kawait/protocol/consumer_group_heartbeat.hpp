#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

/// What of a topic a member owns or is assigned.
struct heartbeat_topic {
  uuid topic_id;
  std::vector<std::int32_t> partitions;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    visit(field("TopicId"), &heartbeat_topic::topic_id);
    visit(field("Partitions"), &heartbeat_topic::partitions);
  }
};

struct consumer_group_heartbeat_response {
  static constexpr const char* api_name = "ConsumerGroupHeartbeat";
  static constexpr std::int16_t api_key = 68, min_version = 0, max_version = 1, first_flexible_version = 0;

  using topic = heartbeat_topic;

  struct assigned {
    std::vector<topic> topic_partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("TopicPartitions"), &assigned::topic_partitions);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::int16_t error_code = 0;
  std::optional<std::string_view> error_message;
  std::optional<std::string_view> member_id;
  std::int32_t member_epoch = 0;
  std::int32_t heartbeat_interval_ms = 0;
  std::optional<assigned> assignment;  ///< Null: unchanged. Without topics: own nothing.

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = consumer_group_heartbeat_response;
    visit(field("ThrottleTimeMs"), &m::throttle_time_ms);
    visit(field("ErrorCode"), &m::error_code);
    visit(field("ErrorMessage").nullable(), &m::error_message);
    visit(field("MemberId").nullable(), &m::member_id);
    visit(field("MemberEpoch"), &m::member_epoch);
    visit(field("HeartbeatIntervalMs"), &m::heartbeat_interval_ms);
    visit(field("Assignment").nullable(), &m::assignment);
  }
};

/// Joins a group of the consumer protocol (KIP-848), keeps the membership alive, acknowledges assignments, leaves.
/// In all but the first three fields null, or -1, means "unchanged".
struct consumer_group_heartbeat_request {
  static constexpr const char* api_name = "ConsumerGroupHeartbeat";
  static constexpr std::int16_t api_key = 68, min_version = 0, max_version = 1, first_flexible_version = 0;
  using response = consumer_group_heartbeat_response;

  using topic = heartbeat_topic;

  std::string_view group_id;
  std::string_view member_id;
  std::int32_t member_epoch = 0;  ///< 0 joins, -1 leaves, -2 leaves as a static member that will return.
  std::optional<std::string_view> instance_id;
  std::optional<std::string_view> rack_id;
  std::int32_t rebalance_timeout_ms = -1;
  std::optional<std::vector<std::string_view>> subscribed_topic_names;
  std::optional<std::string_view> subscribed_topic_regex;  ///< Since version 1.
  std::optional<std::string_view> server_assignor;
  std::optional<std::vector<topic>> topic_partitions;  ///< What the member owns.

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = consumer_group_heartbeat_request;
    visit(field("GroupId"), &m::group_id);
    visit(field("MemberId"), &m::member_id);
    visit(field("MemberEpoch"), &m::member_epoch);
    visit(field("InstanceId").nullable(), &m::instance_id);
    visit(field("RackId").nullable(), &m::rack_id);
    visit(field("RebalanceTimeoutMs"), &m::rebalance_timeout_ms);
    visit(field("SubscribedTopicNames").nullable(), &m::subscribed_topic_names);
    visit(field("SubscribedTopicRegex").since(1).nullable(1), &m::subscribed_topic_regex);
    visit(field("ServerAssignor").nullable(), &m::server_assignor);
    visit(field("TopicPartitions").nullable(), &m::topic_partitions);
  }
};

}  // namespace kawait::protocol
