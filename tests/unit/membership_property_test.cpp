#include "catch.hpp"

#include "membership_engine.hpp"

#include <cstdlib>
#include <optional>
#include <utility>
#include <variant>

// One member, a model of its broker, and an engine that does at random what a real one may do: drain early, late or never,
// commit, lose answers, close connections, stall. Every effect is checked against what the engine has been told before.

namespace membership_property_tests {

using namespace membership_test;

class run_of_one_seed : public checked_engine {
 public:
  explicit run_of_one_seed(std::uint64_t seed) : checked_engine(options(seed)), chance_(seed) {
    broker_.refuses_known_joiners = seed % 3 == 0;
    broker_.knows_lease_epochs = seed % 3 == 1;
    broker_.is_static = seed % 4 == 0;
    retarget();
    member_.subscribe({"t"}, std::nullopt);
  }

  std::size_t committed = 0, refused = 0;

  void run() {
    for (int i = 0; i < 600 && violation.empty(); ++i) {
      faults_ = i < 500;
      step();
      settle();
    }
    if (violation.empty()) heal();
  }

 private:
  static member_options options(std::uint64_t seed) {
    member_options o("g", "m");
    o.rebalance_timeout = seed % 5 == 0 ? 300s : 10s;
    if (seed % 4 == 0) o.instance_id = "i";
    return o;
  }

  // --- The world acts.

  void step() {
    switch (chance_.below(14)) {
      case 0: case 1: case 2: case 3: return serve();
      case 4: case 5: now_ += milliseconds(chance_.below(2000)); return;
      case 6: case 7: return drain_one();
      case 8: case 9: return begin_commit();
      case 10: return retarget();
      case 11: return resolve();
      case 12: return faults_ ? fault() : serve();
      default: return faults_ && chance_.percent(30) ? user() : serve();
    }
  }

  void fault() {
    switch (chance_.below(7)) {
      case 0: case 1: return disconnect(chance_.percent(50));
      case 2: broker_.expire(); return;
      case 3: broker_.jump(); return;
      case 4: broker_.topics_denied = chance_.percent(30); return;
      case 5:
        refuse_next_ = chance_.percent(50) ? kafka_error::not_coordinator : kafka_error::coordinator_load_in_progress;
        return;
      default: now_ += milliseconds(chance_.below(12000)); return;
    }
  }

  void user() {
    switch (chance_.below(4)) {
      case 0:
        member_.leave(chance_.percent(80) ? leave_kind::default_ : leave_kind::remain_in_group);
        resubscribe_ = true;
        return;
      case 1:
        member_.on_poll_timeout();
        for (auto& [p, t] : leases_) stalled_ |= member_.state_name() == "stalling" && t.phase != tracked::gone;
        moved_ = false;
        return;
      case 2: member_.subscribe({chance_.percent(50) ? "t" : "u"}, std::nullopt); resubscribe_ = false; return;
      default: move(); return;
    }
  }

  void move() {
    member_.on_application_moved();
    moved_ = true;
  }

  void retarget() {
    partition_set target, busy;
    for (const char name : {'A', 'B'}) {
      for (int p = 0; p < 4; ++p) {
        if (chance_.percent(50)) target.emplace(topic(name), p);
        if (chance_.percent(20)) busy.emplace(topic(name), p);
      }
    }
    broker_.retarget(std::move(target));
    broker_.set_busy(std::move(busy));
  }

  void resolve() {
    for (const auto& id : std::exchange(questions_, {})) member_.on_resolved(id);
  }

  void cut() override { disconnect(chance_.percent(50)); }
  void asked() override {
    if (!faults_ || chance_.percent(80)) resolve();
  }

  void drain_one() {
    std::vector<leased> candidates;
    for (const auto& [p, t] : leases_) {
      if (t.phase == tracked::draining) candidates.emplace_back(p, t.generation);
    }
    if (candidates.empty()) return;
    const auto l = candidates[chance_.below(candidates.size())];
    leases_.at(l.partition).phase = tracked::gone;  // its commit may be under way still: given up
    member_.on_drained(l);
    if (chance_.percent(20)) member_.on_drained(l);
    if (chance_.percent(20)) member_.on_drained(leased(l.partition, l.generation - 1));
  }

