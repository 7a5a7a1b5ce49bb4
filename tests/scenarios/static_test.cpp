// Static members, and who is not let in.

#include "actor_support.hpp"

namespace kawait::tests {
namespace {

/// How the static member joins.
actor_options static_one() {
  actor_options first("orders");
  first.instance = "first";
  return first;
}

/// The static member, which had all six partitions first, and another, with half of them each.
struct couple {
  actor* first = nullptr;
  actor* other = nullptr;
};
asio::awaitable<couple> first_and_other(stage& s) {
  co_await s.create("orders", 6);
  const actor_options of_orders("orders"), first = static_one();
  couple both;
  both.first = &s.join("a", first);
  both.first->share = 6;
  co_await s.settled();
  both.other = &s.join("b", of_orders);
  both.first->share = both.other->share = 3;
  co_await s.settled();
  co_return both;
}

asio::awaitable<void> replaced(stage& s) {
  const auto [a, b] = co_await first_and_other(s);
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await a->close();
  co_await s.tell_group();
  const actor_options first = static_one();
  actor& successor = s.join("successor", first);
  successor.succeeds(*a);
  successor.share = 3;
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
  co_await b->close();
  successor.share = 6;
  co_await s.settled();
  co_await successor.close();
  co_await s.tell_group();
  co_await s.tell_committed("orders");
}

TEST_CASE("a static member is replaced and its partitions wait") { play("replaced", &replaced); }

asio::awaitable<void> expired(stage& s) {
  const auto [a, b] = co_await first_and_other(s);
  co_await a->close();
  b->share = 6;  // when the session has ended
  co_await s.settled();
  co_await s.tell_group();
}

TEST_CASE("a static member does not come back") { play("expired", &expired); }

asio::awaitable<void> refused(stage& s) {
  co_await s.create("orders", 2);
  const actor_options first = static_one();
  actor& a = s.join("a", first);
  a.share = 2;
  co_await s.settled();
  actor& other = s.join("other", first);
  co_await other.ended();
  co_await s.settled();
  co_await s.append("orders", 10);
  co_await s.all_read();
}

TEST_CASE("an instance id that is taken is refused") { play("refused", &refused); }

asio::awaitable<void> full(stage& s) {
  co_await s.create("orders", 60);  // to be divided by any number of members, so that shares are no matter of chance
  const actor_options of_orders("orders");
  std::vector<actor*> members;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    members.push_back(&s.join(name, of_orders));
    for (actor* m : members) m->share = 60 / members.size();
    co_await s.settled();
  }
  actor& sixth = s.join("sixth", of_orders);
  co_await sixth.ended();
  co_await s.settled();
  co_await members[2]->close();
  for (actor* m : members) m->share = 15;
  co_await s.settled();
  actor& seventh = s.join("seventh", of_orders);
  for (actor* m : members) m->share = 12;
  seventh.share = 12;
  co_await s.settled();
}

TEST_CASE("a group is full") { play("full", &full); }

}  // namespace
}  // namespace kawait::tests
