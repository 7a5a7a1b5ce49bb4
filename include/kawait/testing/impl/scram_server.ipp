#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <kawait/testing/scram_server.hpp>

namespace kawait::testing {
namespace detail {

inline constexpr std::size_t sha_256_size = 32;

inline const unsigned char* octets(std::string_view s) noexcept { return reinterpret_cast<const unsigned char*>(s.data()); }
inline unsigned char* octets(std::string& s) noexcept { return reinterpret_cast<unsigned char*>(s.data()); }

inline std::string base64(std::string_view in) {
  std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');
  out.resize(static_cast<std::size_t>(EVP_EncodeBlock(octets(out), octets(in), static_cast<int>(in.size()))));
  return out;
}

inline std::string hmac(std::string_view key, std::string_view text) {
  std::string out(sha_256_size, '\0');
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), octets(text), text.size(), octets(out), nullptr);
  return out;
}

}  // namespace detail

KAWAIT_DECL scram_server::scram_server(std::string_view client_first, std::string_view password, int iterations) {
  const std::size_t nonce = client_first.rfind(",r=");
  if (user_of(client_first).empty() || nonce == std::string_view::npos) return;
  bare_ = client_first.substr(3);
  nonce_ = std::string(client_first.substr(nonce + 3)) + "broker";
  constexpr std::string_view salt = "kawait's embedded broker";
  first_ = "r=" + nonce_ + ",s=" + detail::base64(salt) + ",i=" + std::to_string(iterations);
  std::string salted(detail::sha_256_size, '\0');
  PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), detail::octets(salt), static_cast<int>(salt.size()), iterations,
                    EVP_sha256(), static_cast<int>(salted.size()), detail::octets(salted));
  client_key_ = detail::hmac(salted, "Client Key");
  server_key_ = detail::hmac(salted, "Server Key");
}

KAWAIT_DECL std::string scram_server::final(std::string_view client_final) const {
  const std::string without_proof = "c=biws,r=" + nonce_;
  const std::string exchanged = bare_ + ',' + first_ + ',' + without_proof;
  std::string stored(detail::sha_256_size, '\0');
  EVP_Digest(client_key_.data(), client_key_.size(), detail::octets(stored), nullptr, EVP_sha256(), nullptr);
  std::string proof = detail::hmac(stored, exchanged);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<char>(proof[i] ^ client_key_[i]);
  if (first_.empty() || client_final != without_proof + ",p=" + detail::base64(proof)) return {};
  return "v=" + detail::base64(detail::hmac(server_key_, exchanged));
}

}  // namespace kawait::testing
