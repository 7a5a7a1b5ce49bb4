// Some sinks are slower than Kafka. Each partition here has a bounded queue and a writer that empties it; who finds his queue
// full pauses his partition until it is half empty. The others go on at their pace, and memory is bounded.
//
//   backpressure BOOTSTRAP TOPIC GROUP SLOW
//
// SLOW: the number of the partition whose sink is slow. Ends by SIGINT and SIGTERM, with empty queues. On stdout: "written
// PARTITION OFFSET", "paused PARTITION QUEUED", "resumed PARTITION QUEUED".
//
// Who just awaits his sink between two reads needs none of this: what is not asked for is not fetched. A queue lets reading and
// writing go on side by side, and a partition that is paused is not taken for one that stands still (max.poll.interval.ms).

#include <kawait/kawait.hpp>

#include <asio/experimental/awaitable_operators.hpp>
#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/steady_timer.hpp>

#include <cstdlib>
#include <deque>
#include <iostream>

using namespace asio::experimental::awaitable_operators;

// Batches stay leased in the queue: their bytes are not copied, and a revocation waits until they are written.
struct queue {
  explicit queue(const asio::any_io_executor& e) : changed(e, asio::steady_timer::time_point::max()) {}

  std::deque<kawait::batch> batches;
  std::size_t records = 0;
  bool is_closed = false;
  asio::steady_timer changed;  // never fires; cancelled, it wakes the writer
};
constexpr std::size_t full = 200;  // may be exceeded by the batch that fills it

asio::awaitable<void> read(kawait::partition p, queue& q) {
  while (auto batch = co_await p.async_next()) {  // while paused it waits
    for (const kawait::record& r : *batch) q.records += r.offset() >= 0;
    q.batches.push_back(std::move(*batch));
    q.changed.cancel();
    if (q.records < full) continue;
    std::cout << "paused " << p.index() << ' ' << q.records << std::endl;
    p.pause();
  }
  q.is_closed = true;
  q.changed.cancel();
}

asio::awaitable<void> write(kawait::partition p, queue& q, std::chrono::milliseconds pace) {
  for (;;) {
    while (q.batches.empty() && !q.is_closed) {
      std::error_code woken;
      co_await q.changed.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    }
    if (q.batches.empty()) co_return;  // the stream has ended, and all is written
    for (const kawait::record& r : q.batches.front()) {
      if (pace.count() > 0) co_await kawait::sleep_for(pace);  // the sink
      std::cout << "written " << p.index() << ' ' << r.offset() << '\n';
      --q.records;
    }
    q.batches.front().done();
    q.batches.pop_front();
    if (!p.is_paused() || !p.is_running() || q.records > full / 2) continue;
    std::cout << "resumed " << p.index() << ' ' << q.records << std::endl;
    p.resume();
  }
}

// For each partition: two coroutines that end together. Returning is the drain: with an empty queue.
struct handler {
  explicit handler(int s) : slow(s) {}
  int slow;

  asio::awaitable<void> operator()(kawait::partition p) const {
    queue q(co_await asio::this_coro::executor);
    auto reading = read(p, q);
    auto writing = write(p, q, std::chrono::milliseconds(p.index() == slow ? 4 : 0));
    try {
      co_await (std::move(reading) && std::move(writing));
    } catch (const asio::multiple_exceptions& e) {
      std::rethrow_exception(e.first_exception());  // the other one was cancelled for it
    }
  }
};

asio::awaitable<void> run(kawait::consumer& consumer, int slow, asio::signal_set& signals) {
  const handler each(slow);
  co_await kawait::for_each_partition(consumer, each);
  signals.cancel();
}

asio::awaitable<void> close_on_signal(kawait::consumer& consumer, asio::signal_set& signals) {
  std::error_code ended;
  co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  if (!ended) co_await consumer.async_close();
}

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: backpressure BOOTSTRAP TOPIC GROUP SLOW\n";
    return 2;
  }
  try {
    asio::io_context context(1);
    kawait::config config(argv[1]);
    config.group_id(argv[3]).auto_offset_reset(kawait::offset_reset::earliest).max_partition_fetch_bytes(16 * 1024);
    kawait::consumer consumer(context.get_executor(), config);
    consumer.subscribe(argv[2]);

    asio::signal_set signals(context, SIGINT, SIGTERM);
    int status = 0;
    const auto report = [&](std::exception_ptr thrown) {
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        status = 1;
        signals.cancel();
      }
    };
    asio::co_spawn(context, run(consumer, std::atoi(argv[4]), signals), report);
    asio::co_spawn(context, close_on_signal(consumer, signals), report);
    context.run();
    return status;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
