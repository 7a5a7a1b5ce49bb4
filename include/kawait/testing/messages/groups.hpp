#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>
#include <kawait/testing/messages/versions.hpp>

namespace kawait::testing::messages {

using protocol::field;

struct consumer_group_describe_response : api<69, 0, 1, 0> {
  static constexpr const char* api_name = "ConsumerGroupDescribe";
  struct topic {
    uuid topic_id;
    std::string_view topic_name;
    std::vector<std::int32_t> partitions;
    static void fields(auto&& visit) {
      visit(field("TopicId"), &topic::topic_id);
      visit(field("TopicName"), &topic::topic_name);
      visit(field("Partitions"), &topic::partitions);
    }
    friend bool operator==(const topic&, const topic&) = default;
  };
  struct assignment {
    std::vector<topic> topic_partitions;
    static void fields(auto&& visit) { visit(field("TopicPartitions"), &assignment::topic_partitions); }
    friend bool operator==(const assignment&, const assignment&) = default;
  };
  struct member {
    std::string_view member_id;
    std::optional<std::string_view> instance_id;
    std::optional<std::string_view> rack_id;
    std::int32_t member_epoch = 0;
    std::string_view client_id;
    std::string_view client_host;
    std::vector<std::string_view> subscribed_topic_names;
    std::optional<std::string_view> subscribed_topic_regex;
    assignment assigned;
    assignment target;
    std::int8_t member_type = -1;
    static void fields(auto&& visit) {
      visit(field("MemberId"), &member::member_id);
      visit(field("InstanceId").nullable(), &member::instance_id);
      visit(field("RackId").nullable(), &member::rack_id);
      visit(field("MemberEpoch"), &member::member_epoch);
      visit(field("ClientId"), &member::client_id);
      visit(field("ClientHost"), &member::client_host);
      visit(field("SubscribedTopicNames"), &member::subscribed_topic_names);
      visit(field("SubscribedTopicRegex").nullable(), &member::subscribed_topic_regex);
      visit(field("Assignment"), &member::assigned);
      visit(field("TargetAssignment"), &member::target);
      visit(field("MemberType").since(1).ignorable(), &member::member_type);
    }
  };
  struct group {
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    std::string_view group_id;
    std::string_view group_state;
    std::int32_t group_epoch = 0;
    std::int32_t assignment_epoch = 0;
    std::string_view assignor_name;
    std::vector<member> members;
    std::int32_t authorized_operations = -2147483647 - 1;
    static void fields(auto&& visit) {
      visit(field("ErrorCode"), &group::error_code);
      visit(field("ErrorMessage").nullable(), &group::error_message);
      visit(field("GroupId"), &group::group_id);
      visit(field("GroupState"), &group::group_state);
      visit(field("GroupEpoch"), &group::group_epoch);
      visit(field("AssignmentEpoch"), &group::assignment_epoch);
      visit(field("AssignorName"), &group::assignor_name);
      visit(field("Members"), &group::members);
      visit(field("AuthorizedOperations"), &group::authorized_operations);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<group> groups;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &consumer_group_describe_response::throttle_time_ms);
    visit(field("Groups"), &consumer_group_describe_response::groups);
  }
};

struct consumer_group_describe_request : api<69, 0, 1, 0> {
  static constexpr const char* api_name = "ConsumerGroupDescribe";
  using response = consumer_group_describe_response;
  std::vector<std::string_view> group_ids;
  bool include_authorized_operations = false;
  static void fields(auto&& visit) {
    visit(field("GroupIds"), &consumer_group_describe_request::group_ids);
    visit(field("IncludeAuthorizedOperations"), &consumer_group_describe_request::include_authorized_operations);
  }
};

struct delete_groups_response : api<42, 0, 2, 2> {
  static constexpr const char* api_name = "DeleteGroups";
  struct group {
    std::string_view group_id;
    std::int16_t error_code = 0;
    static void fields(auto&& visit) {
      visit(field("GroupId"), &group::group_id);
      visit(field("ErrorCode"), &group::error_code);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<group> results;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &delete_groups_response::throttle_time_ms);
    visit(field("Results"), &delete_groups_response::results);
  }
};

struct delete_groups_request : api<42, 0, 2, 2> {
  static constexpr const char* api_name = "DeleteGroups";
  using response = delete_groups_response;
  std::vector<std::string_view> groups;
  static void fields(auto&& visit) { visit(field("GroupsNames"), &delete_groups_request::groups); }
};

/// Of classic groups, which the embedded broker does not have: clients ask for a group so if it is none of the consumer protocol.
struct describe_groups_response : api<15, 0, 6, 5> {
  static constexpr const char* api_name = "DescribeGroups";
  struct member {
    std::string_view member_id;
    std::optional<std::string_view> group_instance_id;
    std::string_view client_id;
    std::string_view client_host;
    protocol::bytes_view member_metadata;
    protocol::bytes_view member_assignment;
    static void fields(auto&& visit) {
      visit(field("MemberId"), &member::member_id);
      visit(field("GroupInstanceId").since(4).nullable(4).ignorable(), &member::group_instance_id);
      visit(field("ClientId"), &member::client_id);
      visit(field("ClientHost"), &member::client_host);
      visit(field("MemberMetadata"), &member::member_metadata);
      visit(field("MemberAssignment"), &member::member_assignment);
    }
  };
  struct group {
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    std::string_view group_id;
    std::string_view group_state;
    std::string_view protocol_type;
    std::string_view protocol_data;
    std::vector<member> members;
    std::int32_t authorized_operations = -2147483647 - 1;
    static void fields(auto&& visit) {
      visit(field("ErrorCode"), &group::error_code);
      visit(field("ErrorMessage").since(6).nullable(6), &group::error_message);
      visit(field("GroupId"), &group::group_id);
      visit(field("GroupState"), &group::group_state);
      visit(field("ProtocolType"), &group::protocol_type);
      visit(field("ProtocolData"), &group::protocol_data);
      visit(field("Members"), &group::members);
      visit(field("AuthorizedOperations").since(3), &group::authorized_operations);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<group> groups;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs").since(1).ignorable(), &describe_groups_response::throttle_time_ms);
    visit(field("Groups"), &describe_groups_response::groups);
  }
};

struct describe_groups_request : api<15, 0, 6, 5> {
  static constexpr const char* api_name = "DescribeGroups";
  using response = describe_groups_response;
  std::vector<std::string_view> groups;
  bool include_authorized_operations = false;
  static void fields(auto&& visit) {
    visit(field("Groups"), &describe_groups_request::groups);
    visit(field("IncludeAuthorizedOperations").since(3), &describe_groups_request::include_authorized_operations);
  }
};

}  // namespace kawait::testing::messages
