// Commits by name, to brokers before Kafka 4.2, of topics whose name stands for another since.

#include "catch.hpp"

#include "cluster_support.hpp"
#include "commit_harness.hpp"

namespace commit_names_tests {

using namespace membership_test;
using cluster_support::driven;
using cluster_support::response;

/// What the metadata says of topic "A", whose id the items' is.
enum class says { nothing, the_same, unknown, another };

driven metadata_that(says what) {
  driven c;
  if (what == says::nothing) return c;
  c.machine.want_ids({topic('A')});
  c.round(response().add_topic("A", topic('A'), {{1, 1}, {1, 1}}));
  if (what == says::the_same) return c;
  c.now += 300'000;
  c.round(response().add_id_error(topic('A'), kafka_error::unknown_topic_id));
  if (what == says::unknown) return c;
  c.machine.want_ids({topic('Z')});
  c.now += 300'000;
  c.round(response().add_topic("A", topic('Z'), {{1, 1}, {1, 1}}));
  return c;
}

TEST_CASE("commit by name is sent only while the name stands for the topic; by id in any case") {
  struct {
    says metadata;
    std::int16_t version;
    const char* first;
  } const cases[] = {{says::the_same, 9, "commit v9 at -1: A0#0=100"},
                     {says::nothing, 9, "finished A0:UNKNOWN_TOPIC_ID"},
                     {says::unknown, 9, "finished A0:UNKNOWN_TOPIC_ID"},
                     {says::another, 9, "finished A0:UNKNOWN_TOPIC_ID"},
                     {says::the_same, 10, "commit v10 at -1: A0#0=100"},
                     {says::nothing, 10, "commit v10 at -1: A0#0=100"},
                     {says::unknown, 10, "commit v10 at -1: A0#0=100"},
                     {says::another, 10, "commit v10 at -1: A0#0=100"}};
  for (const auto& c : cases) {
    CAPTURE(static_cast<int>(c.metadata), c.version);
    const auto known = metadata_that(c.metadata);
    commit_harness t;
    t.commit({{"A0", 0}}, commit_rules(stamp_rule::unknown, c.version));
    t.round->refuse_replaced(known.machine);
    CHECK(t.step(false) == c.first);
  }
}

TEST_CASE("commit by name that was refused for now is not repeated for a name that changed hands") {
  const auto before = metadata_that(says::the_same), after = metadata_that(says::another);
  commit_harness t;
  t.commit({{"A0", 0}}, commit_rules(stamp_rule::unknown, 9));
  t.round->refuse_replaced(before.machine);
  CHECK(t.step(false) == "commit v9 at -1: A0#0=100");
  t.round->refuse_replaced(after.machine);  // what is under way is under way
  t.reply(kafka_error::coordinator_load_in_progress);
  t.round->refuse_replaced(after.machine);
  CHECK(t.step(false) == "finished A0:UNKNOWN_TOPIC_ID");
}

TEST_CASE("commit of a topic that the coordinator does not know is repeated until the metadata says that it is gone") {
  for (const std::int16_t version : {std::int16_t{9}, std::int16_t{10}}) {
    CAPTURE(version);
    const auto before = metadata_that(says::the_same), after = metadata_that(says::unknown);
    const auto unknown = version >= 10 ? kafka_error::unknown_topic_id : kafka_error::unknown_topic_or_partition;
    const std::string sent = "commit v" + std::to_string(version) + " at -1: A0#0=100";
    commit_harness t;
    t.commit({{"A0", 0}}, commit_rules(stamp_rule::unknown, version));
    for (int times = 0; times < 3; ++times) {
      t.round->refuse_replaced(before.machine);
      CHECK(t.step(false) == sent);
      CHECK_FALSE((times == 0 && t.round->doubts_topics()));
      t.reply(unknown);
      CHECK(t.round->doubts_topics());
      t.round->refuse_replaced(before.machine);
      CHECK(t.step(false).starts_with("idle "));
      t.now += 2s;
    }
    t.round->refuse_replaced(after.machine);
    CHECK(t.step(false) == "finished A0:UNKNOWN_TOPIC_ID");
  }
}

TEST_CASE("commit by id that is refused for another reason does not ask the metadata") {
  const auto after = metadata_that(says::unknown);
  commit_harness t;
  t.commit({{"A0", 0}}, commit_rules(stamp_rule::unknown, 10));
  CHECK(t.step(false) == "commit v10 at -1: A0#0=100");
  t.reply(kafka_error::coordinator_load_in_progress);
  CHECK_FALSE(t.round->doubts_topics());
  t.now += 2s;
  t.round->refuse_replaced(after.machine);
  CHECK(t.step(false) == "commit v10 at -1: A0#0=100");
}

TEST_CASE("commit by name of a topic whose id was never known") {
  const auto known = metadata_that(says::another);
  commit_harness t;
  std::vector<commit_item> items;
  items.emplace_back(leased(topic_id_partition(uuid(), 3), 0), "A", offset_and_epoch(5));
  t.round.emplace("g", items, commit_rules(stamp_rule::unknown, 9), backoff_options(), t.now + 1s);
  t.round->refuse_replaced(known.machine);
  t.step(false);
  CHECK(t.sent->version == 9);
}

}  // namespace commit_names_tests
