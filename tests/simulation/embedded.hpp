#pragma once

// Whole consumers against the embedded cluster, in virtual time.

#include <kawait/testing/broker.hpp>

#include "catch.hpp"
#include "simulation/reader.hpp"

namespace embedded {

using namespace std::chrono_literals;
using kawait::kafka_error;
using kawait::offset_reset;
using kawait::testing::api_key;
using kawait::testing::fault;
using kawait::testing::producer_record;
using simulated::range;
using simulated::reader;
namespace net = kawait::net;
namespace testing = kawait::testing;

inline kawait::config member_of(const testing::broker& b) {
  kawait::config c(b.bootstrap());
  c.group_id("g").auto_offset_reset(offset_reset::earliest).auto_commit_interval(5s).rebalance_timeout(60s);
  return c;
}

inline std::vector<producer_record> numbers(int count) {
  std::vector<producer_record> all;
  for (int i = 0; i < count; ++i) all.emplace_back("key", std::to_string(i));
  return all;
}

inline testing::broker_options nodes(std::int32_t count, std::int32_t replication = 3) {
  testing::broker_options o;
  o.nodes = count;
  o.replication_factor = replication;
  return o;
}

inline testing::broker_options by_name(std::int32_t count) {
  testing::broker_options o = nodes(count);
  o.bootstrap_name = "kafka";
  return o;
}

/// A reader of partitions of "orders" without a group, all batches of which are done at once.
struct assigned {
  assigned(testing::world& w, const testing::broker& b, std::vector<std::int32_t> partitions, kawait::config c)
      : world(w), consumer(w.executor(), c.bootstrap_servers(b.bootstrap())) {
    std::vector<kawait::topic_partition> list;
    for (const std::int32_t p : partitions) list.emplace_back("orders", p);
    consumer.assign(std::move(list));
    consumer.async_run([this](std::error_code ec) { ended = ec; });
    read();
  }
  void read() {
    consumer.async_next([this](std::error_code ec, kawait::batch b) {
      if (ec) {
        errors.push_back(ec);
        return;
      }
      for (const kawait::record& r : b) {
        seen[b.partition()].push_back(r.offset());
        values.emplace_back(*r.value());
      }
      b.done();
      b = kawait::batch();
      read();
    });
  }
  std::size_t total() const { return values.size(); }
  /// Whether it has read so many records in time.
  bool reads(std::size_t count, net::duration within = 1min) {
    return world.run_until([&] { return total() == count; }, within);
  }
  bool fails(net::duration within = 1min) {
    return world.run_until([&] { return !errors.empty(); }, within);
  }
  /// From an error on: the first partition is read from this offset, with no error yet.
  void read_from(std::int64_t offset) {
    consumer.assignment().front().seek(offset);
    errors.clear();
    read();
  }

  testing::world& world;
  kawait::consumer consumer;
  std::map<std::int32_t, std::vector<std::int64_t>> seen;
  std::vector<std::string> values;
  std::vector<std::error_code> errors;
  std::optional<std::error_code> ended;
};

inline kawait::config plain() {
  kawait::config c;
  c.auto_offset_reset(offset_reset::earliest);
  return c;
}

}  // namespace embedded
