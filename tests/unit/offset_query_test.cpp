#include <kawait/machine/offset_query.hpp>

#include "position_finder_support.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"

namespace offset_query_tests {

using namespace position_finder_support;
using kawait::topic_partition;
using machine::offset_query;

constexpr std::int64_t limit = 10'000;

/// A query of a cluster in which node 1 leads a-0 and a-1, node 2 a-2 and b-0; and the time.
struct asked {
  explicit asked(std::vector<offset_query::wish> wishes, bool known = true)
      : query(offset_query::options(1, milliseconds(30'000), machine::backoff_options(milliseconds(100), milliseconds(1000)), at_ms(limit)),
              std::move(wishes)) {
    if (known) tell(metadata, {{"a", id(1), {1, 1, 2}}, {"b", id(2), {2}}}, 0);
  }
  template <class Effect>
  Effect expect() {
    auto effect = query.poll(at_ms(now), metadata);
    CAPTURE(effect.index());
    REQUIRE(std::holds_alternative<Effect>(effect));
    return std::get<Effect>(std::move(effect));
  }
  void pass_idle() {
    const auto until = expect<machine::idle>().until;
    REQUIRE(until > at_ms(now));
    REQUIRE(until <= at_ms(limit));
    now = std::chrono::duration_cast<milliseconds>(until - at_ms(0)).count();
  }
  /// Until it has ended, with all questions that it asks unanswered.
  offset_query::finished end() {
    for (int steps = 0; steps < 1000; ++steps) {
      auto effect = query.poll(at_ms(now), metadata);
      if (auto* const f = std::get_if<offset_query::finished>(&effect)) return std::move(*f);
      if (const auto* const pause = std::get_if<machine::idle>(&effect)) {
        REQUIRE(pause->until > at_ms(now));
        now = std::chrono::duration_cast<milliseconds>(pause->until - at_ms(0)).count();
      }
    }
    FAIL("it does not end");
    return {};
  }
  void answer(std::int32_t node, const list_offsets_response& r) { query.on_list_offsets(node, r, at_ms(now), 0); }

  offset_query query;
  cluster metadata;
  std::int64_t now = 0;
};

TEST_CASE("offset_query: each leader is asked once for all its partitions", "[offset_query]") {
  asked q({{topic_partition("a", 0), -2}, {topic_partition("a", 2), 55}, {topic_partition("b", 0), -1}});
  const auto first = q.expect<offset_query::list_offsets>();
  CHECK(first.node == 1);
  CHECK(first.isolation_level == 1);
  CHECK(first.request().topics.size() == 1);
  CHECK(first.request().topics[0].partitions[0].timestamp == -2);
  const auto second = q.expect<offset_query::list_offsets>();
  CHECK(second.node == 2);
  CHECK(second.items.size() == 2);
  CHECK(q.expect<machine::idle>().until == at_ms(limit));
  auto told = lists({{"a", 2, -1, -1}, {"b", 0, 70, 4}});
  q.answer(2, told);
  told = lists({{"a", 0, 3, 1}});
  told.topics[0].partitions[0].timestamp = 1234;
  q.answer(1, told);
  const auto all = q.expect<offset_query::finished>();
  CHECK(!all.why);
  REQUIRE(all.answers.size() == 3);
  CHECK(all.answers[0].offset == 3);
  CHECK(all.answers[0].timestamp == 1234);
  CHECK(all.answers[1].offset == -1);
  CHECK(all.answers[2].offset == 70);
}

TEST_CASE("offset_query: nothing is asked of nobody", "[offset_query]") {
  asked q({}, false);
  const auto all = q.expect<offset_query::finished>();
  CHECK(!all.why);
  CHECK(all.answers.empty());
}

TEST_CASE("offset_query: what may pass is asked again, of the new leader", "[offset_query]") {
  asked q({{topic_partition("a", 0), -1}});
  CHECK(q.expect<offset_query::list_offsets>().node == 1);
  q.answer(1, lists({{"a", 0, -1, -1, kafka_error::not_leader_or_follower}}));
  q.expect<offset_query::refresh_metadata>();
  tell(q.metadata, {{"a", id(1), {3, 1, 2}}}, q.now, 1);
  q.pass_idle();
  CHECK(q.expect<offset_query::list_offsets>().node == 3);
  q.query.on_list_offsets_failed(3, failure(errc::connection_closed), at_ms(q.now), 0);
  q.expect<offset_query::refresh_metadata>();
  q.pass_idle();
  CHECK(q.expect<offset_query::list_offsets>().node == 3);
  q.answer(3, lists({{"a", 0, 9, 5}}));
  CHECK(q.expect<offset_query::finished>().answers[0].offset == 9);
}

TEST_CASE("offset_query: how it fails, and with which words", "[offset_query]") {
  SECTION("a refusal, at once") {
    asked q({{topic_partition("a", 0), -1}, {topic_partition("a", 1), -1}});
    q.expect<offset_query::list_offsets>();
    q.answer(1, lists({{"a", 0, 9, 5}, {"a", 1, -1, -1, kafka_error::topic_authorization_failed}}));
    const auto end = q.expect<offset_query::finished>();
    CHECK(end.why.code == kafka_error::topic_authorization_failed);
    CHECK(end.why.words == "a-1");
    CHECK(end.answers.empty());
  }
  SECTION("no such topic") {
    asked q({{topic_partition("a", 0), -1}, {topic_partition("none", 4), -1}});
    const auto end = q.end();
    CHECK(q.now == limit);
    CHECK(end.why.code == errc::request_timeout);  // nobody answered for a-0
    CHECK(end.why.words == "a-0");
    asked r({{topic_partition("none", 4), -1}});
    const auto unknown = r.end();
    CHECK(r.now == limit);
    CHECK(unknown.why.code == kafka_error::unknown_topic_or_partition);
    CHECK(unknown.why.words == "none-4");
  }
  SECTION("no such partition: metadata is asked, but not without pause") {
    asked q({{topic_partition("b", 1), -1}});
    q.expect<offset_query::refresh_metadata>();
    CHECK(q.expect<machine::idle>().until == at_ms(1000));
    const auto end = q.end();
    CHECK(end.why.code == kafka_error::unknown_topic_or_partition);
    CHECK(end.why.words == "b-1");
  }
  SECTION("no broker") {
    asked q({{topic_partition("a", 0), -1}}, false);
    const auto end = q.end();
    CHECK(end.why.code == errc::request_timeout);
    CHECK(end.why.words.find("a-0: no broker") == 0);
  }
  SECTION("the last of many errors is told") {
    asked q({{topic_partition("a", 0), -1}});
    q.expect<offset_query::list_offsets>();
    q.answer(1, lists({{"a", 0, -1, -1, kafka_error::offset_not_available}}));
    const auto end = q.end();
    CHECK(end.why.code == errc::request_timeout);
    CHECK(end.why.words.find("a-0: OFFSET_NOT_AVAILABLE") == 0);
  }
}

TEST_CASE("offset_query: a partition that comes to be, and a topic created again", "[offset_query]") {
  asked q({{topic_partition("b", 1), -1}});
  q.expect<offset_query::refresh_metadata>();
  tell(q.metadata, {{"b", id(2), {2, 3}}}, q.now, 1);
  CHECK(q.expect<offset_query::list_offsets>().node == 3);
  tell(q.metadata, {{"b", id(4), {2, 2}}}, q.now, 1);
  const auto again = q.expect<offset_query::list_offsets>();
  CHECK(again.node == 2);
  CHECK(again.items[0].lease.partition.topic_id == id(4));
  q.answer(3, lists({{"b", 1, 500, 1}}));  // of the one that is gone
  CHECK(q.expect<machine::idle>().until == at_ms(limit));
  q.answer(2, lists({{"b", 1, 0, 0}}));
  CHECK(q.expect<offset_query::finished>().answers[0].offset == 0);
}

}  // namespace offset_query_tests
