#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <kawait/testing/generation.hpp>

namespace kawait::testing {

/// The number of an API of Kafka's protocol, for those that the embedded broker has.
enum class api_key : std::int16_t {
  produce = 0,
  fetch = 1,
  list_offsets = 2,
  metadata = 3,
  offset_commit = 8,
  offset_fetch = 9,
  find_coordinator = 10,
  describe_groups = 15,
  sasl_handshake = 17,
  api_versions = 18,
  create_topics = 19,
  delete_topics = 20,
  init_producer_id = 22,
  offset_for_leader_epoch = 23,
  add_partitions_to_txn = 24,
  end_txn = 26,
  sasl_authenticate = 36,
  create_partitions = 37,
  delete_groups = 42,
  consumer_group_heartbeat = 68,
  consumer_group_describe = 69
};

/// As above: "consumer_group_heartbeat"; "unknown" for others.
inline std::string_view name_of(api_key key) noexcept {
  switch (key) {
    case api_key::produce: return "produce";
    case api_key::fetch: return "fetch";
    case api_key::list_offsets: return "list_offsets";
    case api_key::metadata: return "metadata";
    case api_key::offset_commit: return "offset_commit";
    case api_key::offset_fetch: return "offset_fetch";
    case api_key::find_coordinator: return "find_coordinator";
    case api_key::describe_groups: return "describe_groups";
    case api_key::api_versions: return "api_versions";
    case api_key::create_topics: return "create_topics";
    case api_key::delete_topics: return "delete_topics";
    case api_key::init_producer_id: return "init_producer_id";
    case api_key::offset_for_leader_epoch: return "offset_for_leader_epoch";
    case api_key::add_partitions_to_txn: return "add_partitions_to_txn";
    case api_key::end_txn: return "end_txn";
    case api_key::consumer_group_heartbeat: return "consumer_group_heartbeat";
    case api_key::consumer_group_describe: return "consumer_group_describe";
    case api_key::create_partitions: return "create_partitions";
    case api_key::delete_groups: return "delete_groups";
    case api_key::sasl_handshake: return "sasl_handshake";
    case api_key::sasl_authenticate: return "sasl_authenticate";
  }
  return "unknown";
}

struct api_range {
  api_key key;
  std::int16_t min;
  std::int16_t max;
};

/// What the embedded broker offers. The newest versions are the generation's; OffsetCommit and OffsetFetch begin at 9, since
/// older ones are of no use to groups of the consumer protocol.
inline std::vector<api_range> apis_of(kafka_generation generation) {
  const generation_traits& t = traits_of(generation);
  const std::int16_t produce = generation == kafka_generation::v4_0 ? 12 : 13;
  return {{api_key::produce, 3, produce},
          {api_key::fetch, 4, t.fetch},
          {api_key::list_offsets, 1, t.list_offsets},
          {api_key::metadata, 0, 13},
          {api_key::offset_commit, 9, t.offset_commit},
          {api_key::offset_fetch, 9, t.offset_fetch},
          {api_key::find_coordinator, 0, 6},
          {api_key::describe_groups, 0, 6},
          {api_key::api_versions, 0, 4},
          {api_key::create_topics, 2, 7},
          {api_key::delete_topics, 1, 6},
          {api_key::init_producer_id, 0, 5},
          {api_key::offset_for_leader_epoch, 2, 4},
          {api_key::add_partitions_to_txn, 0, 3},
          {api_key::end_txn, 0, 4},
          {api_key::create_partitions, 0, 3},
          {api_key::delete_groups, 0, 2},
          {api_key::consumer_group_heartbeat, 0, 1},
          {api_key::consumer_group_describe, 0, 1}};
}

/// And with broker_options::users.
inline std::vector<api_range> apis_of_sasl() { return {{api_key::sasl_handshake, 1, 1}, {api_key::sasl_authenticate, 0, 2}}; }

}  // namespace kawait::testing
