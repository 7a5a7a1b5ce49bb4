#pragma once

#include <algorithm>
#include <array>

#include <openssl/rand.h>

#include <kawait/machine/scram.hpp>
#include <kawait/net/connection.hpp>
#include <kawait/protocol/sasl_authenticate.hpp>
#include <kawait/protocol/sasl_handshake.hpp>

namespace kawait::net {
namespace detail {

inline const char* name_of(sasl_mechanism m) noexcept {
  switch (m) {
    case sasl_mechanism::plain: return "PLAIN";
    case sasl_mechanism::scram_sha_256: return "SCRAM-SHA-256";
    case sasl_mechanism::scram_sha_512: return "SCRAM-SHA-512";
    case sasl_mechanism::oauthbearer: return "OAUTHBEARER";
  }
  return "unknown";
}

/// 144 random bits. Not the environment's, which anybody who knows a few of them can guess.
inline std::string make_scram_nonce() {
  constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
  std::array<unsigned char, 24> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) return {};
  std::string nonce;
  for (const unsigned char byte : random) nonce += digits[byte & 63];
  return nonce;
}

/// RFC 7628's message with Kafka's extensions (KIP-342); nothing if a part of it would be read as another.
inline std::optional<secret> oauth_message(const oauth_token& token) {
  const auto is_printable = [](std::string_view s) {
    return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= ' ' && c <= '~'; });
  };
  if (!is_printable(token.value.reveal())) return std::nullopt;
  std::string extensions;
  for (const auto& [name, value] : token.extensions) {
    const bool letters =
        std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
    if (name.empty() || !letters || name == "auth" || !is_printable(value)) return std::nullopt;
    extensions += name + '=' + value + '\x01';
  }
  return secret({"n,,\x01" "auth=Bearer ", token.value.reveal(), "\x01", extensions, "\x01"});
}

/// A source of tokens under way, and who waits for it.
struct token_request {
  explicit token_request(const asio::any_io_executor& executor) : ready(executor) {}

  condition ready;
  asio::cancellation_signal stop;
  bool done = false;
  std::optional<oauth_token> token;
  failure why;
};

inline asio::awaitable<void> run_source(oauth_token_source source, std::shared_ptr<token_request> shared) {
  oauth_token token = co_await source();
  shared->token.emplace(std::move(token));
}

// The user's coroutine is one of its own: the attempt can end before it does.
inline void start_source(const asio::any_io_executor& executor, const oauth_token_source& source,
                         const std::shared_ptr<token_request>& shared) {
  const auto finish = [shared](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const error& e) {
      shared->why = failure(e.code(), e.words());
    } catch (const std::exception& e) {
      shared->why = failure(errc::authentication_failed, e.what());
    } catch (...) {
      shared->why = failure(errc::authentication_failed, "an exception");
    }
    shared->done = true;
    shared->ready.notify_all();
  };
  asio::co_spawn(executor, run_source(source, shared), asio::bind_cancellation_slot(shared->stop.slot(), finish));
}

}  // namespace detail

KAWAIT_DECL failure connection::login_failure(std::string_view words) const {
  std::string all = detail::name_of(*options_.sasl->mechanism);
  all.append(": ").append(words);
  return at_peer(failure(errc::authentication_failed, std::move(all)));
}

KAWAIT_DECL asio::awaitable<failure> connection::authenticate(time_point deadline) {
  const sasl_mechanism mechanism = *options_.sasl->mechanism;
  secret token;
  if (mechanism == sasl_mechanism::oauthbearer) {
    auto fetched = co_await fetch_token(deadline);
    if (!fetched) co_return std::move(fetched).error();
    token = *std::move(fetched);
  }
  // From here on the broker takes nothing else; while a token was fetched it did.
  if (session_) session_->renewing = true;
  failure f = co_await choose_mechanism(deadline);
  if (f) co_return f;
  lifetime_ = std::chrono::milliseconds(0);
  if (mechanism == sasl_mechanism::oauthbearer) {
    f = co_await log_in_with_token(std::move(token), deadline);
    if (f.code == errc::authentication_failed && options_.sasl->token_refused) options_.sasl->token_refused();
  } else if (mechanism == sasl_mechanism::plain) {
    f = co_await log_in_plain(deadline);
  } else {
    f = co_await log_in_scram(deadline);
  }
  if (!f) begin_session(lifetime_);
  co_return f;
}

KAWAIT_DECL asio::awaitable<failure> connection::choose_mechanism(time_point deadline) {
  const char* const name = detail::name_of(*options_.sasl->mechanism);
  protocol::sasl_handshake_request request;
  request.mechanism = name;
  auto answer = co_await async_sasl(request, deadline);
  if (!answer) co_return std::move(answer).error();
  const auto code = static_cast<kafka_error>(answer->message.error_code);
  if (code == kafka_error::none) co_return failure();
  if (code == kafka_error::unsupported_sasl_mechanism) {
    std::string enabled;
    for (const std::string_view m : answer->message.mechanisms) enabled.append(enabled.empty() ? "" : ", ").append(m.substr(0, 64));
    co_return login_failure("the broker has not enabled it; it has " + (enabled.empty() ? std::string("none") : enabled.substr(0, 512)));
  }
  if (code == kafka_error::illegal_sasl_state) {
    co_return login_failure("the listener asks for no authentication, security.protocol does");
  }
  co_return at_peer(failure(code, "SaslHandshake"));
}

