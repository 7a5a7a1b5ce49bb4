// A whole consumer against the embedded cluster, in virtual time.

#include <kawait/testing/broker.hpp>

#include "catch.hpp"
#include "simulation/reader.hpp"

namespace {

using namespace std::chrono_literals;
using namespace kawait;
using simulated::range;
using simulated::reader;

config member_of(const testing::broker& b) {
  config c(b.bootstrap());
  c.group_id("g").auto_offset_reset(offset_reset::earliest).auto_commit_interval(5s).rebalance_timeout(60s);
  return c;
}

std::vector<testing::producer_record> numbers(int count) {
  std::vector<testing::producer_record> all;
  for (int i = 0; i < count; ++i) all.emplace_back("key", std::to_string(i));
  return all;
}

TEST_CASE("a member of a group reads the embedded broker and commits") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 3);
  for (std::int32_t p = 0; p < 3; ++p) b.append("orders", p, numbers(10));
  reader r(w, member_of(b));
  r.run();
  r.read_all();
  REQUIRE(w.run_until([&] { return r.total() == 30; }, 1min));
  for (std::int32_t p = 0; p < 3; ++p) CHECK(r.seen[p] == range(0, 10));
  b.append("orders", 1, numbers(5), testing::append_options(wire::codec::zstd));
  REQUIRE(w.run_until([&] { return r.total() == 35; }, 1min));
  r.close();
  REQUIRE(w.run_until([&] { return r.closed.has_value(); }, 1min));
  CHECK(!*r.closed);
  CHECK(b.committed("g", "orders", 1) == 15);
  CHECK(b.group().members("g").empty());
}

}  // namespace
