#include "unit/record_support.hpp"

#include <random>

// Records that are not what they say.

namespace record_corruption_tests {

using namespace kawait;
using records::body_of;
using records::copied;
using records::head;
using records::reading;
using tests::batch_builder;
using tests::byte_vector;
using wire::record;
using wire::record_reader;

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

}  // namespace record_corruption_tests
