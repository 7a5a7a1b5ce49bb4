// Every error that a coordinator may answer a heartbeat with, in virtual time: what is waited out, what is looked up, what ends the
// member, and what it keeps meanwhile. The numbers are those of the protocol notes.

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

/// Errors that cost a member nothing.
const kafka_error passing[] = {kafka_error::not_coordinator, kafka_error::coordinator_not_available,
                               kafka_error::coordinator_load_in_progress, kafka_error::request_timed_out,
                               kafka_error::network_exception};

// Points 10 and 11.
TEST_CASE("a join that is refused for now is repeated", "[group]") {
  for (const kafka_error e : passing) {
    CAPTURE(static_cast<int>(e));
    story s;
    s.write_all(2);
    s.next(api_key::consumer_group_heartbeat, times(5, answer_with(e)));
    actor& a = s.join("a");
    REQUIRE(s.until_done(2, 30s));
    CHECK(s.has_happened(api_key::consumer_group_heartbeat));
    CHECK(s.log.all().size() == 2);
    CHECK(!a.has_ended);
  }
}

TEST_CASE("a heartbeat that is refused for now costs nothing, and fetching goes on meanwhile", "[group]") {
  for (const auto g : generations) {
    for (const kafka_error e : passing) {
      CAPTURE(static_cast<int>(g), static_cast<int>(e));
      story s(2, of_generation(g));
      actor& a = s.join("a");
      s.write_all(2);
      REQUIRE(s.until_done(2));
      bool refuse = true;
      s.otherwise = [&](const testing::request_view& r) {
        return refuse && r.api == api_key::consumer_group_heartbeat ? answer_with(e) : fault();
      };
      for (int i = 0; i < 20; ++i) {  // well within the session
        const std::size_t before = s.log.records();
        s.write_all(2, 3);
        s.world.advance(1s);
        CHECK(s.log.records() == before + 6);
      }
      refuse = false;
      REQUIRE(s.until_done(2, 15s));
      s.world.advance(1min);
      CHECK(s.log.all().size() == 2);
      CHECK(s.log.repeated() == 0);
      CHECK(a.owned() == index_set{0, 1});
    }
  }
}

// Point 10: look-ups may go on naming a node that refuses. The first look-up is at once, then with pauses of up to a second.
TEST_CASE("a coordinator that says it is none, and is named again and again, is not asked without pause", "[group]") {
  for (const kafka_error e : {kafka_error::not_coordinator, kafka_error::coordinator_not_available}) {
    CAPTURE(static_cast<int>(e));
    story s(2, nodes(3));
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until_done(2));
    s.world.advance(10s);
    const std::size_t looked_up = s.count(api_key::find_coordinator);
    std::vector<kawait::net::time_point> beats;
    s.otherwise = [&](const testing::request_view& r) {
      if (r.api != api_key::consumer_group_heartbeat) return fault();
      beats.push_back(r.at);
      return answer_with(e);
    };
    REQUIRE(s.until([&] { return beats.size() == 2; }, 10s));
    CHECK(beats[1] == beats[0]);  // at once, the first time
    CHECK(s.count(api_key::find_coordinator) > looked_up);
    s.world.advance(20s);
    CHECK(beats.size() >= 20);
    CHECK(beats.size() <= 40);
    CHECK(s.count(api_key::find_coordinator) - looked_up <= beats.size() + 1);
    s.otherwise = nullptr;
    s.write_all(2);
    REQUIRE(s.until_done(2, 15s));
    CHECK(s.log.all().size() == 2);
    CHECK(!a.has_ended);
  }
}

TEST_CASE("a coordinator that is loading is waited for, without looking another up", "[group]") {
  story s(2, nodes(3));
  actor& a = s.join("a");
  s.write_all(2);
  REQUIRE(s.until_done(2));
  const std::size_t looked_up = s.count(api_key::find_coordinator);
  const std::size_t before = s.count(api_key::consumer_group_heartbeat);
  s.next(api_key::consumer_group_heartbeat, times(20, answer_with(kafka_error::coordinator_load_in_progress)));
  REQUIRE(s.until([&] { return s.has_happened(api_key::consumer_group_heartbeat); }, 1min));
  CHECK(s.count(api_key::find_coordinator) == looked_up);
  CHECK(s.count(api_key::consumer_group_heartbeat) >= before + 20);
  CHECK(a.owned() == index_set{0, 1});
}

TEST_CASE("look-ups that fail are repeated with pauses", "[group]") {
  for (const kafka_error e : {kafka_error::coordinator_not_available, kafka_error::coordinator_load_in_progress}) {
    CAPTURE(static_cast<int>(e));
    story s;
    s.write_all(2);
    const auto began = s.world.now();
    s.next(api_key::find_coordinator, times(10, answer_with(e)));
    s.join("a");
    REQUIRE(s.until_done(2, 1min));
    CHECK(s.world.now() - began >= 5s);
  }
}

// Points 14 and 15: what no retry can mend ends the consumer with the broker's code; nothing that was its own is claimed any longer.
const kafka_error final_errors[] = {kafka_error::invalid_request,
                                    kafka_error::group_max_size_reached,
                                    kafka_error::unsupported_assignor,
                                    kafka_error::unsupported_version,
                                    kafka_error::invalid_regular_expression,
                                    kafka_error::group_authorization_failed,
                                    kafka_error::fenced_instance_id,
                                    kafka_error::unknown_server_error,
                                    static_cast<kafka_error>(9999)};

