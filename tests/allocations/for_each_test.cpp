// What for_each_record costs: a plain function no allocation a record.

#include <cstddef>

#include "allocations/count_support.hpp"
#include "simulation/handlers.hpp"

namespace embedded {
namespace {

TEST_CASE("for_each_record with a plain function allocates nothing for a record") {
  const bool bounded = GENERATE(false, true);
  const auto codec = GENERATE(kawait::wire::codec::none, kawait::wire::codec::zstd);
  CAPTURE(bounded, static_cast<int>(codec));
  constexpr std::size_t batches = 20, size = 1000;
  stage s;
  for (std::size_t i = 0; i < batches; ++i) {
    testing::append_options options;
    options.codec = codec;
    s.broker.append("orders", 0, numbers(static_cast<int>(size)), options);
  }
  std::size_t records = 0, within = 0, last = 0;
  const auto handler = [&](const kawait::record& r) {
    const std::size_t now = counted::allocations();
    // From a record to the next of the same record batch.
    if (records++ > 0 && r.ordinal() > 0) within += now - last;
    last = now;
  };
  if (bounded) {
    s.each_record(handler, kawait::concurrency(3), kawait::retry(3), kawait::skip([](const kawait::skipped_work&) {}));
  } else {
    s.each_record(handler);
  }
  REQUIRE(s.until([&] { return records == batches * size; }, 1min));
  CHECK(within == 0);
  CHECK(counted::allocations() > 0);
}

}  // namespace
}  // namespace embedded
