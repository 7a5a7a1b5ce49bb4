#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kawait/net/network.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/testing/event_trace.hpp>

namespace kawait::testing {

/// One direction of a simulated connection. By default bytes arrive at once.
struct link_options {
  net::duration latency{0};                ///< Of every byte, virtual time.
  std::uint64_t bytes_per_second = 0;      ///< 0: any number. They come in pieces of 1460 bytes.
  std::optional<std::uint64_t> cut_at;     ///< After so many bytes the connection is reset, in both directions.
  std::optional<std::uint64_t> lose_from;  ///< Bytes beyond so many vanish, and nobody is told: half-open.

  link_options() = default;
  bool delays() const noexcept { return latency.count() > 0 || bytes_per_second > 0; }
};

/// How a simulated connection behaves, in both directions.
struct pipe_options {
  std::size_t chunk = std::numeric_limits<std::size_t>::max();  ///< The most bytes that one read yields: 1 shows every boundary.
  std::size_t capacity = 1024 * 1024;                           ///< What may be under way before a writer waits.
  bool takes_at_once = true;                                    ///< False: every write goes through the writer coroutine.
  link_options up;                                              ///< From the first end, the client, to the second.
  link_options down;                                            ///< And back.

  pipe_options() = default;
};

/// Two ends of a stream in memory. They must not outlive the execution context.
struct memory_pipe {
  std::unique_ptr<net::transport> first;   ///< Calls `second_name` its peer.
  std::unique_ptr<net::transport> second;  ///< And the reverse.

  /// What is written is told to the trace, if there is one; it must outlive both ends.
  KAWAIT_DECL memory_pipe(const asio::any_io_executor& executor, std::string first_name, std::string second_name,
                          pipe_options options, event_trace* trace = nullptr);
};

/// What whoever reads one end of a simulated connection may know of the other, beside what arrives.
struct memory_peer {
  net::time_point wrote{};  ///< When it wrote the last byte that was read here.
  bool has_closed = false;  ///< Though what it wrote may be under way still.
};
/// None of a transport that is not in memory.
KAWAIT_DECL std::optional<memory_peer> peer_of(const net::transport& end);

/// Somebody wants to connect.
struct connection_attempt {
  net::host_port where;
  std::size_t number = 0;  ///< This is the n-th attempt to connect there, from 1.
  net::time_point at{};
};

/// What becomes of it.
struct connection_plan {
  enum class outcome {
    accepted,   ///< If something listens.
    refused,
    black_hole  ///< No answer until the attempt's deadline.
  };
  outcome what = outcome::accepted;
  std::error_code error = asio::error::connection_refused;  ///< What one that is refused is told.
  net::duration delay{0};  ///< Before that, but no longer than until the deadline.
  pipe_options options;    ///< Of the connection; as its listener has them, to begin with.

  connection_plan() = default;
};

/// Decides about an attempt to connect.
using connection_decision = std::function<void(const connection_attempt&, connection_plan&)>;

/// A network in memory: names, addresses, listeners. What listens is a coroutine per connection.
class memory_network final : public net::network {
 public:
  using acceptor = std::function<asio::awaitable<void>(std::unique_ptr<net::transport>)>;

  explicit memory_network(net::time_point start = {}) : trace_(start) {}

  /// `host` is an address, or a name that then needs none. The coroutine starts anew for each connection; what it throws leaves
  /// the world's run. Its number, from 1. Throws std::system_error, asio::error::address_in_use, if something listens there; a
  /// black hole does not.
  KAWAIT_DECL std::uint64_t listen(const std::string& host, std::uint16_t port, acceptor serve,
                                   pipe_options options = pipe_options());
  /// New connections are refused; open ones stay. Whoever listens there, or only the listener of this number.
  KAWAIT_DECL void stop_listening(const std::string& host, std::uint16_t port);
  KAWAIT_DECL void stop_listening(const std::string& host, std::uint16_t port, std::uint64_t number);
  KAWAIT_DECL bool is_taken(const std::string& host, std::uint16_t port) const;
  /// Attempts get no answer until their deadline.
  KAWAIT_DECL void black_hole(const std::string& host, std::uint16_t port);
  /// Asked about every attempt to connect there, whether something listens or not. Empty: all is well.
  KAWAIT_DECL void set_connection_faults(const std::string& host, std::uint16_t port, connection_decision decide);
  /// A name that resolves to these addresses, in this order; to none: it does not resolve.
  KAWAIT_DECL void add_name(const std::string& name, std::vector<std::string> ips);

  /// How often something tried to connect there, and when last.
  KAWAIT_DECL std::size_t attempts(const std::string& host, std::uint16_t port) const;
  /// What happens in this network, and in the world around it.
  event_trace& trace() noexcept { return trace_; }

  KAWAIT_DECL asio::awaitable<result<std::vector<net::address>>> resolve(net::host_port where, net::time_point deadline) override;
  KAWAIT_DECL asio::awaitable<result<std::unique_ptr<net::transport>>> connect(net::address where,
                                                                               net::time_point deadline) override;

 private:
  using key = std::pair<std::string, std::uint16_t>;
  struct listener {
    std::shared_ptr<acceptor> serve;  // Null: a black hole.
    pipe_options options;
    std::uint64_t number = 0;
  };

  KAWAIT_DECL asio::awaitable<failure> follow(connection_plan plan, net::address where, net::time_point deadline);

  event_trace trace_;
  std::map<key, listener> listeners_;
  std::map<key, connection_decision> decisions_;
  std::map<key, std::size_t> attempts_;
  std::map<std::string, std::vector<std::string>> names_;
  std::uint64_t last_listener_ = 0;
  std::uint32_t next_port_ = 40000;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/memory_network.ipp>
#endif
