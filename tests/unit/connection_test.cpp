#include "catch.hpp"

#include "scripted_broker.hpp"

namespace connection_tests {

using namespace scripted;
using kawait::errc;

TEST_CASE("requests are pipelined and answered in order", "[net]") {
  for (const std::size_t chunk : {std::size_t(1), std::size_t(7), std::size_t(1) << 20}) {
    // Everything at once; all through the writer coroutine; and what does not fit through it.
    for (const auto& [at_once, capacity] : {std::pair(true, 1 << 20), std::pair(false, 1 << 20), std::pair(true, 5)}) {
      CAPTURE(chunk, at_once, capacity);
      testing::world w;
      testing::pipe_options options;
      options.chunk = chunk;
      options.takes_at_once = at_once;
      options.capacity = static_cast<std::size_t>(capacity);
      std::size_t most_waiting = 0;
      w.network().listen(
          "10.0.0.1", 9092,
          [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
            peer p(std::move(stream));
            (void)co_await p.shake_hands();
            std::vector<incoming> waiting;
            while (waiting.size() < 5) {
              incoming r = co_await p.next();
              waiting.push_back(std::move(r));
              most_waiting = std::max(most_waiting, waiting.size());
            }
            for (const incoming& r : waiting) co_await p.answer(r, metadata_of(r.id));
            co_await p.drain();
          },
          options);
      auto c = open(w);
      REQUIRE(c);
      std::vector<std::shared_ptr<exchange>> asked;
      for (int i = 0; i < 5; ++i) asked.push_back(ask(w, *c));
      CHECK((*c)->requests_in_flight() == 5);
      CHECK(w.run_until([&] { return asked.back()->finished; }, 1s));
      CHECK(most_waiting == 5);
      for (int i = 0; i < 5; ++i) {
        REQUIRE(asked[static_cast<std::size_t>(i)]->end.has_value());
        const auto& answer = *asked[static_cast<std::size_t>(i)]->end;
        REQUIRE(answer);
        CHECK(answer->message.controller_id == i + 1);
        CHECK(answer->message.brokers.at(0).host == "broker");
        CHECK(answer->version == 13);
      }
      CHECK((*c)->requests_in_flight() == 0);
      (*c)->close();
    }
  }
}

TEST_CASE("a request is encoded before the call returns, in a version under the cap", "[net]") {
  testing::world w;
  std::vector<std::string> topics;
  std::int16_t version = -1;
  w.network().listen("10.0.0.1", 9092, [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
    const incoming r = co_await p.next();
    protocol::metadata_request request;
    if (protocol::decode_request(request, r.rest(), r.version)) co_return;
    version = r.version;
    for (const auto& t : *request.topics) topics.emplace_back(*t.name);
    co_await p.answer(r, metadata_of(1));
  });
  auto c = open(w);
  REQUIRE(c);
  kawait::wire::heap_slabs heap;
  auto request = std::make_unique<protocol::metadata_request>();
  auto name = std::make_unique<std::string>("payments");
  request->topics.emplace();
  request->topics->emplace_back();
  request->topics->back().name = *name;
  auto operation = (*c)->async_request(*request, 30s, heap, 11);
  request.reset();
  name.reset();
  auto answer = w.run(std::move(operation));
  REQUIRE(answer);
  CHECK(version == 11);
  CHECK(answer->version == 11);
  CHECK(topics == std::vector<std::string>{"payments"});
}

TEST_CASE("an API that the broker lacks is refused without a word to it", "[net]") {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    const incoming hello = co_await p.next();
    protocol::api_versions_response r;
    peer::add(r, 18, 0, 4);
    co_await p.answer(hello, std::move(r));
    co_await p.drain();
  });
  auto c = open(w);
  REQUIRE(c);
  const auto e = ask(w, *c);
  w.poll();
  REQUIRE(e->end.has_value());
  CHECK(e->end->error().code == errc::unsupported_broker);
  CHECK(e->end->error().words.find("10.0.0.1:9092: ") == 0);
  CHECK((*c)->is_open());
  (*c)->close();
}

struct fault {
  const char* what;
  std::function<asio::awaitable<void>(peer&, const incoming&)> script;
  std::error_code code;
  std::string words;
};

