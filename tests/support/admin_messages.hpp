#pragma once

// What a test needs to say to a broker and a consumer never does: the messages of producers and administrators, as field lists like
// those of kawait/protocol. Only the versions and the fields that the tests use; the decoder skips tags it does not know.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <kawait/protocol/field.hpp>

namespace kawait::tests {

using protocol::bytes_view;
using protocol::field;

/// The constants of a message whose versions are all flexible.
template <std::int16_t Key, std::int16_t Min, std::int16_t Max>
struct api {
  static constexpr std::int16_t api_key = Key, min_version = Min, max_version = Max, first_flexible_version = Min;
};

struct produce_response : api<0, 9, 11> {
  static constexpr const char* api_name = "Produce";
  struct record_error {
    std::int32_t batch_index = 0;
    std::optional<std::string_view> message;
    static void fields(auto&& visit) {
      visit(field("BatchIndex"), &record_error::batch_index);
      visit(field("BatchIndexErrorMessage").nullable(), &record_error::message);
    }
  };
  struct partition {
    std::int32_t index = 0;
    std::int16_t error_code = 0;
    std::int64_t base_offset = -1, log_append_time_ms = -1, log_start_offset = -1;
    std::vector<record_error> record_errors;
    std::optional<std::string_view> error_message;
    static void fields(auto&& visit) {
      visit(field("Index"), &partition::index);
      visit(field("ErrorCode"), &partition::error_code);
      visit(field("BaseOffset"), &partition::base_offset);
      visit(field("LogAppendTimeMs"), &partition::log_append_time_ms);
      visit(field("LogStartOffset"), &partition::log_start_offset);
      visit(field("RecordErrors"), &partition::record_errors);
      visit(field("ErrorMessage").nullable(), &partition::error_message);
    }
  };
  struct topic {
    std::string_view name;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("PartitionResponses"), &topic::partitions);
    }
  };
  std::vector<topic> responses;
  std::int32_t throttle_time_ms = 0;
  static void fields(auto&& visit) {
    visit(field("Responses"), &produce_response::responses);
    visit(field("ThrottleTimeMs"), &produce_response::throttle_time_ms);
  }
};

/// Names topics; version 12 would add partitions to a transaction by itself (KIP-890), which the tests say by hand.
struct produce_request : api<0, 9, 11> {
  static constexpr const char* api_name = "Produce";
  using response = produce_response;
  struct partition {
    std::int32_t index = 0;
    bytes_view records;
    static void fields(auto&& visit) {
      visit(field("Index"), &partition::index);
      visit(field("Records"), &partition::records);
    }
  };
  struct topic {
    std::string_view name;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("PartitionData"), &topic::partitions);
    }
  };
  std::optional<std::string_view> transactional_id;
  std::int16_t acks = -1;
  std::int32_t timeout_ms = 10'000;
  std::vector<topic> topics;
  static void fields(auto&& visit) {
    visit(field("TransactionalId").nullable(), &produce_request::transactional_id);
    visit(field("Acks"), &produce_request::acks);
    visit(field("TimeoutMs"), &produce_request::timeout_ms);
    visit(field("TopicData"), &produce_request::topics);
  }
};

struct create_topics_response : api<19, 7, 7> {
  static constexpr const char* api_name = "CreateTopics";
  struct config {
    std::string_view name;
    std::optional<std::string_view> value;
    bool read_only = false;
    std::int8_t source = -1;
    bool is_sensitive = false;
    static void fields(auto&& visit) {
      visit(field("Name"), &config::name);
      visit(field("Value").nullable(), &config::value);
      visit(field("ReadOnly"), &config::read_only);
      visit(field("ConfigSource"), &config::source);
      visit(field("IsSensitive"), &config::is_sensitive);
    }
  };
  struct topic {
    std::string_view name;
    uuid topic_id;
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message;
    std::int32_t num_partitions = -1;
    std::int16_t replication_factor = -1;
    std::optional<std::vector<config>> configs;
    static void fields(auto&& visit) {
      visit(field("Name"), &topic::name);
      visit(field("TopicId"), &topic::topic_id);
      visit(field("ErrorCode"), &topic::error_code);
      visit(field("ErrorMessage").nullable(), &topic::error_message);
      visit(field("NumPartitions"), &topic::num_partitions);
      visit(field("ReplicationFactor"), &topic::replication_factor);
      visit(field("Configs").nullable(), &topic::configs);
    }
  };
  std::int32_t throttle_time_ms = 0;
  std::vector<topic> topics;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &create_topics_response::throttle_time_ms);
    visit(field("Topics"), &create_topics_response::topics);
  }
};

