// Out of memory where a task is begun: who called hears of it, and the next call is served as if it were the first.

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <vector>

#include <kawait/runtime/commit_driver.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/world.hpp>

#include "allocations/count_support.hpp"
#include "catch.hpp"

namespace {

using namespace std::chrono_literals;
namespace machine = kawait::machine;
namespace net = kawait::net;
namespace runtime = kawait::runtime;
namespace testing = kawait::testing;

struct no_host final : runtime::metadata_host {
  void on_metadata() override {}
  void on_cluster_unreachable(kawait::failure) override {}
};

struct rig {
  rig()
      : b(w.executor(), two_nodes()),
        topic_id(b.create_topic("orders", 1)),
        pool(w.executor(), net::connection_options(), net::broker_pool::default_reconnect(), bootstrap()),
        tasks(w.executor()) {
    tasks.set_owner(owner, [this](std::exception_ptr) { task_failed = true; });
    settings.group_id = "g";
    metadata.emplace(w.executor(), pool, host, settings);
    coordinator.emplace(w.executor(), tasks, pool, settings);
    commits.emplace(w.executor(), tasks, *metadata, *coordinator, settings);
    b.set_coordinator(2);
    w.poll();
  }
  ~rig() {
    commits->stop(kawait::failure());
    coordinator->stop();
    pool.close();
    w.run_until([&] { return tasks.running() == 0; }, 1min);
  }
  static testing::broker_options two_nodes() {
    testing::broker_options o;
    o.nodes = 2;
    return o;
  }
  std::vector<net::host_port> bootstrap() const { return std::vector<net::host_port>(1, b.address(1)); }

  asio::awaitable<void> commit() {
    const kawait::topic_id_partition partition(topic_id, 0);
    std::vector<machine::commit_item> items;
    items.emplace_back(machine::leased(partition, 1), "orders", kawait::offset_and_epoch(7));
    auto outcomes = co_await commits->async_commit(std::move(items), w.now() + 30s);
    good = !outcomes.front().result;
  }
  asio::awaitable<void> find() {
    auto found = co_await coordinator->async_get(w.now() + 30s);
    good = found && (*found)->is_open();
  }
  /// Starts what is asked for; `heard`: it failed for want of memory, and said so.
  void start(bool commits_something) {
    good = heard = false;
    auto work = commits_something ? commit() : find();
    asio::co_spawn(w.executor(), std::move(work), [this](std::exception_ptr e) { heard = e != nullptr; });
  }

  testing::world w;
  testing::broker b;
  kawait::uuid topic_id;
  net::broker_pool pool;
  runtime::options settings;
  no_host host;
  std::shared_ptr<int> owner = std::make_shared<int>();
  runtime::task_group tasks;
  std::optional<runtime::metadata_driver> metadata;
  std::optional<runtime::coordinator_driver> coordinator;
  std::optional<runtime::commit_driver> commits;
  bool good = false, heard = false, task_failed = false;
};

/// Who was refused for want of memory at the `nth` allocation of the next handler.
enum class refused { nobody, caller, task };

refused serve_after_shortage(rig& r, bool commits_something, std::size_t nth) {
  std::size_t left = nth;
  try {
    const counted::shortage now(left);
    r.w.context().poll_one();
  } catch (const std::bad_alloc&) {  // it was a handler of the broker's
  }
  r.w.poll();
  if (r.task_failed) return refused::task;  // which ends a consumer: there is none to be served
  if (!r.heard) return refused::nobody;
  r.start(commits_something);
  r.w.advance(5s);
  CHECK(r.good);
  return refused::caller;
}

/// How many of each, so that a section whose shortages no longer hit what it is about is seen.
struct tally {
  void add(refused one) {
    callers += one == refused::caller ? 1 : 0;
    tasks += one == refused::task ? 1 : 0;
  }
  std::size_t callers = 0, tasks = 0;
};

// A task's frame, and what keeps it. No more than those: where an operation of Asio's cannot be awaited for want of memory, Asio ends
// the program.
constexpr std::size_t of_a_task = 4;

TEST_CASE("who calls a driver after one for whom there was no memory to begin a task is served") {
  tally all;
  SECTION("a commit") {
    for (std::size_t nth = 1; nth <= 2 * of_a_task; ++nth) {
      rig r;
      r.start(true);
      all.add(serve_after_shortage(r, true, nth));
    }
    CHECK(all.callers == 2 * of_a_task);
    CHECK(all.tasks == 0);
  }
  SECTION("to look the coordinator up") {
    for (std::size_t nth = 1; nth <= of_a_task; ++nth) {
      rig r;
      r.start(false);
      all.add(serve_after_shortage(r, false, nth));
    }
    CHECK(all.callers == of_a_task);
    CHECK(all.tasks == 0);
  }
  SECTION("to connect to it") {
    for (std::size_t later = 0; later < 12; ++later) {
      rig r;
      r.start(false);
      while (!r.pool.knows(2) && r.w.context().poll_one() > 0) {}
      REQUIRE(r.pool.knows(2));
      for (std::size_t i = 0; i < later; ++i) r.w.context().poll_one();
      all.add(serve_after_shortage(r, false, 1));
    }
    CHECK(all.callers == 1);
    CHECK(all.tasks == 0);
  }
}

}  // namespace
