// What the coordinator answers to heartbeats that no consumer of this library sends, or only on bad days.

#include "actor_support.hpp"
#include "wire_support.hpp"

namespace kawait::tests {
namespace {

using request = wire_member::request;

struct odd_request {
  const char* what;
  void (*change)(request&);
};

/// To a join that is as it should be.
constexpr odd_request odd_joins[] = {
    {"no rebalance time-out", [](request& r) { r.rebalance_timeout_ms = -1; }},
    {"no owned partitions", [](request& r) { r.topic_partitions.reset(); }},
    {"neither names nor a pattern", [](request& r) { r.subscribed_topic_names.reset(); }},
    {"an empty group", [](request& r) { r.group_id = ""; }},
    {"an empty member id", [](request& r) { r.member_id = ""; }},
    {"an empty instance id", [](request& r) { r.instance_id = ""; }},
    {"an empty rack", [](request& r) { r.rack_id = ""; }},
    {"an assignor that there is not", [](request& r) { r.server_assignor = "fair"; }},
    {"an empty assignor", [](request& r) { r.server_assignor = ""; }},
    {"a pattern that is none", [](request& r) { r.subscribed_topic_regex = "(orders"; }},
    {"another's instance id", [](request& r) { r.instance_id = "first"; }},
    {"a member nobody knows", [](request& r) { r.member_epoch = 2; }},
    {"epoch -1", [](request& r) { r.member_epoch = -1; }},
    {"epoch -2, not static", [](request& r) { r.member_epoch = -2; }},
    {"epoch -3", [](request& r) { r.member_epoch = -3; }},
    {"epoch -1 of an instance nobody knows", [](request& r) { r.member_epoch = -1, r.instance_id = "second"; }},
    {"epoch -2 of an instance nobody knows", [](request& r) { r.member_epoch = -2, r.instance_id = "second"; }},
    {"epoch 2 of an instance nobody knows", [](request& r) { r.member_epoch = 2, r.instance_id = "second"; }},
    {"epoch -1 with another's instance id", [](request& r) { r.member_epoch = -1, r.instance_id = "first"; }},
    {"epoch -2 with another's instance id", [](request& r) { r.member_epoch = -2, r.instance_id = "first"; }},
    {"epoch 2 with another's instance id", [](request& r) { r.member_epoch = 2, r.instance_id = "first"; }},
    {"epoch 2 in a group that there is not", [](request& r) { r.member_epoch = 2, r.group_id = "no such group"; }},
    {"epoch -1 in a group that there is not", [](request& r) { r.member_epoch = -1, r.group_id = "no such group"; }},
};

/// To the heartbeat of a member that has settled at an epoch of 2 or more.
constexpr odd_request odd_beats[] = {
    {"no change", [](request&) {}},
    {"nothing said", [](request& r) {
       r.rebalance_timeout_ms = -1, r.subscribed_topic_names.reset(), r.topic_partitions.reset();
     }},
    {"only what is owned", [](request& r) { r.rebalance_timeout_ms = -1, r.subscribed_topic_names.reset(); }},
    {"the next epoch", [](request& r) { ++r.member_epoch; }},
    {"the epoch before", [](request& r) { --r.member_epoch; }},
    {"the epoch before, owned not said", [](request& r) { --r.member_epoch, r.topic_partitions.reset(); }},
    {"the epoch before, less owned", [](request& r) { --r.member_epoch, r.topic_partitions->clear(); }},
    {"an assignor that there is not", [](request& r) { r.server_assignor = "fair"; }},
    {"a pattern that is none", [](request& r) { r.subscribed_topic_regex = "(orders"; }},
    {"a group that there is not", [](request& r) { r.group_id = "no such group"; }},
    {"another instance id", [](request& r) { r.instance_id = "second"; }},
    {"owned that was never given", [](request& r) { r.topic_partitions->at(0).partitions.push_back(99); }},
    {"a join", [](request& r) { r.member_epoch = 0, r.topic_partitions->clear(); }},
};

asio::awaitable<void> odd(stage& s) {
  co_await s.create("orders", 4);
  wire_member first(s, "first-member");
  first.instance = "first";
  first.topics.push_back("orders");
  co_await first.owns(4);
  wire_member other(s, "other-member");
  other.topics.push_back("orders");
  for (const auto& o : odd_joins) {
    auto r = other.full();
    o.change(r);
    const auto told = co_await other.send(r);
    s.tell(std::string("join, ") + o.what + ": " + told.words());
  }
  co_await s.tell_group();
  for (int round = 0; round < 2; ++round) {  // alone, then with another
    for (const auto& o : odd_beats) {
      auto r = first.full();
      o.change(r);
      const auto told = co_await first.send(r);
      s.tell(std::string("static, ") + o.what + ": " + told.words());
    }
    if (round == 1) break;
    for (bool done = false; !done;) {
      co_await other.beat();
      co_await first.beat();
      const auto g = co_await s.describe();
      done = other.owned.size() == 2 && first.owned.size() == 2 && first.epoch == g.epoch && other.epoch == g.epoch;
      if (!done) co_await sleep_for(20ms);
    }
  }
  for (const auto& o : odd_beats) {
    auto r = other.full();
    o.change(r);
    const auto told = co_await other.send(r);
    s.tell(std::string("dynamic, ") + o.what + ": " + told.words());
  }
  co_await s.tell_group();
  co_await other.leave(-1);
  co_await other.leave(-1);
  co_await first.leave(-2);
  co_await first.leave(-2);
  co_await s.tell_group();
  co_await first.leave(-1);
  co_await s.tell_group();
}

TEST_CASE("heartbeats as they should not be") { play("odd", &odd); }

asio::awaitable<void> steps(stage& s) {
  co_await s.create("orders", 6);
  wire_member a(s, "a"), b(s, "b"), c(s, "c");
  for (wire_member* m : {&a, &b, &c}) m->topics.push_back("orders");
  co_await a.owns(6);
  co_await b.beat();
  co_await a.is_told(3);
  co_await s.tell_group();
  // The target moves on before the first revocation is acknowledged.
  co_await c.beat();
  co_await b.is_told(0);
  co_await a.is_told(3);
  a.owned.resize(0);
  auto r = a.full();
  r.topic_partitions.reset();  // which acknowledges nothing
  auto told = co_await a.send(r);
  s.tell("a says nothing of what it owns: " + told.words());
  co_await a.is_told(2);
  co_await a.owns(2);
  co_await b.owns(2);
  co_await c.owns(2);
  co_await s.tell_group();
  co_await b.leave(-1);
  co_await a.owns(3);
  co_await c.owns(3);
}

TEST_CASE("a target moves on while a revocation is under way") { play("steps", &steps); }

asio::awaitable<void> held_on(stage& s) {
  co_await s.create("orders", 4);
  wire_member a(s, "a"), b(s, "b");
  for (wire_member* m : {&a, &b}) m->topics.push_back("orders");
  a.rebalance_timeout = 1000;
  co_await a.owns(4);
  co_await b.beat();
  co_await a.is_told(2);
  for (auto told = co_await a.beat(false);; told = co_await a.beat(false)) {
    if (told.code != 0) {
      s.tell("a, which gives up nothing: " + told.words());
      break;
    }
    co_await b.beat();
    co_await sleep_for(50ms);
  }
  co_await b.owns(4);
  a.epoch = 0;
  a.owned.clear();
  co_await a.beat();
  co_await b.is_told(2);
  co_await b.owns(2);
  co_await a.owns(2);
}

TEST_CASE("a member that does not give up its partitions is expelled") { play("held-on", &held_on); }

asio::awaitable<void> pattern(stage& s) {
  co_await s.create("orders-1", 2);
  co_await s.create("payments", 2);
  wire_member a(s, "a");
  a.regex = s.topic("orders-.*");
  co_await a.owns(2);
  co_await s.tell_group();
  a.regex = s.topic("pay.ents?");
  co_await a.beat();
  a.topics.push_back("orders-1");
  co_await s.create("orders-2", 3);
  co_await a.owns(4);
  a.regex = s.topic("orders-");  // not the whole of any name
  co_await a.owns(2);
  a.regex = s.topic("orders-.*");
  co_await a.owns(5);
  co_await s.create("orders-3", 1);
  co_await a.owns(6);
  co_await s.remove("orders-3");
  co_await a.owns(5);
  auto r = a.full();
  r.subscribed_topic_regex = "";
  co_await a.send(r);
  a.regex.clear();
  // Kafka 4.0 goes on with what the pattern brought, until something else moves the group.
  co_await a.owns(release() == testing::kafka_generation::v4_0 ? 5 : 2);
  co_await s.tell_group();
}

TEST_CASE("a pattern, and topics that come after it", "[slow]") { play("pattern", &pattern); }

}  // namespace
}  // namespace kawait::tests
