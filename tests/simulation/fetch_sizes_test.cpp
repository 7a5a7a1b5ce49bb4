// What one fetch brings of how many partitions: counted in requests, since time is not.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

/// "orders", and a consumer of all its partitions that reads as soon as there is something.
struct many_partitions {
  many_partitions(std::int32_t count, std::size_t budget, std::int32_t partition_limit = 1 << 20) : partitions(count), b(w.executor()) {
    b.create_topic("orders", count);
    settings.auto_offset_reset(offset_reset::earliest).fetch_buffer_bytes(budget).max_partition_fetch_bytes(partition_limit);
  }
  /// A record batch of one record.
  void append(std::int32_t partition, std::size_t bytes) {
    b.append("orders", partition, {producer_record(std::string(bytes, static_cast<char>('a' + partition % 26)))});
    ++appended;
  }
  /// Answers until everything is read.
  std::size_t read_all() {
    std::vector<std::int32_t> all;
    for (std::int32_t p = 0; p < partitions; ++p) all.push_back(p);
    assigned r(w, b, all, settings);
    REQUIRE(r.reads(appended));
    for (const auto& [p, offsets] : r.seen) CHECK(offsets == range(0, static_cast<std::int64_t>(offsets.size())));
    lengths.clear();
    for (const std::string& v : r.values) lengths.push_back(v.size());
    return b.count(api_key::fetch);
  }

  std::int32_t partitions;
  testing::world w;
  testing::broker b;
  kawait::config settings;
  std::size_t appended = 0;
  std::vector<std::size_t> lengths;  // of the records, in the order in which they were read
};

TEST_CASE("fetch sizes: a partition whose batches exceed max.partition.fetch.bytes keeps moving beside busy ones", "[sizes]") {
  constexpr std::size_t large = 100'000, small = 1'000, limit = 4'096;
  many_partitions m(4, 32 << 20, limit);
  m.settings.fetch_max_bytes(2 * limit);
  for (int i = 0; i < 10; ++i) m.append(2, large);
  for (const std::int32_t p : {0, 1, 3}) {
    for (int i = 0; i < 1000; ++i) m.append(p, small);
  }
  (void)m.read_all();
  // Between two of its batches each of the others has its turn a few times, of `limit` each.
  std::size_t seen = 0, since = 0, longest = 0;
  for (const std::size_t length : m.lengths) {
    if (length == small) {
      ++since;
      continue;
    }
    longest = std::max(longest, std::exchange(since, 0));
    ++seen;
  }
  CHECK(seen == 10);
  CAPTURE(longest);
  CHECK(longest <= 3 * 3 * (limit / small));
}

}  // namespace
}  // namespace embedded
