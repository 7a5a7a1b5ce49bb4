#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/config.hpp>

#include "config_support.hpp"

namespace config_tests {

using config_support::contains;
using config_support::refusal;
using kawait::config;
using std::chrono::milliseconds;

/// Those of config_security_test.cpp.
bool is_of_security(const kawait::property_info& p) {
  return p.name.starts_with("ssl.") || p.name.starts_with("sasl.") || p.name.starts_with("https.") || p.name == "security.protocol";
}

std::string shown(const config& c, std::string_view name) {
  const auto& o = c.values();
  const auto ms = [](milliseconds t) { return std::to_string(t.count()); };
  const auto flag = [](bool on) { return std::string(on ? "true" : "false"); };
  using reset = kawait::offset_reset;
  std::map<std::string_view, std::string> values;
  std::string& brokers = values["bootstrap.servers"];
  for (const auto& b : o.bootstrap) brokers += (brokers.empty() ? "" : ",") + b.to_string();
  values["client.id"] = o.client_id;
  values["client.rack"] = o.client_rack;
  values["group.id"] = o.group_id.value_or("(none)");
  values["group.instance.id"] = o.group_instance_id.value_or("(none)");
  values["group.protocol"] = "consumer";
  values["group.protocol.type"] = "";
  values["group.remote.assignor"] = o.remote_assignor.value_or("(none)");
  values["max.poll.interval.ms"] = ms(o.max_poll_interval);
  values["rebalance.timeout.ms"] = ms(o.rebalance_time());
  values["enable.auto.commit"] = flag(o.auto_commit);
  values["auto.commit.interval.ms"] = ms(o.auto_commit_interval);
  const std::map<reset, std::string> policies = {{reset::earliest, "earliest"}, {reset::latest, "latest"}, {reset::none, "none"}};
  values["auto.offset.reset"] = policies.at(o.auto_offset_reset);
  if (const auto back = o.auto_offset_reset_back) values["auto.offset.reset"] = "by_duration:PT" + std::to_string(back->count() / 1000) + "S";
  values["isolation.level"] = o.isolation == kawait::isolation_level::read_committed ? "read_committed" : "read_uncommitted";
  values["check.crcs"] = flag(o.check_crcs);
  values["fetch.min.bytes"] = std::to_string(o.fetch_min_bytes);
  values["fetch.max.bytes"] = std::to_string(o.fetch_max_bytes);
  values["fetch.max.wait.ms"] = ms(o.fetch_max_wait);
  values["max.partition.fetch.bytes"] = std::to_string(o.max_partition_fetch_bytes);
  values["fetch.buffer.bytes"] = std::to_string(o.fetch_buffer_bytes);
  values["decompression.limit.bytes"] = std::to_string(o.decompression_limit);
  values["metadata.max.age.ms"] = ms(o.metadata_max_age);
  values["request.timeout.ms"] = ms(o.request_timeout);
  values["default.api.timeout.ms"] = ms(o.default_api_timeout);
  values["socket.connection.setup.timeout.ms"] = ms(o.connection_setup_timeout);
  values["reconnect.backoff.ms"] = ms(o.reconnect_backoff);
  values["reconnect.backoff.max.ms"] = ms(o.reconnect_backoff_max);
  values["retry.backoff.ms"] = ms(o.retry_backoff);
  values["retry.backoff.max.ms"] = ms(o.retry_backoff_max);
  const auto it = values.find(name);
  return it == values.end() ? "(not known to this test)" : it->second;
}

const std::string int_max = std::to_string(std::numeric_limits<std::int32_t>::max());
const std::string beyond_int = "2147483648";
const std::string beyond_long = "99999999999999999999";

/// Kafka's defaults, values at the edges of what is allowed, and values that are refused.
struct row {
  std::string name;
  std::string standard;
  std::vector<std::string> good;
  std::vector<std::string> bad;
};

row time_row(std::string name, std::string standard, std::string min = "1") {
  const std::string below = min == "1" ? "0" : "-1";
  const std::vector<std::string> bad = {below, "-5", beyond_int, beyond_long, "", "1s", "1.5", "1 2"};
  return {std::move(name), std::move(standard), {min, "777", int_max}, bad};
}

std::vector<row> rows() {
  const std::string too_long(32768, 'x');
  return {
      {"bootstrap.servers",
       "",
       {"a:1", "a:1,b:65535,[::1]:9092", "127.0.0.1:9092"},
       {"", ",", "a", "a:", "a:0", "a:65536", "a:b", ":1"}},
      {"client.id", "kawait", {"me"}, {"", too_long}},
      {"client.rack", "", {"rack1"}, {"", too_long}},
      {"group.id", "(none)", {"orders", std::string(32767, 'g')}, {"", too_long}},
      {"group.instance.id", "(none)", {"pod-0"}, {"", too_long}},
      {"group.protocol", "consumer", {"consumer"}, {"classic", "", "share"}},
      {"group.protocol.type", "", {}, {too_long}},
      {"group.remote.assignor", "(none)", {"uniform", "range", "a.b.Own"}, {"", too_long}},
      time_row("max.poll.interval.ms", "300000"),
      time_row("rebalance.timeout.ms", "300000"),
      {"enable.auto.commit", "true", {"false", "true"}, {"", "yes", "1"}},
      time_row("auto.commit.interval.ms", "5000"),
      {"auto.offset.reset",
       "latest",
       {"earliest", "none", "by_duration:PT3600S", "latest", "by_duration:PT0S"},
       {"", "smallest", "earliest ly", "by_duration", "by_duration:", "by_duration:PT", "by_duration:1h", "by_durationPT1H",
        "by_duration:-PT1H", "by_duration:PT-1S", "By_Duration:1h", "BY_DURATIONPT1H", "by_duration:P99999999999999D"}},
      {"isolation.level", "read_uncommitted", {"read_committed", "read_uncommitted"}, {"", "committed"}},
      {"check.crcs", "true", {"false", "true"}, {"", "off"}},
      {"fetch.min.bytes", "1", {"0", "100000", int_max}, {"-1", beyond_int, "", "1k", beyond_long}},
      {"fetch.max.bytes", "52428800", {"1", int_max}, {"0", "-1", beyond_int, "", "x"}},
      time_row("fetch.max.wait.ms", "500", "0"),
      {"max.partition.fetch.bytes", "1048576", {"1", int_max}, {"0", "-1", beyond_int, "", "x"}},
      {"fetch.buffer.bytes",
       "33554432",
       {"1048576", "1099511627776"},
       {"1048575", "0", "-1", "1099511627777", beyond_long, "", "32M"}},
      {"decompression.limit.bytes",
       "67108864",
       {"1048576", "1099511627776"},
       {"1048575", "0", "-1", "1099511627777", beyond_long, "", "64M"}},
      time_row("metadata.max.age.ms", "300000"),
      time_row("request.timeout.ms", "30000"),
      time_row("default.api.timeout.ms", "60000"),
      time_row("socket.connection.setup.timeout.ms", "10000"),
      time_row("reconnect.backoff.ms", "50"),
      time_row("reconnect.backoff.max.ms", "1000"),
      time_row("retry.backoff.ms", "100"),
      time_row("retry.backoff.max.ms", "1000"),
  };
}

TEST_CASE("config: auto.offset.reset by duration, typed") {
  using namespace std::chrono_literals;
  config c;
  c.auto_offset_reset(kawait::by_duration(2h));
  CHECK(c.values().auto_offset_reset_back == 2h);
  const std::string words = refusal([&] { c.auto_offset_reset(kawait::by_duration(-1s)); });
  CHECK(contains(words, "auto.offset.reset"));
  CHECK(contains(words, "-1000 ms"));
  CHECK(c.values().auto_offset_reset_back == 2h);  // as it was
  c.auto_offset_reset(kawait::offset_reset::none);
  CHECK(!c.values().auto_offset_reset_back);
  c.set("auto.offset.reset", " by_duration:P1DT12H ");
  CHECK(c.values().auto_offset_reset_back == 36h);
  c.set("auto.offset.reset", "earliest");
  CHECK(!c.values().auto_offset_reset_back);
}

TEST_CASE("config: every property has its default, takes good values, and refuses bad ones with its name and the value") {
  std::set<std::string_view> tested;
  const auto all = rows();
  for (const row& r : all) {
    CAPTURE(r.name);
    tested.insert(r.name);
    CHECK(shown(config(), r.name) == r.standard);
    for (const std::string& value : r.good) {
      config c;
      CHECK(refusal([&] { c.set(r.name, value); }) == "");
      CHECK(shown(c, r.name) == value);
      CHECK(c.warnings().empty());
      for (const row& other : all) {
        const bool follows = r.name == "max.poll.interval.ms" && other.name == "rebalance.timeout.ms";
        if (other.name == r.name || follows) continue;
        CAPTURE(other.name);
        CHECK(shown(c, other.name) == other.standard);
      }
    }
    for (const std::string& value : r.bad) {
      CAPTURE(value);
      config c;
      const std::string words = refusal([&] { c.set(r.name, value); });
      CHECK(contains(words, r.name));
      CHECK(contains(words, value.size() > 100 ? value.substr(0, 32) : "'" + value + "'"));
      CHECK(words.size() < 300);
      CHECK(shown(c, r.name) == r.standard);
    }
  }
  std::set<std::string_view> known;
  std::size_t count = 0;
  for (const kawait::property_info& p : kawait::properties()) {
    if (is_of_security(p)) continue;
    known.insert(p.name);
    ++count;
  }
  CHECK(known == tested);
  CHECK(known.size() == count);
}

TEST_CASE("config: group.protocol refuses what is not supported, and names both values otherwise") {
  CHECK(contains(refusal("group.protocol", "classic"), "not supported yet"));
  const std::string words = refusal("group.protocol", "Klassik");
  CHECK(contains(words, "'Klassik'"));
  CHECK(contains(words, "classic"));
  CHECK(contains(words, "consumer"));
}

TEST_CASE("config: what the consumer protocol has no use for tells what takes its place") {
  const std::vector<std::pair<std::string, std::string>> replaced = {
      {"session.timeout.ms", "group.consumer.session.timeout.ms"},
      {"heartbeat.interval.ms", "group.consumer.heartbeat.interval.ms"},
      {"partition.assignment.strategy", "group.remote.assignor"},
      {"partitionAssigners", "group.remote.assignor"},
  };
  for (const auto& [name, instead] : replaced) {
    CAPTURE(name);
    const std::string words = refusal(name, "45000");
    CHECK(contains(words, name + " = '45000'"));
    CHECK(contains(words, "group.protocol=consumer"));
    CHECK(contains(words, instead));
    CHECK(kawait::find_property(name) == nullptr);
  }
}

TEST_CASE("config: other clients' names of what is no setting here say what it is") {
  const std::vector<std::pair<std::string, std::string>> others = {
      {"max.poll.records", "max.partition.fetch.bytes"},   {"key.deserializer", "record::key()"},
      {"value.deserializer", "record::value()"},           {"interceptor.classes", "add_observer"},
      {"statistics.interval.ms", "add_observer"},          {"allow.auto.create.topics", "creates no topic"},
      {"enable.auto.offset.store", "done_through()"},      {"enable.partition.eof", "async_next_or_end"},
  };
  for (const auto& [name, meaning] : others) {
    CAPTURE(name);
    const std::string words = refusal(name, "100");
    CHECK(contains(words, name + " = '100'"));
    CHECK(contains(words, meaning));
    CHECK(kawait::find_property(name) == nullptr);
  }
}

TEST_CASE("config: group.protocol.type is accepted with a warning") {
  config c;
  c.set("group.protocol.type", "consumer");
  REQUIRE(c.warnings().size() == 1);
  CHECK(contains(c.warnings()[0], "group.protocol.type = 'consumer'"));
  CHECK(contains(c.warnings()[0], "ignored"));
}

TEST_CASE("config: an unknown name is refused with the nearest known one") {
  const std::vector<std::pair<std::string, std::string>> misspelt = {
      {"bootstrap.server", "bootstrap.servers"},
      {"groupid", "group.id"},
      {"auto.offset.rest", "auto.offset.reset"},
      {"enable.autocommit", "enable.auto.commit"},
      {"fetch.wait.max.ms", "fetch.max.wait.ms"},
      {"GROUP.ID", "group.id"},
      {"group.id ", "group.id"},
  };
  for (const auto& [name, nearest] : misspelt) {
    CAPTURE(name);
    const std::string words = refusal(name, "7");
    CHECK(contains(words, name + ": no such property; the nearest known is " + nearest));
  }
  CHECK(contains(refusal("", "7"), "no such property"));
  CHECK(contains(refusal(std::string(1000, 'z'), "7"), "no such property"));
}

TEST_CASE("config: a bad entry of the bootstrap list is named, and what is wrong with it") {
  struct bad {
    std::string list, entry, why;
  };
  const std::vector<bad> lists = {
      {"a:1,b", "\"b\"", "port is missing"},
      {"a:1,:9092,c:3", "\":9092\"", "host is missing"},
      {"a:70000", "\"a:70000\"", "1 to 65535"},
      {"a:-1", "\"a:-1\"", "1 to 65535"},
      {"a:1x", "\"a:1x\"", "1 to 65535"},
      {"kafka://a:1", "\"kafka://a:1\"", "protocol"},
      {"::1:9092", "\"::1:9092\"", "brackets"},
      {"[::1:9092", "\"[::1:9092\"", "]"},
      {"[::1]9092", "\"[::1]9092\"", ":port"},
      {"a b:1", "\"a b:1\"", "character"},
      {" , ", "' , '", "no host:port"},
  };
  for (const bad& b : lists) {
    CAPTURE(b.list);
    const std::string words = refusal([&] { config typed(b.list); });
    CHECK(contains(words, "bootstrap.servers = '" + b.list + "'"));
    CHECK(contains(words, b.entry));
    CHECK(contains(words, b.why));
    CHECK(words.find("bootstrap.servers") == words.rfind("bootstrap.servers"));
  }
  CHECK(shown(config(" a:1 , b:2, "), "bootstrap.servers") == "a:1,b:2");
  CHECK(shown(config("a:1").bootstrap_servers("b:2"), "bootstrap.servers") == "b:2");
}

TEST_CASE("config: what must fit together is checked when a consumer takes it") {
  CHECK(contains(refusal([] { config().check(); }), "bootstrap.servers is required"));
  CHECK(refusal([] { config("a:1").check(); }) == "");
  for (const std::string kind : {"reconnect", "retry"}) {
    config c("a:1");
    c.set(kind + ".backoff.ms", "700").set(kind + ".backoff.max.ms", "700");
    CHECK(refusal([&] { c.check(); }) == "");
    c.set(kind + ".backoff.max.ms", "699");
    const std::string words = refusal([&] { c.check(); });
    CHECK(contains(words, kind + ".backoff.max.ms = '699'"));
    CHECK(contains(words, kind + ".backoff.ms = '700'"));
  }
}

TEST_CASE("config: set takes a map of all, in no order, and refuses the first that is wrong") {
  config c;
  c.set({{"group.id", "g"}, {"bootstrap.servers", "a:1"}, {"max.poll.interval.ms", "9"}}).check();
  CHECK(shown(c, "group.id") == "g");
  CHECK(shown(c, "rebalance.timeout.ms") == "9");
  CHECK(contains(refusal([&] { c.set({{"client.id", "other"}, {"check.crcs", "maybe"}}); }), "check.crcs = 'maybe'"));
  CHECK(shown(c, "client.id") == "kawait");
}

TEST_CASE("config: blanks around a value and a boolean's case are nobody's, as in Kafka's own clients") {
  config c;
  c.set("group.id", " orders \t").set("enable.auto.commit", "FALSE ").set("fetch.min.bytes", " 7");
  CHECK(shown(c, "group.id") == "orders");
  CHECK(shown(c, "enable.auto.commit") == "false");
  CHECK(shown(c, "fetch.min.bytes") == "7");
}

TEST_CASE("config: an error tells no secret") {
  for (const std::string name : {"sasl.jaas.config", "sasl.oauthbearer.x", "ssl.keystore.password"}) {
    CAPTURE(name);
    const std::string words = refusal(name, "hunter2");
    CHECK(contains(words, name + " = '***'"));
    CHECK(!contains(words, "hunter2"));
    CHECK(contains(words, kawait::find_property(name) ? "" : "is no setting here"));
  }
  for (const std::string name : {"my.secret", "SASL.PASSWORD", "sasl_pasword", "passwd"}) {
    CAPTURE(name);
    const std::string words = refusal(name, "hunter2");
    CHECK(contains(words, name + ": no such property; the nearest known is "));
    CHECK(!contains(words, "hunter2"));
  }
}

TEST_CASE("config: what properties() says of a default, a least and a most is so") {
  using type = kawait::property_type;
  for (const kawait::property_info& p : kawait::properties()) {
    CAPTURE(std::string(p.name));
    CHECK(!p.meaning.empty());
    CHECK((p.type == type::choice) == !p.choices.empty());
    if (!p.standard.empty() && !is_of_security(p)) {
      config c;
      CHECK(refusal([&] { c.set(p.name, p.standard); }) == "");
      CHECK(shown(c, p.name) == p.standard);
    }
    if (p.type == type::text || p.type == type::list) {
      CHECK(contains(refusal(p.name, std::string(static_cast<std::size_t>(p.max) + 1, 'a')), "longer than " + std::to_string(p.max)));
      CHECK(refusal(p.name, "").empty() == (p.min == 0));
    }
    if (p.type == type::number || p.type == type::bytes || p.type == type::milliseconds) {
      CHECK(refusal(p.name, std::to_string(p.min)) == "");
      CHECK(refusal(p.name, std::to_string(p.max)) == "");
      CHECK(contains(refusal(p.name, std::to_string(p.min - 1)), "must be from " + std::to_string(p.min)));
      CHECK(contains(refusal(p.name, std::to_string(p.max + 1)), "to " + std::to_string(p.max)));
    }
  }
}

TEST_CASE("config: the typed setters check as the properties do, and an assignment that failed changes nothing") {
  config c("a:1");
  c.rebalance_timeout(milliseconds(5)).max_poll_interval(milliseconds(9));
  CHECK(shown(c, "rebalance.timeout.ms") == "5");
  CHECK(contains(refusal([&] { c.rebalance_timeout(milliseconds(0)); }), "rebalance.timeout.ms = '0'"));
  CHECK(contains(refusal([&] { c.fetch_max_bytes(-7); }), "fetch.max.bytes = '-7'"));
  CHECK(contains(refusal([&] { c.fetch_buffer_bytes(std::numeric_limits<std::size_t>::max()); }), "fetch.buffer.bytes = '"));
  CHECK(contains(refusal([&] { c.request_timeout(std::chrono::hours(1000)); }), "request.timeout.ms = '3600000000'"));
  CHECK(contains(refusal([&] { c.group_instance_id(""); }), "group.instance.id = ''"));
  CHECK(contains(refusal([&] { c.retry_backoff_max(milliseconds(0)); }), "retry.backoff.max.ms = '0'"));
  CHECK(shown(c, "rebalance.timeout.ms") == "5");
  CHECK(shown(c, "group.instance.id") == "(none)");
  c.connection_setup_timeout(milliseconds(1)).reconnect_backoff(milliseconds(2)).reconnect_backoff_max(milliseconds(3));
  c.retry_backoff(milliseconds(4)).retry_backoff_max(milliseconds(5));
  CHECK(shown(c, "socket.connection.setup.timeout.ms") == "1");
  CHECK(shown(c, "reconnect.backoff.ms") == "2");
  CHECK(shown(c, "reconnect.backoff.max.ms") == "3");
  CHECK(shown(c, "retry.backoff.ms") == "4");
  CHECK(shown(c, "retry.backoff.max.ms") == "5");
}

}  // namespace config_tests
