// What an administrator asks of topics, as it should be and not.

#include <kawait/testing/messages/topics.hpp>

#include "actor_support.hpp"
#include "wire_support.hpp"

namespace kawait::tests {
namespace {

using growth = testing::messages::create_partitions_request;

struct odd_growth {
  const char* what;
  void (*change)(growth&);
};

/// To a request for six partitions where there are four.
constexpr odd_growth odd_growths[] = {
    {"only asked", [](growth& g) { g.validate_only = true; }},
    {"as many as there are", [](growth& g) { g.topics[0].count = 4; }},
    {"fewer", [](growth& g) { g.topics[0].count = 2; }},
    {"none", [](growth& g) { g.topics[0].count = 0; }},
    {"less than none", [](growth& g) { g.topics[0].count = -1; }},
    {"a topic that there is not", [](growth& g) { g.topics[0].name = "no-such-topic"; }},
    {"a name that none can have", [](growth& g) { g.topics[0].name = "a topic"; }},
    {"a topic twice", [](growth& g) { g.topics.push_back(g.topics[0]); }},
    {"no topic", [](growth& g) { g.topics.clear(); }},
    {"replicas for one too few", [](growth& g) { g.topics[0].assignments.emplace(1).front().broker_ids.push_back(1); }},
    {"replicas by hand", [](growth& g) {
       g.topics[0].assignments.emplace(2);
       for (auto& a : *g.topics[0].assignments) a.broker_ids.push_back(1);
     }},
    {"as it should be, a second time", [](growth&) {}},
};

asio::awaitable<void> growths(stage& s) {
  co_await s.create("orders", 4);
  const std::string topic = s.topic("orders");
  for (const auto& o : odd_growths) {
    growth g;
    auto& t = g.topics.emplace_back();
    t.name = topic;
    t.count = 6;
    t.assignments.reset();
    g.timeout_ms = 10'000;
    o.change(g);
    auto c = co_await s.connection();
    const auto answer = co_await c->async_request(g);
    std::string line = answer ? "" : answer.error().to_string();
    if (answer) {
      for (const auto& r : answer->message.results) line += " " + code_name(r.error_code);
    }
    s.tell(std::string("more partitions, ") + o.what + ":" + line);
  }
  co_await s.heard_of("orders", 6);
  const actor_options of_orders("orders");
  actor& a = s.join("a", of_orders);
  a.share = 6;
  co_await s.settled();
}

TEST_CASE("more partitions, asked for as they should not be") { play("growths", &growths); }

}  // namespace
}  // namespace kawait::tests
