// What observers are told, and what the ready-made ones make of it; in virtual time.

#include <regex>
#include <sstream>

#include <kawait/log_observer.hpp>
#include <kawait/metrics_observer.hpp>

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

/// Every event in a word or two.
struct notes : kawait::observer {
  void on_joined(const joined& e) override { add("joined " + std::string(e.group) + " " + std::to_string(e.member_epoch)); }
  void on_heartbeat(const heartbeat& e) override {
    ++heartbeats;
    if (e.refused) add("refused " + e.refused.message());
    if (e.owned) add("owning " + std::to_string(*e.owned));
  }
  void on_assigned(const assigned& e) override { add("assigned " + std::to_string(e.partitions.size())); }
  void on_revoked(const revoked& e) override {
    add("revoked " + std::to_string(e.partitions.size()));
    CHECK((e.time_left == 54s || e.time_left == 27s));  // 0.9 times the rebalance time-out, or the close's
  }
  void on_drained(const drained& e) override {
    add("drained " + e.partition.to_string());
    drain = e.took;
    CHECK(!e.outcome);
  }
  void on_lost(const lost& e) override { add("lost " + std::to_string(e.partitions.size())); }
  void on_left(const left&) override { add("left"); }
  void on_committed(const committed& e) override {
    for (const auto& o : e.offsets) committed_offsets[o.partition] = o.outcome ? -1 : o.offset;
  }
  void on_fetched(const fetched& e) override { fetched_bytes += e.bytes; }
  void on_delivered(const delivered& e) override {
    records += e.records;
    lag = e.lag;
  }
  void on_connected(const connected& e) override { e.outcome ? ++failed_connections : ++connections; }
  void on_disconnected(const disconnected&) override { --connections; }
  void on_throttled(const throttled& e) override { throttled_for += e.pause; }
  void on_warned(const warned& e) override { add("warned " + e.reason.code.message()); }
  void on_ended(const ended& e) override { add(e.reason ? "failed" : "closed"); }

  void add(std::string what) { lines.push_back(std::move(what)); }
  std::size_t count(const std::string& line) const {
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), line));
  }

  std::vector<std::string> lines;
  std::map<topic_partition, std::int64_t> committed_offsets;
  std::size_t heartbeats = 0, fetched_bytes = 0, records = 0;
  int connections = 0, failed_connections = 0;
  std::optional<std::int64_t> lag;
  duration drain{}, throttled_for{};
};

TEST_CASE("observed: a member from its join to its close, with a revocation that waits for work", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    const auto told = std::make_shared<notes>();
    const auto plain = s.settings("a");
    auto settings = plain;
    actor& a = s.join("a", settings.add_observer(told));
    s.write_all(2);
    REQUIRE(s.until_done(2));
    CHECK(told->count("assigned 2") == 1);
    CHECK(told->records == 20);
    CHECK(told->lag == 0);
    CHECK(told->fetched_bytes > 20 * 10);
    const std::map<topic_partition, std::int64_t> both{{topic_partition("orders", 0), 10}, {topic_partition("orders", 1), 10}};
    CHECK(told->committed_offsets == both);
    CHECK(told->heartbeats == s.count(api_key::consumer_group_heartbeat));

    a.work_time = [](const kawait::batch&) { return 10s; };
    s.write(1, 10);
    REQUIRE(s.until([&] { return s.log.records() == 30; }));
    s.target(a, {0});
    REQUIRE(s.until([&] { return told->count("drained orders-1") == 1; }, 15s));
    CHECK(told->drain >= 4s);  // the group's word comes with a heartbeat, within five seconds
    CHECK(told->drain <= 10s + 10ms);
    CHECK(told->committed_offsets[topic_partition("orders", 1)] == 20);
    REQUIRE(s.until([&] { return told->count("owning 1") == 1; }, 1s));
    CHECK(told->connections == static_cast<int>(s.broker.connections()));
    a.close();
    REQUIRE(s.until([&] { return a.closed && a.has_ended; }, 10s));
    CHECK(told->connections == 0);
    const std::vector<std::string> end(told->lines.end() - 2, told->lines.end());
    CHECK(end == std::vector<std::string>{"left", "closed"});
    CHECK(told->count("revoked 1") == 2);  // by the group, and by the close
    CHECK(told->count("lost 1") == 0);
    CHECK(!plain.values().observers);  // what is added to a copy is not added to what it was copied from
  }
}

