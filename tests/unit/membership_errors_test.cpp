#include "catch.hpp"

#include "membership_harness.hpp"

// Lost answers and errors. Fencing is in membership_fencing_test.cpp.

namespace membership_errors_tests {

using namespace membership_test;

const std::string full = "alive 1 timeout=300000 names=t owned=A0 A1";
const std::string join = "join timeout=300000 names=t owned=";

harness member() {
  harness t;
  t.settle("A0 A1");
  t.now += 5s;
  CHECK(t.poll() == "alive 1");
  return t;
}

TEST_CASE("membership says all after a lost answer, with everything it still owns (point 8)") {
  harness t = member();
  t.disconnect();
  CHECK(t.poll() == "find coordinator");
  CHECK(t.poll() == "idle 80");
  CHECK(t.m.holds(lease("A0", 1)));  // losing the coordinator alone changes nothing (point 37)
  t.now += 80ms;
  CHECK(t.poll() == full);
  t.disconnect();
  CHECK(t.run() == "find coordinator");
  CHECK(t.poll() == "idle 160");  // and the pauses grow (point 10)
  t.now += 160ms;
  CHECK(t.poll() == full);
  t.answer(2, "A0 A1");
  CHECK(t.poll() == "idle 5000");  // it was acknowledged by the question
  t.now += 5s;
  CHECK(t.poll() == "alive 2 timeout=300000 names=t owned=A0 A1");
  t.disconnect();
  CHECK(t.run() == "find coordinator");
  CHECK(t.poll() == "idle 80");  // and are short again
}

// 1. "alive" gets no answer in time. 2. It is said in full on another connection, and answered: A0 A1. 3. The coordinator takes B0 from
// somebody else, at the same epoch. 4. It serves the first "alive", and answers it with A0 A1 B0. 5. Nobody is there to hear.
TEST_CASE("membership says all for five intervals after a lost answer, which may tell of an assignment later than the next") {
  harness t = member();
  t.disconnect();
  t.run();
  t.now += 80ms;
  for (int i = 0; i < 4; ++i) {
    CHECK(t.poll() == full);
    t.answer(1, "A0 A1");
    CHECK(t.poll() == "idle 5000");
    t.now += 5s;
  }
  CHECK(t.poll() == full);
  t.answer(1, "A0 A1 B0");
  CHECK(t.run() == "alive 1 owned=A0 A1 B0; assign B0#3 at 1");
  t.answer(1);
  t.now += 5s;
  CHECK(t.poll() == "alive 1");
}

TEST_CASE("membership lists draining partitions in a full heartbeat (point 8)") {
  harness t = member();
  t.answer(1, "A0");
  CHECK(t.run() == "revoke A1#2 within 270000");
  t.now += 5s;
  t.poll();
  t.disconnect();
  t.run();
  t.now += 80ms;
  CHECK(t.poll() == full);
  t.answer(1, "A0");
  CHECK(t.poll() == "idle 5000");
  t.drained("A1", 2);
  CHECK(t.poll() == "alive 1 owned=A0");
  t.disconnect();  // the acknowledgement itself may be lost
  t.run();
  t.now += 80ms;
  CHECK(t.poll() == "alive 1 timeout=300000 names=t owned=A0");
}

TEST_CASE("membership assigns what was added though its acknowledgement is lost") {
  harness t = member();
  t.answer(2, "A0 A1 B0");
  CHECK(t.poll() == "alive 2 owned=A0 A1 B0");
  t.disconnect();
  CHECK(t.run() == "assign B0#3 at 2; find coordinator");
}

TEST_CASE("membership joins again after a lost join (point 8)") {
  harness t;
  t.m.subscribe({"t"}, std::nullopt);
  CHECK(t.poll() == join);
  t.disconnect();
  CHECK(t.run() == "find coordinator");
  t.now += 80ms;
  CHECK(t.poll() == join);
}

TEST_CASE("membership whose coordinator moved looks it up, at once the first time (point 10)") {
  for (const auto code : {kafka_error::not_coordinator, kafka_error::coordinator_not_available}) {
    harness t = member();
    t.refuse(code);
    CHECK(t.run() == "find coordinator; " + full);
    t.refuse(code);
    CHECK(t.run() == "find coordinator");
    CHECK(t.poll() == "idle 160");
    t.now += 160ms;
    CHECK(t.poll() == full);
    t.answer(1);
    CHECK(t.m.holds(lease("A1", 2)));
    t.now += 5s;
    t.poll();
    t.refuse(code);
    CHECK(t.run() == "find coordinator; " + full);
  }
}

TEST_CASE("membership waits for a coordinator that loads, without another look-up (point 11)") {
  for (const auto code : {kafka_error::coordinator_load_in_progress, kafka_error::request_timed_out}) {
    harness t = member();
    t.refuse(code);
    CHECK(t.poll() == "idle 80");
    t.now += 80ms;
    CHECK(t.poll() == full);
  }
}

TEST_CASE("membership fails where no retry helps (point 14)") {
  const kafka_error codes[] = {kafka_error::invalid_request,
                               kafka_error::group_max_size_reached,
                               kafka_error::unsupported_assignor,
                               kafka_error::unsupported_version,
                               kafka_error::invalid_regular_expression,
                               kafka_error::group_authorization_failed,
                               kafka_error::unreleased_instance_id,
                               kafka_error::fenced_instance_id,
                               kafka_error::unknown_server_error,
                               static_cast<kafka_error>(12345)};
  for (const auto code : codes) {
    const auto name = make_error_code(code).message();
    CAPTURE(name);
    harness t = member();
    t.refuse(code, "the broker's words");
    CHECK(t.poll() == "lose A0#1 A1#2: " + name);
    const auto e = t.next();
    CHECK(show(e, t.now) == "failed " + name);
    const auto& reason = std::get<failed>(e).reason;
    CHECK(reason.code == code);
    CHECK(reason.words.find("group 'g': the broker's words") == 0);
    CHECK(t.poll() == "idle");
    t.now += 1h;
    CHECK(t.poll() == "idle");

    harness joiner;
    joiner.m.subscribe({"t"}, std::nullopt);
    joiner.poll();
    joiner.refuse(code);
    CHECK(joiner.run() == "failed " + name);
    CHECK(joiner.poll() == "idle");
  }
}

TEST_CASE("membership that failed can be subscribed again by the user, and left") {
  harness t;
  t.m.subscribe({}, "(");
  t.poll();
  t.refuse(kafka_error::invalid_regular_expression, "missing )");
  CHECK(t.run() == "failed INVALID_REGULAR_EXPRESSION");
  SECTION("subscribed") {
    t.m.subscribe({"t"}, "a");
    CHECK(t.poll() == "join timeout=300000 names=t regex=a owned=");
  }
  SECTION("left") {
    t.m.leave(leave_kind::default_);
    CHECK(t.run() == "left");
    CHECK(t.poll() == "idle");
  }
}

TEST_CASE("membership says what helps (contract, rows 1, 2, 25)") {
  struct {
    kafka_error code;
    const char* part;
  } const cases[] = {
      {kafka_error::unsupported_version, "group.protocol"},
      {kafka_error::unsupported_version, "Kafka 4.0"},
      {kafka_error::unsupported_assignor, "group.remote.assignor"},
      {kafka_error::group_authorization_failed, "READ on the group"},
      {kafka_error::unreleased_instance_id, "group.instance.id"},
      {kafka_error::group_id_not_found, "group.protocol=consumer"},
      {kafka_error::invalid_regular_expression, "RE2/J"},
  };
  for (const auto& c : cases) {
    harness t;
    t.m.subscribe({"t"}, std::nullopt);
    t.poll();
    t.refuse(c.code, std::string(5000, 'x'));
    const auto e = t.next();
    REQUIRE(std::holds_alternative<failed>(e));
    const auto& words = std::get<failed>(e).reason.words;
    CAPTURE(words);
    CHECK(words.find(c.part) != std::string::npos);
    CHECK(words.size() < 2000);  // the broker's words are not without end
  }
}

TEST_CASE("membership denied its topics reports it, keeps its state and its session (point 16)") {
  harness t;
  t.settle("A0");
  t.m.subscribe({"t", "u"}, std::nullopt);
  CHECK(t.poll() == "alive 1 names=t,u");
  t.refuse(kafka_error::topic_authorization_failed);
  CHECK(t.poll() == "report TOPIC_AUTHORIZATION_FAILED");
  CHECK(t.m.holds(lease("A0", 1)));
  CHECK(t.poll() == "alive 1 timeout=300000 regex= owned=A0");  // the session was not refreshed: at once, without names
  t.answer(1);
  CHECK(t.poll() == "idle 5000");
  t.now += 5s;
  CHECK(t.poll() == "alive 1 names=t,u");  // again at the interval
  t.refuse(kafka_error::topic_authorization_failed);
  CHECK(t.poll() == "report TOPIC_AUTHORIZATION_FAILED");  // once per heartbeat
  CHECK(t.poll() == "alive 1 timeout=300000 regex= owned=A0");
  t.answer(1);

  SECTION("a change by the user is tried at once") {
    t.m.subscribe({"t"}, std::nullopt);
    CHECK(t.poll() == "alive 1 names=t");
    t.answer(1);
    CHECK(t.poll() == "idle 5000");
  }
  SECTION("allowed at last") {
    t.now += 5s;
    CHECK(t.poll() == "alive 1 names=t,u");
    t.answer(2, "A0 B0");
    CHECK(t.run() == "alive 2 owned=A0 B0; assign B0#2 at 2");
    t.answer(2);
    t.now += 5s;
    CHECK(t.poll() == "alive 2");
  }
}

TEST_CASE("membership denied its topics still hears of an assignment it missed (points 8, 16)") {
  harness t = member();
  t.disconnect();  // the answer said that A1 is to be given up
  t.run();
  t.now += 80ms;
  CHECK(t.poll() == full);
  t.refuse(kafka_error::topic_authorization_failed);
  CHECK(t.poll() == "report TOPIC_AUTHORIZATION_FAILED");
  CHECK(t.poll() == "alive 1 timeout=300000 regex= owned=A0 A1");  // full for the broker, without the names
  t.answer(1, "A0");
  CHECK(t.run() == "revoke A1#2 within 270000");

  harness r;
  r.m.subscribe({"t"}, "x.*");
  r.poll();
  r.answer(1, "A0");
  r.run();
  r.disconnect();
  r.run();
  r.now += 80ms;
  CHECK(r.poll() == "alive 1 timeout=300000 names=t regex=x.* owned=A0");
  r.refuse(kafka_error::topic_authorization_failed);
  CHECK(r.run() == "report TOPIC_AUTHORIZATION_FAILED; alive 1 timeout=300000 regex=x.* owned=A0");
}

TEST_CASE("membership denied its topics at the join retries at the interval (point 16)") {
  harness t;
  t.m.subscribe({"t"}, std::nullopt);
  CHECK(t.poll() == join);
  for (int i = 0; i < 3; ++i) {
    t.refuse(kafka_error::topic_authorization_failed);
    CHECK(t.poll() == "report TOPIC_AUTHORIZATION_FAILED");
    CHECK(t.poll() == "idle 5000");
    t.now += 5s;
    CHECK(t.poll() == join);
  }
  t.refuse(kafka_error::topic_authorization_failed);
  t.run();
  t.m.subscribe({"v"}, std::nullopt);
  CHECK(t.poll() == "join timeout=300000 names=v owned=");
}

TEST_CASE("membership denied even a heartbeat without names does not spin (point 16)") {
  harness t = member();
  t.refuse(kafka_error::topic_authorization_failed);
  CHECK(t.poll() == "report TOPIC_AUTHORIZATION_FAILED");
  CHECK(t.poll() == "idle 5000");
}

TEST_CASE("membership whose acknowledgement was denied acknowledges again (points 16, 26)") {
  harness t = member();
  t.answer(1, "A0");
  t.run();
  t.m.subscribe({"u"}, std::nullopt);
  t.drained("A1", 2);
  CHECK(t.poll() == "alive 1 names=u owned=A0");
  t.refuse(kafka_error::topic_authorization_failed);
  CHECK(t.run() == "report TOPIC_AUTHORIZATION_FAILED; alive 1 timeout=300000 regex= owned=A0");
}

}  // namespace membership_errors_tests
