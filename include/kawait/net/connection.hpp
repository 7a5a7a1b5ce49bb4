#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kawait/core/observer.hpp>
#include <kawait/detail/asio.hpp>
#include <kawait/net/network.hpp>
#include <kawait/net/security.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/net/tls.hpp>
#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/versions.hpp>
#include <kawait/wire/slab.hpp>

namespace kawait::net {

struct connection_options {
  std::string client_id = "kawait";
  std::string software_name = "kawait";  ///< Told to the broker; letters, digits, '-' and '.', a letter or digit at both ends.
  std::string software_version = KAWAIT_VERSION;  ///< Likewise.
  std::chrono::milliseconds request_timeout{30'000};
  std::chrono::milliseconds setup_timeout{10'000};  ///< For connecting and the handshake of one address.
  std::size_t max_frame = 100 * 1024 * 1024;
  std::size_t max_handshake_frame = 64 * 1024;  ///< Until the peer has shown to be a Kafka broker, and has authenticated us.
  std::shared_ptr<tls_context> tls;             ///< Null: plaintext.
  std::shared_ptr<const sasl_options> sasl;     ///< Null: no authentication.
  kawait::detail::observers observers;

  connection_options() = default;
};

class connection;

namespace detail {

/// Where a request's answer is put. The requester waits on it; the connection forgets it when the requester has gone.
struct answer_slot {
  explicit answer_slot(const asio::any_io_executor& executor) : ready(executor) {}

  condition ready;
  bool done = false;
  failure why;
  wire::slab_ref buffer;
  std::size_t size = 0;  ///< Of what follows the correlation id.
};

/// Takes a frame back that is not kept, or the half of it that there was memory for: what follows would be taken for its rest.
class added_frame {
 public:
  explicit added_frame(std::vector<std::byte>& frames) noexcept : frames_(&frames), before_(frames.size()) {}
  added_frame(const added_frame&) = delete;
  added_frame& operator=(const added_frame&) = delete;
  ~added_frame() {
    if (frames_) frames_->resize(before_);
  }
  void keep() noexcept { frames_ = nullptr; }

 private:
  std::vector<std::byte>* frames_;
  std::size_t before_;
};

/// A request in flight, held by its requester: destroyed before the answer came, the answer is read and dropped.
class ticket {
 public:
  ticket() = default;
  ticket(std::shared_ptr<connection> c, std::unique_ptr<answer_slot> slot, std::int32_t correlation_id) noexcept
      : connection_(std::move(c)), slot_(std::move(slot)), correlation_id_(correlation_id) {}
  ticket(ticket&&) noexcept = default;
  ticket& operator=(ticket&&) = delete;
  KAWAIT_DECL ~ticket();

  connection& owner() const noexcept { return *connection_; }
  answer_slot& slot() const noexcept { return *slot_; }

 private:
  std::shared_ptr<connection> connection_;
  std::unique_ptr<answer_slot> slot_;
  std::int32_t correlation_id_ = 0;
};

}  // namespace detail

/// A response and the buffer that it views.
template <class Request>
struct answer {
  wire::slab_ref buffer;
  typename Request::response message;
  std::int16_t version = -1;

  answer() = default;
};

/// One broker's connection: frames, pipelining by correlation id, time-outs, throttling. For one executor that never runs two
/// handlers at once. It lives until it is closed, by either side; any failure closes it, and every request in flight fails with
/// it.
class connection : public std::enable_shared_from_this<connection> {
  struct passkey {};

 public:
  static constexpr std::int16_t newest = std::numeric_limits<std::int16_t>::max();

  /// Connects and shakes hands (TLS, ApiVersions, SASL) until `deadline` or for options.setup_timeout, whichever ends first. The
  /// failure's words begin with the address. errc::not_kafka: what answers does not speak the protocol; certificate_rejected,
  /// tls_failed, authentication_failed: what the options ask for cannot be had.
  KAWAIT_DECL static asio::awaitable<result<std::shared_ptr<connection>>> open(asio::any_io_executor executor, address where,
                                                                               connection_options options, time_point deadline);
  /// The same for a name: tries its addresses in turn. The words list each address with its reason.
  KAWAIT_DECL static asio::awaitable<result<std::shared_ptr<connection>>> open(asio::any_io_executor executor, host_port where,
                                                                               connection_options options, time_point deadline);

  KAWAIT_DECL connection(passkey, asio::any_io_executor executor, std::unique_ptr<transport> stream, address where,
                         connection_options options);
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  KAWAIT_DECL ~connection();

  /// Sends a request, in the highest version that both sides and `cap` know, and awaits its answer. It is encoded and queued
  /// before this returns, so what it views need not live any longer; the time-out (from now, or from the end of a throttling)
  /// counts from here too. The answer's bytes are taken from `body`, which must outlive the wait. Fails with
  /// errc::unsupported_broker, request_timeout, connection_closed, malformed_response and what else closed the connection; a
  /// broker's error codes are in the message and are not looked at. A cancelled requester's answer is read and dropped.
  template <class Request>
  asio::awaitable<result<answer<Request>>> async_request(const Request& request, std::chrono::milliseconds timeout,
                                                         wire::slab_source& body, std::int16_t cap = newest) {
    if (why_) return refuse<Request>(why_);
    const auto chosen = versions_.choose<Request>();
    if (!chosen) return refuse<Request>(at_peer(chosen.error()));
    const std::int16_t version = std::min(*chosen, cap);
    std::vector<std::byte>& frames = is_held() ? session_->held_frames : out_;
    detail::added_frame frame(frames);
    failure f = protocol::encode_request(frames, request, version, next_correlation_id_, options_.client_id);
    if (f) return refuse<Request>(at_peer(f));
    return await_answer<Request>(enqueue(frame, timeout, body), version);
  }
  template <class Request>
  asio::awaitable<result<answer<Request>>> async_request(const Request& request, std::chrono::milliseconds timeout) {
    return async_request(request, timeout, heap_);
  }
  template <class Request>
  asio::awaitable<result<answer<Request>>> async_request(const Request& request) {
    return async_request(request, options_.request_timeout, heap_);
  }

  /// The broker's versions, as its handshake told them.
  const protocol::api_version_table& versions() const noexcept { return versions_; }
  bool is_open() const noexcept { return !why_; }
  /// Why it is closed; no failure while it is open.
  const failure& why_closed() const noexcept { return why_; }
  /// Ends it; requests in flight fail with `why`, by default errc::closed. Does nothing to a closed one.
  KAWAIT_DECL void close(failure why = failure(errc::closed));
  const address& peer() const noexcept { return peer_; }
  std::string peer_name() const { return peer_.to_string(); }
  std::size_t requests_in_flight() const noexcept { return pending_.size(); }
  /// Nothing is sent before this (KIP-219); requests wait for it, their time-outs run from it.
  time_point throttled_until() const noexcept { return throttled_until_; }

 private:
  friend class detail::ticket;

  struct pending_request {
    std::int32_t correlation_id;
    std::chrono::milliseconds timeout;
    time_point deadline;
    detail::answer_slot* slot;  // Null: the requester has gone.
    wire::slab_source* body;
  };

  /// How far it came. It stays what it was when the connection is closed.
  enum class stage : std::uint8_t {
    handshaking,
    established,  ///< The handshake is over: observers have heard of it, and will hear of its end.
    answered      ///< So has a request.
  };

  /// An authenticated session that ends. While it is being renewed (KIP-368) the broker takes nothing else: requests wait here.
  struct session {
    explicit session(const asio::any_io_executor& executor) : renewal(executor) {}

    timer renewal;
    bool renewing = false;
    std::vector<std::byte> held_frames;
    std::deque<pending_request> held;
  };

  bool is_held() const noexcept { return session_ && session_->renewing; }

  template <class Request>
  static asio::awaitable<result<answer<Request>>> refuse(failure f) {
    co_return result<answer<Request>>(std::move(f));
  }

  /// Of the authentication: waits for no session's renewal, which it is.
  template <class Request>
  asio::awaitable<result<answer<Request>>> async_sasl(const Request& request, time_point deadline) {
    if (why_) return refuse<Request>(why_);
    const auto version = versions_.choose<Request>();
    if (!version) return refuse<Request>(at_peer(version.error()));
    detail::added_frame frame(out_);
    failure f = protocol::encode_request(out_, request, *version, next_correlation_id_, options_.client_id);
    if (f) return refuse<Request>(at_peer(f));
    return await_answer<Request>(enqueue_now(frame, time_left(deadline), heap_), *version);
  }

  template <class Request>
  static asio::awaitable<result<answer<Request>>> await_answer(detail::ticket t, std::int16_t version) {
    detail::answer_slot& slot = t.slot();
    while (!slot.done) co_await slot.ready.wait();
    if (slot.why) co_return std::move(slot.why);
    answer<Request> a;
    a.buffer = std::move(slot.buffer);
    a.version = version;
    const std::span<const std::byte> bytes(a.buffer->data(), slot.size);
    failure f = protocol::decode_response(a.message, bytes, version);
    if (f) co_return t.owner().malformed(std::move(f));
    if constexpr (requires { a.message.throttle_time_ms; }) t.owner().throttle(a.message.throttle_time_ms);
    co_return std::move(a);
  }

  // Life cycle (impl/connection.ipp).
  KAWAIT_DECL void start();
  KAWAIT_DECL void spawn_own(asio::awaitable<void> coroutine);
  KAWAIT_DECL void fail(std::error_code code, std::string_view words);
  KAWAIT_DECL failure at_peer(const failure& f) const;
  KAWAIT_DECL failure malformed(failure f);
  KAWAIT_DECL void throttle(std::int32_t milliseconds);
  // Sending.
  KAWAIT_DECL detail::ticket enqueue(detail::added_frame& frame, std::chrono::milliseconds timeout, wire::slab_source& body);
  KAWAIT_DECL detail::ticket enqueue_now(detail::added_frame& frame, std::chrono::milliseconds timeout, wire::slab_source& body);
  KAWAIT_DECL detail::ticket enqueue_in(std::deque<pending_request>& queue, detail::added_frame& frame,
                                        std::chrono::milliseconds timeout, wire::slab_source& body);
  time_point deadline_in(std::chrono::milliseconds timeout) const { return std::max(env_->now(), throttled_until_) + timeout; }
  KAWAIT_DECL void abandon(std::int32_t correlation_id, std::unique_ptr<detail::answer_slot> slot) noexcept;
  KAWAIT_DECL void send_now();
  KAWAIT_DECL static asio::awaitable<void> write_loop(std::shared_ptr<connection> self);
  // Receiving (impl/connection_read.ipp).
  KAWAIT_DECL static asio::awaitable<void> read_loop(std::shared_ptr<connection> self);
  KAWAIT_DECL asio::awaitable<bool> read_more();
  KAWAIT_DECL asio::awaitable<bool> read_body(std::byte* to, std::size_t size);
  KAWAIT_DECL asio::awaitable<bool> drop_body(std::size_t size);
  KAWAIT_DECL asio::awaitable<bool> read_frame();
  KAWAIT_DECL bool check_length();
  KAWAIT_DECL bool check_correlation_id();
  KAWAIT_DECL wire::slab_ref acquire(std::size_t size);
  KAWAIT_DECL void deliver(wire::slab_ref buffer, std::size_t size);
  // Time-outs.
  KAWAIT_DECL void watch(time_point deadline);
  KAWAIT_DECL void on_watchdog();
  // Handshake (impl/handshake.ipp).
  KAWAIT_DECL static asio::awaitable<result<std::shared_ptr<connection>>> set_up(asio::any_io_executor executor, address where,
                                                                                 connection_options options, time_point deadline);
  KAWAIT_DECL static asio::awaitable<result<std::shared_ptr<connection>>> set_up_observed(asio::any_io_executor executor, address where,
                                                                                          connection_options options,
                                                                                          time_point deadline);
  KAWAIT_DECL std::chrono::milliseconds time_left(time_point deadline) const;
  KAWAIT_DECL asio::awaitable<failure> handshake(time_point deadline);
  KAWAIT_DECL asio::awaitable<failure> ask_versions(std::int16_t version, time_point deadline,
                                                    protocol::api_versions_response& answer, wire::slab_ref& buffer);
  // Authentication (impl/sasl.ipp).
  KAWAIT_DECL asio::awaitable<failure> authenticate(time_point deadline);
  KAWAIT_DECL asio::awaitable<failure> choose_mechanism(time_point deadline);
  KAWAIT_DECL asio::awaitable<failure> log_in_plain(time_point deadline);
  KAWAIT_DECL asio::awaitable<failure> log_in_scram(time_point deadline);
  KAWAIT_DECL asio::awaitable<result<secret>> fetch_token(time_point deadline);
  KAWAIT_DECL asio::awaitable<failure> log_in_with_token(secret message, time_point deadline);
  KAWAIT_DECL asio::awaitable<result<secret>> say(secret message, time_point deadline);
  KAWAIT_DECL failure login_failure(std::string_view words) const;
  KAWAIT_DECL void begin_session(std::chrono::milliseconds lifetime);
  KAWAIT_DECL static asio::awaitable<void> renew_sessions(std::shared_ptr<connection> self);
  KAWAIT_DECL void release_held();

  asio::any_io_executor executor_;
  environment* env_;
  std::unique_ptr<transport> stream_;
  address peer_;
  connection_options options_;
  std::size_t max_frame_;
  protocol::api_version_table versions_;
  failure why_;
  stage stage_ = stage::handshaking;
  wire::heap_slabs heap_;

  std::int32_t next_correlation_id_ = 0;
  std::deque<pending_request> pending_;  // In the order they were sent, which is the order of the answers.
  std::vector<std::unique_ptr<detail::answer_slot>> spare_slots_;

  std::vector<std::byte> out_;      // Encoded, not yet given to the transport.
  std::vector<std::byte> sending_;  // What the writer coroutine writes.
  bool writing_ = false;
  time_point throttled_until_ = time_point::min();
  condition may_write_;

  // Reads land here until a body's size is known, so that one read brings a whole small response; of a large one at most this
  // much is copied.
  std::array<std::byte, 4096> staging_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;

  timer watchdog_;
  time_point watched_ = time_point::max();

  std::unique_ptr<session> session_;  // Null: for as long as the connection lives.
  std::chrono::milliseconds lifetime_{0};  // Of the session, as the broker's last answer has it; 0: as above.
};

}  // namespace kawait::net

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/net/impl/connection.ipp>
#include <kawait/net/impl/connection_read.ipp>
#include <kawait/net/impl/handshake.ipp>
#include <kawait/net/impl/sasl.ipp>
#endif
