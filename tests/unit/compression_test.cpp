#include <kawait/runtime/buffer_pool.hpp>
#include <kawait/wire/compression.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "batch_builder.hpp"
#include "catch.hpp"

namespace compression_tests {

using namespace kawait;
using tests::byte_vector;
using tests::codec_flavour;
using wire::codec;

/// Counts what is asked for, and rounds up as a pool may.
class counting_slabs final : public wire::slab_source {
 public:
  wire::slab_ref acquire(std::size_t bytes) override {
    largest = std::max(largest, bytes);
    ++calls;
    if (refuse) return {};
    return wire::slab_ref(wire::slab::create(bytes + extra));
  }
  std::size_t largest = 0;
  std::size_t calls = 0;
  std::size_t extra = 0;
  bool refuse = false;
};

struct outcome {
  failure why;
  byte_vector bytes;
};

outcome run(wire::decompressor& d, codec how, std::span<const std::byte> in, counting_slabs& slabs,
            std::size_t limit = wire::default_decompression_limit) {
  // An allocation of its own, so that ASan sees a read past its end.
  const byte_vector exact(in.begin(), in.end());
  wire::slab_ref slab;
  std::size_t size = 99;
  outcome o;
  o.why = d.decompress(how, exact, limit, slabs, slab, size);
  if (o.why) {
    CHECK(!slab);
    CHECK(size == 0);
  } else {
    REQUIRE(slab);
    REQUIRE(size <= slab->capacity());
    o.bytes.assign(slab->data(), slab->data() + size);
  }
  return o;
}

byte_vector sample(std::size_t n, int kind) {
  std::mt19937 random(static_cast<unsigned>(n) + 7u * static_cast<unsigned>(kind));
  byte_vector bytes(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (kind == 0) bytes[i] = std::byte{0};
    if (kind == 1) bytes[i] = static_cast<std::byte>(random());
    if (kind == 2) bytes[i] = static_cast<std::byte>("{\"id\":12345,\"name\":\"order\"}"[(i + random() % 3) % 26]);
  }
  return bytes;
}

const codec all_codecs[] = {codec::none, codec::gzip, codec::snappy, codec::lz4, codec::zstd};
const codec real_codecs[] = {codec::gzip, codec::snappy, codec::lz4, codec::zstd};
const codec_flavour all_flavours[] = {codec_flavour::usual, codec_flavour::simple, codec_flavour::checked};

TEST_CASE("compression: names and numbers") {
  CHECK(wire::name_of(codec::none) == "none");
  CHECK(wire::name_of(codec::gzip) == "gzip");
  CHECK(wire::name_of(codec::snappy) == "snappy");
  CHECK(wire::name_of(codec::lz4) == "lz4");
  CHECK(wire::name_of(codec::zstd) == "zstd");
  CHECK(wire::name_of(static_cast<codec>(6)) == "unknown");
  CHECK(static_cast<int>(codec::zstd) == 4);
  for (const codec c : all_codecs) CHECK(wire::is_supported(c));
  CHECK(!wire::is_supported(static_cast<codec>(5)));
}

TEST_CASE("compression: every codec gives back what went in") {
  wire::decompressor d;
  counting_slabs slabs;
  for (const codec c : all_codecs) {
    for (const codec_flavour f : all_flavours) {
      for (const int kind : {0, 1, 2}) {
        for (const std::size_t n : {0u, 1u, 100u, 4095u, 4096u, 70'000u, 1'000'000u}) {
          CAPTURE(wire::name_of(c), static_cast<int>(f), kind, n);
          const byte_vector plain = sample(n, kind);
          const outcome o = run(d, c, tests::compress(c, plain, f), slabs);
          CHECK(o.why.to_string() == failure().to_string());
          CHECK(o.bytes == plain);
        }
      }
    }
  }
}

TEST_CASE("compression: members and frames may follow one another") {
  wire::decompressor d;
  counting_slabs slabs;
  const byte_vector first = sample(100'000, 2);
  const byte_vector second = sample(50'000, 2);
  byte_vector plain = first;
  tests::append(plain, second);
  for (const codec c : {codec::gzip, codec::lz4, codec::zstd}) {
    for (const codec_flavour f : all_flavours) {
      CAPTURE(wire::name_of(c), static_cast<int>(f));
      byte_vector in = tests::compress(c, first, f);
      tests::append(in, tests::compress(c, second, f));
      const outcome o = run(d, c, in, slabs);
      CHECK(!o.why);
      CHECK(o.bytes == plain);
    }
  }
}

TEST_CASE("compression: what follows a gzip member and is none is ignored, as Java does") {
  wire::decompressor d;
  counting_slabs slabs;
  byte_vector in = tests::compress(codec::gzip, sample(1000, 2));
  tests::append(in, sample(20, 0));
  CHECK(run(d, codec::gzip, in, slabs).bytes == sample(1000, 2));
}

TEST_CASE("compression: what follows an lz4 or zstd frame and is none is corruption") {
  wire::decompressor d;
  counting_slabs slabs;
  for (const codec c : {codec::lz4, codec::zstd, codec::snappy}) {
    CAPTURE(wire::name_of(c));
    byte_vector in = tests::compress(c, sample(1000, 2));
    tests::append(in, sample(20, 1));
    CHECK(run(d, c, in, slabs).why.code == errc::corrupt_batch);
  }
}

TEST_CASE("compression: data that is cut anywhere is corruption, never a crash") {
  wire::decompressor d;
  counting_slabs slabs;
  const byte_vector plain = sample(5000, 2);
  for (const codec c : real_codecs) {
    for (const codec_flavour f : all_flavours) {
      const byte_vector whole = tests::compress(c, plain, f);
      std::size_t accepted = 0;
      // From 1: no data at all is no records, which the record count has to judge.
      for (std::size_t n = 1; n < whole.size(); ++n) {
        const outcome o = run(d, c, std::span(whole).first(n), slabs);
        if (o.why.code != errc::corrupt_batch) ++accepted;
      }
      CAPTURE(wire::name_of(c), static_cast<int>(f));
      // A xerial stream may end behind any block: here behind its header, with no block at all.
      CHECK(accepted == (c == codec::snappy && f != codec_flavour::simple ? 1u : 0u));
    }
  }
  CHECK(slabs.largest <= 2 * 22 * 5000);
}

TEST_CASE("compression: flipped bits never crash and keep to the limit") {
  wire::decompressor d;
  counting_slabs slabs;
  std::mt19937 random(4711);
  for (const codec c : real_codecs) {
    for (const codec_flavour f : all_flavours) {
      const byte_vector whole = tests::compress(c, sample(3000, 2), f);
      for (int round = 0; round < 1500; ++round) {
        byte_vector in = whole;
        for (auto flips = 1 + random() % 4; flips != 0; --flips) {
          in[random() % in.size()] ^= static_cast<std::byte>(1u << (random() % 8));
        }
        const outcome o = run(d, c, in, slabs, 100'000);
        if (o.why) CHECK((o.why.code == errc::corrupt_batch || o.why.code == errc::decompression_limit));
        REQUIRE(o.bytes.size() <= 100'000);
      }
    }
  }
  CHECK(slabs.largest <= 100'000);
}

byte_vector bomb(codec c, std::size_t output) {
  if (c == codec::zstd) {
    // One frame of run-length blocks: four bytes for 128 KiB each.
    byte_vector out;
    tests::append_little_endian(out, 0xFD2FB528u);
    out.push_back(std::byte{0x00});  // no content size, a window descriptor
    out.push_back(std::byte{0x50});  // 1 MiB
    const std::size_t block = 128 * 1024;
    for (std::size_t n = 0; n < output; n += block) {
      const std::uint32_t last = n + block >= output ? 1 : 0;
      const std::uint32_t word = last | (1u << 1) | (static_cast<std::uint32_t>(block) << 3);
      for (int shift = 0; shift < 24; shift += 8) out.push_back(static_cast<std::byte>((word >> shift) & 255u));
      out.push_back(std::byte{'x'});
    }
    return out;
  }
  return tests::compress(c, byte_vector(output), codec_flavour::usual);
}

TEST_CASE("compression: bombs stop at the limit") {
  constexpr std::size_t limit = 1 << 20;
  for (const codec c : real_codecs) {
    CAPTURE(wire::name_of(c));
    wire::decompressor d;
    counting_slabs slabs;
    const byte_vector in = bomb(c, 32 * limit);
    INFO(in.size());
    const outcome o = run(d, c, in, slabs, limit);
    CHECK(o.why.code == errc::decompression_limit);
    CHECK(o.why.words.find("1048576") != std::string::npos);
    CHECK(slabs.largest <= limit);
    // The decompressor has survived, and has not learnt to expect bombs.
    CHECK(run(d, c, tests::compress(c, sample(1000, 2)), slabs, limit).bytes == sample(1000, 2));
  }
}

TEST_CASE("compression: what zstd begins again with more room gives back what it had first") {
  constexpr std::size_t limit = 1 << 20;
  runtime::buffer_pool pool(limit);
  wire::decompressor d;
  wire::slab_ref slab;
  std::size_t size = 0;
  CHECK(d.decompress(codec::zstd, bomb(codec::zstd, 32 * limit), limit, pool, slab, size).code == errc::decompression_limit);
  CHECK(pool.peak() == limit);
  CHECK(pool.charged() == 0);
}

TEST_CASE("compression: 32 KiB of zstd that make 1 GiB stop at the default limit") {
  wire::decompressor d;
  counting_slabs slabs;
  const byte_vector in = bomb(codec::zstd, std::size_t{1} << 30);
  CHECK(in.size() < 33'000);
  CHECK(run(d, codec::zstd, in, slabs).why.code == errc::decompression_limit);
  CHECK(slabs.largest <= wire::default_decompression_limit);
}

TEST_CASE("compression: the limit itself is allowed, one byte less is not") {
  for (const codec c : all_codecs) {
    for (const codec_flavour f : all_flavours) {
      for (const std::size_t n : {1u, 5000u, 200'000u}) {
        CAPTURE(wire::name_of(c), static_cast<int>(f), n);
        wire::decompressor d;
        counting_slabs slabs;
        slabs.extra = 4096;  // room that the limit forbids to use
        const byte_vector in = tests::compress(c, sample(n, 2), f);
        CHECK(run(d, c, in, slabs, n).bytes.size() == n);
        CHECK(run(d, c, in, slabs, n - 1).why.code == errc::decompression_limit);
      }
    }
  }
}

TEST_CASE("compression: declared sizes allocate nothing") {
  wire::decompressor d;
  counting_slabs slabs;
  SECTION("snappy, a bare block of 2 GiB") {
    const byte_vector in = {std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{7}, std::byte{0}};
    CHECK(run(d, codec::snappy, in, slabs).why.code == errc::corrupt_batch);
    CHECK(slabs.calls == 0);
  }
  SECTION("snappy, a framed block of negative length") {
    byte_vector in = tests::compress(codec::snappy, sample(0, 0));
    tests::append_big_endian(in, std::int32_t{-1});
    CHECK(run(d, codec::snappy, in, slabs).why.code == errc::corrupt_batch);
    CHECK(slabs.calls == 0);
  }
  SECTION("zstd, content size of 1 GiB") {
    byte_vector in;
    tests::append_little_endian(in, 0xFD2FB528u);
    in.push_back(std::byte{0xA0});  // single segment, content size in four bytes
    tests::append_little_endian(in, 1u << 30);
    tests::append(in, byte_vector(50, std::byte{1}));
    CHECK(run(d, codec::zstd, in, slabs).why);
    CHECK(slabs.largest <= 4096);
  }
  SECTION("lz4, blocks of 4 MiB") {
    byte_vector in;
    tests::append_little_endian(in, 0x184D2204u);
    in.push_back(std::byte{0x60});
    in.push_back(std::byte{0x70});
    in.push_back(std::byte{0});
    tests::append_little_endian(in, 20);
    tests::append(in, byte_vector(20, std::byte{0xff}));
    CHECK(run(d, codec::lz4, in, slabs).why.code == errc::corrupt_batch);
    CHECK(slabs.largest <= 2 * 4096 + 20 * 255);
  }
}

TEST_CASE("compression: batches alike need one slab each once their ratio is known") {
  for (const codec c : real_codecs) {
    CAPTURE(wire::name_of(c));
    wire::decompressor d;
    counting_slabs slabs;
    const byte_vector in = tests::compress(c, byte_vector(60'000, std::byte{'a'}));
    run(d, c, in, slabs);
    const byte_vector text = tests::compress(c, sample(60'000, 2));
    run(d, c, text, slabs);
    slabs.calls = 0;
    run(d, c, text, slabs);
    CHECK(slabs.calls == 1);
  }
}

TEST_CASE("compression: an unknown codec and a lack of memory are errors, not exceptions") {
  wire::decompressor d;
  counting_slabs slabs;
  const failure unknown = run(d, static_cast<codec>(5), sample(10, 1), slabs).why;
  CHECK(unknown.code == errc::unsupported_codec);
  CHECK(unknown.words.find('5') != std::string::npos);
  slabs.refuse = true;
  for (const codec c : all_codecs) {
    CHECK(run(d, c, tests::compress(c, sample(100, 2)), slabs).why.code == std::make_error_code(std::errc::not_enough_memory));
  }
}

TEST_CASE("compression: a decompressor can be moved") {
  wire::decompressor first;
  counting_slabs slabs;
  const byte_vector in = tests::compress(codec::zstd, sample(5000, 2));
  run(first, codec::zstd, in, slabs);
  wire::decompressor second = std::move(first);
  CHECK(run(second, codec::zstd, in, slabs).bytes == sample(5000, 2));
}

}  // namespace compression_tests
