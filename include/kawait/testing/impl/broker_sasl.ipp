#pragma once

#include <kawait/protocol/sasl_authenticate.hpp>
#include <kawait/protocol/sasl_handshake.hpp>
#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/impl/broker_refusals.ipp>

namespace kawait::testing::broker_detail {

inline std::string_view text_of(protocol::bytes_view bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Whether the user has this password, by RFC 4616's message.
inline bool is_plain_login(const std::map<std::string, std::string>& users, std::string_view message) {
  const std::size_t first = message.find('\0');
  const std::size_t second = first == std::string_view::npos ? first : message.find('\0', first + 1);
  if (second == std::string_view::npos) return false;
  const auto user = users.find(std::string(message.substr(first + 1, second - first - 1)));
  return user != users.end() && user->second == message.substr(second + 1);
}

KAWAIT_DECL bool core::is_logged_in(const connection& c) {
  if (options.users.empty()) return true;
  return c.login.done && (options.session_lifetime.count() == 0 || env.now() < c.login.until);
}

KAWAIT_DECL void core::answer_handshake(connection& c, const incoming& in, reply& out) {
  protocol::sasl_handshake_request q;
  protocol::sasl_handshake_response r;
  if (protocol::decode_request(q, in.body, in.version)) {
    out.close = true;
    return;
  } else if (q.mechanism != "PLAIN" && q.mechanism != "SCRAM-SHA-256") {
    r.error_code = number_of(kafka_error::unsupported_sasl_mechanism);
  } else {
    c.login = login();
    c.login.mechanism = q.mechanism;
  }
  if (in.refused != kafka_error::none) r.error_code = number_of(in.refused);
  r.mechanisms = {"PLAIN", "SCRAM-SHA-256"};
  out.close = static_cast<bool>(protocol::encode_response(out.bytes, r, in.version, in.correlation_id));
}

/// What the client is told next; nothing if it is refused.
KAWAIT_DECL std::optional<std::string> core::next_of_login(login& l, std::string_view message) {
  if (l.mechanism == "PLAIN") {
    l.done = is_plain_login(options.users, message);
    return l.done ? std::optional<std::string>(std::string()) : std::nullopt;
  }
  if (!l.scram) {
    const auto user = options.users.find(std::string(scram_server::user_of(message)));
    // Who is not known is asked for the proof all the same, and refused then.
    l.known = user != options.users.end();
    l.scram.emplace(message, l.known ? user->second : std::string());
    return l.scram->first().empty() ? std::nullopt : std::optional<std::string>(l.scram->first());
  }
  const std::string signature = l.scram->final(message);
  l.done = l.known && !signature.empty();
  return l.done ? std::optional<std::string>(signature) : std::nullopt;
}

KAWAIT_DECL void core::answer_authenticate(connection& c, const incoming& in, reply& out) {
  protocol::sasl_authenticate_request q;
  protocol::sasl_authenticate_response r;
  if (protocol::decode_request(q, in.body, in.version)) {
    out.close = true;
    return;
  }
  std::string said;
  r.error_message.reset();
  if (c.login.mechanism.empty() || c.login.done) {
    r.error_code = number_of(kafka_error::illegal_sasl_state);
  } else if (const auto next = next_of_login(c.login, text_of(q.auth_bytes)); !next || in.refused != kafka_error::none) {
    r.error_code = number_of(in.refused == kafka_error::none ? kafka_error::sasl_authentication_failed : in.refused);
    r.error_message = "Authentication failed: Invalid username or password";
    c.login = login();
  } else {
    said = *next;
  }
  r.auth_bytes = std::as_bytes(std::span<const char>(said));
  if (c.login.done) {
    c.login.until = env.now() + options.session_lifetime;
    r.session_lifetime_ms = options.session_lifetime.count();
  }
  out.close = static_cast<bool>(protocol::encode_response(out.bytes, r, in.version, in.correlation_id));
}

}  // namespace kawait::testing::broker_detail
