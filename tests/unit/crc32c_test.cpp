#include <kawait/wire/crc32c.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "catch.hpp"

namespace crc32c_tests {

using kawait::wire::crc32c;
using kawait::wire::crc32c_variant;
using kawait::wire::crc32c_variants;

std::vector<std::byte> filled(std::size_t n, int (*value)(std::size_t)) {
  std::vector<std::byte> bytes(n);
  for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(value(i));
  return bytes;
}

std::vector<std::byte> text(std::string_view t) {
  const auto* p = reinterpret_cast<const std::byte*>(t.data());
  return {p, p + t.size()};
}

std::vector<std::byte> noise(std::size_t n) {
  std::uint32_t state = 12345;
  std::vector<std::byte> bytes(n);
  for (std::byte& b : bytes) {
    state = state * 1664525u + 1013904223u;
    b = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

/// The definition, a bit at a time.
std::uint32_t by_definition(std::span<const std::byte> data) {
  std::uint32_t crc = ~0u;
  for (const std::byte b : data) {
    crc ^= std::to_integer<std::uint32_t>(b);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
  }
  return ~crc;
}

TEST_CASE("crc32c: known vectors, in every variant") {
  struct row {
    std::vector<std::byte> data;
    std::uint32_t crc;
  };
  // RFC 3720, B.4, and the check value of the CRC catalogues.
  const std::vector<row> rows = {
      {{}, 0u},
      {text("a"), 0xC1D04330u},
      {text("123456789"), 0xE3069283u},
      {filled(32, [](std::size_t) { return 0; }), 0x8A9136AAu},
      {filled(32, [](std::size_t) { return 0xff; }), 0x62A8AB43u},
      {filled(32, [](std::size_t i) { return static_cast<int>(i); }), 0x46DD794Eu},
      {filled(32, [](std::size_t i) { return 31 - static_cast<int>(i); }), 0x113FDB5Cu},
  };
  for (const row& r : rows) {
    CAPTURE(r.data.size());
    CHECK(crc32c(r.data) == r.crc);
    for (const crc32c_variant& v : crc32c_variants()) {
      CAPTURE(v.name);
      if (v.supported) CHECK(v.compute(r.data.data(), r.data.size(), 0) == r.crc);
    }
  }
}

TEST_CASE("crc32c: the variants agree with the definition over lengths and offsets") {
  const std::vector<std::byte> data = noise(1024 + 16);
  for (const crc32c_variant& v : crc32c_variants()) {
    if (!v.supported) continue;
    std::size_t wrong = 0;
    for (std::size_t offset = 0; offset < 16; ++offset) {
      for (std::size_t n = 0; n <= 1024; n += offset < 2 ? 1 : 7) {
        const std::span<const std::byte> part(data.data() + offset, n);
        if (v.compute(part.data(), n, 0) != by_definition(part)) ++wrong;
      }
    }
    CAPTURE(v.name);
    CHECK(wrong == 0);
  }
}

TEST_CASE("crc32c: the variants agree on long buffers") {
  const std::vector<std::byte> data = noise(300'000);
  for (const std::size_t n : {1025u, 3071u, 3072u, 3073u, 4096u, 6143u, 65535u, 65536u, 65537u, 299'999u, 300'000u}) {
    const std::uint32_t expected = by_definition(std::span(data).first(n));
    for (const crc32c_variant& v : crc32c_variants()) {
      CAPTURE(v.name, n);
      if (v.supported) CHECK(v.compute(data.data(), n, 0) == expected);
    }
  }
}

TEST_CASE("crc32c: continues where another call ended") {
  const std::vector<std::byte> data = noise(5000);
  const std::uint32_t whole = crc32c(data);
  for (const crc32c_variant& v : crc32c_variants()) {
    if (!v.supported) continue;
    std::size_t wrong = 0;
    for (std::size_t cut = 0; cut <= data.size(); cut += 13) {
      const std::uint32_t first = v.compute(data.data(), cut, 0);
      if (v.compute(data.data() + cut, data.size() - cut, first) != whole) ++wrong;
    }
    CAPTURE(v.name);
    CHECK(wrong == 0);
  }
}

#if defined(__x86_64__) && defined(__linux__)
/// Whether the kernel lists all of these: it leaves out what it has not switched on, though the processor could.
bool has_flags(std::initializer_list<std::string_view> wanted) {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream words(line);
    const std::set<std::string, std::less<>> flags{std::istream_iterator<std::string>(words), {}};
    return std::all_of(wanted.begin(), wanted.end(), [&](std::string_view w) { return flags.contains(w); });
  }
  return false;
}

TEST_CASE("crc32c: the fastest variant that the processor has comes first") {
  struct row {
    std::string_view name;
    bool supported;
  };
  const row expected[] = {
      {"avx512", has_flags({"sse4_2", "pclmulqdq", "avx512f", "vpclmulqdq"})},
      {"sse42", has_flags({"sse4_2", "pclmulqdq"})},
      {"table", true},
  };
  const auto all = crc32c_variants();
  REQUIRE(all.size() == std::size(expected));
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].name == expected[i].name);
    CAPTURE(expected[i].name);
    CHECK(all[i].supported == expected[i].supported);
  }
}
#endif

TEST_CASE("crc32c: there is a variant that runs everywhere, and it comes last") {
  const auto all = crc32c_variants();
  REQUIRE(!all.empty());
  CHECK(std::string_view(all.back().name) == "table");
  CHECK(all.back().supported);
}

}  // namespace crc32c_tests
