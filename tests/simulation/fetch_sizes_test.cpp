// What a fetch brings of which partition, where record batches are larger than what was asked for.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/fetch.hpp>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

TEST_CASE("fetch sizes: what is set of sizes and waits is what a fetch asks for", "[sizes]") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 3);
  std::vector<kawait::protocol::fetch_request> asked;
  b.set_faults([&](const testing::request_view& r) {
    if (r.api == api_key::fetch) {
      REQUIRE(!kawait::protocol::decode_request(asked.emplace_back(), r.body, r.version));
    }
    return fault();
  });
  kawait::config settings = plain();
  settings.fetch_min_bytes(1'237).fetch_max_bytes(54'321).fetch_max_wait(617ms).max_partition_fetch_bytes(7'919);
  assigned r(w, b, {0, 1, 2}, settings);
  REQUIRE(w.run_until([&] { return !asked.empty() && !asked.back().topics.empty(); }, 10s));
  const auto& first = asked.back();
  CHECK(first.min_bytes == 1'237);
  CHECK(first.max_bytes == 54'321);
  CHECK(first.max_wait_ms == 617);
  std::size_t partitions = 0;
  for (const auto& t : first.topics) {
    for (const auto& p : t.partitions) {
      ++partitions;
      CHECK(p.partition_max_bytes == 7'919);
    }
  }
  CHECK(partitions == 3);
}

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

/// The fetches that brought records.
struct fetches final : kawait::observer {
  void on_fetched(const fetched& e) override { count += e.bytes > 0 ? 1u : 0u; }
  std::size_t count = 0;
};

/// Reads all of so many batches of each partition; of two hundred, shares of the buffer hold half a batch each.
std::size_t fetches_of(const std::vector<int>& batches, net::duration latency = 1ms) {
  constexpr std::size_t batch = 30'000, buffer = 4 << 20;
  const auto partitions = static_cast<std::int32_t>(batches.size());
  testing::world w;
  testing::broker b(w.executor());
  b.set_connection_faults([latency](std::int32_t, const testing::connection_attempt&, testing::connection_plan& plan) {
    plan.options.down.latency = latency;  // reading takes no time: it is not what is waited for
  });
  b.create_topic("orders", partitions);
  std::size_t all = 0;
  for (std::int32_t p = 0; p < partitions; ++p) {
    for (int i = 0; i < batches[static_cast<std::size_t>(p)]; ++i, ++all) {
      b.append("orders", p, {producer_record(std::string(batch, 'x'))});
    }
  }
  const auto counted = std::make_shared<fetches>();
  kawait::config settings = plain();
  settings.fetch_buffer_bytes(buffer).add_observer(counted);
  std::vector<std::int32_t> every(batches.size());
  std::iota(every.begin(), every.end(), 0);
  assigned r(w, b, every, settings);
  const auto began = w.now();
  REQUIRE(r.reads(all));
  CHECK(w.now() - began < 500ms);  // fetch.max.wait.ms: nobody has waited for a request that was parked
  for (const auto& [p, offsets] : r.seen) CHECK(offsets == range(0, batches[static_cast<std::size_t>(p)]));
  return counted->count;
}

TEST_CASE("fetch sizes: where shares are smaller than record batches a fetch brings of many partitions all the same", "[sizes]") {
  // An eighth of the buffer is what an answer may bring: seventeen of these batches.
  CHECK(fetches_of(std::vector<int>(200, 4)) <= 800 / 10);
}

TEST_CASE("fetch sizes: of one that has all among many idle ones a fetch brings more than its share", "[sizes]") {
  std::vector<int> batches(200, 0);
  batches[77] = 200;
  // A sixteenth of the buffer, eight of these batches.
  CHECK(fetches_of(batches) <= 200 / 5);
}

TEST_CASE("fetch sizes: who is left out of an answer beside a parked request is asked for again, and does not wait for that", "[sizes]") {
  for (const int partitions : {5, 10, 20, 40, 100, 200, 500}) {
    CAPTURE(partitions);
    // So near a broker, the session has been told the end of all that it has while the rest of them are still to be read.
    fetches_of(std::vector<int>(static_cast<std::size_t>(partitions), 2000 / partitions), 0ms);
  }
}

TEST_CASE("fetch sizes: partitions that are fetched beside a parked request have their turns", "[sizes]") {
  constexpr std::int32_t partitions = 200;
  constexpr int batches = 20;
  testing::world w;
  testing::broker b(w.executor());
  b.set_connection_faults([](std::int32_t, const testing::connection_attempt&, testing::connection_plan& plan) {
    plan.options.down.latency = 0ms;  // all of it is read while the request is parked
  });
  b.create_topic("orders", partitions + 1);
  kawait::config settings = plain();
  settings.fetch_buffer_bytes(4 << 20);
  std::vector<std::int32_t> every(partitions + 1);
  std::iota(every.begin(), every.end(), 0);
  assigned r(w, b, every, settings);
  w.advance(1s);  // the ends have been seen
  for (const auto& p : r.consumer.assignment()) {
    if (p.index() != 0) p.pause();
  }
  w.advance(1s);
  for (std::int32_t p = 1; p <= partitions; ++p) {
    std::string value = std::to_string(p) + ' ';
    value.resize(30'000, 'x');
    for (int i = 0; i < batches; ++i) b.append("orders", p, {producer_record(value)});
  }
  for (const auto& p : r.consumer.assignment()) p.resume();
  REQUIRE(r.reads(partitions * batches));
  // An answer holds seventeen of these batches, and a partition's turn has few; so between two of them the others have few each.
  std::vector<std::size_t> last(partitions + 1);
  std::size_t longest = 0;
  for (std::size_t i = 0; i < r.values.size(); ++i) {
    std::size_t& at = last[static_cast<std::size_t>(std::stoi(r.values[i]))];
    longest = std::max(longest, i - std::exchange(at, i));
  }
  CAPTURE(longest);
  CHECK(longest <= 5 * partitions);
}

}  // namespace
}  // namespace embedded
