// Faults by name, by script and by chance: what they are told to strike, and what they count.

#include <kawait/testing/faults.hpp>

#include <deque>
#include <set>
#include <sstream>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using testing::fault_scope;

std::string words_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const kawait::error& e) {
    CHECK(e.code() == kawait::errc::invalid_config);
    return e.words();
  }
  return "nothing was thrown";
}

TEST_CASE("faults: the catalogue names each once, with its meaning") {
  std::set<std::string> names;
  std::map<fault_scope, int> count;
  for (const testing::fault_info& f : testing::fault_catalogue()) {
    CAPTURE(std::string(f.name));
    CHECK(names.insert(std::string(f.name)).second);
    CHECK(f.meaning.size() > 10);
    CHECK(testing::find_fault(f.name).meaning == f.meaning);
    ++count[f.scope];
  }
  CHECK(count[fault_scope::request] >= 70);
  CHECK(count[fault_scope::connection] >= 11);
  CHECK(count[fault_scope::cluster] >= 25);
  const std::string words = words_of([] { testing::find_fault("lost-anwser"); });
  CHECK(words == "there is no fault \"lost-anwser\"; the nearest is \"lost-answer\"");
}

TEST_CASE("faults: a name that does not fit is refused at once, with a reason") {
  testing::world w;
  testing::broker b(w);
  testing::faults faults(b);
  CHECK(words_of([&] { faults.on(api_key::fetch).inject("zstd-bom"); }).find("\"zstd-bomb\"") != std::string::npos);
  CHECK(words_of([&] { faults.on(api_key::metadata).inject("bad-crc"); }) == "the fault \"bad-crc\" does not strike metadata");
  CHECK(words_of([&] { faults.on(api_key::fetch).inject("refused"); }) ==
        "the fault \"refused\" strikes connections, not requests");
  CHECK(words_of([&] { faults.on_connection().inject("node-down"); }) ==
        "the fault \"node-down\" strikes the cluster, not connections");
  CHECK(words_of([&] { faults.act("lost-answer"); }) == "the fault \"lost-answer\" strikes requests, not the cluster");
  CHECK(words_of([&] { faults.by_chance("lost-answer", 1.5); }) == "a probability lies between 0 and 1");
  CHECK(faults.hits().empty());
}

TEST_CASE("faults: by script, on the third heartbeat the answer is dropped") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  testing::faults faults(b);
  faults.on(api_key::consumer_group_heartbeat).nth(3).drop_answer();
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  REQUIRE(w.run_until([&] { return b.count(api_key::consumer_group_heartbeat) == 3; }, 1min));
  w.advance(1s);
  CHECK(faults.hits("lost-answer") == 1);
  const auto third = w.now();
  // The client waits for its request.timeout.ms, and goes on by another connection.
  REQUIRE(w.run_until([&] { return b.count(api_key::consumer_group_heartbeat) == 4; }, 1min));
  CHECK(w.now() - third > 25s);
  w.advance(1min);
  CHECK(faults.hits() == std::map<std::string, std::size_t>{{"lost-answer", 1}});
  CHECK(r.consumer.assignment().size() == 2);
  CHECK(!r.ended);
}

TEST_CASE("faults: whom a rule strikes, and how often") {
  testing::world w;
  testing::broker b(w, nodes(2, 1));
  b.create_topic("orders", 2);
  testing::faults faults(b);
  std::vector<testing::request_view> struck;
  const auto note = [&](const testing::request_view& v) {
    struck.push_back(v);
    struck.back().client_id = {};
    return true;
  };
  assigned one(w, b, {0, 1}, plain().client_id("one"));
  assigned two(w, b, {0, 1}, plain().client_id("two"));
  w.advance(5s);
  const std::size_t before = b.count(api_key::fetch);
  faults.on(api_key::fetch).node(2).client("two").from(3).times(4).answer(kafka_error::not_leader_or_follower);
  faults.on(api_key::fetch).every(5).inject(fault(fault::kind::close_before), "fifth");
  faults.on(api_key::metadata).when(note).delay(10ms);
  w.advance(20s);
  CHECK(b.count(api_key::fetch) > before + 60);
  const std::string by_code(kawait::name_of(kafka_error::not_leader_or_follower));
  CHECK(faults.hits(by_code) == 4);
  const std::size_t fetches = b.count(api_key::fetch) - before;
  CHECK(faults.hits("fifth") >= fetches / 5 - 4);  // the rule before it came first now and then
  CHECK(faults.hits("fifth") <= fetches / 5);
  CHECK(faults.hits("slow-request") == struck.size());
  CHECK(!struck.empty());
  for (const auto& v : struck) CHECK(v.api == api_key::metadata);
  CHECK(one.errors.empty());
  std::ostringstream report;
  faults.report(report);
  CHECK(report.str().find("4\t" + by_code + "\n") != std::string::npos);
  CHECK(report.str().find("0\tbad-crc\t") != std::string::npos);
}

