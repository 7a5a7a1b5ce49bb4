#include "certificates.hpp"

#include <atomic>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace kawait::tests {

namespace {

struct release {
  void operator()(BIO* p) const noexcept { BIO_free(p); }
  void operator()(X509* p) const noexcept { X509_free(p); }
  void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
  void operator()(X509_EXTENSION* p) const noexcept { X509_EXTENSION_free(p); }
};
template <class T>
using owned = std::unique_ptr<T, release>;

void need(bool done, const char* what) {
  if (done) return;
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  throw std::runtime_error(std::string(what) + ": " + (reason ? reason : ""));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

owned<BIO> reading(const std::string& text) { return owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

owned<X509> certificate_of(const std::string& text) {
  const auto in = reading(text);
  owned<X509> x(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  need(x != nullptr, "certificate");
  return x;
}

owned<EVP_PKEY> key_of(const std::string& text) {
  const auto in = reading(text);
  owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
  need(key != nullptr, "key");
  return key;
}

std::string write_key(EVP_PKEY* key, const std::string& password) {
  const owned<BIO> out(BIO_new(BIO_s_mem()));
  const EVP_CIPHER* const cipher = password.empty() ? nullptr : EVP_aes_256_cbc();
  const char* const phrase = password.empty() ? nullptr : password.data();
  need(PEM_write_bio_PKCS8PrivateKey(out.get(), key, cipher, phrase, static_cast<int>(password.size()), nullptr, nullptr) == 1, "key");
  return text_of(out.get());
}

void add_extension(X509* x, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, x, nullptr, nullptr, 0);
  const owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  need(extension && X509_add_ext(x, extension.get(), -1) == 1, value.c_str());
}

void set_name(X509_NAME* to, const std::string& name) {
  const auto* const bytes = reinterpret_cast<const unsigned char*>(name.data());
  need(X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_UTF8, bytes, static_cast<int>(name.size()), -1, 0) == 1, "name");
}

owned<X509> new_certificate(const std::string& name, EVP_PKEY* key, validity when) {
  static std::atomic<long> serial{1};
  owned<X509> x(X509_new());
  X509_set_version(x.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x.get()), static_cast<long>(when.from.count()));
  X509_gmtime_adj(X509_getm_notAfter(x.get()), static_cast<long>(when.until.count()));
  set_name(X509_get_subject_name(x.get()), name);
  need(X509_set_pubkey(x.get(), key) == 1, "public key");
  return x;
}

std::string sign(X509* x, EVP_PKEY* with) {
  need(X509_sign(x, with, EVP_sha256()) > 0, "sign");
  const owned<BIO> out(BIO_new(BIO_s_mem()));
  need(PEM_write_bio_X509(out.get(), x) == 1, "certificate");
  return text_of(out.get());
}

}  // namespace

authority::authority(std::string name) : name_(std::move(name)) {
  const owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const auto x = new_certificate(name_, key.get(), validity());
  set_name(X509_get_issuer_name(x.get()), name_);
  add_extension(x.get(), x.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(x.get(), x.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  own_.text = sign(x.get(), key.get());
  own_.key = write_key(key.get(), {});
}

certificate authority::issue(const std::string& name, const std::vector<std::string>& subjects, validity when,
                             const std::string& key_password) const {
  const owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const auto x = new_certificate(name, key.get(), when);
  const auto issuer = certificate_of(own_.text);
  need(X509_set_issuer_name(x.get(), X509_get_subject_name(issuer.get())) == 1, "issuer");
  std::string all;
  for (const std::string& s : subjects) all += (all.empty() ? "" : ",") + s;
  if (!all.empty()) add_extension(x.get(), issuer.get(), NID_subject_alt_name, all);
  certificate made;
  made.text = sign(x.get(), key_of(own_.key).get());
  made.key = write_key(key.get(), key_password);
  return made;
}

std::shared_ptr<ssl_ctx_st> server_context(const certificate& own, const std::string& clients) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), [](SSL_CTX* c) { SSL_CTX_free(c); });
  need(SSL_CTX_use_certificate(context.get(), certificate_of(own.text).get()) == 1, "certificate");
  need(SSL_CTX_use_PrivateKey(context.get(), key_of(own.key).get()) == 1, "key");
  if (!clients.empty()) {
    need(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), certificate_of(clients).get()) == 1, "clients");
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

void write_file(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  std::ofstream(beside) << text;
  if (std::rename(beside.c_str(), path.c_str()) != 0) throw std::runtime_error("rename " + path);
}

}  // namespace kawait::tests
