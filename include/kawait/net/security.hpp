#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include <kawait/core/secret.hpp>
#include <kawait/detail/asio.hpp>

namespace kawait {

/// security.protocol: whether TLS is spoken, and whether SASL within.
enum class security_protocol : std::uint8_t { plaintext, ssl, sasl_plaintext, sasl_ssl };

/// sasl.mechanism.
enum class sasl_mechanism : std::uint8_t { plain, scram_sha_256, scram_sha_512, oauthbearer };

/// What OAUTHBEARER (KIP-255) shows the broker.
struct oauth_token {
  secret value;                                   ///< Mostly a JWT in its compact form.
  std::map<std::string, std::string> extensions;  ///< KIP-342: names of letters only.

  oauth_token() = default;
  explicit oauth_token(secret v) : value(std::move(v)) {}
};

/// Where tokens come from: called on the consumer's executor whenever a connection is to be authenticated, or again before its session
/// ends. What it throws fails that attempt, with the exception's words, and counts as a refusal (sasl.login.attempts) unless it is a
/// kawait::error of another code than errc::authentication_failed. An attempt that takes longer than socket.connection.setup.timeout.ms
/// is cancelled.
using oauth_token_source = std::function<asio::awaitable<oauth_token>()>;

}  // namespace kawait

namespace kawait::net {

/// A certificate or a key in PEM: a file, or the text itself.
struct pem_source {
  std::string location;
  secret text;

  pem_source() = default;
  bool empty() const noexcept { return location.empty() && text.empty(); }
};

struct tls_options {
  pem_source ca;  ///< None: the system's.
  pem_source certificate;
  pem_source key;
  secret key_password;
  std::string cipher_suites;  ///< None: OpenSSL's.
  bool verify_host = true;

  tls_options() = default;
};

/// OIDC's client credentials (KIP-768). See oidc_client.
struct oidc_options {
  bool required = false;  ///< sasl.oauthbearer.method=oidc
  std::string endpoint;   ///< A URL. None: there is no OIDC.
  std::string client_id;
  secret client_secret;
  std::string scope;
  bool encode_header = false;  ///< Id and secret are form-encoded before base64, as RFC 6749 has it and Kafka by default has not.
  std::map<std::string, std::string> extensions;
  pem_source ca;  ///< None: the system's.

  oidc_options() = default;
  bool is_set() const noexcept {
    return required || !endpoint.empty() || !client_id.empty() || !client_secret.empty() || !scope.empty() || !extensions.empty() ||
           !ca.empty();
  }
};

struct sasl_options {
  std::optional<sasl_mechanism> mechanism;
  std::string username;
  secret password;
  oauth_token_source token;
  std::function<void()> token_refused;  ///< Told if a broker does not take what it gave.
  oidc_options oidc;
  bool allow_cleartext = false;
  std::uint32_t login_attempts = 3;

  sasl_options() = default;
};

/// Of all connections of a client.
struct security_options {
  security_protocol protocol = security_protocol::plaintext;
  tls_options tls;
  sasl_options sasl;

  security_options() = default;
  bool has_tls() const noexcept { return protocol == security_protocol::ssl || protocol == security_protocol::sasl_ssl; }
  bool has_sasl() const noexcept { return protocol == security_protocol::sasl_plaintext || protocol == security_protocol::sasl_ssl; }
};

}  // namespace kawait::net