TEST_CASE("whatever is wrong with an answer closes the connection", "[net]") {
  const fault faults[] = {
      {"out of order", [](peer& p, const incoming& r) -> asio::awaitable<void> { co_await p.send_header(8, r.id + 1); },
       errc::correlation_mismatch, "correlation id 2 instead of 1"},
      {"negative length",
       [](peer& p, const incoming& r) -> asio::awaitable<void> { co_await p.send_header(-2147483647 - 1, r.id); },
       errc::frame_too_large, "a frame of -2147483648 bytes"},
      {"no room for the id", [](peer& p, const incoming& r) -> asio::awaitable<void> { co_await p.send_header(3, r.id); },
       errc::frame_too_large, "a frame of 3 bytes"},
      {"huge", [](peer& p, const incoming& r) -> asio::awaitable<void> { co_await p.send_header(2147483647, r.id); },
       errc::frame_too_large, "a frame of 2147483647 bytes"},
      {"one more than the limit",
       [](peer& p, const incoming& r) -> asio::awaitable<void> { co_await p.send_header(104857601, r.id); },
       errc::frame_too_large, "a frame of 104857601 bytes"},
      {"only a bad length, then silence",
       [](peer& p, const incoming&) -> asio::awaitable<void> {
         std::string four("\xff\xff\xff\xff");
         co_await p.send_text(std::move(four));
       },
       errc::frame_too_large, "a frame of -1 bytes"},
      {"an empty body", [](peer& p, const incoming& r) -> asio::awaitable<void> { co_await p.send_header(4, r.id); },
       errc::malformed_response, "Metadata"},
      {"garbage",
       [](peer& p, const incoming& r) -> asio::awaitable<void> {
         co_await p.send_header(8, r.id);
         co_await p.send_text("\x7f\x7f\x7f\x7f");
       },
       errc::malformed_response, "Metadata"},
      {"closed in the middle",
       [](peer& p, const incoming& r) -> asio::awaitable<void> {
         co_await p.send_header(100, r.id);
         co_await p.send_text("half");
         p.close();
       },
       errc::connection_closed, "End of file"},
  };
  for (const fault& f : faults) {
    for (const std::size_t chunk : {std::size_t(1), std::size_t(1) << 20}) {
      CAPTURE(f.what, chunk);
      testing::world w;
      testing::pipe_options options;
      options.chunk = chunk;
      w.network().listen(
          "10.0.0.1", 9092,
          [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
            peer p(std::move(stream));
            (void)co_await p.shake_hands();
            const incoming r = co_await p.next();
            co_await f.script(p, r);
            co_await p.drain();
          },
          options);
      auto c = open(w);
      REQUIRE(c);
      const auto first = ask(w, *c);
      const auto second = ask(w, *c);
      w.advance(1s);
      for (const auto& e : {first, second}) {
        REQUIRE(e->end.has_value());
        REQUIRE(!*e->end);
        CAPTURE(e->end->error().words);
        CHECK(e->end->error().code == f.code);
        CHECK(e->end->error().words.find("10.0.0.1:9092: ") == 0);
        CHECK(e->end->error().words.find(f.words) != std::string::npos);
      }
      CHECK(!(*c)->is_open());
      CHECK((*c)->why_closed().code == f.code);
      const auto late = ask(w, *c);
      w.poll();
      REQUIRE(late->end.has_value());
      CHECK(late->end->error().code == f.code);
    }
  }
}

TEST_CASE("an answer to nothing closes the connection", "[net]") {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
    co_await net::async_sleep_for(1s);
    co_await p.send_header(8, 1);
    co_await p.drain();
  });
  auto c = open(w);
  REQUIRE(c);
  w.advance(2s);
  CHECK((*c)->why_closed().code == errc::correlation_mismatch);
}

TEST_CASE("half a frame and then silence ends at the request's time-out exactly", "[net]") {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
    incoming r = co_await p.next();
    co_await p.answer(r, metadata_of(1));
    r = co_await p.next();
    co_await p.send_header(1000, r.id);
    co_await p.send_text("half");
    co_await p.drain();
  });
  auto c = open(w);
  REQUIRE(c);
  // An earlier request has armed the watchdog already; it must not count for the later ones.
  const auto answered = ask(w, *c, 30s);
  w.advance(7s);
  REQUIRE(answered->end.has_value());
  CHECK(*answered->end);
  const auto begin = w.now();
  const auto slow = ask(w, *c, 20s);
  const auto quick = ask(w, *c, 1500ms);
  CHECK(w.run_until([&] { return slow->finished && quick->finished; }));
  for (const auto& e : {slow, quick}) {
    REQUIRE(e->end.has_value());
    REQUIRE(!*e->end);
    CHECK(e->end->error().code == errc::request_timeout);
    CHECK(e->end->error().words == "10.0.0.1:9092: no answer within 1500 ms");
    CHECK(e->at - begin == 1500ms);
  }
}