  void begin_commit() {
    if (round_) return;
    std::vector<commit_item> items;
    for (const auto& [p, t] : leases_) {
      if (chance_.percent(60)) items.emplace_back(leased(p, t.generation), "t", kawait::offset_and_epoch(1));
    }
    const auto rule = chance_.percent(30) ? stamp_rule::unknown
                      : broker_.knows_lease_epochs ? stamp_rule::lease_epoch : stamp_rule::current_epoch;
    round_.emplace("g", std::move(items), commit_rules(rule, 10), backoff_options(), now_ + milliseconds(chance_.below(20000)));
  }

  // --- The connection: what was sent is served in order.

  void serve() {
    if (queue_.empty()) return;
    const request r = std::move(queue_.front());
    queue_.pop_front();
    if (const auto* h = std::get_if<send_heartbeat>(&r)) return answer(*h);
    const auto& c = std::get<send_commit>(r);
    const auto error = serve_commit(c);
    member_.on_commit_answered(c.leases());
    if (!is_rounds(c)) return;
    commit_under_way_.reset();
    if (round_) round_->on_response(commit_answer(c, error), now_, chance_.bits());
  }

  static kawait::protocol::offset_commit_response commit_answer(const send_commit& c, kafka_error error) {
    kawait::protocol::offset_commit_response response;
    for (const auto& i : c.items) {
      auto& t = response.topics.emplace_back();
      t.topic_id = i.lease.partition.topic_id;
      t.partitions.emplace_back();
      t.partitions.back().partition_index = i.lease.partition.partition;
      t.partitions.back().error_code = static_cast<std::int16_t>(error);
    }
    return response;
  }

  kafka_error serve_commit(const send_commit& c) {
    const auto error = broker_.commit(c);
    error == kafka_error::none ? ++committed : ++refused;
    if (!broker_.violation.empty()) fail(broker_.violation);
    return error;
  }

  bool is_rounds(const send_commit& c) const { return commit_under_way_ && c.items == commit_under_way_->items; }

  void answer(const send_heartbeat& h) {
    heartbeat_answer a;
    if (refuse_next_ != kafka_error::none) {
      a.error = std::exchange(refuse_next_, kafka_error::none);
    } else {
      a = broker_.heartbeat(h);
    }
    if (a.error == kafka_error::invalid_request) fail("a malformed join");
    in_flight_ = false;
    kawait::protocol::consumer_group_heartbeat_response r;
    r.error_code = static_cast<std::int16_t>(a.error);
    r.member_epoch = a.epoch;
    r.heartbeat_interval_ms = 2000;
    if (a.assignment) {
      auto& list = r.assignment.emplace();
      for (const auto& p : *a.assignment) {
        auto& t = list.topic_partitions.emplace_back();
        t.topic_id = p.topic_id;
        t.partitions.push_back(p.partition);
      }
      answered_ = *a.assignment;
    }
    member_.on_heartbeat(r, now_, chance_.bits());
  }

  /// The connection ends. What is under way was served or not; nobody learns which.
  void disconnect(bool served) {
    while (!queue_.empty()) {
      const request r = std::move(queue_.front());
      queue_.pop_front();
      served = served && chance_.percent(70);
      if (const auto* h = std::get_if<send_heartbeat>(&r)) {
        if (served) broker_.heartbeat(*h);
        in_flight_ = false;
        member_.on_disconnected(now_, chance_.bits());
        continue;
      }
      const auto& c = std::get<send_commit>(r);
      if (served) serve_commit(c);
      member_.on_commit_answered(c.leases());
      if (!is_rounds(c)) continue;
      commit_under_way_.reset();
      if (round_) round_->on_disconnected(now_, chance_.bits());
    }
  }

  // --- The engine performs effects, and checks each.

