#pragma once

// A group coordinator, a clock that stands still, and conversations as text.

#include <kawait/testing/group_coordinator.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace testing_group {

using namespace std::chrono_literals;
using namespace kawait::testing;
using kawait::kafka_error;
using kawait::offset_and_epoch;
using kawait::topic_id_partition;
using kawait::topic_partition;
using kawait::uuid;
using time_point = kawait::machine::time_point;

/// Topics and their ids are single letters.
inline uuid topic(char name) {
  uuid id;
  id.bytes[0] = static_cast<std::byte>(name);
  return id;
}

inline std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> list;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = text.find(' ', i);
    if (end == std::string_view::npos) end = text.size();
    if (end > i) list.push_back(text.substr(i, end - i));
    i = end + 1;
  }
  return list;
}

/// "A0 A1 B7"
inline partition_list partitions(std::string_view text) {
  partition_list list;
  for (const auto word : words(text)) list.emplace_back(topic(word[0]), std::stoi(std::string(word.substr(1))));
  return list;
}

template <class List>
std::string show_partitions(const List& list) {
  std::string text;
  for (const auto& p : list) {
    if (!text.empty()) text += ' ';
    text += static_cast<char>(p.topic_id.bytes[0]) + std::to_string(p.partition);
  }
  return text;
}

/// A4 B2: topics with so many partitions
inline std::vector<topic_image> topics(std::string_view text) {
  std::vector<topic_image> list;
  for (const auto& p : partitions(text))
    list.emplace_back(std::string(1, static_cast<char>(p.topic_id.bytes[0])), p.topic_id, p.partition);
  return list;
}

struct heartbeat_text {
  std::string group = "g", member, instance, rack, regex, names, owned, assignor;
  std::int32_t epoch = 0, timeout = -1;
  bool has_regex = false, has_names = false, has_owned = false;

  explicit heartbeat_text(std::string m, std::int32_t e) : member(std::move(m)), epoch(e) {}
  heartbeat_text& in(std::string g) { return group = std::move(g), *this; }
  heartbeat_text& as(std::string i) { return instance = std::move(i), *this; }
  heartbeat_text& to(std::string n) { return names = std::move(n), has_names = true, *this; }
  heartbeat_text& matching(std::string r) { return regex = std::move(r), has_regex = true, *this; }
  heartbeat_text& owns(std::string o) { return owned = std::move(o), has_owned = true, *this; }
  heartbeat_text& within(std::int32_t ms) { return timeout = ms, *this; }
  heartbeat_text& with(std::string a) { return assignor = std::move(a), *this; }

  /// Views this.
  kawait::protocol::consumer_group_heartbeat_request request() && = delete;
  kawait::protocol::consumer_group_heartbeat_request request() const& {
    kawait::protocol::consumer_group_heartbeat_request r;
    r.group_id = group;
    r.member_id = member;
    r.member_epoch = epoch;
    if (!instance.empty()) r.instance_id = instance;
    if (!rack.empty()) r.rack_id = rack;
    if (!assignor.empty()) r.server_assignor = assignor;
    r.rebalance_timeout_ms = timeout;
    if (has_names) r.subscribed_topic_names = words(names);
    if (has_regex) r.subscribed_topic_regex = regex;
    if (has_owned) {
      auto& list = r.topic_partitions.emplace();
      for (const auto& p : partitions(owned)) {
        list.emplace_back();
        list.back().topic_id = p.topic_id;
        list.back().partitions.push_back(p.partition);
      }
    }
    return r;
  }
};

/// A join as a client sends it, alive, and leaving.
inline heartbeat_text join(std::string member, std::string names) {
  return heartbeat_text(std::move(member), 0).to(std::move(names)).owns("").within(10000);
}
inline heartbeat_text alive(std::string member, std::int32_t epoch) { return heartbeat_text(std::move(member), epoch); }
inline heartbeat_text full(std::string member, std::int32_t epoch, std::string names, std::string owned) {
  return heartbeat_text(std::move(member), epoch).to(std::move(names)).owns(std::move(owned)).within(10000);
}

struct cluster {
  group_coordinator c;
  time_point now{1000s};
  std::string words;  // of the last error

  explicit cluster(group_options o = group_options(kafka_generation::v4_2), std::string_view list = "A4 B2") : c(std::move(o)) {
    c.set_topics(topics(list));
  }

  /// "2" (epoch 2, assignment null), "2: A0 A1", or the name of the error.
  std::string beat(const heartbeat_text& h, std::int16_t version = 1) {
    const auto r = h.request();
    const auto a = c.heartbeat(now, r, version, "client");
    words = std::string(a.error_message.value_or(""));
    if (a.error_code != 0) return std::string(kawait::name_of(static_cast<kafka_error>(a.error_code)));
    std::string text = std::to_string(a.member_epoch);
    if (!a.assignment) return text;
    partition_list list;
    for (const auto& t : a.assignment->topic_partitions) {
      for (const auto p : t.partitions) list.emplace_back(t.topic_id, p);
    }
    return text + ":" + (list.empty() ? "" : " ") + show_partitions(list);
  }

  void pass(std::chrono::milliseconds d) { c.tick(now += d); }

  /// "2 stable A0 A1 - A2": what it has, and what it is to give up.
  std::string member(std::string_view id, std::string_view group = "g") const {
    const auto m = c.member(group, id);
    if (!m) return "none";
    static const char* const names[] = {"stable", "unrevoked", "unreleased"};
    std::string text = std::to_string(m->epoch) + " " + names[static_cast<int>(m->state)];
    if (!m->assigned.empty()) text += " " + show_partitions(m->assigned);
    if (!m->revoking.empty()) text += " - " + show_partitions(m->revoking);
    return text;
  }
};

}  // namespace testing_group
