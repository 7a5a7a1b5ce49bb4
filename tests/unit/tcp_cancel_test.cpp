#include "catch.hpp"

#include <array>
#include <deque>
#include <optional>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/detached.hpp>
#include <asio/post.hpp>
#include <asio/this_coro.hpp>
#include <asio/write.hpp>

#include "tcp_support.hpp"

namespace tcp_cancel_tests {

using namespace tcp_tests;
using namespace std::chrono_literals;

/// So many that every entry of io_uring's queue has been this read's.
asio::awaitable<bool> read_bytes(connected_pair& pair, int count) {
  const auto executor = co_await asio::this_coro::executor;
  std::array<std::byte, 1> room;
  for (int i = 0; i < count; ++i) {
    std::error_code ec;
    asio::post(executor, [&pair] { asio::write(pair.peer, asio::buffer("x", 1)); });
    co_await pair.transport->read_some(room, ec);
    if (ec) co_return false;
  }
  co_return true;
}

asio::awaitable<void> read_last(connected_pair& pair, std::optional<std::error_code>& ended) {
  std::array<std::byte, 1> room;
  std::error_code ec;
  co_await pair.transport->read_some(room, ec);
  ended = ec;
}

asio::awaitable<void> connect_in_vain(std::uint16_t port, net::time_point deadline, std::optional<std::error_code>& ended) {
  net::tcp_network network;
  const net::address where("127.0.0.1", "127.0.0.1", port);
  const auto r = co_await network.connect(where, deadline);
  ended = r ? std::error_code() : r.error().code;
}

/// A port that answers nobody any more: its queue is full.
struct silent_port {
  explicit silent_port(asio::io_context& io) : acceptor(io) {
    acceptor.open(tcp::v4());
    acceptor.bind(tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    acceptor.listen(0);
    for (int i = 0; i < 4; ++i) {
      tcp::socket& s = before.emplace_back(io);
      s.open(tcp::v4());
      s.native_non_blocking(true);
      const auto end = acceptor.local_endpoint();
      (void)::connect(s.native_handle(), end.data(), static_cast<socklen_t>(end.size()));  // Asio's own would wait
    }
  }

  tcp::acceptor acceptor;
  std::deque<tcp::socket> before;
};

// A cancellation that Asio 1.22.1 asks of io_uring is answered to whichever operation its queue entry was of before.
TEST_CASE("what is given up on one socket leaves the others' operations alone", "[net][tcp]") {
  const int given_up = GENERATE(0, 1, 2);
  CAPTURE(given_up);
  asio::io_context io(1);
  connected_pair reads(io), other(io);
  silent_port nobody(io);
  REQUIRE(run(io, read_bytes(reads, 17'000)));
  std::optional<std::error_code> ended, gone;
  asio::cancellation_signal stop;
  const auto start = [&](asio::awaitable<void> op) {
    asio::co_spawn(io, std::move(op), asio::bind_cancellation_slot(stop.slot(), [](std::exception_ptr) {}));
  };
  asio::co_spawn(io, read_last(reads, ended), asio::detached);
  const auto now = std::chrono::steady_clock::now();
  const auto port = nobody.acceptor.local_endpoint().port();
  if (given_up == 0) start(connect_in_vain(port, now + 20ms, gone));
  if (given_up == 1) start(connect_in_vain(port, now + 1h, gone));
  if (given_up == 2) start(read_last(other, gone));
  run_a_while(io, 10ms);
  if (given_up > 0) stop.emit(asio::cancellation_type::terminal);
  run_a_while(io, 50ms);
  CHECK(gone == (given_up == 0 ? std::make_error_code(std::errc::timed_out) : asio::error::operation_aborted));
  CHECK(!ended);
  asio::write(reads.peer, asio::buffer("x", 1));
  run_a_while(io, 10ms);
  CHECK((ended && !*ended));  // of whatever category
}

}  // namespace tcp_cancel_tests
