#pragma once

// What a test needs to say to a broker and a consumer never does: the messages of producers and administrators. Most are the
// embedded broker's, said by the other side; the others name only the fields that the tests use.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <kawait/protocol/field.hpp>
#include <kawait/testing/messages/produce.hpp>
#include <kawait/testing/messages/topics.hpp>
#include <kawait/testing/messages/transactions.hpp>

namespace kawait::tests {

using protocol::field;
using testing::messages::add_partitions_to_txn_request;
using testing::messages::api;
using testing::messages::create_topics_request;

/// A message of the embedded broker's, as the tests say it: in no later version than Max.
template <class Self, class Message, std::int16_t Max>
struct said : Message {
  static constexpr std::int16_t max_version = Max;
  static void fields(auto&& visit) {
    Message::fields([&]<class T>(const field& f, T Message::*member) { visit(f, static_cast<T Self::*>(member)); });
  }
};

/// Names topics, which ends with version 12, where a produce began to add partitions to its transaction by itself (KIP-890): the
/// tests say that by hand.
struct produce_request : said<produce_request, testing::messages::produce_request, 11> {
  produce_request() {
    acks = -1;
    // A replica that was killed is waited for until its session of 9 s ends, longer still if it was the controller. Who gives up before
    // that says it again, and the records are there twice.
    timeout_ms = 30'000;
  }
};

/// Without a transactional id.
struct init_producer_id_request : said<init_producer_id_request, testing::messages::init_producer_id_request, 4> {
  init_producer_id_request() {
    transactional_id.reset();
    transaction_timeout_ms = 60'000;
  }
};

/// Before the epoch of a producer moved with each of its transactions (KIP-890).
struct end_txn_request : said<end_txn_request, testing::messages::end_txn_request, 3> {};

struct delete_records_response : api<21, 2, 2, 2> {
  static constexpr const char* api_name = "DeleteRecords";
  struct partition {
    std::int32_t index = 0;
    std::int64_t low_watermark = -1;
    std::int16_t error_code = 0;
    static void fields(auto&& visit) {
      visit(field("PartitionIndex"), &partition::index);
      visit(field("LowWatermark"), &partition::low_watermark);
      visit(field("ErrorCode"), &partition::error_code);
    }
  };
  struct topic {
    std::string_view name;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("Partitions"), &topic::partitions);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<topic> topics;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &delete_records_response::throttle_time_ms);
    visit(field("Topics"), &delete_records_response::topics);
  }
};

struct delete_records_request : api<21, 2, 2, 2> {
  static constexpr const char* api_name = "DeleteRecords";
  using response = delete_records_response;
  struct partition {
    std::int32_t index = 0;
    std::int64_t offset = 0;
    static void fields(auto&& visit) {
      visit(field("PartitionIndex"), &partition::index);
      visit(field("Offset"), &partition::offset);
    }
  };
  struct topic {
    std::string_view name;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("Partitions"), &topic::partitions);
    }
  };
  std::vector<topic> topics;
  std::int32_t timeout_ms = 10'000;
  static void fields(auto&& visit) {
    visit(field("Topics"), &delete_records_request::topics);
    visit(field("TimeoutMs"), &delete_records_request::timeout_ms);
  }
};

struct alter_configs_response : api<44, 1, 1, 1> {
  static constexpr const char* api_name = "IncrementalAlterConfigs";
  struct resource {
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    std::int8_t type = 0;
    std::string_view name;
    static void fields(auto&& visit) {
      visit(field("ErrorCode"), &resource::error_code);
      visit(field("ErrorMessage").nullable(), &resource::error_message);
      visit(field("ResourceType"), &resource::type);
      visit(field("ResourceName"), &resource::name);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<resource> responses;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &alter_configs_response::throttle_time_ms);
    visit(field("Responses"), &alter_configs_response::responses);
  }
};

struct alter_configs_request : api<44, 1, 1, 1> {
  static constexpr const char* api_name = "IncrementalAlterConfigs";
  static constexpr std::int8_t of_broker = 4, of_group = 32, set = 0;
  using response = alter_configs_response;
  struct config {
    std::string_view name;
    std::int8_t operation = set;
    std::optional<std::string_view> value;
    static void fields(auto&& visit) {
      visit(field("Name"), &config::name);
      visit(field("ConfigOperation"), &config::operation);
      visit(field("Value").nullable(), &config::value);
    }
  };
  struct resource {
    std::int8_t type = of_group;
    std::string_view name;
    std::vector<config> configs;
    static void fields(auto&& visit) {
      visit(field("ResourceType"), &resource::type);
      visit(field("ResourceName"), &resource::name);
      visit(field("Configs"), &resource::configs);
    }
  };
  std::vector<resource> resources;
  bool validate_only = false;

