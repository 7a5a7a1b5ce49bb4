#include "run.hpp"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>

#include <kawait/testing/broker.hpp>
#include <kawait/testing/faults.hpp>
#include <kawait/testing/world.hpp>

#include "member.hpp"
#include "oracle.hpp"

namespace seeds {

using namespace std::chrono_literals;
using kawait::topic_id_partition;
using kawait::topic_partition;
using kawait::testing::api_key;
using kawait::testing::fault_scope;
using kawait::testing::request_view;
namespace testing = kawait::testing;

namespace {

testing::broker_options options_of(const plan& p) {
  testing::broker_options o(p.generation);
  o.nodes = p.nodes;
  o.replication_factor = p.nodes;
  if (p.by_name) o.bootstrap_name = "kafka";
  o.group.session_timeout = 9s;
  o.group.heartbeat_interval = 2s;
  if (p.slow_assignor) o.group.assignment_interval = 1s;
  o.group.regex_min_refresh = 2s;
  o.group.regex_max_refresh = 20s;
  return o;
}

class run {
 public:
  run(const plan& p, std::ostream* trace);
  ~run();
  run(const run&) = delete;
  run& operator=(const run&) = delete;

  outcome play();

 private:
  /// What happens at a time, in the plan's order.
  struct happening {
    int at_ms;
    std::function<void()> what;
  };
  /// A heartbeat of this connection is answered then that its member is fenced.
  struct fenced {
    std::uint64_t connection;
    int told_ms;
  };

  void play_all();
  void schedule_loads();
  void schedule_faults();
  void fence_unheard();
  void spy();
  void arm(const fault_plan& f);
  void slow_down();
  void act(const std::string& name, int tries_left);
  void at(int ms, std::function<void()> what);
  void pass(int ms);
  void pass_turmoil();
  void heal();
  bool settle(std::chrono::seconds limit, bool strictly);
  void beat();
  void append_everywhere();
  void close_all();
  int now_ms() const { return static_cast<int>((world_.now() - start_) / 1ms); }

