// Out of memory while a request is sent: it is sent as a whole or not at all, and the connection serves the next.

#include <chrono>
#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "allocations/count_support.hpp"
#include "catch.hpp"
#include "unit/scripted_broker.hpp"

namespace {

using namespace scripted;

protocol::metadata_request about(const std::string& topic, std::size_t times) {
  protocol::metadata_request request;
  request.topics.emplace();
  for (std::size_t i = 0; i < times; ++i) request.topics->emplace_back().name = topic;
  return request;
}

/// Whether memory was short.
bool is_served(std::size_t nth) {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, serve_metadata);
  auto c = open(w);
  REQUIRE(c);
  const std::string topic(300, 'x');
  const auto request = about(topic, 50);  // larger than what its buffer had room for until then
  std::size_t left = nth;
  try {
    const counted::shortage now(left);
    auto unused = (*c)->async_request(request);
  } catch (const std::bad_alloc&) {
  }
  const auto next = about(topic, 1);
  const auto answer = w.run((*c)->async_request(next));
  CHECK(answer);
  CHECK((*c)->is_open());
  CHECK((*c)->requests_in_flight() == 0);
  return left == 0;
}

TEST_CASE("whichever allocation of sending a request fails, the next is served") {
  // Those of the frame and its entry: the next is the simulated stream's, which has no answer to a shortage.
  for (std::size_t nth = 1; nth <= 7; ++nth) {
    CAPTURE(nth);
    CHECK(is_served(nth));
  }
}

/// Answers nothing but the handshake.
asio::awaitable<void> keep_silent(std::unique_ptr<net::transport> stream) {
  peer p(std::move(stream));
  (void)co_await p.shake_hands();
  co_await p.drain();
}

struct ends_seen final : kawait::observer {
  void on_disconnected(const disconnected&) override { ++count; }
  int count = 0;
};

/// Whether memory was short.
bool fails_all_when_closed(std::size_t nth) {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, keep_silent);
  const auto seen = std::make_shared<ends_seen>();
  net::connection_options options;
  options.observers.add(seen);
  net::address where("a-broker-of-some-name", "10.0.0.1", 9092);
  auto c = w.run(net::connection::open(w.executor(), std::move(where), options, net::time_point::max()));
  REQUIRE(c);
  const auto first = ask(w, *c), second = ask(w, *c);
  w.poll();
  kawait::failure why(kawait::errc::connection_closed, "words that are longer than what a string holds in place");
  std::size_t left = nth;
  bool threw = false;
  try {
    const counted::shortage now(left);
    (*c)->close(std::move(why));
  } catch (const std::bad_alloc&) {
    threw = true;
  }
  CHECK(!threw);
  (*c)->close();
  w.poll();
  for (const auto& e : {first, second}) {
    CHECK(e->finished);
    if (e->end) CHECK(e->end->error().code == kawait::errc::connection_closed);
  }
  CHECK(seen->count <= 1);
  if (left > 0) CHECK(seen->count == 1);
  return left == 0;
}

TEST_CASE("whichever allocation of closing a connection fails, its requests end") {
  std::size_t nth = 0;
  for (bool was_short = true; was_short;) {
    CAPTURE(++nth);
    was_short = fails_all_when_closed(nth);
  }
  CHECK(nth > 3);  // the words of each request, and the name that observers are told
}

TEST_CASE("whichever allocation of a time-out fails, the connection is closed and nothing leaves the context") {
  for (std::size_t nth = 1; nth <= 4; ++nth) {
    CAPTURE(nth);
    testing::world w;
    w.network().listen("10.0.0.1", 9092, keep_silent);
    auto c = open(w);
    REQUIRE(c);
    const auto e = ask(w, *c, 10s);
    w.advance(9s);
    std::size_t left = nth;
    bool threw = false;
    try {
      const counted::shortage now(left);
      w.advance(1s);
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    CHECK(left == 0);
    CHECK(!threw);
    w.poll();
    CHECK(!(*c)->is_open());
    CHECK(e->finished);
    const std::error_code short_of_memory = std::make_error_code(std::errc::not_enough_memory);
    if (e->end) CHECK((e->end->error().code == short_of_memory || e->end->error().code == kawait::errc::request_timeout));
  }
}

}  // namespace