TEST_CASE("a join that is refused for good ends the consumer with that error", "[group]") {
  for (const kafka_error e : final_errors) {
    CAPTURE(static_cast<int>(e));
    story s;
    s.next(api_key::consumer_group_heartbeat, {answer_with(e)});
    actor& a = s.join("a");
    REQUIRE(s.until([&] { return a.has_ended; }, 1min));
    CHECK(a.error() == e);
    CHECK(s.log.all().empty());
    s.world.advance(1min);
    CHECK(s.count(api_key::consumer_group_heartbeat) == 1);
  }
  // At epoch 0: a classic group that cannot be upgraded.
  story s;
  s.next(api_key::consumer_group_heartbeat, {answer_with(kafka_error::group_id_not_found)});
  actor& a = s.join("a");
  REQUIRE(s.until([&] { return a.has_ended; }, 1min));
  CHECK(a.error() == kafka_error::group_id_not_found);
}

TEST_CASE("a heartbeat that is refused for good loses all and ends the consumer", "[group]") {
  std::vector<kafka_error> all(std::begin(final_errors), std::end(final_errors));
  all.push_back(kafka_error::unreleased_instance_id);  // point 14: a matter of joining only
  for (const kafka_error e : all) {
    CAPTURE(static_cast<int>(e));
    story s;
    actor& a = s.join("a");
    a.held = {1};
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20; }));
    s.next(api_key::consumer_group_heartbeat, {answer_with(e)});
    REQUIRE(s.until([&] { return a.has_ended; }, 1min));
    CHECK(a.error() == e);
    CHECK(s.log.ended(kawait::end_reason::lost) == 2);
    const std::size_t before = s.log.records();
    s.write_all(2);
    s.world.advance(1min);
    CHECK(s.log.records() == before);
    CHECK(!s.broker.committed("g", "orders", 1));  // it was never done
  }
}

TEST_CASE("what a coordinator refuses by itself: a full group, and an assignor that it has not", "[group]") {
  testing::broker_options o;
  o.group.max_size = 1;
  story s(2, o);
  actor& a = s.join("a");
  REQUIRE(s.until([&] { return a.owned().size() == 2; }));
  actor& b = s.join("b");
  REQUIRE(s.until([&] { return b.has_ended; }, 1min));
  CHECK(b.error() == kafka_error::group_max_size_reached);
  CHECK(a.owned().size() == 2);
  CHECK(!a.has_ended);

  story t;
  actor& c = t.join("c", t.settings("c").remote_assignor("absent"));
  REQUIRE(t.until([&] { return c.has_ended; }, 1min));
  CHECK(c.error() == kafka_error::unsupported_assignor);
}

// Point 15: a laptop that slept. The sole member's session ends and the group is forgotten, which it is told with its next heartbeat.
TEST_CASE("a member whose group is gone comes back", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    testing::broker_options o = of_generation(g);
    o.group.empty_group_expiry = 1s;
    story s(2, o);
    actor& a = s.join("a", s.settings("a").auto_commit_interval(1h));  // offsets would keep the group
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.records() == 20; }));
    const std::string id = a.id();
    s.broker.freeze_node(1);
    s.world.advance(1h);
    CHECK(s.broker.group().groups().empty());
    s.broker.thaw_node(1);
    s.write_all(2);
    REQUIRE(s.until([&] { return s.log.ended(kawait::end_reason::lost) == 2 && a.owned().size() == 2; }, 2min));
    CHECK(s.broker.group().members("g").front().id == id);
    REQUIRE(s.until([&] { return s.log.seen(topic_id_partition(s.broker.topic_id("orders"), 0)) == 20; }, 2min));
    CHECK(!a.has_ended);
  }
}

// Point 16. The broker answers it before the coordinator sees the heartbeat, so what is said without names must keep the session alive.
TEST_CASE("topics that are denied are told and tried again; the session and the assignment stay", "[group]") {
  story s;
  s.broker.create_topic("secret", 1);
  actor& a = s.join("a");
  s.write_all(2);
  REQUIRE(s.until_done(2));
  s.next(api_key::consumer_group_heartbeat, {answer_with(kafka_error::topic_authorization_failed)});
  const auto began = s.world.now();
  a.consumer().subscribe("orders", "secret");
  REQUIRE(s.until([&] { return s.has_happened(api_key::consumer_group_heartbeat); }, 1s));
  CHECK(s.world.now() == began);  // point 38: a change is said at once
  REQUIRE(s.until([&] { return a.consumer().last_warning().code == kafka_error::topic_authorization_failed; }, 1s));
  s.world.advance(1s);
  CHECK(s.view(a)->topics == std::vector<std::string>{"orders"});  // heard of since, without names
  CHECK(a.owned() == index_set{0, 1});
  s.write(0, 5, "secret");
  REQUIRE(s.until([&] { return s.is_done(1, "secret"); }, 30s));
  CHECK(s.view(a)->topics == std::vector<std::string>{"orders", "secret"});
  CHECK(s.log.all().size() == 3);
  CHECK(!a.has_ended);
}

TEST_CASE("a join that is denied its topics is repeated at the interval", "[group]") {
  story s;
  s.write_all(2);
  s.next(api_key::consumer_group_heartbeat, times(3, answer_with(kafka_error::topic_authorization_failed)));
  const auto began = s.world.now();
  actor& a = s.join("a");
  REQUIRE(s.until_done(2, 1min));
  CHECK(s.world.now() - began >= 15s);
  CHECK(s.world.now() - began <= 25s);
  CHECK(!a.has_ended);
}

}  // namespace
}  // namespace embedded
