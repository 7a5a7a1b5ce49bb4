#include "catch.hpp"

#include "scripted_broker.hpp"

#include <kawait/net/broker_pool.hpp>

namespace broker_pool_tests {

using namespace scripted;
using kawait::errc;
using net::channel;

using link = std::shared_ptr<net::connection>;

std::vector<net::host_port> bootstrap(std::initializer_list<const char*> hosts) {
  std::vector<net::host_port> list;
  for (const char* h : hosts) list.emplace_back(h, std::uint16_t(9092));
  return list;
}

struct cluster {
  explicit cluster(std::uint64_t seed = 1) : w(seed) {}

  net::broker_pool pool(std::initializer_list<const char*> hosts) {
    return net::broker_pool(w.executor(), net::connection_options(), net::broker_pool::default_reconnect(), bootstrap(hosts));
  }
  void listen(const std::string& host) { w.network().listen(host, 9092, serve_metadata); }
  std::size_t attempts(const std::string& host) { return w.network().attempts(host, 9092); }

  testing::world w;
};

std::vector<net::broker> brokers(std::initializer_list<net::broker> list) { return list; }

TEST_CASE("the bootstrap list is tried until one answers", "[net]") {
  // Whatever the random start, over a few seeds the bad ones come first.
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    cluster c(seed);
    c.w.network().add_name("nowhere", {});
    c.w.network().add_name("kafka", {"10.0.0.1", "10.0.0.2"});
    c.listen("10.0.0.2");
    auto pool = c.pool({"nowhere", "refused", "kafka"});
    auto any = c.w.run(pool.async_any());
    REQUIRE(any);
    CHECK((*any)->peer_name() == "kafka:9092 (10.0.0.2)");
    CHECK(c.attempts("10.0.0.1") == 1);
    auto again = c.w.run(pool.async_any());
    REQUIRE(again);
    CHECK(*again == *any);
    CHECK(c.attempts("10.0.0.2") == 1);
  }
}

TEST_CASE("when no bootstrap server answers, the words list each address and why", "[net]") {
  cluster c;
  c.w.network().add_name("nowhere", {});
  c.w.network().add_name("kafka", {"10.0.0.1", "10.0.0.2"});
  c.w.network().black_hole("10.0.0.2", 9092);
  c.w.network().listen("web", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    co_await p.send_text("HTTP/1.1 400 Bad Request\r\n\r\n");
    co_await p.drain();
  });
  auto pool = c.pool({"nowhere", "kafka", "web"});
  const auto begin = c.w.now();
  auto any = c.w.run(pool.async_any());
  REQUIRE(!any);
  CHECK(any.error().code == errc::bootstrap_failed);
  const std::string words = any.error().words;
  CAPTURE(words);
  for (const char* expected : {"nowhere:9092: host name not resolved", "kafka:9092 (10.0.0.1): Connection refused",
                               "kafka:9092 (10.0.0.2): Connection timed out", "web:9092: a frame of 1213486160 bytes"}) {
    CAPTURE(expected);
    CHECK(words.find(expected) != std::string::npos);
  }
  CHECK(words.find("timed out: ") == std::string::npos);
  CHECK(c.w.now() - begin == 10s);
}

TEST_CASE("a broker has one connection for fetching and one for the rest", "[net]") {
  cluster c;
  c.listen("a");
  c.listen("b");
  auto pool = c.pool({"a"});
  pool.set_brokers(brokers({net::broker(1, "a", 9092), net::broker(2, "b", 9092)}));
  auto control = c.w.run(pool.async_get(1, channel::control));
  auto fetch = c.w.run(pool.async_get(1, channel::fetch));
  auto other = c.w.run(pool.async_get(2, channel::fetch));
  REQUIRE(control);
  REQUIRE(fetch);
  REQUIRE(other);
  CHECK(*control != *fetch);
  CHECK(pool.find(1, channel::control) == *control);
  CHECK(pool.find(1, channel::fetch) == *fetch);
  CHECK(pool.find(2, channel::control) == nullptr);
  CHECK(*c.w.run(pool.async_get(1, channel::control)) == *control);
  CHECK(c.attempts("a") == 2);
  auto any = c.w.run(pool.async_any());
  REQUIRE(any);
  CHECK(*any == *control);  // never a fetch connection
  const auto unknown = c.w.run(pool.async_get(3, channel::control));
  REQUIRE(!unknown);
  CHECK(unknown.error().code == errc::unknown_broker);
}