TEST_CASE("observed: a member that is fenced, a broker that throttles and one that is gone", "[group]") {
  story s;
  const auto told = std::make_shared<notes>();
  actor& a = s.join("a", s.settings("a").add_observer(told));
  REQUIRE(s.until([&] { return a.owned().size() == 2; }));
  s.broker.group().fence("g", a.id());
  REQUIRE(s.until([&] { return told->count("lost 2") == 1; }, 1min));
  REQUIRE(s.until([&] { return told->count("assigned 2") == 2; }, 1min));
  CHECK(std::count_if(told->lines.begin(), told->lines.end(), [](const auto& l) { return l.starts_with("joined g "); }) == 2);
  CHECK(std::any_of(told->lines.begin(), told->lines.end(), [](const auto& l) { return l.starts_with("refused "); }));

  s.broker.throttle(api_key::fetch, 300ms);
  s.write_all(2);
  REQUIRE(s.until_done(2, 1min));
  CHECK(told->throttled_for >= 300ms);
  s.broker.throttle(api_key::fetch, 0ms);

  s.broker.stop_node(1);
  s.world.advance(5s);
  CHECK(told->connections == 0);
  CHECK(told->failed_connections > 0);
  s.broker.start_node(1);
  s.write_all(2);
  REQUIRE(s.until_done(2, 1min));
  CHECK(told->connections > 0);
}

/// Throws whatever it is told.
struct thrower : kawait::observer {
  void on_joined(const joined&) override { fail(); }
  void on_heartbeat(const heartbeat&) override { fail(); }
  void on_assigned(const assigned&) override { fail(); }
  void on_revoked(const revoked&) override { fail(); }
  void on_drained(const drained&) override { fail(); }
  void on_lost(const lost&) override { fail(); }
  void on_left(const left&) override { fail(); }
  void on_committed(const committed&) override { fail(); }
  void on_fetched(const fetched&) override { fail(); }
  void on_delivered(const delivered&) override { fail(); }
  void on_connected(const connected&) override { fail(); }
  void on_disconnected(const disconnected&) override { fail(); }
  void on_throttled(const throttled&) override { fail(); }
  void on_warned(const warned&) override { fail(); }
  void on_ended(const ended&) override { fail(); }
  void fail() {
    ++thrown;
    throw std::runtime_error("observer");
  }
  std::size_t thrown = 0;
};

TEST_CASE("observed: by one that throws, and nothing is different", "[group]") {
  story s;
  const auto bad = std::make_shared<thrower>();
  const auto good = std::make_shared<notes>();  // hears all the same
  actor& a = s.join("a", s.settings("a").add_observer(bad).add_observer(good));
  s.write_all(2);
  REQUIRE(s.until_done(2));
  s.broker.throttle(api_key::fetch, 100ms);
  a.consumer().subscribe("orders", "misteak");
  s.broker.group().fence("g", a.id());
  REQUIRE(s.until([&] { return good->count("assigned 2") == 2; }, 1min));
  s.write_all(2);
  s.broker.throttle(api_key::fetch, 0ms);  // an answer that is throttled has no records
  REQUIRE(s.until_done(2));
  actor& gone = s.join("gone", s.settings("gone").add_observer(bad));
  s.world.advance(10s);
  gone.vanish();
  a.close();
  REQUIRE(s.until([&] { return a.closed && a.has_ended; }, 10s));
  CHECK(!*a.closed);
  CHECK(bad->thrown > 30);
}

TEST_CASE("observed: a consumer that is destroyed has lost what it had", "[group]") {
  story s;
  const auto told = std::make_shared<notes>();
  actor& a = s.join("a", s.settings("a").add_observer(told));
  REQUIRE(s.until([&] { return a.owned().size() == 2; }));
  a.vanish();
  s.world.advance(1s);
  CHECK(told->count("lost 2") == 1);
  CHECK(told->count("failed") == 1);
  CHECK(told->lines.back() == "failed");
  CHECK(told->connections == 0);
}

TEST_CASE("observed: what was set and has no effect, as the consumer starts", "[group]") {
  std::vector<std::string> warnings;  // the consumer's end is told, too
  story s;
  const auto sink = [&warnings](kawait::log_level, std::string_view line) { warnings.emplace_back(line); };
  auto config = s.settings("a");
  config.set("group.protocol.type", "consumer").add_observer(std::make_shared<kawait::log_observer>(sink, kawait::log_level::warn));
  s.join("a", config);
  s.world.advance(1s);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].find("group.protocol.type = 'consumer' is ignored") != std::string::npos);
}