  alter_configs_request() = default;
  alter_configs_request(std::int8_t type, std::string_view of, std::string_view name, std::string_view value) {
    auto& r = resources.emplace_back();
    r.type = type;
    r.name = of;
    auto& c = r.configs.emplace_back();
    c.name = name;
    c.value = value;
  }
  static void fields(auto&& visit) {
    visit(field("Resources"), &alter_configs_request::resources);
    visit(field("ValidateOnly"), &alter_configs_request::validate_only);
  }
};

/// One access rule, as it is made.
struct acl_creation {
  static constexpr std::int8_t of_topic = 2, of_group = 3, literal = 3, read = 3, describe = 8, deny = 2, allow = 3;
  std::int8_t resource_type = 0;
  std::string_view resource_name;
  std::int8_t pattern_type = literal;
  std::string_view principal, host = "*";
  std::int8_t operation = 0;
  std::int8_t permission = 0;

  acl_creation() = default;
  acl_creation(std::int8_t type, std::string_view name, std::string_view who, std::int8_t what, std::int8_t decision)
      : resource_type(type), resource_name(name), principal(who), operation(what), permission(decision) {}
  static void fields(auto&& visit) {
    visit(field("ResourceType"), &acl_creation::resource_type);
    visit(field("ResourceName"), &acl_creation::resource_name);
    visit(field("ResourcePatternType"), &acl_creation::pattern_type);
    visit(field("Principal"), &acl_creation::principal);
    visit(field("Host"), &acl_creation::host);
    visit(field("Operation"), &acl_creation::operation);
    visit(field("PermissionType"), &acl_creation::permission);
  }
};

struct create_acls_response : api<30, 3, 3, 2> {
  static constexpr const char* api_name = "CreateAcls";
  struct outcome {
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    static void fields(auto&& visit) {
      visit(field("ErrorCode"), &outcome::error_code);
      visit(field("ErrorMessage").nullable(), &outcome::error_message);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<outcome> results;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &create_acls_response::throttle_time_ms);
    visit(field("Results"), &create_acls_response::results);
  }
};

struct create_acls_request : api<30, 3, 3, 2> {
  static constexpr const char* api_name = "CreateAcls";
  using response = create_acls_response;
  std::vector<acl_creation> creations;
  static void fields(auto&& visit) { visit(field("Creations"), &create_acls_request::creations); }
};

struct delete_acls_response : api<31, 3, 3, 2> {
  static constexpr const char* api_name = "DeleteAcls";
  struct match : acl_creation {
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    static void fields(auto&& visit) {
      visit(field("ErrorCode"), &match::error_code);
      visit(field("ErrorMessage").nullable(), &match::error_message);
      acl_creation::fields([&]<class T>(const field& f, T acl_creation::*member) { visit(f, static_cast<T match::*>(member)); });
    }
  };
  struct outcome {
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    std::vector<match> matches;
    static void fields(auto&& visit) {
      visit(field("ErrorCode"), &outcome::error_code);
      visit(field("ErrorMessage").nullable(), &outcome::error_message);
      visit(field("MatchingAcls"), &outcome::matches);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<outcome> filter_results;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &delete_acls_response::throttle_time_ms);
    visit(field("FilterResults"), &delete_acls_response::filter_results);
  }
};

/// The rules of a topic, whatever they are.
struct delete_acls_request : api<31, 3, 3, 2> {
  static constexpr const char* api_name = "DeleteAcls";
  using response = delete_acls_response;
  struct filter {
    static constexpr std::int8_t any = 1;
    std::int8_t resource_type = acl_creation::of_topic;
    std::optional<std::string_view> resource_name;
    std::int8_t pattern_type = acl_creation::literal;
    std::optional<std::string_view> principal, host;
    std::int8_t operation = any;
    std::int8_t permission = any;
    static void fields(auto&& visit) {
      visit(field("ResourceTypeFilter"), &filter::resource_type);
      visit(field("ResourceNameFilter").nullable(), &filter::resource_name);
      visit(field("PatternTypeFilter"), &filter::pattern_type);
      visit(field("PrincipalFilter").nullable(), &filter::principal);
      visit(field("HostFilter").nullable(), &filter::host);
      visit(field("Operation"), &filter::operation);
      visit(field("PermissionType"), &filter::permission);
    }
  };
  std::vector<filter> filters;
  static void fields(auto&& visit) { visit(field("Filters"), &delete_acls_request::filters); }
};

}  // namespace kawait::tests
