// A year in the life of a consumer.

#include <ctime>
#include <iostream>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

constexpr auto span = 24h * 365;

TEST_CASE("embedded: a year of heartbeats") {
  testing::world w;
  testing::broker_options o;
  o.group.heartbeat_interval = 15s;  // the longest that Kafka allows
  testing::broker b(w.executor(), o);
  b.create_topic("orders", 1);
  kawait::config c = member_of(b);
  // Nothing but heartbeats wakes it often.
  c.request_timeout(20min).fetch_max_wait(10min).auto_commit_interval(1min);
  reader r(w, c);
  r.run();
  r.read_all();
  const std::clock_t start = std::clock();
  w.advance(span / 2);
  b.append("orders", 0, numbers(1));
  w.advance(span / 2);
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  const std::size_t heartbeats = b.count(api_key::consumer_group_heartbeat);
  std::cout << std::chrono::duration_cast<std::chrono::hours>(span).count() / 24 << " days, " << heartbeats << " heartbeats, "
            << b.count(api_key::fetch) << " fetches: " << seconds << " CPU seconds\n";
  CHECK(heartbeats >= static_cast<std::size_t>(span / 15s));
  CHECK(r.total() == 1);
  CHECK(b.committed("g", "orders", 0) == 1);
  CHECK(r.consumer.assignment().size() == 1);
  CHECK(!r.ended);
}

}  // namespace
}  // namespace embedded
