// Many members, many partitions, one thread: how long until they are settled, what each costs in memory, and all of them in CPU at rest.
//
//   bench_scale BOOTSTRAP TOPIC PARTITIONS MEMBERS [property=value ...]
//
// The topic has PARTITIONS partitions and no traffic. One JSON line: settle_s is from the first join until every partition has its
// owner and no member owns two more than another; heartbeats what that took, rss_kb what the process grew by until two seconds later;
// rest_cpu is CPU seconds per second of the ten that follow, with heartbeats_at_rest of them a second.

#include <kawait/kawait.hpp>
#include <kawait/observer.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <iostream>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include "support/properties.hpp"
#include "usage.hpp"

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

struct heartbeat_count : kawait::observer {
  void on_heartbeat(const heartbeat&) override { ++n; }
  void on_ended(const ended& e) override {
    if (e.reason) std::cerr << "bench_scale: a member: " << e.reason.to_string() << '\n';
  }
  std::size_t n = 0;
};

asio::awaitable<void> work(kawait::partition p) {
  while (auto batch = co_await p.async_next()) batch->done();
}

asio::awaitable<void> run(kawait::consumer& consumer) { co_await kawait::for_each_partition(consumer, work); }

bool is_settled(const std::deque<kawait::consumer>& members, std::size_t partitions) {
  std::size_t sum = 0, least = partitions, most = 0;
  for (const auto& m : members) {
    const std::size_t n = m.assignment().size();
    sum += n;
    least = std::min(least, n);
    most = std::max(most, n);
  }
  return sum == partitions && most - least <= 1;
}

asio::awaitable<void> measure(std::deque<kawait::consumer>& members, std::size_t partitions, const heartbeat_count& beats, long before) {
  const auto began = clock_type::now();
  while (!is_settled(members, partitions)) {
    if (clock_type::now() - began > 10min) throw std::runtime_error("not settled within ten minutes");
    co_await kawait::sleep_for(20ms);
  }
  const std::chrono::duration<double> settled = clock_type::now() - began;
  const std::size_t joining = beats.n;
  co_await kawait::sleep_for(2s);  // first fetches, and whoever is still to be told
  const long grown = bench::resident_kb() - before;
  const bench::usage rest = bench::usage::now();
  const std::size_t n = beats.n;
  co_await kawait::sleep_for(10s);
  const bench::usage end = bench::usage::now();
  std::printf("{\"name\":\"kawait\",\"partitions\":%zu,\"members\":%zu,\"settle_s\":%.3f,\"heartbeats\":%zu,\"rss_kb\":%ld,\"rest_cpu\":%.4f"
              ",\"heartbeats_at_rest\":%.1f}\n",
              partitions, members.size(), settled.count(), joining, grown, (end.user + end.system - rest.user - rest.system) / 10,
              static_cast<double>(beats.n - n) / 10);
  std::fflush(stdout);
  for (auto& m : members) m.async_close([](std::error_code) {});
}

int run_benchmark(int argc, char** argv) {
  const std::size_t partitions = bench::number("PARTITIONS", argv[3]), members = bench::number("MEMBERS", argv[4]);
  const auto beats = std::make_shared<heartbeat_count>();
  kawait::config config(argv[1]);
  config.group_id("scale-" + std::to_string(getpid()) + '-' + std::to_string(clock_type::now().time_since_epoch().count()));
  config.auto_offset_reset(kawait::offset_reset::earliest).add_observer(beats);
  kawait::tests::set_properties(config, std::span(argv, static_cast<std::size_t>(argc)).subspan(5));
  asio::io_context context(1);
  const long before = bench::resident_kb();
  std::deque<kawait::consumer> all;
  const auto rethrow = [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  };
  for (std::size_t i = 0; i < members; ++i) {
    all.emplace_back(context.get_executor(), config).subscribe(argv[2]);
    asio::co_spawn(context, run(all.back()), rethrow);
  }
  asio::co_spawn(context, measure(all, partitions, *beats, before), rethrow);
  context.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::cerr << "usage: bench_scale BOOTSTRAP TOPIC PARTITIONS MEMBERS [property=value ...]\n";
    return 2;
  }
  try {
    return run_benchmark(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "bench_scale: " << e.what() << '\n';
    return 1;
  }
}
