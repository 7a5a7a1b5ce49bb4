// In a service that has one io_context and one thread a core: a consumer on each, all in one group. The group shares the
// partitions out among the cores as among machines; a record is read, worked on and counted on one thread, and nothing is locked.
// The service's own work, here a port that answers with the counters, goes on beside it on the same contexts.
//
//   thread_per_core BOOTSTRAP TOPIC GROUP CORES PORT
//
// PORT on 127.0.0.1, 0 for any: printed first; who connects is told "core PARTITIONS RECORDS", a line for each. Ends by SIGINT
// and SIGTERM.

#include <kawait/kawait.hpp>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/redirect_error.hpp>
#include <asio/signal_set.hpp>
#include <asio/write.hpp>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

// All of one core. Its context is run by one thread, so it needs no strand; the counters are read by others.
struct core {
  explicit core(const kawait::config& config) : consumer(context.get_executor(), config) {}

  asio::io_context context{1};
  kawait::consumer consumer;
  std::atomic<int> partitions{0};
  std::atomic<std::uint64_t> records{0};
};

asio::awaitable<void> consume(core& here) {
  struct worker {
    explicit worker(core& c) : here(&c) {}
    core* here;

    asio::awaitable<void> operator()(kawait::partition p) const {
      ++here->partitions;
      while (auto batch = co_await p.async_next()) {
        std::uint64_t count = 0;
        for (const kawait::record& r : *batch) count += r.offset() >= 0;  // the work
        here->records.fetch_add(count, std::memory_order_relaxed);
        batch->done();
      }
      --here->partitions;
    }
  };
  const worker work(here);
  co_await kawait::for_each_partition(here.consumer, work);
}

// The service, as it was before there was Kafka in it.
asio::awaitable<void> answer(asio::ip::tcp::acceptor& port, std::vector<std::unique_ptr<core>>& cores) {
  for (;;) {
    std::error_code ec;
    asio::ip::tcp::socket client = co_await port.async_accept(asio::redirect_error(asio::use_awaitable, ec));
    if (!port.is_open()) co_return;
    if (ec) continue;
    std::string page;
    for (std::size_t i = 0; i < cores.size(); ++i) {
      page += std::to_string(i) + ' ' + std::to_string(cores[i]->partitions) + ' ' + std::to_string(cores[i]->records) + '\n';
    }
    co_await asio::async_write(client, asio::buffer(page), asio::redirect_error(asio::use_awaitable, ec));
  }
}

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: thread_per_core BOOTSTRAP TOPIC GROUP CORES PORT\n";
    return 2;
  }
  try {
    kawait::config config(argv[1]);
    config.group_id(argv[3]).auto_offset_reset(kawait::offset_reset::earliest);
    std::vector<std::unique_ptr<core>> cores;
    for (int i = 0; i < std::max(1, std::atoi(argv[4])); ++i) cores.push_back(std::make_unique<core>(config));
    asio::io_context& first = cores.front()->context;

    const asio::ip::tcp::endpoint where(asio::ip::make_address("127.0.0.1"), static_cast<std::uint16_t>(std::atoi(argv[5])));
    asio::ip::tcp::acceptor port(first, where);
    std::cout << port.local_endpoint().port() << std::endl;
    asio::co_spawn(first, answer(port, cores), asio::detached);

    std::atomic<int> status{0};
    asio::signal_set signals(first, SIGINT, SIGTERM);
    const auto report = [&](std::exception_ptr thrown) {  // on any core
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        status = 1;
        ::raise(SIGTERM);  // one core without Kafka is no service: the others end in order
      }
    };
    signals.async_wait([&](std::error_code, int) {
      port.close();
      for (auto& c : cores) asio::co_spawn(c->context, c->consumer.async_close(), report);  // each on its own context
    });
    std::vector<std::thread> threads;
    for (auto& c : cores) {
      c->consumer.subscribe(argv[2]);
      asio::co_spawn(c->context, consume(*c), report);
      threads.emplace_back([&context = c->context] { context.run(); });
    }
    for (std::thread& t : threads) t.join();
    return status;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
