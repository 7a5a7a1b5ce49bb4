// What a fetch brings of which partition, where record batches are larger than what was asked for.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

TEST_CASE("fetch sizes: a partition whose batches exceed max.partition.fetch.bytes keeps moving beside busy ones", "[sizes]") {
  constexpr std::size_t large = 100'000, small = 1'000, limit = 4'096;
  constexpr std::int32_t slow = 2;
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 4);
  const auto append = [&](std::int32_t partition, std::size_t bytes, int batches) {
    for (int i = 0; i < batches; ++i) b.append("orders", partition, {producer_record(std::string(bytes, 'x'))});
  };
  append(slow, large, 10);
  for (const std::int32_t p : {0, 1, 3}) append(p, small, 1000);
  kawait::config settings;
  settings.auto_offset_reset(offset_reset::earliest).max_partition_fetch_bytes(limit).fetch_max_bytes(2 * limit);
  assigned r(w, b, {0, 1, 2, 3}, settings);
  REQUIRE(r.reads(3010));
  for (const auto& [p, offsets] : r.seen) CHECK(offsets == range(0, p == slow ? 10 : 1000));
  // Between two of its batches each of the others has its turn a few times, of `limit` each.
  std::size_t since = 0, longest = 0;
  for (const std::string& value : r.values) {
    if (value.size() == small) {
      ++since;
    } else {
      longest = std::max(longest, std::exchange(since, 0));
    }
  }
  CAPTURE(longest);
  CHECK(longest <= 3 * 3 * (limit / small));
}

}  // namespace
}  // namespace embedded
