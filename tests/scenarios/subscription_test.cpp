// What is subscribed to, and what becomes of topics.

#include "actor_support.hpp"

namespace kawait::tests {
namespace {

asio::awaitable<void> grown(stage& s) {
  co_await s.create("orders", 4);
  const actor_options of_orders("orders");
  actor& a = s.join("a", of_orders);
  a.share = 4;
  co_await s.settled();
  actor& b = s.join("b", of_orders);
  a.share = b.share = 2;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await s.grow("orders", 8);
  a.share = b.share = 4;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await a.close();
  b.share = 8;
  co_await s.settled();
  co_await b.close();
  co_await s.tell_committed("orders");
}

TEST_CASE("a topic grows") { play("grown", &grown); }

asio::awaitable<void> deleted(stage& s) {
  co_await s.create("orders", 4);
  co_await s.create("payments", 2);
  actor_options of_both("orders", "payments");
  of_both.commit_interval = 10min;  // what is done of the topic is still to be committed when it goes
  actor& a = s.join("a", of_both);
  a.share = 6;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.append("payments", 10);
  co_await s.all_read();
  co_await s.remove("payments");
  a.share = 4;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await s.create("payments", 3);
  a.share = 7;
  co_await s.settled();
  co_await s.append("payments", 5);
  co_await s.all_read();
  co_await a.close();
  co_await s.tell_committed("orders");
  co_await s.tell_committed("payments");
}

TEST_CASE("a topic is deleted, and made anew") { play("deleted", &deleted); }

asio::awaitable<void> changed(stage& s) {
  co_await s.create("orders", 4);
  co_await s.create("payments", 2);
  const actor_options of_orders("orders");
  actor& a = s.join("a", of_orders);
  a.share = 4;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.append("payments", 10);
  UNTIL(a.is_at(topic_partition(s.topic("orders"), 3), 10) && a.is_at(topic_partition(s.topic("orders"), 0), 10));
  const std::vector<std::string> both{"orders", "payments"}, payments{"payments"};
  a.subscribe(both);
  a.share = 6;
  co_await s.settled();
  co_await s.all_read();
  a.subscribe(payments);
  a.share = 2;
  co_await s.settled();
  // The other kind of the uniform assignor: not all subscribe to the same.
  actor& b = s.join("b", of_orders);
  b.share = 4;
  co_await s.settled();
  a.subscribe(both);
  a.share = b.share = 3;
  co_await s.settled();
  co_await a.close();
  b.share = 4;
  co_await s.settled();
  co_await b.close();
  co_await s.tell_committed("orders");
  co_await s.tell_committed("payments");
}

TEST_CASE("a member changes its subscription") { play("changed", &changed); }

asio::awaitable<void> unknown(stage& s) {
  const actor_options of_orders("orders");
  actor& a = s.join("a", of_orders);
  co_await s.settled();
  co_await s.create("orders", 4);
  a.share = 4;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
}

TEST_CASE("a topic is subscribed to before there is one") { play("unknown", &unknown); }

asio::awaitable<void> range(stage& s) {
  co_await s.create("orders", 4);
  co_await s.create("payments", 4);
  actor_options how("orders", "payments");
  how.assignor = "range";
  // With instance ids, since the order of members is that of their ids, which for others is left to chance.
  how.instance = "first";
  actor& a = s.join("a", how);
  a.share = 8;
  a.names = true;
  co_await s.settled();
  how.instance = "second";
  actor& b = s.join("b", how);
  b.names = true;
  a.share = b.share = 4;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.append("payments", 10);
  co_await s.all_read();
  co_await s.grow("payments", 6);
  a.share = b.share = 5;
  co_await s.settled();
  co_await s.append("payments", 10);
  co_await s.all_read();
}

TEST_CASE("the range assignor with two topics") { play("range", &range); }

}  // namespace
}  // namespace kawait::tests
