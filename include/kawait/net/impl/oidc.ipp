#pragma once

#include <kawait/net/oidc.hpp>

#include <algorithm>
#include <array>

#include <asio/ip/address.hpp>
#include <openssl/evp.h>

#include <kawait/machine/backoff.hpp>
#include <kawait/machine/http_answer.hpp>
#include <kawait/net/environment.hpp>
#include <kawait/net/timer.hpp>

namespace kawait::net {
namespace detail {

inline secret base64(const secret& in) {
  std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');
  const auto* const from = reinterpret_cast<const unsigned char*>(in.reveal().data());
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), from, static_cast<int>(in.size()));
  secret encoded(std::string_view(out).substr(0, out.size() - 1));
  kawait::detail::cleanse(out.data(), out.size());
  return encoded;
}

/// application/x-www-form-urlencoded.
inline secret form_encoded(std::string_view in) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(3 * in.size());
  for (const char c : in) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (is_alphanumeric || c == '-' || c == '_' || c == '.' || c == '*') {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  secret encoded(out);
  kawait::detail::cleanse(out.data(), out.size());
  return encoded;
}

inline secret token_request_of(const endpoint_url& to, const oidc_options& o) {
  secret login = o.encode_header ? secret({form_encoded(o.client_id).reveal(), ":", form_encoded(o.client_secret.reveal()).reveal()})
                                 : secret({o.client_id, ":", o.client_secret.reveal()});
  std::string body = "grant_type=client_credentials";
  if (!o.scope.empty()) body.append("&scope=").append(form_encoded(o.scope).reveal());
  const std::string size = std::to_string(body.size());
  const bool usual_port = to.where.port == (to.has_tls ? 443 : 80);
  std::string host = to.where.to_string();
  if (usual_port) host.resize(host.rfind(':'));
  return secret({"POST ", to.target, " HTTP/1.1\r\nHost: ", host, "\r\nAuthorization: Basic ", base64(login).reveal(),
                 "\r\nAccept: application/json\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ", size,
                 "\r\nUser-Agent: kawait/" KAWAIT_VERSION "\r\nConnection: close\r\n\r\n", body});
}

/// A question under way and its time-out, which ends the stream.
struct token_exchange {
  token_exchange(const asio::any_io_executor& executor, std::unique_ptr<transport> s) : stream(std::move(s)), limit(executor) {}
  ~token_exchange() { kawait::detail::cleanse(buffer.data(), buffer.size()); }

  std::unique_ptr<transport> stream;
  timer limit;
  bool timed_out = false;
  machine::http_answer answer;
  std::array<char, 4096> buffer{};
};

/// Ends both, however the question ends.
class token_exchange_guard {
 public:
  explicit token_exchange_guard(std::shared_ptr<token_exchange> e) : exchange_(std::move(e)) {}
  token_exchange_guard(const token_exchange_guard&) = delete;
  token_exchange_guard& operator=(const token_exchange_guard&) = delete;
  ~token_exchange_guard() {
    exchange_->limit.cancel();
    exchange_->stream->close();
  }

 private:
  std::shared_ptr<token_exchange> exchange_;
};

// Not in the coroutine itself: g++ finds fault with a frame that holds a lambda.
inline void limit_exchange(const std::shared_ptr<token_exchange>& e, time_point deadline) {
  e->limit.expires_at(deadline);
  e->limit.async_wait([e](std::error_code ec) {
    if (ec) return;
    e->timed_out = true;
    e->stream->close();
  });
}

inline asio::awaitable<failure> exchange(std::shared_ptr<token_exchange> e, std::string_view request) {
  std::error_code ec;
  const auto bytes = std::as_bytes(std::span<const char>(request.data(), request.size()));
  co_await e->stream->write(bytes, ec);
  if (ec) co_return failure(ec);
  const auto room = std::as_writable_bytes(std::span<char>(e->buffer));
  while (!e->answer.is_complete()) {
    const std::size_t size = co_await e->stream->read_some(room, ec);
    failure f = e->answer.take(std::string_view(e->buffer.data(), size));
    if (ec) f = ec == asio::error::eof ? e->answer.end() : failure(ec);
    if (f) co_return ec ? failure(ec, f.words) : f;
  }
  co_return failure();
}

/// Whether asking again may help, and soon.
inline bool may_pass(const std::error_code& code) {
  return code != errc::authentication_failed && code != errc::malformed_response && code != errc::certificate_rejected &&
         code != errc::tls_failed;
}

}  // namespace detail

KAWAIT_DECL result<endpoint_url> endpoint_url::parse(std::string_view text) {
  const auto bad = [](const char* words) { return failure(errc::invalid_config, words); };
  endpoint_url url;
  url.has_tls = text.starts_with("https://");
  if (!url.has_tls && !text.starts_with("http://")) return bad("must begin with https:// (or http://)");
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; })) return bad("holds what no URL does");
  if (text.find('#') != std::string_view::npos) return bad("must have no fragment");
  const std::string scheme = url.has_tls ? "https://" : "http://";
  text.remove_prefix(scheme.size());
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  const std::string authority(text.substr(0, end));
  url.target = text.substr(end);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  if (authority.find('@') != std::string::npos) return bad("must hold no user and password");
  // After the last ':' is the port, unless that is within an address of IPv6.
  const std::size_t colon = authority.rfind(':'), bracket = authority.rfind(']');
  const bool has_port = colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
  auto where = host_port::parse(has_port ? authority : authority + (url.has_tls ? ":443" : ":80"));
  if (!where) return bad("has no host, or no port behind the ':'");
  url.where = *std::move(where);
  url.shown = scheme + url.where.to_string() + url.target.substr(0, url.target.find('?'));
  return url;
}

