#pragma once

// Record batches in memory, read without a consumer: what benchmarks measure and instructions are counted of.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <kawait/wire/record.hpp>
#include <kawait/wire/record_batch.hpp>

namespace kawait::tests {

/// The sum of what `visit` says of each record. One that does not decode ends the program.
template <class Visit>
std::uint64_t walk_records(std::span<const std::byte> bytes, Visit visit) {
  std::uint64_t sum = 0;
  wire::batch_cursor cursor(bytes);
  wire::batch_view batch;
  while (cursor.next(batch)) {
    wire::record_reader reader(batch.header, batch.records());
    wire::record r;
    while (reader.next(r)) sum += visit(r);
    if (reader.error()) std::abort();
  }
  return sum;
}

/// How many batches there are, the checksums of which are right. One that is not ends the program.
inline std::uint64_t check_crcs(std::span<const std::byte> bytes) {
  std::uint64_t n = 0;
  wire::batch_cursor cursor(bytes);
  wire::batch_view batch;
  for (; cursor.next(batch); ++n) {
    if (wire::check_crc(batch)) std::abort();
  }
  return n;
}

}  // namespace kawait::tests
