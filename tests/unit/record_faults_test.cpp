#include "catch.hpp"

#include <kawait/testing/batch_writer.hpp>
#include <kawait/testing/record_faults.hpp>
#include <kawait/wire/record_batch.hpp>
#include <kawait/wire/slab.hpp>

namespace record_faults_tests {

using kawait::errc;
using kawait::testing::batch_writer;
using kawait::testing::record_fault;
using kawait::testing::spoil_records;
namespace wire = kawait::wire;

std::vector<std::byte> batches(int count) {
  std::vector<std::byte> all;
  for (int i = 0; i < count; ++i) {
    batch_writer w(i * 10);
    w.base_timestamp(1'700'000'000'000);
    for (int r = 0; r < 10; ++r) w.add("key", "value");
    const std::vector<std::byte> one = w.build();
    all.insert(all.end(), one.begin(), one.end());
  }
  return all;
}

/// What a reader finds first.
kawait::failure first_flaw(const std::vector<std::byte>& records) {
  wire::batch_cursor cursor{std::span<const std::byte>(records)};
  wire::batch_view batch;
  while (cursor.next(batch)) {
    if (const kawait::failure f = wire::check_crc(batch)) return f;
    wire::decompressor d;
    wire::heap_slabs heap;
    wire::slab_ref out;
    std::size_t size = 0;
    if (batch.header.codec() == wire::codec::none) continue;
    constexpr std::size_t limit = wire::default_decompression_limit;
    if (const kawait::failure f = d.decompress(batch.header.codec(), batch.records(), limit, heap, out, size)) return f;
  }
  return cursor.error();
}

TEST_CASE("record faults: each is what it says, and nothing else is wrong") {
  struct row {
    record_fault what;
    std::error_code code;
  };
  const row rows[] = {{record_fault::bad_crc, errc::crc_mismatch},
                      {record_fault::unknown_magic, errc::unsupported_magic},
                      {record_fault::unknown_codec, errc::unsupported_codec},
                      {record_fault::negative_length, errc::corrupt_batch},
                      {record_fault::huge_length, errc::corrupt_batch},
                      {record_fault::hostile_count, errc::corrupt_batch}};
  for (const row& r : rows) {
    CAPTURE(static_cast<int>(r.what));
    std::vector<std::byte> records = batches(3);
    REQUIRE(!first_flaw(records));
    CHECK(spoil_records(records, r.what));
    CHECK(first_flaw(records).code == r.code);
    std::vector<std::byte> none;
    CHECK(!spoil_records(none, r.what));
    std::vector<std::byte> part = batches(1);
    part.pop_back();
    CHECK(!spoil_records(part, r.what));
  }
}

TEST_CASE("record faults: a cut tail is no error while a whole batch precedes it") {
  std::vector<std::byte> one = batches(1), two = batches(2);
  const std::size_t whole = two.size();
  CHECK(!spoil_records(one, record_fault::truncated));
  CHECK(spoil_records(two, record_fault::truncated));
  CHECK(two.size() < whole);
  CHECK(two.size() > one.size());
  CHECK(!first_flaw(two));
  wire::records_summary summary;
  CHECK(!wire::summarize(two, summary));
  CHECK(summary.next_offset == 10);
}

TEST_CASE("record faults: a record whose length does not end is sound but for that") {
  std::vector<std::byte> records = batches(2);
  CHECK(spoil_records(records, record_fault::hostile_varint));
  CHECK(!first_flaw(records));  // the CRC is right: only who decodes records finds it
  CHECK(records[wire::batch_header::size] == std::byte{0xff});
}

TEST_CASE("record faults: a bomb of each codec keeps the offsets of what it replaces") {
  for (const wire::codec c : {wire::codec::gzip, wire::codec::snappy, wire::codec::lz4, wire::codec::zstd}) {
    if (!wire::is_supported(c)) continue;
    CAPTURE(std::string(wire::name_of(c)));
    std::vector<std::byte> records = batches(2);
    CHECK(spoil_records(records, record_fault::bomb, c));
    CHECK(first_flaw(records).code == errc::decompression_limit);
    CHECK(records.size() < (std::size_t{8} << 20));
    wire::records_summary summary;
    CHECK(!wire::summarize(records, summary));
    CHECK(summary.batches == 2);
    CHECK(summary.next_offset == 20);
  }
}

TEST_CASE("record faults: a doubled abort is no matter of the records") {
  std::vector<std::byte> records = batches(2);
  const std::vector<std::byte> before = records;
  CHECK(!spoil_records(records, record_fault::doubled_abort));
  CHECK(records == before);
}

}  // namespace record_faults_tests
