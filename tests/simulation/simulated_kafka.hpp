#pragma once

// One broker in memory, for whole consumers in virtual time: a log, offsets, and a group coordinator that does as the test says. It
// knows only what these tests need of Kafka; tests/broker has the real one.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <kawait/kawait.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/find_coordinator.hpp>
#include <kawait/protocol/list_offsets.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/protocol/offset_commit.hpp>
#include <kawait/protocol/offset_fetch.hpp>

#include "simulation/simulated_log.hpp"
#include "simulation/simulated_requests.hpp"
#include "unit/scripted_broker.hpp"

namespace simulated {

using namespace std::chrono_literals;
namespace protocol = kawait::protocol;
namespace net = kawait::net;
using kawait::kafka_error;

class kafka {
 public:
  static constexpr const char* topic = "orders";

  kafka(kawait::testing::world& w, std::int32_t partitions);

  // ---- The log.

  /// Appends one record batch of the values; their offsets follow on.
  void append(std::int32_t partition, const std::vector<std::string>& values);
  /// One record batch of two records whose last offset lies `size` beyond the second's: compaction removed the rest.
  void append_hole(std::int32_t partition, std::int32_t size);
  void append_numbers(std::int32_t partition, int count);

  bool corrupt_next = false;  ///< The next batch appended has a wrong CRC.

  // ---- The group.

  /// What the member (the n-th that joined, from 0) shall own. It is told with its next heartbeats, in the protocol's steps.
  void assign(std::size_t number, std::set<std::int32_t> partitions) { targets[number] = std::move(partitions); }
  std::map<std::size_t, std::set<std::int32_t>> targets;
  /// The answers to the next heartbeats of members that have joined, instead of what the group would say.
  std::vector<kafka_error> heartbeat_errors;
  std::vector<kafka_error> commit_errors;
  std::vector<kafka_error> offset_fetch_errors;
  /// The answer to each look-up of the coordinator.
  kafka_error coordinator_error = kafka_error::none;
  std::size_t look_ups = 0;
  /// What a member is giving up may be its own again before it has.
  bool takes_revocations_back = false;
  /// Who names a rack is sent to a follower, without records.
  bool is_rack_aware = false;
  std::chrono::milliseconds heartbeat_interval = 1s;
  /// The coordinator does not answer for so long.
  std::chrono::milliseconds commit_delay = 0ms;
  std::vector<heartbeat> heartbeats;
  std::vector<commit> commits;
  std::map<std::int32_t, std::int64_t> committed;
  std::size_t fetches = 0;
  std::size_t offset_fetches = 0;
  std::size_t offset_lists = 0;

  /// The group is coordinated by a broker of its own, which can be cut off.
  bool coordinator_is_apart = false;
  void cut_coordinator();
  void mend_coordinator();

 private:
  struct member {
    std::size_t number;
    std::int32_t epoch = 0;
    std::set<std::int32_t> owned;  // as told and acknowledged
    std::optional<std::set<std::int32_t>> revoking;
  };

  log& log_of(std::int32_t partition) { return logs_.at(static_cast<std::size_t>(partition)); }

  asio::awaitable<void> serve(std::unique_ptr<net::transport> stream);
  asio::awaitable<void> serve_coordinator(std::unique_ptr<net::transport> stream);
  asio::awaitable<void> serve(scripted::peer& p);

  static protocol::api_versions_response versions();

  protocol::metadata_response metadata(const scripted::incoming& r);

  protocol::find_coordinator_response find_coordinator(const scripted::incoming& r);

  protocol::consumer_group_heartbeat_response on_heartbeat(const scripted::incoming& r);

  // One step of the protocol: first what is to be given up, at the same epoch; once that is acknowledged, the rest at the next.
  void step(member& m, const heartbeat& seen, protocol::consumer_group_heartbeat_response& a);

  protocol::offset_fetch_response offset_fetch(const scripted::incoming& r);

  protocol::offset_commit_response on_commit(const scripted::incoming& r);

  protocol::list_offsets_response list_offsets(const scripted::incoming& r);

  // Grants no session: the client asks for everything each time.
  asio::awaitable<void> on_fetch(scripted::peer& p, const scripted::incoming& r);

  kawait::testing::world& world_;
  net::condition grown_;
  std::vector<log> logs_;
  kawait::uuid topic_id_;
  std::string group_;
  std::string unknown_;
  std::set<scripted::peer*> coordinator_peers_;
  std::map<std::string, member> members_;
  std::map<std::string, std::size_t> numbers_;
  std::int32_t group_epoch_ = 0;
};

/// The settings of a member of the group "g".
kawait::config member_config();

}  // namespace simulated
