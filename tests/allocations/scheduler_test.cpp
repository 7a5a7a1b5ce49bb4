// Out of memory where a partition gets the broker that it is fetched from: it can be given up all the same, or looked at again.

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include <kawait/runtime/fetch_scheduler.hpp>
#include <kawait/testing/broker.hpp>

#include "allocations/count_support.hpp"
#include "catch.hpp"
#include "unit/stream_support.hpp"

namespace scheduler_tests {
namespace {

using namespace std::chrono_literals;
namespace net = kawait::net;
namespace runtime = kawait::runtime;
namespace testing = kawait::testing;

struct no_metadata_host final : runtime::metadata_host {
  void on_metadata() override {}
  void on_cluster_unreachable(kawait::failure) override {}
};

struct no_fetch_host final : runtime::fetch_host {
  std::shared_ptr<runtime::partition_stream> find_stream(const kawait::topic_id_partition&) override { return nullptr; }
  void on_fetch_error(runtime::partition_stream&, const partition_data&, std::int32_t) override {}
  void on_node_failed(std::int32_t) override {}
  void on_node_endpoints(const kawait::protocol::fetch_response&) override {}
  void on_fetch_answered(runtime::partition_stream&) override {}
  void refresh_metadata() override {}
  const std::list<runtime::partition_stream*>& awaiting_end() const noexcept override { return none; }

  std::list<runtime::partition_stream*> none;
};

/// A stream whose leader is known, and nobody who fetches yet.
struct rig {
  rig()
      : b(w.executor()),
        id(kawait::topic_id_partition(b.create_topic("orders", 1), 0), 1),
        pool(w.executor(), net::connection_options(), net::broker_pool::default_reconnect(), bootstrap()),
        tasks(w.executor()),
        buffers(32 << 20),
        metadata(w.executor(), pool, no_metadata, settings),
        fetches(w.executor(), tasks, pool, metadata, no_fetches, buffers, settings),
        stream(w.executor(), host, id, "orders") {
    tasks.set_owner(owner, [](std::exception_ptr e) { std::rethrow_exception(e); });
    metadata.cluster().want_ids(std::vector<kawait::uuid>(1, id.partition.topic_id));
    tasks.spawn(metadata.run());
    stream.set_quota(1 << 20);
    stream.seek(kawait::offset_and_epoch(0, -1));
    stream.start();
  }
  ~rig() {
    fetches.stop();
    metadata.stop();
    pool.close();
    w.run_until([&] { return tasks.running() == 0; }, 1min);
  }
  std::vector<net::host_port> bootstrap() const { return std::vector<net::host_port>(1, b.address(1)); }

  testing::world w;
  testing::broker b;
  kawait::machine::leased id;
  net::broker_pool pool;
  runtime::options settings;
  std::shared_ptr<int> owner = std::make_shared<int>();
  runtime::task_group tasks;
  runtime::buffer_pool buffers;
  no_metadata_host no_metadata;
  no_fetch_host no_fetches;
  runtime::metadata_driver metadata;
  runtime::fetch_scheduler fetches;
  streams::fake_host host;
  runtime::partition_stream stream;
};

void go_on(std::size_t nth, bool is_given_up) {
  rig r;
  REQUIRE(r.w.run_until([&] { return r.metadata.cluster().leader_of(r.id.partition).has_value(); }, 1min));
  std::size_t left = nth;
  bool was_refused = false;
  try {
    const counted::shortage now(left);
    r.fetches.update(r.stream);
  } catch (const std::bad_alloc&) {
    was_refused = true;
  }
  CHECK(was_refused);
  if (is_given_up) {
    CHECK_NOTHROW(r.fetches.remove(r.id.partition));
  } else {
    CHECK_NOTHROW(r.fetches.update(r.stream));
    CHECK(r.w.run_until([&] { return r.b.connections() > 1; }, 1min));  // its fetches'
  }
}

TEST_CASE("whichever allocation of giving a partition to its broker fails, it can be given up, or goes on") {
  const bool is_given_up = GENERATE(true, false);
  CAPTURE(is_given_up);
  // Those of the place, the fetcher and its task: the next is of an operation of Asio's, which ends the program without it.
  for (std::size_t nth = 1; nth <= 10; ++nth) {
    CAPTURE(nth);
    go_on(nth, is_given_up);
  }
}

}  // namespace
}  // namespace scheduler_tests
