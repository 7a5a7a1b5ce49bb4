#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/field.hpp>
#include <kawait/testing/messages/versions.hpp>

namespace kawait::testing::messages {

using protocol::field;

/// All versions: the client's own declaration begins with version 13, since when topics have ids instead of names.
struct fetch_response : api<1, 4, 18, 12> {
  static constexpr const char* api_name = "Fetch";
  using partition = protocol::fetch_response::partition;
  using node_endpoint = protocol::fetch_response::node_endpoint;

  struct topic {
    std::string_view name;
    uuid topic_id;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Topic").until(12).ignorable(), &topic::name);
      visit(field("TopicId").since(13).ignorable(), &topic::topic_id);
      visit(field("Partitions"), &topic::partitions);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::int16_t error_code = 0;
  std::int32_t session_id = 0;
  std::vector<topic> responses;
  std::vector<node_endpoint> node_endpoints;
  static void fields(auto&& visit) {
    using m = fetch_response;
    visit(field("ThrottleTimeMs").since(1).ignorable(), &m::throttle_time_ms);
    visit(field("ErrorCode").since(7).ignorable(), &m::error_code);
    visit(field("SessionId").since(7), &m::session_id);
    visit(field("Responses"), &m::responses);
    visit(field("NodeEndpoints").since(16).tagged(0), &m::node_endpoints);
  }
};

struct fetch_request : api<1, 4, 18, 12> {
  static constexpr const char* api_name = "Fetch";
  using response = fetch_response;
  using partition = protocol::fetch_request::partition;
  using replica = protocol::fetch_request::replica;

  struct topic {
    std::string_view name;
    uuid topic_id;
    std::vector<partition> partitions;
    static void fields(auto&& visit) {
      visit(field("Topic").until(12).ignorable(), &topic::name);
      visit(field("TopicId").since(13).ignorable(), &topic::topic_id);
      visit(field("Partitions"), &topic::partitions);
    }
  };
  struct forgotten_topic {
    std::string_view name;
    uuid topic_id;
    std::vector<std::int32_t> partitions;
    static void fields(auto&& visit) {
      visit(field("Topic").since(7).until(12).ignorable(), &forgotten_topic::name);
      visit(field("TopicId").since(13).ignorable(), &forgotten_topic::topic_id);
      visit(field("Partitions").since(7), &forgotten_topic::partitions);
    }
  };

  std::optional<std::string_view> cluster_id;
  std::int32_t replica_id = -1;
  replica replica_state;
  std::int32_t max_wait_ms = 0;
  std::int32_t min_bytes = 0;
  std::int32_t max_bytes = 0x7fffffff;
  std::int8_t isolation_level = 0;
  std::int32_t session_id = 0;
  std::int32_t session_epoch = -1;
  std::vector<topic> topics;
  std::vector<forgotten_topic> forgotten_topics_data;
  std::string_view rack_id;
  static void fields(auto&& visit) {
    using m = fetch_request;
    visit(field("ClusterId").since(12).nullable(12).tagged(0).ignorable(), &m::cluster_id);
    visit(field("ReplicaId").until(14), &m::replica_id);
    visit(field("ReplicaState").since(15).tagged(1), &m::replica_state);
    visit(field("MaxWaitMs"), &m::max_wait_ms);
    visit(field("MinBytes"), &m::min_bytes);
    visit(field("MaxBytes").since(3).ignorable(), &m::max_bytes);
    visit(field("IsolationLevel").since(4).ignorable(), &m::isolation_level);
    visit(field("SessionId").since(7).ignorable(), &m::session_id);
    visit(field("SessionEpoch").since(7).ignorable(), &m::session_epoch);
    visit(field("Topics"), &m::topics);
    visit(field("ForgottenTopicsData").since(7), &m::forgotten_topics_data);
    visit(field("RackId").since(11).ignorable(), &m::rack_id);
  }
};

}  // namespace kawait::testing::messages
