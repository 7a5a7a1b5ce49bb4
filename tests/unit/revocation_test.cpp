#include "catch.hpp"

#include <kawait/runtime/revocation.hpp>

#include "unit/stream_support.hpp"

namespace revocation_tests {

using namespace std::chrono_literals;
using kawait::errc;
using kawait::failure;
using kawait::runtime::revocation_state;

asio::awaitable<void> watch(std::shared_ptr<revocation_state> r, int& changes) {
  for (;;) {
    co_await r->changed().wait();
    ++changes;
  }
}

struct fixture {
  explicit fixture(std::size_t streams)
      : began(rig.w.now()),
        state(std::make_shared<revocation_state>(rig.w.executor(), std::vector(streams, rig.stream), began, began + 54s)) {
    asio::co_spawn(rig.w.executor(), watch(state, changes), asio::detached);
    rig.w.poll();
  }
  ~fixture() { rig.w.poll(); }

  streams::rig rig;
  kawait::net::time_point began;
  std::shared_ptr<revocation_state> state;
  int changes = 0;
};

TEST_CASE("a revocation starts by itself at half its deadline", "[revocation]") {
  fixture f(1);
  CHECK(f.state->deadline() == f.began + 54s);
  CHECK(f.state->half_deadline() == f.began + 27s);
  CHECK(!f.state->is_started());
  f.state->start();
  CHECK(f.state->is_started());
  f.rig.w.poll();
  CHECK(f.changes == 1);
  CHECK(!f.state->is_done());
}

TEST_CASE("a revocation is done with its last partition, and its outcome is the first failure", "[revocation]") {
  fixture f(3);
  CHECK(f.state->streams().size() == 3);
  CHECK(!f.state->on_partition_done(failure()));
  CHECK(!f.state->on_partition_done(failure(errc::commit_failed, "orders-1")));
  f.rig.w.poll();
  CHECK(f.changes == 0);
  CHECK(!f.state->is_done());
  CHECK(f.state->on_partition_done(failure(errc::revocation_deadline)));
  CHECK(f.state->is_done());
  CHECK(f.state->outcome().code == errc::commit_failed);
  CHECK(f.state->outcome().words == "orders-1");
  f.rig.w.poll();
  CHECK(f.changes == 1);
}

TEST_CASE("a revocation of nothing that we know is done at once", "[revocation]") {
  fixture f(0);
  CHECK(f.state->is_done());
  CHECK(!f.state->outcome());
}

}  // namespace revocation_tests
