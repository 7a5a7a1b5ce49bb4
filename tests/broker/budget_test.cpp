// One byte budget for all partitions: who does not release stops only himself.

#include "member_support.hpp"

#include <algorithm>

namespace kawait::tests {
namespace {

constexpr std::int32_t partition_count = 100;
constexpr std::int32_t busy = partition_count - 1;  // the last, which goes on
constexpr std::int64_t batches = 150;
constexpr std::int64_t records_per_batch = 900;  // of 100 bytes each

/// The fetches that brought records.
struct fetches final : observer {
  void on_fetched(const fetched& e) override { count += e.bytes > 0 ? 1 : 0; }
  std::size_t count = 0;
};

template <class T>
T median(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct hundred {
  kawait::consumer consumer;
  bool is_over = false;
  int stalled = 0;
  std::vector<batch> held;

  hundred(asio::any_io_executor executor, config c) : consumer(std::move(executor), std::move(c)) {}

  asio::awaitable<void> start(std::string topic) {
    std::vector<topic_partition> all;
    for (std::int32_t p = 0; p < partition_count; ++p) all.emplace_back(topic, p);
    consumer.assign(all);
    consumer.async_run([this](std::error_code) { is_over = true; });
    EVENTUALLY(consumer.assignment().size() == partition_count || is_over);
  }
  kawait::partition at(std::int32_t number) const {
    for (const auto& p : consumer.assignment()) {
      if (p.index() == number) return p;
    }
    throw std::runtime_error("not assigned");
  }
  void stall_all() {
    for (std::int32_t p = 0; p < busy; ++p) asio::co_spawn(consumer.get_executor(), stall(at(p)), asio::detached);
  }
  /// Takes all that the partition's share allows and never gives it back.
  asio::awaitable<void> stall(kawait::partition p) {
    try {
      for (;;) {
        auto b = co_await p.async_next();
        if (!b) break;
        held.push_back(std::move(*b));
      }
    } catch (const error& e) {
      if (e.code() == errc::lease_quota) ++stalled;
    }
  }
  /// Seconds for all of the busy partition.
  asio::awaitable<double> read_busy() {
    const auto p = at(busy);
    p.seek(0);
    const auto began = clock::now();
    std::int64_t records = 0;
    while (records < batches * records_per_batch) {
      auto b = co_await p.async_next();
      if (!b) throw std::runtime_error("the stream ended");
      for (const record& r : *b) records += r.value() ? 1 : 0;
      b->done();
    }
    REQUIRE(records == batches * records_per_batch);
    co_return std::chrono::duration<double>(clock::now() - began).count();
  }
};

asio::awaitable<void> ninety_nine(scenario& s) {
  const std::string topic = unique_name("hundred");
  co_await s.admin.create_topic(topic, partition_count);
  const auto bytes = numbered_batch(0, records_per_batch, 100);
  for (std::int32_t p = 0; p < busy; ++p) {
    for (int i = 0; i < 4; ++i) co_await s.admin.produce(topic, p, bytes);
  }
  for (std::int64_t i = 0; i < batches; ++i) co_await s.admin.produce(topic, busy, bytes);

  config c = s.settings();
  c.fetch_buffer_bytes(16 << 20);
  const auto of_alone = std::make_shared<fetches>(), of_beside = std::make_shared<fetches>();
  config c_alone = c, c_beside = c;
  hundred& alone = s.make<hundred>(s.executor(), c_alone.add_observer(of_alone));
  hundred& beside = s.make<hundred>(s.executor(), c_beside.add_observer(of_beside));
  co_await alone.start(topic);
  co_await beside.start(topic);
  beside.stall_all();
  EVENTUALLY(beside.stalled == busy);

  // In turn, so that what else the machine does meets both.
  std::vector<double> times_alone, times_beside;
  std::vector<std::size_t> fetches_alone, fetches_beside;
  for (int round = 0; round < 7; ++round) {
    const std::size_t a = of_alone->count, b = of_beside->count;
    times_alone.push_back(co_await alone.read_busy());
    times_beside.push_back(co_await beside.read_busy());
    fetches_alone.push_back(of_alone->count - a);
    fetches_beside.push_back(of_beside->count - b);
  }
  const double rate = median(times_alone) / median(times_beside);
  const double part = static_cast<double>(median(fetches_alone)) / static_cast<double>(median(fetches_beside));
  CAPTURE(rate, part, times_alone, times_beside, fetches_alone, fetches_beside);
  CHECK(part >= 0.8);
  CHECK(beside.stalled == busy);

  // The documented bound: the budget, and the head-room of one response (a record batch is smaller here), given in steps of a quarter.
  auto& buffers = beside.consumer.engine()->buffers();
  const std::size_t budget = buffers.budget(), one_response = std::size_t{5} << 19;
  CAPTURE(budget, buffers.peak(), buffers.charged(), buffers.kept());
  CHECK(buffers.peak() <= budget + one_response);
  // And nobody is stopped for good.
  beside.held.clear();
  const auto p = beside.at(0);
  auto more = co_await p.async_next();
  REQUIRE(more);
  more->done();
  more.reset();
  co_await alone.consumer.async_close();
  co_await beside.consumer.async_close();
  EVENTUALLY(alone.is_over && beside.is_over);
  CHECK(buffers.charged() == 0);
}

TEST_CASE("99 of 100 partitions never release: the fetches of the last bring 0.8 of what they did, the buffer keeps its bound") {
  scenario s;
  s.run(&ninety_nine, 180s);
}

}  // namespace
}  // namespace kawait::tests
