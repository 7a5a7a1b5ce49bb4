#pragma once

// Metadata answers, and a cluster that is driven by hand.

#include <kawait/machine/cluster.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "catch.hpp"

namespace cluster_support {

using kawait::kafka_error;
using kawait::topic_id_partition;
using kawait::uuid;
using kawait::machine::cluster;
using kawait::machine::milliseconds;
using kawait::machine::never;
using kawait::machine::time_point;
using kawait::protocol::metadata_response;
using names = std::vector<std::string>;
using ids = std::vector<uuid>;

inline constexpr std::uint64_t no_jitter = std::uint64_t{512} << 54;  // the middle of the spread

inline uuid id(int n) {
  uuid result;
  result.bytes[15] = static_cast<std::byte>(n);
  return result;
}

inline time_point at_ms(std::int64_t ms) { return time_point(std::chrono::hours(1)) + milliseconds(ms); }

struct response : metadata_response {
  explicit response(std::initializer_list<std::int32_t> nodes = {1, 2}) {
    for (const auto node : nodes) add_broker(node, "host", 9092);
  }
  response& add_broker(std::int32_t node, std::string_view host, std::int32_t port) {
    brokers.emplace_back();
    brokers.back().node_id = node;
    brokers.back().host = host;
    brokers.back().port = port;
    return *this;
  }
  response& add_topic(std::string_view name, const uuid& topic_id,
                      std::initializer_list<std::pair<std::int32_t, std::int32_t>> leaders) {
    topics.emplace_back();
    topics.back().name = name;
    topics.back().topic_id = topic_id;
    for (const auto& [node, epoch] : leaders) {
      auto& p = topics.back().partitions.emplace_back();
      p.partition_index = static_cast<std::int32_t>(topics.back().partitions.size()) - 1;
      p.leader_id = node;
      p.leader_epoch = epoch;
      if (node < 0) p.error_code = static_cast<std::int16_t>(kafka_error::leader_not_available);
    }
    return *this;
  }
  response& add_name_error(std::string_view name, kafka_error e) {
    topics.emplace_back();
    topics.back().name = name;
    topics.back().error_code = static_cast<std::int16_t>(e);
    return *this;
  }
  response& add_id_error(const uuid& topic_id, kafka_error e) {
    topics.emplace_back();
    topics.back().name.reset();
    topics.back().topic_id = topic_id;
    topics.back().error_code = static_cast<std::int16_t>(e);
    return *this;
  }
};

/// A cluster and the time; the answers arrive at once.
struct driven {
  cluster machine{cluster::options(milliseconds(300'000),
                                   kawait::machine::backoff_options(milliseconds(100), milliseconds(1000)))};
  std::int64_t now = 0;

  cluster::fetch_metadata asked() {
    auto effect = machine.poll(at_ms(now));
    REQUIRE(std::holds_alternative<cluster::fetch_metadata>(effect));
    return std::get<cluster::fetch_metadata>(effect);
  }
  /// How long it says it is idle; -1: until it is told something.
  std::int64_t idle() {
    const auto effect = machine.poll(at_ms(now));
    REQUIRE(std::holds_alternative<kawait::machine::idle>(effect));
    const auto until = std::get<kawait::machine::idle>(effect).until;
    return until == never ? -1 : std::chrono::duration_cast<milliseconds>(until - at_ms(now)).count();
  }
  cluster::outcome answer(const cluster::fetch_metadata& to, const metadata_response& r) {
    return machine.on_metadata(r, to, at_ms(now), no_jitter);
  }
  cluster::outcome round(const metadata_response& r) { return answer(asked(), r); }
  std::pair<std::int32_t, std::int32_t> leader(int topic, std::int32_t partition) const {
    const auto l = machine.leader_of(topic_id_partition(id(topic), partition));
    return l ? std::pair(l->node, l->epoch) : std::pair(-1, -1);
  }
};

/// Jitter makes a pause up to a fifth shorter or longer; never above the longest.
inline void check_pause(std::int64_t ms, std::int64_t nominal) {
  CAPTURE(ms, nominal);
  CHECK(ms >= nominal * 8 / 10);
  CHECK(ms <= nominal * 12 / 10);
}

using leader = std::pair<std::int32_t, std::int32_t>;

}  // namespace cluster_support
