#include "catch.hpp"

#include "commit_harness.hpp"

namespace commit_tests {

using namespace membership_test;

TEST_CASE("commit of nothing is finished") {
  commit_harness t;
  t.settle("A0");
  t.commit({});
  CHECK(t.step() == "finished");
  CHECK(t.step() == "idle");
}

TEST_CASE("commit names what a request must name (points 30, 31)") {
  commit_harness t;
  t.settle("A0 A1 B0");
  t.commit({{"A0", 1}, {"B0", 3}, {"A1", 2}});
  CHECK(t.step() == "commit v10 at 1: A0#1=100 B0#3=101 A1#2=102");
  CHECK(t.step() == "idle 60000");
  const auto r = t.sent->request();
  CHECK(r.group_id == "g");
  CHECK(r.member_id == "m");
  CHECK(r.generation_id_or_member_epoch == 1);
  CHECK_FALSE(r.group_instance_id.has_value());
  REQUIRE(r.topics.size() == 2);
  CHECK(r.topics[0].name == "A");
  CHECK(r.topics[0].topic_id == topic('A'));
  REQUIRE(r.topics[0].partitions.size() == 2);
  CHECK(r.topics[0].partitions[1].partition_index == 1);
  CHECK(r.topics[0].partitions[1].committed_offset == 102);
  CHECK(r.topics[0].partitions[1].committed_leader_epoch == 7);
  CHECK(r.topics[0].partitions[1].committed_metadata == "meta");
  CHECK(r.topics[1].topic_id == topic('B'));
  CHECK(t.sent->leases() == std::vector<leased>{lease("A0", 1), lease("B0", 3), lease("A1", 2)});
  t.reply();
  CHECK(t.step() == "finished A0:ok B0:ok A1:ok");
}

TEST_CASE("commit by name and by id (point 31)") {
  struct {
    std::int16_t version;
    const char* item;
    const char* sent;
  } const cases[] = {{9, "A0", "commit v9 at -1: A0#0=100"},
                     {10, "A0", "commit v10 at -1: A0#0=100"},
                     {11, "A0", "commit v10 at -1: A0#0=100"}};
  for (const auto& c : cases) {
    commit_harness t;
    t.commit({{c.item, 0}}, commit_rules(stamp_rule::unknown, c.version));
    CHECK(t.step(false) == c.sent);
    t.reply();
    CHECK(t.step(false) == "finished A0:ok");
  }
  commit_harness t;  // an id that was never resolved
  std::vector<commit_item> items;
  items.emplace_back(leased(topic_id_partition(uuid(), 3), 0), "t", offset_and_epoch(5));
  t.round.emplace("g", items, commit_rules(stamp_rule::unknown, 10), backoff_options(), t.now + 1s);
  t.step(false);
  CHECK(t.sent->version == 9);
}

TEST_CASE("commit without a membership has no member and no epoch") {
  commit_harness t;
  t.commit({{"A0", 0}});
  CHECK(t.step(false) == "commit v10 at -1: A0#0=100");
  CHECK(t.sent->member_id.empty());
  CHECK_FALSE(t.sent->instance_id.has_value());
  SECTION("there is no heartbeat to wait for") {
    t.reply(kafka_error::stale_member_epoch);
    CHECK(t.step(false) == "finished A0:STALE_MEMBER_EPOCH");
  }
  SECTION("a group with members refuses it") {
    t.reply(kafka_error::unknown_member_id);
    CHECK(t.step(false) == "finished A0:UNKNOWN_MEMBER_ID");
  }
}

TEST_CASE("commit of a static member says its instance") {
  commit_harness t;
  t.m = membership(harness::static_options());
  t.settle("A0");
  t.commit({{"A0", 1}});
  t.step();
  CHECK(t.sent->request().group_instance_id == "i");
}

TEST_CASE("commit names only live leases at every send (point 29 a)") {
  commit_harness t;
  t.settle("A0 A1");
  SECTION("from the first") {
    t.commit({{"A0", 1}, {"A1", 1}, {"C0", 9}});  // an older generation, and one that never was
    CHECK(t.step() == "commit v10 at 1: A0#1=100");
    t.reply();
    CHECK(t.step() ==
          "finished A0:ok A1:the partition is not assigned to this consumer C0:the partition is not assigned to this consumer");
  }
  SECTION("at a repetition") {
    t.commit({{"A0", 1}, {"A1", 2}});
    t.step();
    t.reply(kafka_error::coordinator_load_in_progress);
    CHECK(t.step() == "idle 80");
    t.beat(1, "A0");
    t.drained("A1", 2);
    CHECK(t.step() == "commit v10 at 1: A0#1=100");
    t.reply();
    CHECK(t.step() == "finished A0:ok A1:the partition is not assigned to this consumer");
  }
  SECTION("those being revoked among them") {
    t.beat(1, "A0");
    t.commit({{"A0", 1}, {"A1", 2}});
    CHECK(t.step() == "commit v10 at 1: A0#1=100 A1#2=101");
  }
  SECTION("none is left: nothing is sent") {
    t.beat(1, "");
    t.drained("A0", 1);
    t.commit({{"A0", 1}});
    CHECK(t.step() == "finished A0:the partition is not assigned to this consumer");
  }
  SECTION("lost is said as such") {
    t.commit({{"A0", 1}});
    t.step();
    t.reply(kafka_error::coordinator_load_in_progress);
    while (!t.m.heartbeat_in_flight()) {
      t.now += 1s;
      t.run();
    }
    t.refuse(kafka_error::unknown_member_id);
    CHECK(t.step() == "finished A0:the partition was lost");
  }
  SECTION("the same partition again is not the same lease (point 12)") {
    t.commit({{"A0", 1}});
    t.step();
    t.reply(kafka_error::coordinator_load_in_progress);
    while (!t.m.heartbeat_in_flight()) {
      t.now += 1s;
      t.run();
    }
    t.refuse(kafka_error::unknown_member_id);
    t.run();
    t.answer(1, "A0 A1");
    t.run();
    CHECK(t.m.holds(lease("A0", 3)));
    CHECK(t.step() == "finished A0:the partition was lost");
  }
}

TEST_CASE("commit errors (point 32)") {
  struct {
    kafka_error code;
    const char* then;  // the next effect
  } const cases[] = {
      {kafka_error::unknown_member_id, "finished A0:UNKNOWN_MEMBER_ID"},
      {kafka_error::group_id_not_found, "finished A0:GROUP_ID_NOT_FOUND"},
      {kafka_error::fenced_member_epoch, "finished A0:FENCED_MEMBER_EPOCH"},
      {kafka_error::fenced_instance_id, "finished A0:FENCED_INSTANCE_ID"},
      {kafka_error::offset_metadata_too_large, "finished A0:OFFSET_METADATA_TOO_LARGE"},
      {kafka_error::invalid_commit_offset_size, "finished A0:INVALID_COMMIT_OFFSET_SIZE"},
      {kafka_error::topic_authorization_failed, "finished A0:TOPIC_AUTHORIZATION_FAILED"},
      {kafka_error::group_authorization_failed, "finished A0:GROUP_AUTHORIZATION_FAILED"},
      {kafka_error::unknown_server_error, "finished A0:UNKNOWN_SERVER_ERROR"},
      {static_cast<kafka_error>(9999), "finished A0:unknown Kafka error code 9999"},
      {kafka_error::coordinator_load_in_progress, "idle 80"},
      {kafka_error::unknown_topic_id, "idle 80"},
      {kafka_error::unknown_topic_or_partition, "idle 80"},
      {kafka_error::not_coordinator, "find coordinator"},
      {kafka_error::coordinator_not_available, "find coordinator"},
      {kafka_error::request_timed_out, "find coordinator"},
  };
  for (const auto& c : cases) {
    const auto name = make_error_code(c.code).message();
    CAPTURE(name);
    commit_harness t;
    t.settle("A0");
    t.commit({{"A0", 1}});
    t.step();
    t.reply(c.code);
    CHECK(t.step() == c.then);
    if (std::string_view(c.then).substr(0, 8) == "finished") continue;
    t.now += 80ms;
    CHECK(t.step() == "commit v10 at 1: A0#1=100");
    t.reply(c.code);
    t.now += 60s;
    std::string last;
    for (int i = 0; i < 2 && last.substr(0, 8) != "finished"; ++i) last = t.step();
    CHECK(last == "finished A0:" + name);  // within the deadline only
  }
}

TEST_CASE("commit looks the coordinator up at once the first time, then with pauses (points 10, 32)") {
  commit_harness t;
  t.settle("A0 A1");
  t.commit({{"A0", 1}, {"A1", 2}});
  t.step();
  t.reply(kafka_error::not_coordinator);
  CHECK(t.step() == "find coordinator");
  CHECK(t.step() == "commit v10 at 1: A0#1=100 A1#2=101");
  t.reply(kafka_error::not_coordinator);
  CHECK(t.step() == "find coordinator");
  CHECK(t.step() == "idle 160");
}

TEST_CASE("commit repeats only what is not decided") {
  commit_harness t;
  t.settle("A0 A1 A2");
  t.commit({{"A0", 1}, {"A1", 2}, {"A2", 3}});
  t.step();
  t.reply(kafka_error::none, {{"A1", kafka_error::unknown_topic_or_partition}, {"A2", kafka_error::topic_authorization_failed}});
  CHECK(t.step() == "idle 80");
  t.now += 80ms;
  CHECK(t.step() == "commit v10 at 1: A1#2=101");
  t.reply();
  CHECK(t.step() == "finished A0:ok A1:ok A2:TOPIC_AUTHORIZATION_FAILED");
}

TEST_CASE("commit that is not answered is repeated after a look-up (point 10)") {
  commit_harness t;
  t.settle("A0");
  t.commit({{"A0", 1}}, commit_rules(stamp_rule::lease_epoch, 10), 1s);
  t.step();
  t.round->on_disconnected(t.now, 0);
  CHECK(t.step() == "find coordinator");
  CHECK(t.step() == "idle 80");
  t.now += 80ms;
  CHECK(t.step() == "commit v10 at 1: A0#1=100");
  CHECK(t.step() == "idle 920");
  t.now += 920ms;
  CHECK(t.step() == "finished A0:no answer within request.timeout.ms");
  t.reply();  // too late
  CHECK(t.step() == "idle");
  t.round->on_disconnected(t.now, 0);
  CHECK(t.step() == "idle");
}

TEST_CASE("commit whose deadline has passed sends nothing") {
  commit_harness t;
  t.settle("A0");
  t.commit({{"A0", 1}}, commit_rules(), 0ms);
  CHECK(t.step() == "finished A0:no answer within request.timeout.ms");
}

TEST_CASE("commit survives hostile answers") {
  commit_harness t;
  t.settle("A0 A1");
  t.commit({{"A0", 1}, {"A1", 2}});
  kawait::protocol::offset_commit_response r;
  t.round->on_response(r, t.now, 0);  // nobody asked
  t.step();
  SECTION("empty") {
    t.round->on_response(r, t.now, 0);
    CHECK(t.step() == "finished A0:malformed response A1:malformed response");
  }
  SECTION("of other topics and partitions, and twice") {
    for (const char name : {'Z', 'A', 'A'}) {
      auto& topic_answer = r.topics.emplace_back();
      topic_answer.topic_id = topic(name);
      for (const int p : {-1, 0, 7}) {
        auto& a = topic_answer.partitions.emplace_back();
        a.partition_index = p;
        a.error_code = 0;
      }
    }
    t.round->on_response(r, t.now, 0);
    CHECK(t.step() == "finished A0:ok A1:malformed response");
  }
}

}  // namespace commit_tests
