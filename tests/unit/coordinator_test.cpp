#include "catch.hpp"

#include <kawait/machine/coordinator.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace coordinator_tests {

using namespace std::chrono_literals;
using namespace kawait::machine;
using kawait::kafka_error;
namespace protocol = kawait::protocol;

constexpr std::uint64_t shortest = 0;  // jitter: 0.8 of the pause

struct harness {
  coordinator c{"g", backoff_options(100ms, 1000ms)};
  time_point start{1000s};
  time_point now = start;

  std::string poll() {
    const auto e = c.poll(now);
    if (const auto* i = std::get_if<idle>(&e))
      return i->until == never ? "idle" : "idle " + std::to_string((i->until - now) / 1ms);
    if (const auto* k = std::get_if<known>(&e)) return std::to_string(k->node_id) + " " + k->host + ":" + std::to_string(k->port);
    if (const auto* f = std::get_if<failed>(&e)) return "failed " + f->reason.to_string();
    return "look up";
  }

  void found(std::string_view host = "one", std::int32_t port = 9092, std::int32_t node = 1, std::string_view key = "g") {
    protocol::find_coordinator_response r;
    auto& other = r.coordinators.emplace_back();  // an answer may speak of other keys as well
    other.key = "other";
    other.error_code = 30;
    auto& k = r.coordinators.emplace_back();
    k.key = key;
    k.node_id = node;
    k.host = host;
    k.port = port;
    c.on_found(r, now, shortest);
  }

  void refused(kafka_error code, std::string_view words = {}) {
    protocol::find_coordinator_response r;
    auto& k = r.coordinators.emplace_back();
    k.key = "g";
    k.node_id = -1;
    k.port = -1;
    k.error_code = static_cast<std::int16_t>(code);
    k.error_message = words;
    c.on_found(r, now, shortest);
  }
};

TEST_CASE("coordinator is looked up once and then known") {
  harness t;
  CHECK(t.poll() == "look up");
  CHECK(t.poll() == "idle");
  t.found();
  CHECK(t.poll() == "1 one:9092");
  t.now += 1h;
  CHECK(t.poll() == "1 one:9092");
}

TEST_CASE("coordinator forgotten is looked up at once the first time, then with pauses (point 10)") {
  harness t;
  t.poll();
  t.found("stale");
  t.c.forget();
  CHECK(t.poll() == "look up");
  t.found("stale");
  t.c.forget();
  CHECK(t.poll() == "idle 80");
  t.now += 79ms;
  CHECK(t.poll() == "idle 1");
  t.now += 1ms;
  CHECK(t.poll() == "look up");
  t.found("stale");
  t.c.forget();
  CHECK(t.poll() == "idle 160");
  t.now += 160ms;
  CHECK(t.poll() == "look up");
  t.found("new", 9093, 2);
  CHECK(t.poll() == "2 new:9093");

  SECTION("a node that lasted is no repetition") {
    t.now += 10min;
    t.c.forget();
    CHECK(t.poll() == "look up");
    t.found();
    t.c.forget();
    CHECK(t.poll() == "look up");  // the first of a new series
  }
}

TEST_CASE("coordinator forgotten while it is being looked up is asked for once only") {
  harness t;
  t.poll();
  t.c.forget();
  t.c.forget();
  CHECK(t.poll() == "idle");
  t.found();
  CHECK(t.poll() == "1 one:9092");
}

TEST_CASE("coordinator that cannot be reached or asked for is looked up with pauses (point 10)") {
  harness t;
  t.poll();
  t.c.on_disconnected(t.now, shortest);
  CHECK(t.poll() == "idle 80");
  t.now += 80ms;
  CHECK(t.poll() == "look up");
  t.c.on_disconnected(t.now, shortest);
  CHECK(t.poll() == "idle 160");
  t.now += 160ms;
  CHECK(t.poll() == "look up");
  t.found();
  t.c.on_disconnected(t.now, shortest);  // the node was named and is not there
  CHECK(t.poll() != "look up");
}

TEST_CASE("coordinator look-up errors (points 10, 11)") {
  struct {
    kafka_error code;
    const char* after;
  } const cases[] = {
      {kafka_error::coordinator_not_available, "idle 80"},
      {kafka_error::coordinator_load_in_progress, "idle 80"},
      {kafka_error::not_coordinator, "idle 80"},
      {kafka_error::request_timed_out, "idle 80"},
      {kafka_error::group_authorization_failed,
       "failed group 'g': its coordinator cannot be looked up: no (the principal needs READ, or DESCRIBE, on the group): "
       "GROUP_AUTHORIZATION_FAILED"},
      {kafka_error::invalid_group_id, "failed group 'g': its coordinator cannot be looked up: no: INVALID_GROUP_ID"},
      {static_cast<kafka_error>(9999),
       "failed group 'g': its coordinator cannot be looked up: no: unknown Kafka error code 9999"},
  };
  for (const auto& c : cases) {
    harness t;
    t.poll();
    t.refused(c.code, "no");
    CHECK(t.poll() == c.after);
    CHECK(t.poll() == c.after);
  }
}

TEST_CASE("coordinator can be asked for again after a failure") {
  harness t;
  t.poll();
  t.refused(kafka_error::group_authorization_failed);
  t.c.on_disconnected(t.now, shortest);
  CHECK(t.poll().substr(0, 6) == "failed");
  t.c.forget();
  CHECK(t.poll() == "look up");
}

TEST_CASE("coordinator answers that cannot be are as good as none") {
  for (int i = 0; i < 6; ++i) {
    CAPTURE(i);
    harness t;
    t.poll();
    switch (i) {
      case 0: t.found("one", 0); break;
      case 1: t.found("one", 65536); break;
      case 2: t.found("one", -1); break;
      case 3: t.found("", 9092); break;
      case 4: t.found("one", 9092, -1); break;
      case 5: t.found("one", 9092, 1, "not ours"); break;
    }
    CHECK(t.poll() == "idle 80");
  }
  harness t;
  t.found();  // nobody asked
  CHECK(t.poll() == "look up");
}

}  // namespace coordinator_tests
