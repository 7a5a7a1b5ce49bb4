#include "catch.hpp"

#include <limits>
#include <numeric>

#include "unit/stream_support.hpp"

// What a stream hands out. Its position, its share of the buffer and its ends are in partition_stream_flow_test.cpp.

namespace partition_stream_tests {

using kawait::errc;
using streams::batch_builder;
using streams::batch_of;
using streams::byte_vector;
using streams::held;
using streams::joined;
using streams::offsets_of;
using streams::rig;
using offsets = std::vector<std::int64_t>;
namespace wire = kawait::wire;

offsets range(std::int64_t from, std::int64_t to) {
  offsets all(static_cast<std::size_t>(to - from));
  std::iota(all.begin(), all.end(), from);
  return all;
}

TEST_CASE("uncompressed batches of a response are handed out together, as views of it", "[stream]") {
  rig r;
  r.flow_from(10);
  CHECK(!r.take());
  CHECK(!r.bad);
  r.fetched(joined({batch_of(10, 3), batch_of(13, 2)}));
  CHECK(r.host.readables == 1);
  CHECK(r.stream->fetch_position() == kawait::offset_and_epoch(15, 0));
  CHECK(r.stream->position() == 10);
  const std::size_t charged = r.pool.charged();
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l) == range(10, 15));
  CHECK(l->segments.size() == 2);
  CHECK(l->segments[1].first_ordinal == 3);
  CHECK(l->record_count == 5);
  CHECK(l->first_offset == 10);
  CHECK(l->next_offset == 15);
  CHECK(r.stream->position() == 15);
  CHECK(r.pool.charged() == charged);  // nothing was copied
  CHECK(!r.take());
  r.give_back(std::move(l));
  CHECK(r.pool.charged() == 0);
  CHECK(r.stream->held_bytes() == 0);
  CHECK(r.stream->tracker().committable() == kawait::offset_and_epoch(15, 0));
}

TEST_CASE("one response a hand-out", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 2));
  r.fetched(batch_of(2, 2));
  CHECK(r.host.readables == 1);  // the reader is told once, until it has emptied the queue
  held a = r.take(), b = r.take();
  REQUIRE((a && b));
  CHECK(offsets_of(*a) == range(0, 2));
  CHECK(offsets_of(*b) == range(2, 4));
  r.fetched(batch_of(4, 1));
  CHECK(r.host.readables == 2);
}

TEST_CASE("compressed batches are handed out in slices of a mebibyte of output", "[stream]") {
  const auto how = GENERATE(wire::codec::gzip, wire::codec::snappy, wire::codec::lz4, wire::codec::zstd);
  CAPTURE(static_cast<int>(how));
  rig r(std::size_t{256} << 20, std::size_t{64} << 20);
  r.flow_from(0);
  std::vector<byte_vector> parts;
  for (int i = 0; i < 12; ++i) parts.push_back(batch_of(i * 10, 10, 30'000, how));  // 300 kB each
  r.fetched(joined(parts));
  offsets seen;
  int slices = 0;
  while (held l = r.take()) {
    ++slices;
    std::size_t output = 0;
    for (const auto& b : l->buffers) output += b->capacity();
    CHECK(output < (std::size_t{1} << 20) + 700'000);  // what begins below the limit is finished
    CHECK(l->charge == output);
    const offsets some = offsets_of(*l);
    CHECK(l->first_offset == some.front());
    CHECK(l->next_offset == some.back() + 1);
    seen.insert(seen.end(), some.begin(), some.end());
    r.give_back(std::move(l));
  }
  CHECK(!r.bad);
  CHECK(seen == range(0, 120));
  CHECK(slices >= 3);
  CHECK(slices <= 6);
  CHECK(r.pool.charged() == 0);
}

TEST_CASE("a compressed batch does not hold the response that brought it", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 5, 100, wire::codec::zstd), {}, 100'000);
  held l = r.take();
  REQUIRE(l);
  REQUIRE(l->buffers.size() == 1);
  CHECK(r.pool.charged() == l->buffers[0]->capacity());
  CHECK(offsets_of(*l) == range(0, 5));
}

TEST_CASE("compressed and plain batches side by side", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(joined({batch_of(0, 2), batch_of(2, 2, 8, wire::codec::gzip), batch_of(4, 2)}));
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l) == range(0, 6));
  CHECK(l->buffers.size() == 2);
}

TEST_CASE("a first batch that begins below the position gives only what is at or above it", "[stream]") {
  rig r;
  r.flow_from(12);
  r.fetched(joined({batch_of(5, 5), batch_of(10, 5), batch_of(15, 1)}));
  held l = r.take();
  REQUIRE(l);
  CHECK(l->first_offset == 12);
  CHECK(offsets_of(*l) == range(12, 16));
  CHECK(l->segments.size() == 2);  // the one wholly below was left out
  for (const std::uint32_t i : {5u, 3u, 2u}) l->mark_one_done(i, 10 + static_cast<std::int64_t>(i));
  r.releases->drain();
  CHECK(r.stream->tracker().committable() == kawait::offset_and_epoch(14, 0));
  l->mark_one_done(4, 14);
  r.releases->drain();
  CHECK(r.stream->tracker().committable() == kawait::offset_and_epoch(16, 0));
  r.give_back(std::move(l), false);
  CHECK(!r.stream->tracker().abandoned());
}

