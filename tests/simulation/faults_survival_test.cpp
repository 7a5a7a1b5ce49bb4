// Whole consumers under each fault of the catalogue: what they must get over, what they must report.

#include <kawait/testing/faults.hpp>

#include <memory>
#include <set>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using kawait::isolation_level;
using testing::fault_info;
using testing::fault_outcome;
using testing::fault_scope;
using testing::heartbeat_kind;

// Sanitized, a test takes fifteen times as long.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t seeds = 4;
#else
constexpr std::uint64_t seeds = 12;
#endif

/// A member that keeps what it reads by value: offsets of a log that was truncated, or made anew, say nothing.
struct keeper {
  keeper(testing::world& w, const kawait::config& c) : consumer(w.executor(), c) {
    consumer.subscribe("orders");
    consumer.async_run([this](std::error_code ec) { ended = ec; });
    read();
  }
  void read() {
    consumer.async_next([this](std::error_code ec, kawait::batch b) {
      if (ec) {
        if (!closed && !ended) errors.push_back(ec);
        return;
      }
      try {
        for (const kawait::record& r : b) seen.emplace(*r.value());
      } catch (const kawait::error& e) {  // a record that does not decode
        errors.push_back(e.code());
      }
      b.done();
      b = kawait::batch();
      read();
    });
  }
  void close() {
    closing = true;
    consumer.async_close(kawait::close_options(), [this](std::error_code ec) { closed = ec; });
  }

  kawait::consumer consumer;
  std::set<std::string, std::less<>> seen;
  std::vector<std::error_code> errors;
  bool closing = false;
  std::optional<std::error_code> ended, closed;
};

/// Some nodes, a topic, a group that reads and commits, a producer that appends two batches of five now and then.
struct scene {
  explicit scene(std::uint64_t seed, int count = 1, isolation_level isolation = isolation_level::read_uncommitted,
                 const testing::broker_options& o = nodes(2))
      : w(seed), b(w, o), faults(b, seed), isolated(isolation) {
    b.create_topic("orders", 2);
    for (int i = 0; i < count; ++i) join();
  }
  void join() {
    kawait::config c = member_of(b);
    c.isolation(isolated).fetch_max_wait(2s).auto_commit_interval(2s);
    members.push_back(std::make_unique<keeper>(w, c));
  }
  keeper& one() { return *members.front(); }
  void append() {
    for (const auto& [topic, partitions] : b.topics()) {
      for (std::int32_t p = 0; p < 2 * partitions; ++p) {
        std::vector<producer_record> five;
        for (int i = 0; i < 5; ++i) five.emplace_back("key", "v" + std::to_string(++produced));
        b.append(topic, p / 2, five);
      }
    }
  }
  void produce(int rounds, net::duration apart = 3s) {
    for (int i = 0; i < rounds; ++i) {
      append();
      w.advance(apart);
    }
  }
  /// All that the logs hold was delivered to somebody, but for what was aborted, and is committed.
  bool settled() {
    for (const auto& [topic, partitions] : b.topics()) {
      for (std::int32_t p = 0; p < partitions; ++p) {
        const auto committed = b.committed("g", topic, p);
        for (const auto& r : b.log(topic, p).records()) {
          if (*r.value != "aborted" && !delivered(*r.value)) return false;
          if (*r.value != "aborted" && (!committed || *committed <= r.offset)) return false;
        }
      }
    }
    return true;
  }
  /// Within ten minutes; looked at once a second, since looking takes longer than most of what happens.
  bool settles() {
    for (int i = 0; i < 600 && !settled(); ++i) w.advance(1s);
    return settled();
  }
  bool delivered(const std::string& value) const {
    return std::any_of(members.begin(), members.end(), [&](const auto& m) { return m->seen.count(value) != 0; });
  }
  void check_unharmed() const {
    for (const auto& m : members) {
      if (m->closing) continue;
      CHECK(m->errors.empty());
      for (const std::error_code& ec : m->errors) WARN(ec.message());
      CHECK(!m->ended);
      if (m->ended) WARN(m->ended->message());
    }
  }

