#include <map>
#include <set>
#include <string>
#include <vector>

#include <kawait/testing/partition_log.hpp>
#include <kawait/wire/crc32c.hpp>
#include <kawait/wire/writer.hpp>

#include "catch.hpp"

namespace testing_partition_log_tests {

using namespace kawait;
using testing::append_options;
using testing::batch_writer;
using testing::partition_log;
using testing::producer_record;

std::vector<std::byte> batch(int count, std::int64_t producer = -1, std::int32_t sequence = -1, std::int16_t epoch = 0) {
  batch_writer w;
  if (producer >= 0) w.producer(producer, epoch, sequence);
  for (int i = 0; i < count; ++i) w.add("k", "v");
  return w.build();
}

std::vector<producer_record> values(int count) {
  return std::vector<producer_record>(static_cast<std::size_t>(count), producer_record("v"));
}

/// Base offsets of the whole batches in a response's records.
std::vector<std::int64_t> bases(const testing::read_outcome& r, std::vector<std::int32_t>* epochs = nullptr) {
  std::vector<std::int64_t> all;
  wire::batch_cursor cursor(r.records);
  wire::batch_view b;
  while (cursor.next(b)) {
    REQUIRE(!wire::check_crc(b));
    all.push_back(b.header.base_offset);
    if (epochs) epochs->push_back(b.header.leader_epoch);
  }
  return all;
}

using offsets = std::vector<std::int64_t>;
constexpr std::size_t plenty = 1 << 20;

TEST_CASE("partition_log: produced batches get offsets and the leader's epoch") {
  partition_log log;
  CHECK(log.append(batch(3)).base_offset == 0);
  log.begin_epoch(4);
  CHECK(log.append(batch(2)).base_offset == 3);
  CHECK(log.end_offset() == 5);
  std::vector<std::int32_t> epochs;
  CHECK(bases(log.read(0, plenty, false, true), &epochs) == offsets{0, 3});
  CHECK(epochs == std::vector<std::int32_t>{0, 4});
  CHECK(log.records(4).size() == 1);
}

TEST_CASE("partition_log: what a producer may not send") {
  struct wrong {
    const char* what;
    std::vector<std::byte> bytes;
    kafka_error error;
  };
  std::vector<std::byte> spoilt = batch(1), magic = batch(1), two = batch(1), control, gap, torn = batch(1);
  spoilt.back() ^= std::byte{1};
  magic[16] = std::byte{1};
  const auto second = batch(1);
  two.insert(two.end(), second.begin(), second.end());
  torn.pop_back();
  batch_writer c, g, unknown, bomb;
  control = c.control().add("k", "v").build();
  gap = g.add("k", "v").hole().add("k", "v").build();
  unknown.add("k", "v");
  unknown.header.attributes = 6;
  bomb.codec(wire::codec::gzip).add("k", "v");
  const std::vector<wrong> all = {
      {"nothing", {}, kafka_error::corrupt_message},
      {"a wrong CRC", spoilt, kafka_error::corrupt_message},
      {"torn", torn, kafka_error::corrupt_message},
      {"an old magic", magic, kafka_error::unsupported_for_message_format},
      {"two batches", two, kafka_error::invalid_record},
      {"a control batch", control, kafka_error::invalid_record},
      {"offsets with a hole", gap, kafka_error::invalid_record},
      {"no record", batch(0), kafka_error::corrupt_message},
      {"an unknown codec", unknown.build_with(unknown.records()), kafka_error::unsupported_compression_type},
      {"no gzip", bomb.build_with(bomb.records()), kafka_error::invalid_record}};
  partition_log log;
  for (const wrong& w : all) {
    CAPTURE(w.what);
    CHECK(log.append(w.bytes).error == w.error);
  }
  CHECK(log.end_offset() == 0);
}

TEST_CASE("partition_log: hostile bytes of a producer") {
  std::uint64_t seed = 1;
  const auto random = [&] { return seed = seed * 6364136223846793005u + 1442695040888963407u; };
  partition_log log;
  const std::vector<std::byte> good = batch(4, 1, 0);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::byte> bytes = good;
    bytes[(random() >> 33) % bytes.size()] = static_cast<std::byte>(random() >> 40);
    bytes.resize((random() >> 33) % (bytes.size() + 1));
    if (bytes.size() > 61 && i % 2 == 0) {  // so that the CRC does not save us
      wire::store_big_endian(bytes.data() + 8, static_cast<std::int32_t>(bytes.size() - 12));
      const auto crc = wire::crc32c(std::span<const std::byte>(bytes).subspan(21));
      wire::store_big_endian(bytes.data() + 17, crc);
    }
    (void)log.append(bytes);
  }
  for (const auto& r : log.records()) CHECK(r.offset < log.end_offset());
}

