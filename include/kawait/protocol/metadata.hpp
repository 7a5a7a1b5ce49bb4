#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct metadata_response {
  static constexpr const char* api_name = "Metadata";
  static constexpr std::int16_t api_key = 3, min_version = 9, max_version = 13, first_flexible_version = 9;
  /// No authorized operations were asked for.
  static constexpr std::int32_t no_operations = -2147483647 - 1;

  struct broker {
    std::int32_t node_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    std::optional<std::string_view> rack;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("NodeId"), &broker::node_id);
      visit(field("Host"), &broker::host);
      visit(field("Port"), &broker::port);
      visit(field("Rack").since(1).nullable(1).ignorable(), &broker::rack);
    }
  };

  struct partition {
    std::int16_t error_code = 0;
    std::int32_t partition_index = 0;
    std::int32_t leader_id = 0;
    std::int32_t leader_epoch = -1;
    std::vector<std::int32_t> replica_nodes;
    std::vector<std::int32_t> isr_nodes;
    std::vector<std::int32_t> offline_replicas;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("ErrorCode"), &partition::error_code);
      visit(field("PartitionIndex"), &partition::partition_index);
      visit(field("LeaderId"), &partition::leader_id);
      visit(field("LeaderEpoch").since(7).ignorable(), &partition::leader_epoch);
      visit(field("ReplicaNodes"), &partition::replica_nodes);
      visit(field("IsrNodes"), &partition::isr_nodes);
      visit(field("OfflineReplicas").since(5).ignorable(), &partition::offline_replicas);
    }
  };

  struct topic {
    std::int16_t error_code = 0;
    std::optional<std::string_view> name{std::in_place};  ///< Null for an unknown id (since version 12).
    uuid topic_id;                                        ///< Since version 10.
    bool is_internal = false;
    std::vector<partition> partitions;
    std::int32_t topic_authorized_operations = no_operations;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("ErrorCode"), &topic::error_code);
      visit(field("Name").nullable(12), &topic::name);
      visit(field("TopicId").since(10).ignorable(), &topic::topic_id);
      visit(field("IsInternal").since(1).ignorable(), &topic::is_internal);
      visit(field("Partitions"), &topic::partitions);
      visit(field("TopicAuthorizedOperations").since(8), &topic::topic_authorized_operations);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<broker> brokers;
  std::optional<std::string_view> cluster_id;
  std::int32_t controller_id = -1;
  std::vector<topic> topics;
  std::int32_t cluster_authorized_operations = no_operations;  ///< Until version 10.
  std::int16_t error_code = 0;                                 ///< Since version 13.

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = metadata_response;
    visit(field("ThrottleTimeMs").since(3).ignorable(), &m::throttle_time_ms);
    visit(field("Brokers"), &m::brokers);
    visit(field("ClusterId").since(2).nullable(2).ignorable(), &m::cluster_id);
    visit(field("ControllerId").since(1).ignorable(), &m::controller_id);
    visit(field("Topics"), &m::topics);
    visit(field("ClusterAuthorizedOperations").since(8).until(10), &m::cluster_authorized_operations);
    visit(field("ErrorCode").since(13).ignorable(), &m::error_code);
  }
};

/// Brokers, and the leaders of topics.
struct metadata_request {
  static constexpr const char* api_name = "Metadata";
  static constexpr std::int16_t api_key = 3, min_version = 9, max_version = 13, first_flexible_version = 9;
  using response = metadata_response;

  struct topic {
    uuid topic_id;                                        ///< Asks by id if name is null; brokers honour that since version 12.
    std::optional<std::string_view> name{std::in_place};  ///< May be null since version 10.

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("TopicId").since(10).ignorable(), &topic::topic_id);
      visit(field("Name").nullable(10), &topic::name);
    }
  };

  std::optional<std::vector<topic>> topics{std::in_place};  ///< Null: all. Empty: none, only the brokers.
  bool allow_auto_topic_creation = true;                    ///< Kafka's default; consumers set it to false.
  bool include_cluster_authorized_operations = false;       ///< Until version 10.
  bool include_topic_authorized_operations = false;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = metadata_request;
    visit(field("Topics").nullable(1), &m::topics);
    visit(field("AllowAutoTopicCreation").since(4), &m::allow_auto_topic_creation);
    visit(field("IncludeClusterAuthorizedOperations").since(8).until(10), &m::include_cluster_authorized_operations);
    visit(field("IncludeTopicAuthorizedOperations").since(8), &m::include_topic_authorized_operations);
  }
};

}  // namespace kawait::protocol
