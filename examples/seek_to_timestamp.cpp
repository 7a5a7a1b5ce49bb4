// Reads what was written since a point in time, without a group, and stops at the end of what is there: for "what happened last
// night", for rebuilding a table, for a test. Nothing is committed, and nobody's group notices.
//
//   seek_to_timestamp BOOTSTRAP TOPIC PARTITIONS SINCE
//
// PARTITIONS: how many the topic has. SINCE: seconds ago (3600), or UTC (2026-03-29T02:30:00Z, 2026-03-29T02:30:00.250Z).
// One line a record: partition, offset, timestamp in ms, value.

#include <kawait/kawait.hpp>

#include <asio/io_context.hpp>

#include <cmath>
#include <ctime>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using time_point = std::chrono::system_clock::time_point;

time_point since(const std::string& text) {
  std::istringstream in(text);
  double seconds = 0;
  if (in >> seconds && in.eof()) {
    if (!(seconds >= 0 && seconds < 4e9)) throw std::invalid_argument("not so many seconds ago: " + text);
    return std::chrono::system_clock::now() - std::chrono::milliseconds(std::llround(seconds * 1000));
  }
  in.clear();
  in.str(text);
  std::tm utc{};
  double fraction = 0;
  in >> std::get_time(&utc, "%Y-%m-%dT%H:%M:%S");
  if (in.peek() == '.') in >> fraction;
  if (!in || in.get() != 'Z' || in.peek() != std::istringstream::traits_type::eof()) {
    throw std::invalid_argument("neither seconds ago nor 2026-03-29T02:30:00Z: " + text);
  }
  return std::chrono::system_clock::from_time_t(::timegm(&utc)) + std::chrono::milliseconds(std::llround(fraction * 1000));
}

// One for each partition. There is no group that could take it away, so the stream ends only by the close below.
class reader {
 public:
  reader(kawait::consumer& consumer, time_point from, int partitions) : consumer_(&consumer), from_(from), left_(partitions) {}

  asio::awaitable<void> operator()(kawait::partition p) {
    p.seek_to(from_);  // before the first read: nothing else is fetched. The end, if no record is that late
    while (auto batch = co_await p.async_next_or_end()) {  // none, too, when all is read that was there
      for (const kawait::record& r : *batch) {
        std::cout << p.index() << ' ' << r.offset() << ' ' << r.timestamp_ms() << ' ' << r.value().value_or("") << '\n';
      }
      batch->done();
    }
    if (!p.at_end()) co_return;  // closed before
    std::cerr << p.name().to_string() << ": all is read below " << p.position().value_or(-1) << '\n';
    // The last one closes. Spawned, since the close waits for this coroutine, too.
    if (--left_ == 0) asio::co_spawn(consumer_->get_executor(), consumer_->async_close(), asio::detached);
    co_await p.async_wait_end();
  }

 private:
  kawait::consumer* consumer_;
  time_point from_;
  int left_;
};

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: seek_to_timestamp BOOTSTRAP TOPIC PARTITIONS SINCE\n";
    return 2;
  }
  try {
    const time_point from = since(argv[4]);
    std::vector<kawait::topic_partition> all;
    for (int i = 0; i < std::stoi(argv[3]); ++i) all.emplace_back(argv[2], i);
    const int count = static_cast<int>(all.size());

    asio::io_context context(1);
    kawait::consumer consumer(context.get_executor(), kawait::config(argv[1]));
    consumer.assign(std::move(all));
    int status = 0;
    asio::co_spawn(context, kawait::for_each_partition(consumer, reader(consumer, from, count)), [&](std::exception_ptr thrown) {
      try {
        if (thrown) std::rethrow_exception(thrown);
      } catch (const std::exception& e) {
        std::cerr << e.what() << '\n';
        status = 1;
      }
    });
    context.run();
    return status;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
