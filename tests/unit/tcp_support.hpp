#pragma once

// Real sockets on loopback, and a context for them.

#include "catch.hpp"

#include <chrono>
#include <exception>
#include <memory>
#include <optional>

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <kawait/net/tcp.hpp>

namespace tcp_tests {

namespace net = kawait::net;
using tcp = asio::ip::tcp;

template <class T>
T run(asio::io_context& io, asio::awaitable<T> coroutine) {
  std::optional<T> end;
  const auto finish = [&end](asio::awaitable<T> c) -> asio::awaitable<void> {
    auto value = co_await std::move(c);
    end.emplace(std::move(value));
  };
  asio::co_spawn(io, finish(std::move(coroutine)), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
  io.restart();
  while (!end && io.run_one() != 0) {
  }
  REQUIRE(end.has_value());
  return *std::move(end);
}

/// Not run_for(): on io_uring, Asio 1.22.1 leaves completions behind that carry the address of its caller's stack, or of an operation that
/// has ended.
inline void run_a_while(asio::io_context& io, std::chrono::milliseconds how_long) {
  asio::steady_timer end(io, how_long);
  end.async_wait([&io](std::error_code) { io.stop(); });
  io.restart();
  io.run();
}

/// Both ends of a connection, the peer's as it is.
struct connected_pair {
  explicit connected_pair(asio::io_context& io) : peer(io) {
    tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket socket(io);
    socket.connect(acceptor.local_endpoint());
    acceptor.accept(peer);
    descriptor = socket.native_handle();
    transport = std::make_unique<net::tcp_transport>(std::move(socket), "peer");
  }

  tcp::socket peer;
  int descriptor = -1;
  std::unique_ptr<net::tcp_transport> transport;
};

}  // namespace tcp_tests
