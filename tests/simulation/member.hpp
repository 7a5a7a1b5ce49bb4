#pragma once

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include "simulation/simulated_kafka.hpp"

namespace simulated {

using namespace std::chrono_literals;

/// A member that runs for_each_partition and notes what its handlers see.
struct member {
  explicit member(kawait::testing::world& w, kawait::config c = member_config()) : world(w), consumer(w.executor(), c) {
    consumer.subscribe(kafka::topic);
  }

  using handler = std::function<asio::awaitable<void>(kawait::partition)>;

  void start(handler h);
  /// Reads and counts; each batch takes `work` of virtual time.
  void start(std::chrono::milliseconds work = 0ms);
  std::size_t total() const {
    std::size_t n = 0;
    for (const auto& [p, offsets] : seen) n += offsets.size();
    return n;
  }
  std::error_code error() const;
  void close();

  kawait::testing::world& world;
  kawait::consumer consumer;
  asio::cancellation_signal cancel;
  std::map<std::int32_t, std::vector<std::int64_t>> seen;
  std::map<std::int32_t, kawait::end_reason> ends;
  std::set<std::int32_t> running;
  bool ended = false;
  bool closed = false;
  std::exception_ptr thrown;
};

}  // namespace simulated