TEST_CASE("partition_log: idempotent producers") {
  partition_log log;
  CHECK(log.append(batch(3, 7, 0)).base_offset == 0);
  CHECK(log.append(batch(2, 7, 3)).base_offset == 3);
  CHECK(log.append(batch(3, 7, 0)).base_offset == 0);  // once more
  CHECK(log.end_offset() == 5);
  CHECK(log.append(batch(1, 7, 9)).error == kafka_error::out_of_order_sequence_number);
  CHECK(log.append(batch(1, 7, 5, 2)).error == kafka_error::out_of_order_sequence_number);
  CHECK(log.append(batch(1, 7, 0, 2)).base_offset == 5);
  CHECK(log.append(batch(1, 7, 5, 1)).error == kafka_error::invalid_producer_epoch);
  CHECK(log.append(batch(1, 8, 2147483647)).base_offset == 6);
  CHECK(log.append(batch(1, 8, 0)).base_offset == 7);  // the numbers wrap
}

TEST_CASE("partition_log: a hole belongs to the leader epoch in which it is left") {
  partition_log log;
  log.append(values(3), 1000);
  log.append_hole(2);
  CHECK(bases(log.read(0, plenty, false, true)) == offsets{0});
  log.begin_epoch(1);
  log.append_hole(4);
  CHECK(log.end_offset() == 9);
  std::vector<std::int32_t> epochs;
  CHECK(bases(log.read(0, plenty, false, true), &epochs) == offsets{0, 5});
  CHECK(epochs == std::vector<std::int32_t>{0, 1});
  CHECK(log.end_of_epoch(0).offset == 5);
  CHECK(log.end_of_epoch(1).offset == 9);
  log.append(values(1), 1000);
  CHECK(log.records().size() == 4);
}

TEST_CASE("partition_log: sizes, the first batch whole, cut tails") {
  partition_log log;
  for (int i = 0; i < 3; ++i) log.append(values(10), 1000);
  const std::size_t one = log.read(20, plenty, false, true).records.size();
  CHECK(log.readable(0, false) == 3 * one);
  CHECK(log.read(0, one + 5, false, true).records.size() == one + 5);
  CHECK(bases(log.read(0, one + 5, false, true)) == offsets{0});
  CHECK(log.read(0, 1, false, true).records.size() == one);
  CHECK(log.read(0, 1, false, false).records.empty());
  CHECK(log.read(0, 0, false, true).records.size() == one);
  CHECK(bases(log.read(15, plenty, false, true)) == offsets{10, 20});
  CHECK(log.read(30, plenty, false, true).records.empty());
  CHECK(log.read(31, plenty, false, true).error == kafka_error::offset_out_of_range);
  CHECK(log.read(-1, plenty, false, true).error == kafka_error::offset_out_of_range);
  log.hold_high_watermark(20);
  CHECK(bases(log.read(0, plenty, false, true)) == offsets{0, 10});
  CHECK(log.high_watermark() == 20);
}

TEST_CASE("partition_log: transactions") {
  partition_log log;
  log.append(values(1), 1, append_options::in_transaction(5));    // 0
  log.append(values(1), 1, append_options::in_transaction(6));    // 1
  log.append(values(1), 1);                                       // 2
  CHECK(log.last_stable_offset() == 0);
  CHECK(log.read(0, plenty, true, true).records.empty());
  CHECK(bases(log.read(0, plenty, false, true)) == offsets{0, 1, 2});
  log.end_transaction(5, 0, false, 1);                            // 3
  CHECK(log.last_stable_offset() == 1);
  CHECK(bases(log.read(0, plenty, true, true)) == offsets{0});
  log.end_transaction(6, 0, true, 1);                             // 4
  CHECK(log.last_stable_offset() == 5);
  const auto all = log.read(2, plenty, true, true);
  CHECK(bases(all) == offsets{2, 3, 4});
  REQUIRE(all.aborted.size() == 1);  // though it begins below
  CHECK(all.aborted[0].producer_id == 5);
  CHECK(all.aborted[0].first_offset == 0);
  CHECK(log.read(4, plenty, true, true).aborted.empty());
  CHECK(log.read(0, plenty, false, true).aborted.empty());
  CHECK(log.records().size() == 3);
}

