#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/net/connection.hpp>
#include <kawait/protocol/find_coordinator.hpp>
#include <kawait/protocol/list_offsets.hpp>
#include <kawait/protocol/metadata.hpp>

#include "broker/numbered_support.hpp"
#include "support/admin_messages.hpp"

namespace kawait::tests {

struct producer_identity {
  std::string transactional_id;
  std::int64_t id = -1;
  std::int16_t epoch = -1;

  producer_identity() = default;
};

/// A producer and administrator over the library's own connections and wire format. What may be retried is, for a minute; else it
/// throws std::runtime_error. One executor.
class admin {
 public:
  using settings = std::vector<std::pair<std::string, std::string>>;

  admin(asio::any_io_executor executor, std::string bootstrap);
  ~admin();

  /// Until every partition has a leader. As many replicas as the broker's default.
  asio::awaitable<uuid> create_topic(std::string name, std::int32_t partitions);
  asio::awaitable<uuid> create_topic(std::string name, std::int32_t partitions, settings configs);
  /// "consumer.session.timeout.ms" and the like (KIP-848's group configurations).
  asio::awaitable<void> set_group(std::string group, std::string name, std::string value);
  /// What a broker lets be changed while it runs; it takes effect soon after.
  asio::awaitable<void> set_broker(std::int32_t id, std::string name, std::string value);
  /// Nobody may describe the topic, nor read it; a cluster with an authorizer. And everybody again.
  asio::awaitable<void> deny_topic(std::string topic);
  asio::awaitable<void> allow_topic(std::string topic);
  /// READ, which has DESCRIBE in it, for a principal ("User:alice") on a resource of acl_creation's types.
  asio::awaitable<void> grant(std::string principal, std::int8_t type, std::string name);
  /// Deletes the records below `offset`.
  asio::awaitable<void> delete_records(std::string topic, std::int32_t partition, std::int64_t offset);
  asio::awaitable<std::int64_t> end_offset(std::string topic, std::int32_t partition);
  /// Whether all replicas of all its partitions are. False if it cannot be told now.
  asio::awaitable<bool> is_in_sync(std::string topic);
  asio::awaitable<std::int32_t> leader_of(std::string topic, std::int32_t partition);
  /// Of a group (0) or of transactions (1).
  asio::awaitable<std::int32_t> coordinator_of(std::string key, std::int8_t type);
  /// Of a group, as its coordinator has it.
  asio::awaitable<std::size_t> member_count(std::string group);

  /// Appends one record batch and gives its base offset. After a retry it may be there twice, unless its producer is idempotent.
  asio::awaitable<std::int64_t> produce(std::string topic, std::int32_t partition, byte_vector batch);
  /// The batch names the producer and is transactional.
  asio::awaitable<std::int64_t> produce(std::string topic, std::int32_t partition, byte_vector batch,
                                        std::optional<std::string> transactional_id);

  /// For batches that name it with their sequence numbers: a retry is not appended twice.
  asio::awaitable<producer_identity> idempotent_producer();
  asio::awaitable<producer_identity> begin_transactions(std::string transactional_id);
  asio::awaitable<void> add_to_transaction(producer_identity who, std::string topic, std::int32_t partition);
  asio::awaitable<void> end_transaction(producer_identity who, bool commit);

  /// Why requests were sent again, but for leaders that were not elected yet. Empty as long as no node dies.
  const std::vector<std::string>& retried() const noexcept { return retried_; }

 private:
  using connection_ptr = std::shared_ptr<net::connection>;

  asio::awaitable<connection_ptr> connect(net::host_port where);
  asio::awaitable<connection_ptr> any();
  asio::awaitable<connection_ptr> node(std::int32_t id);
  asio::awaitable<connection_ptr> leader_connection(std::string topic, std::int32_t partition);
  asio::awaitable<connection_ptr> known_leader_connection(std::string topic, std::int32_t partition);
  asio::awaitable<connection_ptr> coordinator_connection(std::string key, std::int8_t type);
  template <class Request, class Where, class Read, class Note>
  asio::awaitable<void> ask(std::string what, Where where, const Request& request, Read read, Note note);
  template <class Request, class Where, class Read>
  asio::awaitable<void> ask(std::string what, Where where, const Request& request, Read read);
  asio::awaitable<void> configure(std::int8_t type, const std::string& resource, const std::string& name, const std::string& value);
  asio::awaitable<void> add_rule(const acl_creation& rule);
  /// Learns the brokers; -1 without a leader yet.
  asio::awaitable<std::int32_t> look_up_leader(std::string topic, std::int32_t partition);

  asio::any_io_executor executor_;
  std::vector<net::host_port> bootstrap_;
  std::map<std::int32_t, net::host_port> brokers_;
  std::map<std::string, connection_ptr> connections_;
  std::map<std::pair<std::string, std::int32_t>, std::int32_t> leaders_;
  std::vector<std::string> retried_;
};

}  // namespace kawait::tests
