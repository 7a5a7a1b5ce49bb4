// What a round of the fetch path allocates: request, answer, queue, hand-out, done, release.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <malloc.h>

#include "allocations/count_support.hpp"
#include "catch.hpp"
#include "support/prepared_broker.hpp"

namespace {

using kawait::wire::codec;
using prepared::shape;
using prepared::stage;

enum class way { batches, function, coroutine };

struct cost {
  double per_round;
  std::size_t largest;  ///< Of all allocations.
  std::size_t in_use;   ///< Bytes, at the end.
};

/// Of rounds that follow on so many others.
cost measure(const shape& what, way how, std::size_t rounds_before = 100) {
  const std::size_t in_use = mallinfo2().uordblks;
  stage s(what);
  std::uint64_t sum = 0;
  const auto see = [&](const kawait::record& r) {
    sum += (*r.key()).size() + (*r.value()).size();
    if (r.offset() % static_cast<std::int64_t>(what.records * what.batches) == 0) s.on_work();
  };
  const auto see_all = [&](const kawait::batch& b) {
    for (const kawait::record& r : b) sum += (*r.value()).size();
  };
  const auto read = [&](kawait::partition p) { return prepared::read_batches(s, std::move(p), see_all); };
  const auto see_in_a_coroutine = [&see](const kawait::record& r) -> asio::awaitable<void> {
    see(r);
    co_return;
  };
  if (how == way::batches) s.start(kawait::for_each_partition(s.consumer(), read));
  if (how == way::function) s.start(kawait::for_each_record(s.consumer(), see));
  if (how == way::coroutine) s.start(kawait::for_each_record(s.consumer(), see_in_a_coroutine));
  s.run(rounds_before);
  constexpr std::size_t rounds = 100;
  (void)counted::take_largest();
  const std::size_t before = counted::allocations();
  s.run(rounds);
  const double per_round = static_cast<double>(counted::allocations() - before) / rounds;
  const cost c{per_round, counted::take_largest(), mallinfo2().uordblks - in_use};
  REQUIRE(sum > 0);
  return c;
}

TEST_CASE("a round allocates no more for more records, and nothing of their size") {
  const way how = GENERATE(way::batches, way::function, way::coroutine);
  const codec what = GENERATE(codec::none, codec::zstd);
  CAPTURE(static_cast<int>(how), static_cast<int>(what));
  // Both are more than what comes with the frame's head.
  const cost few = measure(shape(1, 100, 100, what), how), many = measure(shape(1, 1000, 100, what), how);
  CAPTURE(few.per_round, many.per_round, many.largest);
  CHECK(few.per_round > 0);
  CHECK(many.per_round < few.per_round + 0.1);  // queues take a block now and then, and not in step
  CHECK(many.largest < 4096);  // slabs are used again
}

TEST_CASE("a record batch costs no more than an allocation, whatever is in it") {
  const codec what = GENERATE(codec::none, codec::zstd);
  const std::size_t records = GENERATE(1u, 50u);
  CAPTURE(static_cast<int>(what), records);
  const cost few = measure(shape(60, records, 100, what), way::batches);
  const cost many = measure(shape(120, records, 100, what), way::batches);
  CAPTURE(few.per_round, many.per_round);
  CHECK(many.per_round <= few.per_round + 60);
}

TEST_CASE("a round allocates no more after thousands of rounds, nor is more kept") {
  const way how = GENERATE(way::batches, way::function, way::coroutine);
  const codec what = GENERATE(codec::none, codec::zstd);
  CAPTURE(static_cast<int>(how), static_cast<int>(what));
  const cost early = measure(shape(8, 10, 100, what), how), late = measure(shape(8, 10, 100, what), how, 5000);
  CAPTURE(early.per_round, late.per_round);
  CHECK(late.per_round < early.per_round + 0.1);
  CHECK(late.largest < 4096);
  CHECK(late.in_use < early.in_use + 4096);
}

/// Keeps the last batches, and counts the bytes of records that do not lie where the network put them.
asio::awaitable<void> find_copies(stage& s, kawait::partition p, std::size_t records, std::deque<kawait::batch>& held,
                                  std::vector<std::size_t>& copied) {
  while (auto batch = co_await p.async_next()) {
    std::size_t& n = copied.emplace_back();
    for (const kawait::record& r : *batch) {
      const auto fetch = static_cast<std::size_t>(r.offset()) / records + 1;
      const auto value = *r.value();
      const auto holds = [&](const prepared::piece& at) {
        const auto* const begin = reinterpret_cast<const char*>(at.where.data());
        return at.fetch == fetch && std::less_equal<>()(begin, value.data()) &&
               std::less_equal<>()(value.data() + value.size(), begin + at.where.size());
      };
      const auto& pieces = s.broker().pieces;
      if (std::none_of(pieces.begin(), pieces.end(), holds)) n += value.size();
    }
    batch->done();
    held.push_back(std::move(*batch));
    if (held.size() > 8) held.pop_front();
    s.on_work();
  }
}

TEST_CASE("records lie where the network put them, also of batches that are kept, but for what came with the frame's head") {
  constexpr std::size_t records = 1000;
  std::deque<kawait::batch> held;  // 8 of 120 KB: of the 32 MiB that may be buffered, far less than half
  std::vector<std::size_t> copied;
  stage s(shape(4, records / 4));
  s.broker().keeps_pieces = true;
  const auto read = [&](kawait::partition p) { return find_copies(s, std::move(p), records, held, copied); };
  s.start(kawait::for_each_partition(s.consumer(), read));
  s.run(40);
  REQUIRE(copied.size() >= 40);
  for (const std::size_t n : copied) REQUIRE(n <= 4096);
  REQUIRE(held.size() == 8);
  for (const kawait::batch& b : held) {
    std::size_t n = 0;
    for (const kawait::record& r : b) n += (*r.value()) == std::string(100, 'v');
    CHECK(n == records);
  }
}

}  // namespace
