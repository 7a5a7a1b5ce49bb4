#include "cluster_support.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <variant>

#include "catch.hpp"

namespace cluster_refresh_tests {

using namespace cluster_support;

TEST_CASE("cluster: what is newly wanted is asked for at once, alone", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.round(response().add_topic("orders", id(1), {{1, 1}}));
  c.machine.want_names({"orders", "payments"});
  const auto asked = c.asked();
  CHECK(asked.names == names{"payments"});
  c.answer(asked, response().add_topic("payments", id(2), {{1, 1}}));
  c.machine.add_id(id(3));
  c.machine.add_id(id(4));
  c.machine.remove_id(id(4));
  CHECK(c.asked().ids == ids{id(3)});
}

TEST_CASE("cluster: request_refresh asks for everything; when it repeats it is backed off", "[cluster]") {
  driven c;
  c.machine.want_names({"orders", "payments"});
  const auto full = response().add_topic("orders", id(1), {{1, 1}}).add_topic("payments", id(2), {{1, 1}});
  c.round(full);
  c.now += 10'000;
  c.machine.request_refresh();
  CHECK(c.asked().names == names{"orders", "payments"});  // after a quiet time: at once
  for (const std::int64_t pause : {100, 200, 400, 800, 1000, 1000}) {
    c.machine.request_refresh();
    CHECK(c.idle() == -1);  // in flight
    c.machine.on_metadata(full, cluster::fetch_metadata{{"orders", "payments"}, {}}, at_ms(c.now), no_jitter);
    c.machine.request_refresh();
    c.machine.request_refresh();
    const auto wait = c.idle();
    check_pause(wait, pause);
    c.now += wait - 1;
    CHECK(c.idle() == 1);
    c.now += 1;
    c.asked();
  }
  c.machine.on_metadata(full, cluster::fetch_metadata{{"orders", "payments"}, {}}, at_ms(c.now), no_jitter);
  CHECK(c.idle() > 200'000);  // one round answered all that was requested before
  c.now += 5'000;
  c.machine.request_refresh();
  c.round(full);
  c.machine.request_refresh();
  check_pause(c.idle(), 100);  // it was quiet in between
}

TEST_CASE("cluster: what is unknown is asked for again with growing pauses, and only that", "[cluster]") {
  struct {
    const char* what;
    response r;
  } const rows[] = {
      {"unknown", response().add_name_error("payments", kafka_error::unknown_topic_or_partition)},
      {"denied", response().add_name_error("payments", kafka_error::topic_authorization_failed)},
      {"no leader", response().add_topic("payments", id(2), {{1, 1}, {-1, 1}})},
      {"a leader without an address", response().add_topic("payments", id(2), {{1, 1}, {9, 1}})},
      {"no partitions", response().add_topic("payments", id(2), {})},
      {"not in the answer", response()},
  };
  for (const auto& row : rows) {
    CAPTURE(row.what);
    driven c;
    c.machine.want_names({"orders", "payments"});
    auto first = row.r;
    first.add_topic("orders", id(1), {{1, 1}});
    c.round(first);
    for (const std::int64_t pause : {100, 200, 400, 800, 1000, 1000}) {
      const auto wait = c.idle();
      check_pause(wait, pause);
      c.now += wait;
      const auto asked = c.asked();
      CHECK(asked.names == names{"payments"});
      c.answer(asked, row.r);
    }
    c.now += c.idle();
    c.round(response().add_topic("payments", id(2), {{1, 1}, {2, 1}}));
    CHECK(c.idle() > 200'000);
    CHECK(c.machine.topic_error("payments") == kafka_error::none);
  }
}

TEST_CASE("cluster: a failed request is repeated whole after a pause", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  for (const std::int64_t pause : {100, 200, 400}) {
    CHECK(c.asked().names == names{"orders"});
    c.machine.on_disconnected(at_ms(c.now), no_jitter);
    c.machine.want_ids({id(static_cast<int>(pause % 250))});  // even what is newly wanted waits
    const auto wait = c.idle();
    check_pause(wait, pause);
    c.now += wait;
  }
  const auto why = c.round(response());
  CHECK_FALSE(why.why);
}

TEST_CASE("cluster: a top-level error; REBOOTSTRAP_REQUIRED begins anew (9)", "[cluster]") {
  driven c;
  c.machine.want_names({"orders"});
  c.round(response().add_topic("orders", id(1), {{1, 3}}));
  c.now += 300'000;
  auto broken = response({5});
  broken.error_code = static_cast<std::int16_t>(kafka_error::unknown_server_error);
  auto told = c.round(broken);
  CHECK(told.why.code == kafka_error::unknown_server_error);
  CHECK_FALSE(told.rebootstrap);
  CHECK(c.machine.brokers().size() == 2);  // nothing of it is believed
  check_pause(c.idle(), 100);
  c.now += c.idle();

  broken.error_code = static_cast<std::int16_t>(kafka_error::rebootstrap_required);
  told = c.round(broken);
  CHECK(told.rebootstrap);
  CHECK(told.changed);
  CHECK(c.machine.brokers().empty());
  CHECK(c.leader(1, 0) == leader(-1, -1));
  c.now += c.idle();
  CHECK(c.asked().names == names{"orders"});
  // The leader epoch is remembered: a broker that lags behind is not believed after a rebootstrap either.
  c.answer(cluster::fetch_metadata{{"orders"}, {}}, response().add_topic("orders", id(1), {{2, 2}}));
  CHECK(c.leader(1, 0) == leader(1, 3));
}

TEST_CASE("cluster: whatever is answered, it asks again and never in a loop without a pause", "[cluster]") {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<std::uint64_t>(n)); };
    driven c;
    int sent = 0, in_a_row = 0;
    std::deque<std::string> storage;
    for (int step = 0; step < 100; ++step) {
      if (below(8) == 0) c.machine.want_names({"t" + std::to_string(below(4)), "t" + std::to_string(below(4))}), in_a_row = 0;
      if (below(8) == 0) c.machine.add_id(id(below(4) + 1)), in_a_row = 0;
      if (below(8) == 0) c.machine.remove_id(id(below(4) + 1));
      if (below(5) == 0) c.machine.request_refresh();
      const auto effect = c.machine.poll(at_ms(c.now));
      if (const auto* idle = std::get_if<kawait::machine::idle>(&effect)) {
        REQUIRE(idle->until != never);  // nothing is in flight: sooner or later it is asked again
        REQUIRE(idle->until > at_ms(c.now));
        in_a_row = 0;
        c.now += below(2) == 0 ? 1 : std::chrono::duration_cast<milliseconds>(idle->until - at_ms(c.now)).count();
        continue;
      }
      ++sent;
      // By name and by id what is new, and the same for a refresh that is due by then; after that a pause, unless more is wanted.
      REQUIRE(++in_a_row <= 4);
      const auto& asked = std::get<cluster::fetch_metadata>(effect);
      REQUIRE((asked.names.empty() || asked.ids.empty()));
      if (below(6) == 0) {
        c.machine.on_disconnected(at_ms(c.now), random());
        continue;
      }
      auto r = response();
      for (const auto& name : asked.names) {
        if (below(3) == 0) {
          r.add_name_error(name, kafka_error::unknown_topic_or_partition);
        } else {
          r.add_topic(name, id(below(4) + 1), {{below(4) - 1, below(3)}});
        }
      }
      for (const auto& topic : asked.ids) {
        if (below(3) == 0) {
          r.add_id_error(topic, kafka_error::unknown_topic_id);
        } else {
          storage.push_back("t" + std::to_string(below(4)));
          r.add_topic(storage.back(), topic, {{below(4) - 1, below(3)}});
        }
      }
      if (below(10) == 0) r.error_code = static_cast<std::int16_t>(kafka_error::rebootstrap_required);
      c.answer(asked, r);
    }
    CHECK(sent > 5);
  }
}

}  // namespace cluster_refresh_tests
