#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <kawait/net/security.hpp>
#include <kawait/protocol/sasl_authenticate.hpp>
#include <kawait/protocol/sasl_handshake.hpp>

#include "catch.hpp"

#include <kawait/testing/scram_server.hpp>

#include "scripted_broker.hpp"

namespace scripted {

using kawait::errc;
using kawait::kafka_error;
using kawait::sasl_mechanism;
using kawait::secret;
using kawait::testing::scram_server;

inline constexpr std::int16_t handshake_key = 17, authenticate_key = 36, metadata_key = 3;

inline net::sasl_options login(sasl_mechanism m) {
  net::sasl_options o;
  o.mechanism = m;
  o.username = "alice";
  o.password = secret("hunter2");
  return o;
}

inline net::connection_options with(net::sasl_options o) {
  net::connection_options c;
  c.sasl = std::make_shared<const net::sasl_options>(std::move(o));
  return c;
}

inline std::string message_of(const incoming& r) {
  protocol::sasl_authenticate_request request;
  (void)protocol::decode_request(request, r.rest(), r.version);
  return std::string(reinterpret_cast<const char*>(request.auth_bytes.data()), request.auth_bytes.size());
}

inline asio::awaitable<void> say(peer& p, const incoming& to, std::string text, std::int64_t lifetime = 0) {
  protocol::sasl_authenticate_response response;
  response.error_message.reset();
  response.auth_bytes = std::as_bytes(std::span<const char>(text));
  response.session_lifetime_ms = lifetime;
  co_await p.answer(to, response);
}

inline asio::awaitable<void> refuse(peer& p, const incoming& to, std::string_view words) {
  protocol::sasl_authenticate_response response;
  response.error_code = static_cast<std::int16_t>(kafka_error::sasl_authentication_failed);
  response.error_message = words;
  co_await p.answer(to, response);
}

inline asio::awaitable<bool> accept_mechanism(peer& p, std::string_view expected) {
  const incoming r = co_await p.next();
  protocol::sasl_handshake_request request;
  const bool right = !r.end && r.key == handshake_key && !protocol::decode_request(request, r.rest(), r.version);
  if (!right) co_return false;
  CHECK(request.mechanism == expected);
  CHECK(r.version == 1);
  const protocol::sasl_handshake_response response;
  co_await p.answer(r, response);
  co_return true;
}

inline asio::awaitable<bool> log_in_scram(peer& p, std::string password, int iterations, std::int64_t lifetime) {
  const bool right = co_await accept_mechanism(p, "SCRAM-SHA-256");
  if (!right) co_return false;
  const incoming first = co_await p.next();
  const scram_server server(message_of(first), password, iterations);
  co_await say(p, first, server.first());
  const incoming last = co_await p.next();
  if (last.end) co_return false;
  const std::string answer = server.final(message_of(last));
  if (answer.empty()) {
    co_await refuse(p, last, "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256");
    co_return false;
  }
  co_await say(p, last, answer, lifetime);
  co_return true;
}

inline asio::awaitable<void> serve_scram(peer& p, std::string password, int iterations) {
  const bool hello = co_await p.shake_hands();
  if (!hello) co_return;
  (void)co_await log_in_scram(p, password, iterations, 0);
  co_await p.drain();
}

/// What a broker does on a connection.
using play = std::function<asio::awaitable<void>(peer&)>;

inline void listen(testing::world& w, play script, const char* host = "10.0.0.1") {
  w.network().listen(host, 9092, [script](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    co_await script(p);
  });
}

}  // namespace scripted
