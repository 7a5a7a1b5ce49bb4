// Where reading starts, and how it is moved, held and resumed.

#include "reader_support.hpp"

namespace kawait::tests {
namespace {

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
  c.fetch_max_wait(30s);  // a parked fetch must not hold a seek back
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
  // The fetch is parked at the broker now, for up to thirty seconds: what is sought is served beside it.
  const auto began = clock::now();
  p.seek(10);
  co_await read_range(p, 10, 1000);
  CHECK(clock::now() - began < 15s);
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

}  // namespace
}  // namespace kawait::tests
