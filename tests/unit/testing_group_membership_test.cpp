#include "catch.hpp"

#include "membership_engine.hpp"

#include <kawait/testing/group_coordinator.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

// Several of kawait's own members in one group of the embedded coordinator: connections that break, joins, leaves, slow handlers,
// topics that come and go. Whatever happens, no partition has two owners of whom the coordinator would take a commit; and when it
// stops happening, everybody soon has what the coordinator wants.

namespace {

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

class actor : public checked_engine {
 public:
  actor(surroundings& s, member_options o) : checked_engine(std::move(o)), world_(s) { now_ = s.now; }

  std::size_t committed = 0, refused = 0, heartbeats = 0;
  bool subscribed = false, moved = true, faults = true;

  const membership& machine() const { return member_; }
  bool idle_connection() const { return queue_.empty(); }
  std::size_t held_now() const {
    return static_cast<std::size_t>(std::count_if(leases_.begin(), leases_.end(), [](const auto& l) { return l.second.phase == tracked::held; }));
  }
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
      if (world_.luck.percent(60)) items.emplace_back(leased(p, t.generation), world_.names[p.topic_id], kawait::offset_and_epoch(1));
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
      if (!m || (std::count(m->assigned.begin(), m->assigned.end(), p) == 0 && std::count(m->revoking.begin(), m->revoking.end(), p) == 0))
        fail("a commit was taken for " + show(i.lease) + ", which is not the member's");
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

class run_of_one_seed {
 public:
  explicit run_of_one_seed(std::uint64_t seed) : world_(options(seed), seed) {
    const auto& traits = kawait::testing::traits_of(world_.coordinator.options().generation);
    world_.stamp = traits.lease_epoch_commits ? stamp_rule::lease_epoch : stamp_rule::current_epoch;
    world_.commit_version = traits.offset_commit;
    set_topics();
    const std::size_t count = 2 + world_.luck.below(4);
    for (std::size_t i = 0; i < count; ++i) {
      member_options o("g", "m" + std::to_string(i));
      o.rebalance_timeout = world_.luck.percent(30) ? 60s : 10s;
      if (world_.luck.percent(30)) o.instance_id = "i" + std::to_string(i);
      actors_.push_back(std::make_unique<actor>(world_, std::move(o)));
      actors_.back()->subscribe();
    }
  }

  std::string violation;
  std::size_t healing = 0;  // heartbeats of one member until everybody had what it should

  void run() {
    for (int i = 0; i < 600 && violation.empty(); ++i) {
      step();
      settle();
    }
    if (violation.empty()) heal();
  }

  const std::vector<std::unique_ptr<actor>>& actors() const { return actors_; }

 private:
  static group_options options(std::uint64_t seed) {
    static const kafka_generation all[] = {kafka_generation::v4_0, kafka_generation::v4_2, kafka_generation::v4_3};
    group_options o(all[seed % 3]);
    if (seed % 2 == 0) o.assignment_interval = kawait::testing::traits_of(o.generation).assignment_interval;
    if (seed % 5 == 0) o.assignors = {"range"};
    return o;
  }

  actor& any() { return *actors_[world_.luck.below(actors_.size())]; }

  void set_topics() {
    if (world_.names.empty() || world_.luck.percent(20)) b_ = topic(static_cast<char>('B' + world_.luck.below(4)));
    a_count_ = std::min(a_count_ + static_cast<std::int32_t>(world_.luck.below(3)), 9);
    world_.names[topic('A')] = "A";
    world_.names[b_] = "B";
    std::vector<topic_image> list{topic_image("A", topic('A'), a_count_)};
    if (world_.luck.percent(80)) list.emplace_back("B", b_, 4);
    world_.coordinator.set_topics(std::move(list));
  }

  void step() {
    switch (world_.luck.below(16)) {
      case 0: case 1: case 2: case 3: case 4: case 5: return any().serve();
      case 6: case 7: world_.now += milliseconds(world_.luck.below(1500)); return world_.coordinator.tick(world_.now);
      case 8: case 9: case 10: return any().drain_one();
      case 11: return any().begin_commit();
      case 12: return any().resolve();
      case 13: return any().disconnect();
      case 14: return world_.luck.percent(40) ? user(any()) : any().serve();
      default: return world_.luck.percent(20) ? trouble() : any().serve();
    }
  }

  void user(actor& a) {
    switch (world_.luck.below(4)) {
      case 0: return a.leave();
      case 1: return a.time_out();
      case 2: return a.move();
      default: return a.subscribe();
    }
  }

