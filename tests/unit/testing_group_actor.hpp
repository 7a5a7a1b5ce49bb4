#pragma once

// One of kawait's own members with its connection to the embedded group coordinator.

#include "membership_engine.hpp"

#include <kawait/testing/group_coordinator.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace testing_group_membership {

using namespace membership_test;
using kawait::testing::group_coordinator;
using kawait::testing::group_options;
using kawait::testing::kafka_generation;
using kawait::testing::topic_image;

struct surroundings {
  group_coordinator coordinator;
  chance luck;
  time_point now{1000s};
  stamp_rule stamp = stamp_rule::unknown;
  std::int16_t commit_version = 9;
  std::map<uuid, std::string> names;

  surroundings(group_options o, std::uint64_t seed) : coordinator(std::move(o)), luck(seed) {}
};

/// What membership::patience allows, as a formula: a question every 50 ms for 200 ms, then each a quarter later than the one before,
/// and each interval from four of them on; and one when an interval has passed.
inline double most_questions(duration waited, duration interval) {
  using seconds = std::chrono::duration<double>;
  const seconds early = std::min<duration>(waited, 200ms), growing = std::min(waited, 4 * interval);
  const double grown = growing > early ? std::log(growing / early) / std::log(1.25) : 0;
  const int once = waited >= interval + 50ms;
  return std::ceil(early / seconds(50ms) + grown) + once + (seconds(waited) - growing) / interval;
}

class actor : public checked_engine {
 public:
  actor(surroundings& s, member_options o) : checked_engine(std::move(o)), world_(s) { now_ = s.now; }

  std::size_t committed = 0, refused = 0, heartbeats = 0;
  bool subscribed = false, moved = true, faults = true;

  const membership& machine() const { return member_; }
  bool idle_connection() const { return queue_.empty(); }
  time_point wake() const { return wake_; }

  void subscribe() {
    static const std::vector<std::string> lists[] = {{"A"}, {"A", "B"}, {"B"}, {"A", "B"}};
    const bool pattern = world_.luck.percent(20);
    member_.subscribe(pattern ? std::vector<std::string>() : lists[world_.luck.below(4)],
                      pattern ? std::optional<std::string>("[AB]") : std::nullopt);
    subscribed = true;
  }
  void leave() {
    member_.leave(world_.luck.percent(70) ? leave_kind::default_ : leave_kind::remain_in_group);
    subscribed = false;
  }
  void time_out() {
    member_.on_poll_timeout();
    for (auto& [p, t] : leases_) stalled_ |= member_.state_name() == "stalling" && t.phase != tracked::gone;
    moved = false;
  }
  void move() {
    member_.on_application_moved();
    moved = true;
  }
  void resolve() {
    for (const auto& id : std::exchange(questions_, {})) {
      if (world_.names.count(id) != 0) member_.on_resolved(id);
    }
  }
  void drain_one() {
    for (auto& [p, t] : leases_) {
      if (t.phase != tracked::draining) continue;
      t.phase = tracked::gone;
      member_.on_drained(leased(p, t.generation));
      return;
    }
  }
  void drain_all() {
    for (std::size_t i = leases_.size(); i > 0; --i) drain_one();
  }
  void begin_commit() {
    if (round_) return;
    std::vector<commit_item> items;
    for (const auto& [p, t] : leases_) {
      if (world_.luck.percent(60))
        items.emplace_back(leased(p, t.generation), world_.names[p.topic_id], kawait::offset_and_epoch(1));
    }
    const auto rule = world_.luck.percent(30) ? stamp_rule::unknown : world_.stamp;
    round_.emplace("g", std::move(items), commit_rules(rule, world_.commit_version), backoff_options(),
                   now_ + milliseconds(world_.luck.below(20000)));
  }

  /// The coordinator serves the oldest request of this connection.
  void serve() {
    if (queue_.empty()) return;
    const request r = std::move(queue_.front());
    queue_.pop_front();
    if (const auto* h = std::get_if<send_heartbeat>(&r)) {
      in_flight_ = false;
      return answer(*h, true);
    }
    const auto& c = std::get<send_commit>(r);
    const auto response = store(c);
    member_.on_commit_answered(c.leases());
    if (!is_rounds(c)) return;
    commit_under_way_.reset();
    if (round_) round_->on_response(response, now_, world_.luck.bits());
  }

