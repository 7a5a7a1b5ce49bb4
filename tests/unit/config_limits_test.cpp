#include <chrono>
#include <limits>
#include <string>
#include <string_view>

#include <kawait/close_options.hpp>
#include <kawait/config.hpp>

#include "config_support.hpp"

namespace config_limits_tests {

using config_support::contains;
using config_support::refusal;
using kawait::config;

TEST_CASE("config: a number that no integer holds is told its range") {
  CHECK(contains(refusal("fetch.max.bytes", "99999999999999999999"), "fetch.max.bytes = '99999999999999999999': must be from "));
  CHECK(contains(refusal("fetch.max.bytes", "99999999999999999999x"), "is not a whole number"));
  CHECK(contains(refusal("fetch.max.bytes", ""), "is not a whole number"));
}

TEST_CASE("config: times longer than milliseconds can say are the longest") {
  const auto longest = std::chrono::milliseconds::max();
  CHECK(kawait::by_duration(std::chrono::hours::max()).back == longest);
  CHECK(kawait::by_duration(std::chrono::seconds(5)).back == std::chrono::seconds(5));
  config c;
  CHECK_THROWS_AS(c.auto_offset_reset(kawait::by_duration(std::chrono::hours::min())), kawait::error);
  const auto year = std::chrono::hours(24 * 365);
  CHECK(kawait::close_options(std::chrono::hours::max()).timeout == year);
  CHECK(kawait::close_options(std::chrono::milliseconds::max()).timeout == year);
  CHECK(kawait::close_options(std::chrono::seconds::min()).timeout == std::chrono::seconds(0));
  CHECK(kawait::close_options(std::chrono::minutes(2)).timeout == std::chrono::seconds(120));
}

TEST_CASE("config: what has no effect is warned of once") {
  config c;
  c.set("group.protocol.type", "consumer").set("group.protocol.type", "consumer");
  CHECK(c.warnings().size() == 1);
}

}  // namespace config_limits_tests
