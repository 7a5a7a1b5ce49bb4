// Who comes, who goes, and how: what members see of it.

#include "actor_support.hpp"

namespace kawait::tests {
namespace {

asio::awaitable<void> alone(stage& s) {
  co_await s.create("orders", 6);
  co_await s.append("orders", 10);
  const actor_options of_orders("orders");
  actor& a = s.join("a", of_orders);
  a.share = 6;
  co_await s.settled();
  co_await s.all_read();
  co_await s.append("orders", 5);
  co_await s.all_read();
  co_await a.close();
  co_await s.tell_committed("orders");
  co_await s.tell_group();
}

TEST_CASE("one member owns and reads all partitions") { play("alone", &alone); }

asio::awaitable<void> slow_drain(stage& s) {
  co_await s.create("orders", 6);
  const actor_options of_orders("orders");
  actor& a = s.join("a", of_orders);
  a.share = 6;
  co_await s.settled();
  a.holding = true;
  co_await s.append("orders", 10);
  UNTIL(a.held() == 6);
  actor& b = s.join("b", of_orders);
  UNTIL(a.draining() == 3 && b.epoch() > a.epoch());
  s.tell("b waits with " + std::to_string(b.owned().size()) + " partitions, a has " + std::to_string(a.held()) + " in hand");
  co_await s.tell_group();
  a.holding = false;
  a.share = b.share = 3;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await b.close();
  a.share = 6;
  co_await s.settled();
  co_await a.close();
  co_await s.tell_committed("orders");
}

TEST_CASE("a second member joins while the first has work in hand") { play("slow", &slow_drain); }

asio::awaitable<void> leaving(stage& s) {
  co_await s.create("orders", 6);
  const actor_options of_orders("orders");
  actor& a = s.join("a", of_orders);
  a.share = 6;
  co_await s.settled();
  actor& b = s.join("b", of_orders);
  a.share = b.share = 3;
  co_await s.settled();
  actor& c = s.join("c", of_orders);
  a.share = b.share = c.share = 2;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await c.close();
  a.share = b.share = 3;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await a.close();
  b.share = 6;
  co_await s.settled();
  co_await b.close();
  co_await s.tell_committed("orders");
  co_await s.tell_group();
}

TEST_CASE("of three members one leaves, then another") { play("leaving", &leaving); }

asio::awaitable<void> dying(stage& s) {
  co_await s.create("orders", 6);
  const actor_options of_orders("orders");
  actor_options without_commits("orders");
  without_commits.commits = false;
  actor& a = s.join("a", of_orders);
  a.share = 6;
  co_await s.settled();
  actor& b = s.join("b", without_commits);
  a.share = b.share = 3;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await b.die();
  co_await s.tell_group();
  a.share = 6;
  co_await s.settled();
  co_await s.all_read();
  co_await a.close();
  co_await s.tell_committed("orders");
}

TEST_CASE("a member dies and its session ends") { play("dying", &dying); }

}  // namespace
}  // namespace kawait::tests
