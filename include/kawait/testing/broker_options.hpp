#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <kawait/net/network.hpp>
#include <kawait/testing/api_table.hpp>
#include <kawait/testing/group_options.hpp>

namespace kawait::testing {

/// How an embedded cluster is made.
struct broker_options {
  std::int32_t nodes = 1;      ///< Their ids count from 1.
  group_options group;         ///< Session time-out, heartbeat interval, assignors; its generation is the whole cluster's.
  bool loopback = false;       ///< Real sockets on `host`; else the network of the testing::world that the executor belongs to.
  std::string host;            ///< By default "127.0.0.1", or "10.0.0.<id>" in memory.
  /// In memory, with hosts as by default: what broker::bootstrap() says instead of every node, a name that resolves to the
  /// addresses of all nodes, wherever they move. Nothing: the nodes themselves.
  std::string bootstrap_name;
  std::uint16_t port = 0;      ///< Of the first node; the others' follow. 0: any that are free, or 9092 in memory.
  std::vector<std::string> racks;            ///< broker.rack of each node, from the first on.
  std::int32_t auto_create_partitions = 0;   ///< Topics asked for by name come to be with so many partitions. 0: they do not.
  std::int32_t replication_factor = 1;       ///< Of topics that are created without one.
  std::size_t fetch_session_slots = 1000;    ///< 0: no fetch sessions are granted.
  std::size_t max_fetch_bytes = 57671680;    ///< fetch.max.bytes
  std::size_t max_message_bytes = 1048588;   ///< message.max.bytes: of a record batch that is produced.
  std::string cluster_id = "kawait-embedded-cluster";
  /// Passwords by user: clients have to authenticate, by SASL's PLAIN or SCRAM-SHA-256 (security.protocol=SASL_PLAINTEXT). Empty: they
  /// need not, and cannot.
  std::map<std::string, std::string> users;
  std::chrono::milliseconds session_lifetime{0};  ///< connections.max.reauth.ms: who asks for anything later is cut off. 0: for ever.

  broker_options() = default;
  explicit broker_options(kafka_generation g) : group(g) {}
  static broker_options on_loopback(std::int32_t nodes = 1, std::uint16_t first_port = 0) {
    broker_options o;
    o.nodes = nodes;
    o.loopback = true;
    o.port = first_port;
    return o;
  }
};

/// A request that arrived.
struct seen_request {
  net::time_point at{};
  std::int32_t node = 0;
  std::uint64_t connection = 0;
  api_key api = api_key::api_versions;
  std::int16_t version = 0;
  std::string client_id;
};

}  // namespace kawait::testing
