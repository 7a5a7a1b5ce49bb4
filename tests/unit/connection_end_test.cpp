#include "catch.hpp"

#include "scripted_broker.hpp"

namespace connection_end_tests {

using namespace scripted;
using kawait::errc;

TEST_CASE("closing completes every request once, with the reason", "[net]") {
  testing::world w;
  bool end_seen = false;
  w.network().listen("10.0.0.1", 9092, [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
    for (;;) {
      const incoming r = co_await p.next();
      if (r.end) break;
    }
    end_seen = true;
  });
  auto c = open(w);
  REQUIRE(c);
  const auto first = ask(w, *c);
  const auto second = ask(w, *c);
  w.poll();
  CHECK(!first->finished);
  (*c)->close(kawait::failure(errc::connection_closed, "the node is gone"));
  (*c)->close(kawait::failure(errc::closed, "a second time"));
  CHECK(!first->finished);  // not from inside the call
  w.poll();
  for (const auto& e : {first, second}) {
    REQUIRE(e->finished);
    REQUIRE(e->end.has_value());
    CHECK(e->end->error().code == errc::connection_closed);
    CHECK(e->end->error().words == "the node is gone");
  }
  CHECK(end_seen);
  std::weak_ptr<net::connection> watch = *c;
  c = kawait::result<std::shared_ptr<net::connection>>(errc::closed);
  w.poll();
  CHECK(watch.expired());
}

TEST_CASE("a connection may be closed and dropped by whoever gets its answer", "[net]") {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, serve_metadata);
  auto opened_connection = open(w);
  REQUIRE(opened_connection);
  std::shared_ptr<net::connection> c = std::move(*opened_connection);
  opened_connection = kawait::result<std::shared_ptr<net::connection>>(errc::closed);
  const auto other = ask(w, c);
  bool done = false;
  const auto script = [&]() -> asio::awaitable<void> {
    protocol::metadata_request request;
    auto a = co_await c->async_request(request);
    CHECK(a);
    c->close();
    c.reset();
    done = true;
  };
  w.run(script());
  CHECK(done);
  w.poll();
  CHECK(other->finished);
}

TEST_CASE("a cancelled requester's answer is read and dropped", "[net]") {
  for (const std::size_t size : {std::size_t(10), std::size_t(100'000)}) {
    CAPTURE(size);
    testing::world w;
    w.network().listen("10.0.0.1", 9092, [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
      peer p(std::move(stream));
      (void)co_await p.shake_hands();
      const std::string host(size, 'x');
      for (int i = 0;; ++i) {
        const incoming r = co_await p.next();
        if (r.end) co_return;
        co_await net::async_sleep_for(1s);
        protocol::metadata_response m = metadata_of(i);
        std::string_view view = host;
        for (std::size_t n = 0; n < size; n += 30'000) {
          m.brokers.emplace_back();
          m.brokers.back().host = view.substr(0, std::min<std::size_t>(30'000, size));
        }
        co_await p.answer(r, std::move(m));
      }
    });
    auto c = open(w);
    REQUIRE(c);
    asio::cancellation_signal stop;
    const auto cancelled = ask(w, *c, 30s, stop.slot());
    const auto kept = ask(w, *c);
    w.poll();
    stop.emit(asio::cancellation_type::terminal);
    w.poll();
    CHECK(cancelled->finished);
    CHECK(!cancelled->end.has_value());
    CHECK(cancelled->error);
    CHECK((*c)->requests_in_flight() == 2);
    CHECK(w.run_until([&] { return kept->finished; }));
    REQUIRE(kept->end.has_value());
    REQUIRE(*kept->end);
    CHECK((*kept->end)->message.controller_id == 1);
    CHECK((*c)->is_open());
    CHECK((*c)->requests_in_flight() == 0);
    (*c)->close();
  }
}

TEST_CASE("a request that is never awaited harms nobody", "[net]") {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, serve_metadata);
  auto c = open(w);
  REQUIRE(c);
  protocol::metadata_request request;
  {
    auto unused = (*c)->async_request(request);
  }
  const auto e = ask(w, *c);
  w.poll();
  REQUIRE(e->end.has_value());
  REQUIRE(*e->end);
  CHECK((*e->end)->message.controller_id == 2);
  (*c)->close();
}

TEST_CASE("a context may be destroyed with anything pending", "[net]") {
  SECTION("a request in flight") {
    testing::world w;
    w.network().listen("10.0.0.1", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
      peer p(std::move(stream));
      (void)co_await p.shake_hands();
      co_await p.drain();
    });
    auto c = open(w);
    REQUIRE(c);
    const auto first = ask(w, *c);
    const auto second = ask(w, *c);
    w.advance(1s);
    c = kawait::result<std::shared_ptr<net::connection>>(errc::closed);
    w.destroy_context();
    CHECK(!first->end.has_value());
  }
  SECTION("a request that is throttled, a body half read") {
    testing::world w;
    testing::pipe_options options;
    options.takes_at_once = false;
    w.network().listen(
        "10.0.0.1", 9092,
        [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
          peer p(std::move(stream));
          (void)co_await p.shake_hands();
          incoming r = co_await p.next();
          protocol::metadata_response m = metadata_of(1);
          m.throttle_time_ms = 60'000;
          co_await p.answer(r, std::move(m));
          co_await p.send_header(1000, r.id + 1);
          co_await p.drain();
        },
        options);
    auto c = open(w);
    REQUIRE(c);
    const auto answered = ask(w, *c);
    const auto half = ask(w, *c);
    w.poll();
    CHECK(answered->finished);
    const auto throttled = ask(w, *c);
    w.advance(1s);
    CHECK(!half->finished);
    CHECK(!throttled->finished);
    c = kawait::result<std::shared_ptr<net::connection>>(errc::closed);
    w.destroy_context();
  }
  SECTION("a handshake") {
    testing::world w;
    w.network().listen("10.0.0.1", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
      peer p(std::move(stream));
      co_await p.drain();
      co_await net::async_sleep_for(1h);
    });
    const net::address where("10.0.0.1", "10.0.0.1", 9092);
    asio::co_spawn(w.executor(),
                   drop(net::connection::open(w.executor(), where, net::connection_options(), net::time_point::max())),
                   asio::detached);
    w.advance(1s);
    w.destroy_context();
  }
}

}  // namespace connection_end_tests