TEST_CASE("control batches move the position and are never handed out", "[stream]") {
  rig r;
  r.read_committed = GENERATE(false, true);
  r.flow_from(0);
  batch_builder data(0);
  data.producer(77).transactional().add("k", "v");
  r.fetched(joined({data.build(), kawait::tests::control_batch(1, 77, wire::control_type::commit), batch_of(2, 1)}));
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l) == offsets{0, 2});
  CHECK(l->next_offset == 3);
  r.give_back(std::move(l));
  // Nothing but a marker: the position moves, and it counts as done.
  r.fetched(kawait::tests::control_batch(3, 77, wire::control_type::commit));
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(r.stream->position() == 4);
  CHECK(r.stream->tracker().committable() == kawait::offset_and_epoch(4, 0));
}

// Committed with the record's epoch, the place behind the marker would look like one that a truncation took.
TEST_CASE("a place behind a control batch of a newer leader is of that leader's epoch", "[stream]") {
  rig r;
  r.flow_from(0);
  batch_builder data(0);
  data.leader_epoch(3).producer(77).transactional().add("k", "v");
  auto marker = kawait::tests::control_batch(1, 77, wire::control_type::commit);
  marker[15] = std::byte{4};  // partitionLeaderEpoch's last byte: no checksum covers it
  r.fetched(joined({data.build(), marker}));
  held l = r.take();
  REQUIRE(l);
  CHECK(l->next_offset == 2);
  r.give_back(std::move(l));
  CHECK(r.stream->tracker().committable() == kawait::offset_and_epoch(2, 4));
}

TEST_CASE("under read_committed aborted transactions are skipped", "[stream]") {
  rig r;
  r.read_committed = GENERATE(true, false);
  r.flow_from(0);
  const auto in_transaction = [](std::int64_t base, std::int64_t producer) {
    batch_builder b(base);
    b.producer(producer).transactional().add("k", "v").add("k", "v");
    return b.build();
  };
  r.fetched(joined({in_transaction(0, 1), in_transaction(2, 2), in_transaction(4, 1), kawait::tests::control_batch(6, 1, wire::control_type::abort),
                    kawait::tests::control_batch(7, 2, wire::control_type::commit), in_transaction(8, 1)}),
            {wire::aborted_transaction(1, 0)});
  held l = r.take();
  REQUIRE(l);
  if (r.read_committed) {
    CHECK(offsets_of(*l) == offsets{2, 3, 8, 9});
  } else {
    CHECK(offsets_of(*l) == offsets{0, 1, 2, 3, 4, 5, 8, 9});
  }
  CHECK(l->next_offset == 10);
  r.give_back(std::move(l));
  CHECK(r.stream->tracker().committable() == kawait::offset_and_epoch(10, 0));
}

TEST_CASE("a response of aborted records only moves the position and wakes nobody twice", "[stream]") {
  rig r;
  r.read_committed = true;
  r.flow_from(0);
  batch_builder data(0);
  data.producer(1).transactional().add("k", "v");
  r.fetched(joined({data.build(), kawait::tests::control_batch(1, 1, wire::control_type::abort)}), {wire::aborted_transaction(1, 0)});
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(r.stream->position() == 2);
  CHECK(!r.stream->is_readable());
  CHECK(r.pool.charged() == 0);
  r.fetched(batch_of(2, 1));
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l) == offsets{2});
}

TEST_CASE("a batch that compaction emptied moves the position", "[stream]") {
  rig r;
  r.flow_from(0);
  batch_builder empty(0);
  empty.hole(10);
  r.fetched(joined({empty.build(), batch_of(10, 1)}));
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l) == offsets{10});
  CHECK(l->first_offset == 0);
}

// ---- Errors at their place.

byte_vector with_bad_crc(std::int64_t base) {
  byte_vector b = batch_of(base, 2);
  b.back() ^= std::byte{1};
  return b;
}

TEST_CASE("what precedes a bad batch is handed out first; then the failure stays until a seek", "[stream]") {
  struct row {
    const char* what;
    byte_vector bytes;
    std::error_code code;
  };
  batch_builder magic(2);
  magic.header.magic = 1;
  magic.add("k", "v");
  batch_builder unknown(2);
  unknown.add("k", "v");
  unknown.header.attributes = 6;
  batch_builder garbage(2);
  garbage.codec(wire::codec::zstd).add("k", "v");
  const byte_vector no_zstd(20, std::byte{0x5a});
  const row rows[] = {{"crc", with_bad_crc(2), errc::crc_mismatch},
                      {"magic", magic.build(), errc::unsupported_magic},
                      {"codec", unknown.build_with(unknown.records()), errc::unsupported_codec},
                      {"compressed garbage", garbage.build_with(no_zstd), errc::corrupt_batch}};
  for (const row& x : rows) {
    CAPTURE(x.what);
    rig r;
    r.flow_from(0);
    r.fetched(joined({batch_of(0, 2), x.bytes, batch_of(4, 1)}));
    held l = r.take();
    REQUIRE(l);
    CHECK(offsets_of(*l) == range(0, 2));
    CHECK(r.stream->position() == 2);
    r.give_back(std::move(l));
    for (int again = 0; again < 3; ++again) {
      CHECK(r.stream->is_readable());
      CHECK(!r.take());
      CHECK(r.bad.code == x.code);
      CHECK(r.bad.words.find("orders-3@2") != std::string::npos);
    }
    CHECK(!r.stream->fetch_position());
    CHECK(!r.stream->wants_fetch());
    CHECK(r.stream->tracker().committable() == kawait::offset_and_epoch(2, 0));
    r.stream->seek(kawait::offset_and_epoch(4));
    CHECK(r.stream->wants_fetch());
    r.fetched(batch_of(4, 1));
    l = r.take();
    REQUIRE(l);
    CHECK(offsets_of(*l) == offsets{4});
  }
}

