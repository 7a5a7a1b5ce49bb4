#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/protocol/field.hpp>
#include <kawait/testing/messages/versions.hpp>

namespace kawait::testing::messages {

using protocol::field;

struct init_producer_id_response : api<22, 0, 5, 2> {
  static constexpr const char* api_name = "InitProducerId";
  std::int32_t throttle_time_ms = 0;
  std::int16_t error_code = 0;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs").ignorable(), &init_producer_id_response::throttle_time_ms);
    visit(field("ErrorCode"), &init_producer_id_response::error_code);
    visit(field("ProducerId"), &init_producer_id_response::producer_id);
    visit(field("ProducerEpoch"), &init_producer_id_response::producer_epoch);
  }
};

struct init_producer_id_request : api<22, 0, 5, 2> {
  static constexpr const char* api_name = "InitProducerId";
  using response = init_producer_id_response;
  std::optional<std::string_view> transactional_id{std::in_place};
  std::int32_t transaction_timeout_ms = 0;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  static void fields(auto&& visit) {
    visit(field("TransactionalId").nullable(), &init_producer_id_request::transactional_id);
    visit(field("TransactionTimeoutMs"), &init_producer_id_request::transaction_timeout_ms);
    visit(field("ProducerId").since(3), &init_producer_id_request::producer_id);
    visit(field("ProducerEpoch").since(3), &init_producer_id_request::producer_epoch);
  }
};

struct add_partitions_to_txn_response : api<24, 0, 3, 3> {
  static constexpr const char* api_name = "AddPartitionsToTxn";
  struct partition {
    std::int32_t index = 0;
    std::int16_t error_code = 0;
    static void fields(auto&& visit) {
      visit(field("PartitionIndex"), &partition::index);
      visit(field("PartitionErrorCode"), &partition::error_code);
    }
  };
  struct topic {
    std::string_view name;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("ResultsByPartition"), &topic::partitions);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<topic> topics;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &add_partitions_to_txn_response::throttle_time_ms);
    visit(field("ResultsByTopicV3AndBelow"), &add_partitions_to_txn_response::topics);
  }
};

/// Later versions are between brokers.
struct add_partitions_to_txn_request : api<24, 0, 3, 3> {
  static constexpr const char* api_name = "AddPartitionsToTxn";
  using response = add_partitions_to_txn_response;
  struct topic {
    std::string_view name;
    std::vector<std::int32_t> partitions;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("Partitions"), &topic::partitions);
    }
  };
  std::string_view transactional_id;
  std::int64_t producer_id = 0;
  std::int16_t producer_epoch = 0;
  std::vector<topic> topics;
  static void fields(auto&& visit) {
    visit(field("V3AndBelowTransactionalId"), &add_partitions_to_txn_request::transactional_id);
    visit(field("V3AndBelowProducerId"), &add_partitions_to_txn_request::producer_id);
    visit(field("V3AndBelowProducerEpoch"), &add_partitions_to_txn_request::producer_epoch);
    visit(field("V3AndBelowTopics"), &add_partitions_to_txn_request::topics);
  }
};

struct end_txn_response : api<26, 0, 4, 3> {
  static constexpr const char* api_name = "EndTxn";
  std::int32_t throttle_time_ms = 0;
  std::int16_t error_code = 0;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &end_txn_response::throttle_time_ms);
    visit(field("ErrorCode"), &end_txn_response::error_code);
  }
};

struct end_txn_request : api<26, 0, 4, 3> {
  static constexpr const char* api_name = "EndTxn";
  using response = end_txn_response;
  std::string_view transactional_id;
  std::int64_t producer_id = 0;
  std::int16_t producer_epoch = 0;
  bool committed = false;
  static void fields(auto&& visit) {
    visit(field("TransactionalId"), &end_txn_request::transactional_id);
    visit(field("ProducerId"), &end_txn_request::producer_id);
    visit(field("ProducerEpoch"), &end_txn_request::producer_epoch);
    visit(field("Committed"), &end_txn_request::committed);
  }
};

}  // namespace kawait::testing::messages
