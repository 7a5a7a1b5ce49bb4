// The other ways to read, on this thread and on others.

#include "member_support.hpp"

#include <atomic>
#include <thread>

#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/thread_pool.hpp>

namespace kawait::tests {
namespace {

// ---- The plain loop.

struct plain_member {
  kawait::consumer consumer;
  std::map<topic_partition, std::map<std::int64_t, int>> seen;
  bool is_over = false, loop_over = false;

  plain_member(asio::any_io_executor executor, config c) : consumer(std::move(executor), std::move(c)) {}
  void start() {
    consumer.async_run([this](std::error_code) { is_over = true; });
    asio::co_spawn(consumer.get_executor(), loop(), asio::detached);
  }
  asio::awaitable<void> loop() {
    try {
      for (;;) {
        auto b = co_await consumer.async_next();
        auto& offsets = seen[topic_partition(b.topic(), b.partition())];
        for (const record& r : b) ++offsets[r.offset()];
        b.done();
      }
    } catch (const error& e) {
      CHECK(e.code() == errc::closed);
    }
    loop_over = true;
  }
};

asio::awaitable<void> plain_loop(scenario& s) {
  const std::string topic = unique_name("plain"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 6);
  load& l = s.make<load>(s.admin, topic, 6);
  plain_member& a = s.make<plain_member>(s.executor(), s.settings(group));
  plain_member& b = s.make<plain_member>(s.executor(), s.settings(group));
  a.consumer.subscribe(topic);
  b.consumer.subscribe(topic);
  a.start();
  s.spawn(l.run());
  EVENTUALLY(a.seen.size() == 6);
  b.start();
  EVENTUALLY(a.consumer.assignment().size() == 3 && b.consumer.assignment().size() == 3 && b.seen.size() == 3);
  co_await l.stop();
  const auto times = [&](const topic_partition& p, std::int64_t offset) { return a.seen[p][offset] + b.seen[p][offset]; };
  EVENTUALLY([&] {
    for (std::int32_t p = 0; p < 6; ++p) {
      if (times(topic_partition(topic, p), l.produced(p) - 1) == 0) return false;
    }
    return true;
  }());
  std::size_t missing = 0, repeated = 0;
  for (std::int32_t p = 0; p < 6; ++p) {
    for (std::int64_t o = 0; o < l.produced(p); ++o) {
      const int n = times(topic_partition(topic, p), o);
      missing += n == 0 ? 1 : 0;
      repeated += n > 1 ? 1 : 0;
    }
  }
  CHECK(missing == 0);
  CHECK(repeated == 0);
  co_await a.consumer.async_close();
  co_await b.consumer.async_close();
  EVENTUALLY(a.is_over && b.is_over && a.loop_over && b.loop_over);
  const auto told = co_await s.committed(group, topic, 6);
  for (std::int32_t p = 0; p < 6; ++p) CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
}

TEST_CASE("consumer.async_next: two members, one loop each", "[membership]") {
  scenario s;
  s.run(&plain_loop);
}

// ---- A topic that comes later.

asio::awaitable<void> later_topic(scenario& s) {
  const std::string now = unique_name("now"), later = unique_name("later"), group = unique_name("group");
  co_await s.admin.create_topic(now, 1);
  config c = s.settings(group);
  c.metadata_max_age(1s);
  member& m = s.make<member>(s.executor(), s.log, "m", c);
  m.consumer().subscribe(now, later);
  m.start();
  load& first = s.make<load>(s.admin, now, 1);
  co_await first.add(10);
  EVENTUALLY(first.is_consumed(s.log));
  co_await s.admin.create_topic(later, 2);
  load& second = s.make<load>(s.admin, later, 2);
  co_await second.add(10);
  EVENTUALLY(second.is_consumed(s.log));
  co_await first.add(10);
  EVENTUALLY(first.is_consumed(s.log));
  CHECK(s.log.of(topic_partition(now, 0)).size() == 1);  // it was never given up for that
  m.consumer().subscribe(later);  // and a changed subscription takes the other away
  EVENTUALLY(s.log.of(topic_partition(now, 0)).front()->why == end_reason::revoked);
  co_await second.add(10);
  EVENTUALLY(second.is_consumed(s.log));
  co_await m.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
}

TEST_CASE("a topic created after subscribe is consumed; a subscription changes at run time", "[membership]") {
  scenario s;
  s.run(&later_topic);
}

// ---- Other threads.

struct threaded_world {
  history* log = nullptr;
  asio::thread_pool pool{2};
  std::atomic<int> released{0};
};

/// The work is done, and the batch released, on a pool's thread; the handler asks for the next one meanwhile.
struct threaded_handler {
  threaded_world* world;
  asio::awaitable<void> operator()(kawait::partition p) const { return work(*world, std::move(p)); }
  static asio::awaitable<void> work(threaded_world& w, kawait::partition p) {
    open_ownership own(*w.log, "a", p);
    for (;;) {
      auto b = co_await p.async_next();
      if (!b) break;
      w.log->deliver(*own, *b);
      auto held = std::make_shared<batch>(std::move(*b));
      asio::post(w.pool, [held = std::move(held), &w]() mutable {
        std::this_thread::sleep_for(1ms);
        held->done();
        held.reset();
        ++w.released;
      });
    }
    own.why = p.end_reason();
  }
};

asio::awaitable<void> released_elsewhere(scenario& s) {
  const std::string topic = unique_name("threads"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 6);
  load& l = s.make<load>(s.admin, topic, 6);
  member& a = s.subscribe("a", s.settings(group), topic);
  member& b = s.subscribe("b", s.settings(group), topic);
  threaded_world& w = s.make<threaded_world>();
  w.log = &s.log;
  a.start_with(threaded_handler{&w});
  s.spawn(l.run());
  EVENTUALLY(a.owned().size() == 6 && w.released > 50);
  b.start();
  EVENTUALLY(b.owned().size() == 3);
  co_await b.close();
  EVENTUALLY(a.owned().size() == 6);
  co_await l.stop();
  EVENTUALLY(l.is_consumed(s.log));
  co_await a.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  CHECK(s.log.repeated() == 0);
  const auto told = co_await s.committed(group, topic, 6);
  for (std::int32_t p = 0; p < 6; ++p) CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
}

TEST_CASE("batches released on other threads during a revocation", "[membership]") {
  scenario s;
  s.run(&released_elsewhere);
}

struct elsewhere_world {
  explicit elsewhere_world(std::thread::id m) : main(m) {}
  std::thread::id main;
  asio::thread_pool pool{2};
  std::atomic<int> records{0}, on_main{0}, ended{0};
};

struct elsewhere_handler {
  elsewhere_world* world;
  asio::awaitable<void> operator()(kawait::partition p) const { return work(*world, std::move(p)); }
  static asio::awaitable<void> work(elsewhere_world& w, kawait::partition p) {
    for (;;) {
      auto b = co_await p.async_next();
      if (std::this_thread::get_id() == w.main) ++w.on_main;
      if (!b) break;
      for (const record& r : *b) w.records += r.offset() >= 0 ? 1 : 0;
      b->done();
    }
    ++w.ended;
  }
};

asio::awaitable<void> handlers_elsewhere(scenario& s) {
  const std::string topic = unique_name("elsewhere"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 4);
  load& l = s.make<load>(s.admin, topic, 4);
  member& a = s.subscribe("a", s.settings(group), topic);
  member& b = s.subscribe("b", s.settings(group), topic);
  elsewhere_world& w = s.make<elsewhere_world>(std::this_thread::get_id());
  a.start_with(elsewhere_handler{&w}, on(asio::make_strand(w.pool)));
  co_await l.add(100);
  EVENTUALLY(w.records == 400);
  b.start();
  EVENTUALLY(b.owned().size() == 2 && w.ended == 2);
  co_await l.add(50);
  EVENTUALLY(w.records + static_cast<int>(s.log.records()) == 600);
  co_await a.close();
  co_await b.close();
  CHECK(w.on_main == 0);
  CHECK(w.ended == 4);
  const auto told = co_await s.committed(group, topic, 4);
  for (std::int32_t p = 0; p < 4; ++p) CHECK(told[static_cast<std::size_t>(p)] == 150);
}

TEST_CASE("handlers run on the executor they are given") {
  scenario s;
  s.run(&handlers_elsewhere);
}

}  // namespace
}  // namespace kawait::tests
