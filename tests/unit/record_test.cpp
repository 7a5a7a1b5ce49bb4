#include <kawait/wire/record.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "batch_builder.hpp"
#include "catch.hpp"

namespace {

using namespace kawait;
using tests::batch_builder;
using tests::byte_vector;
using wire::record;
using wire::record_reader;

std::span<const std::byte> head(const byte_vector& bytes, std::size_t n) { return std::span<const std::byte>(bytes).first(n); }

struct copied {
  std::int64_t offset;
  std::int64_t timestamp;
  std::uint32_t ordinal;
  std::optional<std::string> key, value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;
};

std::optional<std::string> own(wire::nullable_view v) { return v ? std::optional<std::string>(*v) : std::nullopt; }

struct reading {
  std::vector<copied> records;
  failure why;

  explicit reading(const wire::batch_header& header, std::span<const std::byte> bytes,
                   std::int64_t from = std::numeric_limits<std::int64_t>::min()) {
    const byte_vector exact(bytes.begin(), bytes.end());  // so that ASan sees a read past the end
    record_reader reader(header, exact, from);
    record r;
    while (reader.next(r)) {
      copied c{r.offset(), r.timestamp_ms(), r.ordinal(), own(r.key()), own(r.value()), {}};
      for (const wire::header& h : r.headers()) c.headers.emplace_back(h.key, own(h.value));
      CHECK(c.headers.size() == r.headers().size());
      records.push_back(std::move(c));
    }
    CHECK(!reader.next(r));  // an end stays one
    why = reader.error();
  }
  explicit reading(const batch_builder& b, std::int64_t from = std::numeric_limits<std::int64_t>::min())
      : reading(b.header, b.records(), from) {}
};

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

byte_vector body_of(std::initializer_list<std::int64_t> fields) {
  byte_vector body = {std::byte{0}};
  for (const std::int64_t f : fields) tests::append_varint(body, f);
  return body;
}

TEST_CASE("record: what does not add up is corruption, wherever it stands") {
  struct row {
    const char* what;
    byte_vector body;  // behind the length
  };
  const row rows[] = {
      {"empty", {}},
      {"attributes only", {std::byte{0}}},
      {"cut before the headers' count", body_of({0, 1, -1, -1})},
      {"offset does not ascend", body_of({0, 0, -1, -1, 0})},
      {"offset negative", body_of({0, -1, -1, -1, 0})},
      {"offset outside the batch", body_of({0, 4, -1, -1, 0})},
      {"offset of 2^31", body_of({0, std::int64_t{1} << 31, -1, -1, 0})},
      {"key size -2", body_of({0, 1, -2, -1, 0})},
      {"key beyond the record", body_of({0, 1, 3, -1, 0})},
      {"key size largest", body_of({0, 1, 0x7fffffff, -1, 0})},
      {"value size -2", body_of({0, 1, -1, -2, 0})},
      {"value beyond the record", body_of({0, 1, -1, 2, 0})},
      {"value size smallest", body_of({0, 1, -1, std::numeric_limits<std::int32_t>::min(), 0})},
      {"count of headers negative", body_of({0, 1, -1, -1, -1})},
      {"headers without bytes", body_of({0, 1, -1, -1, 1})},
      {"more headers than bytes", body_of({0, 1, -1, -1, 0x7fffffff, 0, 0})},
      {"header key null", body_of({0, 1, -1, -1, 1, -1, 0})},
      {"header key beyond the record", body_of({0, 1, -1, -1, 1, 5, 0})},
      {"header value beyond the record", body_of({0, 1, -1, -1, 1, 0, 5})},
      {"header value -2", body_of({0, 1, -1, -1, 1, 0, -2})},
      {"bytes behind the headers", body_of({0, 1, -1, -1, 1, 0, -1, 0})},
      {"bytes behind the fields", body_of({0, 1, -1, -1, 0, 0})},
      {"timestamp without end", byte_vector(40, std::byte{0xff})},
      {"offset without end", {std::byte{0}, std::byte{0}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                              std::byte{0xff}, std::byte{1}, std::byte{1}, std::byte{1}, std::byte{0}}},
  };
  for (const row& r : rows) {
    // Last in the buffer, then with other records behind, which leaves room to read too far.
    for (const int behind : {0, 2, 40}) {
      CAPTURE(r.what, behind);
      batch_builder b(7);
      b.add("good", "record").add_raw(r.body);
      b.header.last_offset_delta = 3;
      byte_vector good = body_of({0, 3, -1, -1, 0});
      if (behind == 2) b.add_raw(good);
      if (behind == 40) b.header.record_count += 1, b.add_garbage(byte_vector(100, std::byte{2}));
      const reading bad(b);
      CHECK(bad.records.size() == 1);
      CHECK(bad.why.code == errc::corrupt_batch);
      CHECK(bad.why.words.find("record 1 of ") != std::string::npos);
      CHECK(bad.why.words.find("offset 7") != std::string::npos);
    }
  }
}

TEST_CASE("record: a short record does not read beyond the buffer for the fields it lacks") {
  // Every number as long as it may be, and valid, so that nothing but its end stops the decoder.
  byte_vector longest = {std::byte{0}};
  const auto padded = [&](int first, int size) {
    longest.push_back(static_cast<std::byte>(first | 0x80));
    for (int i = 2; i < size; ++i) longest.push_back(std::byte{0x80});
    longest.push_back(std::byte{0});
  };
  padded(0, 10);  // timestamp
  padded(2, 5);   // offset 1
  padded(1, 5);   // null key
  padded(1, 5);   // null value
  padded(0, 5);   // no headers
  REQUIRE(longest.size() == 31);
  for (std::size_t length = 1; length <= longest.size(); ++length) {
    for (std::size_t there = length; there <= longest.size(); ++there) {
      CAPTURE(length, there);
      batch_builder b(7);
      b.add("good", "record").hole().add_raw(head(longest, length));
      b.add_garbage(std::span<const std::byte>(longest).subspan(length, there - length));
      const reading r(b);
      CHECK(r.records.size() == (length == longest.size() ? 2u : 1u));
      CHECK(r.why.code == (length == longest.size() ? std::error_code() : make_error_code(errc::corrupt_batch)));
    }
  }
}

TEST_CASE("record: fewer, more, and bytes left over") {
  batch_builder b(0);
  for (int i = 0; i < 10; ++i) b.add("key", "value");
  SECTION("exact") { CHECK(!reading(b).why); }
  SECTION("fewer than the count") {
    ++b.header.record_count;
    const reading r(b);
    CHECK(r.records.size() == 10);
    CHECK(r.why.code == errc::corrupt_batch);
  }
  SECTION("more than the count") {
    --b.header.record_count;
    const reading r(b);
    CHECK(r.records.size() == 9);
    CHECK(r.why.words.find("left behind the last record") != std::string::npos);
  }
  SECTION("bytes left over") {
    b.add_garbage(byte_vector(1));
    CHECK(reading(b).why.code == errc::corrupt_batch);
  }
  SECTION("none at all") {
    CHECK(reading(b.header, {}).why.code == errc::corrupt_batch);
  }
  SECTION("a count no bytes can hold") {
    b.header.record_count = 0x7fffffff;
    const reading r(b);
    CHECK(r.records.empty());
    CHECK(r.why.words.find("cannot hold") != std::string::npos);
  }
  SECTION("a negative count") {
    b.header.record_count = -1;
    CHECK(reading(b).why.code == errc::corrupt_batch);
  }
  SECTION("skipped records count, too") {
    --b.header.record_count;
    CHECK(reading(b, 9).why.code == errc::corrupt_batch);
    ++b.header.record_count;
    CHECK(!reading(b, 9).why);
    CHECK(!reading(b, 99).why);
    ++b.header.record_count;
    CHECK(reading(b, 99).why.code == errc::corrupt_batch);
  }
  SECTION("offsets that would overflow") {
    b.header.base_offset = std::numeric_limits<std::int64_t>::max() - 5;
    CHECK(reading(b).why.code == errc::corrupt_batch);
    b.header.base_offset = -1;
    CHECK(reading(b).why.code == errc::corrupt_batch);
  }
}

TEST_CASE("record: a default reader has no records and no error") {
  record_reader reader;
  record r;
  CHECK(!reader.next(r));
  CHECK(!reader.error());
}

TEST_CASE("record: records cut at every byte") {
  batch_builder b(0);
  for (int i = 0; i < 5; ++i) b.add("key", std::string(40, 'v'), {{"h", "x"}}, i * 100);
  for (std::size_t n = 0; n < b.records().size(); ++n) {
    CAPTURE(n);
    const reading r(b.header, std::span(b.records()).first(n));
    CHECK(r.why.code == errc::corrupt_batch);
    CHECK(r.records.size() < 5);
  }
}

TEST_CASE("record: flipped bits never read outside, and records stay inside their batch") {
  std::mt19937 random(2024);
  batch_builder b(500);
  const std::vector<tests::record_header> headers = {{"a", "bc"}, {"d", std::nullopt}};
  const std::optional<std::string_view> key = "key";
  for (int i = 0; i < 12; ++i) {
    const std::string value(static_cast<std::size_t>(i) * 9, 'v');
    b.add(i % 3 == 0 ? std::nullopt : key, value, i % 2 == 0 ? std::vector<tests::record_header>() : headers, i);
  }
  std::size_t corrupt = 0;
  for (int round = 0; round < 30'000; ++round) {
    byte_vector bytes = b.records();
    for (auto flips = 1 + random() % 6; flips != 0; --flips) {
      bytes[random() % bytes.size()] ^= static_cast<std::byte>(1u << (random() % 8));
    }
    const reading r(b.header, bytes, round % 4 == 0 ? 505 : 0);
    if (r.why) ++corrupt;
    std::int64_t previous = 499;
    for (const copied& c : r.records) {
      REQUIRE(c.offset > previous);
      previous = c.offset;
    }
    REQUIRE(previous <= b.header.last_offset());
  }
  CHECK(corrupt > 1000);
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

}  // namespace