TEST_CASE("who waits for any broker has the first that anybody reaches", "[net]") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    cluster c(seed);
    c.w.network().black_hole("h1", 9092);
    c.w.network().black_hole("h2", 9092);
    c.listen("a");
    auto pool = c.pool({"h1"});
    pool.set_brokers(brokers({{1, "h1", 9092}, {2, "h2", 9092}, {3, "a", 9092}}));
    link any;
    const auto wait = [&]() -> asio::awaitable<void> {
      auto told = co_await pool.async_any();
      if (told) any = *told;
    };
    c.w.spawn(wait());
    c.w.advance(100ms);
    const auto reached = c.w.run(pool.async_get(3, channel::control));
    REQUIRE(reached);
    CHECK(c.w.run_until([&] { return any == *reached; }, 100ms));
  }
}

TEST_CASE("a connection that somebody else brought is no other broker's, wherever the bootstrap list pointed", "[net]") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    cluster c(seed);
    c.listen("a");
    c.listen("b");
    auto pool = c.pool({"a"});
    REQUIRE(c.w.run(pool.async_any()));
    pool.set_brokers(brokers({{1, "a", 9092}}));
    const auto first = c.w.run(pool.async_get(1, channel::control));
    c.w.network().black_hole("a", 9092);
    (*first)->close();
    pool.set_brokers(brokers({{1, "a", 9092}, {2, "b", 9092}}));
    const auto wait = [&]() -> asio::awaitable<void> { (void)co_await pool.async_any(); };
    c.w.spawn(wait());
    REQUIRE(c.w.run(pool.async_get(2, channel::control)));
    c.w.advance(1min);
    pool.set_brokers(brokers({{2, "b", 9092}}));
    c.listen("a");
    pool.set_brokers(brokers({{1, "a", 9092}, {2, "b", 9092}}));
    const auto again = c.w.run(pool.async_get(1, channel::control));
    REQUIRE(again);
    CHECK((*again)->peer_name().substr(0, 1) == "a");
  }
}

TEST_CASE("callers share one attempt, and a cancelled one does not end it", "[net]") {
  cluster c;
  c.w.network().listen("a", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    co_await net::async_sleep_for(1s);
    co_await serve_metadata(std::move(stream));
  });
  auto pool = c.pool({"a"});
  pool.set_broker(net::broker(1, "a", 9092));
  std::vector<opened> got;
  const auto wait = [&](asio::awaitable<opened> op) -> asio::awaitable<void> {
    auto r = co_await std::move(op);
    got.push_back(std::move(r));
  };
  asio::cancellation_signal stop;
  bool cancelled = false;
  asio::co_spawn(c.w.executor(), wait(pool.async_get(1, channel::control)),
                 asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr e) { cancelled = e != nullptr; }));
  asio::co_spawn(c.w.executor(), wait(pool.async_get(1, channel::control)), asio::detached);
  asio::co_spawn(c.w.executor(), wait(pool.async_get(1, channel::control)), asio::detached);
  c.w.poll();
  stop.emit(asio::cancellation_type::terminal);
  c.w.poll();
  CHECK(cancelled);
  CHECK(c.w.run_until([&] { return got.size() == 2; }, 2s));
  REQUIRE(got.size() == 2);
  REQUIRE(got[0]);
  REQUIRE(got[1]);
  CHECK(*got[0] == *got[1]);
  CHECK(c.attempts("a") == 1);
}

TEST_CASE("attempts keep a bounded and jittered distance", "[net]") {
  std::vector<std::vector<net::duration>> runs;
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    cluster c(seed);
    auto pool = c.pool({"a"});
    pool.set_broker(net::broker(1, "a", 9092));
    std::vector<net::duration> pauses;
    auto last = c.w.now();
    for (int i = 0; i < 10; ++i) {
      const auto begin = c.w.now();
      auto got = c.w.run(pool.async_get(1, channel::fetch));
      REQUIRE(!got);
      CHECK(got.error().code == asio::error::connection_refused);
      CHECK(got.error().words == "a:9092");
      CHECK(c.attempts("a") == static_cast<std::size_t>(i) + 1);  // each call makes one attempt
      pauses.push_back(c.w.now() - begin);
      last = c.w.now();
    }
    CAPTURE(seed);
    CHECK(pauses[0] == 0s);
    CHECK(pauses[1] >= 40ms);
    CHECK(pauses[1] <= 60ms);
    CHECK(pauses[3] >= 160ms);
    for (const auto& p : pauses) CHECK(p <= 1s);
    CHECK(pauses[9] >= 800ms);
    runs.push_back(pauses);

    // It works: the next attempt after a connection that lasted is a first one.
    c.listen("a");
    auto got = c.w.run(pool.async_get(1, channel::fetch));
    REQUIRE(got);
    c.w.advance(10s);
    (*got)->close();
    c.w.network().stop_listening("a", 9092);
    const auto begin = c.w.now();
    CHECK(!c.w.run(pool.async_get(1, channel::fetch)));
    CHECK(c.w.now() == begin);
    CHECK(!c.w.run(pool.async_get(1, channel::fetch)));
    CHECK(c.w.now() - begin >= 40ms);
    CHECK(c.w.now() - begin <= 60ms);
  }
  CHECK(runs[0] != runs[1]);
}

