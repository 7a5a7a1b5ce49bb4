// Works on eight records of each partition at once, in the order of their keys, and on thirty-two altogether: what waits for a database
// or for another service is no reason for the next customer's record to wait, but one customer's are worked on in order.
//
//   ordered_by_key BOOTSTRAP TOPIC GROUP RECORDS
//
// Ends after so many records, or by SIGINT and SIGTERM. Prints each as its work ends: partition, key, offset.

#include <kawait/kawait.hpp>

#include <asio/io_context.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>

#include <cstdlib>
#include <iostream>

// A handler with state: one object for all partitions, which for_each_record keeps.
class worker {
 public:
  worker(std::size_t wanted, asio::signal_set& signals) : wanted_(wanted), signals_(&signals) {}

  // Takes the record by value or by reference; its bytes are there until the coroutine has ended.
  asio::awaitable<void> operator()(kawait::record order, kawait::partition from) {
    co_await kawait::sleep_for(std::chrono::milliseconds(1 + order.offset() * 7 % 20));  // the database
    if (++refused_ % 50 == 0) throw std::runtime_error("the database is busy");            // is tried again, in its place
    std::cout << from.name().to_string() << ' ' << order.key().value_or("-") << ' ' << order.offset() << '\n';
    if (++count_ == wanted_) signals_->cancel();
  }  // returning is done; what is committed is the offset below which all is done

 private:
  std::size_t wanted_;
  std::size_t count_ = 0, refused_ = 0;
  asio::signal_set* signals_;
};

asio::awaitable<void> close_in_time(kawait::consumer& consumer, asio::signal_set& signals) {
  std::error_code ended;
  co_await signals.async_wait(asio::redirect_error(asio::use_awaitable, ended));  // a signal, or enough records
  co_await consumer.async_close();                                                // what is at work ends, and is committed
}

asio::awaitable<void> run(kawait::consumer& consumer, asio::signal_set& signals, std::size_t records) {
  worker work(records, signals);
  const kawait::by_key in_partition(8);
  const kawait::concurrency altogether(32);
  const kawait::retry again(5, std::chrono::milliseconds(10));
  co_await kawait::for_each_record(consumer, work, in_partition, altogether, again);
  signals.cancel();
}

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: ordered_by_key BOOTSTRAP TOPIC GROUP RECORDS\n";
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
    asio::co_spawn(context, run(consumer, signals, std::strtoull(argv[4], nullptr, 10)), report);
    asio::co_spawn(context, close_in_time(consumer, signals), report);
    context.run();
    return status;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
