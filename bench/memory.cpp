// What a consumer grows by whose handlers are slow, so that its buffer fills.
//
//   bench_memory BOOTSTRAP TOPIC COUNT [property=value ...]
//
// Each partition's handler keeps all it gets until it has its share, and then gives back the oldest batch for the next, until
// COUNT records are read. One JSON line: idle_kb is the process's resident memory with the partitions assigned and nothing read,
// peak_kb the most until the end, budget_kb fetch.buffer.bytes. Fails if it has grown by more than that and 8 MiB.

#include <kawait/kawait.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>

#include "support/properties.hpp"
#include "usage.hpp"

namespace {

class slow_reading {
 public:
  slow_reading(kawait::consumer& consumer, std::uint64_t wanted) : consumer_(consumer), wanted_(wanted) {}

  asio::awaitable<void> work(kawait::partition p) {
    co_await kawait::sleep_for(std::chrono::seconds(1));  // until all are assigned
    if (idle_kb_ == 0) idle_kb_ = bench::resident_kb();
    std::deque<kawait::batch> held;
    while (records_ < wanted_) {
      bool is_full = false;
      try {
        auto batch = co_await p.async_next();
        if (!batch) break;
        std::uint64_t n = 0;
        for (const kawait::record& r : *batch) n += r.value() ? 1 : 0;
        records_ += n;
        held.push_back(std::move(*batch));
      } catch (const kawait::error& e) {
        if (e.code() != kawait::errc::lease_quota) throw;
        is_full = true;
      }
      if (!is_full) continue;
      co_await kawait::sleep_for(std::chrono::milliseconds(1));
      held.front().done();
      held.pop_front();
    }
    for (auto& batch : held) batch.done();
    if (records_ >= wanted_ && !is_closing_) {
      is_closing_ = true;
      consumer_.async_close([](std::error_code) {});
    }
    held.clear();
    co_await p.async_wait_end();
  }

  /// Whether it kept to the budget.
  bool print(const std::string& topic, std::size_t budget) const {
    if (records_ < wanted_) throw std::runtime_error("the consumer ended before the last record");
    const long peak = bench::usage::now().max_rss_kb, most = static_cast<long>(budget / 1024) + 8 * 1024;
    std::printf("{\"name\":\"kawait\",\"topic\":\"%s\",\"records\":%llu,\"idle_kb\":%ld,\"peak_kb\":%ld,\"grown_kb\":%ld"
                ",\"budget_kb\":%zu,\"buffers_peak_kb\":%zu}\n",
                topic.c_str(), static_cast<unsigned long long>(records_), idle_kb_, peak, peak - idle_kb_, budget / 1024,
                consumer_.engine()->buffers().peak() / 1024);
    return peak - idle_kb_ <= most;
  }

 private:
  kawait::consumer& consumer_;
  std::uint64_t wanted_, records_ = 0;
  long idle_kb_ = 0;
  bool is_closing_ = false;
};

struct worker {
  slow_reading* all;
  asio::awaitable<void> operator()(kawait::partition p) const { return all->work(std::move(p)); }
};

asio::awaitable<void> run(kawait::consumer& consumer, slow_reading& all) {
  worker each;
  each.all = &all;
  co_await kawait::for_each_partition(consumer, each);
}

int run_benchmark(int argc, char** argv) {
  kawait::config config(argv[1]);
  config.group_id("memory-" + std::to_string(getpid()) + '-' +
                  std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
  config.auto_offset_reset(kawait::offset_reset::earliest);
  kawait::tests::set_properties(config, std::span(argv, static_cast<std::size_t>(argc)).subspan(4));
  asio::io_context context(1);
  kawait::consumer consumer(context.get_executor(), config);
  consumer.subscribe(argv[2]);
  slow_reading all(consumer, bench::number("COUNT", argv[3]));
  asio::co_spawn(context, run(consumer, all), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  context.run();
  return all.print(argv[2], config.values().fetch_buffer_bytes) ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: bench_memory BOOTSTRAP TOPIC COUNT [property=value ...]\n";
    return 2;
  }
  try {
    return run_benchmark(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "bench_memory: " << e.what() << '\n';
    return 1;
  }
}
