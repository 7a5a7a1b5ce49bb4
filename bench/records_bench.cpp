// Walking record batches: headers only, records, and records with key, value and a touch of each. One line of JSON for each.
// The response fits the second-level cache, where reading, checking or decompressing it has put it in a consumer.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>

#include <kawait/wire/record.hpp>

#include "batch_builder.hpp"
#include "best.hpp"
#include "support/record_walk.hpp"

namespace {

using namespace kawait;

struct shape {
  const char* name;
  std::size_t key;
  std::size_t value;
  std::size_t spread;  // values are up to this much longer
  int headers;
};

tests::byte_vector response(const shape& s, std::size_t& records) {
  std::mt19937 random(1);
  tests::byte_vector out;
  std::int64_t offset = 0;
  records = 0;
  const tests::record_header one("trace", "0123456789abcdef");
  const std::vector<tests::record_header> headers(static_cast<std::size_t>(s.headers), one);
  while (out.size() < (std::size_t{512} << 10)) {
    tests::batch_builder builder(offset);
    std::int64_t at = 0;
    while (builder.records().size() < (std::size_t{64} << 10)) {
      const std::string key(s.key, 'k');
      const std::string value(s.value + (s.spread ? random() % s.spread : 0), 'v');
      builder.add(key, value, headers, at += random() % 3);
    }
    offset = builder.header.next_offset();
    records += static_cast<std::size_t>(builder.header.record_count);
    tests::append(out, builder.build());
  }
  return out;
}

template <class Work>
void measure(const char* what, const shape& s, std::size_t records, Work work) {
  std::uint64_t check = 0;
  const double seconds = bench::best_seconds(40, [&] {
    for (int i = 0; i < 20; ++i) check += work();
  });
  std::printf("{\"bench\":\"records\",\"what\":\"%s\",\"shape\":\"%s\",\"records\":%zu,\"ns_per_record\":%.2f,\"check\":%llu}\n",
              what, s.name, records, seconds / 20 / static_cast<double>(records) * 1e9, static_cast<unsigned long long>(check));
}

}  // namespace

int main() {
  const shape shapes[] = {{"16+100 B", 16, 100, 0, 0}, {"16+84..116 B", 16, 84, 32, 0}, {"16+16..90 B", 16, 16, 75, 0},
                          {"16+1024 B", 16, 1024, 0, 0}, {"16+100 B, 2 headers", 16, 100, 0, 2}};
  for (const shape& s : shapes) {
    std::size_t records = 0;
    const tests::byte_vector bytes = response(s, records);
    measure("headers of batches", s, records, [&] {
      wire::records_summary summary;
      if (wire::summarize(bytes, summary)) std::abort();
      return static_cast<std::uint64_t>(summary.next_offset);
    });
    measure("crc", s, records, [&] { return tests::check_crcs(bytes); });
    measure("walk", s, records, [&] {
      return tests::walk_records(bytes, [](const wire::record& r) { return static_cast<std::uint64_t>(r.offset()) + r.value().size(); });
    });
    measure("walk and touch", s, records, [&] {
      return tests::walk_records(bytes, [](const wire::record& r) {
        const auto key = *r.key();
        const auto value = *r.value();
        return static_cast<std::uint64_t>(r.timestamp_ms()) + static_cast<unsigned char>(key.front()) +
               static_cast<unsigned char>(value.front()) + static_cast<unsigned char>(value.back());
      });
    });
    if (s.headers == 0) continue;
    measure("walk with headers", s, records, [&] {
      return tests::walk_records(bytes, [](const wire::record& r) {
        std::uint64_t sum = 0;
        for (const wire::header& h : r.headers()) sum += h.key.size() + h.value.size();
        return sum;
      });
    });
  }
}
