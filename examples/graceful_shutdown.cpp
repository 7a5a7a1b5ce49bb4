// Ends in order when it is told to, and is looked at from outside: SIGTERM or SIGINT ends the streams, what is in hand is worked
// to its end, what is done is committed, the group is left at once (no partition waits for a session to end), the process exits
// with 0. What happens is logged on stderr; the metrics go to stdout at exit, in Prometheus' text format (a service answers GET
// /metrics with them).
//
//   graceful_shutdown BOOTSTRAP TOPIC GROUP
//
// A second signal kills it at once.

#include <kawait/kawait.hpp>
#include <kawait/log_observer.hpp>
#include <kawait/metrics_observer.hpp>

#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>

#include <iostream>

// A handler of batches: takes a while with each. Nothing in it knows of shutdown: returning is done, and a batch in hand is
// finished.
asio::awaitable<void> work(const kawait::batch& orders) {
  for (std::size_t left = orders.size_hint(); left > 0; left -= std::min<std::size_t>(left, 100)) {
    co_await kawait::sleep_for(std::chrono::milliseconds(20));  // a hundred at a time to another service
  }
}

asio::awaitable<void> run(kawait::consumer& consumer, asio::signal_set& signals) {
  co_await kawait::for_each_batch(consumer, work);  // returns once the consumer is closed
  signals.cancel();
}

asio::awaitable<void> close_on_signal(kawait::consumer& consumer, asio::signal_set& signals) {
  std::error_code ended;
  const int signal = co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  if (ended) co_return;  // the consumer has ended before any signal
  signals.clear();       // the next one does what it does to any process
  std::clog << "signal " << signal << ": drain, commit, leave" << std::endl;
  // All of it within the time that whoever sent the signal waits before it kills (Kubernetes: 30 s). What was still in hand then,
  // or could not be committed, is an error here, and comes again to the next owner.
  const kawait::close_options within(std::chrono::seconds(25));
  co_await consumer.async_close(within);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: graceful_shutdown BOOTSTRAP TOPIC GROUP\n";
    return 2;
  }
  try {
    const auto metrics = std::make_shared<kawait::metrics_observer>("service=\"billing\"");
    kawait::config config(argv[1]);
    config.group_id(argv[3]).auto_offset_reset(kawait::offset_reset::earliest).auto_commit_interval(std::chrono::seconds(1));
    config.add_observer(std::make_shared<kawait::log_observer>()).add_observer(metrics);

    asio::io_context context(1);
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
    asio::co_spawn(context, run(consumer, signals), report);
    asio::co_spawn(context, close_on_signal(consumer, signals), report);
    context.run();
    std::cout << metrics->prometheus();
    return status;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