KAWAIT_DECL bool endpoint_url::is_loopback() const {
  std::error_code ec;
  const auto ip = asio::ip::make_address(where.host, ec);
  return ec ? where.host == "localhost" : ip.is_loopback();
}

KAWAIT_DECL result<std::shared_ptr<oidc_client>> oidc_client::create(const oidc_options& options, std::chrono::milliseconds timeout) {
  auto url = endpoint_url::parse(options.endpoint);
  if (!url) return std::move(url).error();
  std::shared_ptr<tls_context> tls;
  if (url->has_tls) {
    tls_options trusted;
    trusted.ca = options.ca;
    auto made = tls_context::create(trusted);
    if (!made) return failure(made.error().code, "of https, not ssl: " + made.error().words);
    tls = *std::move(made);
  }
  auto client = std::make_shared<oidc_client>(*url, std::move(tls), timeout);
  client->request_ = detail::token_request_of(*url, options);
  client->last_.extensions = options.extensions;
  return client;
}

KAWAIT_DECL asio::awaitable<oauth_token> oidc_client::token() {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  environment& env = environment::of(executor);
  const time_point begin = env.now(), deadline = begin + timeout_;
  if (begin < renew_at_) co_return last_;
  machine::backoff pause(machine::backoff_options(machine::milliseconds(100), machine::milliseconds(2000)));
  for (;;) {
    auto got = co_await ask(deadline);
    if (got) {
      last_.value = std::move(got->token);
      renew_at_ = begin + got->lifetime * 4 / 5;
      ends_at_ = begin + got->lifetime;
      co_return last_;
    }
    const duration rest = pause.next(env.random());
    const bool again = detail::may_pass(got.error().code);
    if (again && env.now() < ends_at_) co_return last_;
    if (!again || env.now() + rest >= deadline) throw error(got.error().code, got.error().words);
    co_await async_sleep_for(rest);
  }
}

KAWAIT_DECL asio::awaitable<result<machine::token_answer>> oidc_client::ask(time_point deadline) {
  auto stream = co_await connect(deadline);
  if (!stream) co_return at_endpoint(std::move(stream).error());
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto asked = std::make_shared<detail::token_exchange>(executor, *std::move(stream));
  const detail::token_exchange_guard guard(asked);
  detail::limit_exchange(asked, deadline);
  failure f = co_await detail::exchange(asked, request_.reveal());
  if (asked->timed_out) f = failure(std::make_error_code(std::errc::timed_out));
  if (f) co_return at_endpoint(std::move(f));
  co_return judge(asked->answer.status(), asked->answer.body());
}

// What the endpoint says in its own words is not repeated: it may be what was said to it.
KAWAIT_DECL result<machine::token_answer> oidc_client::judge(int status, std::string_view body) const {
  if (status == 200) {
    auto answer = machine::token_answer::parse(body);
    if (!answer) return at_endpoint(std::move(answer).error());
    return answer;
  }
  std::string words = "HTTP status " + std::to_string(status);
  if (status == 408 || status == 429 || status >= 500) {
    return at_endpoint(failure(std::make_error_code(std::errc::resource_unavailable_try_again), std::move(words)));
  }
  if (status >= 300 && status < 400) words += " (no redirect is followed)";
  const std::string_view why = machine::token_refusal(body);
  if (!why.empty()) words.append(" (").append(why).append(")");
  return at_endpoint(failure(errc::authentication_failed, std::move(words)));
}

KAWAIT_DECL asio::awaitable<result<std::unique_ptr<transport>>> oidc_client::connect(time_point deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  network& net = environment::of(executor).net();
  const auto addresses = co_await net.resolve(endpoint_.where, deadline);
  if (!addresses) co_return addresses.error();
  failure why(errc::unresolved_host);
  std::size_t left = addresses->size();
  for (const address& where : *addresses) {
    // Of the time that is left each has its share: the first may be one that never answers.
    const time_point now = environment::of(executor).now();
    const time_point until = now + (deadline - now) / static_cast<duration::rep>(left--);
    auto stream = co_await net.connect(where, until);
    if (stream && tls_) {
      std::unique_ptr<transport> plain = *std::move(stream);
      stream = co_await start_tls(std::move(plain), tls_, where, until);
    }
    if (stream) co_return std::move(stream);
    why = std::move(stream).error();
  }
  co_return why;
}

KAWAIT_DECL failure oidc_client::at_endpoint(failure f) const {
  f.words = "token endpoint " + endpoint_.shown + (f.words.empty() ? "" : ": ") + f.words;
  return f;
}

}  // namespace kawait::net
