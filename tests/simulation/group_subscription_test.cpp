// Subscriptions that change while a member runs: patterns, names beside them, none at all, topics that are missing or denied; in virtual
// time.

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

using kawait::end_reason;
using kawait::leave_kind;

/// Topics that a member works on.
std::set<std::string> topics_of(const story& s, const actor& a) {
  std::set<std::string> all;
  for (const ownership& o : s.log.all()) {
    if (o.member == a.name() && o.open && o.handle.end_reason() == end_reason::none) all.insert(o.name.topic);
  }
  return all;
}
using names = std::set<std::string>;

TEST_CASE("a pattern: its topics, those made later, and no other", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    for (const char* topic : {"pay-in", "pay-out", "repay-in"}) s.broker.create_topic(topic, 1);
    actor& a = s.prepare("a");
    a.consumer().subscribe_pattern("pay-.*");
    a.start();
    s.write(0, 10, "pay-in");
    REQUIRE(s.until([&] { return topics_of(s, a) == names{"pay-in", "pay-out"}; }, 1min));
    s.broker.create_topic("pay-back", 1);
    s.write(0, 10, "pay-back");
    REQUIRE(s.until([&] { return topics_of(s, a) == names{"pay-back", "pay-in", "pay-out"}; }, 15min));
    REQUIRE(s.until([&] { return s.is_done(1, "pay-in") && s.is_done(1, "pay-back"); }));
    CHECK(s.view(a)->regex == "pay-.*");
    CHECK(!a.has_ended);
  }
}

TEST_CASE("a pattern and names beside it, changed to names alone and to another pattern", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    for (const char* topic : {"pay-in", "log-1"}) s.broker.create_topic(topic, 1);
    actor& a = s.prepare("a");
    a.consumer().subscribe_pattern("pay-.*", {"orders"});
    a.start();
    REQUIRE(s.until([&] { return topics_of(s, a) == names{"orders", "pay-in"}; }, 1min));
    a.consumer().subscribe("orders");
    if (g == kafka_generation::v4_0) s.add_other();  // which goes on with what the pattern brought, until something else moves the group
    REQUIRE(s.until([&] { return topics_of(s, a) == names{"orders"}; }, 1min));
    s.world.advance(30s);
    CHECK(topics_of(s, a) == names{"orders"});
    a.consumer().subscribe_pattern("log-.*");
    REQUIRE(s.until([&] { return topics_of(s, a) == names{"log-1"}; }, 1min));
    CHECK(s.log.ended(end_reason::revoked) == 3);  // both of "orders", be it one after the other, and the one of "pay-in"
    CHECK(s.log.ended(end_reason::lost) == 0);
  }
}

TEST_CASE("what cannot be subscribed is refused at once", "[group]") {
  story s;
  actor& a = s.prepare("a");
  const auto refusal = [](auto call) {
    try {
      call();
    } catch (const kawait::error& e) {
      return e.code();
    }
    return std::error_code();
  };
  CHECK(refusal([&] { a.consumer().subscribe_pattern(""); }) == errc::not_subscribed);
  CHECK(refusal([&] { a.consumer().subscribe_pattern("x", {"a b"}); }) == kafka_error::invalid_topic_exception);
  kawait::consumer manual(s.world.executor(), s.settings("manual"));
  manual.assign({topic_partition("orders", 0)});
  CHECK(refusal([&] { manual.subscribe_pattern("x"); }) == errc::not_in_manual_mode);
  std::optional<std::error_code> told;
  manual.async_unsubscribe([&](std::error_code ec) { told = ec; });
  s.world.advance(0s);
  CHECK(told == errc::not_in_manual_mode);
}

struct unsubscribing {
  explicit unsubscribing(story& s, actor& a, std::chrono::milliseconds timeout = 30s) : began(s.world.now()) {
    a.consumer().async_unsubscribe(timeout, [this, &s](std::error_code ec) {
      told = ec;
      took = s.world.now() - began;
    });
  }
  std::optional<std::error_code> told;
  kawait::net::time_point began;
  kawait::net::duration took{};
};

/// The only member, at work on a batch of each partition, for eight seconds.
actor& join_busy(story& s) {
  actor& a = s.join("a");
  a.work_time = [](const kawait::batch&) { return 8s; };
  s.write_all(2);
  REQUIRE(s.until([&] { return s.log.records() == 20; }));
  return a;
}

TEST_CASE("unsubscribed: work in hand is awaited and committed, the member leaves, and goes on when it subscribes again", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = join_busy(s);
    const unsubscribing u(s, a);
    s.world.advance(5s);
    CHECK(!u.told);
    CHECK(s.is_member(a));
    REQUIRE(s.until([&] { return u.told.has_value(); }, 10s));
    CHECK(!*u.told);
    CHECK(u.took <= 8s + 10ms);
    CHECK(s.is_done(2));
    CHECK(!s.is_member(a));
    CHECK(s.log.ended(end_reason::revoked) == 2);
    CHECK(a.consumer().assignment().empty());

    const std::size_t heartbeats = s.count(api_key::consumer_group_heartbeat);
    s.write_all(2);
    s.world.advance(10min);
    CHECK(s.count(api_key::consumer_group_heartbeat) == heartbeats);
    CHECK(s.log.records() == 20);
    CHECK(!a.has_ended);
    a.consumer().subscribe("orders");
    REQUIRE(s.until_done(2));
    CHECK(s.log.repeated() == 0);
  }
}

