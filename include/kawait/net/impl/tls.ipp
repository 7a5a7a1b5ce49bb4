#pragma once

#include <algorithm>
#include <cstring>

#include <asio/ip/address.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <kawait/net/timer.hpp>
#include <kawait/net/tls.hpp>

namespace kawait::net {

/// What OpenSSL reads from and writes to: the transport's buffers. Nothing blocks, nothing is allocated but in out_.
struct tls_stream_access {
  static int read(BIO* bio, char* to, std::size_t size, std::size_t* done) {
    tls_transport& t = *static_cast<tls_transport*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *done = std::min(size, t.end_ - t.begin_);
    if (*done == 0) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(to, t.in_.data() + t.begin_, *done);
    t.begin_ += *done;
    return 1;
  }
  static int write(BIO* bio, const char* from, std::size_t size, std::size_t* done) {
    tls_transport& t = *static_cast<tls_transport*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const auto* const bytes = reinterpret_cast<const std::byte*>(from);
    try {
      t.out_.insert(t.out_.end(), bytes, bytes + size);
    } catch (const std::bad_alloc&) {
      return 0;
    }
    *done = size;
    return 1;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }
  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }

  static BIO* make(tls_transport& t) {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* const m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kawait");
      if (!m) throw std::bad_alloc();
      BIO_meth_set_read_ex(m, &read);
      BIO_meth_set_write_ex(m, &write);
      BIO_meth_set_ctrl(m, &control);
      BIO_meth_set_create(m, &create);
      return m;
    }();
    BIO* const bio = BIO_new(method);
    if (!bio) throw std::bad_alloc();
    BIO_set_data(bio, &t);
    return bio;
  }
};

namespace detail {

/// For answers; and while a response's body is outstanding, enough for a read to bring many records at once.
inline constexpr std::size_t small_tls_buffer = 16 * 1024 + 512;
inline constexpr std::size_t large_tls_buffer = 128 * 1024;
inline constexpr std::size_t least_for_large_tls_buffer = 32 * 1024;
/// The most that OpenSSL may have taken of a record which is not complete.
inline constexpr std::size_t longest_tls_record = 16 * 1024 + 2048 + 5;

class tls_error_category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "tls"; }
  std::string message(int value) const override {
    const char* const reason = ERR_reason_error_string(static_cast<unsigned long>(static_cast<unsigned>(value)));
    return reason ? std::string("TLS: ") + reason : "TLS: error " + std::to_string(value);
  }
};

/// OpenSSL's first error: what follows it is only what came of it.
inline std::error_code take_tls_error() {
  const unsigned long code = ERR_peek_error();
  ERR_clear_error();
  // That the peer broke off without TLS's farewell: Kafka's brokers do so, and frames have lengths of their own.
  if (code == 0 || (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
    return asio::error::eof;
  }
  return std::error_code(static_cast<int>(code), tls_category());
}

/// The stream of a handshake, and its time-out; owned by the execution context alone.
struct tls_attempt {
  tls_attempt(const asio::any_io_executor& executor, std::unique_ptr<transport> lower, std::shared_ptr<SSL_CTX> context)
      : stream(std::make_unique<tls_transport>(std::move(lower), std::move(context))), limit(executor) {}
  tls_attempt(const tls_attempt&) = delete;
  tls_attempt& operator=(const tls_attempt&) = delete;
  ~tls_attempt() {
    if (stream) stream->close();
  }

  std::unique_ptr<tls_transport> stream;
  timer limit;
  bool timed_out = false;
};

/// Ends the time-out however the handshake's coroutine ends.
class tls_attempt_guard {
 public:
  explicit tls_attempt_guard(std::shared_ptr<tls_attempt> a) noexcept : attempt_(std::move(a)) {}
  tls_attempt_guard(const tls_attempt_guard&) = delete;
  tls_attempt_guard& operator=(const tls_attempt_guard&) = delete;
  ~tls_attempt_guard() { attempt_->limit.cancel(); }

 private:
  std::shared_ptr<tls_attempt> attempt_;
};

// Not in the coroutine itself: g++ finds fault with a frame that holds a lambda.
inline void limit_attempt(const std::shared_ptr<tls_attempt>& attempt, time_point deadline) {
  attempt->limit.expires_at(deadline);
  attempt->limit.async_wait([attempt](std::error_code code) {
    if (code || !attempt->stream) return;
    attempt->timed_out = true;
    attempt->stream->close();
  });
}

}  // namespace detail