TEST_CASE("a failure names the place of the bad batch, not that of a marker before it", "[stream]") {
  rig r;
  r.flow_from(7);
  r.fetched(joined({kawait::tests::control_batch(7, 1, wire::control_type::commit), with_bad_crc(8)}));
  CHECK(!r.take());
  CHECK(r.bad.code == errc::crc_mismatch);
  CHECK(r.bad.words.find("orders-3@8") != std::string::npos);
  CHECK(r.stream->position() == 8);
}

TEST_CASE("behind an error nothing is fetched: it would only be found again", "[stream]") {
  rig r;
  r.flow_from(0);
  byte_vector bad = batch_of(2, 1);
  bad[16] = std::byte{1};  // magic 1: seen before the CRC, when the response comes
  r.fetched(joined({batch_of(0, 2), bad}));
  CHECK(!r.stream->wants_fetch());
  held l = r.take();
  REQUIRE(l);
  CHECK(!r.stream->wants_fetch());
  CHECK(!r.take());
  CHECK(r.bad.code == errc::unsupported_magic);
  CHECK(!r.stream->wants_fetch());
}

TEST_CASE("without check.crcs a wrong CRC is nobody's business", "[stream]") {
  rig r;
  r.check_crcs = false;
  r.flow_from(2);
  r.fetched(with_bad_crc(2));
  CHECK(r.take());
}

TEST_CASE("a batch that decompresses to more than the limit is an error at its place", "[stream]") {
  rig r;
  r.decompression_limit = 100'000;
  r.flow_from(0);
  r.fetched(joined({batch_of(0, 1, 90'000, wire::codec::zstd), batch_of(1, 1, 110'000, wire::codec::zstd)}));
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l) == offsets{0});
  CHECK(!r.take());
  CHECK(r.bad.code == errc::decompression_limit);
  CHECK(r.bad.words.find("orders-3@1") != std::string::npos);
}

// Its count is what done(record) makes room for.
TEST_CASE("a compressed batch that counts more records than its bytes can hold is an error at its place", "[stream]") {
  batch_builder liar(1);
  liar.codec(wire::codec::snappy).add("k", "v");
  liar.header.record_count = std::numeric_limits<std::int32_t>::max();
  rig r;
  r.flow_from(0);
  r.fetched(joined({batch_of(0, 1, 8, wire::codec::snappy), liar.build(), batch_of(2, 1)}));
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l) == offsets{0});
  CHECK(l->record_count == 1);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::corrupt_batch);
  CHECK(r.bad.words.find("orders-3@1") != std::string::npos);
}

// ---- Copies.

TEST_CASE("above half the budget, a batch that owns little of its response is copied out", "[stream]") {
  struct row {
    const char* what;
    std::size_t others;    // bytes beside it in its response
    std::size_t elsewhere;  // charged by others
    bool copied;
  };
  const row rows[] = {{"roomy", 50'000, 0, false}, {"tight", 50'000, 600'000, true}, {"tight, but most of its response", 0, 600'000, false}};
  for (const row& x : rows) {
    CAPTURE(x.what);
    rig r(1'000'000, 500'000);
    const wire::slab_ref elsewhere = x.elsewhere > 0 ? r.pool.acquire(x.elsewhere) : wire::slab_ref();
    const std::size_t before = r.pool.charged();
    r.flow_from(0);
    const byte_vector bytes = joined({batch_of(0, 4, 1000), batch_of(4, 2, 10, wire::codec::gzip), batch_of(6, 1, 500)});
    r.fetched(bytes, {}, x.others);
    held l = r.take();
    REQUIRE(l);
    CHECK(offsets_of(*l) == range(0, 7));
    wire::record_reader reader(l->segments[2].header, l->segments[2].records);
    wire::record record;
    REQUIRE(reader.next(record));
    CHECK(*record.value() == streams::text_of(500));
    const std::size_t pinned = r.pool.charged() - before;
    if (x.copied) {
      CHECK(pinned <= 16'384);
    } else {
      CHECK(pinned >= bytes.size() + x.others);
    }
    CHECK(l->charge <= pinned);
  }
}

}  // namespace partition_stream_tests
