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
    timeout_ms = 10'000;
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
  static constexpr std::int8_t of_group = 32, set = 0;
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
  static void fields(auto&& visit) {
    visit(field("Resources"), &alter_configs_request::resources);
    visit(field("ValidateOnly"), &alter_configs_request::validate_only);
  }
};

}  // namespace kawait::tests
