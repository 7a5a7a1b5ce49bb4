#include "catch.hpp"

#include <kawait/machine/buffer_shares.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace buffer_shares_tests {

using kawait::topic_id_partition;
using kawait::machine::buffer_shares;

constexpr std::size_t KiB = 1024, MiB = 1024 * KiB, budget = 32 * MiB;

topic_id_partition number(std::size_t i) { return topic_id_partition(kawait::uuid(), static_cast<std::int32_t>(i)); }

buffer_shares of(std::size_t partitions) {
  buffer_shares s(budget);
  s.set_partitions(partitions);
  return s;
}

std::size_t sum_of(const buffer_shares& s, std::size_t partitions) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < partitions; ++i) sum += s.share_of(number(i));
  return sum;
}

TEST_CASE("half of the buffer is shared out evenly, down to a usual record batch") {
  const std::pair<std::size_t, std::size_t> expected[] = {{1, 16 * MiB}, {4, 4 * MiB}, {128, 128 * KiB}, {1024, 16 * KiB},
                                                          {5000, 16 * KiB}};
  for (const auto& [partitions, share] : expected) {
    CAPTURE(partitions);
    CHECK(of(partitions).share_of(number(0)) == share);
  }
  CHECK(buffer_shares(budget).share_of(number(0)) == 16 * MiB);
}

TEST_CASE("who had records lately shares a quarter of the buffer beside that") {
  buffer_shares s = of(1000);
  CHECK(s.on_records(number(7)).size() == 1);
  CHECK(s.share_of(number(7)) == 4 * MiB);
  CHECK(s.share_of(number(8)) == budget / 2 / 1000);
  CHECK(s.on_records(number(7)).empty());
  // Everybody whose share is another now is named.
  for (std::size_t i = 8; i < 11; ++i) {
    std::vector<std::size_t> before;
    for (std::size_t p = 0; p < 20; ++p) before.push_back(s.share_of(number(p)));
    const auto named = s.on_records(number(i));
    for (std::size_t p = 0; p < 20; ++p) {
      CAPTURE(i, p);
      const bool is_named = std::find(named.begin(), named.end(), number(p)) != named.end();
      CHECK((is_named || s.share_of(number(p)) == before[p]));
    }
  }
  for (std::size_t p = 7; p < 11; ++p) CHECK(s.share_of(number(p)) == 2 * MiB);
}

TEST_CASE("all shares together are three quarters of the buffer at most, who ever was busy") {
  const std::size_t partitions = GENERATE(1u, 2u, 3u, 4u, 5u, 20u, 65u, 200u, 1000u);
  CAPTURE(partitions);
  buffer_shares s = of(partitions);
  std::uint32_t random = 1;
  for (int i = 0; i < 20'000; ++i) {
    random = random * 1664525 + 1013904223;
    const std::size_t range = i % 3000 < 1000 ? partitions : std::min<std::size_t>(partitions, 3);
    (void)s.on_records(number((random >> 8) % range));
    if (i % 97 == 0) REQUIRE(sum_of(s, partitions) <= budget * 3 / 4);
  }
}

TEST_CASE("who has had no records for long is busy no more") {
  buffer_shares s = of(100);
  for (std::size_t p = 0; p < 3; ++p) (void)s.on_records(number(p));
  CHECK(s.share_of(number(0)) == 2 * MiB);
  std::size_t named = 0;
  for (int i = 0; i < 1100; ++i) named += s.on_records(number(2)).size();
  CHECK(named >= 3);
  CHECK(s.share_of(number(0)) == budget / 2 / 100);
  CHECK(s.share_of(number(1)) == budget / 2 / 100);
  CHECK(s.share_of(number(2)) == 4 * MiB);
}

TEST_CASE("where all are busy no share moves") {
  buffer_shares s = of(1000);
  for (std::size_t p = 0; p < 1000; ++p) (void)s.on_records(number(p));
  for (int round = 0; round < 10; ++round) {
    for (std::size_t p = 0; p < 1000; ++p) REQUIRE(s.on_records(number(p)).empty());
  }
  CHECK(s.share_of(number(0)) == 128 * KiB);
  CHECK(s.share_of(number(999)) == budget / 2 / 1000);
}

TEST_CASE("who is removed takes nothing") {
  buffer_shares s = of(1000);
  for (std::size_t p = 0; p < 2; ++p) (void)s.on_records(number(p));
  s.remove(number(0));
  s.remove(number(500));
  CHECK(s.share_of(number(0)) == budget / 2 / 1000);
  CHECK(s.share_of(number(1)) == 4 * MiB);
  (void)s.on_records(number(0));
  CHECK(s.share_of(number(0)) == 4 * MiB);
}

}  // namespace buffer_shares_tests