TEST_CASE("a broker that hangs up after each handshake is not hammered", "[net]") {
  cluster c;
  c.w.network().listen("a", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
  });
  auto pool = c.pool({"a"});
  pool.set_broker(net::broker(1, "a", 9092));
  const auto begin = c.w.now();
  for (int i = 0; i < 12; ++i) {
    (void)c.w.run(pool.async_get(1, channel::control));
    c.w.poll();
    CHECK(pool.find(1, channel::control) == nullptr);
  }
  CHECK(c.w.now() - begin >= 5s);
}

TEST_CASE("metadata moves a broker, and one that is missing keeps what it has", "[net]") {
  cluster c;
  for (const char* h : {"a", "b", "moved"}) c.listen(h);
  auto pool = c.pool({"a"});
  pool.set_brokers(brokers({net::broker(1, "a", 9092), net::broker(2, "b", 9092)}));
  auto a = c.w.run(pool.async_get(1, channel::control));
  auto b = c.w.run(pool.async_get(2, channel::fetch));
  REQUIRE(a);
  REQUIRE(b);
  pool.set_brokers(brokers({net::broker(1, "moved", 9092)}));
  CHECK(!(*a)->is_open());
  CHECK((*a)->why_closed().code == errc::connection_closed);
  CHECK(pool.find(2, channel::fetch) == *b);
  auto moved = c.w.run(pool.async_get(1, channel::control));
  REQUIRE(moved);
  CHECK((*moved)->peer_name() == "moved:9092");
  (*b)->close();
  pool.set_brokers(brokers({net::broker(1, "moved", 9092)}));
  CHECK((*moved)->is_open());
  CHECK(c.w.run(pool.async_get(2, channel::fetch)).error().code == errc::unknown_broker);
}

TEST_CASE("the bootstrap connection becomes its broker's", "[net]") {
  cluster c;
  c.listen("a");
  c.listen("b");
  auto pool = c.pool({"a"});
  auto any = c.w.run(pool.async_any());
  REQUIRE(any);
  pool.set_brokers(brokers({net::broker(7, "b", 9092), net::broker(8, "a", 9092)}));
  CHECK(pool.find(7, channel::control) == nullptr);
  CHECK(pool.find(8, channel::control) == *any);
  CHECK(*c.w.run(pool.async_get(8, channel::control)) == *any);
  CHECK(c.attempts("a") == 1);
}

TEST_CASE("any broker: the least loaded, then a known one, then the bootstrap list", "[net]") {
  cluster c;
  c.listen("a");
  c.w.network().listen("silent", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
    co_await p.drain();
  });
  auto pool = c.pool({"lost", "gone"});
  pool.set_brokers(brokers({net::broker(1, "silent", 9092), net::broker(2, "a", 9092), net::broker(3, "down", 9092)}));
  auto busy = c.w.run(pool.async_get(1, channel::control));
  REQUIRE(busy);
  const auto pending = ask(c.w, *busy);
  CHECK(*c.w.run(pool.async_any()) == *busy);  // better than a new connection
  auto idle = c.w.run(pool.async_get(2, channel::control));
  REQUIRE(idle);
  CHECK(*c.w.run(pool.async_any()) == *idle);
  (*busy)->close();
  (*idle)->close();
  c.w.network().stop_listening("silent", 9092);
  c.w.advance(1s);
  auto known = c.w.run(pool.async_any());
  REQUIRE(known);
  CHECK((*known)->peer_name() == "a:9092");
  (*known)->close();
  c.w.network().stop_listening("a", 9092);
  c.listen("gone");
  c.w.advance(1s);
  auto last = c.w.run(pool.async_any());
  REQUIRE(last);
  CHECK((*last)->peer_name() == "gone:9092");
}