TEST_CASE("faults: only heartbeats of a kind, and conditions that add up") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  testing::faults faults(b);
  std::map<testing::heartbeat_kind, int> kinds;
  const auto count = [&](const testing::request_view& v) {
    ++kinds[testing::heartbeat_kind_of(v)];
    return false;
  };
  faults.on_request().when(count).drop_request();
  const auto never = [](const testing::request_view&) { return false; };
  faults.on(api_key::consumer_group_heartbeat).heartbeat(testing::heartbeat_kind::keep_alive).when(never).drop_answer();
  faults.on_request().heartbeat(testing::heartbeat_kind::join).nth(1).inject(fault(fault::kind::close_after), "join");
  faults.on(api_key::consumer_group_heartbeat).nth(1).inject("lost-leave-answer");
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  w.advance(1min);
  r.close();
  REQUIRE(w.run_until([&] { return r.closed.has_value(); }, 2min));
  CHECK(faults.hits() == std::map<std::string, std::size_t>{{"join", 1}, {"lost-leave-answer", 1}});
  CHECK(kinds[testing::heartbeat_kind::none] > 10);
  CHECK(kinds[testing::heartbeat_kind::join] == 2);
  CHECK(kinds[testing::heartbeat_kind::acknowledgement] >= 1);
  CHECK(kinds[testing::heartbeat_kind::keep_alive] > 5);
  CHECK(kinds[testing::heartbeat_kind::leave] >= 1);
  CHECK(b.group().members("g").empty());
}

TEST_CASE("faults: by chance, from a seed of their own") {
  const auto run = [](std::uint64_t seed) {
    testing::world w(7);
    testing::broker b(w, nodes(3));
    b.create_topic("orders", 3);
    testing::faults faults(b, seed);
    faults.by_chance("lost-answer", 0.05);
    faults.by_chance("connection-cut", 0.5);
    faults.on(api_key::fetch).chance(0.1).inject("not-leader");
    faults.at_random(20s);
    reader r(w, member_of(b));
    r.run();
    r.read_all();
    w.advance(5min);
    CHECK(faults.hits("lost-answer") > 3);
    CHECK(faults.hits("connection-cut") > 3);
    CHECK(faults.hits("not-leader") > 3);
    return std::pair(w.trace_hash(), faults.hits());
  };
  const auto first = run(1);
  CHECK(first == run(1));
  CHECK(first != run(2));
}

TEST_CASE("faults: what happens to the cluster at a time of its own, and how it heals") {
  testing::world w;
  testing::broker b(w, nodes(3));
  b.create_topic("orders", 3);
  testing::faults faults(b);
  const auto start = w.now();
  net::duration seen{};
  faults.after(10s, "cluster-down");
  faults.after(10s + 1ms, [&](testing::broker& of) {
    CHECK(&of == &b);
    seen = w.now() - start;
  });
  w.advance(9s);
  CHECK(b.live_nodes().size() == 3);
  w.advance(1s);
  CHECK(b.live_nodes().empty());
  w.advance(500ms);
  CHECK(seen == 10s + 1ms);
  CHECK(faults.hits("cluster-down") == 1);
  faults.heal();
  CHECK(b.live_nodes().size() == 3);
  CHECK(faults.act("cluster-down"));
  w.advance(21s);
  CHECK(b.live_nodes().size() == 3);
  CHECK(!faults.act("member-fenced"));  // there is none
  CHECK(faults.hits("member-fenced") == 0);
}

TEST_CASE("a request tells when it was sent, and the broker whether its sender has closed the connection since") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  testing::faults faults(b);
  faults.on_connection().inject("latency");
  std::vector<testing::request_view> seen;
  const auto note = [&seen](const testing::request_view& v) {
    seen.push_back(v);
    return true;
  };
  faults.on(api_key::fetch).when(note).once().delay(1min);
  assigned one(w, b, {0}, plain());
  REQUIRE(w.run_until([&] { return !seen.empty(); }, 20s));
  const testing::request_view& fetch = seen.front();
  CHECK(fetch.sent > net::time_point());
  CHECK(fetch.sent < fetch.at);
  CHECK(!b.is_closed_by_client(fetch.connection));
  { const kawait::consumer gone = std::move(one.consumer); }
  CHECK(b.is_closed_by_client(fetch.connection));  // though the broker is to hear of it yet
  w.advance(2min);
  CHECK(b.is_closed_by_client(fetch.connection));
}