KAWAIT_DECL const std::error_category& tls_category() noexcept {
  static const detail::tls_error_category category;
  return category;
}

KAWAIT_DECL void tls_transport::ssl_deleter::operator()(ssl_st* s) const noexcept { SSL_free(s); }

KAWAIT_DECL tls_transport::tls_transport(std::unique_ptr<transport> lower, std::shared_ptr<ssl_ctx_st> context, side s)
    : lower_(std::move(lower)), context_(std::move(context)), ssl_(SSL_new(context_.get())), in_(detail::small_tls_buffer) {
  if (!ssl_) throw std::bad_alloc();
  BIO* const bio = tls_stream_access::make(*this);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (s == side::client) {
    SSL_set_connect_state(ssl_.get());
  } else {
    SSL_set_accept_state(ssl_.get());
  }
}

KAWAIT_DECL tls_transport::~tls_transport() = default;

KAWAIT_DECL failure tls_transport::expect_host(const std::string& host, bool verify) {
  host_ = host;
  std::error_code no_address;
  asio::ip::make_address(host, no_address);
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl_.get());
  // A final dot makes a name absolute for the resolver; certificates have none.
  const std::string name = host.size() > 1 && host.back() == '.' ? host.substr(0, host.size() - 1) : host;
  bool set = true;
  if (no_address) set = SSL_set_tlsext_host_name(ssl_.get(), name.c_str()) == 1;
  if (set && verify) {
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    set = (no_address ? X509_VERIFY_PARAM_set1_host(wanted, name.data(), name.size())
                      : X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str())) == 1;
  }
  if (set) return {};
  ERR_clear_error();
  return failure(errc::tls_failed, "'" + host + "' is no host that a certificate can be of");
}

KAWAIT_DECL asio::awaitable<failure> tls_transport::shake_hands() {
  for (;;) {
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    const int what = SSL_get_error(ssl_.get(), done);
    failure why;
    if (done != 1 && what != SSL_ERROR_WANT_READ) why = why_no_handshake();
    const std::error_code unsent = co_await flush();  // an alert, too
    if (why) co_return why;
    if (done == 1) {
      established_ = !unsent;
      co_return unsent ? failure(unsent) : failure();
    }
    std::error_code ec = unsent;
    if (!ec) ec = co_await fill(0);
    if (ec == asio::error::eof || ec == asio::error::connection_reset || ec == asio::error::broken_pipe) {
      co_return failure(errc::tls_failed, "the peer ended the connection within the handshake; does its listener speak TLS?");
    }
    if (ec) co_return failure(ec);
  }
}

KAWAIT_DECL failure tls_transport::why_no_handshake() const {
  const unsigned long code = ERR_peek_error();
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  const std::string words = detail::take_tls_error().message();
  const long verified = SSL_get_verify_result(ssl_.get());
  switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        return failure(errc::certificate_rejected, "it is not one of '" + host_ + "'");
      }
      return failure(errc::certificate_rejected, X509_verify_cert_error_string(verified));
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
      return failure(errc::tls_failed, "the peer does not answer in TLS (" + words + "); is this a plaintext listener?");
    default:
      return failure(errc::tls_failed, words);
  }
}

// Plaintext that is outstanding is at least as much on the wire, but for what has come already.
KAWAIT_DECL asio::awaitable<std::error_code> tls_transport::fill(std::size_t missing) {
  const std::size_t outstanding = missing > detail::longest_tls_record ? missing - detail::longest_tls_record : 0;
  if (outstanding >= detail::least_for_large_tls_buffer && in_.size() < detail::large_tls_buffer) in_.resize(detail::large_tls_buffer);
  begin_ = end_ = 0;  // OpenSSL asks for more only when it has taken everything
  lower_->expect(outstanding);
  std::error_code ec;
  const std::span<std::byte> room(in_);
  end_ = co_await lower_->read_some(room, ec);
  co_return ec;
}

