#pragma once

// Tokens of OAUTHBEARER, and an endpoint that gives them out.

#include "security_support.hpp"

#include <asio/ip/tcp.hpp>
#include <openssl/evp.h>

#include <kawait/net/tcp.hpp>

namespace kawait::tests::secured {

inline std::string base64url(const std::string& in) {
  std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(in.data()),
                                   static_cast<int>(in.size()));
  out.resize(static_cast<std::size_t>(size));
  while (!out.empty() && out.back() == '=') out.pop_back();
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

/// A token that nobody has signed, as the broker takes them by default.
inline asio::awaitable<oauth_token> unsigned_token() {
  const std::int64_t now = wall_clock_ms() / 1000;
  const std::string claims = "{\"sub\":\"alice\",\"iat\":" + std::to_string(now) + ",\"exp\":" + std::to_string(now + 3600) + "}";
  co_return oauth_token(secret(base64url("{\"alg\":\"none\"}") + "." + base64url(claims) + "."));
}

/// A token endpoint (KIP-768) on loopback, until it is closed.
inline asio::awaitable<void> serve_tokens(asio::ip::tcp::acceptor& from) {
  for (;;) {
    auto [refused, socket] = co_await from.async_accept(kawait::detail::use_tuple);
    if (refused) co_return;
    const auto stream = std::make_unique<net::tcp_transport>(std::move(socket), "client");
    std::string request(4096, '\0');
    std::error_code ec;
    const auto room = std::as_writable_bytes(std::span<char>(request));
    const std::size_t size = co_await stream->read_some(room, ec);
    request.resize(size);
    const bool known = request.find("Basic YmlsbGluZzpodW50ZXIyLW9pZGM=\r\n") != std::string::npos;
    const oauth_token token = co_await unsigned_token();
    const std::string body = "{\"access_token\":\"" + std::string(token.value.reveal()) + "\",\"token_type\":\"Bearer\",\"expires_in\":3600}";
    const std::string answer = known ? "HTTP/1.1 200 OK\r\n\r\n" + body : "HTTP/1.1 401 Unauthorized\r\n\r\n{\"error\":\"invalid_client\"}";
    const auto bytes = std::as_bytes(std::span<const char>(answer));
    co_await stream->write(bytes, ec);
    stream->close();
  }
}

inline settings for_oidc(const asio::ip::tcp::acceptor& endpoint, const std::string& secret) {
  return for_tls({{"security.protocol", "SASL_SSL"},
                  {"sasl.mechanism", "OAUTHBEARER"},
                  {"sasl.oauthbearer.method", "oidc"},
                  {"sasl.oauthbearer.token.endpoint.url", "http://127.0.0.1:" + std::to_string(endpoint.local_endpoint().port()) + "/token"},
                  {"sasl.oauthbearer.client.id", "billing"},
                  {"sasl.oauthbearer.client.secret", secret}});
}

}  // namespace kawait::tests::secured
