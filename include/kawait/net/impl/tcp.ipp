#pragma once

#include <algorithm>

#include <sys/socket.h>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_state.hpp>
#include <asio/this_coro.hpp>

#include <kawait/net/tcp.hpp>

namespace kawait::net {
namespace detail {

/// Below this much of a body, waking up for every segment costs less than the two system calls.
inline constexpr std::size_t least_low_water = 32 * 1024;
inline constexpr std::size_t most_low_water = 512 * 1024;
/// What is copied in one go, and the most that is read before others have a turn.
inline constexpr std::size_t copied_at_once = 128 * 1024;
inline constexpr std::size_t read_at_once = 1024 * 1024;

/// What a connection attempt and its time-out share; each of them is owned by the execution context alone.
struct tcp_attempt {
  explicit tcp_attempt(const asio::any_io_executor& executor) : socket(executor), limit(executor) {}

  asio::ip::tcp::socket socket;
  timer limit;
  bool timed_out = false;
};

/// What a name resolution and its waiter share. getaddrinfo() cannot be interrupted: who waited too long leaves it behind.
struct tcp_resolution {
  explicit tcp_resolution(const asio::any_io_executor& executor) : resolver(executor), ready(executor) {}

  asio::ip::tcp::resolver resolver;
  condition ready;
  bool done = false;
  std::error_code code;
  std::vector<address> addresses;
};

/// Cancels what is pending on a socket by a shutdown, while it lives; for an operation with the token below. Asked by Asio 1.22.1 on
/// io_uring, a cancellation carries the address that its queue entry held before: once the queue has gone round (16384 entries), the
/// answer ends an operation of any other socket, whose read is still under way in the kernel.
class cancel_by_shutdown {
 public:
  cancel_by_shutdown(const asio::cancellation_state& state, asio::ip::tcp::socket& socket) : slot_(state.slot()) {
    if (!slot_.is_connected()) return;
    slot_.assign([this, &socket](asio::cancellation_type) {
      has_stopped_ = true;
      stop(socket);
    });
  }
  cancel_by_shutdown(const cancel_by_shutdown&) = delete;
  cancel_by_shutdown& operator=(const cancel_by_shutdown&) = delete;
  ~cancel_by_shutdown() { slot_.clear(); }

  /// What the operation has ended with, which says what the shutdown did if it was cancelled.
  std::error_code end_of(std::error_code code) const { return has_stopped_ ? asio::error::operation_aborted : code; }

  static void stop(asio::ip::tcp::socket& socket) noexcept {
    std::error_code ignored;
    socket.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  }