TEST_CASE("unsubscribed and subscribed again before the member has left", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = join_busy(s);
    const unsubscribing first(s, a);
    s.world.advance(1s);
    const unsubscribing second(s, a);
    s.world.advance(1s);
    a.consumer().subscribe("orders");
    s.write_all(2);
    REQUIRE(s.until_done(2));
    CHECK(first.told == std::error_code());
    CHECK(second.told == std::error_code());
    CHECK(s.is_member(a));
    CHECK(s.log.ended(end_reason::revoked) == 2);
    CHECK(s.log.repeated() == 0);
  }
}

TEST_CASE("unsubscribed with work that does not end, commits that are refused, a coordinator that is gone", "[group]") {
  SECTION("work") {
    story s;
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until_done(2));
    a.work_time = [](const kawait::batch&) { return 24h; };
    s.write(0, 10);
    REQUIRE(s.until([&] { return s.log.records() == 30; }));
    const unsubscribing u(s, a, 10s);
    REQUIRE(s.until([&] { return u.told.has_value(); }, 1min));
    CHECK(*u.told == errc::revocation_deadline);
    CHECK(u.took >= 9s);
    CHECK(u.took <= 10s);
    CHECK(!s.is_member(a));
  }
  SECTION("commits") {
    story s;
    actor& a = s.join("a", s.settings("a").auto_commit_interval(1h));
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20; }));
    s.otherwise = [](const testing::request_view& r) {
      return r.api == api_key::offset_commit ? answer_with(kafka_error::group_authorization_failed) : fault();
    };
    const unsubscribing u(s, a, 10s);
    REQUIRE(s.until([&] { return u.told.has_value(); }, 1min));
    CHECK(*u.told == errc::commit_failed);
    CHECK(!s.is_member(a));
  }
  SECTION("the leave") {
    story s(2, nodes(1, 1));
    actor& a = s.join("a");
    REQUIRE(s.until([&] { return a.owned().size() == 2; }));
    s.broker.freeze_node(1);
    const unsubscribing u(s, a, 10s);
    REQUIRE(s.until([&] { return u.told.has_value(); }, 10min));
    CHECK(*u.told == errc::request_timeout);
    CHECK(u.took == 10s);
    s.broker.thaw_node(1);
    s.world.advance(1min);
    CHECK(!s.is_member(a));
    a.consumer().subscribe("orders");
    REQUIRE(s.until([&] { return a.owned().size() == 2; }, 1min));
  }
}

TEST_CASE("unsubscribed: who has nothing to leave is told at once, who closes meanwhile ends both", "[group]") {
  story s;
  actor& a = s.prepare("a");
  const unsubscribing early(s, a);
  s.world.advance(0s);
  CHECK(early.told == std::error_code());
  a.start();
  s.world.advance(10s);
  CHECK(s.count(api_key::consumer_group_heartbeat) == 0);
  a.consumer().subscribe("orders");
  REQUIRE(s.until([&] { return a.owned().size() == 2; }));
  a.work_time = [](const kawait::batch&) { return 5s; };
  s.write_all(2);
  REQUIRE(s.until([&] { return s.log.records() == 20; }));
  const unsubscribing late(s, a);
  s.world.advance(1s);
  a.close();
  REQUIRE(s.until([&] { return a.closed && a.has_ended && late.told; }, 10s));
  CHECK(!*a.closed);
  CHECK(!*late.told);
  CHECK(s.is_done(2));
  const unsubscribing after(s, a);
  s.world.advance(0s);
  CHECK(after.told == errc::closed);
}

TEST_CASE("topics that are not there are told once, and read as soon as they are", "[group]") {
  story s;
  actor& a = s.prepare("a");
  a.consumer().subscribe("orders", "misteak");
  a.start();
  REQUIRE(s.until([&] { return a.owned().size() == 2; }));
  const kawait::failure told = a.consumer().last_warning();
  CHECK(told.code == kafka_error::unknown_topic_or_partition);
  CHECK(told.words.find("no topic misteak yet") != std::string::npos);
  CHECK(told.words.find("orders") == std::string::npos);
  const std::size_t asked = s.count(api_key::metadata);
  s.world.advance(4min);
  CHECK(s.count(api_key::metadata) <= asked + 1);  // told, and not asked for without end
  s.broker.create_topic("misteak", 1);
  s.write(0, 10, "misteak");
  REQUIRE(s.until([&] { return s.is_done(1, "misteak"); }, 1min));
}

