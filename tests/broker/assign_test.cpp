// Partitions without a group: what is in the log is what comes out, and the position goes where it is told.

#include "member_support.hpp"

namespace kawait::tests {
namespace {

using codec = wire::codec;

asio::awaitable<std::optional<batch>> next_of(kawait::partition p) { return p.async_next(); }

/// Runs a consumer beside the test and gives the partitions that it was assigned, by number.
struct reader {
  kawait::consumer consumer;
  std::error_code ended;
  bool is_over = false;

  reader(asio::any_io_executor executor, config c) : consumer(std::move(executor), std::move(c)) {}

  void start() {
    consumer.async_run([this](std::error_code ec) {
      ended = ec;
      is_over = true;
    });
  }
  kawait::partition at(std::int32_t number) const {
    for (const auto& p : consumer.assignment()) {
      if (p.index() == number) return p;
    }
    throw std::runtime_error("partition " + std::to_string(number) + " is not assigned");
  }
  asio::awaitable<void> assigned(std::size_t count) { EVENTUALLY(consumer.assignment().size() == count || is_over); }
};

asio::awaitable<std::int64_t> first_of(kawait::partition p) {
  auto b = co_await p.async_next();
  if (!b) throw std::runtime_error("the stream ended");
  std::int64_t offset = -1;
  for (const record& r : *b) {
    offset = r.offset();
    break;
  }
  b->done();
  co_return offset;
}

/// Reads until `end`; the offsets must be dense from `from`.
asio::awaitable<void> read_range(kawait::partition p, std::int64_t from, std::int64_t end) {
  std::int64_t expected = from;
  while (expected < end) {
    auto b = co_await p.async_next();
    if (!b) throw std::runtime_error("the stream ended");
    for (const record& r : *b) {
      if (r.offset() != expected) {
        throw std::runtime_error("offset " + std::to_string(r.offset()) + " in place of " + std::to_string(expected));
      }
      ++expected;
    }
    b->done();
  }
  REQUIRE(expected == end);
}

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

// ---- Where reading starts.

asio::awaitable<void> resets(scenario& s) {
  const std::string topic = unique_name("resets");
  co_await s.admin.create_topic(topic, 1);
  load& l = s.make<load>(s.admin, topic, 1);
  co_await l.add(100);
  co_await s.admin.delete_records(topic, 0, 30);
  const std::vector<topic_partition> one = {topic_partition(topic, 0)};

  reader& early = s.make<reader>(s.executor(), s.settings());
  early.consumer.assign(one);
  early.start();
  co_await early.assigned(1);
  const auto from_start = early.at(0);
  const std::int64_t first = co_await first_of(from_start);
  CHECK(first == 30);
  co_await early.consumer.async_close();

  config c = s.settings();
  c.auto_offset_reset(offset_reset::latest);
  reader& late = s.make<reader>(s.executor(), c);
  late.consumer.assign(one);
  late.start();
  co_await late.assigned(1);
  const auto from_end = late.at(0);
  auto none_yet = from_end.try_next();  // begins the look-up
  CHECK_FALSE(none_yet);
  EVENTUALLY(from_end.position().has_value());
  CHECK(from_end.position() == 100);
  co_await l.add(1);
  const std::int64_t newest = co_await first_of(from_end);
  CHECK(newest == 100);
  co_await late.consumer.async_close();

  c.auto_offset_reset(offset_reset::none);
  reader& nowhere = s.make<reader>(s.executor(), c);
  nowhere.consumer.assign(one);
  nowhere.start();
  co_await nowhere.assigned(1);
  const auto unknown = nowhere.at(0);
  std::error_code code;
  try {
    co_await next_of(unknown);
  } catch (const error& e) {
    code = e.code();
    CHECK(e.words().find(topic + "-0") != std::string::npos);
  }
  CHECK(code == errc::no_offset);
  unknown.seek(50);  // and the user goes on
  const std::int64_t sought = co_await first_of(unknown);
  CHECK(sought == 50);
  co_await nowhere.consumer.async_close();
}

TEST_CASE("assign: earliest, latest, none") {
  scenario s;
  s.run(&resets);
}

asio::awaitable<void> out_of_range(scenario& s) {
  const std::string topic = unique_name("range");
  co_await s.admin.create_topic(topic, 1);
  load& l = s.make<load>(s.admin, topic, 1);
  co_await l.add(100);
  co_await s.admin.delete_records(topic, 0, 40);
  const std::vector<topic_partition> one = {topic_partition(topic, 0)};

  reader& r = s.make<reader>(s.executor(), s.settings());
  r.consumer.assign(one);
  r.start();
  co_await r.assigned(1);
  const auto p = r.at(0);
  p.seek(3);  // deleted
  std::int64_t first = co_await first_of(p);
  CHECK(first == 40);
  CHECK(r.consumer.last_warning().code == kafka_error::offset_out_of_range);
  p.seek(1000);  // not written yet
  first = co_await first_of(p);
  CHECK(first == 40);
  co_await r.consumer.async_close();

  config c = s.settings();
  c.auto_offset_reset(offset_reset::none);
  reader& strict = s.make<reader>(s.executor(), c);
  strict.consumer.assign(one);
  strict.start();
  co_await strict.assigned(1);
  const auto q = strict.at(0);
  q.seek(3);
  std::error_code code;
  try {
    co_await next_of(q);
  } catch (const error& e) {
    code = e.code();
    CAPTURE(e.what());
    CHECK(e.words().find(topic + "-0@3") != std::string::npos);
  }
  CHECK(code == errc::no_offset);
  q.seek(41);
  first = co_await first_of(q);
  CHECK(first == 41);
  co_await strict.consumer.async_close();
}

TEST_CASE("assign: an offset out of range is reset, or told") {
  scenario s;
  s.run(&out_of_range);
}

// ---- Seek, pause, position, lag.

asio::awaitable<void> seeks(scenario& s) {
  const std::string topic = unique_name("seeks");
  co_await s.admin.create_topic(topic, 2);
  load& l = s.make<load>(s.admin, topic, 2);
  co_await l.add(1000, 50);
  config c = s.settings();
  c.fetch_max_wait(5s);  // a parked fetch must not hold a seek back
  reader& r = s.make<reader>(s.executor(), c);
  const std::vector<topic_partition> two = {topic_partition(topic, 0), topic_partition(topic, 1)};
  r.consumer.assign(two);
  r.start();
  co_await r.assigned(2);
  const auto p = r.at(0);
  p.seek(500);  // before the first read
  CHECK(p.position() == 500);
  std::int64_t first = co_await first_of(p);
  CHECK(first == 500);
  const std::vector<std::int64_t> targets = {0, 999, 1, 750, 750, 20, 998};
  for (const std::int64_t to : targets) {
    p.seek(to);
    first = co_await first_of(p);
    CHECK(first == to);
  }
  p.seek(999);
  co_await read_range(p, 999, 1000);
  // The fetch is parked at the broker now, for up to five seconds: what is sought is served beside it.
  const auto began = clock::now();
  p.seek(10);
  co_await read_range(p, 10, 1000);
  CHECK(clock::now() - began < 4s);
  CHECK(p.position() == 1000);
  CHECK(p.lag() == 0);
  p.seek(400);
  auto b = co_await next_of(p);
  REQUIRE(b);
  CHECK(p.position() == b->next_offset());
  CHECK(p.lag() == 1000 - b->next_offset());
  b.reset();  // or closing would wait for it
  std::error_code code;
  try {
    p.seek(-1);
  } catch (const error& e) {
    code = e.code();
  }
  CHECK(code == errc::invalid_config);
  co_await r.consumer.async_close();
}

TEST_CASE("assign: seek before the first read, during a fetch, back and forth") {
  scenario s;
  s.run(&seeks);
}

asio::awaitable<void> pauses(scenario& s) {
  const std::string topic = unique_name("pauses");
  co_await s.admin.create_topic(topic, 2);
  load& l = s.make<load>(s.admin, topic, 2);
  member& m = s.make<member>(s.executor(), s.log, "reader", s.settings());
  const topic_partition zero(topic, 0), one(topic, 1);
  const std::vector<topic_partition> two = {zero, one};
  m.consumer().assign(two);
  m.start();
  s.spawn(l.run());
  EVENTUALLY(m.owned().size() == 2 && !s.log.offsets(zero).empty());
  const auto p = s.log.of(zero).front()->handle;
  for (int round = 0; round < 5; ++round) {
    p.pause();
    CHECK(p.is_paused());
    const std::size_t paused_at = s.log.offsets(zero).size(), other = s.log.offsets(one).size();
    EVENTUALLY(s.log.offsets(one).size() > other + 50);
    CHECK(s.log.offsets(zero).size() == paused_at);
    p.resume();
    EVENTUALLY(s.log.offsets(zero).size() > paused_at);
  }
  co_await l.stop();
  EVENTUALLY(l.is_consumed(s.log));
  co_await m.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  CHECK(s.log.repeated() == 0);
}

TEST_CASE("assign: pause and resume lose nothing, and hold nobody else") {
  scenario s;
  s.run(&pauses);
}

// ---- Offsets of a group, without being its member.

asio::awaitable<void> assigned_with_group(scenario& s) {
  const std::string topic = unique_name("offsets"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 1);
  load& l = s.make<load>(s.admin, topic, 1);
  co_await l.add(50, 10);
  const topic_partition name(topic, 0);
  const std::vector<topic_partition> one = {name};
  {
    member& m = s.make<member>(s.executor(), s.log, "first", s.settings(group));
    m.consumer().assign(one);
    m.start();
    EVENTUALLY(l.is_consumed(s.log));
    co_await m.close();
  }
  auto told = co_await s.committed(group, topic, 1);
  CHECK(told[0] == 50);
  co_await l.add(10);
  reader& r = s.make<reader>(s.executor(), s.settings(group));
  r.consumer.assign(one);
  r.start();
  co_await r.assigned(1);
  const auto p = r.at(0);
  const std::int64_t first = co_await first_of(p);
  CHECK(first == 50);  // where the group was
  offset_map back;
  back[name] = 20;
  const auto result = co_await r.consumer.async_commit(back);
  REQUIRE(result.size() == 1);
  CHECK_FALSE(result[0].code);
  // Also of topics that are not ours, whose ids this consumer has never heard of.
  const std::vector<topic_partition> several = {name, topic_partition("unread-a", 0), topic_partition("unread-b", 1)};
  const auto offsets = co_await r.consumer.async_committed(several);
  CHECK(offsets.at(name) == 20);
  CHECK(offsets.at(several[1]) == -1);
  CHECK(offsets.at(several[2]) == -1);
  co_await r.consumer.async_close();
}

TEST_CASE("assign: with a group id offsets are fetched and committed") {
  scenario s;
  s.run(&assigned_with_group);
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