  testing::world w;
  testing::broker b;
  testing::faults faults;
  isolation_level isolated;
  std::vector<std::unique_ptr<keeper>> members;
  int produced = 0;
};

/// Lets a fault strike a group at work a few times; what some need so that they can.
void let_strike(scene& s, const fault_info& f) {
  const std::set<std::string_view> of_joins{"unstable-offset", "offset-pending", "duplicate-assignment", "lost-join-answer"};
  const bool joining = of_joins.contains(f.name) || f.name.find("acknowledgement") != f.name.npos;
  const double chance = f.name == "lost-leave-answer" ? 1 : 0.5;  // there is but one
  if (f.scope == fault_scope::request) s.faults.on_request().chance(chance).times(joining ? 20 : 4).inject(f.name);
  if (f.scope == fault_scope::connection) {
    s.faults.on_connection().chance(0.7).times(4).inject(f.name);
    s.b.cut_connections();
  }
  for (int round = 0; round < 6; ++round) {
    // In the third round most records have not been read yet.
    for (int i = 0; round == 2 && i < 5; ++i) s.append();
    if (f.scope == fault_scope::cluster && round % 2 == 0) s.faults.act(f.name);
    if ((f.scope == fault_scope::connection && round == 3) || f.name == "versions-mismatch") s.b.cut_connections();
    if (f.name == "leader-missing") s.faults.act("leader-moved");
    if (f.name == "doubled-abort") s.faults.act("aborted-transaction");
    if (joining) s.b.group().expire(s.w.now(), "g", s.one().consumer.member_id());
    if (f.name == "lost-leave-answer" && round == 0) s.join();
    if (f.name == "lost-leave-answer" && round == 4) s.members.back()->close();
    s.produce(1, 5s);
  }
}

TEST_CASE("faults: a member gets over each that can be survived, and misses nothing that is left") {
  for (const fault_info& f : testing::fault_catalogue()) {
    if (f.outcome != fault_outcome::survived && f.outcome != fault_outcome::loss) continue;
    CAPTURE(std::string(f.name));
    const bool aborts = f.name.find("abort") != f.name.npos;
    const bool of_names = f.meaning.find("bootstrap_name") != f.meaning.npos;
    const isolation_level isolation = aborts ? isolation_level::read_committed : isolation_level::read_uncommitted;
    scene s(11, 1, isolation, of_names ? by_name(2) : nodes(2));
    s.produce(1);
    let_strike(s, f);
    CHECK(s.faults.hits(f.name) > 0);
    s.w.advance(1min);
    s.faults.heal();
    s.produce(1);
    CHECK(s.settles());
    s.check_unharmed();
    CHECK(!s.delivered("aborted"));
    // Who had to go back or on for it says so.
    const std::error_code warning = s.one().consumer.last_warning().code;
    if (f.name == "log-truncated") CHECK(warning == kawait::errc::log_truncated);
    if (f.name == "out-of-range" || f.name == "records-deleted") CHECK(warning == kafka_error::offset_out_of_range);
  }
}

TEST_CASE("faults: what a member cannot get over it reports, and it can be closed") {
  for (const fault_info& f : testing::fault_catalogue()) {
    if (f.outcome != fault_outcome::reported && f.outcome != fault_outcome::any) continue;
    CAPTURE(std::string(f.name));
    scene s(12);
    s.produce(2);
    const bool bomb = f.name.find("bomb") != f.name.npos;  // each takes a while
    s.faults.on_request().times(bomb ? 1 : 3).inject(f.name);
    s.b.cut_connections();
    s.produce(4);
    CHECK(s.faults.hits(f.name) > 0);
    s.faults.heal();
    s.w.advance(2min);
    keeper& m = s.one();
    if (f.outcome == fault_outcome::reported) CHECK((m.ended || !m.errors.empty()));
    m.close();
    CHECK(s.w.run_until([&] { return m.closed.has_value() || m.ended; }, 5min));
  }
}

