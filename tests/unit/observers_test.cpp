// What observers make of what they are told: by themselves.

#include <span>
#include <string>
#include <vector>

#include <kawait/log_observer.hpp>
#include <kawait/metrics_observer.hpp>

#include "catch.hpp"

namespace observers_tests {
namespace {

using kawait::observer;
using kawait::topic_partition;

TEST_CASE("metrics: who hears late that it has lost a partition does not take it from its next owner") {
  kawait::metrics_observer metrics;
  observer& both = metrics;
  const std::vector<topic_partition> one(1, topic_partition("orders", 0));
  const std::span<const topic_partition> list(one);
  both.on_assigned(observer::assigned{list, 1});
  both.on_assigned(observer::assigned{list, 2});
  const kawait::failure why(kawait::errc::lost);
  both.on_lost(observer::lost{list, why});
  CHECK(metrics.prometheus().find("kawait_assigned_partitions 1") != std::string::npos);
  both.on_lost(observer::lost{list, why});
  CHECK(metrics.prometheus().find("kawait_assigned_partitions 0") != std::string::npos);
}

TEST_CASE("log: a broker's words are no line of ours, and do nothing to a terminal") {
  std::string line;
  kawait::log_observer lines([&](kawait::log_level, std::string_view text) { line = text; }, kawait::log_level::debug);
  observer& log = lines;
  const kawait::failure why(kawait::errc::closed, "a\nkawait info: joined\x1b[2J\x7f");
  log.on_warned(observer::warned{why});
  CHECK(line.find("a?kawait info: joined?[2J?") == 0);
}

}  // namespace
}  // namespace observers_tests
