#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <kawait/net/tls.hpp>

namespace kawait::net {
namespace detail {

struct openssl_free {
  void operator()(BIO* p) const noexcept { BIO_free(p); }
  void operator()(X509* p) const noexcept { X509_free(p); }
  void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
};
template <class T>
using openssl_ptr = std::unique_ptr<T, openssl_free>;

/// OpenSSL's own words for what went wrong last; its queue is empty afterwards.
inline std::string openssl_words() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason ? reason : "no reason is given";
}

inline failure bad_pem(std::string_view property, const pem_source& from, std::string_view what) {
  std::string words = "ssl." + std::string(property);
  words += from.location.empty() ? ".pem" : ".location = '" + from.location + '\'';
  words.append(": ").append(what).append(": ").append(openssl_words());
  return failure(errc::invalid_config, std::move(words));
}

inline openssl_ptr<BIO> open_pem(const pem_source& from) {
  if (!from.location.empty()) return openssl_ptr<BIO>(BIO_new_file(from.location.c_str(), "r"));
  const std::string_view text = from.text.reveal();
  return openssl_ptr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// Behind the dashes that end the line which begins at `marker`.
inline std::size_t end_of_marker(std::string_view text, std::size_t marker) {
  constexpr std::string_view dashes = "-----";
  if (marker == std::string_view::npos) return marker;
  const std::size_t end = text.find(dashes, marker + dashes.size());
  return end == std::string_view::npos ? end : end + dashes.size();
}

/// Properties files have PEM on one line, with blanks where its lines ended: Java takes any whitespace for an end of line, OpenSSL
/// only what is one. What is not whole stays so, to be refused.
inline secret in_lines(const secret& pem) {
  struct cleansed {
    std::string text;
    ~cleansed() { kawait::detail::cleanse(text.data(), text.size()); }
  } lines;
  constexpr std::size_t line = 64;
  const std::string_view text = pem.reveal();
  std::string& out = lines.text;
  out.reserve(2 * text.size() + 2);  // more than can be added: moved, it would leave a copy behind
  std::size_t at = 0;
  for (;;) {
    const std::size_t begin = text.find("-----BEGIN ", at), body = end_of_marker(text, begin);
    const std::size_t end = text.find("-----END ", body), next = end_of_marker(text, end);
    if (next == std::string_view::npos) {
      if (body == next) break;
      out.append(text.substr(begin, body - begin)) += '\n';  // so that it is seen that the rest is missing
      at = body;
      break;
    }
    const std::string_view data = text.substr(body, end - body);
    at = next;
    if (data.find(':') != std::string_view::npos) {  // headers (RFC 1421), which mean nothing without their lines
      out.append(text.substr(begin, next - begin)) += '\n';
      continue;
    }
    out.append(text.substr(begin, body - begin)) += '\n';
    std::size_t written = 0;
    for (const char c : data) {
      if (std::string_view(" \t\r\n\f\v").find(c) != std::string_view::npos) continue;
      out += c;
      if (++written % line == 0) out += '\n';
    }
    if (written % line != 0) out += '\n';
    out.append(text.substr(end, next - end)) += '\n';
  }
  return secret({out, text.substr(at)});
}

/// OpenSSL asks at the terminal where nobody answers for it.
inline int give_password(char* to, int size, int, void* user) {
  const std::string_view password = static_cast<const secret*>(user)->reveal();
  if (password.size() > static_cast<std::size_t>(size)) return -1;
  std::copy(password.begin(), password.end(), to);
  return static_cast<int>(password.size());
}

/// Certificates are not encrypted.
inline int give_no_password(char*, int, int, void*) { return -1; }

inline failure trust(SSL_CTX* context, const pem_source& ca) {
  if (ca.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) == 1) return {};
    return failure(errc::invalid_config, "the system's certificates: " + openssl_words());
  }
  std::error_code ignored;
  if (!ca.location.empty() && std::filesystem::is_directory(ca.location, ignored)) {
    if (SSL_CTX_load_verify_dir(context, ca.location.c_str()) == 1) return {};
    return bad_pem("ca", ca, "the directory cannot be read");
  }
  const auto in = open_pem(ca);
  if (!in) return bad_pem("ca", ca, "cannot be read");
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  std::size_t count = 0;
  while (const openssl_ptr<X509> certificate{PEM_read_bio_X509(in.get(), nullptr, &give_no_password, nullptr)}) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) return bad_pem("ca", ca, "a certificate is not taken");
    ++count;
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (count == 0 || !at_end) return bad_pem("ca", ca, "holds no certificates in PEM");
  ERR_clear_error();
  return {};
}

inline failure use_certificate(SSL_CTX* context, const pem_source& from) {
  const auto in = open_pem(from);
  if (!in) return bad_pem("certificate", from, "cannot be read");
  const openssl_ptr<X509> own(PEM_read_bio_X509_AUX(in.get(), nullptr, &give_no_password, nullptr));
  if (!own) return bad_pem("certificate", from, "holds no certificate in PEM");
  if (SSL_CTX_use_certificate(context, own.get()) != 1) return bad_pem("certificate", from, "is not taken");
  while (openssl_ptr<X509> signer{PEM_read_bio_X509(in.get(), nullptr, &give_no_password, nullptr)}) {
    if (SSL_CTX_add0_chain_cert(context, signer.get()) != 1) return bad_pem("certificate", from, "a signer's is not taken");
    signer.release();
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end) return bad_pem("certificate", from, "a signer's cannot be read");
  ERR_clear_error();
  return {};
}

