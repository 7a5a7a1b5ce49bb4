#pragma once

// Brokers that speak TLS in a simulated network, and the certificates that they and their clients have.

#include "catch.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <openssl/ssl.h>

#include "support/certificates.hpp"

#include "scripted_broker.hpp"

#include <kawait/net/tls.hpp>

namespace tls_tests {

using namespace scripted;
using kawait::errc;
using kawait::secret;
using kawait::tests::authority;
using kawait::tests::certificate;
using kawait::tests::validity;

inline const authority& trusted() {
  static const authority a("kawait's test authority");
  return a;
}

inline const certificate& of_broker() {
  static const certificate c = trusted().issue("broker", {"DNS:broker", "DNS:*.kafka.test", "IP:10.0.0.1", "IP:fd00::1"});
  return c;
}

inline net::tls_options trusting(const std::string& ca) {
  net::tls_options o;
  o.ca.text = secret(ca);
  return o;
}

inline void identify(net::tls_options& o, const std::string& certificate_text, const std::string& key_text) {
  o.certificate.text = secret(certificate_text);
  o.key.text = secret(key_text);
}

inline net::connection_options with(const net::tls_options& tls) {
  net::connection_options o;
  auto made = net::tls_context::create(tls);
  REQUIRE(made);
  o.tls = *std::move(made);
  return o;
}

using script = std::function<asio::awaitable<void>(peer&)>;

/// Speaks TLS with the certificate, in one version or any, and then plays the script. `shown` is the name that the client asked for.
inline void listen_in_tls(testing::world& w, const certificate& own, script play, testing::pipe_options pipe = testing::pipe_options(),
                   const std::string& clients = {}, std::string* shown = nullptr, int version = 0) {
  const auto context = kawait::tests::server_context(own, clients);
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  if (version == TLS1_1_VERSION) SSL_CTX_set_cipher_list(context.get(), "ALL:@SECLEVEL=0");
  SSL_CTX_set_tlsext_servername_arg(context.get(), shown);
  SSL_CTX_set_tlsext_servername_callback(context.get(), +[](SSL* ssl, int*, void* to) {
    const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (to && name) *static_cast<std::string*>(to) = name;
    return SSL_TLSEXT_ERR_OK;
  });
  const auto serve = [context, play](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    auto secured = std::make_unique<net::tls_transport>(std::move(stream), context, net::tls_transport::side::server);
    const kawait::failure f = co_await secured->shake_hands();
    if (f) {
      secured->close();
      co_return;
    }
    peer p(std::move(secured));
    co_await play(p);
  };
  w.network().listen("10.0.0.1", 9093, serve, pipe);
}

/// Plays the script to whoever connects, without TLS, and then listens until the connection is closed.
inline void listen_in_the_clear(testing::world& w, script play) {
  w.network().listen("10.0.0.1", 9093, [play](std::unique_ptr<net::transport> stream) -> asio::awaitable<void> {
    peer p(std::move(stream));
    co_await play(p);
    co_await p.drain();
  });
}

inline asio::awaitable<void> serve_once(peer& p) {
  (void)co_await p.shake_hands();
  co_await p.drain();
}

inline opened open_at(testing::world& w, const net::address& where, net::connection_options options) {
  return w.run(net::connection::open(w.executor(), where, std::move(options), net::time_point::max()));
}

inline const net::address by_ip("10.0.0.1", "10.0.0.1", 9093);

}  // namespace tls_tests