// A member that took the epoch -1 of a broken answer for its own would say it in the next heartbeat, which is to leave: its
// partitions would go to another while its handlers read on.
TEST_CASE("faults: a negative epoch in an answer does not make a member leave") {
  scene s(1);
  const auto negative = [](kawait::protocol::consumer_group_heartbeat_response& r) {
    r.member_epoch = -1;
    return true;
  };
  s.faults.on(api_key::consumer_group_heartbeat).nth(4).inject(fault::edited(negative));
  s.w.advance(2s);
  REQUIRE(s.one().consumer.assignment().size() == 2);
  CHECK(!s.b.add_member("g", testing::scripted_member("other", {"orders"})));
  std::set<kawait::topic_partition> shared;
  for (int i = 0; i < 600; ++i) {
    s.w.advance(100ms);
    const auto other = s.b.group().member("g", "other");
    for (const kawait::partition& p : s.one().consumer.assignment()) {
      if (other && s.b.group().owner("g", p.name()) == "other") shared.insert(p.name());
    }
  }
  CHECK(s.faults.hits("own") == 1);
  CHECK(shared.empty());
  CHECK(s.one().consumer.assignment().size() == 1);
}


TEST_CASE("faults: all of them at once, then none, and everything is delivered") {
  std::map<std::string, std::size_t> hits;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    scene s(seed, 1, isolation_level::read_uncommitted, seed % 2 == 0 ? nodes(2) : by_name(2));
    s.faults.all_by_chance(0.002);
    s.faults.at_random(15s);
    s.produce(60, 2s);
    s.faults.heal();
    s.produce(1);
    CHECK(s.settles());
    s.check_unharmed();
    for (const auto& [name, n] : s.faults.hits()) hits[name] += n;
  }
  CHECK(hits.size() > 10 + 3 * seeds);
}

TEST_CASE("faults: whatever becomes of nodes, groups and logs, what is left is delivered") {
  std::vector<std::string> names;
  for (const fault_info& f : testing::fault_catalogue()) {
    if (f.scope == fault_scope::cluster) names.emplace_back(f.name);
  }
  std::map<std::string, std::size_t> hits;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    scene s(seed, 2, seed % 2 == 0 ? isolation_level::read_uncommitted : isolation_level::read_committed, by_name(3));
    s.faults.at_random(10s, names);
    s.produce(60, 4s);
    s.faults.heal();
    s.produce(1);
    CHECK(s.settles());
    s.check_unharmed();
    for (const auto& [name, n] : s.faults.hits()) hits[name] += n;
  }
  for (const std::string& name : names) {
    CAPTURE(name);
    if (seeds >= 12) CHECK(hits[name] > 0);  // a few seeds do not meet all
  }
}

TEST_CASE("faults: a cluster that is shaken for minutes loses nothing") {
  const std::vector<std::string> shocks{"node-down",       "node-frozen",       "connections-cut",
                                        "leader-moved",    "coordinator-moved", "sessions-forgotten"};
  std::map<std::string, std::size_t> hits;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    scene s(seed, 3, isolation_level::read_uncommitted, nodes(3));
    for (const char* name : {"lost-request", "lost-answer", "close-before", "close-after", "cut-answer", "slow-answer"}) {
      s.faults.by_chance(name, 0.01);
    }
    s.faults.at_random(5s, shocks);
    s.produce(30, 6s);
    s.faults.heal();
    CHECK(s.settles());
    s.check_unharmed();
    for (const auto& [name, n] : s.faults.hits()) hits[name] += n;
  }
  for (const std::string& name : shocks) {
    CAPTURE(name);
    CHECK(hits[name] > 0);
  }
}

}  // namespace
}  // namespace embedded
