#pragma once

// A membership and one round of commits beside it, effects as text.

#include "membership_harness.hpp"

#include <kawait/machine/commit.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace membership_test {

using kawait::errc;
using kawait::offset_and_epoch;

using codes = std::map<std::string, kafka_error>;

/// A membership and one round of commits beside it.
struct commit_harness : harness {
  std::optional<commit_round> round;
  std::optional<send_commit> sent;

  void commit(const std::vector<std::pair<std::string, std::uint64_t>>& items,
              commit_rules rules = commit_rules(stamp_rule::lease_epoch, 10), milliseconds within = 60s) {
    std::vector<commit_item> list;
    std::int64_t offset = 100;
    for (const auto& [name, generation] : items)
      list.emplace_back(lease(name, generation), std::string(1, name.front()), offset_and_epoch(offset++, 7), "meta");
    round.emplace("g", std::move(list), rules, backoff_options(100ms, 1000ms), now + within);
  }

  std::string step(bool grouped = true) {
    auto e = grouped ? round->poll(now, m) : round->poll(now);
    if (const auto* i = std::get_if<idle>(&e))
      return i->until == never ? "idle" : "idle " + std::to_string((i->until - now) / 1ms);
    if (std::holds_alternative<find_coordinator>(e)) return "find coordinator";
    if (auto* s = std::get_if<send_commit>(&e)) {
      sent = *s;
      std::string text = "commit v" + std::to_string(s->version) + " at " + std::to_string(s->member_epoch) + ":";
      for (const auto& i : s->items) text += " " + show(i.lease) + "=" + std::to_string(i.offset.offset);
      return text;
    }
    std::string text = "finished";
    for (const auto& o : std::get<finished>(e).outcomes)
      text += " " + show(o.lease.partition) + ":" + (o.result ? o.result.code.message() : "ok");
    return text;
  }

  /// Answers what was sent: everything with `rest`, but for what `special` names.
  void reply(kafka_error rest = kafka_error::none, const codes& special = {}) {
    kawait::protocol::offset_commit_response r;
    std::vector<std::string> names;
    names.reserve(sent->items.size());
    for (const auto& i : sent->items) {
      const auto& p = i.lease.partition;
      auto& t = r.topics.emplace_back();
      names.push_back(i.topic);
      if (sent->version >= 10) {
        t.topic_id = p.topic_id;
      } else {
        t.name = names.back();
      }
      auto& answer = t.partitions.emplace_back();
      answer.partition_index = p.partition;
      const auto s = special.find(show(p));
      answer.error_code = static_cast<std::int16_t>(s == special.end() ? rest : s->second);
    }
    round->on_response(r, now, random);
  }

  /// One heartbeat and its answer.
  void beat(std::int32_t epoch, std::optional<std::string_view> assignment = std::nullopt) {
    while (!m.heartbeat_in_flight()) {
      now += 1s;
      run();
    }
    answer(epoch, assignment);
    run();
  }
};

}  // namespace membership_test
