// How long a group takes to settle: two members in one process, of which the second joins and leaves.
//
//   bench_settle BOOTSTRAP TOPIC PARTITIONS
//
// Each line "FIRST SECOND" of standard input is a round in a group of its own, and is answered by a line of JSON: A subscribes and
// gets all; FIRST ms later B subscribes, and join_ms is until each holds half; SECOND ms later B closes, and leave_ms is until A
// holds all again, first_ms from then until it has read of all. Every partition has records, and nothing is committed: who gets one
// begins at its beginning. heartbeats is how many of B's were answered until it was settled. bench/settle.sh drives it beside its
// rivals.

#include <kawait/kawait.hpp>
#include <kawait/observer.hpp>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;
using milliseconds = std::chrono::duration<double, std::milli>;

struct watch : kawait::observer {
  explicit watch(asio::steady_timer& t) : changed(t) {}

  void on_heartbeat(const heartbeat&) override { ++heartbeats; }
  void on_assigned(const assigned& a) override {
    held += a.partitions.size();
    changed.cancel();
  }
  void on_drained(const drained&) override {
    --held;
    changed.cancel();
  }
  void on_ended(const ended& e) override {
    if (e.reason) std::cerr << "bench_settle: a member: " << e.reason.to_string() << '\n';
  }

  void on_first_record() {
    ++read;
    changed.cancel();
  }

  asio::steady_timer& changed;
  std::size_t held = 0, read = 0, heartbeats = 0;  // read: those of which there was a record
};

/// A handler is copied; what it counts is not.
struct worker {
  watch* seen;
  asio::awaitable<void> operator()(kawait::partition p) const { return work(*seen, std::move(p)); }

  static asio::awaitable<void> work(watch& seen, kawait::partition p) {
    bool any = false;
    while (auto batch = co_await p.async_next()) {
      if (!std::exchange(any, true)) seen.on_first_record();
      batch->done();
    }
    if (any) --seen.read;
  }
};

void rethrow(std::exception_ptr thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

class settling {
 public:
  settling(const char* bootstrap, std::string topic, std::size_t partitions, const std::string& group)
      : changed_(context_), topic_(std::move(topic)), partitions_(partitions), a_(*this, bootstrap, group), b_(*this, bootstrap, group) {}

  void run(milliseconds first, milliseconds second) {
    asio::co_spawn(context_, round(first, second), rethrow);
    context_.run();
  }

 private:
  struct member {
    member(settling& s, const char* bootstrap, const std::string& group)
        : seen(std::make_shared<watch>(s.changed_)), consumer(s.context_.get_executor(), config(bootstrap, group, seen)) {}

    static kawait::config config(const char* bootstrap, const std::string& group, std::shared_ptr<watch> seen) {
      kawait::config c(bootstrap);
      c.group_id(group).auto_offset_reset(kawait::offset_reset::earliest).auto_commit(false).add_observer(std::move(seen));
      return c;
    }

    std::shared_ptr<watch> seen;
    kawait::consumer consumer;
  };

  static asio::awaitable<void> read(member& m) {
    worker each;
    each.seen = m.seen.get();
    co_await kawait::for_each_partition(m.consumer, each);
  }
  static asio::awaitable<void> close(kawait::consumer& c) { co_await c.async_close(); }

  void start(member& m) {
    m.consumer.subscribe(topic_);
    asio::co_spawn(context_, read(m), rethrow);
  }
  void stop(member& m) { asio::co_spawn(context_, close(m.consumer), rethrow); }

  asio::awaitable<clock_type::time_point> until(std::size_t watch::*what, std::size_t a, std::size_t b) {
    changed_.expires_after(2min);
    while ((*a_.seen).*what != a || (*b_.seen).*what != b) {
      std::error_code error;
      co_await changed_.async_wait(asio::redirect_error(asio::use_awaitable, error));
      if (!error) throw std::runtime_error("not settled within two minutes");
    }
    co_return clock_type::now();
  }

  asio::awaitable<void> round(milliseconds first, milliseconds second) {
    start(a_);
    co_await until(&watch::read, partitions_, 0);
    co_await kawait::sleep_for(std::chrono::duration_cast<clock_type::duration>(first));
    const auto joined = clock_type::now();
    start(b_);
    const auto settled = co_await until(&watch::held, partitions_ - partitions_ / 2, partitions_ / 2);
    const std::size_t heartbeats = b_.seen->heartbeats;
    co_await kawait::sleep_for(std::chrono::duration_cast<clock_type::duration>(second));
    const auto left = clock_type::now();
    stop(b_);
    const auto resettled = co_await until(&watch::held, partitions_, 0);
    const auto read = co_await until(&watch::read, partitions_, 0);
    std::printf("{\"name\":\"kawait\",\"join_ms\":%.1f,\"leave_ms\":%.1f,\"first_ms\":%.2f,\"heartbeats\":%zu}\n",
                milliseconds(settled - joined).count(), milliseconds(resettled - left).count(), milliseconds(read - resettled).count(),
                heartbeats);
    std::fflush(stdout);
    stop(a_);
  }

  asio::io_context context_{1};
  asio::steady_timer changed_;
  std::string topic_;
  std::size_t partitions_;
  member a_, b_;
};

void run_benchmark(char** argv) {
  const auto partitions = static_cast<std::size_t>(std::strtoul(argv[3], nullptr, 10));
  if (partitions < 2) throw std::runtime_error(std::string("PARTITIONS '") + argv[3] + "' is not two or more");
  double first = 0, second = 0;
  for (int n = 0; std::cin >> first >> second; ++n) {
    settling s(argv[1], argv[2], partitions, "settle-" + std::to_string(getpid()) + '-' + std::to_string(n));
    s.run(milliseconds(first), milliseconds(second));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: bench_settle BOOTSTRAP TOPIC PARTITIONS <ROUNDS\n";
    return 2;
  }
  try {
    run_benchmark(argv);
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "bench_settle: " << e.what() << '\n';
    return 1;
  }
}