  const plan& plan_;
  testing::world world_;
  time_point start_;
  std::unique_ptr<testing::broker> broker_;
  std::unique_ptr<testing::faults> faults_;
  std::unique_ptr<oracle> oracle_;
  std::unique_ptr<stage> stage_;
  std::deque<member> members_;
  std::vector<happening> happenings_;
  std::optional<fenced> fenced_;
  bool has_lost_behind_ = false;  // the answer to a commit behind that heartbeat
  dice dice_;
  std::int64_t last_producer_ = 5000;
};

run::run(const plan& p, std::ostream* trace)
    : plan_(p),
      world_(p.seed),
      start_(world_.now()),
      broker_(std::make_unique<testing::broker>(world_, options_of(p))),
      dice_(p.seed) {
  if (trace) world_.trace(*trace);
  faults_ = std::make_unique<testing::faults>(*broker_, p.seed);
  oracle_ = std::make_unique<oracle>(world_, *broker_, p);
  stage_ = std::make_unique<stage>(world_, *broker_, *oracle_, p);
  for (const topic_plan& t : p.topics) broker_->create_topic(t.name, t.partitions);
  for (const member_plan& m : p.members) members_.emplace_back(*stage_, m);
}

// Coroutines that are pending when the context goes refer to what is here.
run::~run() {
  faults_.reset();
  for (member& m : members_) {
    for (const auto& l : m.lives()) l->destroy();
  }
  try {
    if (!plan_.ends_abruptly) world_.poll();
  } catch (...) {  // of a run that has failed already
  }
  broker_.reset();
  world_.destroy_context();
}

void run::at(int ms, std::function<void()> what) {
  const auto later = [](const happening& a, const happening& b) { return a.at_ms < b.at_ms; };
  happening h{ms, std::move(what)};
  happenings_.insert(std::upper_bound(happenings_.begin(), happenings_.end(), h, later), std::move(h));
}

void run::schedule_loads() {
  for (const load_plan& l : plan_.loads) {
    at(l.at_ms, [this, &l] {
      testing::append_options how(l.codec);
      if (l.how != load_plan::end::plain) how = testing::append_options::in_transaction(++last_producer_);
      how.codec = kawait::wire::is_supported(l.codec) ? l.codec : kawait::wire::codec::none;
      const topic_partition p(l.topic, l.partition);
      ledger& book = oracle_->book_of_records();
      book.append(p, l.records, how, l.padding);
      if (l.how != load_plan::end::plain) {
        at(now_ms() + l.open_ms, [this, id = last_producer_, commit = l.how == load_plan::end::committed] {
          oracle_->book_of_records().decide(id, commit);
        });
      }
      if (l.hole > 0 && book.current(p)) {
        broker_->log(l.topic, l.partition).append_hole(l.hole);
        book.look();
      }
    });
  }
}

void run::spy() {
  faults_->on_request()
      .when([this](const request_view& v) {
        oracle_->on_request(v);
        return false;
      })
      .inject("lost-request");
}

void run::arm(const fault_plan& f) {
  const double chance = f.percent / 100.0;
  if (f.scope == fault_scope::connection) {
    faults_->on_connection().chance(chance).times(static_cast<std::size_t>(f.times)).inject(f.name);
    if (f.percent > 10) broker_->cut_connections();
    return;
  }
  if (f.name != "wrong-correlation-id") {
    faults_->on_request().chance(chance).times(static_cast<std::size_t>(f.times)).inject(f.name);
    return;
  }
  // Once, so that it is known whose answer it is.
  const auto connection = std::make_shared<std::uint64_t>(0);
  testing::fault wrong(testing::fault::kind::wrong_id);
  wrong.struck = [this, connection] { oracle_->expect_close(*connection); };
  faults_->on_request()
      .when([connection](const request_view& v) {
        if (*connection == 0) *connection = v.connection;
        return *connection == v.connection;
      })
      .once()
      .inject(wrong, f.name);
}

/// A round trip takes a while: answers come when the question is another already.
void run::slow_down() {
  if (plan_.latency_ms == 0) return;
  testing::connection_plan slow;
  slow.options.up.latency = slow.options.down.latency = std::chrono::milliseconds(plan_.latency_ms);
  faults_->on_connection().plan(slow, "distance");
}

void run::act(const std::string& name, int tries_left) {
  ledger& book = oracle_->book_of_records();
  book.look();
  std::map<topic_id_partition, std::int64_t> ends;
  for (const auto& [where, b] : book.books()) ends.emplace(where, b.end);
  const bool happened = faults_->act(name);
  book.look();
  // What was lost is often overwritten before anybody looks: only the leader epoch tells then.
  for (const auto& [where, end] : ends) {
    const auto& b = book.books().at(where);
    if (name == "log-truncated" && b.end < end && dice_.chance(60)) {
      book.append(b.name, static_cast<int>(end - b.end) + 3, testing::append_options());
    }
  }
  if (!happened && tries_left > 0) at(now_ms() + 1000, [this, name, tries_left] { act(name, tries_left - 1); });
}

void run::schedule_faults() {
  spy();
  slow_down();
  for (const fault_plan& f : plan_.faults) {
    if (f.scope == fault_scope::cluster) {
      at(f.at_ms, [this, &f] { act(f.name, 5); });
    } else {
      at(f.at_ms, [this, &f] { arm(f); });
    }
  }
  if (plan_.answers_lost_percent == 0) return;
  if (plan_.fences_unheard) fence_unheard();
  faults_->on(api_key::offset_commit)
      .when([this](const request_view& v) {
        const bool is_behind = fenced_ && fenced_->connection == v.connection && now_ms() <= fenced_->told_ms;
        if (!is_behind && !dice_.chance(plan_.answers_lost_percent)) return false;
        has_lost_behind_ |= is_behind;
        oracle_->on_unanswered(v);
        return true;
      })
      .inject("lost-answer");
}

/// A heartbeat waits at the broker; its member is fenced meanwhile, and commits. The heartbeat's answer tells it so; the commit's is lost.
void run::fence_unheard() {
  constexpr int unheard_ms = 2500;
  faults_->on(api_key::consumer_group_heartbeat)
      .heartbeat(testing::heartbeat_kind::keep_alive)
      .when([this](const request_view& v) {
        if (has_lost_behind_ || !dice_.chance(30)) return false;
        fenced_ = fenced{v.connection, now_ms() + unheard_ms};
        at(now_ms() + 100, [this, who = oracle_->member_id_of(v.client_id)] { broker_->group().fence(group, who); });
        return true;
      })
      .times(3)
      .inject(testing::fault::delayed(std::chrono::milliseconds(unheard_ms)));
}

void run::pass(int ms) {
  const int end = now_ms() + ms;
  while (now_ms() < end && oracle_->violations().empty()) {
    const int next = happenings_.empty() ? end : std::min(end, happenings_.front().at_ms);
    world_.advance(std::chrono::milliseconds(std::clamp(next - now_ms(), 0, 250)));
    while (!happenings_.empty() && happenings_.front().at_ms <= now_ms()) {
      const auto what = std::move(happenings_.front().what);
      happenings_.erase(happenings_.begin());
      what();
    }
    for (member& m : members_) m.tick(now_ms());
    oracle_->sample();
  }
}

void run::heal() {
  // What was planned to happen, happens: transactions are decided, records appended.
  while (!happenings_.empty()) {
    const auto what = std::move(happenings_.front().what);
    happenings_.erase(happenings_.begin());
    what();
  }
  faults_->heal();
  for (const std::int32_t node : broker_->nodes()) broker_->start_node(node);
  spy();
  stage_->healed = true;
  for (member& m : members_) m.heal();
  broker_->cut_connections();
  oracle_->book_of_records().look();
}

/// All members are heard of again: those that had no connection may have to wait for their next attempt.
void run::beat() {
  for (int waited = 0; waited < 20 && oracle_->silent(6s); ++waited) pass(1000);
  if (const auto name = oracle_->silent(6s)) oracle_->fail(invariant::progress, *name + " has not been heard of for long");
}

bool run::settle(std::chrono::seconds limit, bool strictly) {
  std::optional<std::string> left;
  for (auto waited = 0s; waited < limit && oracle_->violations().empty(); waited += 1s) {
    pass(1000);
    left = oracle_->unsettled(strictly);
    if (!left) {
      const auto tens = waited / 10s + 1;
      oracle_->reach(tens > 3 ? "settled: later" : "settled: in " + std::to_string(tens) + "0 s");
      return true;
    }
  }
  if (left) oracle_->fail(invariant::progress, *left + ", " + std::to_string(limit.count()) + " s after all was well");
  return false;
}

void run::append_everywhere() {
  for (const auto& [name, partitions] : broker_->topics()) {
    for (std::int32_t p = 0; p < partitions; ++p) {
      oracle_->book_of_records().append(topic_partition(name, p), 2, testing::append_options());
    }
  }
}

void run::close_all() {
  for (member& m : members_) {
    if (life* l = m.current()) l->close(5s);
  }
  world_.advance(8s);
  for (member& m : members_) {
    if (life* l = m.current()) l->check_left();
    for (const auto& l : m.lives()) l->destroy();
  }
  world_.advance(1s);
  for (member& m : members_) {
    for (const auto& l : m.lives()) l->check_completed();
  }
  // The broker's side of a connection may have something to wait for.
  if (!world_.run_until([this] { return broker_->connections() == 0; }, 60s)) {
    const std::string open = std::to_string(broker_->connections());
    oracle_->fail(invariant::bounded_memory, open + " connections are open after all consumers went");
  }
}

outcome run::play() {
  try {
    play_all();
  } catch (const violation& v) {
    oracle_->fail(v.what, v.words);
  }
  outcome result;
  result.hash = world_.trace_hash();
  result.violations = oracle_->violations();
  result.hits = faults_->hits();
  result.reached = oracle_->reached();
  return result;
}

void run::play_all() {
  schedule_loads();
  schedule_faults();
  pass(plan_.turmoil_ms);
  if (plan_.outage_ms > 0) {
    for (const std::int32_t node : broker_->live_nodes()) broker_->stop_node(node);
    pass(plan_.outage_ms);
  }
  if (!plan_.ends_abruptly && oracle_->violations().empty()) {
    heal();
    if (settle(plan_.has_fault("flipped-byte") ? 10s : 45s, false)) append_everywhere();
    if (oracle_->violations().empty()) settle(30s, true);
    if (oracle_->violations().empty()) beat();
    if (oracle_->violations().empty()) close_all();
  }
}

}  // namespace

outcome play(const plan& p, std::ostream* trace) {
  run one(p, trace);
  return one.play();
}

}  // namespace seeds
