// The ends of logs, offsets by time, seeks to them, and reading to the end, as a real Kafka has them.

#include "reader_support.hpp"

namespace kawait::tests {
namespace {

using std::chrono::system_clock;

system_clock::time_point at(std::int64_t ms) { return system_clock::time_point(std::chrono::milliseconds(ms)); }

/// One record batch of a record for each time.
byte_vector timed(const std::vector<std::int64_t>& times) {
  batch_builder b;
  b.header.base_timestamp = times.front();
  b.header.max_timestamp = *std::max_element(times.begin(), times.end());
  for (const std::int64_t t : times) b.add("key", "value", {}, t - times.front());
  return b.build();
}

/// Records of a transaction that is left open.
asio::awaitable<producer_identity> open_transaction(scenario& s, std::string topic, std::int32_t partition) {
  const std::string id = unique_name("producer");
  auto who = co_await s.admin.begin_transactions(id);
  co_await s.admin.add_to_transaction(who, topic, partition);
  batch_builder b = numbered(0, 5);
  b.header.attributes = static_cast<std::int16_t>(b.header.attributes | 0x10);
  b.header.producer_id = who.id;
  b.header.producer_epoch = who.epoch;
  b.header.base_sequence = 0;
  auto bytes = b.build();
  co_await s.admin.produce(topic, partition, std::move(bytes), id);
  co_return who;
}

// ---- Questions.

asio::awaitable<void> questions(scenario& s) {
  const std::string topic = unique_name("ends");
  co_await s.admin.create_topic(topic, 2);
  const std::int64_t now = wall_clock_ms();
  const std::vector<std::int64_t> first = {now - 9000, now - 7000, now - 8000}, second = {now - 5000};
  auto bytes = timed(first);
  co_await s.admin.produce(topic, 0, std::move(bytes));
  bytes = timed(second);
  co_await s.admin.produce(topic, 0, std::move(bytes));
  co_await s.admin.delete_records(topic, 0, 1);
  const topic_partition zero(topic, 0), one(topic, 1);
  const std::vector<topic_partition> both = {zero, one};

  kawait::consumer consumer(s.executor(), s.settings());  // neither subscribed nor assigned, and not run
  const auto begins = co_await consumer.async_beginning_offsets(both);
  CHECK(begins.at(zero) == 1);
  CHECK(begins.at(one) == 0);
  const auto ends = co_await consumer.async_end_offsets(both);
  CHECK(ends.at(zero) == 4);
  CHECK(ends.at(one) == 0);
  const std::vector<std::pair<std::int64_t, std::int64_t>> rows = {
      {0, 1}, {now - 7500, 1}, {now - 7000, 1}, {now - 6999, 3}, {now - 5000, 3}, {now - 4999, -1}};
  for (const auto& [time, offset] : rows) {
    CAPTURE(time - now);
    time_map times;
    times[zero] = times[one] = at(time);
    const auto found = co_await consumer.async_offsets_for_times(times);
    CHECK(found.at(one).has_value() == false);
    const auto& place = found.at(zero);
    REQUIRE(place.has_value() == (offset >= 0));
    if (!place) continue;
    CHECK(place->offset == offset);
    CHECK(place->timestamp == at(offset == 1 ? now - 7000 : now - 5000));
  }

  auto who = co_await open_transaction(s, topic, 1);
  config c = s.settings();
  c.isolation(isolation_level::read_committed);
  kawait::consumer strict(s.executor(), c);
  auto decided = co_await strict.async_end_offsets(both);
  CHECK(decided.at(one) == 0);
  const auto written = co_await consumer.async_end_offsets(both);
  CHECK(written.at(one) == 5);
  co_await s.admin.end_transaction(who, false);
  do {
    decided = co_await strict.async_end_offsets(both);
  } while (decided.at(one) == 0);
  CHECK(decided.at(one) == 6);

  std::error_code code;
  std::string words;
  config hasty = s.settings();
  hasty.default_api_timeout(2s);
  kawait::consumer asks(s.executor(), hasty);
  const std::vector<topic_partition> absent = {zero, topic_partition(topic + "-absent", 1)};
  try {
    co_await asks.async_end_offsets(absent);
  } catch (const error& e) {
    code = e.code();
    words = e.words();
  }
  CHECK(code == kafka_error::unknown_topic_or_partition);
  CHECK(words.find(topic + "-absent-1") != std::string::npos);
}

TEST_CASE("offsets: beginnings, ends and times of any partitions") {
  scenario s;
  s.run(&questions);
}

// ---- Seeks.

asio::awaitable<void> seeks_to(scenario& s) {
  const std::string topic = unique_name("seek-to");
  co_await s.admin.create_topic(topic, 1);
  const std::int64_t now = wall_clock_ms();
  for (int i = 0; i < 10; ++i) {
    const std::vector<std::int64_t> one_time(1, now - 3'600'000 + i * 60'000);
    auto bytes = timed(one_time);
    co_await s.admin.produce(topic, 0, std::move(bytes));
  }
  co_await s.admin.delete_records(topic, 0, 2);
  config c = s.settings();
  c.fetch_max_wait(30s);  // a parked fetch must not hold a seek back
  reader& r = s.make<reader>(s.executor(), c);
  const std::vector<topic_partition> one = {topic_partition(topic, 0)};
  r.consumer.assign(one);
  r.start();
  co_await r.assigned(1);
  const auto p = r.at(0);
  const auto began = clock::now();
  p.seek_to(at(now - 3'600'000 + 270'000));  // before the first read
  std::int64_t first = co_await first_of(p);
  CHECK(first == 5);
  p.seek_to_beginning();
  first = co_await first_of(p);
  CHECK(first == 2);
  p.seek_to(at(now - 3'600'000 + 540'000));
  first = co_await first_of(p);
  CHECK(first == 9);
  for (const bool by_time : {true, false}) {
    p.seek_to_beginning();
    if (by_time) p.seek_to(at(now));
    if (!by_time) p.seek_to_end();
    const auto none = p.try_next();
    CHECK_FALSE(none);
    EVENTUALLY(p.position().has_value());
    const std::int64_t end = co_await s.admin.end_offset(topic, 0);
    CHECK(p.position() == end);
    auto bytes = numbered_batch(0, 1);
    co_await s.admin.produce(topic, 0, std::move(bytes));
    first = co_await first_of(p);
    CHECK(first == end);
  }
  CHECK(clock::now() - began < 15s);
  co_await r.consumer.async_close();

  config back = s.settings();
  back.auto_offset_reset(by_duration(57min));
  reader& recent = s.make<reader>(s.executor(), back);
  recent.consumer.assign(one);
  recent.start();
  co_await recent.assigned(1);
  first = co_await first_of(recent.at(0));
  CHECK(first >= 3);
  CHECK(first <= 9);
  co_await recent.consumer.async_close();
}

TEST_CASE("offsets: seeks to the beginning, the end and times; by_duration") {
  scenario s;
  s.run(&seeks_to);
}

// ---- The end.

asio::awaitable<std::int64_t> count_to_end(kawait::partition p) {
  std::int64_t records = 0;
  while (auto b = co_await p.async_next_or_end()) {
    for (const record& r : *b) records += r.offset() >= 0 ? 1 : 0;
    b->done();
  }
  REQUIRE(p.at_end());
  co_return records;
}

asio::awaitable<void> to_the_end(scenario& s) {
  const std::string topic = unique_name("end");
  co_await s.admin.create_topic(topic, 4);
  load& l = s.make<load>(s.admin, topic, 2);
  co_await l.add(500, 50);  // of the first two
  auto aborted = co_await open_transaction(s, topic, 2);
  co_await s.admin.end_transaction(aborted, false);
  auto open = co_await open_transaction(s, topic, 3);
  EVENTUALLY((co_await s.admin.end_offset(topic, 2)) == 6);
  config c = s.settings();
  c.isolation(isolation_level::read_committed);
  reader& r = s.make<reader>(s.executor(), c);
  std::vector<topic_partition> all;
  for (std::int32_t p = 0; p < 4; ++p) all.emplace_back(topic, p);
  r.consumer.assign(all);
  r.start();
  co_await r.assigned(4);
  const std::vector<std::int64_t> expected = {500, 500, 0, 0};
  for (std::int32_t p = 0; p < 4; ++p) {
    CAPTURE(p);
    const std::int64_t records = co_await count_to_end(r.at(p));
    CHECK(records == expected[static_cast<std::size_t>(p)]);
  }
  CHECK(r.at(2).position() == 6);
  CHECK(r.at(3).position() == 0);
  // Where the session's fetch is parked already nothing is told of the partition by itself.
  const std::vector<std::int64_t> targets = {500, 500, 499, 500, 0, 500};
  for (const std::int64_t to : targets) {
    CAPTURE(to);
    r.at(0).seek(to);
    const std::int64_t records = co_await count_to_end(r.at(0));
    CHECK(records == 500 - to);
  }
  r.at(0).pause();
  r.at(0).resume();
  std::int64_t more = co_await count_to_end(r.at(0));
  CHECK(more == 0);
  co_await s.admin.end_transaction(open, true);
  EVENTUALLY(!r.at(3).at_end());
  more = co_await count_to_end(r.at(3));
  CHECK(more == 5);
  co_await r.consumer.async_close();
}

TEST_CASE("offsets: read to the end, of an empty log, of aborted records, and again") {
  scenario s;
  s.run(&to_the_end);
}

}  // namespace
}  // namespace kawait::tests