TEST_CASE("starting again from the bootstrap list forgets the brokers", "[net]") {
  cluster c;
  c.listen("old");
  c.listen("new");
  auto pool = c.pool({"new"});
  pool.set_brokers(brokers({net::broker(1, "old", 9092)}));
  auto old = c.w.run(pool.async_get(1, channel::fetch));
  REQUIRE(old);
  pool.rebootstrap();
  CHECK(!(*old)->is_open());
  CHECK(c.w.run(pool.async_get(1, channel::fetch)).error().code == errc::unknown_broker);
  auto any = c.w.run(pool.async_any());
  REQUIRE(any);
  CHECK((*any)->peer_name() == "new:9092");
}

TEST_CASE("closing the pool closes connections and ends what waits", "[net]") {
  cluster c;
  c.listen("a");
  c.w.network().black_hole("hole", 9092);
  auto pool = c.pool({"hole"});
  pool.set_brokers(brokers({net::broker(1, "a", 9092), net::broker(2, "hole", 9092)}));
  auto live = c.w.run(pool.async_get(1, channel::fetch));
  REQUIRE(live);
  std::vector<std::error_code> ends;
  const auto wait = [&](asio::awaitable<opened> op) -> asio::awaitable<void> {
    auto r = co_await std::move(op);
    ends.push_back(r ? std::error_code() : r.error().code);
  };
  asio::co_spawn(c.w.executor(), wait(pool.async_get(2, channel::fetch)), asio::detached);
  asio::co_spawn(c.w.executor(), wait(pool.async_get(2, channel::fetch)), asio::detached);
  asio::co_spawn(c.w.executor(), wait(pool.async_get(2, channel::control)), asio::detached);
  c.w.advance(1s);
  CHECK(ends.empty());
  const auto begin = c.w.now();
  pool.close();
  c.w.poll();
  CHECK(ends == std::vector<std::error_code>(3, errc::closed));
  CHECK(c.w.now() == begin);
  CHECK((*live)->why_closed().code == errc::closed);
  CHECK(c.w.run(pool.async_get(1, channel::fetch)).error().code == errc::closed);
  CHECK(c.w.run(pool.async_any()).error().code == errc::closed);
  pool.set_brokers(brokers({net::broker(3, "a", 9092)}));
  CHECK(c.w.run(pool.async_get(3, channel::fetch)).error().code == errc::closed);
}

TEST_CASE("a pool may go while its coroutines are under way, and a context while its pool is", "[net]") {
  SECTION("the pool first") {
    cluster c;
    c.w.network().black_hole("hole", 9092);
    auto pool = std::make_unique<net::broker_pool>(c.w.executor(), net::connection_options(),
                                                   net::broker_pool::default_reconnect(), bootstrap({"hole"}));
    std::optional<std::error_code> end;
    const auto wait = [&](asio::awaitable<opened> op) -> asio::awaitable<void> {
      auto r = co_await std::move(op);
      end = r ? std::error_code() : r.error().code;
    };
    asio::co_spawn(c.w.executor(), wait(pool->async_any()), asio::detached);
    c.w.advance(1s);
    pool.reset();
    c.w.poll();
    CHECK(end == std::error_code(errc::closed));
  }
  SECTION("the context first") {
    cluster c;
    c.listen("a");
    c.w.network().black_hole("hole", 9092);
    auto pool = std::make_unique<net::broker_pool>(c.w.executor(), net::connection_options(),
                                                   net::broker_pool::default_reconnect(), bootstrap({"hole"}));
    pool->set_brokers(brokers({net::broker(1, "a", 9092), net::broker(2, "hole", 9092), net::broker(3, "refused", 9092)}));
    REQUIRE(c.w.run(pool->async_get(1, channel::control)));
    REQUIRE(!c.w.run(pool->async_get(3, channel::fetch)));
    asio::co_spawn(c.w.executor(), drop(pool->async_get(2, channel::fetch)), asio::detached);
    asio::co_spawn(c.w.executor(), drop(pool->async_get(3, channel::fetch)), asio::detached);
    asio::co_spawn(c.w.executor(), drop(pool->async_any()), asio::detached);
    // As an engine's coroutine holds it: the pool goes with the context, in the middle of everything else that goes.
    const auto own = [](std::unique_ptr<net::broker_pool> held) -> asio::awaitable<void> {
      co_await net::async_sleep_for(1h);
      held->close();
    };
    asio::co_spawn(c.w.executor(), own(std::move(pool)), asio::detached);
    c.w.poll();
    c.w.destroy_context();
  }
}

}  // namespace broker_pool_tests
