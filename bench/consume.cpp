// Reads COUNT records from the beginning as a member of a group of its own, and prints one JSON line of what that took.
//
//   bench_consume BOOTSTRAP TOPIC COUNT [fetches] [property=value ...]
//
// first_s is from the start to the first record; wall_s, user_s and sys_s are what came after it. sum is the sum of every value's
// last byte, so that no work can be skipped. With `fetches`, a second line says how many answers had records, and how many bytes.

#include <kawait/kawait.hpp>
#include <kawait/observer.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "support/properties.hpp"
#include "usage.hpp"

namespace {

using clock_type = std::chrono::steady_clock;

using bench::usage;

#if defined(ASIO_HAS_IO_URING)
constexpr const char* name = "kawait, io_uring";
#else
constexpr const char* name = "kawait, epoll";
#endif

class benchmark {
 public:
  benchmark(kawait::consumer& consumer, std::uint64_t wanted) : consumer_(consumer), wanted_(wanted), start_(usage::now()) {}

  asio::awaitable<void> work(kawait::partition p) {
    while (auto batch = co_await p.async_next()) {
      if (!first_) first_ = usage::now();
      read(*batch);
      if (records_ < wanted_) {
        batch->done();
        continue;
      }
      if (!last_) {
        last_ = usage::now();
        asio::co_spawn(consumer_.get_executor(), close(), [](std::exception_ptr thrown) {
          if (thrown) std::rethrow_exception(thrown);
        });
      }
      co_await p.async_wait_end();  // what is left of the batch is not done: it is held until nobody asks
    }
  }

  void print(const std::string& topic) const {
    if (!first_ || !last_) throw std::runtime_error("the consumer ended before the last record");
    bench::print(name, topic, records_, bytes_, sum_, start_, *first_, *last_);
  }

 private:
  // Counted in locals: the compiler cannot keep members in registers past the reader's own stores.
  void read(const kawait::batch& batch) {
    std::uint64_t left = wanted_ - records_, bytes = 0, sum = 0;
    const std::uint64_t before = left;
    if (left == 0) return;
    for (const kawait::record& r : batch) {
      const auto value = r.value().bytes();
      bytes += r.key().size() + value.size();
      if (!value.empty()) sum += std::to_integer<std::uint64_t>(value.back());
      if (--left == 0) break;
    }
    records_ += before - left;
    bytes_ += bytes;
    sum_ += sum;
  }

  asio::awaitable<void> close() { co_await consumer_.async_close(); }

  kawait::consumer& consumer_;
  std::uint64_t wanted_;
  std::uint64_t records_ = 0, bytes_ = 0, sum_ = 0;
  usage start_;
  std::optional<usage> first_, last_;
};

/// A handler is copied; what it counts is not.
struct worker {
  benchmark* all;
  asio::awaitable<void> operator()(kawait::partition p) const { return all->work(std::move(p)); }
};

/// An observer has its cost: none while CPU is measured.
struct fetch_count : kawait::observer {
  void on_fetched(const fetched& f) override {
    fetches += f.bytes > 0;
    bytes += f.bytes;
  }
  std::size_t fetches = 0, bytes = 0;
};

asio::awaitable<void> run(kawait::consumer& consumer, benchmark& all) {
  worker each;
  each.all = &all;
  co_await kawait::for_each_partition(consumer, each);
}

int run_benchmark(int argc, char** argv) {
  const std::string topic = argv[2];
  const std::uint64_t count = bench::number("COUNT", argv[3]);
  kawait::config config(argv[1]);
  config.group_id("bench-" + std::to_string(getpid()) + '-' + std::to_string(clock_type::now().time_since_epoch().count()));
  config.auto_offset_reset(kawait::offset_reset::earliest);
  auto words = std::span(argv, static_cast<std::size_t>(argc)).subspan(4);
  const bool counts_fetches = !words.empty() && std::string_view(words.front()) == "fetches";
  if (counts_fetches) words = words.subspan(1);
  kawait::tests::set_properties(config, words);
  const auto fetched = std::make_shared<fetch_count>();
  if (counts_fetches) config.add_observer(fetched);
  asio::io_context context(1);
  kawait::consumer consumer(context.get_executor(), config);
  consumer.subscribe(topic);
  benchmark all(consumer, count);
  asio::co_spawn(context, run(consumer, all), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  context.run();
  all.print(topic);
  if (counts_fetches) std::printf("{\"fetches\":%zu,\"fetched_bytes\":%zu}\n", fetched->fetches, fetched->bytes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: bench_consume BOOTSTRAP TOPIC COUNT [fetches] [property=value ...]\n";
    return 2;
  }
  try {
    return run_benchmark(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "bench_consume: " << e.what() << '\n';
    return 1;
  }
}
