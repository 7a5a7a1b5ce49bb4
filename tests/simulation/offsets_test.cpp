// The ends of logs and offsets by time, of partitions that a consumer reads or does not.

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using kawait::errc;
using kawait::found_map;
using kawait::offset_map;
using kawait::time_map;
using kawait::topic_partition;
using std::chrono::system_clock;

const std::vector<topic_partition> three = {topic_partition("orders", 0), topic_partition("orders", 1), topic_partition("other", 0)};

system_clock::time_point at(std::int64_t ms) { return system_clock::time_point(std::chrono::milliseconds(ms)); }

std::vector<std::int64_t> values(const offset_map& offsets) {
  std::vector<std::int64_t> all;
  for (const auto& [name, offset] : offsets) all.push_back(offset);
  return all;
}

/// Two partitions of "orders" and one of "other", each with its own range of offsets.
void fill(testing::broker& b) {
  b.create_topic("orders", 2);
  b.create_topic("other", 1);
  b.append("orders", 0, numbers(10));
  b.append("orders", 1, numbers(20));
  b.append("other", 0, numbers(30));
  b.log("orders", 1).delete_records(5);
}

TEST_CASE("offsets: of any partitions, in a group, after assign and without either", "[offsets]") {
  testing::world w;
  testing::broker b(w, nodes(3));
  fill(b);
  kawait::consumer consumer(w.executor(), member_of(b));
  const std::string how = GENERATE("group", "assign", "neither", "before the run");
  CAPTURE(how);
  std::optional<std::error_code> ended;
  const bool subscribes = how == "group" || how == "before the run";
  if (subscribes) consumer.subscribe("orders");
  if (how == "assign") consumer.assign({topic_partition("orders", 0)});
  if (how == "group" || how == "assign") {
    consumer.async_run([&](std::error_code ec) { ended = ec; });
    w.advance(1s);
  }
  const auto begins = w.run(consumer.async_beginning_offsets(three), 5s);
  CHECK(values(begins) == std::vector<std::int64_t>{0, 5, 0});
  const auto ends = w.run(consumer.async_end_offsets(three), 5s);
  CHECK(values(ends) == std::vector<std::int64_t>{10, 20, 30});
  CHECK(w.run(consumer.async_end_offsets({}), 1s).empty());
  if (how == "before the run") {  // and it reads as if nobody had asked
    std::size_t records = 0;
    w.spawn(kawait::for_each_partition(consumer, [&](kawait::partition p) -> asio::awaitable<void> {
      while (auto batch = co_await p.async_next()) {
        for (const auto& r : *batch) records += r.offset() >= 0 ? 1 : 0;
        batch->done();
      }
    }));
    CHECK(w.run_until([&] { return records == 25; }, 10s));
  }
  CHECK(!ended);
}

TEST_CASE("offsets: assign at once reads after a question that came before the run", "[offsets]") {
  testing::world w;
  testing::broker b(w);
  fill(b);
  kawait::consumer consumer(w.executor(), plain().bootstrap_servers(b.bootstrap()));
  const auto ends = w.run(consumer.async_end_offsets(three));
  consumer.assign(three);
  consumer.async_run([](std::error_code) {});
  std::size_t records = 0;
  while (records < 55) {
    auto batch = w.run(consumer.async_next(), 2s);
    for (const auto& r : batch) records += r.offset() >= 0 ? 1 : 0;
    batch.done();
  }
  CHECK(ends.at(topic_partition("orders", 0)) == 10);
}

TEST_CASE("offsets: read_committed ends where nothing is undecided", "[offsets]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(3));
  b.append("orders", 0, numbers(2), testing::append_options::in_transaction(7));
  b.append("orders", 0, numbers(4));
  const std::vector<topic_partition> one = {topic_partition("orders", 0)};
  const auto end_under = [&](kawait::isolation_level level) {
    kawait::consumer consumer(w.executor(), kawait::config(b.bootstrap()).isolation(level));
    return w.run(consumer.async_end_offsets(one)).at(one[0]);
  };
  CHECK(end_under(kawait::isolation_level::read_uncommitted) == 9);
  CHECK(end_under(kawait::isolation_level::read_committed) == 3);
  b.end_transaction("orders", 0, 7, false);
  CHECK(end_under(kawait::isolation_level::read_committed) == 10);
}

TEST_CASE("offsets: for times", "[offsets]") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  for (const std::int64_t time : {1000, 2000, 1500, 3000}) {
    producer_record r("value");
    r.timestamp = time;
    b.append("orders", 0, {r});
  }
  kawait::consumer consumer(w.executor(), kawait::config(b.bootstrap()));
  struct {
    system_clock::time_point time;
    std::int64_t offset, timestamp;
  } const rows[] = {
      {at(0), 0, 1000},
      {at(-5), 0, 1000},  // no special question
      {system_clock::time_point::min(), 0, 1000},
      {at(1000), 0, 1000},
      {at(1000) + 1us, 1, 2000},
      {at(1001), 1, 2000},
      {at(2001), 3, 3000},
      {at(3000), 3, 3000},
      {at(3001), -1, -1},
      {system_clock::time_point::max(), -1, -1},
  };
  for (const auto& row : rows) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(row.time.time_since_epoch()).count();
    CAPTURE(ms);
    const time_map times = {{topic_partition("orders", 0), row.time}, {topic_partition("orders", 1), row.time}};
    const found_map found = w.run(consumer.async_offsets_for_times(times));
    REQUIRE(found.size() == 2);
    CHECK(!found.at(topic_partition("orders", 1)));
    const auto& place = found.at(topic_partition("orders", 0));
    REQUIRE(place.has_value() == (row.offset >= 0));
    if (!place) continue;
    CHECK(place->offset == row.offset);
    CHECK(place->timestamp == at(row.timestamp));
  }
}

