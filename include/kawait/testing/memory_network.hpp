#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kawait/net/network.hpp>
#include <kawait/net/timer.hpp>

namespace kawait::testing {

/// How a simulated connection behaves, in both directions.
struct pipe_options {
  std::size_t chunk = std::numeric_limits<std::size_t>::max();  ///< The most bytes that one read yields: 1 shows every boundary.
  std::size_t capacity = 1024 * 1024;                           ///< What may be under way before a writer waits.
  bool takes_at_once = true;                                    ///< False: every write goes through the writer coroutine.

  pipe_options() = default;
};

/// Two ends of a stream in memory. They must not outlive the execution context.
struct memory_pipe {
  std::unique_ptr<net::transport> first;   ///< Calls `second_name` its peer.
  std::unique_ptr<net::transport> second;  ///< And the reverse.

  KAWAIT_DECL memory_pipe(const asio::any_io_executor& executor, std::string first_name, std::string second_name,
                          pipe_options options);
};

/// A network in memory: names, addresses, listeners. What listens is a coroutine per connection.
class memory_network final : public net::network {
 public:
  using acceptor = std::function<asio::awaitable<void>(std::unique_ptr<net::transport>)>;

  /// `host` is an address, or a name that then needs none. The coroutine starts anew for each connection; what it throws leaves
  /// the world's run. Replaces an earlier listener.
  KAWAIT_DECL void listen(const std::string& host, std::uint16_t port, acceptor serve, pipe_options options = pipe_options());
  /// New connections are refused; open ones stay.
  KAWAIT_DECL void stop_listening(const std::string& host, std::uint16_t port);
  /// Attempts get no answer until their deadline.
  KAWAIT_DECL void black_hole(const std::string& host, std::uint16_t port);
  /// A name that resolves to these addresses, in this order; to none: it does not resolve.
  KAWAIT_DECL void add_name(const std::string& name, std::vector<std::string> ips);

  /// How often something tried to connect there, and when last.
  KAWAIT_DECL std::size_t attempts(const std::string& host, std::uint16_t port) const;

  KAWAIT_DECL asio::awaitable<result<std::vector<net::address>>> resolve(net::host_port where, net::time_point deadline) override;
  KAWAIT_DECL asio::awaitable<result<std::unique_ptr<net::transport>>> connect(net::address where,
                                                                               net::time_point deadline) override;

 private:
  using key = std::pair<std::string, std::uint16_t>;
  struct listener {
    std::shared_ptr<acceptor> serve;  // Null: a black hole.
    pipe_options options;
  };

  std::map<key, listener> listeners_;
  std::map<key, std::size_t> attempts_;
  std::map<std::string, std::vector<std::string>> names_;
  std::uint32_t next_port_ = 40000;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/memory_network.ipp>
#endif
