#pragma once

// for_each_batch and for_each_record in virtual time: one consumer of "orders", and what becomes of it.

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>

#include "simulation/embedded.hpp"

namespace embedded {

using kawait::errc;

/// A consumer on a cluster of its own, whose for_each_* the test starts.
struct stage {
  explicit stage(std::int32_t partitions = 1, std::uint64_t seed = 1)
      : world(seed), cluster_(std::make_unique<testing::broker>(world)), broker(*cluster_), settings(member_of(broker)) {
    broker.create_topic("orders", partitions);
  }

  void append(std::int32_t partition, const std::vector<producer_record>& records) { broker.append("orders", partition, records); }

  kawait::consumer& consumer() {
    if (!consumer_) {
      consumer_ = std::make_shared<kawait::consumer>(world.executor(), settings);
      consumer_->subscribe("orders");
    }
    return *consumer_;
  }
  template <class Handler, class... Options>
  void each_partition(Handler h, Options... options) {
    start(kawait::for_each_partition(consumer(), std::move(h), std::move(options)...));
  }
  template <class Handler, class... Options>
  void each_batch(Handler h, Options... options) {
    start(kawait::for_each_batch(consumer(), std::move(h), std::move(options)...));
  }
  template <class Handler, class... Options>
  void each_record(Handler h, Options... options) {
    start(kawait::for_each_record(consumer(), std::move(h), std::move(options)...));
  }
  void start(asio::awaitable<void> all) {
    asio::co_spawn(world.executor(), std::move(all), asio::bind_cancellation_slot(cancel.slot(), [this](std::exception_ptr e) {
                     ended = world.now();
                     thrown = e;
                   }));
  }
  void close() {
    consumer_->async_close([this](std::error_code ec) { closed = ec; });
  }
  /// The consumer's end, as kill -9 does it.
  void destroy() { consumer_.reset(); }
  /// The context's, with all that is pending in it. Nothing may follow.
  void destroy_world() {
    auto keep = [](std::shared_ptr<kawait::consumer> c) -> asio::awaitable<void> {
      co_await kawait::sleep_for(24h);
      c.reset();
    };
    world.spawn(keep(std::exchange(consumer_, nullptr)));
    world.poll();
    cluster_.reset();
    world.destroy_context();
  }

  bool until(const std::function<bool()>& predicate, net::duration limit = 10min) { return world.run_until(predicate, limit); }
  bool until_ended(net::duration limit = 2min) {
    return until([this] { return ended.has_value(); }, limit);
  }
  std::int64_t committed(std::int32_t partition = 0) { return broker.committed("g", "orders", partition).value_or(-1); }
  std::size_t members() { return broker.group().members("g").size(); }
  void fence() { broker.group().fence("g", consumer_->member_id()); }
  /// Words of what for_each threw; empty: nothing.
  std::string what() const {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      return e.what();
    }
    return {};
  }
  std::error_code code() const {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::system_error& e) {
      return e.code();
    } catch (...) {
    }
    return {};
  }

  testing::world world;

 private:
  std::unique_ptr<testing::broker> cluster_;

 public:
  testing::broker& broker;
  kawait::config settings;
  asio::cancellation_signal cancel;
  std::optional<net::time_point> ended;
  std::optional<std::error_code> closed;
  std::exception_ptr thrown;

 private:
  std::shared_ptr<kawait::consumer> consumer_;
};

/// Counts what is at work.
struct at_work {
  explicit at_work(int& n, int& m) : now(n) { m = std::max(m, ++now); }
  at_work(const at_work&) = delete;
  at_work& operator=(const at_work&) = delete;
  ~at_work() { --now; }
  int& now;
};

}  // namespace embedded