// The buffers are large enough before: growing, they would leave copies behind.
KAWAIT_DECL asio::awaitable<result<secret>> connection::say(secret message, time_point deadline) {
  out_.reserve(out_.size() + message.size() + 1024);
  const std::string_view text = message.reveal();
  protocol::sasl_authenticate_request request;
  request.auth_bytes = std::as_bytes(std::span<const char>(text.data(), text.size()));
  auto answer = co_await async_sasl(request, deadline);
  if (out_.empty()) kawait::detail::cleanse(out_);
  if (!writing_) kawait::detail::cleanse(sending_);
  if (!answer) co_return std::move(answer).error();
  const auto& m = answer->message;
  const auto code = static_cast<kafka_error>(m.error_code);
  if (code == kafka_error::sasl_authentication_failed) {
    co_return login_failure(m.error_message ? m.error_message->substr(0, 512) : std::string_view("the credentials are refused"));
  }
  if (code != kafka_error::none) co_return at_peer(failure(code, "SaslAuthenticate"));
  lifetime_ = std::chrono::milliseconds(std::clamp<std::int64_t>(m.session_lifetime_ms, 0, std::int64_t{1} << 40));
  co_return secret(std::string_view(reinterpret_cast<const char*>(m.auth_bytes.data()), m.auth_bytes.size()));
}

KAWAIT_DECL asio::awaitable<failure> connection::log_in_plain(time_point deadline) {
  const sasl_options& o = *options_.sasl;
  const std::string_view null("\0", 1);
  secret message({null, o.username, null, o.password.reveal()});
  auto answer = co_await say(std::move(message), deadline);
  if (!answer) co_return std::move(answer).error();
  co_return answer->empty() ? failure() : login_failure("the broker asks for more");
}

KAWAIT_DECL asio::awaitable<failure> connection::log_in_scram(time_point deadline) {
  const sasl_options& o = *options_.sasl;
  using hash = machine::scram::hash;
  const std::string nonce = detail::make_scram_nonce();
  if (nonce.empty()) co_return login_failure("OpenSSL has no random numbers");
  const hash h = *o.mechanism == sasl_mechanism::scram_sha_256 ? hash::sha_256 : hash::sha_512;
  machine::scram scram(h, o.username, o.password, nonce);
  secret first(scram.client_first());
  auto challenge = co_await say(std::move(first), deadline);
  if (!challenge) co_return std::move(challenge).error();
  auto proof = scram.client_final(challenge->reveal());
  if (!proof) co_return login_failure(proof.error().words);
  secret last(*proof);
  auto signature = co_await say(std::move(last), deadline);
  if (!signature) co_return std::move(signature).error();
  const failure f = scram.finish(signature->reveal());
  co_return f ? login_failure(f.words) : failure();
}

KAWAIT_DECL asio::awaitable<result<secret>> connection::fetch_token(time_point deadline) {
  const auto shared = std::make_shared<detail::token_request>(executor_);
  detail::start_source(executor_, options_.sasl->token, shared);
  while (!shared->done) {
    const std::error_code late = co_await shared->ready.wait_until(deadline);
    if (!late || shared->done) continue;
    shared->stop.emit(asio::cancellation_type::terminal);
    co_return at_peer(failure(std::make_error_code(std::errc::timed_out), "the source of tokens"));
  }
  if (!shared->token) {
    failure f = login_failure("no token: " + shared->why.words);
    f.code = shared->why.code;
    co_return f;
  }
  auto message = detail::oauth_message(*shared->token);
  if (!message) co_return login_failure("the token or one of its extensions holds what none may hold");
  co_return *std::move(message);
}

KAWAIT_DECL asio::awaitable<failure> connection::log_in_with_token(secret message, time_point deadline) {
  auto answer = co_await say(std::move(message), deadline);
  if (!answer) co_return std::move(answer).error();
  if (answer->empty()) co_return failure();
  // RFC 7628: a refusal is a challenge (JSON, which says why) that has to be answered before the broker fails.
  const std::string why(answer->reveal().substr(0, 512));
  secret kept("\x01");
  auto refused = co_await say(std::move(kept), deadline);
  if (refused) co_return login_failure("the broker refuses the token: " + why);
  co_return std::move(refused).error();
}

// ---- Renewing the session (KIP-368).

KAWAIT_DECL void connection::begin_session(std::chrono::milliseconds lifetime) {
  if (lifetime.count() == 0) return;
  if (!session_) session_ = std::make_unique<session>(executor_);
  // As in Java: between 85 and 95 % of it, so that a thousand connections of one age do not renew theirs together.
  const auto percent = static_cast<std::int64_t>(85 + env_->random() % 11);
  session_->renewal.expires_after(lifetime * percent / 100);
}

// What is in flight is answered before the broker sees the handshake; what comes meanwhile is held back and follows it. The broker
// would close the connection for any other request within an authentication.
KAWAIT_DECL asio::awaitable<void> connection::renew_sessions(std::shared_ptr<connection> self) {
  connection& c = *self;
  while (!c.why_) {
    co_await c.session_->renewal.async_wait();
    if (c.why_) co_return;
    c.session_->renewal.expires_at(time_point::max());
    const time_point deadline = c.env_->now() + c.options_.request_timeout;
    failure f = co_await c.authenticate(deadline);
    if (c.why_) co_return;
    if (f) {
      c.close(std::move(f));
      co_return;
    }
    c.release_held();
    if (c.lifetime_.count() == 0) co_return;
  }
}

KAWAIT_DECL void connection::release_held() {
  session_->renewing = false;
  if (session_->held.empty()) return;
  out_.insert(out_.end(), session_->held_frames.begin(), session_->held_frames.end());
  session_->held_frames.clear();
  for (pending_request& p : session_->held) {
    watch(p.deadline);
    pending_.push_back(p);
  }
  session_->held.clear();
  send_now();
}

}  // namespace kawait::net