  void trouble() {
    const std::string& id = any().machine().member_id();
    switch (world_.luck.below(5)) {
      case 0: world_.coordinator.fence("g", id); return;
      case 1: world_.coordinator.expire(world_.now, "g", id); return;
      case 2: world_.now += milliseconds(world_.luck.below(50000)); return world_.coordinator.tick(world_.now);
      case 3: return set_topics();
      default:
        if (id == "m0") return;
        world_.coordinator.set_target("g", id, world_.luck.percent(50) ? std::nullopt : std::optional(std::vector{kawait::topic_partition("A", 0)}));
    }
  }

  void settle() {
    for (auto& a : actors_) {
      a->settle();
      if (!a->violation.empty()) violation = a->machine().member_id() + ": " + a->violation;
    }
    std::map<topic_id_partition, std::string> owners;
    for (auto& a : actors_) {
      for (const auto& p : a->unfenced()) {
        const auto [it, first] = owners.emplace(p, a->machine().member_id());
        if (!first) violation = show(p) + " is owned by " + it->second + " and by " + a->machine().member_id();
      }
    }
  }

  /// The faults are over: everybody comes to the newest target, within some heartbeats and a session.
  void heal() {
    for (auto& a : actors_) {
      a->faults = false;
      world_.coordinator.set_target("g", a->machine().member_id(), std::nullopt);
      if (!a->moved) a->move();
    }
    actors_[0]->subscribe();
    const time_point end = world_.now + 3min;
    std::size_t before = 0;
    for (auto& a : actors_) before = std::max(before, a->heartbeats);
    settle();
    while (world_.now < end && violation.empty()) {
      time_point wake = world_.now + 500ms;
      for (auto& a : actors_) {
        a->resolve();
        a->drain_all();
        a->settle();
        while (!a->idle_connection()) {
          a->serve();
          a->settle();
        }
        wake = std::min(wake, a->wake());
      }
      settle();
      if (world_.coordinator.settled("g") && all_content()) {
        for (auto& a : actors_) healing = std::max(healing, a->heartbeats);
        healing -= before;
        return;
      }
      world_.now = std::max(wake, world_.now + 1ms);
      world_.coordinator.tick(world_.now);
    }
    std::string states;
    for (auto& a : actors_) states += " " + a->machine().member_id() + "=" + std::string(a->machine().state_name()) + (a->content() ? "" : "?");
    if (violation.empty()) violation = "they do not come to rest:" + states;
  }

  bool all_content() const {
    return std::all_of(actors_.begin(), actors_.end(), [](const auto& a) { return a->content(); });
  }

  surroundings world_;
  std::vector<std::unique_ptr<actor>> actors_;
  uuid b_;
  std::int32_t a_count_ = 2;
};

TEST_CASE("group: kawait's members share a group whatever happens (points 8, 12, 19, 25, 27, 29)") {
  const char* wish = std::getenv("KAWAIT_PROPERTY_SEEDS");
  const std::uint64_t seeds = wish ? std::strtoull(wish, nullptr, 10) : 500;
  const char* from = std::getenv("KAWAIT_PROPERTY_FIRST");
  std::uint64_t seed = from ? std::strtoull(from, nullptr, 10) : 1;
  std::size_t runs = 0, assigned = 0, revoked = 0, abandoned = 0, lost = 0, cuts = 0, joins = 0, committed = 0, refused = 0, healing = 0;
  for (; runs < seeds; ++seed, ++runs) {
    run_of_one_seed r(seed);
    r.run();
    CAPTURE(seed);
    REQUIRE(r.violation == "");
    healing = std::max(healing, r.healing);
    for (const auto& a : r.actors()) {
      assigned += a->assigned;
      revoked += a->revoked;
      abandoned += a->abandoned;
      lost += a->lost;
      cuts += a->cuts;
      joins += a->joins;
      committed += a->committed;
      refused += a->refused;
    }
  }
  // The test has seen what it is about.
  CAPTURE(assigned, revoked, abandoned, lost, cuts, joins, committed, refused, healing);
  CHECK(assigned > 5 * seeds);
  CHECK(revoked > 2 * seeds);
  CHECK(abandoned > seeds / 10);
  CHECK(lost > seeds);
  CHECK(cuts > seeds / 100);
  CHECK(joins > 5 * seeds);
  CHECK(committed > seeds);
  CHECK(refused > seeds / 10);
  CHECK(healing < 60);
}

}  // namespace
