#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>
#include <kawait/testing/messages/versions.hpp>

namespace kawait::testing::messages {

using protocol::bytes_view;
using protocol::field;

struct produce_response : api<0, 3, 13, 9> {
  static constexpr const char* api_name = "Produce";

  struct record_error {
    std::int32_t batch_index = 0;
    std::optional<std::string_view> message;
    static void fields(auto&& visit) {
      visit(field("BatchIndex").since(8), &record_error::batch_index);
      visit(field("BatchIndexErrorMessage").since(8).nullable(8), &record_error::message);
    }
  };
  struct leader {
    std::int32_t leader_id = -1;
    std::int32_t leader_epoch = -1;
    static void fields(auto&& visit) {
      visit(field("LeaderId").since(10), &leader::leader_id);
      visit(field("LeaderEpoch").since(10), &leader::leader_epoch);
    }
    friend bool operator==(const leader&, const leader&) = default;
  };
  struct partition {
    std::int32_t index = 0;
    std::int16_t error_code = 0;
    std::int64_t base_offset = 0;
    std::int64_t log_append_time_ms = -1;
    std::int64_t log_start_offset = -1;
    std::vector<record_error> record_errors;
    std::optional<std::string_view> error_message;
    leader current_leader;
    static void fields(auto&& visit) {
      visit(field("Index"), &partition::index);
      visit(field("ErrorCode"), &partition::error_code);
      visit(field("BaseOffset"), &partition::base_offset);
      visit(field("LogAppendTimeMs").since(2).ignorable(), &partition::log_append_time_ms);
      visit(field("LogStartOffset").since(5).ignorable(), &partition::log_start_offset);
      visit(field("RecordErrors").since(8).ignorable(), &partition::record_errors);
      visit(field("ErrorMessage").since(8).nullable(8).ignorable(), &partition::error_message);
      visit(field("CurrentLeader").since(10).tagged(0), &partition::current_leader);
    }
  };
  struct topic {
    std::string_view name;
    uuid topic_id;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Name").until(12).ignorable(), &topic::name);
      visit(field("TopicId").since(13).ignorable(), &topic::topic_id);
      visit(field("PartitionResponses"), &topic::partitions);
    }
  };
  struct node_endpoint {
    std::int32_t node_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    std::optional<std::string_view> rack;
    static void fields(auto&& visit) {
      visit(field("NodeId").since(10), &node_endpoint::node_id);
      visit(field("Host").since(10), &node_endpoint::host);
      visit(field("Port").since(10), &node_endpoint::port);
      visit(field("Rack").since(10).nullable(10), &node_endpoint::rack);
    }
  };
  std::vector<topic> responses;
  std::int32_t throttle_time_ms = 0;
  std::vector<node_endpoint> node_endpoints;
  static void fields(auto&& visit) {
    visit(field("Responses"), &produce_response::responses);
    visit(field("ThrottleTimeMs").since(1).ignorable(), &produce_response::throttle_time_ms);
    visit(field("NodeEndpoints").since(10).tagged(0), &produce_response::node_endpoints);
  }
};

/// Topics by name until version 12, by id since version 13.
struct produce_request : api<0, 3, 13, 9> {
  static constexpr const char* api_name = "Produce";
  using response = produce_response;

  struct partition {
    std::int32_t index = 0;
    std::optional<bytes_view> records{std::in_place};
    static void fields(auto&& visit) {
      visit(field("Index"), &partition::index);
      visit(field("Records").nullable(), &partition::records);
    }
  };
  struct topic {
    std::string_view name;
    uuid topic_id;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Name").until(12).ignorable(), &topic::name);
      visit(field("TopicId").since(13).ignorable(), &topic::topic_id);
      visit(field("PartitionData"), &topic::partitions);
    }
  };
  std::optional<std::string_view> transactional_id;
  std::int16_t acks = 0;
  std::int32_t timeout_ms = 0;
  std::vector<topic> topics;
  static void fields(auto&& visit) {
    visit(field("TransactionalId").since(3).nullable(3), &produce_request::transactional_id);
    visit(field("Acks"), &produce_request::acks);
    visit(field("TimeoutMs"), &produce_request::timeout_ms);
    visit(field("TopicData"), &produce_request::topics);
  }
};

}  // namespace kawait::testing::messages
