// Commits: who may, and what is read back.

#include "actor_support.hpp"
#include "wire_support.hpp"

namespace kawait::tests {
namespace {

asio::awaitable<void> resumed(stage& s) {
  co_await s.create("orders", 4);
  co_await s.append("orders", 10);
  wire_member w(s, "w");
  w.topics.push_back("orders");
  co_await w.owns(4);
  commit_parts half;
  half.member = w.id;
  half.epoch = w.epoch;
  half.topic = s.topic("orders");
  half.topic_id = s.id_of("orders");
  half.partitions = {0, 1, 2};
  half.offset = 4;
  half.metadata = "half way";
  const auto told = co_await commit(s, half);
  s.tell("commit: " + told);
  co_await s.tell_committed("orders");
  co_await w.leave(-1);
  const actor_options of_orders("orders");
  actor& a = s.join("a", of_orders);
  a.share = 4;
  co_await s.settled();
  co_await s.all_read();
  co_await a.close();
  co_await s.tell_committed("orders");
}

TEST_CASE("a new member resumes where another has committed") { play("resumed", &resumed); }

struct odd_commit {
  const char* what;
  void (*change)(commit_parts&);
};

constexpr odd_commit odd_commits[] = {
    {"as it should be", [](commit_parts&) {}},
    {"the next epoch", [](commit_parts& c) { ++c.epoch; }},
    {"the epoch before", [](commit_parts& c) { --c.epoch; }},
    {"epoch 1", [](commit_parts& c) { c.epoch = 1; }},
    {"epoch 0", [](commit_parts& c) { c.epoch = 0; }},
    {"no member", [](commit_parts& c) { c.epoch = -1, c.member = ""; }},
    {"a member that says no epoch", [](commit_parts& c) { c.epoch = -1; }},
    {"a member nobody knows", [](commit_parts& c) { c.member = "stranger"; }},
    {"a group that there is not", [](commit_parts& c) { c.group = "no such group"; }},
    {"another's partitions", [](commit_parts& c) { c.partitions = {0, 1, 2, 3}; }},
    {"another's partitions, the epoch before", [](commit_parts& c) { c.partitions = {0, 1, 2, 3}, --c.epoch; }},
    {"partitions that there are not", [](commit_parts& c) { c.partitions = {0, 9, -1}; }},
    {"a topic that there is not", [](commit_parts& c) { c.topic = "none", c.topic_id = uuid(); }},
    {"much metadata", [](commit_parts& c) { c.metadata.assign(4097, 'm'); }},
    {"a little less metadata", [](commit_parts& c) { c.metadata.assign(4096, 'm'); }},
    {"a negative offset", [](commit_parts& c) { c.offset = -2; }},
    {"no partition", [](commit_parts& c) { c.partitions.clear(); }},
};

asio::awaitable<void> tell_each(stage& s, const char* who, commit_parts right) {
  for (const auto& o : odd_commits) {
    commit_parts c = right;
    o.change(c);
    std::string told = co_await commit(s, c);
    s.tell(std::string(who) + " commits, " + o.what + ": " + told);
    c.metadata.clear();
    told = co_await fetch_offsets(s, c);
    const bool long_one = told.size() > 200;
    s.tell(std::string(who) + " asks, " + o.what + ": " + (long_one ? "much" : told));
  }
}

asio::awaitable<void> odd_offsets(stage& s) {
  co_await s.create("orders", 4);
  wire_member a(s, "a"), b(s, "b");
  for (wire_member* m : {&a, &b}) m->topics.push_back("orders");
  co_await a.owns(4);
  commit_parts right;
  right.topic = s.topic("orders");
  right.topic_id = s.id_of("orders");
  right.member = a.id;
  right.epoch = a.epoch;
  right.partitions = {0, 1};
  right.offset = 7;
  co_await tell_each(s, "a, alone,", right);
  co_await b.beat();
  co_await a.is_told(2);
  right.epoch = a.epoch;
  right.partitions.clear();
  for (const auto& p : a.owned) right.partitions.push_back(p.partition);
  co_await tell_each(s, "a, which is to give up two,", right);
  co_await a.owns(2);
  co_await b.owns(2);
  right.epoch = a.epoch;
  right.partitions.clear();
  for (const auto& p : a.owned) right.partitions.push_back(p.partition);
  co_await tell_each(s, "a", right);
  right.partitions.clear();
  right.member = b.id;
  for (const auto& p : b.owned) right.partitions.push_back(p.partition);
  co_await tell_each(s, "b", right);
}

TEST_CASE("commits as they should not be") { play("odd-offsets", &odd_offsets); }

asio::awaitable<void> removed(stage& s) {
  co_await s.create("orders", 2);
  wire_member a(s, "a");
  a.topics.push_back("orders");
  std::int16_t code = co_await s.delete_group();
  s.tell("deleted before it is there: " + code_name(code));
  co_await a.owns(2);
  commit_parts c;
  c.member = a.id;
  c.epoch = a.epoch;
  c.topic = s.topic("orders");
  c.topic_id = s.id_of("orders");
  c.partitions = {0, 1};
  c.offset = 5;
  std::string told = co_await commit(s, c);
  s.tell("commit: " + told);
  code = co_await s.delete_group();
  s.tell("deleted with a member: " + code_name(code));
  co_await a.leave(-1);
  co_await s.tell_committed("orders");
  code = co_await s.delete_group();
  s.tell("deleted without: " + code_name(code));
  co_await s.tell_group();
  co_await s.tell_committed("orders");
  told = co_await commit(s, c);
  s.tell("commit: " + told);
  told = co_await fetch_offsets(s, c);
  s.tell("fetch: " + told);
  const auto beat = co_await a.beat();
  s.tell("heartbeat: " + beat.words());
  co_await a.leave(-1);
  code = co_await s.delete_group();
  s.tell("deleted twice: " + code_name(code));
  a.epoch = 0;
  a.owned.clear();
  co_await a.owns(2);
}

TEST_CASE("a group is deleted under those who were its members") { play("removed", &removed); }

}  // namespace
}  // namespace kawait::tests
