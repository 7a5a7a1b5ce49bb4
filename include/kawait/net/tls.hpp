#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <kawait/core/result.hpp>
#include <kawait/net/network.hpp>
#include <kawait/net/security.hpp>

// OpenSSL's headers are only where the code is.
struct ssl_ctx_st;
struct ssl_st;

namespace kawait::net {

/// Errors of OpenSSL, by their codes.
KAWAIT_DECL const std::error_category& tls_category() noexcept;

/// What the connections of a client have in common: certificates and what is asked of the broker's. Read again when files change.
class tls_context {
 public:
  /// Reads everything. Fails with errc::invalid_config; the words name the property and say what is wrong with it.
  KAWAIT_DECL static result<std::shared_ptr<tls_context>> create(const tls_options& options);

  explicit tls_context(const tls_options& options) : options_(options) {}
  tls_context(const tls_context&) = delete;
  tls_context& operator=(const tls_context&) = delete;

  /// For a new connection. Files that have changed since are read again; while that fails, what was read before is in use, and
  /// reload_failure() says why.
  KAWAIT_DECL std::shared_ptr<ssl_ctx_st> current();
  const failure& reload_failure() const noexcept { return reload_failure_; }
  bool verifies_host() const noexcept { return options_.verify_host; }

 private:
  KAWAIT_DECL failure load();
  KAWAIT_DECL std::string seen_files() const;

  tls_options options_;
  std::shared_ptr<ssl_ctx_st> context_;
  std::string seen_;  // The files' times and sizes when they were read.
  failure reload_failure_;
};

/// TLS over another stream. Records are decrypted into where the reader wants them; what is written is encrypted before it is queued.
class tls_transport final : public transport {
 public:
  enum class side : std::uint8_t { client, server };

  /// `context` has to be one of that side's.
  KAWAIT_DECL tls_transport(std::unique_ptr<transport> lower, std::shared_ptr<ssl_ctx_st> context, side s = side::client);
  KAWAIT_DECL ~tls_transport() override;

  /// Who the other end has to be: its certificate is checked for it; a name (not an address) is told to it (SNI), too.
  KAWAIT_DECL failure expect_host(const std::string& host, bool verify);
  /// Fails with errc::certificate_rejected, tls_failed, or what the stream beneath failed with; without the address.
  KAWAIT_DECL asio::awaitable<failure> shake_hands();

  KAWAIT_DECL asio::awaitable<std::size_t> read_some(std::span<std::byte> room, std::error_code& ec) override;
  KAWAIT_DECL asio::awaitable<void> write(std::span<const std::byte> bytes, std::error_code& ec) override;
  KAWAIT_DECL std::size_t try_write(std::span<const std::byte> bytes) noexcept override;
  void expect(std::size_t missing) noexcept override { missing_ = missing; }
  KAWAIT_DECL void close() noexcept override;
  KAWAIT_DECL void abort() noexcept override;
  std::string peer() const override { return lower_->peer(); }

 private:
  friend struct tls_stream_access;
  struct ssl_deleter {
    KAWAIT_DECL void operator()(ssl_st* s) const noexcept;
  };

  KAWAIT_DECL asio::awaitable<std::error_code> fill(std::size_t missing);
  KAWAIT_DECL asio::awaitable<std::error_code> flush();
  KAWAIT_DECL bool encrypt(std::span<const std::byte> bytes) noexcept;
  KAWAIT_DECL failure why_no_handshake() const;

  std::unique_ptr<transport> lower_;
  std::shared_ptr<ssl_ctx_st> context_;
  std::unique_ptr<ssl_st, ssl_deleter> ssl_;
  std::string host_;

  std::vector<std::byte> in_;  // Encrypted bytes that OpenSSL has not taken yet are from begin_ to end_.
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t missing_ = 0;

  std::vector<std::byte> out_;      // Encrypted, not yet given to the stream beneath.
  std::vector<std::byte> sending_;  // What is being written to it.
  std::size_t encrypted_ = 0;       // Of what the next write() is given: try_write() could not send all of it.
  bool writing_ = false;
  bool established_ = false;
};

/// Speaks TLS on a connected stream, until the deadline. Failures begin with the address.
KAWAIT_DECL asio::awaitable<result<std::unique_ptr<transport>>> start_tls(std::unique_ptr<transport> lower,
                                                                          std::shared_ptr<tls_context> context, address where,
                                                                          time_point deadline);

}  // namespace kawait::net

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/net/impl/tls.ipp>
#include <kawait/net/impl/tls_context.ipp>
#endif
