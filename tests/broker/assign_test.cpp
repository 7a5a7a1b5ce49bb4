// Partitions without a group: what is in the log is what comes out, and the position goes where it is told.

#include "reader_support.hpp"

namespace kawait::tests {
namespace {

using codec = wire::codec;

// ---- All records of a topic, in every codec.

asio::awaitable<void> all_records(scenario& s) {
  const std::string topic = unique_name("all");
  co_await s.admin.create_topic(topic, 6);
  const codec codecs[] = {codec::none, codec::gzip, codec::snappy, codec::lz4, codec::zstd};
  std::int64_t produced = 0;
  for (int round = 0; round < 2; ++round) {
    for (const codec how : codecs) {
      for (std::int32_t p = 0; p < 6; ++p) {
        auto bytes = numbered_batch(produced, 200, 120, how);
        co_await s.admin.produce(topic, p, std::move(bytes));
      }
      produced += 200;
    }
  }
  member& m = s.make<member>(s.executor(), s.log, "reader", s.settings());
  std::vector<topic_partition> names;
  for (std::int32_t p = 0; p < 6; ++p) names.emplace_back(topic, p);
  m.consumer().assign(names);
  m.start();
  EVENTUALLY(s.log.records() >= static_cast<std::size_t>(6 * produced) || m.has_ended());
  co_await m.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  for (const auto& n : names) CHECK(s.log.has_all(n, produced));
  CHECK(s.log.records() == static_cast<std::size_t>(6 * produced));
}

TEST_CASE("assign: every record of six partitions, in each codec") {
  scenario s;
  s.run(&all_records);
}

// ---- What a record holds.

asio::awaitable<void> whole_records(scenario& s) {
  const std::string topic = unique_name("whole"), stamped = unique_name("stamped");
  co_await s.admin.create_topic(topic, 1);
  const admin::settings append_time = {{"message.timestamp.type", "LogAppendTime"}};
  co_await s.admin.create_topic(stamped, 1, append_time);
  const std::int64_t now = wall_clock_ms();
  batch_builder b;
  b.header.base_timestamp = b.header.max_timestamp = now - 5000;
  const std::vector<record_header> headers = {record_header("trace", "abc"), record_header("none", std::nullopt), record_header("", "")};
  b.add("key", "value", headers, 7);
  b.add(std::nullopt, "no key", {}, 0);
  b.add("tombstone", std::nullopt, {}, 11);
  b.add("", "", {}, 12);
  auto bytes = b.build();
  co_await s.admin.produce(topic, 0, bytes);
  co_await s.admin.produce(stamped, 0, std::move(bytes));

  reader& r = s.make<reader>(s.executor(), s.settings());
  std::vector<topic_partition> names = {topic_partition(topic, 0), topic_partition(stamped, 0)};
  r.consumer.assign(names);
  r.start();
  co_await r.assigned(2);
  for (const auto& p : r.consumer.assignment()) {
    auto got = co_await next_of(p);
    REQUIRE(got);
    std::vector<record> records;
    for (const record& x : *got) records.push_back(x);
    REQUIRE(records.size() == 4);
    CHECK(records[0].key().value_or("null") == "key");
    CHECK(records[0].value().value_or("null") == "value");
    REQUIRE(records[0].headers().size() == 3);
    CHECK(records[0].headers().last("trace")->value.value_or("null") == "abc");
    CHECK_FALSE(records[0].headers().last("none")->value.has_value());
    CHECK(records[0].headers().last("")->value.value_or("null") == "");
    CHECK_FALSE(records[1].key().has_value());
    CHECK(records[1].value().value_or("null") == "no key");
    CHECK_FALSE(records[2].value().has_value());
    CHECK(records[3].key().has_value());
    CHECK(records[3].value().value_or("null") == "");
    if (p.topic() == topic) {
      CHECK(records[0].timestamp_type() == timestamp_type::create_time);
      CHECK(records[0].timestamp_ms() == now - 5000 + 7);
      CHECK(records[2].timestamp_ms() == now - 5000 + 11);
    } else {
      CHECK(records[0].timestamp_type() == timestamp_type::log_append_time);
      CHECK(records[0].timestamp_ms() >= now);
      CHECK(records[0].timestamp_ms() == records[3].timestamp_ms());
    }
    const owned_batch copy = got->to_owned();
    CHECK(copy.size() == 4);
    got->done();
  }
  co_await r.consumer.async_close();
}

TEST_CASE("assign: null keys and values, headers, both timestamp types") {
  scenario s;
  s.run(&whole_records);
}

// ---- Transactions.

byte_vector transactional_batch(const producer_identity& who, std::int32_t sequence, int count, const std::string& value) {
  batch_builder b;
  b.header.base_timestamp = b.header.max_timestamp = wall_clock_ms();
  b.producer(who.id, who.epoch, sequence).transactional();
  for (int i = 0; i < count; ++i) b.add(std::nullopt, value);
  return b.build();
}

asio::awaitable<std::vector<std::string>> values_of(scenario& s, config c, std::string topic, std::int64_t end) {
  reader& r = s.make<reader>(s.executor(), std::move(c));
  const std::vector<topic_partition> one = {topic_partition(topic, 0)};
  r.consumer.assign(one);
  r.start();
  co_await r.assigned(1);
  const auto p = r.at(0);
  std::vector<std::string> values;
  while (p.position().value_or(0) < end) {
    auto waited = p.try_next();
    if (waited) {
      for (const record& x : *waited) values.emplace_back(*x.value());
      waited->done();
    } else if (p.position().value_or(0) < end) {
      co_await moment();
    }
  }
  co_await r.consumer.async_close();
  co_return values;
}

asio::awaitable<void> transactions(scenario& s) {
  const std::string topic = unique_name("transactions");
  co_await s.admin.create_topic(topic, 1);
  const std::string id = unique_name("producer");
  auto who = co_await s.admin.begin_transactions(id);
  std::int32_t sequence = 0;
  std::vector<std::string> committed;
  for (int round = 0; round < 6; ++round) {
    const bool commit = round % 2 == 0;
    co_await s.admin.add_to_transaction(who, topic, 0);
    for (int i = 0; i < 2; ++i) {
      const std::string value = (commit ? "kept " : "aborted ") + std::to_string(round) + "." + std::to_string(i);
      auto bytes = transactional_batch(who, sequence, 3, value);
      co_await s.admin.produce(topic, 0, std::move(bytes), id);
      sequence += 3;
      if (commit) committed.insert(committed.end(), 3, value);
      // Someone who knows no transactions, in between.
      auto plain = numbered_batch(round * 2 + i, 1);
      co_await s.admin.produce(topic, 0, std::move(plain));
      committed.push_back("r" + std::to_string(round * 2 + i));
    }
    co_await s.admin.end_transaction(who, commit);
  }
  const std::int64_t decided = 6 * (6 + 2 + 1);  // a marker each
  EVENTUALLY((co_await s.admin.end_offset(topic, 0)) == decided);
  // And one that nobody has decided.
  co_await s.admin.add_to_transaction(who, topic, 0);
  auto open = transactional_batch(who, sequence, 3, "open");
  co_await s.admin.produce(topic, 0, std::move(open), id);

  config c = s.settings();
  c.isolation(isolation_level::read_committed);
  const auto clean = co_await values_of(s, c, topic, decided);
  CHECK(clean == committed);
  const auto dirty = co_await values_of(s, s.settings(), topic, decided + 3);
  CHECK(dirty.size() == 6 * 8 + 3);  // all but the markers
  co_await s.admin.end_transaction(who, false);
}

TEST_CASE("assign: read_committed shows no aborted and no undecided record, and nobody sees markers") {
  scenario s;
  s.run(&transactions);
}

// ---- Batches above every limit.

asio::awaitable<void> large_batches(scenario& s) {
  const std::string topic = unique_name("large");
  const admin::settings large = {{"max.message.bytes", "4000000"}};
  co_await s.admin.create_topic(topic, 3, large);
  for (std::int32_t p = 0; p < 3; ++p) {
    for (int i = 0; i < 3; ++i) {
      auto bytes = numbered_batch(i, 1, 2 << 20);
      co_await s.admin.produce(topic, p, std::move(bytes));
    }
  }
  config c = s.settings();
  c.max_partition_fetch_bytes(1024).fetch_max_bytes(4096).fetch_buffer_bytes(8 << 20);
  member& m = s.make<member>(s.executor(), s.log, "reader", c);
  std::vector<topic_partition> names;
  for (std::int32_t p = 0; p < 3; ++p) names.emplace_back(topic, p);
  m.consumer().assign(names);
  m.start();
  EVENTUALLY(s.log.records() >= 9 || m.has_ended());
  co_await m.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  CHECK(s.log.records() == 9);
}

TEST_CASE("assign: batches of 2 MiB pass limits of 1 KiB, in every partition") {
  scenario s;
  s.run(&large_batches);
}

}  // namespace
}  // namespace kawait::tests
