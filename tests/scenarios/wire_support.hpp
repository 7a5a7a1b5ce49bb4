#pragma once

#include <optional>
#include <string>
#include <vector>

#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/offset_commit.hpp>
#include <kawait/protocol/offset_fetch.hpp>

#include "stage_support.hpp"

namespace kawait::tests {

using testing::partition_list;

/// What a heartbeat was answered.
struct beat_answer {
  std::int16_t code = 0;
  std::int32_t epoch = 0;
  std::optional<partition_list> assigned;

  /// "NONE, epoch 3, 2 partitions"
  std::string words() const;
};

/// Whether it is of a coordinator that is still finding out that it is one.
bool passes(std::int16_t code);

/// "NONE"
std::string code_name(std::int16_t code);

/// A member that is nothing but its heartbeats, for what a consumer does not say.
class wire_member {
 public:
  using request = protocol::consumer_group_heartbeat_request;

  wire_member(stage& s, std::string name) : id(std::move(name)), group(s.group()), stage_(s) {}

  std::string id, group, instance, regex, assignor;
  std::vector<std::string> topics;   ///< Stems.
  std::int32_t rebalance_timeout = 60'000;
  std::int32_t epoch = 0;
  partition_list owned;

  /// With everything that there is to say. Views this object.
  request full();
  /// As it is; what comes is not adopted.
  asio::awaitable<beat_answer> send(request r);
  /// A full one, whose epoch is adopted; what is assigned is only with `accepts`, as then the next heartbeat says.
  asio::awaitable<beat_answer> beat(bool accepts = true);
  /// Takes what it is given, until that are `count` partitions and the epoch is the group's, and tells the epoch.
  asio::awaitable<void> owns(std::size_t count);
  /// Does not give up anything, until it is told to own `count`; tells the epoch.
  asio::awaitable<void> is_told(std::size_t count);
  asio::awaitable<void> leave(std::int32_t with);

 private:
  stage& stage_;
  std::vector<std::string> names_;
};

/// A commit of `offset` for some partitions of a topic, to send as it is or changed.
struct commit_parts {
  std::string group, member, topic, metadata;
  std::int32_t epoch = -1;
  uuid topic_id;
  std::vector<std::int32_t> partitions;
  std::int64_t offset = 0;

  commit_parts() = default;
};
/// Each partition's error: "NONE NONE".
asio::awaitable<std::string> commit(stage& s, commit_parts what);
/// The group's error, or each partition's offset and error.
asio::awaitable<std::string> fetch_offsets(stage& s, commit_parts what);

}  // namespace kawait::tests
