// How long a record takes from its producer to the user's code, while few are written: as a member of a group of its own, reads what
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

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/properties.hpp"
#include "usage.hpp"

namespace {

using bench::usage;
using nanoseconds = std::chrono::nanoseconds;
using time_point = std::chrono::sys_time<nanoseconds>;

#if defined(ASIO_HAS_IO_URING)
constexpr const char* name = "kawait, io_uring";
#else
constexpr const char* name = "kawait, epoll";
#endif

nanoseconds seconds(const char* text) {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(std::strtod(text, nullptr)));
}

class benchmark {
 public:
  benchmark(kawait::consumer& consumer, nanoseconds warm_up, nanoseconds length)
      : consumer_(consumer), warm_up_(warm_up), length_(length) {}

  asio::awaitable<void> work(kawait::partition p) {
    while (auto batch = co_await p.async_next()) {
      for (const kawait::record& r : *batch) read(r, p.index());
      batch->done();
      if (!end_ || now_ < *end_ || last_) continue;
      last_ = usage::now();
      asio::co_spawn(consumer_.get_executor(), close(), [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
      });
    }
  }

  void print() {
    if (!last_ || latencies_.empty()) throw std::runtime_error("no records, or the consumer ended early");
    std::sort(latencies_.begin(), latencies_.end());
    const std::chrono::duration<double> length = last_->at - first_->at;
    std::printf("{\"name\":\"%s\",\"records\":%zu,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f"
                ",\"cpu_s\":%.6f}\n",
                name, latencies_.size(), length.count(), percentile_us(500), percentile_us(990), percentile_us(999), percentile_us(1000),
                last_->user + last_->system - first_->user - first_->system);
  }

 private:
  void read(const kawait::record& r, std::int32_t partition) {
    now_ = std::chrono::time_point_cast<nanoseconds>(std::chrono::system_clock::now());
    if (!end_) end_ = now_ + warm_up_ + length_;
    if (next_.try_emplace(partition, r.offset()).first->second++ != r.offset()) throw std::runtime_error("a gap before offset " + std::to_string(r.offset()));
    if (now_ < *end_ - length_ || last_) return;
    if (!first_) first_ = usage::now();
    latencies_.push_back(now_ - sent(r));
  }

  static time_point sent(const kawait::record& r) {
    const auto value = r.value().bytes();
    if (value.size() < 8) throw std::runtime_error("a value of less than 8 bytes");
    std::uint64_t n = 0;
    for (const std::byte b : value.first(8)) n = n << 8 | std::to_integer<std::uint64_t>(b);
    return time_point(nanoseconds(static_cast<std::int64_t>(n)));
  }

  /// The smallest that so many, of a thousand, are not above.
  double percentile_us(std::size_t per_mille) const {
    const nanoseconds found = latencies_[(latencies_.size() * per_mille + 999) / 1000 - 1];
    return std::chrono::duration<double, std::micro>(found).count();
  }

  asio::awaitable<void> close() { co_await consumer_.async_close(); }

  kawait::consumer& consumer_;
  nanoseconds warm_up_, length_;
  std::map<std::int32_t, std::int64_t> next_;
  std::vector<nanoseconds> latencies_;
  time_point now_;
  std::optional<time_point> end_;
  std::optional<usage> first_, last_;
};

/// A handler is copied; what it counts is not.
struct worker {
  benchmark* all;
  asio::awaitable<void> operator()(kawait::partition p) const { return all->work(std::move(p)); }
};

asio::awaitable<void> run(kawait::consumer& consumer, benchmark& all) {
  worker each;
  each.all = &all;
  co_await kawait::for_each_partition(consumer, each);
}

void run_benchmark(int argc, char** argv) {
  kawait::config config(argv[1]);
  config.group_id("latency-" + std::to_string(getpid()) + '-' + std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
  config.auto_offset_reset(kawait::offset_reset::latest);
  kawait::tests::set_properties(config, std::span(argv, static_cast<std::size_t>(argc)).subspan(5));
  asio::io_context context(1);
  kawait::consumer consumer(context.get_executor(), config);
  consumer.subscribe(argv[2]);
  benchmark all(consumer, seconds(argv[3]), seconds(argv[4]));
  asio::co_spawn(context, run(consumer, all), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  context.run();
  all.print();
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