  void settle() {
    for (int i = 0; violation.empty(); ++i) {
      if (i == 200) return fail("it never comes to rest");
      const auto e = member_.poll(now_);
      if (const auto* rest = std::get_if<idle>(&e)) {
        if (rest->until <= now_) fail("idle until the past");
        wake_ = rest->until;
        if (!poll_round()) return check_holds();
        continue;
      }
      std::visit([this](const auto& x) { perform(x); }, e);
    }
  }

  /// Whether it did something.
  bool poll_round() {
    if (!round_) return false;
    const auto e = round_->poll(now_, member_);
    if (std::holds_alternative<idle>(e)) return false;
    if (const auto* c = std::get_if<send_commit>(&e)) {
      if (commit_under_way_) fail("two commits of a round at once");
      for (const auto& l : c->leases()) {
        const auto it = leases_.find(l.partition);
        if (it == leases_.end() || it->second.generation != l.generation || it->second.phase == tracked::gone)
          fail("a commit names " + show(l) + ", which is not held");
      }
      member_.on_commit_sent(c->leases());
      queue_.push_back(*c);
      commit_under_way_ = *c;
    }
    if (std::holds_alternative<finished>(e)) {
      round_.reset();
      commit_under_way_.reset();  // it may still be under way: the guard's business
    }
    return true;
  }

  /// The faults are over: everything must come to what the broker wants, soon.
  void heal() {
    broker_.topics_denied = false;
    refuse_next_ = kafka_error::none;
    broker_.set_busy({});
    if (resubscribe_) member_.subscribe({"t"}, std::nullopt);
    if (!moved_) move();
    const time_point end = now_ + 10min;
    settle();
    while (now_ < end && violation.empty()) {
      resolve();
      for (int i = 0; i < 8; ++i) drain_one();
      while (!queue_.empty()) serve();
      settle();
      if (queue_.empty()) now_ = std::min(std::max(now_ + 1ms, wake_), now_ + 500ms);
      settle();
      partition_set held;
      for (const auto& [p, t] : leases_) {
        if (t.phase == tracked::held) held.insert(p);
      }
      if (member_.state_name() == "stable" || member_.state_name() == "awaiting") {
        if (broker_.knows() && held == broker_.target() && member_.member_epoch() == broker_.epoch() && queue_.empty()) return;
      }
    }
    fail("it does not get what it should");
  }

  chance chance_;
  model_broker broker_;
  time_point wake_ = never;
  bool faults_ = true, moved_ = true, resubscribe_ = false;
  kafka_error refuse_next_ = kafka_error::none;
  std::optional<commit_round> round_;
  std::optional<send_commit> commit_under_way_;
};

TEST_CASE("membership keeps its promises whatever happens (points 7, 8, 12, 25, 29)") {
  const char* wish = std::getenv("KAWAIT_PROPERTY_SEEDS");
  const std::uint64_t seeds = wish ? std::strtoull(wish, nullptr, 10) : 1000;
  std::size_t assigned = 0, revoked = 0, abandoned = 0, lost = 0, cuts = 0, committed = 0, refused = 0, joins = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    run_of_one_seed r(seed);
    r.run();
    CAPTURE(seed);
    REQUIRE(r.violation == "");
    assigned += r.assigned;
    revoked += r.revoked;
    abandoned += r.abandoned;
    lost += r.lost;
    cuts += r.cuts;
    committed += r.committed;
    refused += r.refused;
    joins += r.joins;
  }
  // The test has seen what it is about.
  CAPTURE(assigned, revoked, abandoned, lost, cuts, committed, refused, joins);
  CHECK(assigned > 5 * seeds);
  CHECK(revoked > 2 * seeds);
  CHECK(abandoned > seeds / 4);
  CHECK(lost > seeds);
  CHECK(cuts > seeds / 100);
  CHECK(committed > seeds);
  CHECK(refused > seeds / 4);
  CHECK(joins > 2 * seeds);
}

}  // namespace membership_property_tests
