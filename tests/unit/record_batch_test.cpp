#include <kawait/wire/crc32c.hpp>
#include <kawait/wire/record_batch.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "batch_builder.hpp"
#include "catch.hpp"

namespace record_batch_tests {

using namespace kawait;
using tests::batch_builder;
using tests::byte_vector;
using wire::batch_cursor;
using wire::batch_view;

batch_builder plain(std::int64_t base, int records = 3) {
  batch_builder b(base);
  for (int i = 0; i < records; ++i) b.add("key", "value");
  return b;
}

std::span<const std::byte> head(const byte_vector& bytes, std::size_t n) { return std::span<const std::byte>(bytes).first(n); }

struct walk {
  std::vector<std::int64_t> offsets;
  std::size_t rest = 0;
  failure why;

  explicit walk(std::span<const std::byte> records) {
    const byte_vector exact(records.begin(), records.end());  // so that ASan sees a read past the end
    batch_cursor cursor(exact);
    batch_view batch;
    while (cursor.next(batch)) offsets.push_back(batch.header.base_offset);
    CHECK(!cursor.next(batch));  // an end stays one
    rest = cursor.rest();
    why = cursor.error();
  }
};

TEST_CASE("record_batch: every field of the header") {
  batch_builder b(0x0102030405060708);
  b.leader_epoch(0x11121314).producer(0x2122232425262728, 0x3132, 0x41424344).add("k", "v", {}, 5);
  b.header.last_offset_delta = 0x51525354;
  b.header.base_timestamp = 0x6162636465666768;
  b.header.max_timestamp = 0x7172737475767778;
  const byte_vector bytes = b.build();
  batch_cursor cursor(bytes);
  batch_view batch;
  REQUIRE(cursor.next(batch));
  const wire::batch_header& h = batch.header;
  CHECK(h.base_offset == 0x0102030405060708);
  CHECK(h.batch_length == static_cast<std::int32_t>(bytes.size() - 12));
  CHECK(h.leader_epoch == 0x11121314);
  CHECK(h.magic == 2);
  CHECK(h.crc == wire::crc32c(std::span(bytes).subspan(21)));
  CHECK(h.attributes == 0);
  CHECK(h.last_offset_delta == 0x51525354);
  CHECK(h.base_timestamp == 0x6162636465666768);
  CHECK(h.max_timestamp == 0x7172737475767778);
  CHECK(h.producer_id == 0x2122232425262728);
  CHECK(h.producer_epoch == 0x3132);
  CHECK(h.base_sequence == 0x41424344);
  CHECK(h.record_count == 1);
  CHECK(h.last_offset() == 0x0102030405060708 + 0x51525354);
  CHECK(h.next_offset() == h.last_offset() + 1);
  CHECK(batch.bytes.size() == bytes.size());
  CHECK(batch.records().size() == bytes.size() - 61);
}

TEST_CASE("record_batch: attributes") {
  struct row {
    int attributes;
    wire::codec codec;
    wire::timestamp_type timestamps;
    bool transactional, control, horizon;
  };
  using wire::codec;
  using wire::timestamp_type;
  const row rows[] = {
      {0x00, codec::none, timestamp_type::create_time, false, false, false},
      {0x01, codec::gzip, timestamp_type::create_time, false, false, false},
      {0x02, codec::snappy, timestamp_type::create_time, false, false, false},
      {0x03, codec::lz4, timestamp_type::create_time, false, false, false},
      {0x04, codec::zstd, timestamp_type::create_time, false, false, false},
      {0x07, static_cast<codec>(7), timestamp_type::create_time, false, false, false},
      {0x08, codec::none, timestamp_type::log_append_time, false, false, false},
      {0x10, codec::none, timestamp_type::create_time, true, false, false},
      {0x20, codec::none, timestamp_type::create_time, false, true, false},
      {0x40, codec::none, timestamp_type::create_time, false, false, true},
      {0x7c, codec::zstd, timestamp_type::log_append_time, true, true, true},
      {-1, static_cast<codec>(7), timestamp_type::log_append_time, true, true, true},
  };
  for (const row& r : rows) {
    CAPTURE(r.attributes);
    wire::batch_header h;
    h.attributes = static_cast<std::int16_t>(r.attributes);
    CHECK(h.codec() == r.codec);
    CHECK(h.timestamp_type() == r.timestamps);
    CHECK(h.is_transactional() == r.transactional);
    CHECK(h.is_control() == r.control);
    CHECK(h.has_delete_horizon() == r.horizon);
  }
}

TEST_CASE("record_batch: no records is an end, not an error") {
  const walk w({});
  CHECK(w.offsets.empty());
  CHECK(!w.why);
  batch_view batch;
  CHECK(!batch_cursor().next(batch));
}

TEST_CASE("record_batch: a response cut at any byte gives its whole batches") {
  const byte_vector first = plain(10).build();
  const byte_vector second = plain(13, 5).build();
  byte_vector both = first;
  tests::append(both, second);
  for (std::size_t n = 1; n <= both.size(); ++n) {
    CAPTURE(n);
    const walk w(head(both, n));
    if (n < first.size()) {
      CHECK(w.offsets.empty());
      CHECK(w.why.code == errc::corrupt_batch);
      CHECK(w.why.words.find("no whole record batch in " + std::to_string(n)) == 0);
    } else {
      CHECK(!w.why);
      CHECK(w.offsets.size() == (n == both.size() ? 2u : 1u));
      CHECK(w.rest == (n == both.size() ? 0u : n - first.size()));
    }
  }
}

TEST_CASE("record_batch: the magic comes before everything behind it") {
  for (const int magic : {0, 1, 3, -1}) {
    CAPTURE(magic);
    byte_vector old(34, std::byte{0x7f});  // a message set of old is shorter than a header of ours, and means something else
    old[0] = std::byte{0};
    old[8] = old[9] = old[10] = std::byte{0};
    old[11] = std::byte{22};
    old[16] = static_cast<std::byte>(magic);
    const walk alone(old);
    CHECK(alone.why.code == errc::unsupported_magic);
    CHECK(alone.why.words.find("magic " + std::to_string(magic)) != std::string::npos);
    CHECK(walk(head(old, 17)).why.code == errc::unsupported_magic);
    CHECK(walk(head(old, 16)).why.code == errc::corrupt_batch);
    byte_vector after = plain(0).build();
    tests::append(after, old);
    const walk w(after);
    CHECK(w.offsets.size() == 1);
    CHECK(w.why.code == errc::unsupported_magic);
  }
}

void poke(byte_vector& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<std::byte>((value >> (8 * (size - 1 - i))) & 255u);
}

TEST_CASE("record_batch: hostile headers") {
  struct row {
    const char* what;
    std::size_t at;
    std::int64_t value;
    std::size_t size;
  };
  const std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  const row rows[] = {
      {"length 48", 8, 48, 4},
      {"length 0", 8, 0, 4},
      {"length negative", 8, -1, 4},
      {"length smallest", 8, std::numeric_limits<std::int32_t>::min(), 4},
      {"base offset negative", 0, -1, 8},
      {"base offset smallest", 0, std::numeric_limits<std::int64_t>::min(), 8},
      {"base offset largest", 0, largest, 8},
      {"base offset near the largest", 0, largest - 0x7fffffff, 8},
      {"last offset delta negative", 23, -1, 4},
      {"count negative", 57, -1, 4},
      {"count larger than the bytes", 57, 5, 4},
      {"count largest", 57, 0x7fffffff, 4},
  };
  for (const row& r : rows) {
    CAPTURE(r.what);
    byte_vector bytes = plain(0, 2).build();
    poke(bytes, r.at, static_cast<std::uint64_t>(r.value), r.size);
    const walk w(bytes);
    CHECK(w.offsets.empty());
    CHECK(w.why.code == errc::corrupt_batch);
    // Behind a good batch it is as bad.
    byte_vector after = plain(0).build();
    tests::append(after, bytes);
    const walk later(after);
    CHECK(later.offsets.size() == 1);
    CHECK(later.why.code == errc::corrupt_batch);
  }
  byte_vector longest = plain(0).build();
  poke(longest, 8, 0x7fffffff, 4);
  CHECK(walk(longest).why.code == errc::corrupt_batch);
}

TEST_CASE("record_batch: extreme but sound headers") {
  const std::int64_t high = std::numeric_limits<std::int64_t>::max() - (std::int64_t{1} << 31);
  batch_builder b = plain(high, 1);
  b.header.last_offset_delta = 0x7fffffff;
  const byte_vector bytes = b.build();
  batch_cursor cursor(bytes);
  batch_view batch;
  REQUIRE(cursor.next(batch));
  CHECK(batch.header.next_offset() == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("record_batch: batches must ascend") {
  byte_vector bytes = plain(10, 3).build();
  SECTION("adjacent and with a gap") {
    tests::append(bytes, plain(13).build());
    tests::append(bytes, plain(100).build());
    const walk w(bytes);
    CHECK(w.offsets == std::vector<std::int64_t>{10, 13, 100});
    CHECK(!w.why);
  }
  SECTION("overlapping") {
    tests::append(bytes, plain(12).build());
    CHECK(walk(bytes).why.code == errc::corrupt_batch);
  }
  SECTION("repeated") {
    tests::append(bytes, plain(10).build());
    CHECK(walk(bytes).why.code == errc::corrupt_batch);
  }
}

TEST_CASE("record_batch: the position behind compaction holes and empty batches") {
  batch_builder holes = plain(100, 1);
  holes.hole(7);
  batch_builder empty(200);
  empty.hole(50);
  byte_vector bytes = holes.build();
  wire::records_summary s;
  CHECK(!wire::summarize(bytes, s));
  CHECK(s.next_offset == 108);
  tests::append(bytes, empty.leader_epoch(9).build());
  CHECK(!wire::summarize(bytes, s));
  CHECK(s.first_offset == 100);
  CHECK(s.next_offset == 250);
  CHECK(s.leader_epoch == 9);
  CHECK(s.batches == 2);
  CHECK(s.bytes == bytes.size());
  // A cut tail is not counted, a bad one leaves what came before.
  const std::size_t whole = bytes.size();
  tests::append(bytes, head(plain(250).build(), 70));
  CHECK(!wire::summarize(bytes, s));
  CHECK(s.bytes == whole);
  CHECK(s.next_offset == 250);
  poke(bytes, whole + 8, 3, 4);
  CHECK(wire::summarize(bytes, s).code == errc::corrupt_batch);
  CHECK(s.next_offset == 250);
  CHECK(!wire::summarize({}, s));
  CHECK(s.next_offset == -1);
  CHECK(s.batches == 0);
}

TEST_CASE("record_batch: the CRC covers all from the attributes on, and not the leader epoch") {
  const byte_vector good = plain(0).build();
  std::size_t unnoticed = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    if (at >= 8 && at < 12) continue;  // the length: the cursor's
    if (at == 16) continue;            // the magic: too
    byte_vector bytes = good;
    bytes[at] ^= std::byte{0x01};
    batch_view batch;
    batch.bytes = bytes;
    batch.header.crc = 0;
    for (std::size_t i = 17; i < 21; ++i) batch.header.crc = batch.header.crc << 8 | std::to_integer<std::uint32_t>(bytes[i]);
    const failure f = wire::check_crc(batch);
    if (at < 16) {
      CHECK(!f);
    } else {
      if (f.code != errc::crc_mismatch) ++unnoticed;
    }
  }
  CHECK(unnoticed == 0);
}

TEST_CASE("record_batch: a crc mismatch is told with its place") {
  byte_vector bytes = plain(4711).build();
  bytes.back() ^= std::byte{1};
  batch_cursor cursor(bytes);
  batch_view batch;
  REQUIRE(cursor.next(batch));
  const failure f = wire::check_crc(batch);
  CHECK(f.code == errc::crc_mismatch);
  CHECK(f.words.find("offset 4711") != std::string::npos);
}

TEST_CASE("record_batch: flipped bits never make the cursor read outside or loop") {
  std::mt19937 random(99);
  byte_vector whole = plain(0).build();
  tests::append(whole, plain(3).codec(wire::codec::lz4).build());
  tests::append(whole, tests::control_batch(6, 1, wire::control_type::commit));
  for (int round = 0; round < 20'000; ++round) {
    byte_vector bytes = whole;
    for (auto flips = 1 + random() % 8; flips != 0; --flips) {
      bytes[random() % bytes.size()] ^= static_cast<std::byte>(1u << (random() % 8));
    }
    const walk w(bytes);
    REQUIRE(w.offsets.size() <= bytes.size() / 61);
    for (std::size_t i = 1; i < w.offsets.size(); ++i) REQUIRE(w.offsets[i] > w.offsets[i - 1]);
  }
}

wire::batch_header data(std::int64_t base, std::int64_t producer, bool transactional = true, std::int32_t last = 9) {
  wire::batch_header h;
  h.base_offset = base;
  h.last_offset_delta = last;
  h.producer_id = producer;
  h.attributes = transactional ? 0x10 : 0;
  return h;
}

TEST_CASE("aborted_transactions: none listed, nothing skipped") {
  wire::aborted_transactions none;
  CHECK(none.idle());
  CHECK(!none.skips(data(0, 1)));
  none.on_control(data(10, 1, true, 0), wire::control_type::abort);
  CHECK(!none.skips(data(11, 1)));
}

TEST_CASE("aborted_transactions: skipped from the first offset to the abort marker") {
  // Unsorted, and one that began below the fetch offset.
  wire::aborted_transactions t({{7, 130}, {5, 40}});
  CHECK(!t.idle());
  CHECK(t.skips(data(100, 5)));
  CHECK(!t.skips(data(110, 6)));          // another producer's transaction
  CHECK(!t.skips(data(120, 7)));          // before its first offset
  CHECK(!t.skips(data(130, 5, false)));   // not transactional
  CHECK(!t.skips(data(140, -1, false)));  // no producer id at all
  CHECK(t.skips(data(150, 7)));
  t.on_control(data(160, 5, true, 0), wire::control_type::abort);
  CHECK(!t.skips(data(161, 5)));
  CHECK(t.skips(data(171, 7)));
  t.on_control(data(181, 7, true, 0), wire::control_type::abort);
  CHECK(!t.skips(data(182, 7)));
  CHECK(t.idle());
}

TEST_CASE("aborted_transactions: one producer aborting twice, a commit between") {
  wire::aborted_transactions t({{5, 100}, {5, 200}});
  CHECK(t.skips(data(100, 5)));
  t.on_control(data(110, 5, true, 0), wire::control_type::abort);
  CHECK(!t.skips(data(120, 5)));
  t.on_control(data(130, 5, true, 0), wire::control_type::commit);
  CHECK(!t.skips(data(140, 5)));
  CHECK(t.skips(data(200, 5)));
  t.on_control(data(210, 5, true, 0), wire::control_type::abort);
  t.on_control(data(211, 5, true, 0), wire::control_type::abort);  // doubled: no harm
  CHECK(!t.skips(data(220, 5)));
}

TEST_CASE("aborted_transactions: a batch is active if the transaction begins anywhere up to its last offset") {
  wire::aborted_transactions t({{5, 109}});
  CHECK(t.skips(data(100, 5)));
  wire::aborted_transactions later({{5, 110}});
  CHECK(!later.skips(data(100, 5)));
}

TEST_CASE("aborted_transactions: commits and unknown markers do not end an abort") {
  wire::aborted_transactions t({{5, 0}});
  t.on_control(data(10, 5, true, 0), wire::control_type::other);
  t.on_control(data(11, 6, true, 0), wire::control_type::abort);
  CHECK(t.skips(data(20, 5)));
}

TEST_CASE("aborted_transactions: a marker activates what began before it") {
  // The transaction's data was compacted away, or lies below the fetch offset: its marker must not leave it active for the next.
  wire::aborted_transactions t({{5, 10}});
  t.on_control(data(20, 5, true, 0), wire::control_type::abort);
  CHECK(!t.skips(data(30, 5)));
}

}  // namespace record_batch_tests
