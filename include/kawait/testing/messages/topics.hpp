#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>
#include <kawait/testing/messages/versions.hpp>

namespace kawait::testing::messages {

using protocol::field;

struct create_topics_response : api<19, 2, 7, 5> {
  static constexpr const char* api_name = "CreateTopics";
  struct config {
    std::string_view name;
    std::optional<std::string_view> value{std::in_place};
    bool read_only = false;
    std::int8_t source = -1;
    bool is_sensitive = false;
    static void fields(auto&& visit) {
      visit(field("Name").since(5), &config::name);
      visit(field("Value").since(5).nullable(5), &config::value);
      visit(field("ReadOnly").since(5), &config::read_only);
      visit(field("ConfigSource").since(5).ignorable(), &config::source);
      visit(field("IsSensitive").since(5), &config::is_sensitive);
    }
  };
  struct topic {
    std::string_view name;
    uuid topic_id;
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message{std::in_place};
    std::int16_t topic_config_error_code = 0;
    std::int32_t num_partitions = -1;
    std::int16_t replication_factor = -1;
    std::optional<std::vector<config>> configs{std::in_place};
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("TopicId").since(7).ignorable(), &topic::topic_id);
      visit(field("ErrorCode"), &topic::error_code);
      visit(field("ErrorMessage").since(1).nullable().ignorable(), &topic::error_message);
      visit(field("TopicConfigErrorCode").since(5).tagged(0).ignorable(), &topic::topic_config_error_code);
      visit(field("NumPartitions").since(5).ignorable(), &topic::num_partitions);
      visit(field("ReplicationFactor").since(5).ignorable(), &topic::replication_factor);
      visit(field("Configs").since(5).nullable(5).ignorable(), &topic::configs);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<topic> topics;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs").since(2).ignorable(), &create_topics_response::throttle_time_ms);
    visit(field("Topics"), &create_topics_response::topics);
  }
};

struct create_topics_request : api<19, 2, 7, 5> {
  static constexpr const char* api_name = "CreateTopics";
  using response = create_topics_response;
  struct assignment {
    std::int32_t partition_index = 0;
    std::vector<std::int32_t> broker_ids;
    static void fields(auto&& visit) {
      visit(field("PartitionIndex"), &assignment::partition_index);
      visit(field("BrokerIds"), &assignment::broker_ids);
    }
  };
  struct config {
    std::string_view name;
    std::optional<std::string_view> value{std::in_place};
    static void fields(auto&& visit) {
      visit(field("Name"), &config::name);
      visit(field("Value").nullable(), &config::value);
    }
  };
  struct topic {
    std::string_view name;
    std::int32_t num_partitions = 0;
    std::int16_t replication_factor = 0;
    std::vector<assignment> assignments;
    std::vector<config> configs;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("NumPartitions"), &topic::num_partitions);
      visit(field("ReplicationFactor"), &topic::replication_factor);
      visit(field("Assignments"), &topic::assignments);
      visit(field("Configs"), &topic::configs);
    }
  };
  std::vector<topic> topics;
  std::int32_t timeout_ms = 60'000;
  bool validate_only = false;
  static void fields(auto&& visit) {
    visit(field("Topics"), &create_topics_request::topics);
    visit(field("timeoutMs"), &create_topics_request::timeout_ms);
    visit(field("validateOnly").since(1), &create_topics_request::validate_only);
  }
};

struct delete_topics_response : api<20, 1, 6, 4> {
  static constexpr const char* api_name = "DeleteTopics";
  struct topic {
    std::optional<std::string_view> name{std::in_place};
    uuid topic_id;
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    static void fields(auto&& visit) {
      visit(field("Name").nullable(6), &topic::name);
      visit(field("TopicId").since(6).ignorable(), &topic::topic_id);
      visit(field("ErrorCode"), &topic::error_code);
      visit(field("ErrorMessage").since(5).nullable(5).ignorable(), &topic::error_message);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<topic> responses;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs").since(1).ignorable(), &delete_topics_response::throttle_time_ms);
    visit(field("Responses"), &delete_topics_response::responses);
  }
};

/// By name; since version 6 by name or, where that is null, by id.
struct delete_topics_request : api<20, 1, 6, 4> {
  static constexpr const char* api_name = "DeleteTopics";
  using response = delete_topics_response;
  struct topic {
    std::optional<std::string_view> name;
    uuid topic_id;
    static void fields(auto&& visit) {
      visit(field("Name").since(6).nullable(6), &topic::name);
      visit(field("TopicId").since(6), &topic::topic_id);
    }
  };
  std::vector<topic> topics;
  std::vector<std::string_view> topic_names;
  std::int32_t timeout_ms = 0;
  static void fields(auto&& visit) {
    visit(field("Topics").since(6), &delete_topics_request::topics);
    visit(field("TopicNames").until(5).ignorable(), &delete_topics_request::topic_names);
    visit(field("TimeoutMs"), &delete_topics_request::timeout_ms);
  }
};

struct create_partitions_response : api<37, 0, 3, 2> {
  static constexpr const char* api_name = "CreatePartitions";
  struct topic {
    std::string_view name;
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("ErrorCode"), &topic::error_code);
      visit(field("ErrorMessage").nullable(), &topic::error_message);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<topic> results;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &create_partitions_response::throttle_time_ms);
    visit(field("Results"), &create_partitions_response::results);
  }
};

/// More partitions for topics: `count` in all.
struct create_partitions_request : api<37, 0, 3, 2> {
  static constexpr const char* api_name = "CreatePartitions";
  using response = create_partitions_response;
  struct assignment {
    std::vector<std::int32_t> broker_ids;
    static void fields(auto&& visit) { visit(field("BrokerIds"), &assignment::broker_ids); }
  };
  struct topic {
    std::string_view name;
    std::int32_t count = 0;
    std::optional<std::vector<assignment>> assignments{std::in_place};  ///< Of the new partitions. Null: the broker's to choose.
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("Count"), &topic::count);
      visit(field("Assignments").nullable(), &topic::assignments);
    }
  };
  std::vector<topic> topics;
  std::int32_t timeout_ms = 0;
  bool validate_only = false;
  static void fields(auto&& visit) {
    visit(field("Topics"), &create_partitions_request::topics);
    visit(field("TimeoutMs"), &create_partitions_request::timeout_ms);
    visit(field("ValidateOnly"), &create_partitions_request::validate_only);
  }
};

}  // namespace kawait::testing::messages
