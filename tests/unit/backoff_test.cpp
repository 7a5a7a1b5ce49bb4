#include "catch.hpp"

#include <kawait/machine/backoff.hpp>

#include <cstdint>
#include <limits>

namespace backoff_tests {

using kawait::machine::backoff;
using kawait::machine::backoff_options;
using kawait::machine::milliseconds;

constexpr std::uint64_t lowest = 0;
constexpr std::uint64_t highest = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t middle = highest / 2;

TEST_CASE("backoff doubles up to its maximum") {
  backoff b(backoff_options(milliseconds(100), milliseconds(1000)));
  const int expected[] = {99, 199, 399, 799, 999, 999, 999};  // 511/1023 is a little less than a half
  for (const int e : expected) {
    const auto pause = b.next(middle).count();
    CAPTURE(e, pause);
    CHECK(pause >= e);
    CHECK(pause <= e + 1);
  }
}

TEST_CASE("backoff spreads by 20 % and never above its maximum") {
  const backoff_options options(milliseconds(100), milliseconds(1000));
  backoff low(options), high(options);
  const int least[] = {80, 160, 320, 640, 800, 800};
  const int most[] = {120, 240, 480, 960, 1000, 1000};
  for (int i = 0; i < 6; ++i) {
    CHECK(low.next(lowest).count() == least[i]);
    CHECK(high.next(highest).count() == most[i]);
  }
}

TEST_CASE("backoff begins anew after reset") {
  backoff b(backoff_options(milliseconds(100), milliseconds(1000)));
  CHECK(b.attempts() == 0);
  b.next(lowest);
  b.next(lowest);
  CHECK(b.attempts() == 2);
  b.reset();
  CHECK(b.attempts() == 0);
  CHECK(b.next(lowest) == milliseconds(80));
}

TEST_CASE("backoff can spare the first attempt its pause") {
  backoff b(backoff_options(milliseconds(100), milliseconds(1000)));
  CHECK(b.next_unless_first(lowest) == milliseconds(0));
  CHECK(b.next_unless_first(lowest) == milliseconds(160));
}

TEST_CASE("backoff survives silly options and endless attempts") {
  struct {
    std::int64_t first, max;
  } const cases[] = {{0, 0}, {-5, -1}, {1, 0}, {1000, 10}, {INT64_MAX, INT64_MAX}, {INT64_MIN, INT64_MAX}};
  for (const auto& c : cases) {
    CAPTURE(c.first, c.max);
    backoff b(backoff_options(milliseconds(c.first), milliseconds(c.max)));
    for (int i = 0; i < 10000; ++i) {
      const auto pause = b.next(i % 2 ? lowest : highest);
      REQUIRE(pause >= milliseconds(1));
      REQUIRE(pause <= milliseconds(24 * 60 * 60 * 1000));
    }
  }
}

}  // namespace backoff_tests
