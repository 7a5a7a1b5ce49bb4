#pragma once

// What examples/embedded_broker does beside serving: producing at a steady rate, and telling what its groups do.

#include <chrono>
#include <cstdint>
#include <iostream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <kawait/testing/broker.hpp>
#include <kawait/time.hpp>

namespace embedded {

struct topic {
  std::string name;
  std::int32_t partitions = 1;
  std::int32_t replicas = 0;
};

/// One record after another to the partitions in turn, with their number as value; until cancelled.
inline asio::awaitable<void> produce(kawait::testing::broker& broker, std::vector<topic> topics, std::int32_t per_second) {
  for (std::int64_t number = 0;; ++number) {
    const auto n = static_cast<std::size_t>(number);
    const topic& t = topics[n % topics.size()];
    const auto partition = static_cast<std::int32_t>(n / topics.size() % static_cast<std::size_t>(t.partitions));
    const std::string key = "key-" + std::to_string(n / topics.size() / static_cast<std::size_t>(t.partitions) % 7);
    const std::vector<kawait::testing::producer_record> one(1, kawait::testing::producer_record(key, std::to_string(number)));
    broker.append(t.name, partition, one);
    co_await kawait::sleep_for(std::chrono::microseconds(1'000'000 / per_second));
  }
}

/// Looks at the groups and prints what has changed since it last looked.
class watcher {
 public:
  watcher(kawait::testing::broker& broker, std::vector<topic> topics) : broker_(broker), topics_(std::move(topics)) {
    for (const topic& t : topics_) names_[broker.topic_id(t.name)] = t.name;
  }

  void look() {
    for (const std::string& group : broker_.group().groups()) {
      std::map<std::string, std::string> members;
      for (const auto& m : broker_.group().members(group)) members[m.id] = show(m);
      for (const auto& [id, text] : members) {
        const auto before = members_[group].find(id);
        if (before == members_[group].end() || before->second != text) say(group, "member " + id + text);
      }
      for (const auto& [id, text] : members_[group]) {
        if (!members.contains(id)) say(group, "member " + id + " has left");
      }
      members_[group] = std::move(members);
      look_at_offsets(group);
    }
  }

 private:
  std::string show(const kawait::testing::member_view& m) const {
    std::string text = " at epoch " + std::to_string(m.epoch) + " owns " + show(m.assigned);
    if (!m.revoking.empty()) text += ", is giving up " + show(m.revoking);
    return text;
  }
  std::string show(const kawait::testing::partition_list& list) const {
    std::string text;
    for (const auto& p : list) {
      const auto name = names_.find(p.topic_id);
      text += (text.empty() ? "" : " ") + (name == names_.end() ? std::string("?") : name->second) + '-' + std::to_string(p.partition);
    }
    return text.empty() ? "nothing" : text;
  }
  void look_at_offsets(const std::string& group) {
    std::string text;
    for (const topic& t : topics_) {
      for (std::int32_t p = 0; p < t.partitions; ++p) {
        const auto offset = broker_.committed(group, t.name, p);
        if (!offset || std::exchange(committed_[group][{t.name, p}], *offset) == *offset) continue;
        text += ' ' + t.name + '-' + std::to_string(p) + '@' + std::to_string(*offset);
      }
    }
    if (!text.empty()) say(group, "committed" + text);
  }
  static void say(const std::string& group, const std::string& text) { std::cout << "group " << group << ": " << text << std::endl; }

  kawait::testing::broker& broker_;
  std::vector<topic> topics_;
  std::map<kawait::uuid, std::string> names_;
  std::map<std::string, std::map<std::string, std::string>> members_;
  std::map<std::string, std::map<std::pair<std::string, std::int32_t>, std::int64_t>> committed_;
};

inline asio::awaitable<void> watch(kawait::testing::broker& broker, std::vector<topic> topics) {
  watcher w(broker, std::move(topics));
  for (;;) {
    w.look();
    co_await kawait::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace embedded
