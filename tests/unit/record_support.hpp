#pragma once

// Reads records and copies them, for tests to compare.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <kawait/wire/record.hpp>

#include "batch_builder.hpp"
#include "catch.hpp"

namespace records {

using namespace kawait;

inline std::span<const std::byte> head(const tests::byte_vector& bytes, std::size_t n) { return std::span<const std::byte>(bytes).first(n); }

struct copied {
  std::int64_t offset;
  std::int64_t timestamp;
  std::uint32_t ordinal;
  std::optional<std::string> key, value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

inline std::optional<std::string> own(wire::nullable_view v) { return v ? std::optional<std::string>(*v) : std::nullopt; }

struct reading {
  std::vector<copied> records;
  failure why;

  explicit reading(const wire::batch_header& header, std::span<const std::byte> bytes,
                   std::int64_t from = std::numeric_limits<std::int64_t>::min()) {
    const tests::byte_vector exact(bytes.begin(), bytes.end());  // so that ASan sees a read past the end
    wire::record_reader reader(header, exact, from);
    wire::record r;
    while (reader.next(r)) {
      copied c{r.offset(), r.timestamp_ms(), r.ordinal(), own(r.key()), own(r.value()), {}};
      for (const wire::header& h : r.headers()) c.headers.emplace_back(h.key, own(h.value));
      CHECK(c.headers.size() == r.headers().size());
      records.push_back(std::move(c));
    }
    CHECK(!reader.next(r));  // an end stays one
    why = reader.error();
  }
  explicit reading(const tests::batch_builder& b, std::int64_t from = std::numeric_limits<std::int64_t>::min())
      : reading(b.header, b.records(), from) {}
};

inline tests::byte_vector body_of(std::initializer_list<std::int64_t> fields) {
  tests::byte_vector body = {std::byte{0}};
  for (const std::int64_t f : fields) tests::append_varint(body, f);
  return body;
}

}  // namespace records
