#pragma once

// Records that can be told from each other.

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "batch_builder.hpp"

namespace kawait::tests {

/// Milliseconds since 1970: what retention does not delete.
inline std::int64_t wall_clock_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// A batch of `count` records, still open to changes, whose values are "r<n>", n from `first`, filled up to `size` bytes.
inline batch_builder numbered(std::int64_t first, std::int64_t count, std::size_t size = 0, wire::codec how = wire::codec::none) {
  batch_builder b;
  b.codec(how);
  b.header.base_timestamp = b.header.max_timestamp = wall_clock_ms();
  for (std::int64_t n = first; n < first + count; ++n) {
    std::string value = "r" + std::to_string(n);
    if (value.size() < size) value.resize(size, '.');
    b.add(std::nullopt, value);
  }
  return b;
}
inline byte_vector numbered_batch(std::int64_t first, std::int64_t count, std::size_t size = 0, wire::codec how = wire::codec::none) {
  return numbered(first, count, size, how).build();
}
/// The n of such a value; -1 if it is none.
inline std::int64_t number_of(std::string_view value) {
  std::int64_t n = -1;
  if (value.empty() || value.front() != 'r') return -1;
  std::from_chars(value.data() + 1, value.data() + value.size(), n);
  return n;
}

}  // namespace kawait::tests