TEST_CASE("offsets: leaders that move are followed, until the time is over", "[offsets]") {
  testing::world w;
  testing::broker b(w, nodes(2));
  fill(b);
  kawait::consumer consumer(w.executor(), kawait::config(b.bootstrap()).default_api_timeout(20s));
  const topic_partition name("orders", 0);
  const std::vector<topic_partition> one = {name};
  CHECK(w.run(consumer.async_end_offsets(one)).at(name) == 10);
  const std::int32_t leader = b.leader("orders", 0);
  b.set_leader("orders", 0, 3 - leader);
  CHECK(w.run(consumer.async_end_offsets(one), 5s).at(name) == 10);
  b.set_leader("orders", 0, leader);
  b.stop_node(leader, false);  // nobody leads it now
  std::optional<std::error_code> code;
  kawait::diagnostics words;
  const auto began = w.now();
  consumer.async_end_offsets(one, words, [&](std::error_code ec, offset_map) { code = ec; });
  SECTION("back in time") {
    w.advance(10s);
    CHECK(!code);
    b.start_node(leader);
    REQUIRE(w.run_until([&] { return code.has_value(); }, 10s));
    CHECK(!*code);
  }
  SECTION("too late") {
    REQUIRE(w.run_until([&] { return code.has_value(); }));
    CHECK(*code == errc::request_timeout);
    CHECK(words.text().find("orders-0") != std::string::npos);
    CHECK(w.now() - began >= 20s);
    CHECK(w.now() - began < 21s);
  }
}

TEST_CASE("offsets: what is not there is named, at the end of the time", "[offsets]") {
  testing::world w;
  testing::broker b(w);
  fill(b);
  kawait::consumer consumer(w.executor(), kawait::config(b.bootstrap()).default_api_timeout(5s));
  struct {
    topic_partition name;
    kafka_error code;
    std::int64_t after_ms;
  } const rows[] = {
      {topic_partition("absent", 3), kafka_error::unknown_topic_or_partition, 5000},
      {topic_partition("orders", 2), kafka_error::unknown_topic_or_partition, 5000},
      {topic_partition("orders", -1), kafka_error::unknown_topic_or_partition, 0},
      {topic_partition("no name", 0), kafka_error::invalid_topic_exception, 0},
  };
  for (const auto& row : rows) {
    const std::vector<topic_partition> asked = {row.name, three[0]};
    CAPTURE(row.name.to_string());
    const auto began = w.now();
    std::string words;
    std::error_code code;
    try {
      w.run(consumer.async_end_offsets(asked));
    } catch (const kawait::error& e) {
      code = e.code();
      words = e.words();
    }
    CHECK(code == row.code);
    CHECK(words.find(row.name.topic) != std::string::npos);
    CHECK(w.now() - began == std::chrono::milliseconds(row.after_ms));
  }
  // Created while it is asked about.
  std::optional<std::error_code> told;
  const std::vector<topic_partition> absent = {topic_partition("absent", 3)};
  consumer.async_beginning_offsets(absent, [&](std::error_code ec, offset_map) { told = ec; });
  w.advance(2s);
  b.create_topic("absent", 4);
  REQUIRE(w.run_until([&] { return told.has_value(); }));
  CHECK(!*told);
}

TEST_CASE("offsets: without a broker, cancelled, closed and destroyed", "[offsets]") {
  testing::world w;
  kawait::config c("10.9.9.9:9092");
  c.default_api_timeout(30s);
  std::optional<kawait::consumer> consumer(std::in_place, w.executor(), c);
  std::map<std::string, std::error_code> ends;
  const auto note = [&](std::string name) { return [&ends, name](std::error_code ec, const auto&) { ends[name] = ec; }; };
  asio::cancellation_signal stop;
  const time_map times = {{three[0], at(5)}};
  consumer->async_end_offsets(three, asio::bind_cancellation_slot(stop.slot(), note("cancelled")));
  consumer->async_beginning_offsets(three, note("unreachable"));
  w.advance(1s);
  CHECK(ends.empty());
  stop.emit(asio::cancellation_type::terminal);
  w.poll();
  CHECK(ends == std::map<std::string, std::error_code>{{"cancelled", asio::error::operation_aborted}});
  w.advance(30s);
  CHECK(ends["unreachable"] == errc::request_timeout);
  consumer->async_offsets_for_times(times, note("ended"));
  w.advance(1s);
  if (GENERATE(true, false)) {
    consumer->async_close([](std::error_code) {});
    w.poll();
    CHECK(ends["ended"] == errc::closed);
    consumer->async_end_offsets(three, note("late"));
    w.poll();
    CHECK(ends["late"] == errc::closed);
  } else {
    consumer.reset();
    w.poll();
    CHECK(ends["ended"] == asio::error::operation_aborted);
  }
}

/// A coroutine that owns its consumer and asks.
asio::awaitable<void> asking(kawait::consumer consumer) {
  co_await consumer.async_end_offsets(three);
}

TEST_CASE("offsets: a context is destroyed with a question in it", "[offsets]") {
  testing::world w;
  auto b = std::make_unique<testing::broker>(w);
  fill(*b);
  if (GENERATE(true, false)) b->freeze_node(1);
  kawait::consumer consumer(w.executor(), kawait::config(b->bootstrap()));
  asio::co_spawn(w.executor(), asking(std::move(consumer)), asio::detached);
  w.poll();
  w.advance(GENERATE(0s, 1s));
  b.reset();
  w.destroy_context();
}

}  // namespace
}  // namespace embedded
