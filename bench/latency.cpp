// How long a record takes from its producer to the user's code while few are written: as a member of a group of its own, reads what
// rivals/librdkafka_pace.c writes, and prints one JSON line.
//
//   bench_latency BOOTSTRAP TOPIC WARM_UP SECONDS [property=value ...]
//
// WARM_UP seconds after the first record it counts for SECONDS: p50_us, p99_us, p999_us and max_us are of the times between those that
// begin the values and the hand-out, cpu_s is the CPU that was used meanwhile. Fails if an offset is left out.

#include <kawait/kawait.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <unistd.h>

#include <chrono>
#include <iostream>
#include <span>
#include <string>
#include <utility>

#include "latencies.hpp"
#include "support/properties.hpp"

namespace {

#if defined(ASIO_HAS_IO_URING)
constexpr const char* name = "kawait, io_uring";
#else
constexpr const char* name = "kawait, epoll";
#endif

void rethrow(std::exception_ptr thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

/// A handler is copied; what it counts is not.
struct worker {
  kawait::consumer* consumer;
  bench::latencies* all;
  asio::awaitable<void> operator()(kawait::partition p) const { return work(*consumer, *all, std::move(p)); }

  static asio::awaitable<void> work(kawait::consumer& consumer, bench::latencies& all, kawait::partition p) {
    while (auto batch = co_await p.async_next()) {
      for (const kawait::record& r : *batch) all.read(r, p.index());
      batch->done();
      if (all.is_over()) asio::co_spawn(consumer.get_executor(), close(consumer), rethrow);
    }
  }
  static asio::awaitable<void> close(kawait::consumer& consumer) { co_await consumer.async_close(); }
};

asio::awaitable<void> run(kawait::consumer& consumer, bench::latencies& all) {
  worker each;
  each.consumer = &consumer;
  each.all = &all;
  co_await kawait::for_each_partition(consumer, each);
}

void run_benchmark(int argc, char** argv) {
  kawait::config config(argv[1]);
  const auto since_start = std::chrono::steady_clock::now().time_since_epoch().count();
  config.group_id("latency-" + std::to_string(getpid()) + '-' + std::to_string(since_start));
  config.auto_offset_reset(kawait::offset_reset::latest);
  kawait::tests::set_properties(config, std::span(argv, static_cast<std::size_t>(argc)).subspan(5));
  asio::io_context context(1);
  kawait::consumer consumer(context.get_executor(), config);
  consumer.subscribe(argv[2]);
  bench::latencies all(argv[3], argv[4]);
  asio::co_spawn(context, run(consumer, all), rethrow);
  context.run();
  all.print(name);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::cerr << "usage: bench_latency BOOTSTRAP TOPIC WARM_UP SECONDS [property=value ...]\n";
    return 2;
  }
  try {
    run_benchmark(argc, argv);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "bench_latency: " << e.what() << '\n';
    return 1;
  }
}
