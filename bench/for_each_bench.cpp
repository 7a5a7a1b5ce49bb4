// What for_each_record adds to a loop over batches: records of 16 + 100 bytes by a consumer whose broker's answers lie ready
// (tests/support/prepared_broker.hpp), 1,000 to an answer. One line of JSON for each way to read; above_loop_ns is what it adds.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>

#include <kawait/kawait.hpp>

#include "best.hpp"
#include "support/prepared_broker.hpp"

namespace {

using namespace kawait;
using prepared::shape;
using prepared::stage;

constexpr std::size_t records = 1000, answers = 500;

std::uint64_t touch(const record& r) {
  const auto value = r.value().bytes();
  return static_cast<std::uint64_t>(r.offset()) + std::to_integer<std::uint64_t>(value.back());
}

/// ns for each record of a consumer that is reading.
double measure(stage& s) {
  s.run(answers);
  return bench::best_seconds(15, [&] { s.run(answers); }) * 1e9 / (answers * records);
}

void print(const char* way, double ns, double loop, std::uint64_t sum) {
  std::printf("{\"bench\":\"for_each\",\"way\":\"%s\",\"ns_per_record\":%.1f,\"above_loop_ns\":%.1f,\"check\":%llu}\n",
              way, ns, ns - loop, static_cast<unsigned long long>(sum));
}

double measure_loop() {
  stage s(shape(1, records));
  std::uint64_t sum = 0;
  const auto each = [&](const batch& b) {
    for (const record& r : b) sum += touch(r);
  };
  const auto read = [&](partition p) { return prepared::read_batches(s, std::move(p), each); };
  s.start(for_each_partition(s.consumer(), read));
  const double ns = measure(s);
  print("loop over batches", ns, ns, sum);
  return ns;
}

template <class Handler>
void measure_records(const char* way, double loop, std::uint64_t& sum, const Handler& handle) {
  stage s(shape(1, records));
  const auto each = [&s, &handle](const record& r) {
    if (r.ordinal() + 1 == records) s.on_work();
    return handle(r);
  };
  s.start(for_each_record(s.consumer(), each));
  const double ns = measure(s);
  print(way, ns, loop, sum);
}

}  // namespace

int main() {
  const double loop = measure_loop();
  std::uint64_t sum = 0;
  measure_records("for_each_record, function", loop, sum, [&](const record& r) { sum += touch(r); });
  const auto in_a_coroutine = [&sum](const record& r) -> asio::awaitable<void> {
    sum += touch(r);
    co_return;
  };
  measure_records("for_each_record, coroutine that does not suspend", loop, sum, in_a_coroutine);
}