KAWAIT_DECL asio::awaitable<std::error_code> tls_transport::flush() {
  std::error_code ec;
  writing_ = true;
  while (!out_.empty() && !ec) {
    std::swap(out_, sending_);
    co_await lower_->write(sending_, ec);
    sending_.clear();
  }
  writing_ = false;
  co_return ec;
}

KAWAIT_DECL asio::awaitable<std::size_t> tls_transport::read_some(std::span<std::byte> room, std::error_code& ec) {
  std::size_t done = 0;
  for (;;) {
    std::size_t size = 0;
    ERR_clear_error();
    const int read = SSL_read_ex(ssl_.get(), room.data() + done, room.size() - done, &size);
    const int what = SSL_get_error(ssl_.get(), read);
    // Answers of TLS's own (to a change of keys). What is not taken now goes with the next write.
    if (!out_.empty() && !writing_) {
      const std::size_t sent = lower_->try_write(out_);
      out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent));
    }
    if (read == 1) {
      done += size;
      if (done == room.size()) break;
      continue;  // a call yields one record; there may be many
    }
    if (what == SSL_ERROR_WANT_READ && done > 0) break;
    if (what != SSL_ERROR_WANT_READ) {
      if (done > 0) break;  // the next read says it again
      ec = what == SSL_ERROR_ZERO_RETURN ? std::error_code(asio::error::eof) : detail::take_tls_error();
      break;
    }
    ec = co_await fill(missing_);
    if (ec) break;
  }
  co_return done;
}

KAWAIT_DECL bool tls_transport::encrypt(std::span<const std::byte> bytes) noexcept {
  std::size_t size = 0;
  ERR_clear_error();
  return bytes.empty() || SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size) == 1;
}

KAWAIT_DECL asio::awaitable<void> tls_transport::write(std::span<const std::byte> bytes, std::error_code& ec) {
  const std::span<const std::byte> rest = bytes.subspan(std::exchange(encrypted_, 0));
  if (!encrypt(rest)) {
    ec = detail::take_tls_error();
    co_return;
  }
  ec = co_await flush();
}

// What is encrypted cannot be taken back: either all of it is sent now, or write() is given it again and sends what is left.
KAWAIT_DECL std::size_t tls_transport::try_write(std::span<const std::byte> bytes) noexcept {
  if (!established_ || encrypted_ != 0 || !encrypt(bytes)) return 0;
  const std::size_t sent = lower_->try_write(out_);
  if (sent == out_.size()) {
    out_.clear();
    return bytes.size();
  }
  out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent));
  encrypted_ = bytes.size();
  return 0;
}

KAWAIT_DECL void tls_transport::close() noexcept {
  if (std::exchange(established_, false)) {
    ERR_clear_error();
    // A farewell, if there is room for one. Nobody waits for the peer's.
    if (SSL_shutdown(ssl_.get()) >= 0 && !writing_) lower_->try_write(out_);
    ERR_clear_error();
  }
  lower_->close();
}

KAWAIT_DECL void tls_transport::abort() noexcept {
  established_ = false;
  lower_->abort();
}

KAWAIT_DECL asio::awaitable<result<std::unique_ptr<transport>>> start_tls(std::unique_ptr<transport> lower,
                                                                          std::shared_ptr<tls_context> context, address where,
                                                                          time_point deadline) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto current = context->current();
  const auto attempt = std::make_shared<detail::tls_attempt>(executor, std::move(lower), current);
  const detail::tls_attempt_guard guard(attempt);
  detail::limit_attempt(attempt, deadline);
  failure f = attempt->stream->expect_host(where.host, context->verifies_host());
  if (!f) f = co_await attempt->stream->shake_hands();
  if (attempt->timed_out) f = failure(std::make_error_code(std::errc::timed_out), "TLS handshake");
  if (!f) {
    std::unique_ptr<transport> protected_stream = std::move(attempt->stream);
    co_return std::move(protected_stream);
  }
  std::string words = where.to_string();
  if (!f.words.empty()) words += ": " + f.words;
  co_return failure(f.code, std::move(words));
}

}  // namespace kawait::net
