// The network in memory: what a connection may be made to do.

#include "catch.hpp"

#include <sstream>
#include <string>

#include <kawait/testing/world.hpp>

namespace memory_network_tests {

using namespace std::chrono_literals;
namespace net = kawait::net;
namespace testing = kawait::testing;
using testing::connection_plan;
using testing::pipe_options;

struct arrival {
  net::duration at;
  std::string text;
  friend bool operator==(const arrival&, const arrival&) = default;
};

/// What comes out of one end, and how it ends.
struct listener {
  std::vector<arrival> seen;
  std::optional<std::error_code> end;
  std::string text() const {
    std::string all;
    for (const arrival& a : seen) all += a.text;
    return all;
  }
};

asio::awaitable<void> read_all(testing::world& w, net::transport& from, listener& into) {
  const net::time_point start = w.now();
  std::array<char, 10'000> room;
  for (;;) {
    std::error_code ec;
    const std::span<char> chars(room);
    const std::size_t n = co_await from.read_some(std::as_writable_bytes(chars), ec);
    if (ec) {
      into.end = ec;
      co_return;
    }
    into.seen.push_back(arrival{w.now() - start, std::string(room.data(), n)});
  }
}

std::error_code write(testing::world& w, net::transport& to, const std::string& text) {
  const auto send = [](net::transport& t, std::string s) -> asio::awaitable<std::error_code> {
    std::error_code ec;
    const std::span<const char> chars(s);
    co_await t.write(std::as_bytes(chars), ec);
    co_return ec;
  };
  return w.run(send(to, text));
}

struct pipe_scene {
  explicit pipe_scene(pipe_options o) : pipe(w.executor(), "client", "server", o) {
    w.spawn(read_all(w, *pipe.first, client));
    w.spawn(read_all(w, *pipe.second, server));
  }
  testing::world w;
  testing::memory_pipe pipe;
  listener client, server;
};

TEST_CASE("memory network: latency delays bytes, and keeps their order") {
  pipe_options o;
  o.up.latency = 30ms;
  o.down.latency = 500ms;
  pipe_scene s(o);
  CHECK(!write(s.w, *s.pipe.first, "one"));
  s.w.advance(10ms);
  CHECK(!write(s.w, *s.pipe.first, "two"));
  CHECK(!write(s.w, *s.pipe.second, "back"));
  s.w.advance(1s);
  CHECK(s.server.seen == std::vector<arrival>{{30ms, "one"}, {40ms, "two"}});
  CHECK(s.client.seen == std::vector<arrival>{{510ms, "back"}});
  // What was under way when it was closed still arrives.
  CHECK(!write(s.w, *s.pipe.first, "three"));
  s.pipe.first->close();
  s.w.advance(29ms);
  CHECK(!s.server.end);
  s.w.advance(1ms);
  CHECK(s.server.text() == "onetwothree");
  CHECK(s.server.end == std::error_code(asio::error::eof));
}

TEST_CASE("memory network: a slow link takes its time for every byte") {
  pipe_options o;
  o.down.bytes_per_second = 1000;
  o.down.latency = 5ms;
  pipe_scene s(o);
  CHECK(!write(s.w, *s.pipe.second, std::string(2460, 'x')));
  s.w.advance(1464ms);
  CHECK(s.client.seen.empty());
  s.w.advance(1ms);
  CHECK(s.client.text().size() == 1460);
  s.w.advance(1s);
  CHECK(s.client.text().size() == 2460);
  CHECK(s.client.seen.back().at == 2465ms);
  // Idle time is not saved up.
  s.w.advance(1min);
  CHECK(!write(s.w, *s.pipe.second, std::string(100, 'y')));
  s.w.advance(104ms);
  CHECK(s.client.text().size() == 2460);
  s.w.advance(1ms);
  CHECK(s.client.text().size() == 2560);
}

TEST_CASE("memory network: a connection is cut at any byte of either direction") {
  for (const bool up : {true, false}) {
    for (std::uint64_t at = 0; at <= 12; ++at) {
      CAPTURE(up, at);
      pipe_options o;
      (up ? o.up : o.down).cut_at = at;
      pipe_scene s(o);
      net::transport& writer = up ? *s.pipe.first : *s.pipe.second;
      listener& reader = up ? s.server : s.client;
      const std::error_code first = write(s.w, writer, "0123");
      const std::error_code second = write(s.w, writer, "4567");
      s.w.advance(1s);
      CHECK(!first);
      CHECK(static_cast<bool>(second) == (at <= 4));
      CHECK(reader.text() == std::string("01234567").substr(0, at));
      CHECK(reader.end.has_value() == (at <= 8));
      if (at > 8) continue;
      CHECK(*reader.end == std::error_code(asio::error::connection_reset));
      CHECK((up ? s.client : s.server).end == std::error_code(asio::error::connection_reset));
      CHECK(write(s.w, up ? *s.pipe.second : *s.pipe.first, "x") == std::error_code(asio::error::connection_reset));
      CHECK(writer.try_write(std::as_bytes(std::span<const char>("x", 1))) == 0);
    }
  }
}

TEST_CASE("memory network: half-open, nobody is told") {
  pipe_options o;
  o.up.lose_from = 3;
  pipe_scene s(o);
  CHECK(!write(s.w, *s.pipe.first, "hello"));
  CHECK(!write(s.w, *s.pipe.first, "again"));
  CHECK(!write(s.w, *s.pipe.second, "answer"));
  s.w.advance(24h);
  CHECK(s.server.text() == "hel");
  CHECK(!s.server.end);
  CHECK(s.client.text() == "answer");
}

TEST_CASE("memory network: one listener at an address, and who stops stops its own") {
  testing::world w;
  std::string served;
  const auto answer_as = [&](char name) {
    return [&served, name](std::unique_ptr<net::transport>) -> asio::awaitable<void> {
      served += name;
      co_return;
    };
  };
  const auto connects = [&] {
    const auto end = w.run(w.network().connect(net::address("10.0.0.1", "10.0.0.1", 9092), w.now() + 10s));
    w.poll();
    return static_cast<bool>(end);
  };
  CHECK(!w.network().is_taken("10.0.0.1", 9092));
  const std::uint64_t first = w.network().listen("10.0.0.1", 9092, answer_as('a'));
  CHECK(w.network().is_taken("10.0.0.1", 9092));
  CHECK(!w.network().is_taken("10.0.0.1", 9093));
  std::error_code refused;
  try {
    w.network().listen("10.0.0.1", 9092, answer_as('b'));
  } catch (const std::system_error& e) {
    refused = e.code();
  }
  CHECK(refused == asio::error::address_in_use);
  CHECK(connects());
  w.network().stop_listening("10.0.0.1", 9092, first);
  CHECK(!connects());
  const std::uint64_t second = w.network().listen("10.0.0.1", 9092, answer_as('c'));
  CHECK(second != first);
  w.network().stop_listening("10.0.0.1", 9092, first);
  CHECK(connects());
  w.network().black_hole("10.0.0.1", 9092);
  CHECK(!w.network().is_taken("10.0.0.1", 9092));
  w.network().stop_listening("10.0.0.1", 9092, second);
  CHECK(!connects());
  w.network().listen("10.0.0.1", 9092, answer_as('d'));
  CHECK(connects());
  CHECK(served == "acd");
}

TEST_CASE("memory network: a decision about every attempt to connect") {
  testing::world w;
  std::ostringstream lines;
  w.trace(lines);
  std::vector<std::unique_ptr<net::transport>> accepted;
  w.network().listen("10.0.0.1", 9092, [&](std::unique_ptr<net::transport> t) -> asio::awaitable<void> {
    accepted.push_back(std::move(t));
    co_return;
  });
  std::vector<std::size_t> numbers;
  w.network().set_connection_faults("10.0.0.1", 9092, [&](const testing::connection_attempt& a, connection_plan& plan) {
    CHECK(a.where == net::host_port("10.0.0.1", 9092));
    CHECK(a.at == w.now());
    numbers.push_back(a.number);
    if (a.number == 1) plan.what = connection_plan::outcome::refused;
    if (a.number == 2) plan.what = connection_plan::outcome::black_hole;
    if (a.number == 3) plan.delay = 3s;
    if (a.number == 4) plan.delay = 1h;
    if (a.number == 5) plan.options.chunk = 1;
  });
  const auto connect = [&] {
    const auto start = w.now();
    auto end = w.run(w.network().connect(net::address("10.0.0.1", "10.0.0.1", 9092), w.now() + 10s));
    return std::pair(end ? std::error_code() : end.error().code, w.now() - start);
  };
  CHECK(connect() == std::pair(std::error_code(asio::error::connection_refused), net::duration(0)));
  CHECK(connect() == std::pair(std::make_error_code(std::errc::timed_out), net::duration(10s)));
  CHECK(connect() == std::pair(std::error_code(), net::duration(3s)));
  CHECK(connect() == std::pair(std::make_error_code(std::errc::timed_out), net::duration(10s)));
  CHECK(connect() == std::pair(std::error_code(), net::duration(0)));
  CHECK(accepted.size() == 2);
  w.network().set_connection_faults("10.0.0.1", 9092, nullptr);
  CHECK(connect() == std::pair(std::error_code(), net::duration(0)));
  CHECK(numbers == std::vector<std::size_t>{1, 2, 3, 4, 5});
  // A listener that stops while somebody is connecting.
  w.network().set_connection_faults("10.0.0.1", 9092, [&](const testing::connection_attempt&, connection_plan& plan) {
    plan.delay = 1s;
    w.network().stop_listening("10.0.0.1", 9092);
  });
  CHECK(connect() == std::pair(std::error_code(asio::error::connection_refused), net::duration(1s)));
  CHECK(lines.str().find("         13.000000 client:40000 connected to port 9092\n") != std::string::npos);
  accepted.clear();
}

}  // namespace memory_network_tests
