#pragma once

// A membership, a clock that stands still, and effects as text: a test reads as the conversation it is.

#include <kawait/machine/membership.hpp>

#include "catch.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace membership_test {

using namespace std::chrono_literals;
using namespace kawait::machine;
using kawait::kafka_error;
using kawait::topic_id_partition;
using kawait::uuid;

/// Topics are single letters.
inline uuid topic(char name) {
  uuid id;
  id.bytes[0] = static_cast<std::byte>(name);
  return id;
}

/// "A0 A1 B7"; negative partitions are possible.
inline std::vector<topic_id_partition> partitions(std::string_view text) {
  std::vector<topic_id_partition> list;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = text.find(' ', i);
    if (end == std::string_view::npos) end = text.size();
    list.emplace_back(text[i] == '0' ? uuid() : topic(text[i]), std::stoi(std::string(text.substr(i + 1, end - i - 1))));
    i = end + 1;
  }
  return list;
}

inline leased lease(std::string_view name, std::uint64_t generation) { return leased(partitions(name).front(), generation); }

inline std::string show(const topic_id_partition& p) {
  return static_cast<char>(p.topic_id.bytes[0]) + std::to_string(p.partition);
}

inline std::string show(const leased& l) { return show(l.partition) + "#" + std::to_string(l.generation); }

template <class T>
std::string show(const std::vector<T>& list) {
  std::string text;
  for (const auto& item : list) {
    if (!text.empty()) text += ' ';
    text += show(item);
  }
  return text;
}

inline std::string show(const send_heartbeat& h) {
  std::string text = h.joins() ? "join" : (h.leaves() ? "leave " : "alive ") + std::to_string(h.member_epoch);
  if (h.instance_id) text += " instance=" + *h.instance_id;
  if (h.rack_id) text += " rack=" + *h.rack_id;
  if (h.rebalance_timeout_ms != -1) text += " timeout=" + std::to_string(h.rebalance_timeout_ms);
  if (h.topic_names) {
    text += " names=";
    for (const auto& n : *h.topic_names) text += (&n == h.topic_names->data() ? "" : ",") + n;
  }
  if (h.topic_regex) text += " regex=" + *h.topic_regex;
  if (h.assignor) text += " assignor=" + *h.assignor;
  if (h.owned) text += " owned=" + show(*h.owned);
  return text;
}

inline std::string show(const membership::effect& e, time_point now) {
  if (const auto* i = std::get_if<idle>(&e)) return i->until == never ? "idle" : "idle " + std::to_string((i->until - now) / 1ms);
  if (const auto* h = std::get_if<send_heartbeat>(&e)) return show(*h);
  if (const auto* r = std::get_if<revoke_partitions>(&e))
    return "revoke " + show(r->partitions) + " within " + std::to_string((r->deadline - now) / 1ms);
  if (const auto* a = std::get_if<abandon_partitions>(&e)) return "abandon " + show(a->partitions);
  if (const auto* a = std::get_if<assign_partitions>(&e))
    return "assign " + show(a->partitions) + " at " + std::to_string(a->member_epoch);
  if (const auto* l = std::get_if<lose_partitions>(&e)) return "lose " + show(l->partitions) + ": " + l->reason.code.message();
  if (const auto* r = std::get_if<report>(&e)) return "report " + r->reason.code.message();
  if (const auto* f = std::get_if<failed>(&e)) return "failed " + f->reason.code.message();
  if (const auto* r = std::get_if<resolve_topics>(&e)) {
    std::string text = "resolve";
    for (const auto& id : r->ids) text += std::string(" ") + static_cast<char>(id.bytes[0]);
    return text;
  }
  if (std::holds_alternative<find_coordinator>(e)) return "find coordinator";
  if (std::holds_alternative<cut_coordinator>(e)) return "cut";
  return "left";
}

struct harness {
  membership m;
  time_point now{1000s};
  std::uint64_t random = 0;  // pauses are 0.8 of their length
  bool auto_resolve = true;

  explicit harness(member_options o = member_options("g", "m")) : m(std::move(o)) {}

  static member_options static_options() {
    member_options o("g", "m");
    o.instance_id = "i";
    return o;
  }

  membership::effect next() {
    for (;;) {
      auto e = m.poll(now);
      const auto* r = std::get_if<resolve_topics>(&e);
      if (!auto_resolve || r == nullptr) return e;
      for (const auto& id : r->ids) m.on_resolved(id);
    }
  }

  std::string poll() { return show(next(), now); }

  /// Everything up to the next idle, which is left out; one effect a line.
  std::string run() {
    std::string text;
    for (int i = 0; i < 100; ++i) {
      const auto e = next();
      if (std::holds_alternative<idle>(e)) return text;
      if (!text.empty()) text += "; ";
      text += show(e, now);
    }
    return text + "; ... without end";
  }

  void answer(std::int32_t epoch, std::optional<std::string_view> assignment = std::nullopt, std::int32_t interval_ms = 5000) {
    kawait::protocol::consumer_group_heartbeat_response r;
    r.member_epoch = epoch;
    r.heartbeat_interval_ms = interval_ms;
    if (assignment) {
      auto& a = r.assignment.emplace();
      for (const auto& p : partitions(*assignment)) {
        auto& t = a.topic_partitions.emplace_back();  // a topic may come more than once
        t.topic_id = p.topic_id;
        t.partitions.push_back(p.partition);
      }
    }
    m.on_heartbeat(r, now, random);
  }

  void refuse(kafka_error code, std::string_view words = {}) {
    kawait::protocol::consumer_group_heartbeat_response r;
    r.error_code = static_cast<std::int16_t>(code);
    if (!words.empty()) r.error_message = words;
    m.on_heartbeat(r, now, random);
  }

  void disconnect() { m.on_disconnected(now, random); }
  void drained(std::string_view name, std::uint64_t generation) { m.on_drained(lease(name, generation)); }
  void commit_sent(std::string_view name, std::uint64_t generation) {
    const leased l[] = {lease(name, generation)};
    m.on_commit_sent(l);
  }
  void commit_answered(std::string_view name, std::uint64_t generation) {
    const leased l[] = {lease(name, generation)};
    m.on_commit_answered(l);
  }

  /// A stable member with these partitions, generations from 1, whose last heartbeat was answered now with epoch 1.
  void settle(std::string_view assignment) {
    m.subscribe({"t"}, std::nullopt);
    next();
    answer(1, assignment);
    run();
    answer(1);
    run();
  }

  /// A0#1 is held, A1#2 is revoked since now, within 270 s.
  void settle_and_revoke() {
    settle("A0 A1");
    now += 5s;
    poll();
    answer(1, "A0");
    CHECK(run() == "revoke A1#2 within 270000");
  }

  /// The same, with a commit of A1#2 that is not answered, and 100 s later A0#1 is revoked, too, within 270 s.
  void settle_and_revoke_in_turn() {
    settle_and_revoke();
    commit_sent("A1", 2);
    now += 100s;
    poll();
    answer(1, "");
    CHECK(run() == "revoke A0#1 within 270000");
  }
};

}  // namespace membership_test
