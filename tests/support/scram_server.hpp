#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace kawait::tests {

/// The broker's side of SCRAM-SHA-256, for a test's script: made from what the client said first.
class scram_server {
 public:
  scram_server(std::string_view client_first, const std::string& password, int iterations = 4096) {
    if (!client_first.starts_with("n,,")) throw std::runtime_error("SCRAM: no n,,");
    bare_ = client_first.substr(3);
    nonce_ = bare_.substr(bare_.rfind(",r=") + 3) + "server";
    const std::string salt = "0123456789ab";
    first_ = "r=" + nonce_ + ",s=" + base64(salt) + ",i=" + std::to_string(iterations);
    std::string salted(32, '\0');
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), reinterpret_cast<const unsigned char*>(salt.data()),
                      static_cast<int>(salt.size()), iterations, EVP_sha256(), 32, reinterpret_cast<unsigned char*>(salted.data()));
    client_key_ = mac(salted, "Client Key");
    server_key_ = mac(salted, "Server Key");
  }

  const std::string& first() const noexcept { return first_; }
  /// "v=...", or empty if the proof is wrong.
  std::string final(const std::string& client_final) const {
    const std::string without_proof = "c=biws,r=" + nonce_;
    const std::string exchanged = bare_ + "," + first_ + "," + without_proof;
    std::string stored(32, '\0');
    EVP_Digest(client_key_.data(), 32, reinterpret_cast<unsigned char*>(stored.data()), nullptr, EVP_sha256(), nullptr);
    std::string proof = mac(stored, exchanged);
    for (std::size_t i = 0; i < proof.size(); ++i) proof[i] = static_cast<char>(proof[i] ^ client_key_[i]);
    if (client_final != without_proof + ",p=" + base64(proof)) return {};
    return "v=" + base64(mac(server_key_, exchanged));
  }

 private:
  static std::string base64(const std::string& in) {
    std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');
    const auto* const bytes = reinterpret_cast<const unsigned char*>(in.data());
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes, static_cast<int>(in.size()));
    out.resize(static_cast<std::size_t>(size));
    return out;
  }
  static std::string mac(const std::string& key, const std::string& text) {
    std::string out(32, '\0');
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(out.data()), nullptr);
    return out;
  }

  std::string bare_, nonce_, first_, client_key_, server_key_;
};

}  // namespace kawait::tests
