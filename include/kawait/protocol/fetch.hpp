#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct fetch_response {
  static constexpr const char* api_name = "Fetch";
  static constexpr std::int16_t api_key = 1, min_version = 13, max_version = 18, first_flexible_version = 12;

  struct epoch_end_offset {
    std::int32_t epoch = -1;
    std::int64_t end_offset = -1;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Epoch").since(12), &epoch_end_offset::epoch);
      visit(field("EndOffset").since(12), &epoch_end_offset::end_offset);
    }
    friend bool operator==(const epoch_end_offset&, const epoch_end_offset&) = default;
  };

  struct leader_id_and_epoch {
    std::int32_t leader_id = -1;
    std::int32_t leader_epoch = -1;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("LeaderId").since(12), &leader_id_and_epoch::leader_id);
      visit(field("LeaderEpoch").since(12), &leader_id_and_epoch::leader_epoch);
    }
    friend bool operator==(const leader_id_and_epoch&, const leader_id_and_epoch&) = default;
  };

  struct snapshot {
    std::int64_t end_offset = -1;
    std::int32_t epoch = -1;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("EndOffset"), &snapshot::end_offset);
      visit(field("Epoch"), &snapshot::epoch);
    }
    friend bool operator==(const snapshot&, const snapshot&) = default;
  };

  struct aborted_transaction {
    std::int64_t producer_id = 0;
    std::int64_t first_offset = 0;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("ProducerId").since(4), &aborted_transaction::producer_id);
      visit(field("FirstOffset").since(4), &aborted_transaction::first_offset);
    }
  };

  struct partition {
    std::int32_t partition_index = 0;
    std::int16_t error_code = 0;
    std::int64_t high_watermark = 0;
    std::int64_t last_stable_offset = -1;
    std::int64_t log_start_offset = -1;
    epoch_end_offset diverging_epoch;   ///< Its epoch is -1 if the fetch position is on the leader's log.
    leader_id_and_epoch current_leader;  ///< Its id is -1 if the broker does not say.
    snapshot snapshot_id;
    std::optional<std::vector<aborted_transaction>> aborted_transactions{std::in_place};
    std::int32_t preferred_read_replica = -1;
    std::optional<bytes_view> records{std::in_place};

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("PartitionIndex"), &partition::partition_index);
      visit(field("ErrorCode"), &partition::error_code);
      visit(field("HighWatermark"), &partition::high_watermark);
      visit(field("LastStableOffset").since(4).ignorable(), &partition::last_stable_offset);
      visit(field("LogStartOffset").since(5).ignorable(), &partition::log_start_offset);
      visit(field("DivergingEpoch").since(12).tagged(0), &partition::diverging_epoch);
      visit(field("CurrentLeader").since(12).tagged(1), &partition::current_leader);
      visit(field("SnapshotId").since(12).tagged(2), &partition::snapshot_id);
      visit(field("AbortedTransactions").since(4).nullable(4).ignorable(), &partition::aborted_transactions);
      visit(field("PreferredReadReplica").since(11), &partition::preferred_read_replica);
      visit(field("Records").nullable(), &partition::records);
    }
  };

  struct topic {
    uuid topic_id;
    std::vector<partition> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("TopicId").since(13).ignorable(), &topic::topic_id);
      visit(field("Partitions"), &topic::partitions);
    }
  };

  struct node_endpoint {
    std::int32_t node_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    std::optional<std::string_view> rack;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("NodeId").since(16), &node_endpoint::node_id);
      visit(field("Host").since(16), &node_endpoint::host);
      visit(field("Port").since(16), &node_endpoint::port);
      visit(field("Rack").since(16).nullable(16), &node_endpoint::rack);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::int16_t error_code = 0;
  std::int32_t session_id = 0;
  std::vector<topic> responses;
  std::vector<node_endpoint> node_endpoints;  ///< Where the leaders named by current_leader are (since version 16, KIP-951).

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = fetch_response;
    visit(field("ThrottleTimeMs").since(1).ignorable(), &m::throttle_time_ms);
    visit(field("ErrorCode").since(7).ignorable(), &m::error_code);
    visit(field("SessionId").since(7), &m::session_id);
    visit(field("Responses"), &m::responses);
    visit(field("NodeEndpoints").since(16).tagged(0), &m::node_endpoints);
  }
};

/// Records from the brokers that lead, or follow, partitions. Topics are named by id, as all brokers with KIP-848 can.
struct fetch_request {
  static constexpr const char* api_name = "Fetch";
  static constexpr std::int16_t api_key = 1, min_version = 13, max_version = 18, first_flexible_version = 12;
  using response = fetch_response;

  struct replica {
    std::int32_t replica_id = -1;
    std::int64_t replica_epoch = -1;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("ReplicaId").since(15), &replica::replica_id);
      visit(field("ReplicaEpoch").since(15), &replica::replica_epoch);
    }
    friend bool operator==(const replica&, const replica&) = default;
  };

  struct partition {
    std::int32_t partition = 0;
    std::int32_t current_leader_epoch = -1;
    std::int64_t fetch_offset = 0;
    std::int32_t last_fetched_epoch = -1;
    std::int64_t log_start_offset = -1;  ///< Followers only.
    std::int32_t partition_max_bytes = 0;
    uuid replica_directory_id;                              ///< Followers only.
    std::int64_t high_watermark = 9223372036854775807;  ///< Followers only.

    template <class Visitor>
    static void fields(Visitor&& visit) {
      using m = fetch_request::partition;
      visit(field("Partition"), &m::partition);
      visit(field("CurrentLeaderEpoch").since(9).ignorable(), &m::current_leader_epoch);
      visit(field("FetchOffset"), &m::fetch_offset);
      visit(field("LastFetchedEpoch").since(12), &m::last_fetched_epoch);
      visit(field("LogStartOffset").since(5).ignorable(), &m::log_start_offset);
      visit(field("PartitionMaxBytes"), &m::partition_max_bytes);
      visit(field("ReplicaDirectoryId").since(17).tagged(0).ignorable(), &m::replica_directory_id);
      visit(field("HighWatermark").since(18).tagged(1).ignorable(), &m::high_watermark);
    }
  };

  struct topic {
    uuid topic_id;
    std::vector<partition> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("TopicId").since(13).ignorable(), &topic::topic_id);
      visit(field("Partitions"), &topic::partitions);
    }
  };

  struct forgotten_topic {
    uuid topic_id;
    std::vector<std::int32_t> partitions;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("TopicId").since(13).ignorable(), &forgotten_topic::topic_id);
      visit(field("Partitions").since(7), &forgotten_topic::partitions);
    }
  };

  std::optional<std::string_view> cluster_id;
  std::int32_t replica_id = -1;  ///< Followers only, until version 14; then replica_state.
  replica replica_state;         ///< Followers only.
  std::int32_t max_wait_ms = 0;
  std::int32_t min_bytes = 0;
  std::int32_t max_bytes = 0x7fffffff;
  std::int8_t isolation_level = 0;  ///< 0 read_uncommitted, 1 read_committed.
  std::int32_t session_id = 0;
  std::int32_t session_epoch = -1;  ///< KIP-227: 0 opens a session, -1 uses none.
  std::vector<topic> topics;
  std::vector<forgotten_topic> forgotten_topics_data;
  std::string_view rack_id;  ///< Empty if none.

  template <class Visitor>
  static void fields(Visitor&& visit) {
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

}  // namespace kawait::protocol
