#include "unit/record_support.hpp"

#include <random>

namespace record_tests {

using namespace kawait;
using records::body_of;
using records::copied;
using records::head;
using records::own;
using records::reading;
using tests::batch_builder;
using tests::byte_vector;
using wire::record;
using wire::record_reader;

TEST_CASE("record: keys and values, null and empty told apart") {
  batch_builder b(1000);
  b.add("key", "value", {}, 5).add(std::nullopt, std::nullopt, {}, -3).add("", "", {}, 0);
  b.add(std::nullopt, "v").add("k", std::nullopt);
  const reading r(b);
  REQUIRE(!r.why);
  REQUIRE(r.records.size() == 5);
  CHECK(r.records[0].offset == 1000);
  CHECK(r.records[0].timestamp == 1'700'000'000'005);
  CHECK(r.records[0].key == "key");
  CHECK(r.records[0].value == "value");
  CHECK(r.records[1].offset == 1001);
  CHECK(r.records[1].timestamp == 1'699'999'999'997);
  CHECK(!r.records[1].key);
  CHECK(!r.records[1].value);
  CHECK(r.records[2].key == "");
  CHECK(r.records[2].value == "");
  CHECK(!r.records[3].key);
  CHECK(r.records[3].value == "v");
  CHECK(r.records[4].key == "k");
  CHECK(!r.records[4].value);
  for (std::uint32_t i = 0; i < 5; ++i) CHECK(r.records[i].ordinal == i);
}

TEST_CASE("record: nullable_view") {
  const wire::nullable_view null;
  const wire::nullable_view empty(nullptr, 0);
  const byte_vector bytes = tests::to_bytes("text");
  const wire::nullable_view text(bytes.data(), 4);
  CHECK(null.is_null());
  CHECK(!null);
  CHECK(*null == "");
  CHECK(null.bytes().empty());
  CHECK(null.value_or("x") == "x");
  CHECK(empty.has_value());
  CHECK(empty.value_or("x") == "");
  CHECK(empty.size() == 0);
  CHECK(!(null == empty));
  CHECK(!(null == ""));
  CHECK(empty == "");
  CHECK(text == "text");
  CHECK(text.size() == 4);
  CHECK(text.bytes().data() == bytes.data());
  const std::optional<std::string_view> converted = text;
  CHECK(converted == "text");
  const std::optional<std::string_view> nothing = null;
  CHECK(!nothing);
}

TEST_CASE("record: sizes around every varint length, with and without room behind") {
  for (const std::size_t n : {0u, 1u, 62u, 63u, 64u, 65u, 8191u, 8192u, 70'000u, 1'100'000u}) {
    CAPTURE(n);
    const std::string big(n, 'x');
    batch_builder b(0);
    b.add(big, "1").add("2", big, {}, 1'000'000'000'000).add(std::nullopt, big, {}, -1'000'000'000'000).add(big, big);
    const reading r(b);
    REQUIRE(!r.why);
    REQUIRE(r.records.size() == 4);
    CHECK(r.records[0].key == big);
    CHECK(r.records[1].value == big);
    CHECK(r.records[1].timestamp == 2'700'000'000'000);
    CHECK(r.records[2].value == big);
    CHECK(r.records[2].timestamp == 700'000'000'000);
    CHECK(r.records[3].key == big);
    CHECK(r.records[3].value == big);
  }
}

TEST_CASE("record: many small records, whose offsets and times outgrow one byte") {
  batch_builder b(1'000'000);
  for (int i = 0; i < 40'000; ++i) b.add(std::nullopt, "", {}, i * 1000);
  const reading r(b);
  REQUIRE(!r.why);
  REQUIRE(r.records.size() == 40'000);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < r.records.size(); ++i) {
    const auto n = static_cast<std::int64_t>(i);
    if (r.records[i].offset != 1'000'000 + n || r.records[i].timestamp != 1'700'000'000'000 + n * 1000) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("record: headers") {
  batch_builder b(0);
  b.add("k", "v", {{"a", "1"}, {"b", std::nullopt}, {"", ""}, {"a", "2"}});
  b.add("k", "v", {{std::string(300, 'h'), std::string(9000, 'w')}}).add("k", "v");
  const reading r(b);
  REQUIRE(!r.why);
  REQUIRE(r.records.size() == 3);
  using list = decltype(r.records[0].headers);
  CHECK(r.records[0].headers == list{{"a", "1"}, {"b", std::nullopt}, {"", ""}, {"a", "2"}});
  CHECK(r.records[1].headers == list{{std::string(300, 'h'), std::string(9000, 'w')}});
  CHECK(r.records[2].headers.empty());

  record_reader reader(b.header, b.records());
  record first;
  REQUIRE(reader.next(first));
  CHECK(!first.headers().empty());
  REQUIRE(first.headers().last("a"));
  CHECK(first.headers().last("a")->value == "2");
  CHECK(first.headers().last("b")->value.is_null());
  CHECK(!first.headers().last("c"));
  CHECK(record().headers().empty());
  CHECK(record().headers().begin() == record().headers().end());
}

TEST_CASE("record: both timestamp types, and a delete horizon") {
  batch_builder append(0);
  append.log_append_time(1'800'000'000'000).add("k", "v", {}, 5).add("k", "v", {}, -5);
  for (const copied& c : reading(append).records) CHECK(c.timestamp == 1'800'000'000'000);
  record_reader reader(append.header, append.records());
  record r;
  REQUIRE(reader.next(r));
  CHECK(r.timestamp_type() == wire::timestamp_type::log_append_time);
  CHECK(r.timestamp().time_since_epoch() == std::chrono::milliseconds(1'800'000'000'000));

  batch_builder horizon(0);
  horizon.delete_horizon(5000).add("k", std::nullopt, {}, -4000);
  const reading h(horizon);
  REQUIRE(h.records.size() == 1);
  CHECK(h.records[0].timestamp == 1000);
  CHECK(!h.records[0].value);

  batch_builder overflow(0);
  overflow.header.base_timestamp = std::numeric_limits<std::int64_t>::max();
  overflow.header.max_timestamp = overflow.header.base_timestamp;
  byte_vector body = {std::byte{0}};
  tests::append_varint(body, std::numeric_limits<std::int64_t>::max());
  for (const int field : {0, -1, -1, 0}) tests::append_varint(body, field);
  overflow.hole().add_raw(body);
  const reading o(overflow);
  REQUIRE(o.records.size() == 1);
  CHECK(o.records[0].timestamp == -2);
}

TEST_CASE("record: compaction holes") {
  batch_builder b(10);
  b.hole(2).add("a", "1").hole(100).add("b", "2").hole(5);
  const reading r(b);
  REQUIRE(!r.why);
  REQUIRE(r.records.size() == 2);
  CHECK(r.records[0].offset == 12);
  CHECK(r.records[1].offset == 113);
  CHECK(r.records[1].ordinal == 1);
  CHECK(b.header.next_offset() == 119);
  batch_builder none(50);
  none.hole(9);
  const reading n(none);
  CHECK(n.records.empty());
  CHECK(!n.why);
}

TEST_CASE("record: records below the wanted offset are skipped") {
  batch_builder b(100);
  for (int i = 0; i < 10; ++i) b.add("k", std::to_string(i));
  b.hole(3).add("k", "last");
  struct row {
    std::int64_t from;
    std::size_t records;
  };
  const row rows[] = {{std::numeric_limits<std::int64_t>::min(), 11}, {0, 11}, {100, 11}, {101, 10}, {109, 2}, {110, 1},
                      {113, 1}, {114, 0}, {std::numeric_limits<std::int64_t>::max(), 0}};
  for (const row& w : rows) {
    CAPTURE(w.from);
    const reading r(b, w.from);
    CHECK(!r.why);
    CHECK(r.records.size() == w.records);
    if (!r.records.empty()) {
      CHECK(r.records.front().offset >= w.from);
      CHECK(r.records.back().value == "last");
      CHECK(r.records.back().ordinal == 10);
    }
  }
}

TEST_CASE("record: reading at the buffer's end and far from it agree") {
  // The same records once exactly in their buffer (careful path) and once as the first of many (fast path).
  std::mt19937 random(7);
  std::size_t differences = 0;
  for (int round = 0; round < 20'000; ++round) {
    byte_vector body = body_of({static_cast<std::int64_t>(random() % 100), 0, 3});
    tests::append(body, tests::to_bytes("key"));
    tests::append_varint(body, 4);
    tests::append(body, tests::to_bytes("data"));
    tests::append_varint(body, 1);
    tests::append_varint(body, 1);
    tests::append(body, tests::to_bytes("h"));
    tests::append_varint(body, -1);
    if (random() % 4 != 0) body[random() % body.size()] = static_cast<std::byte>(random());
    batch_builder alone(0);
    alone.hole(11).add_raw(body);
    batch_builder among(0);
    among.hole().add_raw(body);
    for (int i = 0; i < 10; ++i) among.add("some other", "record");
    const reading a(alone);
    record_reader reader(among.header, among.records());
    record r;
    const bool taken = reader.next(r);
    if (taken != (a.records.size() == 1)) ++differences;
    if (taken && a.records.size() == 1) {
      const copied& c = a.records[0];
      if (c.key != own(r.key()) || c.value != own(r.value()) || c.headers.size() != r.headers().size()) ++differences;
    }
  }
  CHECK(differences == 0);
}

TEST_CASE("record: control records") {
  struct row {
    byte_vector key;
    errc code;
    wire::control_type type;
  };
  const auto bytes = [](std::initializer_list<int> values) {
    byte_vector v;
    for (const int x : values) v.push_back(static_cast<std::byte>(x));
    return v;
  };
  const row rows[] = {
      {bytes({0, 0, 0, 0}), errc{}, wire::control_type::abort},
      {bytes({0, 0, 0, 1}), errc{}, wire::control_type::commit},
      {bytes({0, 0, 0, 2}), errc{}, wire::control_type::other},
      {bytes({0, 0, 0xff, 0xff}), errc{}, wire::control_type::other},
      {bytes({0, 1, 0, 0}), errc{}, wire::control_type::abort},  // a later version
      {bytes({0, 0, 0, 1, 9, 9}), errc{}, wire::control_type::commit},
      {bytes({0xff, 0xff, 0, 0}), errc::corrupt_batch, wire::control_type::other},
      {bytes({0, 0, 0}), errc::corrupt_batch, wire::control_type::other},
      {bytes({}), errc::corrupt_batch, wire::control_type::other},
  };
  for (const row& r : rows) {
    CAPTURE(r.key.size(), static_cast<int>(r.type));
    batch_builder b(5);
    b.control().add(std::string_view(reinterpret_cast<const char*>(r.key.data()), r.key.size()), "");
    wire::control_type type = wire::control_type::commit;
    const failure f = wire::parse_control(b.header, b.records(), type);
    CHECK((r.code == errc{} ? !f : f.code == r.code));
    CHECK(type == r.type);
  }
  wire::control_type type = wire::control_type::commit;
  batch_builder null(5);
  null.control().add(std::nullopt, "");
  CHECK(wire::parse_control(null.header, null.records(), type).code == errc::corrupt_batch);
  batch_builder emptied(5);
  emptied.control().hole();
  CHECK(!wire::parse_control(emptied.header, emptied.records(), type));
  CHECK(type == wire::control_type::other);
  for (const auto t : {wire::control_type::abort, wire::control_type::commit}) {
    const byte_vector batch = tests::control_batch(77, 4, t);
    wire::batch_cursor cursor(batch);
    wire::batch_view view;
    REQUIRE(cursor.next(view));
    CHECK(view.header.is_control());
    CHECK(view.header.next_offset() == 78);
    CHECK(!wire::parse_control(view.header, view.records(), type));
    CHECK(type == t);
  }
}

TEST_CASE("record: every codec, from the response's bytes to the records") {
  for (const auto codec : {wire::codec::none, wire::codec::gzip, wire::codec::snappy, wire::codec::lz4, wire::codec::zstd}) {
    CAPTURE(wire::name_of(codec));
    batch_builder b(1000);
    b.codec(codec);
    for (int i = 0; i < 2000; ++i) {
      b.add("key " + std::to_string(i), "value " + std::to_string(i * 7), {{"h", std::to_string(i)}}, i);
    }
    const byte_vector bytes = b.build();
    wire::batch_cursor cursor(bytes);
    wire::batch_view batch;
    REQUIRE(cursor.next(batch));
    CHECK(!wire::check_crc(batch));
    CHECK(batch.header.codec() == codec);
    wire::decompressor d;
    wire::heap_slabs slabs;
    wire::slab_ref slab;
    std::size_t size = 0;
    REQUIRE(!d.decompress(codec, batch.records(), wire::default_decompression_limit, slabs, slab, size));
    const reading r(batch.header, {slab->data(), size});
    REQUIRE(!r.why);
    REQUIRE(r.records.size() == 2000);
    CHECK(r.records[1999].value == "value 13993");
    CHECK(r.records[1999].offset == 2999);
    CHECK(r.records[1999].headers[0].second == "1999");
  }
}

}  // namespace record_tests
