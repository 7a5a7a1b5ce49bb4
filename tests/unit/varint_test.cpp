#include <kawait/wire/varint.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <vector>

#include "catch.hpp"

namespace varint_tests {

using bytes = std::vector<std::byte>;

bytes of(std::initializer_list<unsigned> values) {
  bytes b;
  for (const unsigned v : values) b.push_back(static_cast<std::byte>(v));
  return b;
}

/// Decodes at the very end of a buffer, and with bytes behind that must not matter: these take different paths.
template <class T>
bool decodes(const bytes& in, T expected, std::size_t used) {
  for (const unsigned behind : {0u, 1u, 7u, 8u, 20u}) {
    bytes padded = in;
    padded.resize(in.size() + behind, std::byte{0xff});
    T out{};
    const std::byte* end = kawait::wire::decode(padded.data(), padded.data() + padded.size(), out);
    if (end != padded.data() + used || out != expected) return false;
  }
  return true;
}

template <class T>
bool refused(const bytes& in) {
  for (const unsigned behind : {0u, 8u, 20u}) {
    // What is cut stays cut only if nothing follows.
    bytes padded = in;
    const bool cut = !in.empty() && std::to_integer<unsigned>(in.back()) >= 0x80;
    if (!cut) padded.resize(in.size() + behind, std::byte{0});
    T out = 42;
    if (kawait::wire::decode(padded.data(), padded.data() + padded.size(), out) != nullptr || out != 42) return false;
  }
  return true;
}

TEST_CASE("varints of Kafka's documentation and of the edges", "[wire][varint]") {
  struct row {
    std::int32_t value;
    bytes encoded;
  };
  const row rows[] = {
      {0, of({0x00})},
      {-1, of({0x01})},
      {1, of({0x02})},
      {63, of({0x7e})},
      {-64, of({0x7f})},
      {64, of({0x80, 0x01})},
      {-65, of({0x81, 0x01})},
      {8191, of({0xfe, 0x7f})},
      {8192, of({0x80, 0x80, 0x01})},
      {std::numeric_limits<std::int32_t>::max(), of({0xfe, 0xff, 0xff, 0xff, 0x0f})},
      {std::numeric_limits<std::int32_t>::min(), of({0xff, 0xff, 0xff, 0xff, 0x0f})},
  };
  for (const row& r : rows) {
    CAPTURE(r.value);
    std::byte out[kawait::wire::max_varint_size];
    const std::byte* const end = kawait::wire::encode(out, r.value);
    CHECK(bytes(static_cast<const std::byte*>(out), end) == r.encoded);
    CHECK(decodes<std::int32_t>(r.encoded, r.value, r.encoded.size()));
    CHECK(decodes<std::int64_t>(r.encoded, r.value, r.encoded.size()));
  }
}

TEST_CASE("varlongs of every length come back", "[wire][varint]") {
  for (int bit = 0; bit < 64; ++bit) {
    for (const std::int64_t around : {-1, 0, 1}) {
      const auto value = static_cast<std::int64_t>((std::uint64_t{1} << bit) + static_cast<std::uint64_t>(around));
      CAPTURE(bit, around);
      std::byte out[kawait::wire::max_varlong_size];
      const std::byte* end = kawait::wire::encode(out, value);
      const bytes encoded(static_cast<const std::byte*>(out), end);
      CHECK(decodes<std::int64_t>(encoded, value, encoded.size()));
      const auto narrow = static_cast<std::int32_t>(value);
      if (narrow == value) {
        CHECK(decodes<std::int32_t>(encoded, narrow, encoded.size()));
      } else {
        CHECK(refused<std::int32_t>(encoded));
      }
      for (std::size_t n = 0; n < encoded.size(); ++n) {
        std::int64_t cut = 42;
        CHECK(kawait::wire::decode(encoded.data(), encoded.data() + n, cut) == nullptr);
        CHECK(cut == 42);
      }
    }
  }
}

TEST_CASE("overlong varints are refused", "[wire][varint]") {
  CHECK(refused<std::int32_t>(of({0xff, 0xff, 0xff, 0xff, 0x10})));
  CHECK(refused<std::int32_t>(of({0x80, 0x80, 0x80, 0x80, 0x80, 0x00})));
  CHECK(refused<std::int32_t>(of({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00})));
  CHECK(refused<std::int64_t>(of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02})));
  CHECK(refused<std::int64_t>(of({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00})));
  CHECK(refused<std::int64_t>(of({0x80})));
  std::int32_t out = 42;
  CHECK(kawait::wire::decode(nullptr, nullptr, out) == nullptr);
  CHECK(out == 42);
}

TEST_CASE("padded varints that fit are accepted, as Kafka does", "[wire][varint]") {
  CHECK(decodes<std::int32_t>(of({0x82, 0x80, 0x80, 0x80, 0x00}), 1, 5));
  CHECK(decodes<std::int64_t>(of({0x82, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}), 1, 10));
}

TEST_CASE("unsigned varints use all bits", "[wire][varint]") {
  std::uint32_t narrow = 0;
  const bytes most = of({0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0});
  CHECK(kawait::wire::decode_unsigned(most.data(), most.data() + 8, narrow) == most.data() + 5);
  CHECK(narrow == 0xffffffffu);
  narrow = 0;
  CHECK(kawait::wire::decode_unsigned(most.data(), most.data() + 5, narrow) == most.data() + 5);
  CHECK(narrow == 0xffffffffu);
  std::uint64_t wide = 0;
  const bytes longest = of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01});
  CHECK(kawait::wire::decode_unsigned(longest.data(), longest.data() + 10, wide) == longest.data() + 10);
  CHECK(wide == std::numeric_limits<std::uint64_t>::max());
}

}  // namespace varint_tests
