#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <kawait/core/result.hpp>
#include <kawait/detail/asio.hpp>

namespace kawait::net {

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;

/// A broker's name and port, as the configuration or the cluster's metadata has them.
struct host_port {
  std::string host;
  std::uint16_t port = 0;

  host_port() = default;
  host_port(std::string h, std::uint16_t p) : host(std::move(h)), port(p) {}

  /// "broker:9092" or "[::1]:9092". Fails with errc::invalid_config, whose words quote the text and say what is wrong with it.
  KAWAIT_DECL static result<host_port> parse(std::string_view text);
  KAWAIT_DECL std::string to_string() const;

  friend bool operator==(const host_port&, const host_port&) = default;
};

/// bootstrap.servers: one or more host:port, separated by commas. Fails with errc::invalid_config.
KAWAIT_DECL result<std::vector<host_port>> parse_bootstrap_servers(std::string_view text);

/// One address of a host: what a connection is opened to.
struct address {
  std::string host;  ///< The name it was resolved from, or the IP literal itself.
  std::string ip;    ///< "127.0.0.1", "::1"; the name again where a simulated network has no addresses.
  std::uint16_t port = 0;

  address() = default;
  address(std::string h, std::string i, std::uint16_t p) : host(std::move(h)), ip(std::move(i)), port(p) {}

  /// "127.0.0.1:9092", or "broker:9092 (10.0.0.1)". Every failure of a connection begins with it.
  KAWAIT_DECL std::string to_string() const;

  friend bool operator==(const address&, const address&) = default;
};

/// A connected stream of bytes: TCP, later TLS, or simulated. At most one read and one write at a time. It is not destroyed while
/// one of them runs.
class transport {
 public:
  virtual ~transport() = default;

  /// Reads at least one byte; 0 and an error at the end (asio::error::eof) or on failure. Cancelling it, or a write, may end the stream:
  /// operation_aborted is told, and close() is all that is left to do.
  virtual asio::awaitable<std::size_t> read_some(std::span<std::byte> room, std::error_code& ec) = 0;
  /// Writes all of it, or fails.
  virtual asio::awaitable<void> write(std::span<const std::byte> bytes, std::error_code& ec) = 0;
  /// Writes what the stream takes without waiting, not while a write() runs. 0 is always a right answer; errors are left to
  /// write().
  virtual std::size_t try_write(std::span<const std::byte> bytes) noexcept {
    (void)bytes;
    return 0;
  }
  /// A hint that so many bytes of a response are outstanding, so that a read may wait for many of them; 0 before anything else is
  /// read. Never more than what the peer is bound to send, or the read would wait for ever.
  virtual void expect(std::size_t missing) noexcept { (void)missing; }
  /// Ends the stream. What is pending completes with an error.
  virtual void close() noexcept = 0;
  /// As close(), but what has not got through by now never will.
  virtual void abort() noexcept { close(); }
  virtual std::string peer() const = 0;
};

/// Where transports come from.
class network {
 public:
  virtual ~network() = default;

  /// Every address of a name; an IP literal is its own, without a resolver. Fails with errc::unresolved_host; the words name the
  /// host.
  virtual asio::awaitable<result<std::vector<address>>> resolve(host_port where, time_point deadline) = 0;
  /// Fails with the system's error, or std::errc::timed_out at the deadline; the words name the address.
  virtual asio::awaitable<result<std::unique_ptr<transport>>> connect(address where, time_point deadline) = 0;
};

/// The operating system's network.
KAWAIT_DECL std::unique_ptr<network> make_tcp_network();

}  // namespace kawait::net

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/net/impl/network.ipp>
#endif