// Or a commit that timed out could come after the next owner's.
TEST_CASE("what a connection has not delivered when it breaks never gets to the broker", "[net]") {
  const bool breaks = GENERATE(false, true);
  CAPTURE(breaks);
  testing::world w;
  testing::pipe_options slow;
  slow.up.bytes_per_second = 100;
  std::optional<incoming> came;
  const auto serve = [&came](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
    came = co_await p.next();
  };
  w.network().listen("10.0.0.1", 9092, serve, slow);
  auto c = open(w);
  REQUIRE(c);
  const auto asked = ask(w, *c, 100ms);
  if (!breaks) (*c)->close();
  REQUIRE(w.run_until([&] { return came.has_value(); }));
  REQUIRE(asked->end.has_value());
  CHECK(asked->end->error().code == (breaks ? errc::request_timeout : errc::closed));
  CHECK(came->end == breaks);
}

TEST_CASE("a request in time is not hit by an earlier one's deadline", "[net]") {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, [](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
    for (;;) {
      const incoming r = co_await p.next();
      if (r.end) co_return;
      co_await net::async_sleep_for(900ms);
      co_await p.answer(r, metadata_of(r.id));
    }
  });
  auto c = open(w);
  REQUIRE(c);
  for (int i = 0; i < 20; ++i) {
    const auto e = ask(w, *c, 1s);
    CHECK(w.run_until([&] { return e->finished; }));
    REQUIRE(e->end.has_value());
    CHECK(*e->end);
  }
  const auto begin = w.now();
  const auto two = ask(w, *c, 1s);
  const auto late = ask(w, *c, 1s);  // behind `two`, so answered after 1800 ms
  CHECK(w.run_until([&] { return late->finished; }));
  CHECK(*two->end);
  CHECK(late->end->error().code == errc::request_timeout);
  CHECK(late->at - begin == 1s);
}

TEST_CASE("a throttled connection sends nothing, and time-outs run from its end", "[net]") {
  for (const bool at_once : {true, false}) {
    CAPTURE(at_once);
    testing::world w;
    testing::pipe_options options;
    options.takes_at_once = at_once;
    std::vector<net::time_point> arrived;
    w.network().listen(
        "10.0.0.1", 9092,
        [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
          peer p(std::move(stream));
          (void)co_await p.shake_hands();
          for (int i = 0;; ++i) {
            const incoming r = co_await p.next();
            if (r.end) co_return;
            arrived.push_back(w.now());
            protocol::metadata_response m = metadata_of(1);
            if (i == 0) m.throttle_time_ms = 5000;
            if (i < 2) co_await p.answer(r, std::move(m));
          }
        },
        options);
    auto c = open(w);
    REQUIRE(c);
    const auto begin = w.now();
    const auto first = ask(w, *c);
    w.poll();
    REQUIRE(first->finished);
    CHECK((*c)->throttled_until() == begin + 5s);
    w.advance(1s);
    const auto second = ask(w, *c, 2s);
    const auto third = ask(w, *c, 3s);
    CHECK(w.run_until([&] { return third->finished; }));
    CHECK(arrived == std::vector<net::time_point>{begin, begin + 5s, begin + 5s});
    REQUIRE(second->end.has_value());
    CHECK(*second->end);
    CHECK(second->at == begin + 5s);
    CHECK(third->end->error().code == errc::request_timeout);
    CHECK(third->at == begin + 8s);
  }
}

TEST_CASE("a throttle time that no quota asks for does not silence a connection", "[net]") {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, [&](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    (void)co_await p.shake_hands();
    for (;;) {
      const incoming r = co_await p.next();
      if (r.end) co_return;
      protocol::metadata_response m = metadata_of(1);
      m.throttle_time_ms = 0x7fffffff;
      co_await p.answer(r, std::move(m));
    }
  });
  auto c = open(w);
  REQUIRE(c);
  const auto begin = w.now();
  (void)ask(w, *c);
  w.poll();
  CHECK((*c)->throttled_until() == begin + 60s);
}

}  // namespace connection_tests