TEST_CASE("faults: they end with their object") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  {
    testing::faults faults(b);
    faults.on_request().inject("lost-request");
    faults.after(1s, "cluster-down");
  }
  b.append("orders", 0, numbers(10));
  assigned r(w, b, {0}, plain());
  CHECK(w.run_until([&] { return r.total() == 10; }, 10s));
  w.advance(10s);
  CHECK(b.live_nodes().size() == 1);
}

TEST_CASE("faults: a function of the test's that throws is heard") {
  testing::world w;
  testing::broker b(w);
  testing::faults faults(b);
  faults.after(1s, [](testing::broker& of) { of.delete_topic("none"); });
  bool later = false;
  faults.after(1s, [&](testing::broker&) { later = true; });
  faults.after(3s, "cluster-down");
  CHECK_THROWS_AS(w.advance(2s), std::out_of_range);
  w.advance(2s);
  CHECK(later);  // one that throws does not end the others
  CHECK(faults.hits("cluster-down") == 1);
}

/// A fault that notes the number of the request that it strikes.
fault noting(fault f, const testing::broker& b, api_key api, std::vector<std::size_t>& struck) {
  f.struck = [&b, api, &struck] { struck.push_back(b.count(api)); };
  return f;
}

TEST_CASE("faults: the n-th is that one, or none") {
  std::size_t by_chance = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    testing::world w(seed);
    testing::broker b(w);
    b.create_topic("orders", 1);
    testing::faults faults(b, seed);
    std::vector<std::size_t> first, shadowed, drawn;
    const fault close(fault::kind::close_before);
    faults.on(api_key::fetch).nth(2).inject(noting(close, b, api_key::fetch, first), "first");
    faults.on(api_key::fetch).nth(2).inject(noting(close, b, api_key::fetch, shadowed), "shadowed");
    faults.on(api_key::fetch).nth(5).chance(0.5).inject(noting(close, b, api_key::fetch, drawn), "drawn");
    assigned r(w, b, {0}, plain());
    w.advance(20s);
    CHECK(b.count(api_key::fetch) > 20);
    CHECK(first == std::vector<std::size_t>{2});
    CHECK(shadowed.empty());
    for (const std::size_t n : drawn) CHECK(n == 5);
    by_chance += drawn.size();
  }
  CHECK(by_chance > 0);
  CHECK(by_chance < 12);
}

TEST_CASE("faults: from() and every() add up, in either order") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  testing::faults faults(b);
  std::vector<std::size_t> one, other;
  const fault slow = fault::answered_late(1ms);
  faults.on(api_key::fetch).from(10).every(4).times(3).inject(noting(slow, b, api_key::fetch, one), "one");
  faults.on(api_key::fetch).every(7).from(8).times(2).inject(noting(slow, b, api_key::fetch, other), "other");
  assigned r(w, b, {0}, plain());
  w.advance(30s);
  CHECK(one == std::vector<std::size_t>{12, 16, 20});
  CHECK(other == std::vector<std::size_t>{14, 21});
}

TEST_CASE("faults: of connections, a rule is told nothing that only requests have") {
  testing::world w;
  testing::broker b(w);
  testing::faults faults(b);
  const std::string words = "attempts to connect are chosen by node and count only";
  CHECK(words_of([&] { faults.on_connection().client("one").inject("refused"); }) == words);
  CHECK(words_of([&] { faults.on_connection().connection(1).inject("refused"); }) == words);
  CHECK(words_of([&] { faults.on_connection().heartbeat(testing::heartbeat_kind::join).inject("refused"); }) == words);
  CHECK(words_of([&] {
          faults.on_connection().when([](const testing::request_view&) { return true; }).inject("refused");
        }) == words);
}

TEST_CASE("faults: a broker has one at a time") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  std::deque<assigned> readers;  // until the world ends: what a reader's end completes refers to it
  {
    testing::faults faults(b);
    CHECK(words_of([&] { testing::faults second(b); }) == "a broker has one testing::faults at a time");
    faults.on(api_key::fetch).once().drop_request();
    readers.emplace_back(w, b, std::vector<std::int32_t>{0}, plain());
    w.advance(1s);
    CHECK(faults.hits("lost-request") == 1);  // the second has taken nothing away
  }
  testing::faults next(b);
  next.on(api_key::metadata).once().drop_request();
  readers.emplace_back(w, b, std::vector<std::int32_t>{0}, plain());
  w.advance(1s);
  CHECK(next.hits("lost-request") == 1);
}

}  // namespace
}  // namespace embedded