struct create_topics_request : api<19, 7, 7> {
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
    std::optional<std::string_view> value;
    static void fields(auto&& visit) {
      visit(field("Name"), &config::name);
      visit(field("Value").nullable(), &config::value);
    }
  };
  struct topic {
    std::string_view name;
    std::int32_t num_partitions = -1;
    std::int16_t replication_factor = -1;
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
  std::int32_t timeout_ms = 10'000;
  bool validate_only = false;
  static void fields(auto&& visit) {
    visit(field("Topics"), &create_topics_request::topics);
    visit(field("timeoutMs"), &create_topics_request::timeout_ms);
    visit(field("validateOnly"), &create_topics_request::validate_only);
  }
};

struct delete_records_response : api<21, 2, 2> {
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

struct delete_records_request : api<21, 2, 2> {
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

struct init_producer_id_response : api<22, 2, 4> {
  static constexpr const char* api_name = "InitProducerId";
  std::int32_t throttle_time_ms = 0;
  std::int16_t error_code = 0;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &init_producer_id_response::throttle_time_ms);
    visit(field("ErrorCode"), &init_producer_id_response::error_code);
    visit(field("ProducerId"), &init_producer_id_response::producer_id);
    visit(field("ProducerEpoch"), &init_producer_id_response::producer_epoch);
  }
};

struct init_producer_id_request : api<22, 2, 4> {
  static constexpr const char* api_name = "InitProducerId";
  using response = init_producer_id_response;
  std::optional<std::string_view> transactional_id;
  std::int32_t transaction_timeout_ms = 60'000;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  static void fields(auto&& visit) {
    visit(field("TransactionalId").nullable(), &init_producer_id_request::transactional_id);
    visit(field("TransactionTimeoutMs"), &init_producer_id_request::transaction_timeout_ms);
    visit(field("ProducerId").since(3).ignorable(), &init_producer_id_request::producer_id);
    visit(field("ProducerEpoch").since(3).ignorable(), &init_producer_id_request::producer_epoch);
  }
};

struct add_partitions_to_txn_response : api<24, 3, 3> {
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

struct add_partitions_to_txn_request : api<24, 3, 3> {
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
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  std::vector<topic> topics;
  static void fields(auto&& visit) {
    visit(field("V3AndBelowTransactionalId"), &add_partitions_to_txn_request::transactional_id);
    visit(field("V3AndBelowProducerId"), &add_partitions_to_txn_request::producer_id);
    visit(field("V3AndBelowProducerEpoch"), &add_partitions_to_txn_request::producer_epoch);
    visit(field("V3AndBelowTopics"), &add_partitions_to_txn_request::topics);
  }
};

struct end_txn_response : api<26, 3, 3> {
  static constexpr const char* api_name = "EndTxn";
  std::int32_t throttle_time_ms = 0;
  std::int16_t error_code = 0;
  static void fields(auto&& visit) {
    visit(field("ThrottleTimeMs"), &end_txn_response::throttle_time_ms);
    visit(field("ErrorCode"), &end_txn_response::error_code);
  }
};

struct end_txn_request : api<26, 3, 3> {
  static constexpr const char* api_name = "EndTxn";
  using response = end_txn_response;
  std::string_view transactional_id;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  bool committed = false;
  static void fields(auto&& visit) {
    visit(field("TransactionalId"), &end_txn_request::transactional_id);
    visit(field("ProducerId"), &end_txn_request::producer_id);
    visit(field("ProducerEpoch"), &end_txn_request::producer_epoch);
    visit(field("Committed"), &end_txn_request::committed);
  }
};

struct alter_configs_response : api<44, 1, 1> {
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

struct alter_configs_request : api<44, 1, 1> {
  static constexpr const char* api_name = "IncrementalAlterConfigs";
  static constexpr std::int8_t of_group = 32, of_topic = 2, set = 0;
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
