#pragma once

// A member whose reading is the test's business.

#include "simulation/simulated_kafka.hpp"

namespace simulated {

using codes = std::vector<std::error_code>;
using committed_map = std::map<std::int32_t, std::int64_t>;

/// A consumer that is run; what else it does the test says.
struct reader {
  explicit reader(kawait::testing::world& w, kawait::config c = member_config());
  void run();
  /// Reads batches of all partitions; done, unless told otherwise.
  void read_all(bool done = true);
  using handler = std::function<asio::awaitable<void>(kawait::partition)>;
  template <class... Options>
  void handle(handler h, Options... options) {
    auto each = [](reader& m, handler work, Options... o) -> asio::awaitable<void> {
      co_await kawait::for_each_partition(m.consumer, work, o...);
    };
    asio::co_spawn(world.executor(), each(*this, std::move(h), options...), [this](std::exception_ptr e) {
      ended.emplace();
      thrown = e;
    });
  }
  std::size_t total() const {
    std::size_t n = 0;
    for (const auto& [p, offsets] : seen) n += offsets.size();
    return n;
  }
  void close();

  kawait::testing::world& world;
  kawait::consumer consumer;
  std::map<std::int32_t, std::vector<std::int64_t>> seen;
  std::vector<std::int32_t> order;
  codes errors;
  std::optional<std::error_code> ended, closed;
  std::exception_ptr thrown;
};

inline std::vector<std::int64_t> range(std::int64_t from, std::int64_t to) {
  std::vector<std::int64_t> all;
  for (; from < to; ++from) all.push_back(from);
  return all;
}

}  // namespace simulated
