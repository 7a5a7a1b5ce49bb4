#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include <kawait/core/result.hpp>
#include <kawait/machine/token_answer.hpp>
#include <kawait/net/network.hpp>
#include <kawait/net/security.hpp>
#include <kawait/net/tls.hpp>

namespace kawait::net {

/// Where a token endpoint is: http(s)://host[:port][/path][?query].
struct endpoint_url {
  bool has_tls = false;
  host_port where;
  std::string target;  ///< Path and query.
  std::string shown;   ///< Without the query: for errors.

  endpoint_url() = default;

  /// Fails with errc::invalid_config; the words say what is wrong, without the text.
  KAWAIT_DECL static result<endpoint_url> parse(std::string_view text);
  /// By its address, or as "localhost".
  KAWAIT_DECL bool is_loopback() const;
};

/// OIDC's client credentials (KIP-768): asks the endpoint for a token whenever the last one has less than a fifth of its time left.
/// One request over a connection of its own; no redirect is followed. Until its end the last one serves while none can be had. What
/// may pass (no connection, 408, 429, 5xx) is tried again until `timeout`. Throws kawait::error: errc::authentication_failed if the
/// endpoint refuses or gives what is no token, else what kept it from being asked. The words name the endpoint, and its status, and
/// no secret.
class oidc_client {
 public:
  KAWAIT_DECL static result<std::shared_ptr<oidc_client>> create(const oidc_options& options, std::chrono::milliseconds timeout);

  oidc_client(endpoint_url endpoint, std::shared_ptr<tls_context> tls, std::chrono::milliseconds timeout)
      : endpoint_(std::move(endpoint)), tls_(std::move(tls)), timeout_(timeout) {}

  /// On one executor that never runs two handlers at once.
  KAWAIT_DECL asio::awaitable<oauth_token> token();
  /// The last one is not taken, whatever time it has left: its signer's keys may have changed.
  void forget() noexcept { renew_at_ = ends_at_ = time_point::min(); }

 private:
  KAWAIT_DECL asio::awaitable<result<machine::token_answer>> ask(time_point deadline);
  KAWAIT_DECL asio::awaitable<result<std::unique_ptr<transport>>> connect(time_point deadline);
  KAWAIT_DECL result<machine::token_answer> judge(int status, std::string_view body) const;
  KAWAIT_DECL failure at_endpoint(failure f) const;

  endpoint_url endpoint_;
  std::shared_ptr<tls_context> tls_;  // Null: http.
  std::chrono::milliseconds timeout_;
  secret request_;
  oauth_token last_;
  time_point renew_at_ = time_point::min(), ends_at_ = time_point::min();
};

}  // namespace kawait::net

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/net/impl/oidc.ipp>
#endif
