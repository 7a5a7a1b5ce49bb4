#include <optional>
#include <string>
#include <vector>

#include <kawait/testing/batch_writer.hpp>
#include <kawait/wire/compression.hpp>
#include <kawait/wire/record.hpp>

#include "catch.hpp"

namespace testing_batch_writer_tests {

using namespace kawait;
using testing::batch_writer;
using testing::codec_flavour;
using testing::producer_record;

struct read_record {
  std::int64_t offset, timestamp;
  std::optional<std::string> key, value;
  std::size_t headers;
};

/// What kawait's own reader makes of it; nothing if it objects.
std::vector<read_record> read_back(const std::vector<std::byte>& bytes, wire::batch_header* header = nullptr) {
  wire::batch_cursor cursor(bytes);
  wire::batch_view batch;
  std::vector<read_record> all;
  if (!cursor.next(batch) || wire::check_crc(batch)) return all;
  if (header) *header = batch.header;
  wire::decompressor codecs;
  wire::heap_slabs memory;
  wire::slab_ref slab;
  std::size_t size = 0;
  REQUIRE(!codecs.decompress(batch.header.codec(), batch.records(), wire::default_decompression_limit, memory, slab, size));
  wire::record_reader reader(batch.header, std::span<const std::byte>(slab->data(), size));
  wire::record r;
  const auto text = [](wire::nullable_view v) { return v ? std::optional<std::string>(std::string(*v)) : std::nullopt; };
  while (reader.next(r)) all.push_back({r.offset(), r.timestamp_ms(), text(r.key()), text(r.value()), r.headers().size()});
  REQUIRE(!reader.error());
  return all;
}

TEST_CASE("batch_writer: what it writes is read back, with every codec and flavour") {
  for (int codec = 0; codec <= 4; ++codec) {
    for (const codec_flavour flavour : {codec_flavour::usual, codec_flavour::simple, codec_flavour::checked}) {
      CAPTURE(codec);
      batch_writer w(100);
      w.codec(static_cast<wire::codec>(codec), flavour).base_timestamp(5000).leader_epoch(7);
      producer_record first("k", "v", 5003);
      first.headers.emplace_back("h", std::nullopt);
      w.add(first);
      w.hole(2);
      w.add(producer_record(std::nullopt, std::nullopt, 4990));
      for (int i = 0; i < 300; ++i) w.add("key", std::string(40, 'x'));
      wire::batch_header header;
      const auto all = read_back(w.build(), &header);
      REQUIRE(all.size() == 302);
      CHECK(all[0].offset == 100);
      CHECK(all[0].timestamp == 5003);
      CHECK(all[0].key == "k");
      CHECK(all[0].headers == 1);
      CHECK(all[1].offset == 103);
      CHECK(all[1].timestamp == 4990);
      CHECK(!all[1].key);
      CHECK(!all[1].value);
      CHECK(all[301].offset == 403);
      CHECK(header.max_timestamp == 5003);
      CHECK(header.leader_epoch == 7);
      CHECK(header.codec() == static_cast<wire::codec>(codec));
    }
  }
}

TEST_CASE("batch_writer: flags and producers") {
  wire::batch_header h;
  CHECK(read_back(batch_writer(0).producer(9, 2, 40).transactional().add("k", "v").build(), &h).size() == 1);
  CHECK(h.is_transactional());
  CHECK(!h.is_control());
  CHECK(h.producer_id == 9);
  CHECK(h.producer_epoch == 2);
  CHECK(h.base_sequence == 40);
  const auto appended = read_back(batch_writer(0).add("k", "v", {}, 5).log_append_time(77).build(), &h);
  REQUIRE(appended.size() == 1);
  CHECK(appended[0].timestamp == 77);
  std::vector<std::byte> spoilt = batch_writer(0).add("k", "v").build();
  spoilt.back() ^= std::byte{1};
  CHECK(read_back(spoilt).empty());
}

TEST_CASE("batch_writer: transaction markers") {
  const auto bytes = testing::control_batch(12, 5, wire::control_type::abort, 0, 3);
  wire::batch_cursor cursor(bytes);
  wire::batch_view batch;
  REQUIRE(cursor.next(batch));
  CHECK(!wire::check_crc(batch));
  CHECK(batch.header.is_control());
  CHECK(batch.header.producer_epoch == 3);
  wire::control_type type = wire::control_type::other;
  CHECK(!wire::parse_control(batch.header, batch.records(), type));
  CHECK(type == wire::control_type::abort);
}

}  // namespace testing_batch_writer_tests
