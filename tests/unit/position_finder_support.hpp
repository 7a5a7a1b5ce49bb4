#pragma once

// Answers of coordinators and leaders, and a finder that is driven by hand.

#include <kawait/machine/position_finder.hpp>
#include <kawait/protocol/offset_for_leader_epoch.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "catch.hpp"

namespace position_finder_support {

using kawait::errc;
using kawait::failure;
using kawait::kafka_error;
using kawait::offset_and_epoch;
using kawait::topic_id_partition;
using kawait::uuid;
using kawait::machine::cluster;
using kawait::machine::leased;
using kawait::machine::milliseconds;
using kawait::machine::position_finder;
using kawait::machine::time_point;
using kawait::protocol::list_offsets_response;
using kawait::protocol::metadata_response;
using kawait::protocol::offset_fetch_response;
using kawait::protocol::offset_for_leader_epoch_response;
using policy = position_finder::reset_policy;
using source = position_finder::source;
namespace machine = kawait::machine;

inline uuid id(int n) {
  uuid result;
  result.bytes[15] = static_cast<std::byte>(n);
  return result;
}

inline leased lease(int topic, std::int32_t partition, std::uint64_t generation = 1) {
  return leased(topic_id_partition(id(topic), partition), generation);
}

inline time_point at_ms(std::int64_t ms) { return time_point(std::chrono::hours(1)) + milliseconds(ms); }

struct topic_leaders {
  std::string name;
  uuid topic_id;
  std::vector<std::int32_t> nodes;
};

/// Tells the cluster of these topics; all leaders have epoch 10 + round.
inline void tell(cluster& metadata, const std::vector<topic_leaders>& topics, std::int64_t now, std::int32_t round = 0) {
  cluster::fetch_metadata asked;
  metadata_response response;
  for (const std::int32_t node : {1, 2, 3}) {
    response.brokers.emplace_back();
    response.brokers.back().node_id = node;
    response.brokers.back().host = "host";
    response.brokers.back().port = 9092;
  }
  for (const auto& t : topics) {
    asked.names.push_back(t.name);
    response.topics.emplace_back();
    response.topics.back().name = t.name;
    response.topics.back().topic_id = t.topic_id;
    for (const auto node : t.nodes) {
      auto& p = response.topics.back().partitions.emplace_back();
      p.partition_index = static_cast<std::int32_t>(response.topics.back().partitions.size()) - 1;
      p.leader_id = node;
      p.leader_epoch = 10 + round;
    }
  }
  metadata.want_names(asked.names);
  metadata.poll(at_ms(now));
  metadata.on_metadata(response, asked, at_ms(now), 0);
}

struct committed {
  int topic;
  std::int32_t partition;
  std::int64_t offset;
  std::int32_t epoch;
  kafka_error error = kafka_error::none;
};

/// An OffsetFetch answer by ids (version 10) or names (9): "a" is topic 1, "b" is topic 2, "c" is topic 3.
inline offset_fetch_response offsets(const std::vector<committed>& items, bool by_id = true) {
  static const char* const names[] = {"", "a", "b", "c", "d"};
  offset_fetch_response response;
  auto& group = response.groups.emplace_back();
  for (const auto& item : items) {
    auto& t = group.topics.emplace_back();
    if (by_id) {
      t.topic_id = id(item.topic);
    } else {
      t.name = names[item.topic];
    }
    auto& p = t.partitions.emplace_back();
    p.partition_index = item.partition;
    p.committed_offset = item.offset;
    p.committed_leader_epoch = item.epoch;
    p.error_code = static_cast<std::int16_t>(item.error);
  }
  return response;
}

inline offset_fetch_response group_error(kafka_error error) {
  offset_fetch_response response;
  response.groups.emplace_back().error_code = static_cast<std::int16_t>(error);
  return response;
}

struct listed {
  const char* topic;
  std::int32_t partition;
  std::int64_t offset;
  std::int32_t epoch;
  kafka_error error = kafka_error::none;
};

/// An answer with a topic for each item. `names` gives the fields that are not called the same in both kinds of answers.
template <class Response, class Names>
Response answer_of(const std::vector<listed>& items, Names names) {
  Response response;
  for (const auto& item : items) {
    auto& t = response.topics.emplace_back();
    auto& p = t.partitions.emplace_back();
    names(t, p) = std::tie(item.topic, item.partition, item.offset);
    p.leader_epoch = item.epoch;
    p.error_code = static_cast<std::int16_t>(item.error);
  }
  return response;
}

inline list_offsets_response lists(const std::vector<listed>& items) {
  return answer_of<list_offsets_response>(items, [](auto& t, auto& p) { return std::tie(t.name, p.partition_index, p.offset); });
}

inline offset_for_leader_epoch_response ends(const std::vector<listed>& items) {
  return answer_of<offset_for_leader_epoch_response>(items, [](auto& t, auto& p) { return std::tie(t.topic, p.partition, p.end_offset); });
}

/// A finder, a cluster of topics "a" (1: led by 1, 1, 2) and "b" (2: led by 2), and the time.
struct driven {
  explicit driven(policy p = policy::earliest)
      : finder(position_finder::options(p, 1, milliseconds(30'000),
                                        machine::backoff_options(milliseconds(100), milliseconds(1000)))) {
    tell(metadata, {{"a", id(1), {1, 1, 2}}, {"b", id(2), {2}}}, 0);
  }

  template <class Effect>
  Effect expect() {
    auto effect = finder.poll(at_ms(now), metadata);
    CAPTURE(effect.index());
    REQUIRE(std::holds_alternative<Effect>(effect));
    return std::get<Effect>(std::move(effect));
  }
  /// How long it says it is idle; -1: until it is told something.
  std::int64_t idle() {
    const auto until = expect<machine::idle>().until;
    return until == machine::never ? -1 : std::chrono::duration_cast<milliseconds>(until - at_ms(now)).count();
  }
  void pass_idle() {
    const auto wait = idle();
    REQUIRE(wait > 0);
    now += wait;
  }
  void expect_found(const leased& which, const offset_and_epoch& position, source how) {
    const auto found = expect<position_finder::found>();
    CHECK(found.lease == which);
    CHECK(found.position == position);
    CHECK(found.how == how);
  }
  template <class Code>
  void expect_not_found(const leased& which, Code code) {
    const auto not_found = expect<position_finder::not_found>();
    CHECK(not_found.lease == which);
    CHECK(not_found.why.code == code);
  }
  void answer(const offset_fetch_response& r) { finder.on_offset_fetch(r, at_ms(now), 0); }
  void answer(std::int32_t node, const list_offsets_response& r) { finder.on_list_offsets(node, r, at_ms(now), 0); }
  void answer(std::int32_t node, const offset_for_leader_epoch_response& r) { finder.on_epoch_ends(node, r, at_ms(now), 0); }

  position_finder finder;
  cluster metadata;
  std::int64_t now = 0;
};

inline void check_pause(std::int64_t ms, std::int64_t nominal) {
  CAPTURE(ms, nominal);
  CHECK(ms >= nominal * 8 / 10);
  CHECK(ms <= nominal * 12 / 10);
}

}  // namespace position_finder_support