 private:
  asio::cancellation_slot slot_;
  bool has_stopped_ = false;
};

/// Of what Asio itself shall not cancel. Not const: Asio 1.22.1 does not take it then.
inline auto use_tuple_uncancelled() {
  return kawait::detail::as_tuple(asio::bind_cancellation_slot(asio::cancellation_slot(), asio::use_awaitable));
}

inline failure unresolved(const host_port& where, std::string_view why) {
  std::string words = where.to_string();
  words.append(": ").append(why);
  return failure(errc::unresolved_host, std::move(words));
}

}  // namespace detail

KAWAIT_DECL std::unique_ptr<network> make_tcp_network() { return std::make_unique<tcp_network>(); }

KAWAIT_DECL tcp_transport::tcp_transport(asio::ip::tcp::socket socket, std::string peer)
    : socket_(std::move(socket)), peer_(std::move(peer)) {
  std::error_code ignored;  // A slower connection is better than none.
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

KAWAIT_DECL asio::awaitable<std::size_t> tcp_transport::read_some(std::span<std::byte> room, std::error_code& ec) {
  const asio::mutable_buffer buffer(room.data(), std::min(room.size(), detail::copied_at_once));
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  const detail::cancel_by_shutdown canceller(state, socket_);
  auto token = detail::use_tuple_uncancelled();
  ++pending_;
  const auto [code, size] = co_await socket_.async_read_some(buffer, token);
  ec = canceller.end_of(code);
  end_operation(ec);
  co_return ec ? 0 : size + read_on(room.subspan(size), size);
}

// While more than the low-water mark is unread, the kernel acknowledges nothing until a read has ended, and a peer can send no more than
// its own buffer takes, which a broker's socket.send.buffer.bytes keeps small. Read as a whole, half a megabyte is copied while the
// peer sleeps; in parts, it sends on meanwhile. A part that was not filled was the last; errors are left to the next read.
KAWAIT_DECL std::size_t tcp_transport::read_on(std::span<std::byte> room, std::size_t last) noexcept {
  room = room.first(std::min(room.size(), detail::read_at_once));
  std::size_t done = 0;
  while (last == detail::copied_at_once && done < room.size()) {
    const auto got = ::recv(socket_.native_handle(), room.data() + done, std::min(room.size() - done, last), MSG_DONTWAIT);
    last = got > 0 ? static_cast<std::size_t>(got) : 0;
    done += last;
  }
  return done;
}

KAWAIT_DECL asio::awaitable<void> tcp_transport::write(std::span<const std::byte> bytes, std::error_code& ec) {
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  auto token = detail::use_tuple_uncancelled();
  while (!bytes.empty()) {
    const detail::cancel_by_shutdown canceller(state, socket_);
    const asio::const_buffer buffer(bytes.data(), bytes.size());
    ++pending_;
    const auto [code, size] = co_await socket_.async_write_some(buffer, token);
    ec = canceller.end_of(code);
    end_operation(ec);
    if (ec) co_return;
    bytes = bytes.subspan(size);
  }
}

KAWAIT_DECL std::size_t tcp_transport::try_write(std::span<const std::byte> bytes) noexcept {
  if (closed_) return 0;
  const auto sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent > 0 ? static_cast<std::size_t>(sent) : 0;
}

// Half of what is missing, so that more comes while that is copied, and little is left to be copied once the peer has sent its
// last byte: only then it gets the next request.
KAWAIT_DECL void tcp_transport::expect(std::size_t missing) noexcept {
  const std::size_t half = std::clamp(missing / 2, std::min(missing, 2 * detail::least_low_water), detail::most_low_water);
  const int wanted = missing < detail::least_low_water ? 1 : static_cast<int>(half);
  if (wanted == low_water_ || closed_) return;
  if (::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted) == 0) low_water_ = wanted;
}

// Never under a read or a write: Asio 1.22.1 on io_uring gives the closed socket's entry, with the cancelled read still in its queue,
// to the socket that is opened next. When the cancellation is answered, the read is started once more, on the descriptor's number,
// which is the new socket's by then: the old connection would read the new one's first answer. So what is pending is woken by a
// shutdown, and the last to end closes.
KAWAIT_DECL void tcp_transport::close() noexcept {
  if (std::exchange(closed_, true)) return;
  std::error_code ignored;
  if (pending_ > 0) {
    socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  } else {
    socket_.close(ignored);
  }
}

// A reset, which drops what the kernel would go on to send after a mere close, for minutes if need be.
KAWAIT_DECL void tcp_transport::abort() noexcept {
  std::error_code ignored;
  if (!closed_) socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  close();
}

KAWAIT_DECL void tcp_transport::end_operation(std::error_code& ec) {
  --pending_;
  if (!closed_) return;
  std::error_code ignored;
  if (pending_ == 0) socket_.close(ignored);
  ec = asio::error::operation_aborted;
}

namespace detail {

// Not in the coroutine itself: g++ finds fault with a frame that holds a lambda.
inline void start_resolution(const std::shared_ptr<tcp_resolution>& shared, const host_port& where) {
  const auto flags = asio::ip::tcp::resolver::numeric_service | asio::ip::tcp::resolver::address_configured;
  const auto keep = [shared, where](std::error_code code, asio::ip::tcp::resolver::results_type found) {
    shared->done = true;
    shared->code = code;
    for (const auto& entry : found) {
      address a(where.host, entry.endpoint().address().to_string(), where.port);
      auto& all = shared->addresses;
      if (std::find(all.begin(), all.end(), a) == all.end()) all.push_back(std::move(a));
    }
    shared->ready.notify_all();
  };
  shared->resolver.async_resolve(where.host, std::to_string(where.port), flags, keep);
}

}  // namespace detail

KAWAIT_DECL asio::awaitable<result<std::vector<address>>> tcp_network::resolve(host_port where, time_point deadline) {
  std::error_code ec;
  asio::ip::make_address(where.host, ec);
  if (!ec) {
    std::vector<address> itself;
    itself.emplace_back(where.host, where.host, where.port);
    co_return itself;
  }
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto shared = std::make_shared<detail::tcp_resolution>(executor);
  detail::start_resolution(shared, where);
  while (!shared->done) {
    const std::error_code late = co_await shared->ready.wait_until(deadline);
    if (late && !shared->done) {
      shared->resolver.cancel();
      co_return detail::unresolved(where, late.message());
    }
  }
  if (shared->code) co_return detail::unresolved(where, shared->code.message());
  if (shared->addresses.empty()) co_return detail::unresolved(where, "the name has no address");
  co_return std::move(shared->addresses);
}

KAWAIT_DECL asio::awaitable<result<std::unique_ptr<transport>>> tcp_network::connect(address where, time_point deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const std::string peer = where.to_string();
  std::error_code ec;
  const auto ip = asio::ip::make_address(where.ip, ec);
  if (ec) co_return failure(ec, peer);
  const asio::ip::tcp::endpoint endpoint(ip, where.port);
  const auto attempt = std::make_shared<detail::tcp_attempt>(executor);
  attempt->socket.open(endpoint.protocol(), ec);
  if (ec) co_return failure(ec, peer);
  attempt->limit.expires_at(deadline);
  attempt->limit.async_wait([attempt](std::error_code code) {
    if (code) return;
    attempt->timed_out = true;
    detail::cancel_by_shutdown::stop(attempt->socket);
  });
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  const detail::cancel_by_shutdown canceller(state, attempt->socket);
  auto token = detail::use_tuple_uncancelled();
  const auto [code] = co_await attempt->socket.async_connect(endpoint, token);
  attempt->limit.cancel();
  if (attempt->timed_out) co_return failure(std::make_error_code(std::errc::timed_out), peer);
  if (const std::error_code end = canceller.end_of(code)) co_return failure(end, peer);
  std::unique_ptr<transport> connected = std::make_unique<tcp_transport>(std::move(attempt->socket), peer);
  co_return std::move(connected);
}

}  // namespace kawait::net