TEST_CASE("partition_log: leader epochs and truncation") {
  partition_log log;
  CHECK(log.end_of_epoch(0) == offset_and_epoch(0, 0));
  log.append(values(10), 1);  // epoch 0: 0 to 9
  log.begin_epoch(2);
  log.begin_epoch(3);         // in 2 nothing was written
  log.append(values(10), 1);  // epoch 3: 10 to 19
  CHECK(log.end_of_epoch(0) == offset_and_epoch(10, 0));
  CHECK(log.end_of_epoch(1) == offset_and_epoch(10, 0));
  CHECK(log.end_of_epoch(2) == offset_and_epoch(10, 0));
  CHECK(log.end_of_epoch(3) == offset_and_epoch(20, 3));
  CHECK(log.end_of_epoch(4) == offset_and_epoch(-1, -1));
  CHECK(log.end_of_epoch(-1) == offset_and_epoch(-1, -1));
  log.append(values(5), 1);
  log.truncate(22);  // the batch that holds it goes whole
  CHECK(log.end_offset() == 20);
  log.truncate(4);
  CHECK(log.end_offset() == 0);
  log.begin_epoch(5);
  log.append(values(3), 1);
  CHECK(log.end_of_epoch(5) == offset_and_epoch(3, 5));
  CHECK(log.end_of_epoch(3).leader_epoch <= 3);
  CHECK(log.end_of_epoch(3).offset == 0);
}

TEST_CASE("partition_log: a truncation that takes a transaction's end opens it again") {
  using open = std::map<std::int64_t, std::int64_t>;
  partition_log log;
  log.append(values(2), 1);                                       // 0, 1
  log.append(values(2), 1, append_options::in_transaction(5));    // 2, 3
  log.append(values(1), 1, append_options::in_transaction(6));    // 4
  log.append(values(1), 1, append_options::in_transaction(5));    // 5
  log.end_transaction(6, 0, false, 1);                            // 6
  log.end_transaction(5, 0, true, 1);                             // 7
  log.append(values(1), 1, append_options::in_transaction(5));    // 8
  CHECK(log.producers().undecided() == open{{5, 8}});

  SECTION("one that it takes whole is gone") {
    log.truncate(8);
    CHECK(log.producers().undecided().empty());
    CHECK(log.last_stable_offset() == 8);
    REQUIRE(log.read(0, plenty, true, true).aborted.size() == 1);
  }
  SECTION("one that it cuts is open from its first record on") {
    log.truncate(5);
    CHECK(log.producers().undecided() == open{{5, 2}, {6, 4}});
    CHECK(log.last_stable_offset() == 2);
    CHECK(bases(log.read(0, plenty, true, true)) == offsets{0});
    CHECK(log.read(0, plenty, true, true).aborted.empty());
  }
  SECTION("and may be decided otherwise") {
    log.truncate(7);  // the one committed; the other stays aborted
    CHECK(log.producers().undecided() == open{{5, 2}});
    log.end_transaction(5, 0, false, 1);
    CHECK(log.last_stable_offset() == 8);
    const auto all = log.read(0, plenty, true, true);
    CHECK(bases(all) == offsets{0, 2, 4, 5, 6, 7});
    REQUIRE(all.aborted.size() == 2);
    CHECK(all.aborted[0].producer_id == 6);
    CHECK(all.aborted[1].producer_id == 5);
    CHECK(all.aborted[1].first_offset == 2);
  }
  SECTION("also without the records that were deleted") {
    log.delete_records(4);
    log.truncate(7);
    CHECK(log.producers().undecided() == open{{5, 5}});
    CHECK(log.last_stable_offset() == 5);
  }
}

TEST_CASE("partition_log: a truncation takes the sequence numbers and the producer's epoch with it") {
  partition_log log;
  CHECK(log.append(batch(3, 7, 0)).base_offset == 0);
  CHECK(log.append(batch(2, 7, 3)).base_offset == 3);
  CHECK(log.append(batch(1, 7, 0, 1)).base_offset == 5);
  log.truncate(3);
  CHECK(log.append(batch(1, 7, 4)).error == kafka_error::out_of_order_sequence_number);
  CHECK(log.append(batch(2, 7, 3)).base_offset == 3);
  CHECK(log.append(batch(3, 7, 0)).base_offset == 0);  // once more
}

TEST_CASE("partition_log: deleted records") {
  partition_log log;
  for (int i = 0; i < 3; ++i) log.append(values(10), 1);
  CHECK(log.delete_records(15) == 15);
  CHECK(log.start_offset() == 15);
  CHECK(log.read(14, plenty, false, true).error == kafka_error::offset_out_of_range);
  CHECK(bases(log.read(15, plenty, false, true)) == offsets{10, 20});
  CHECK(log.records().size() == 15);
  CHECK(log.records().front().offset == 15);
  CHECK(log.delete_records(31) == 15);
  CHECK(log.delete_records(30) == 30);
  CHECK(log.read(30, plenty, false, true).records.empty());
}