inline failure use_key(SSL_CTX* context, const pem_source& from, const secret& password) {
  const auto in = open_pem(from);
  if (!in) return bad_pem("key", from, "cannot be read");
  void* const user = const_cast<secret*>(&password);  // give_password only reads
  const openssl_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, &give_password, user));
  if (!key) return bad_pem("key", from, "holds no private key in PEM, or ssl.key.password is wrong");
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) return bad_pem("key", from, "is not that of the certificate");
  return {};
}

/// Java calls suites of TLS 1.2 by names that begin alike, and that OpenSSL takes for its list of TLS 1.3, where they restrict nothing.
inline bool is_of_tls13(const std::string& name) { return name.starts_with("TLS_") && name.find("_WITH_") == std::string::npos; }

/// Whether OpenSSL has it; also for what only changes a list ("!aNULL", "@SECLEVEL=1"), which is none by itself.
inline bool is_cipher(SSL_CTX* context, const std::string& name) {
  if (is_of_tls13(name)) return SSL_CTX_set_ciphersuites(context, name.c_str()) == 1;
  return std::string_view("!-+@").find(name[0]) != std::string_view::npos || SSL_CTX_set_cipher_list(context, name.c_str()) == 1;
}

/// Java separates suites by commas, OpenSSL by colons; those of TLS 1.3 have a list of their own. One by one first: what it does not
/// know among others OpenSSL passes over.
inline failure use_ciphers(SSL_CTX* context, std::string names) {
  std::replace(names.begin(), names.end(), ',', ':');
  std::string older, newer;
  for (std::size_t begin = 0; begin <= names.size();) {
    const std::size_t end = std::min(names.find(':', begin), names.size());
    std::string name = names.substr(begin, end - begin);
    std::erase(name, ' ');
    begin = end + 1;
    if (name.empty()) continue;
    const std::string said = name;
    if (name.starts_with("TLS_") && !is_of_tls13(name)) name = OPENSSL_cipher_name(said.c_str());  // "(NONE)" if there is none
    if (!is_cipher(context, name)) return failure(errc::invalid_config, "ssl.cipher.suites = '" + said + "': " + openssl_words());
    std::string& list = is_of_tls13(name) ? newer : older;
    list += (list.empty() ? "" : ":") + name;
  }
  const bool taken = (older.empty() || SSL_CTX_set_cipher_list(context, older.c_str()) == 1) &&
                     (newer.empty() || SSL_CTX_set_ciphersuites(context, newer.c_str()) == 1);
  if (taken && older.empty() && !newer.empty()) SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);  // nothing else is allowed
  if (taken) return {};
  return failure(errc::invalid_config, "ssl.cipher.suites = '" + names + "': " + openssl_words());
}

/// Never null; throws std::bad_alloc.
inline std::shared_ptr<SSL_CTX> new_client_context() {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  if (!context) throw std::bad_alloc();
  std::shared_ptr<SSL_CTX> owned(context, [](SSL_CTX* c) { SSL_CTX_free(c); });
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  // Who names an intermediate certificate trusts it, as in Java: no root is needed then.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
  return owned;
}

}  // namespace detail

KAWAIT_DECL result<std::shared_ptr<tls_context>> tls_context::create(const tls_options& options) {
  auto made = std::make_shared<tls_context>(options);
  for (pem_source* const from : {&made->options_.ca, &made->options_.certificate, &made->options_.key}) {
    from->text = detail::in_lines(from->text);
  }
  made->seen_ = made->seen_files();
  failure f = made->load();
  if (f) return f;
  return made;
}

KAWAIT_DECL failure tls_context::load() {
  ERR_clear_error();
  const auto context = detail::new_client_context();
  failure f = detail::trust(context.get(), options_.ca);
  if (!f && !options_.certificate.empty()) f = detail::use_certificate(context.get(), options_.certificate);
  if (!f && !options_.key.empty()) f = detail::use_key(context.get(), options_.key, options_.key_password);
  if (!f && !options_.cipher_suites.empty()) f = detail::use_ciphers(context.get(), options_.cipher_suites);
  if (!f) context_ = context;
  return f;
}

// The times before the files: what is written in between is read, and read once more.
KAWAIT_DECL std::shared_ptr<ssl_ctx_st> tls_context::current() {
  std::string now = seen_files();
  if (now == seen_ && !reload_failure_) return context_;
  reload_failure_ = load();
  seen_ = std::move(now);
  return context_;
}

KAWAIT_DECL std::string tls_context::seen_files() const {
  std::string seen;
  for (const pem_source* const from : {&options_.ca, &options_.certificate, &options_.key}) {
    std::error_code ec;
    if (from->location.empty()) continue;
    const auto time = std::filesystem::last_write_time(from->location, ec).time_since_epoch().count();
    seen += ec ? ec.message() : std::to_string(time);
    const auto size = std::filesystem::file_size(from->location, ec);
    seen += ' ' + (ec ? std::string() : std::to_string(size)) + '\n';
  }
  return seen;
}

}  // namespace kawait::net
