#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct offset_fetch_response {
  static constexpr const char* api_name = "OffsetFetch";
  static constexpr std::int16_t api_key = 9, min_version = 9, max_version = 10, first_flexible_version = 6;

  struct partition {
    std::int32_t partition_index = 0;
    std::int64_t committed_offset = 0;  ///< -1: none, if error_code is 0.
    std::int32_t committed_leader_epoch = -1;
    std::optional<std::string_view> metadata{std::in_place};
    std::int16_t error_code = 0;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("PartitionIndex").since(8), &partition::partition_index);
      visit(field("CommittedOffset").since(8), &partition::committed_offset);
      visit(field("CommittedLeaderEpoch").since(8).ignorable(), &partition::committed_leader_epoch);
      visit(field("Metadata").since(8).nullable(8), &partition::metadata);
      visit(field("ErrorCode").since(8), &partition::error_code);
    }
  };

  struct topic {
    std::string_view name;  ///< Version 9.
    uuid topic_id;          ///< Since version 10.
    std::vector<partition> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Name").since(8).until(9).ignorable(), &topic::name);
      visit(field("TopicId").since(10).ignorable(), &topic::topic_id);
      visit(field("Partitions").since(8), &topic::partitions);
    }
  };

  struct group {
    std::string_view group_id;
    std::vector<topic> topics;
    std::int16_t error_code = 0;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("GroupId").since(8), &group::group_id);
      visit(field("Topics").since(8), &group::topics);
      visit(field("ErrorCode").since(8), &group::error_code);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<group> groups;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = offset_fetch_response;
    visit(field("ThrottleTimeMs").since(3).ignorable(), &m::throttle_time_ms);
    visit(field("Groups").since(8), &m::groups);
  }
};

/// Committed offsets. Topics are named in version 9, and by id since version 10: fill in both.
struct offset_fetch_request {
  static constexpr const char* api_name = "OffsetFetch";
  static constexpr std::int16_t api_key = 9, min_version = 9, max_version = 10, first_flexible_version = 6;
  using response = offset_fetch_response;

  struct topic {
    std::string_view name;
    uuid topic_id;
    std::vector<std::int32_t> partition_indexes;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Name").since(8).until(9).ignorable(), &topic::name);
      visit(field("TopicId").since(10).ignorable(), &topic::topic_id);
      visit(field("PartitionIndexes").since(8), &topic::partition_indexes);
    }
  };

  struct group {
    std::string_view group_id;
    std::optional<std::string_view> member_id;
    std::int32_t member_epoch = -1;
    std::optional<std::vector<topic>> topics{std::in_place};  ///< Null: all of the group.

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("GroupId").since(8), &group::group_id);
      visit(field("MemberId").since(9).nullable(9).ignorable(), &group::member_id);
      visit(field("MemberEpoch").since(9).ignorable(), &group::member_epoch);
      visit(field("Topics").since(8).nullable(8), &group::topics);
    }
  };

  std::vector<group> groups;
  bool require_stable = false;  ///< UNSTABLE_OFFSET_COMMIT instead of an offset that a pending transaction may replace.

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = offset_fetch_request;
    visit(field("Groups").since(8), &m::groups);
    visit(field("RequireStable").since(7), &m::require_stable);
  }
};

}  // namespace kawait::protocol
