// The smallest good program: joins a group, reads each partition in a coroutine of its own, prints.
//
//   quickstart BOOTSTRAP TOPIC GROUP

#include <kawait/kawait.hpp>

#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>

#include <iostream>

asio::awaitable<void> work(kawait::partition orders) {
  std::cout << "assigned " << orders.name().to_string() << std::endl;
  std::size_t records = 0;
  while (auto batch = co_await orders.async_next()) {  // ends when the partition is revoked or lost
    for (const kawait::record& r : *batch) {
      std::cout << orders.name().to_string() << '@' << r.offset() << ": " << r.value().value_or("(null)") << '\n';
      ++records;
    }
    std::cout.flush();
    batch->done();  // may be committed
  }
  std::cout << "drained " << orders.name().to_string() << " after " << records << " records" << std::endl;
}  // returning is the drain: now the revocation completes

asio::awaitable<void> run(kawait::consumer& consumer, asio::signal_set& signals) {
  co_await kawait::for_each_partition(consumer, work);
  signals.cancel();
}

asio::awaitable<void> close_on_signal(kawait::consumer& consumer, asio::signal_set& signals) {
  std::error_code ended;
  const int signal = co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  if (ended) co_return;  // the consumer has, before any signal
  std::cout << "signal " << signal << ": drain, commit, leave" << std::endl;
  co_await consumer.async_close();
}

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: quickstart BOOTSTRAP TOPIC GROUP\n";
    return 2;
  }
  try {
    asio::io_context context(1);
    kawait::config config(argv[1]);
    config.group_id(argv[3]).auto_offset_reset(kawait::offset_reset::earliest);
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
    asio::co_spawn(context, close_on_signal(consumer, signals), report);  // a commit at close that was refused is told, too
    context.run();
    return status;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
