#include "catch.hpp"

#include "simulation/member.hpp"

namespace {

using namespace std::chrono_literals;
using simulated::kafka;
using simulated::member;

TEST_CASE("what is pending completes when the consumer is destroyed", "[consumer]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.assign(0, {0});
  auto c = std::make_unique<kawait::consumer>(w.executor(), simulated::member_config());
  c->subscribe(kafka::topic);
  std::vector<std::error_code> ends;
  const auto note = [&](std::error_code ec, auto&&...) { ends.push_back(ec); };
  c->async_run(note);
  c->async_next_event([&](std::error_code ec, kawait::event e) {
    REQUIRE(!ec);
    REQUIRE(e.partitions.size() == 1);
    e.partitions[0].async_next(note);
    e.partitions[0].async_wait_end(note);
    c->async_next_event(note);
  });
  w.advance(10s);
  CHECK(ends.empty());
  c.reset();
  w.poll();
  REQUIRE(ends.size() == 4);
  for (const auto& ec : ends) CHECK(ec == asio::error::operation_aborted);
}

TEST_CASE("a context that is destroyed with everything pending leaks nothing", "[consumer]") {
  // Shown by the address sanitizer's build.
  const int seconds = GENERATE(0, 1, 3, 30);
  std::optional<kawait::batch> held;
  auto w = std::make_unique<kawait::testing::world>();
  auto k = std::make_unique<kafka>(*w, 2);
  k->append_numbers(0, 10);
  k->assign(0, {0, 1});
  {
    auto m = std::make_shared<member>(*w);
    m->start([&held, m](kawait::partition p) -> asio::awaitable<void> {
      if (p.index() == 0) held = co_await p.async_next();
      co_await p.async_next();
    });
    w->advance(std::chrono::seconds(seconds));
  }
  k.reset();  // before the context: it has a timer of its own
  w->destroy_context();
  if (held) held->done();
  held.reset();
}

}  // namespace
