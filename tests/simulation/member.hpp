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

  void start(handler h) {
    auto run = [](member& m, handler work) -> asio::awaitable<void> { co_await kawait::for_each_partition(m.consumer, work); };
    asio::co_spawn(world.executor(), run(*this, std::move(h)), asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr e) {
                     ended = true;
                     thrown = e;
                   }));
  }
  /// Reads and counts; each batch takes `work` of virtual time.
  void start(std::chrono::milliseconds work = 0ms) {
    start([this, work](kawait::partition p) -> asio::awaitable<void> {
      running.insert(p.index());
      while (auto batch = co_await p.async_next()) {
        for (const kawait::record& r : *batch) seen[p.index()].push_back(r.offset());
        if (work > 0ms) co_await kawait::sleep_for(work);
        batch->done();
      }
      ends[p.index()] = p.end_reason();
      running.erase(p.index());
    });
  }
  std::size_t total() const {
    std::size_t n = 0;
    for (const auto& [p, offsets] : seen) n += offsets.size();
    return n;
  }
  std::error_code error() const {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::system_error& e) {
      return e.code();
    } catch (...) {
      return std::make_error_code(std::errc::state_not_recoverable);
    }
    return {};
  }
  void close() {
    asio::co_spawn(world.executor(), consumer.async_close(), [this](std::exception_ptr) { closed = true; });
  }

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