TEST_CASE("partition_log: compaction and holes") {
  partition_log log;
  log.append(values(4), 1000, append_options(wire::codec::gzip));
  log.append(values(4), 1000);
  log.append(values(2), 1000);
  const std::set<std::int64_t> kept = {1, 3, 9};
  log.compact([&](std::int64_t offset) { return kept.contains(offset); });
  CHECK(log.end_offset() == 10);
  std::set<std::int64_t> left;
  for (const auto& r : log.records()) left.insert(r.offset);
  CHECK(left == kept);
  wire::records_summary s;
  REQUIRE(!wire::summarize(log.read(0, plenty, false, true).records, s));
  CHECK(s.batches == 3);  // the second one empty
  CHECK(s.next_offset == 10);
  log.append_hole(5);
  CHECK(log.end_offset() == 15);
  REQUIRE(!wire::summarize(log.read(0, plenty, false, true).records, s));
  CHECK(s.next_offset == 15);
  CHECK(bases(log.read(0, plenty, false, true)).size() == 3);
  partition_log empty;
  empty.append_hole(3);
  CHECK(empty.end_offset() == 3);
}

TEST_CASE("partition_log: offsets for times") {
  partition_log log;
  CHECK(log.offset_for(-3, false).offset == -1);
  log.append({producer_record("k", "a", 100), producer_record("k", "b", 300)}, 1);
  log.append({producer_record("k", "c", 200), producer_record("k", "d", 250)}, 1);
  log.begin_epoch(2);
  log.append(values(1), 400, append_options::in_transaction(1));
  struct expected {
    std::int64_t time;
    bool committed;
    std::int64_t offset, timestamp;
    std::int32_t epoch;
  };
  const std::vector<expected> all = {{0, false, 0, 100, 0},    {101, false, 1, 300, 0}, {300, false, 1, 300, 0},
                                     {301, false, 4, 400, 2},  {301, true, -1, -1, -1}, {401, false, -1, -1, -1},
                                     {-1, false, 5, -1, 2},    {-1, true, 4, -1, 2},    {-2, false, 0, -1, 0},
                                     {-3, false, 4, 400, 2},   {-3, true, 1, 300, 0},   {-4, false, 0, -1, 0},
                                     {-5, false, -1, -1, -1},  {-6, false, -1, -1, -1}};
  for (const expected& e : all) {
    CAPTURE(e.time, e.committed);
    const auto found = log.offset_for(e.time, e.committed);
    CHECK(found.offset == e.offset);
    CHECK(found.timestamp == e.timestamp);
    CHECK(found.leader_epoch == e.epoch);
  }
}

// Kafka's ProducerStateManager keeps it among the unreplicated ones until then.
TEST_CASE("partition_log: a transaction is decided when its marker is replicated") {
  const bool commits = GENERATE(true, false);
  partition_log log;
  log.append(values(3), 1, append_options::in_transaction(5));
  log.hold_high_watermark(3);
  log.end_transaction(5, 0, commits, 1);
  CHECK(log.last_stable_offset() == 0);
  CHECK(log.read(0, plenty, true, true).records.empty());
  log.hold_high_watermark({});
  CHECK(log.last_stable_offset() == 4);
}

TEST_CASE("partition_log: what is stable begins no sooner than the log") {
  partition_log log;
  log.append(values(5), 1);
  log.append(values(1), 1, append_options::in_transaction(7));
  log.append(values(14), 1);
  log.delete_records(10);
  CHECK(log.last_stable_offset() == 10);
}

TEST_CASE("partition_log: behind a tail that compaction dropped the end stays, and can be truncated to") {
  partition_log log;
  for (int i = 0; i < 2; ++i) log.append(values(10), 1);
  log.drop_tail(10);
  SECTION("a hole comes behind it") {
    log.append_hole(5);
    CHECK(log.end_offset() == 25);
  }
  SECTION("a truncation") {
    log.truncate(12);
    CHECK(log.end_offset() == 12);
  }
}

TEST_CASE("partition_log: raw batches are kept as they are") {
  partition_log log;
  log.append(values(2), 1);
  std::vector<std::byte> broken = batch_writer(2).add("k", "v").build();
  broken.back() ^= std::byte{1};
  CHECK(log.append_raw(broken) == 2);
  CHECK(log.end_offset() == 3);
  log.append(values(1), 1);
  CHECK(log.read(2, plenty, false, true).records.size() > broken.size());
  CHECK(log.append_raw({}) == 4);
}

}  // namespace testing_partition_log_tests
