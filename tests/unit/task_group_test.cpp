#include "catch.hpp"

#include <stdexcept>

#include <kawait/runtime/task_group.hpp>
#include <kawait/testing/world.hpp>

namespace task_group_tests {

using namespace std::chrono_literals;
using kawait::runtime::task_group;
using kawait::testing::world;

struct owner {
  explicit owner(world& w, bool& gone_flag) : tasks(w.executor()), gone(gone_flag) {}
  ~owner() { gone = true; }

  static std::shared_ptr<owner> make(world& w, bool& gone) {
    auto o = std::make_shared<owner>(w, gone);
    o->tasks.set_owner(o, [raw = o.get()](std::exception_ptr e) { raw->heard.push_back(e); });
    return o;
  }
  asio::awaitable<void> sleep(std::chrono::milliseconds t) {
    co_await kawait::net::async_sleep_for(t);
    ++ended;
  }
  asio::awaitable<void> fail() {
    co_await kawait::net::async_sleep_for(1s);
    throw std::runtime_error("out");
  }
  asio::awaitable<void> at_once() {
    ++ended;
    co_return;
  }

  task_group tasks;
  bool& gone;
  int ended = 0;
  std::vector<std::exception_ptr> heard;
};

TEST_CASE("each task keeps the owner until it has ended", "[task_group]") {
  world w;
  bool gone = false;
  auto o = owner::make(w, gone);
  o->tasks.spawn(o->sleep(1s));
  o->tasks.spawn(o->sleep(3s));
  CHECK(o->tasks.running() == 2);
  o.reset();
  w.advance(2s);
  CHECK(!gone);
  w.advance(2s);
  CHECK(gone);
}

TEST_CASE("a group is idle when the last task has ended, those included that were spawned meanwhile", "[task_group]") {
  world w;
  bool gone = false;
  auto o = owner::make(w, gone);
  int idle = 0;
  const auto wait = [](std::shared_ptr<owner> who, int& n) -> asio::awaitable<void> {
    co_await who->tasks.async_wait_idle();
    ++n;
  };
  asio::co_spawn(w.executor(), wait(o, idle), asio::detached);
  w.poll();
  CHECK(idle == 1);  // nothing runs
  o->tasks.spawn(o->sleep(1s));
  asio::co_spawn(w.executor(), wait(o, idle), asio::detached);
  asio::co_spawn(w.executor(), wait(o, idle), asio::detached);
  w.advance(500ms);
  o->tasks.spawn(o->sleep(5s));
  w.advance(2s);
  CHECK(o->tasks.running() == 1);
  CHECK(idle == 1);
  w.advance(5s);
  CHECK(o->tasks.running() == 0);
  CHECK(idle == 3);
  CHECK(o->ended == 2);
  o->tasks.spawn(o->at_once());
  w.poll();
  CHECK(o->tasks.running() == 0);
  CHECK(o->ended == 3);
}

TEST_CASE("what escapes a task is heard, and the task has ended", "[task_group]") {
  world w;
  bool gone = false;
  auto o = owner::make(w, gone);
  o->tasks.spawn(o->fail());
  o->tasks.spawn(o->sleep(2s));
  w.advance(1s);
  REQUIRE(o->heard.size() == 1);
  CHECK_THROWS_AS(std::rethrow_exception(o->heard[0]), std::runtime_error);
  CHECK(o->tasks.running() == 1);
  w.advance(1s);
  CHECK(o->tasks.running() == 0);
  CHECK(o->ended == 1);
}

TEST_CASE("destroying the context frees tasks and owner", "[task_group]") {
  bool gone = false;
  auto w = std::make_unique<world>();
  auto o = owner::make(*w, gone);
  o->tasks.spawn(o->sleep(1h));
  w->poll();
  o.reset();
  CHECK(!gone);
  w.reset();
  CHECK(gone);
}

}  // namespace task_group_tests
