// What a consumer takes beside fetch.buffer.bytes, whoever reads slowly.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <system_error>
#include <utility>

#include <malloc.h>

#include "catch.hpp"
#include "support/prepared_broker.hpp"

namespace {

using kawait::wire::codec;
using prepared::shape;
using prepared::stage;

/// Bytes that are allocated, mappings of their own included.
std::size_t in_use() {
  const auto all = mallinfo2();
  return all.uordblks + all.hblkhd;
}

/// Keeps all it gets until it has its share, then gives back the oldest for the next, so often.
asio::awaitable<void> read_slowly(kawait::partition p, std::size_t times, std::size_t& peak, std::size_t& batches) {
  std::deque<kawait::batch> held;
  for (;;) {
    bool is_full = false;
    try {
      auto batch = co_await p.async_next();
      if (!batch) break;
      held.push_back(std::move(*batch));
      ++batches;
    } catch (const kawait::error& e) {
      if (e.code() != kawait::errc::lease_quota) throw;
      is_full = true;
    }
    peak = std::max(peak, in_use());
    if (!is_full) continue;
    if (times-- == 0) break;
    held.front().done();
    held.pop_front();
  }
  co_await p.async_wait_end();
}

TEST_CASE("readers that release late take no more than fetch.buffer.bytes and 8 MiB above an idle consumer") {
  constexpr std::size_t budget = std::size_t{32} << 20, head_room = std::size_t{8} << 20;
  const codec how = GENERATE(codec::none, codec::zstd, codec::lz4);
  const std::int32_t brokers = GENERATE(1, 4);
  CAPTURE(static_cast<int>(how), brokers);
  shape what(4, 250, 200, how);  // the brokers' own part of what is counted is small
  what.brokers = brokers;
  stage s(what);
  const std::size_t idle = in_use();
  std::size_t peak = 0, batches = 0;
  const auto read = [&](kawait::partition p) { return read_slowly(std::move(p), 100, peak, batches); };
  s.start(kawait::for_each_partition(s.consumer(), read));
  s.context.poll();
  const auto& pool = s.consumer().engine()->buffers();
  CAPTURE(idle, peak, batches, pool.peak(), pool.charged());
  CHECK(batches > 100u * static_cast<std::size_t>(brokers));
  CHECK(peak - idle <= budget + head_room);
  CHECK(peak - idle >= budget / 4);  // the test is about something
}

}  // namespace