  /// The connection ends. What is under way was served or not; nobody learns which.
  void disconnect() {
    bool served = world_.luck.percent(60);
    while (!queue_.empty()) {
      const request r = std::move(queue_.front());
      queue_.pop_front();
      served = served && world_.luck.percent(70);
      if (const auto* h = std::get_if<send_heartbeat>(&r)) {
        if (served) answer(*h, false);
        in_flight_ = false;
        member_.on_disconnected(now_, world_.luck.bits());
        continue;
      }
      const auto& c = std::get<send_commit>(r);
      if (served) store(c);
      member_.on_commit_answered(c.leases());
      if (!is_rounds(c)) continue;
      commit_under_way_.reset();
      if (round_) round_->on_disconnected(now_, world_.luck.bits());
    }
  }

  void settle() {
    now_ = world_.now;
    for (int i = 0; violation.empty(); ++i) {
      if (i == 200) return fail("it never comes to rest");
      const auto e = member_.poll(now_);
      if (const auto* rest = std::get_if<idle>(&e)) {
        wake_ = rest->until;
        if (!poll_round()) return check_holds();
        continue;
      }
      std::visit([this](const auto& x) { perform(x); }, e);
    }
  }

  /// What it works on, if the coordinator would take a commit of it.
  std::vector<topic_id_partition> unfenced() const {
    std::vector<topic_id_partition> list;
    const auto m = world_.coordinator.member("g", member_.member_id());
    if (!m || m->epoch != member_.member_epoch()) return list;
    for (const auto& [p, t] : leases_) {
      if (t.phase != tracked::gone && !stalled_) list.push_back(p);
    }
    return list;
  }

  bool content() const {
    if (!queue_.empty()) return false;
    if (!subscribed) return leases_.empty();
    const auto m = world_.coordinator.member("g", member_.member_id());
    if (!m || m->epoch != member_.member_epoch()) return false;
    if (member_.state_name() != "stable" && member_.state_name() != "awaiting") return false;
    std::vector<topic_id_partition> held;
    for (const auto& [p, t] : leases_) {
      if (t.phase == tracked::held) held.push_back(p);
    }
    return held == m->target && held.size() == leases_.size();
  }

 private:
  void cut() override { disconnect(); }
  void asked() override {
    if (!faults || world_.luck.percent(80)) resolve();
  }

  void answer(const send_heartbeat& h, bool arrives) {
    ++heartbeats;
    const auto sent = h.request();
    const auto a = world_.coordinator.heartbeat(now_, sent, 1, "kawait");
    if (a.error_code == static_cast<std::int16_t>(kafka_error::invalid_request)) fail("a malformed heartbeat");
    if (!arrives) return;
    if (a.assignment) {
      answered_.clear();
      for (const auto& t : a.assignment->topic_partitions) {
        for (const auto p : t.partitions) answered_.emplace(t.topic_id, p);
      }
    }
    member_.on_heartbeat(a, now_, world_.luck.bits());
  }

  kawait::protocol::offset_commit_response store(const send_commit& c) {
    const auto sent = c.request();
    const auto answer = world_.coordinator.commit(now_, sent, c.version);
    bool all = true;
    for (const auto& t : answer.topics) {
      for (const auto& p : t.partitions) all = all && p.error_code == 0;
    }
    all ? ++committed : ++refused;
    if (!all) return answer;
    // The coordinator may not have asked whose they are; it must not have been needed.
    const auto m = world_.coordinator.member("g", member_.member_id());
    for (const auto& i : c.items) {
      const auto& p = i.lease.partition;
      const bool its = m && std::count(m->assigned.begin(), m->assigned.end(), p) +
                                    std::count(m->revoking.begin(), m->revoking.end(), p) == 1;
      if (!its) fail("a commit was taken for " + show(i.lease) + ", which is not the member's");
    }
    return answer;
  }

  bool is_rounds(const send_commit& c) const { return commit_under_way_ && c.items == commit_under_way_->items; }

  bool poll_round() {
    if (!round_) return false;
    const auto e = round_->poll(now_, member_);
    if (std::holds_alternative<idle>(e)) return false;
    if (const auto* c = std::get_if<send_commit>(&e)) {
      member_.on_commit_sent(c->leases());
      queue_.push_back(*c);
      commit_under_way_ = *c;
    }
    if (std::holds_alternative<finished>(e)) {
      round_.reset();
      commit_under_way_.reset();
    }
    return true;
  }

  surroundings& world_;
  time_point wake_ = never;
  std::optional<commit_round> round_;
  std::optional<send_commit> commit_under_way_;
};

}  // namespace testing_group_membership
