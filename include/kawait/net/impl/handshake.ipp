#pragma once

#include <algorithm>

#include <kawait/net/connection.hpp>

namespace kawait::net {
namespace detail {

/// Closes a connection that is given up half-way, also when its coroutine is cancelled or throws.
class unfinished_connection {
 public:
  explicit unfinished_connection(std::shared_ptr<connection> c) noexcept : connection_(std::move(c)) {}
  unfinished_connection(const unfinished_connection&) = delete;
  unfinished_connection& operator=(const unfinished_connection&) = delete;
  ~unfinished_connection() {
    if (connection_) connection_->close(failure(errc::closed));
  }

  connection* operator->() const noexcept { return connection_.get(); }
  const std::shared_ptr<connection>& shared() const noexcept { return connection_; }
  std::shared_ptr<connection> release() noexcept { return std::move(connection_); }

 private:
  std::shared_ptr<connection> connection_;
};

/// Certificates that could not be read again may be why a connection fails, within the handshake of TLS or, where the broker looks at
/// ours, behind it.
inline failure with_reload_failure(failure f, const connection_options& options) {
  if (f && options.tls && options.tls->reload_failure()) {
    f.words += "; the changed files could not be read: " + options.tls->reload_failure().words;
  }
  return f;
}

/// What is wrong with a peer whose first bytes are no answer.
inline failure not_kafka(const failure& f) {
  const bool nonsense =
      f.code == errc::frame_too_large || f.code == errc::correlation_mismatch || f.code == errc::malformed_response;
  if (!nonsense) return f;
  return failure(errc::not_kafka, f.words);
}

}  // namespace detail

KAWAIT_DECL std::chrono::milliseconds connection::time_left(time_point deadline) const {
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(deadline - env_->now()), std::chrono::milliseconds(1));
}

KAWAIT_DECL asio::awaitable<result<std::shared_ptr<connection>>> connection::open(asio::any_io_executor executor, address where,
                                                                                  connection_options options,
                                                                                  time_point deadline) {
  if (!options.observers) return set_up(std::move(executor), std::move(where), std::move(options), deadline);
  return set_up_observed(std::move(executor), std::move(where), std::move(options), deadline);
}

KAWAIT_DECL asio::awaitable<result<std::shared_ptr<connection>>> connection::set_up_observed(asio::any_io_executor executor,
                                                                                             address where,
                                                                                             connection_options options,
                                                                                             time_point deadline) {
  environment& env = environment::of(executor);
  const kawait::detail::observers observers = options.observers;
  const std::string name = where.to_string();
  const time_point began = env.now();
  auto made = co_await set_up(std::move(executor), std::move(where), std::move(options), deadline);
  const failure outcome = made ? failure() : made.error();
  observers.tell(&observer::on_connected, observer::connected{name, env.now() - began, outcome});
  co_return std::move(made);
}

KAWAIT_DECL asio::awaitable<result<std::shared_ptr<connection>>> connection::set_up(asio::any_io_executor executor, address where,
                                                                                    connection_options options,
                                                                                    time_point deadline) {
  environment& env = environment::of(executor);
  deadline = std::min(deadline, env.now() + options.setup_timeout);
  auto stream = co_await env.net().connect(where, deadline);
  if (!stream) co_return std::move(stream.error());
  if (options.tls) {
    std::unique_ptr<transport> lower = *std::move(stream);
    auto secured = co_await start_tls(std::move(lower), options.tls, where, deadline);
    if (!secured) co_return detail::with_reload_failure(std::move(secured.error()), options);
    stream = std::move(secured);
  }
  auto made = std::make_shared<connection>(passkey(), executor, *std::move(stream), where, std::move(options));
  detail::unfinished_connection c(std::move(made));
  c->start();
  failure f = co_await c->handshake(deadline);
  if (f.code == errc::connection_closed && !c->options_.tls) f.words += " (a listener that speaks TLS ends plaintext connections so)";
  if (!f && c->options_.sasl) f = co_await c->authenticate(deadline);
  if (f) co_return detail::with_reload_failure(std::move(f), c->options_);
  c->max_frame_ = c->options_.max_frame;
  c->stage_ = stage::established;
  if (c->session_) c->spawn_own(renew_sessions(c.shared()));
  co_return c.release();
}

KAWAIT_DECL asio::awaitable<result<std::shared_ptr<connection>>> connection::open(asio::any_io_executor executor, host_port where,
                                                                                  connection_options options,
                                                                                  time_point deadline) {
  environment& env = environment::of(executor);
  const time_point resolve_by = std::min(deadline, env.now() + options.setup_timeout);
  auto addresses = co_await env.net().resolve(where, resolve_by);
  if (!addresses) co_return std::move(addresses.error());
  failure last(errc::unresolved_host, where.to_string());
  std::string before;
  for (const address& a : *addresses) {
    auto opened = co_await open(executor, a, options, deadline);
    if (opened) co_return std::move(opened);
    if (&a != addresses->data()) before += last.to_string() + "; ";
    last = std::move(opened.error());
    // The same broker behind another address would count the same wrong password once more.
    if (last.code == errc::authentication_failed || env.now() >= deadline) break;
  }
  co_return failure(last.code, before + last.words);
}

KAWAIT_DECL asio::awaitable<failure> connection::handshake(time_point deadline) {
  std::int16_t version = protocol::api_versions_request::max_version;
  for (;;) {
    protocol::api_versions_response answer;
    wire::slab_ref buffer;
    failure f = co_await ask_versions(version, deadline, answer, buffer);
    if (f) co_return detail::not_kafka(f);
    const auto code = static_cast<kafka_error>(answer.error_code);
    if (code == kafka_error::none) {
      versions_ = protocol::api_version_table(answer);
      throttle(answer.throttle_time_ms);
      co_return failure();
    }
    if (code != kafka_error::unsupported_version || version == 0) co_return at_peer(failure(code, "ApiVersions"));
    // Kafka 2.4 and later name their range; who says nothing is asked the oldest way.
    std::int16_t next = 0;
    for (const auto& api : answer.api_keys) {
      if (api.api_key == protocol::api_versions_request::api_key) next = api.max_version;
    }
    version = std::clamp<std::int16_t>(next, 0, static_cast<std::int16_t>(version - 1));
  }
}

KAWAIT_DECL asio::awaitable<failure> connection::ask_versions(std::int16_t version, time_point deadline,
                                                              protocol::api_versions_response& answer, wire::slab_ref& buffer) {
  if (why_) co_return why_;
  protocol::api_versions_request request;
  request.client_software_name = options_.software_name;
  request.client_software_version = options_.software_version;
  detail::added_frame frame(out_);
  failure f = protocol::encode_request(out_, request, version, next_correlation_id_, options_.client_id);
  if (f) co_return at_peer(f);
  const detail::ticket t = enqueue(frame, time_left(deadline), heap_);
  detail::answer_slot& slot = t.slot();
  while (!slot.done) co_await slot.ready.wait();
  if (slot.why) co_return slot.why;
  buffer = std::move(slot.buffer);
  const std::span<const std::byte> bytes(buffer->data(), slot.size);
  f = protocol::decode_api_versions(answer, bytes, version);
  if (f) co_return malformed(std::move(f));
  co_return failure();
}

}  // namespace kawait::net
