#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct offset_commit_response {
  static constexpr const char* api_name = "OffsetCommit";
  static constexpr std::int16_t api_key = 8, min_version = 9, max_version = 10, first_flexible_version = 8;

  struct partition {
    std::int32_t partition_index = 0;
    std::int16_t error_code = 0;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("PartitionIndex"), &partition::partition_index);
      visit(field("ErrorCode"), &partition::error_code);
    }
  };

  struct topic {
    std::string_view name;  ///< Version 9.
    uuid topic_id;          ///< Since version 10.
    std::vector<partition> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Name").until(9).ignorable(), &topic::name);
      visit(field("TopicId").since(10).ignorable(), &topic::topic_id);
      visit(field("Partitions"), &topic::partitions);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic> topics;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = offset_commit_response;
    visit(field("ThrottleTimeMs").since(3).ignorable(), &m::throttle_time_ms);
    visit(field("Topics"), &m::topics);
  }
};

/// Commits offsets. Topics are named in version 9, and by id since version 10: fill in both.
struct offset_commit_request {
  static constexpr const char* api_name = "OffsetCommit";
  static constexpr std::int16_t api_key = 8, min_version = 9, max_version = 10, first_flexible_version = 8;
  using response = offset_commit_response;

  struct partition {
    std::int32_t partition_index = 0;
    std::int64_t committed_offset = 0;  ///< The next record to be read.
    std::int32_t committed_leader_epoch = -1;
    std::optional<std::string_view> committed_metadata{std::in_place};

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("PartitionIndex"), &partition::partition_index);
      visit(field("CommittedOffset"), &partition::committed_offset);
      visit(field("CommittedLeaderEpoch").since(6).ignorable(), &partition::committed_leader_epoch);
      visit(field("CommittedMetadata").nullable(), &partition::committed_metadata);
    }
  };

  struct topic {
    std::string_view name;
    uuid topic_id;
    std::vector<partition> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Name").until(9).ignorable(), &topic::name);
      visit(field("TopicId").since(10).ignorable(), &topic::topic_id);
      visit(field("Partitions"), &topic::partitions);
    }
  };

  std::string_view group_id;
  std::int32_t generation_id_or_member_epoch = -1;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;
  std::vector<topic> topics;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = offset_commit_request;
    visit(field("GroupId"), &m::group_id);
    visit(field("GenerationIdOrMemberEpoch").since(1).ignorable(), &m::generation_id_or_member_epoch);
    visit(field("MemberId").since(1).ignorable(), &m::member_id);
    visit(field("GroupInstanceId").since(7).nullable(7), &m::group_instance_id);
    visit(field("Topics"), &m::topics);
  }
};

}  // namespace kawait::protocol
