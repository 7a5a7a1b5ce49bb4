#pragma once

#include <memory>
#include <string>

#include <asio/ip/tcp.hpp>

#include <kawait/detail/asio.hpp>
#include <kawait/net/network.hpp>
#include <kawait/net/timer.hpp>

namespace kawait::net {

/// A TCP connection by Asio: io_uring or epoll, as the build has it.
class tcp_transport final : public transport {
 public:
  /// Of a connected socket; takes Nagle's delay off it.
  KAWAIT_DECL tcp_transport(asio::ip::tcp::socket socket, std::string peer);

  KAWAIT_DECL asio::awaitable<std::size_t> read_some(std::span<std::byte> room, std::error_code& ec) override;
  KAWAIT_DECL asio::awaitable<void> write(std::span<const std::byte> bytes, std::error_code& ec) override;
  KAWAIT_DECL std::size_t try_write(std::span<const std::byte> bytes) noexcept override;
  KAWAIT_DECL void expect(std::size_t missing) noexcept override;
  KAWAIT_DECL void close() noexcept override;
  KAWAIT_DECL void abort() noexcept override;
  std::string peer() const override { return peer_; }

 private:
  KAWAIT_DECL std::size_t read_on(std::span<std::byte> room, std::size_t last) noexcept;
  KAWAIT_DECL void end_operation(std::error_code& ec);

  asio::ip::tcp::socket socket_;
  std::string peer_;
  int pending_ = 0;     // Reads and writes under way.
  bool closed_ = false;
  int low_water_ = 1;  // SO_RCVLOWAT as it stands.
};

/// Asio's resolver and sockets. A name that is no IP literal starts Asio's one resolver thread.
class tcp_network final : public network {
 public:
  KAWAIT_DECL asio::awaitable<result<std::vector<address>>> resolve(host_port where, time_point deadline) override;
  KAWAIT_DECL asio::awaitable<result<std::unique_ptr<transport>>> connect(address where, time_point deadline) override;
};

}  // namespace kawait::net

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/net/impl/tcp.ipp>
#endif
