// What is subscribed to: patterns, names beside them, nothing for a while, and what may not be read.

#include "member_support.hpp"

namespace kawait::tests {
namespace {

/// Topics that a member works on.
std::set<std::string> topics_of(const history& log, const member& m) {
  std::set<std::string> all;
  for (const ownership& o : log.all()) {
    if (o.member == m.name() && o.open && o.handle.end_reason() == end_reason::none) all.insert(o.name.topic);
  }
  return all;
}
using names = std::set<std::string>;

asio::awaitable<void> patterns(scenario& s) {
  const std::string stem = unique_name("pay"), group = unique_name("group"), named = unique_name("orders");
  const std::string in = stem + "-in", out = stem + "-out", later = stem + "-later", other = "re" + stem + "-in";
  for (const auto& topic : {in, out, other, named}) co_await s.admin.create_topic(topic, 1);
  member& a = s.subscribe("a", s.settings(group), named);
  a.consumer().subscribe_pattern(stem + "-.*", std::vector<std::string>(1, named));
  a.start();
  const names first{in, out, named};
  EVENTUALLY(topics_of(s.log, a) == first);
  co_await s.admin.create_topic(later, 1);
  const auto batch = numbered_batch(0, 10);
  co_await s.admin.produce(later, 0, batch);
  const topic_partition read(later, 0);
  EVENTUALLY(s.log.has_all(read, 10));  // within the broker's pace, of ten seconds
  a.consumer().subscribe_pattern(stem + "-(in|later)");
  const names second{in, later};
  EVENTUALLY(topics_of(s.log, a) == second);
  co_await a.close();
  CHECK(s.log.violations().empty());
  const auto told = co_await s.committed(group, later, 1);
  CHECK(told[0] == 10);
}

TEST_CASE("a pattern with a name beside it, a topic made later, another pattern") {
  scenario s;
  s.run(&patterns);
}

asio::awaitable<void> wrong_pattern(scenario& s) {
  member& a = s.subscribe("a", s.settings(unique_name("group")), "none");
  a.consumer().subscribe_pattern("(orders");
  a.start();
  co_await a.ended();
  CHECK(a.outcome() == kafka_error::invalid_regular_expression);
}

TEST_CASE("a pattern that is none ends the consumer with the broker's words") {
  scenario s;
  s.run(&wrong_pattern);
}

asio::awaitable<void> dropped(scenario& s) {
  const std::string topic = unique_name("orders"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 2);
  load& l = s.make<load>(s.admin, topic, 2);
  co_await l.add(100);
  member& a = s.subscribe("a", s.settings(group), topic);
  a.start();
  EVENTUALLY(l.is_consumed(s.log));
  co_await a.consumer().async_unsubscribe();
  CHECK(a.owned().empty());
  CHECK(!a.has_ended());
  const auto told = co_await s.committed(group, topic, 2);
  CHECK(told[0] == 100);
  CHECK(told[1] == 100);
  member& b = s.subscribe("b", s.settings(group), topic);  // has them at once: a has left
  b.start();
  EVENTUALLY(b.owned().size() == 2);
  a.consumer().subscribe(topic);
  EVENTUALLY(a.owned().size() == 1 && b.owned().size() == 1);
  co_await l.add(100);
  EVENTUALLY(l.is_consumed(s.log));
  co_await a.close();
  co_await b.close();
  CHECK(s.log.repeated() == 0);
  CHECK(s.log.violations().empty());
}

TEST_CASE("unsubscribed: committed and left, and a member again when it subscribes again", "[membership]") {
  scenario s;
  s.run(&dropped);
}

/// Since when heartbeats are answered as they should be, and when one was last.
struct alive final : observer {
  void on_heartbeat(const heartbeat& e) override {
    if (e.refused) return;
    last = clock::now();
    if (!first) first = last;
  }
  std::optional<clock::time_point> first;
  clock::time_point last;
};

asio::awaitable<void> denied(scenario& s) {
  const std::string open = unique_name("open"), secret = unique_name("secret"), group = unique_name("group");
  for (const auto& topic : {open, secret}) co_await s.admin.create_topic(topic, 1);
  co_await s.admin.deny_topic(secret);
  const auto batch = numbered_batch(0, 10);
  co_await s.admin.produce(open, 0, batch);
  const auto beats = std::make_shared<alive>();
  config settings = s.settings(group);
  settings.add_observer(beats);
  member& a = s.subscribe("a", settings, open);
  a.start();
  const topic_partition first(open, 0), second(secret, 0);
  EVENTUALLY(s.log.has_all(first, 10));
  a.consumer().subscribe(open, secret);
  EVENTUALLY(a.consumer().last_warning().code == kafka_error::topic_authorization_failed);
  const std::string words = a.consumer().last_warning().words;
  CAPTURE(words);
  CHECK(words.find(": " + secret + ": ") != std::string::npos);
  CHECK(words.find(open) == std::string::npos);
  // The session of 6 s is kept alive, and what is owned is read, while the change waits.
  beats->first.reset();
  EVENTUALLY(beats->first && beats->last > *beats->first + 6s);
  const auto more = numbered_batch(10, 10);
  co_await s.admin.produce(open, 0, more);
  EVENTUALLY(s.log.has_all(first, 20));
  CHECK(s.log.all().size() == 1);
  co_await s.admin.allow_topic(secret);
  const names both{open, secret};
  EVENTUALLY(topics_of(s.log, a) == both);
  co_await s.admin.produce(secret, 0, batch);
  EVENTUALLY(s.log.has_all(second, 10));
  co_await a.close();
  CHECK(s.log.violations().empty());
}

TEST_CASE("a topic that is denied by an access rule is named, and read once it is allowed", "[acl]") {
  const std::vector<std::string> properties{"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                                            "allow.everyone.if.no.acl.found=true", "group.consumer.session.timeout.ms=6000"};
  const cluster guarded(1, properties);
  scenario s(guarded.bootstrap());
  s.run(&denied);
}

}  // namespace
}  // namespace kawait::tests
