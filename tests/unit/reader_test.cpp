#include <kawait/wire/reader.hpp>
#include <kawait/wire/writer.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catch.hpp"

namespace reader_tests {

using bytes = std::vector<std::byte>;
using kawait::wire::reader;
using kawait::wire::writer;

bytes of(std::initializer_list<unsigned> values) {
  bytes b;
  for (const unsigned v : values) b.push_back(static_cast<std::byte>(v));
  return b;
}

TEST_CASE("integers are big-endian", "[wire][reader]") {
  bytes out;
  writer w(out);
  w.write(std::int8_t{-2});
  w.write(std::int16_t{0x0102});
  w.write(std::numeric_limits<std::int32_t>::min());
  w.write(std::int64_t{0x0102030405060708});
  w.write(true);
  CHECK(out == of({0xfe, 1, 2, 0x80, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1}));

  reader r(out);
  CHECK(r.read<std::int8_t>() == -2);
  CHECK(r.read<std::int16_t>() == 0x0102);
  CHECK(r.read<std::int32_t>() == std::numeric_limits<std::int32_t>::min());
  CHECK(r.read<std::int64_t>() == 0x0102030405060708);
  CHECK(r.read<bool>());
  CHECK(r.left() == 0);
  CHECK_FALSE(r.bad());
}

TEST_CASE("the first read that does not fit makes a reader bad for good", "[wire][reader]") {
  const bytes in = of({1, 2, 3, 4, 5});
  reader r(in);
  CHECK(r.read<std::int16_t>() == 0x0102);
  CHECK(r.read<std::int32_t>() == 0);
  CHECK(r.bad());
  CHECK(r.position() == 2);
  CHECK(r.left() == 0);
  CHECK(r.read<std::int8_t>() == 0);  // although three bytes were left
  CHECK(r.read_uvarint() == 0);
  CHECK_FALSE(r.read_string(true).has_value());
  CHECK_FALSE(r.read_sized_bytes(false).has_value());
  CHECK_FALSE(r.read_count(true, 1).has_value());
  CHECK(r.read_uuid().is_zero());
  CHECK(r.position() == 2);
}

TEST_CASE("strings of both forms", "[wire][reader]") {
  struct row {
    bool flexible;
    std::optional<std::string> value;
    bytes encoded;
  };
  const row rows[] = {
      {true, "ab", of({3, 'a', 'b'})},
      {true, "", of({1})},
      {true, std::nullopt, of({0})},
      {false, "ab", of({0, 2, 'a', 'b'})},
      {false, "", of({0, 0})},
      {false, std::nullopt, of({0xff, 0xff})},
  };
  for (const row& r : rows) {
    CAPTURE(r.flexible, r.encoded.size());
    bytes out;
    writer w(out);
    if (r.value) {
      w.write_string(*r.value, r.flexible);
    } else {
      w.write_null_string(r.flexible);
    }
    CHECK(out == r.encoded);
    reader in(r.encoded);
    const std::optional<std::string_view> s = in.read_string(r.flexible);
    CHECK_FALSE(in.bad());
    CHECK(in.left() == 0);
    REQUIRE(s.has_value() == r.value.has_value());
    if (s) CHECK(*s == *r.value);
    for (std::size_t n = 0; n < r.encoded.size(); ++n) {
      reader cut(std::span<const std::byte>(r.encoded).first(n));
      cut.read_string(r.flexible);
      CHECK(cut.bad());
    }
  }
}

TEST_CASE("strings longer than Kafka's are refused though the bytes are there", "[wire][reader]") {
  for (const std::size_t size : {32767u, 32768u}) {
    bytes out;
    writer w(out);
    w.write_string(std::string(size, 'x'), true);
    reader r(out);
    CHECK(r.read_string(true).has_value() == (size == 32767));
    CHECK(r.bad() == (size != 32767));
  }
}

TEST_CASE("lengths below null are refused", "[wire][reader]") {
  const bytes in = of({0xff, 0xfe, 0xff, 0xfe});
  reader s(in);
  s.read_string(false);
  CHECK(s.bad());
  const bytes most_negative = of({0x80, 0, 0, 0});
  reader b(most_negative);
  b.read_sized_bytes(false);
  CHECK(b.bad());
  reader c(most_negative);
  c.read_count(false, 1);
  CHECK(c.bad());
}

TEST_CASE("views point into the input", "[wire][reader]") {
  const bytes in = of({3, 'a', 'b', 3, 7, 8});
  reader r(in);
  const std::optional<std::string_view> s = r.read_string(true);
  const std::optional<std::span<const std::byte>> b = r.read_sized_bytes(true);
  REQUIRE(s);
  REQUIRE(b);
  CHECK(static_cast<const void*>(s->data()) == in.data() + 1);
  CHECK(b->data() == in.data() + 4);
  CHECK(b->size() == 2);
}

TEST_CASE("counts are bounded by the bytes left", "[wire][reader]") {
  struct row {
    std::size_t left, smallest;
    std::uint32_t count;
    bool good;
  };
  const row rows[] = {
      {0, 1, 0, true},   {0, 1, 1, false}, {10, 1, 10, true}, {10, 1, 11, false},         {10, 4, 2, true},
      {10, 4, 3, false}, {3, 4, 1, false}, {3, 4, 0, true},   {10, 1, 0xfffffffeu, false},
  };
  for (const row& r : rows) {
    CAPTURE(r.left, r.smallest, r.count);
    bytes out;
    writer w(out);
    w.write_uvarint(r.count + 1);
    out.resize(out.size() + r.left);
    reader in(out);
    const std::optional<std::size_t> n = in.read_count(true, r.smallest);
    CHECK(n.has_value() == r.good);
    CHECK(in.bad() != r.good);
    if (n) CHECK(*n == r.count);
  }
  const bytes null = of({0});
  reader in(null);
  CHECK_FALSE(in.read_count(true, 1).has_value());
  CHECK_FALSE(in.bad());
}

TEST_CASE("tagged fields are skipped as a whole", "[wire][reader]") {
  const bytes in = of({2, 0, 1, 0xaa, 0x81, 0x01, 2, 0xbb, 0xcc, 9});
  reader r(in);
  r.skip_tagged_fields();
  CHECK(r.position() == 9);
  CHECK(r.read<std::int8_t>() == 9);
  CHECK_FALSE(r.bad());
  for (std::size_t n = 0; n < 9; ++n) {
    reader cut(std::span<const std::byte>(in).first(n));
    cut.skip_tagged_fields();
    CHECK(cut.bad());
  }
  const bytes hostile = of({0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0});  // four billion tags end with the bytes
  reader h(hostile);
  h.skip_tagged_fields();
  CHECK(h.bad());
}

TEST_CASE("a narrowed part must be used up and cannot be left", "[wire][reader]") {
  const bytes in = of({1, 2, 3, 4});
  SECTION("used up") {
    reader r(in);
    const std::byte* const end = r.narrow(2);
    CHECK(r.read<std::int16_t>() == 0x0102);
    r.widen(end);
    CHECK_FALSE(r.bad());
    CHECK(r.left() == 2);
  }
  SECTION("not used up") {
    reader r(in);
    const std::byte* const end = r.narrow(2);
    r.read<std::int8_t>();
    r.widen(end);
    CHECK(r.bad());
    CHECK(r.left() == 0);
  }
  SECTION("left") {
    reader r(in);
    const std::byte* const end = r.narrow(2);
    r.read<std::int32_t>();
    CHECK(r.bad());
    r.widen(end);
    CHECK(r.left() == 0);
  }
  SECTION("longer than the whole") {
    reader r(in);
    const std::byte* const end = r.narrow(5);
    CHECK(r.bad());
    r.widen(end);
    CHECK(r.left() == 0);
  }
}

TEST_CASE("a size is inserted in front of what it measures", "[wire][writer]") {
  bytes out = of({9});
  writer w(out);
  w.write(std::int16_t{0x0102});
  w.insert_size(1);
  CHECK(out == of({9, 2, 1, 2}));
  bytes large(200, std::byte{1});
  writer v(large);
  v.insert_size(0);
  CHECK(large.size() == 202);
  CHECK(large[0] == std::byte{0xc8});
  CHECK(large[1] == std::byte{0x01});
}

TEST_CASE("signed varints are written as they are read", "[wire][writer]") {
  bytes out;
  writer w(out);
  w.write_varint(-65);
  w.write_varlong(std::numeric_limits<std::int64_t>::min());
  reader r(out);
  CHECK(r.read_varint() == -65);
  CHECK(r.read_varlong() == std::numeric_limits<std::int64_t>::min());
  CHECK(r.left() == 0);
}

}  // namespace reader_tests
