#include "cluster_support.hpp"

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "catch.hpp"

namespace cluster_tests {

using namespace cluster_support;

TEST_CASE("cluster: a request names topics or ids, never both, and creates nothing (7, 8)", "[cluster]") {
  driven c;
  c.machine.want_names({"orders", "payments"});
  c.machine.want_ids({id(7)});
  const auto by_name = c.asked();
  CHECK(by_name.names == names{"orders", "payments"});
  CHECK(by_name.ids.empty());
  auto request = by_name.request();
  CHECK_FALSE(request.allow_auto_topic_creation);
  REQUIRE(request.topics);
  REQUIRE(request.topics->size() == 2);
  CHECK((*request.topics)[0].name == "orders");
  CHECK((*request.topics)[0].topic_id.is_zero());
  CHECK(c.idle() == -1);  // one at a time

  c.answer(by_name, response().add_topic("orders", id(1), {{1, 1}}).add_topic("payments", id(2), {{2, 1}}));
  const auto by_id = c.asked();
  CHECK(by_id.names.empty());
  CHECK(by_id.ids == ids{id(7)});
  request = by_id.request();
  REQUIRE(request.topics);
  REQUIRE(request.topics->size() == 1);
  CHECK_FALSE((*request.topics)[0].name);
  CHECK((*request.topics)[0].topic_id == id(7));
  CHECK_FALSE(request.allow_auto_topic_creation);
  c.answer(by_id, response().add_topic("seven", id(7), {{1, 1}}));
  CHECK(c.idle() == 300'000);
}

TEST_CASE("cluster: with nothing wanted the brokers are asked for, not all topics (7)", "[cluster]") {
  driven c;
  const auto asked = c.asked();
  const auto request = asked.request();
  REQUIRE(request.topics);  // null would be all
  CHECK(request.topics->empty());
  CHECK(c.answer(asked, response().add_broker(0, "zero", 1234)).changed);
  REQUIRE(c.machine.brokers().size() == 3);
  CHECK(c.machine.brokers()[0] == cluster::broker(0, "zero", 1234));
  CHECK(c.machine.find_broker(2) != nullptr);
  CHECK(c.machine.find_broker(3) == nullptr);
  CHECK(c.idle() == 300'000);
}

TEST_CASE("cluster: an assigned topic that a wanted name stands for is not asked for twice", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.round(response().add_topic("orders", id(1), {{1, 1}}));
  c.machine.add_id(id(1));
  CHECK(c.idle() == 300'000);
  c.now += 300'000;
  CHECK(c.round(response().add_topic("orders", id(1), {{1, 1}})).changed == false);
  CHECK(c.idle() == 300'000);
}

TEST_CASE("cluster: a held name is wanted beside those that are read, until it is released as often", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.machine.hold_names({"other", "other", "orders"});
  const auto first = c.asked();
  CHECK(first.names == names{"orders", "other"});
  c.answer(first, response().add_topic("orders", id(1), {{1, 1}}).add_topic("other", id(2), {{2, 1}}));
  CHECK(c.machine.id_of("other") == id(2));
  c.machine.want_names({"third"});  // takes nothing held away
  c.machine.release_names({"other"});
  const auto newly = c.asked();
  CHECK(newly.names == names{"third"});
  c.answer(newly, response().add_topic("third", id(3), {{2, 1}}));
  c.machine.request_refresh();
  c.now += 2000;
  const auto second = c.asked();
  CHECK(second.names == names{"orders", "other", "third"});
  c.machine.release_names({"other", "orders"});
  c.answer(second, response().add_topic("third", id(3), {{2, 1}}));
  c.machine.request_refresh();
  c.now += 2000;
  CHECK(c.asked().names == names{"third"});
  CHECK(!c.machine.leader_of(topic_id_partition(id(2), 0)));
}

TEST_CASE("cluster: an unknown id beside a good one (8)", "[cluster]") {
  driven c;
  c.machine.want_ids({id(1), id(2)});
  c.round(response().add_id_error(id(2), kafka_error::unknown_topic_id).add_topic("orders", id(1), {{1, 4}}));
  CHECK(c.machine.name_of(id(1)) == "orders");
  CHECK(c.machine.id_of("orders") == id(1));
  CHECK(c.leader(1, 0) == leader(1, 4));
  CHECK_FALSE(c.machine.name_of(id(2)));
  CHECK(c.machine.topic_error(id(2)) == kafka_error::unknown_topic_id);
  c.now += c.idle();
  CHECK(c.asked().ids == ids{id(2)});
  c.machine.on_disconnected(at_ms(c.now), no_jitter);
  c.machine.remove_id(id(2));
  c.now += 1000;
  CHECK(c.idle() > 200'000);
  CHECK(c.machine.topic_error(id(2)) == kafka_error::none);
}

TEST_CASE("cluster: denied topics are named", "[cluster]") {
  driven c;
  c.machine.want_names({"a", "b", "c"});
  c.round(response()
              .add_name_error("a", kafka_error::topic_authorization_failed)
              .add_name_error("b", kafka_error::unknown_topic_or_partition)
              .add_name_error("c", kafka_error::topic_authorization_failed));
  CHECK(c.machine.denied_topics() == names{"a", "c"});
  CHECK(c.machine.topic_error("b") == kafka_error::unknown_topic_or_partition);
  c.machine.want_names({"b", "c"});
  CHECK(c.machine.denied_topics() == names{"c"});
}

TEST_CASE("cluster: the highest leader epoch counts (10)", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.round(response().add_topic("orders", id(1), {{1, 5}}));
  struct {
    leader told, then;
  } const rows[] = {
      {{2, 4}, {1, 5}},    // older: ignored
      {{2, 5}, {2, 5}},    // the same
      {{1, 6}, {1, 6}},    // newer
      {{2, -1}, {1, 6}},   // unknown: ignored
      {{-1, 6}, {-1, -1}}, // the leader is gone
      {{2, 5}, {-1, -1}},  // and an older one is still not believed
      {{2, 7}, {2, 7}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.told);
    c.now += 400'000;
    c.round(response().add_topic("orders", id(1), {row.told}));
    CHECK(c.leader(1, 0) == row.then);
  }
}

TEST_CASE("cluster: an answer with fewer partitions, or none, takes nothing away", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.round(response().add_topic("orders", id(1), {{1, 5}, {2, 5}, {1, 5}}));
  CHECK(c.machine.partition_count(id(1)) == 3);
  c.now += 300'000;
  c.round(response().add_topic("orders", id(1), {{1, 5}}));
  CHECK(c.machine.partition_count(id(1)) == 3);
  c.now += 300'000;
  CHECK(c.round(response({}).add_name_error("orders", kafka_error::unknown_topic_or_partition)).changed);
  CHECK(c.leader(1, 2) == leader(1, 5));
  CHECK(c.machine.brokers().size() == 2);
  CHECK(c.machine.topic_error("orders") == kafka_error::unknown_topic_or_partition);
  c.now += c.idle();
  CHECK(c.round(response().add_topic("orders", id(1), {{1, 5}, {2, 5}, {1, 5}, {2, 0}})).changed);
  CHECK(c.machine.partition_count(id(1)) == 4);
}

TEST_CASE("cluster: a leader without error code, a partition error that carries data (10)", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  auto r = response().add_topic("orders", id(1), {{1, 5}});
  r.topics[0].partitions[0].error_code = static_cast<std::int16_t>(kafka_error::replica_not_available);
  c.round(r);
  CHECK(c.leader(1, 0) == leader(1, 5));
}

TEST_CASE("cluster: hints of a new leader count if the epoch is newer (33)", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.round(response().add_topic("orders", id(1), {{1, 5}}));
  const topic_id_partition p(id(1), 0);
  const auto version = c.machine.version();
  CHECK_FALSE(c.machine.on_leader_hint(p, 2, 5));
  CHECK_FALSE(c.machine.on_leader_hint(p, 2, 4));
  CHECK_FALSE(c.machine.on_leader_hint(p, -1, 6));
  CHECK_FALSE(c.machine.on_leader_hint(topic_id_partition(id(1), 1), 2, 6));
  CHECK_FALSE(c.machine.on_leader_hint(topic_id_partition(id(9), 0), 2, 6));
  CHECK(c.machine.version() == version);
  CHECK(c.machine.on_leader_hint(p, 2, 6));
  CHECK(c.leader(1, 0) == leader(2, 6));
  CHECK(c.machine.version() != version);

  // A broker that metadata does not list yet.
  CHECK(c.machine.on_leader_hint(p, 8, 7));
  CHECK(c.leader(1, 0) == leader(-1, -1));
  c.machine.on_broker_hint(cluster::broker(8, "eight", 9092, "rack"));
  c.machine.on_broker_hint(cluster::broker(9, "", 9092));
  c.machine.on_broker_hint(cluster::broker(9, "nine", 70000));
  CHECK(c.leader(1, 0) == leader(8, 7));
  CHECK(c.machine.find_broker(8)->rack == "rack");
  CHECK(c.machine.find_broker(9) == nullptr);
  c.machine.on_broker_hint(cluster::broker(8, "moved", 9092));
  CHECK(c.machine.find_broker(8)->host == "moved");
}

TEST_CASE("cluster: a topic created again has another id, and the old one's name is still known (31)", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.round(response().add_topic("orders", id(1), {{1, 5}}));
  c.machine.add_id(id(1));
  c.now += 300'000;
  CHECK(c.round(response().add_topic("orders", id(2), {{2, 0}})).changed);
  CHECK(c.machine.id_of("orders") == id(2));
  CHECK(c.machine.name_of(id(1)) == "orders");
  CHECK(c.leader(2, 0) == leader(2, 0));  // its epochs begin anew
  // The old one is still assigned; whether it exists is asked by its id.
  CHECK(c.asked().ids == ids{id(1)});
  c.machine.on_metadata(response().add_id_error(id(1), kafka_error::unknown_topic_id), cluster::fetch_metadata{{}, {id(1)}},
                        at_ms(c.now), no_jitter);
  CHECK(c.machine.id_of("orders") == id(2));
  c.machine.remove_id(id(1));
  c.machine.add_id(id(2));
  CHECK(c.idle() > 1000);
  CHECK(c.machine.name_of(id(1)) == "orders");
}

TEST_CASE("cluster: by ids alone, a name goes over to the new id when the old one is gone", "[cluster]") {
  driven c;
  c.machine.want_ids({id(1)});
  c.round(response().add_topic("orders", id(1), {{1, 5}}));
  c.machine.add_id(id(2));
  SECTION("a broker that does not know of the deletion yet") {
    c.round(response().add_topic("orders", id(2), {{1, 0}}));
    CHECK(c.machine.id_of("orders") == id(1));
    c.machine.request_refresh();
    c.now += 5000;
    c.round(response().add_topic("orders", id(2), {{1, 0}}).add_id_error(id(1), kafka_error::unknown_topic_id));
    CHECK(c.machine.id_of("orders") == id(2));
  }
  SECTION("the assignment is gone") {
    c.machine.remove_id(id(1));
    c.round(response().add_topic("orders", id(2), {{1, 0}}));
    CHECK(c.machine.id_of("orders") == id(2));
  }
}

TEST_CASE("cluster: what was not asked for is not kept", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.round(response().add_topic("orders", id(1), {{1, 1}}).add_topic("other", id(2), {{1, 1}}).add_name_error(
      "third", kafka_error::topic_authorization_failed));
  CHECK_FALSE(c.machine.id_of("other"));
  CHECK_FALSE(c.machine.name_of(id(2)));
  CHECK(c.machine.denied_topics().empty());
}

TEST_CASE("cluster: names outlive their topics, but not for ever", "[cluster]") {
  driven c;
  c.round(response());
  c.machine.add_id(id(1));
  c.round(response().add_topic("kept", id(1), {{1, 1}}));
  for (int n = 0; n < 10'000; ++n) {
    uuid other = id(2);
    other.bytes[0] = static_cast<std::byte>(n & 255);
    other.bytes[1] = static_cast<std::byte>(n >> 8);
    c.machine.add_id(other);
    const auto name = "topic-" + std::to_string(n);
    c.round(response().add_topic(name, other, {{1, 1}}));
    c.machine.remove_id(other);
    if (n == 10) CHECK(c.machine.name_of(other) == name);
  }
  CHECK(c.machine.name_of(id(1)) == "kept");
  CHECK_FALSE(c.machine.name_of(id(2)));  // n == 0
  CHECK_FALSE(c.machine.id_of("topic-0"));
  CHECK(c.machine.id_of("topic-9999"));
}

TEST_CASE("cluster: hostile answers", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.machine.want_ids({id(1)});
  auto r = response({-5, 1});
  r.add_broker(1, "other", 1).add_broker(3, "", 9092).add_broker(4, "h", 0).add_broker(5, "h", 65536);
  r.add_topic("orders", uuid(), {{1, 1}});  // no id, and no error
  r.add_topic("orders", id(1), {{1, 1}});
  auto& partitions = r.topics.back().partitions;
  partitions.push_back(partitions[0]);
  partitions.push_back(partitions[0]);
  partitions.back().partition_index = std::numeric_limits<std::int32_t>::max();
  partitions.push_back(partitions[0]);
  partitions.back().partition_index = -1;
  r.topics.emplace_back();  // neither name nor id
  r.topics.back().name.reset();
  c.round(r);
  CHECK(c.machine.brokers() == std::vector<cluster::broker>{cluster::broker(1, "other", 1)});
  CHECK(c.machine.partition_count(id(1)) == 2);
  CHECK(c.leader(1, -1) == leader(-1, -1));
  CHECK(c.machine.id_of("orders") == id(1));
}

}  // namespace cluster_tests
