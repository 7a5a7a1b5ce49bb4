#pragma once

#include <kawait/machine/heartbeat.hpp>

namespace kawait::machine {

KAWAIT_DECL protocol::consumer_group_heartbeat_request send_heartbeat::request() const {
  protocol::consumer_group_heartbeat_request r;
  r.group_id = group_id;
  r.member_id = member_id;
  r.member_epoch = member_epoch;
  r.instance_id = instance_id;
  r.rack_id = rack_id;
  r.rebalance_timeout_ms = rebalance_timeout_ms;
  if (topic_names) r.subscribed_topic_names.emplace(topic_names->begin(), topic_names->end());
  r.subscribed_topic_regex = topic_regex;
  r.server_assignor = assignor;
  if (owned) {
    auto& topics = r.topic_partitions.emplace();
    for (const auto& p : *owned) {  // sorted: the partitions of a topic follow each other
      if (topics.empty() || topics.back().topic_id != p.topic_id) {
        topics.emplace_back();
        topics.back().topic_id = p.topic_id;
      }
      topics.back().partitions.push_back(p.partition);
    }
  }
  return r;
}

}  // namespace kawait::machine