TEST_CASE("observed: the logger's lines, by level", "[group]") {
  using kawait::log_level;
  for (const log_level most : {log_level::error, log_level::warn, log_level::info, log_level::debug}) {
    CAPTURE(kawait::name_of(most));
    story s;
    std::vector<std::pair<log_level, std::string>> lines;
    const auto sink = [&lines](log_level level, std::string_view line) { lines.emplace_back(level, line); };
    actor& a = s.join("a", s.settings("a").add_observer(std::make_shared<kawait::log_observer>(sink, most)));
    const auto has = [&lines](std::string_view part) {
      return std::any_of(lines.begin(), lines.end(), [&](const auto& l) { return l.second.find(part) != std::string::npos; });
    };
    s.write_all(2);
    REQUIRE(s.until_done(2));
    a.consumer().subscribe("orders", "misteak");
    s.world.advance(10s);
    s.broker.group().fence("g", a.id());
    s.world.advance(10s);
    a.close();
    REQUIRE(s.until([&] { return a.closed && a.has_ended; }, 10s));
    for (const auto& l : lines) CHECK(l.first <= most);
    CHECK(has("lost orders-0, orders-1: "));
    CHECK(has("no topic misteak yet") == (most >= log_level::warn));
    CHECK(has("joined group g as " + a.id()) == (most >= log_level::info));
    CHECK(has("assigned orders-0, orders-1 in epoch ") == (most >= log_level::info));
    CHECK(has("gave up orders-0 after ") == (most >= log_level::info));
    CHECK(has("connected to ") == (most >= log_level::info));
    CHECK(has("closed") == (most >= log_level::info));
    CHECK(has("committed orders-0 10, orders-1 10") == (most >= log_level::debug));
    CHECK(has("heartbeat, epoch ") == (most >= log_level::debug));
  }
}

TEST_CASE("observed: the metrics are those of the run, in Prometheus' format", "[group]") {
  story s;
  const auto metrics = std::make_shared<kawait::metrics_observer>("service=\"test\"");
  actor& a = s.join("a", s.settings("a").add_observer(metrics));
  s.write_all(2);
  REQUIRE(s.until_done(2));
  const auto value = [&](const std::string& series) -> std::optional<double> {
    const std::string page = "\n" + metrics->prometheus();
    const auto at = page.find("\nkawait_" + series + " ");
    if (at == std::string::npos) return std::nullopt;
    return std::stod(page.substr(at + series.size() + 9));
  };
  const auto all = [&](const std::string& name) { return value(name + "{service=\"test\"}"); };
  const auto first = [&](const std::string& name) { return value(name + "{service=\"test\",topic=\"orders\",partition=\"0\"}"); };
  CHECK(all("assigned_partitions") == 2.0);
  CHECK(all("joins_total") == 1.0);
  CHECK(all("heartbeat_seconds_count") == static_cast<double>(s.count(api_key::consumer_group_heartbeat)));
  CHECK(first("records_total") == 10.0);
  CHECK(first("lag_records") == 0.0);
  CHECK(all("commits_refused_total") == 0.0);
  CHECK(all("connections") == static_cast<double>(s.broker.connections()));
  s.target(a, {0});
  REQUIRE(s.until([&] { return a.owned() == index_set{0}; }, 10s));
  s.world.advance(10s);
  CHECK(all("assigned_partitions") == 1.0);
  CHECK(all("partitions_revoked_total") == 1.0);
  CHECK(all("drain_seconds_count") == 1.0);
  CHECK(value("records_total{service=\"test\",topic=\"orders\",partition=\"1\"}") == 10.0);  // a counter stays
  CHECK(!value("lag_records{service=\"test\",topic=\"orders\",partition=\"1\"}"));             // the lag is the next owner's
  // Each line of it is a comment or a sample, each family has its type before its samples.
  std::istringstream page(metrics->prometheus());
  std::set<std::string> types;
  const std::regex sample("kawait_[a-z_]+(\\{.*\\})? -?[0-9.]+");
  for (std::string line; std::getline(page, line);) {
    CAPTURE(line);
    if (line.starts_with("# TYPE ")) types.insert(line.substr(7, line.find(' ', 7) - 7));
    if (line.starts_with("#")) continue;
    std::string name = line.substr(0, line.find_first_of("{ "));
    for (const char* suffix : {"_sum", "_count"}) {
      if (name.ends_with(suffix)) name.resize(name.size() - std::string(suffix).size());
    }
    CHECK(types.contains(name));
    CHECK(std::regex_match(line, sample));
  }
  CHECK(types.size() > 20);
}

}  // namespace
}  // namespace embedded
