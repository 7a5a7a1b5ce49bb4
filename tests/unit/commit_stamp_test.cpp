#include "catch.hpp"

#include "commit_harness.hpp"

// Which epoch a commit is stamped with, and what becomes of a stale one (KIP-1251).

namespace commit_stamp_tests {

using namespace membership_test;

TEST_CASE("commit is stamped with the highest lease epoch, where the broker knows it (point 30)") {
  commit_harness t;
  t.settle("A0");
  t.beat(4, "A0 A1");
  t.beat(9);
  CHECK(t.m.member_epoch() == 9);
  struct {
    stamp_rule rule;
    std::vector<std::pair<std::string, std::uint64_t>> items;
    const char* sent;
  } const cases[] = {
      {stamp_rule::lease_epoch, {{"A0", 1}}, "commit v10 at 1: A0#1=100"},
      {stamp_rule::lease_epoch, {{"A0", 1}, {"A1", 2}}, "commit v10 at 4: A0#1=100 A1#2=101"},
      {stamp_rule::unknown, {{"A0", 1}, {"A1", 2}}, "commit v10 at 4: A0#1=100 A1#2=101"},
      {stamp_rule::current_epoch, {{"A0", 1}, {"A1", 2}}, "commit v10 at 9: A0#1=100 A1#2=101"},
  };
  for (const auto& c : cases) {
    t.commit(c.items, commit_rules(c.rule, 10));
    CHECK(t.step() == c.sent);
  }
}

TEST_CASE("commit with a stale epoch waits for a heartbeat, then takes the new one, of a strict broker (point 30)") {
  commit_harness t;
  t.settle("A0 A1");
  t.commit({{"A0", 1}, {"A1", 2}}, commit_rules(stamp_rule::current_epoch, 9));
  CHECK(t.step() == "commit v9 at 1: A0#1=100 A1#2=101");
  SECTION("answered afterwards") {
    t.reply(kafka_error::stale_member_epoch);
    CHECK(t.step() == "idle 60000");
    t.beat(2);
    CHECK(t.step() == "commit v9 at 2: A0#1=100 A1#2=101");
    t.reply();
    CHECK(t.step() == "finished A0:ok A1:ok");
  }
  SECTION("answered already") {
    t.beat(2);
    t.reply(kafka_error::stale_member_epoch);
    CHECK(t.step() == "commit v9 at 2: A0#1=100 A1#2=101");
  }
  SECTION("and filters again") {
    t.reply(kafka_error::stale_member_epoch);
    t.step();
    t.beat(2, "A1");
    t.drained("A0", 1);
    t.run();
    CHECK(t.step() == "commit v9 at 2: A1#2=101");
  }
  SECTION("one heartbeat for each repetition, though the epoch stays") {
    for (int i = 0; i < 3; ++i) {
      t.reply(kafka_error::stale_member_epoch);
      CHECK(t.step().substr(0, 4) == "idle");
      t.beat(1);
      CHECK(t.step() == "commit v9 at 1: A0#1=100 A1#2=101");
    }
    t.now += 60s;
    CHECK(t.step() == "finished A0:STALE_MEMBER_EPOCH A1:STALE_MEMBER_EPOCH");
  }
  SECTION("and the deadline holds") {
    t.reply(kafka_error::stale_member_epoch);
    t.step();
    t.now += 60s;
    CHECK(t.step() == "finished A0:STALE_MEMBER_EPOCH A1:STALE_MEMBER_EPOCH");
  }
}

TEST_CASE("commit with a stale epoch goes one by one and is never upgraded, of a broker with lease epochs (point 30)") {
  commit_harness t;
  t.settle("A0");
  t.beat(4, "A0 A1 A2");
  t.commit({{"A0", 1}, {"A1", 2}, {"A2", 3}});
  CHECK(t.step() == "commit v10 at 4: A0#1=100 A1#2=101 A2#3=102");
  t.reply(kafka_error::stale_member_epoch);
  CHECK(t.step() == "idle 60000");
  t.beat(6, "A0 A1");
  t.drained("A2", 3);
  t.run();
  CHECK(t.step() == "commit v10 at 1: A0#1=100");
  t.reply();
  CHECK(t.step() == "commit v10 at 4: A1#2=101");
  t.reply(kafka_error::stale_member_epoch);
  CHECK(t.step().substr(0, 4) == "idle");
  t.beat(7);
  CHECK(t.step() == "commit v10 at 4: A1#2=101");
  t.reply();
  CHECK(t.step() == "finished A0:ok A1:ok A2:the partition is not assigned to this consumer");
}

TEST_CASE("commit of one that stays stale holds up no other (point 30)") {
  commit_harness t;
  t.settle("A0 A1 A2");
  t.commit({{"A0", 1}, {"A1", 2}, {"A2", 3}});
  t.step();
  t.reply(kafka_error::stale_member_epoch);
  t.step();
  t.beat(2);
  CHECK(t.step() == "commit v10 at 1: A0#1=100");
  t.reply(kafka_error::stale_member_epoch);
  CHECK(t.step() == "commit v10 at 1: A1#2=101");
  t.reply();
  CHECK(t.step() == "commit v10 at 1: A2#3=102");
  t.reply();
  t.now += 60s;
  CHECK(t.step() == "finished A0:STALE_MEMBER_EPOCH A1:ok A2:ok");
}

TEST_CASE("commit learns that an unknown broker is strict (point 30)") {
  commit_harness t;
  t.settle("A0 A1");
  t.beat(5);
  t.commit({{"A0", 1}, {"A1", 2}}, commit_rules(stamp_rule::unknown, 9));
  CHECK(t.step() == "commit v9 at 1: A0#1=100 A1#2=101");
  t.reply(kafka_error::stale_member_epoch);
  CHECK(t.step().substr(0, 4) == "idle");
  CHECK(t.round->stamp() == stamp_rule::unknown);

  SECTION("an older stamp, a live lease, and no epoch moved") {
    t.beat(5);
    CHECK(t.step() == "commit v9 at 5: A0#1=100 A1#2=101");
    CHECK(t.round->stamp() == stamp_rule::current_epoch);
  }
  SECTION("not if the epoch moved") {
    t.beat(6);
    CHECK(t.step() == "commit v9 at 1: A0#1=100");
    CHECK(t.round->stamp() == stamp_rule::unknown);
    t.reply(kafka_error::stale_member_epoch);
    CHECK(t.step() == "commit v9 at 1: A1#2=101");
    t.reply(kafka_error::stale_member_epoch);
    t.step();
    t.beat(6);  // now it did not
    CHECK(t.step() == "commit v9 at 6: A0#1=100 A1#2=101");
    CHECK(t.round->stamp() == stamp_rule::current_epoch);
  }
  SECTION("not if another partition of the request was no longer ours: it may have been that one") {
    t.beat(5, "A0");
    t.drained("A1", 2);
    t.run();
    CHECK(t.step() == "commit v9 at 1: A0#1=100");
    CHECK(t.round->stamp() == stamp_rule::unknown);
    t.reply();
    CHECK(t.step() == "finished A0:ok A1:the partition is not assigned to this consumer");
  }
}

TEST_CASE("commit keeps what it learnt of a strict broker when it is told again that nothing is known (point 30)") {
  struct {
    stamp_rule before, told, after;
  } const cases[] = {
      {stamp_rule::current_epoch, stamp_rule::unknown, stamp_rule::current_epoch},
      {stamp_rule::current_epoch, stamp_rule::lease_epoch, stamp_rule::lease_epoch},
      {stamp_rule::lease_epoch, stamp_rule::unknown, stamp_rule::unknown},
      {stamp_rule::unknown, stamp_rule::current_epoch, stamp_rule::current_epoch},
  };
  for (const auto& c : cases) {
    commit_harness t;
    t.settle("A0");
    t.commit({{"A0", 1}}, commit_rules(c.before, 9));
    t.round->set_rules(commit_rules(c.told, 10));
    CHECK(t.round->stamp() == c.after);
    CHECK(t.step() == "commit v10 at 1: A0#1=100");
  }
}

TEST_CASE("commit does not take a stale current epoch for a strict broker (point 30)") {
  commit_harness t;
  t.settle("A0");
  t.commit({{"A0", 1}}, commit_rules(stamp_rule::unknown, 9));
  CHECK(t.step() == "commit v9 at 1: A0#1=100");
  t.reply(kafka_error::stale_member_epoch);
  t.step();
  t.beat(1);
  CHECK(t.step() == "commit v9 at 1: A0#1=100");
  CHECK(t.round->stamp() == stamp_rule::unknown);
}

}  // namespace commit_stamp_tests