// It is assigned by its id; before the metadata tells its name it is deleted, and no longer assigned.
TEST_CASE("a topic that is gone before its name is known is asked for no more", "[group]") {
  story s;
  actor& a = s.prepare("a");
  a.consumer().subscribe("orders", "passing");
  a.start();
  REQUIRE(s.until([&] { return a.owned().size() == 2; }));
  s.world.advance(5s);
  s.otherwise = [](const testing::request_view& r) {
    return r.api == api_key::metadata ? answer_with(kafka_error::unknown_server_error) : fault();
  };
  const std::size_t before = s.count(api_key::metadata);
  s.broker.create_topic("passing", 1);
  REQUIRE(s.until([&] { return s.count(api_key::metadata) > before; }, 1min));
  s.broker.delete_topic("passing");
  s.world.advance(30s);
  s.otherwise = nullptr;
  s.world.advance(30s);
  const std::size_t asked = s.count(api_key::metadata);
  s.world.advance(4min);
  CHECK(s.count(api_key::metadata) <= asked + 1);
  s.write_all(2);
  CHECK(s.until_done(2));
}

TEST_CASE("topics that are denied are named; what else is subscribed goes on, and they are read once they may be", "[group]") {
  story s;
  s.broker.create_topic("secret", 1);
  s.broker.deny_topic("secret", true);
  actor& a = s.join("a");
  s.write_all(2);
  REQUIRE(s.until_done(2));
  a.consumer().subscribe("orders", "secret");
  REQUIRE(s.until([&] { return a.consumer().last_warning().code == kafka_error::topic_authorization_failed; }, 1s));
  CHECK(a.consumer().last_warning().words.find(": secret: the principal needs DESCRIBE and READ") != std::string::npos);
  s.write_all(2);
  s.world.advance(2min);  // longer than a session
  CHECK(s.log.records() == 40);
  CHECK(s.log.all().size() == 2);
  s.broker.deny_topic("secret", false);
  s.write(0, 5, "secret");
  REQUIRE(s.until([&] { return s.is_done(1, "secret"); }, 30s));
  CHECK(s.log.all().size() == 3);
}

// KIP-1092. What a member says as it closes, and whether it is one afterwards.
TEST_CASE("closing leaves the group, or remains in it", "[group]") {
  struct row {
    bool is_static;
    leave_kind kind;
    std::optional<std::int32_t> epoch;  // of the leaving heartbeat
    bool remains;
  };
  const row rows[] = {
      {false, leave_kind::default_, -1, false},         {false, leave_kind::leave_group, -1, false},
      {false, leave_kind::remain_in_group, {}, true},   {true, leave_kind::default_, -2, true},
      {true, leave_kind::leave_group, -1, false},       {true, leave_kind::remain_in_group, -2, true},
  };
  for (const row& r : rows) {
    CAPTURE(r.is_static, static_cast<int>(r.kind));
    story s;
    auto settings = s.settings("a");
    if (r.is_static) settings.group_instance_id("i");
    actor& a = s.join("a", settings);
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20; }));
    const std::size_t before = s.count(api_key::consumer_group_heartbeat);
    std::optional<std::error_code> closed;
    a.consumer().async_close(r.kind, [&](std::error_code ec) { closed = ec; });
    REQUIRE(s.until([&] { return closed && a.has_ended; }, 10s));
    CHECK(!*closed);
    CHECK(s.is_done(2));  // committed in any case
    CHECK(s.count(api_key::consumer_group_heartbeat) == before + (r.epoch ? 1 : 0));
    CHECK(s.is_member(a) == r.remains);
  }
}

TEST_CASE("a static member that unsubscribes, and then closes for good, says so", "[group]") {
  story s;
  actor& a = s.join("a", s.settings("a").group_instance_id("i"));
  a.work_time = [](const kawait::batch&) { return 5s; };
  s.write_all(2);
  REQUIRE(s.until([&] { return s.log.records() == 20; }));
  const unsubscribing u(s, a);
  s.world.advance(1s);
  std::optional<std::error_code> closed;
  a.consumer().async_close(leave_kind::leave_group, [&](std::error_code ec) { closed = ec; });
  REQUIRE(s.until([&] { return closed && u.told && a.has_ended; }, 10s));
  CHECK(!s.is_member(a));
}

TEST_CASE("of a denied topic and one that is missing the latter is told once", "[group]") {
  struct warnings : kawait::observer {
    void on_warned(const warned& e) override { ++n[e.reason.code.value()]; }
    std::map<int, int> n;
  };
  story s;
  s.broker.create_topic("secret", 1);
  s.broker.deny_topic("secret", true);
  const auto told = std::make_shared<warnings>();
  actor& a = s.join("a", s.settings("a").add_observer(told));
  REQUIRE(s.until([&] { return a.owned().size() == 2; }));
  a.consumer().subscribe("orders", "secret", "misteak");
  s.world.advance(10min);
  CHECK(told->n[static_cast<int>(kafka_error::unknown_topic_or_partition)] == 1);
  CHECK(told->n[static_cast<int>(kafka_error::topic_authorization_failed)] > 50);  // once a heartbeat
  CHECK(s.count(api_key::metadata) < 200);
}

}  // namespace
}  // namespace embedded
