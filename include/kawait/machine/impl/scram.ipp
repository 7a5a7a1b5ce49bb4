#pragma once

#include <charconv>
#include <optional>
#include <span>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <kawait/machine/scram.hpp>

namespace kawait::machine {
namespace detail {

/// Longer answers are no broker's: Kafka's are below two hundred bytes.
inline constexpr std::size_t longest_scram_message = 4096;

inline failure scram_failure(std::string_view why) { return failure(errc::authentication_failed, "SCRAM: " + std::string(why)); }

inline std::string to_base64(std::span<const unsigned char> in) {
  std::string out(4 * ((in.size() + 2) / 3) + 1, '\0');  // and the null that OpenSSL writes behind
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), in.data(), static_cast<int>(in.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

/// Strictly: OpenSSL alone takes blanks and counts padding among the bytes.
inline std::optional<std::vector<unsigned char>> from_base64(std::string_view in) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::size_t end = in.find_last_not_of('=') + 1;
  const std::size_t padding = in.size() - end;
  if (in.empty() || in.size() % 4 != 0 || padding > 2) return std::nullopt;
  if (in.substr(0, end).find_first_not_of(alphabet) != std::string_view::npos) return std::nullopt;
  std::vector<unsigned char> out(in.size() / 4 * 3);
  const int size = EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(in.data()), static_cast<int>(in.size()));
  if (size < 0) return std::nullopt;
  out.resize(out.size() - padding);
  return out;
}

/// Takes "x=value" off the front, and the comma behind it.
inline std::optional<std::string_view> take_attribute(std::string_view& message, char name) {
  if (message.size() < 2 || message[0] != name || message[1] != '=') return std::nullopt;
  const std::size_t comma = message.find(',');
  const std::string_view value = message.substr(2, comma == std::string_view::npos ? comma : comma - 2);
  message.remove_prefix(comma == std::string_view::npos ? message.size() : comma + 1);
  return value;
}

/// The keys of one exchange, overwritten when it is over.
class scram_keys {
 public:
  using bytes = std::array<unsigned char, EVP_MAX_MD_SIZE>;

  explicit scram_keys(const EVP_MD* md) noexcept : md_(md), size_(static_cast<std::size_t>(EVP_MD_get_size(md))) {}
  scram_keys(const scram_keys&) = delete;
  scram_keys& operator=(const scram_keys&) = delete;
  ~scram_keys() {
    OPENSSL_cleanse(salted_.data(), salted_.size());
    OPENSSL_cleanse(client_.data(), client_.size());
    OPENSSL_cleanse(stored_.data(), stored_.size());
    OPENSSL_cleanse(server_.data(), server_.size());
  }

  bool derive(std::string_view password, std::span<const unsigned char> salt, std::uint32_t iterations) {
    const bool salted = PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), salt.data(), static_cast<int>(salt.size()),
                                          static_cast<int>(iterations), md_, static_cast<int>(size_), salted_.data()) == 1;
    return salted && mac(salted_, "Client Key", client_) && mac(salted_, "Server Key", server_) &&
           EVP_Digest(client_.data(), size_, stored_.data(), nullptr, md_, nullptr) == 1;
  }
  bool prove(std::string_view exchanged, bytes& proof) const {
    if (!mac(stored_, exchanged, proof)) return false;
    for (std::size_t i = 0; i < size_; ++i) proof[i] = static_cast<unsigned char>(proof[i] ^ client_[i]);
    return true;
  }
  bool sign_as_server(std::string_view exchanged, bytes& signature) const { return mac(server_, exchanged, signature); }

 private:
  bool mac(const bytes& key, std::string_view text, bytes& out) const {
    const auto* const data = reinterpret_cast<const unsigned char*>(text.data());
    return HMAC(md_, key.data(), static_cast<int>(size_), data, text.size(), out.data(), nullptr) != nullptr;
  }

  const EVP_MD* md_;
  std::size_t size_;
  bytes salted_{}, client_{}, stored_{}, server_{};
};

inline const EVP_MD* digest_of(scram::hash h) noexcept { return h == scram::hash::sha_256 ? EVP_sha256() : EVP_sha512(); }

struct scram_challenge {
  std::string_view nonce;
  std::vector<unsigned char> salt;
  std::uint32_t iterations = 0;
};

/// What is wrong with it, or nothing. Extensions behind what is known are left alone, as RFC 5802 says; "m=" in front is one that has to
/// be known, and none is.
inline std::string_view read_challenge(std::string_view message, std::string_view own_nonce, scram_challenge& out) {
  if (message.size() > longest_scram_message) return "the broker's first answer is too long";
  const auto nonce = take_attribute(message, 'r');
  const auto salt = nonce ? take_attribute(message, 's') : std::nullopt;
  const auto count = salt ? take_attribute(message, 'i') : std::nullopt;
  if (!count) return "the broker's first answer is malformed";
  if (nonce->size() <= own_nonce.size() || !nonce->starts_with(own_nonce)) return "the broker's nonce does not continue the client's";
  auto bytes = from_base64(*salt);
  if (!bytes || bytes->empty()) return "the broker's salt is malformed";
  const auto [end, ec] = std::from_chars(count->data(), count->data() + count->size(), out.iterations);
  if (ec != std::errc() || end != count->data() + count->size()) return "the broker's number of iterations is malformed";
  if (out.iterations < scram::least_iterations) return "the broker asks for fewer than 4096 iterations";
  if (out.iterations > scram::most_iterations) return "the broker asks for more than 1000000 iterations";
  out.nonce = *nonce;
  out.salt = *std::move(bytes);
  return {};
}

/// What the broker says instead of its signature: one of RFC 5802's words. Of anything else nothing is shown.
inline std::string shown_error(std::string_view error) {
  const bool harmless = error.size() <= 64 && error.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string_view::npos;
  return harmless ? std::string(error) : "an error that is none of SCRAM's";
}

}  // namespace detail

KAWAIT_DECL scram::scram(hash h, std::string_view user, secret password, std::string_view nonce)
    : hash_(h), password_(std::move(password)), nonce_(nonce) {
  for (const char c : user) {
    if (c == '=') {
      user_ += "=3D";
    } else if (c == ',') {
      user_ += "=2C";
    } else {
      user_ += c;
    }
  }
}

KAWAIT_DECL scram::~scram() { OPENSSL_cleanse(server_signature_.data(), server_signature_.size()); }

KAWAIT_DECL std::string scram::client_first_bare() const { return "n=" + user_ + ",r=" + nonce_; }

KAWAIT_DECL std::string scram::client_first() const { return "n,," + client_first_bare(); }

KAWAIT_DECL result<std::string> scram::client_final(std::string_view server_first) {
  detail::scram_challenge challenge;
  const std::string_view wrong = detail::read_challenge(server_first, nonce_, challenge);
  if (!wrong.empty()) return detail::scram_failure(wrong);
  const EVP_MD* const md = detail::digest_of(hash_);
  const auto size = static_cast<std::size_t>(EVP_MD_get_size(md));
  detail::scram_keys keys(md);
  detail::scram_keys::bytes proof{};
  // "biws" is "n,," again: no channel binding.
  std::string message = "c=biws,r=" + std::string(challenge.nonce);
  std::string exchanged = client_first_bare() + ',';
  exchanged.append(server_first).append(",").append(message);
  const bool done = keys.derive(password_.reveal(), challenge.salt, challenge.iterations) && keys.prove(exchanged, proof) &&
                    keys.sign_as_server(exchanged, server_signature_);
  if (!done) return detail::scram_failure("OpenSSL refuses to hash");
  awaits_signature_ = true;
  message += ",p=" + detail::to_base64(std::span<const unsigned char>(proof).first(size));
  return message;
}

KAWAIT_DECL failure scram::finish(std::string_view server_final) {
  if (!std::exchange(awaits_signature_, false)) return detail::scram_failure("the broker's last answer comes before its first");
  if (server_final.size() > detail::longest_scram_message) return detail::scram_failure("the broker's last answer is too long");
  if (const auto refused = detail::take_attribute(server_final, 'e')) {
    return detail::scram_failure("the broker says " + detail::shown_error(*refused));
  }
  const auto verifier = detail::take_attribute(server_final, 'v');
  if (!verifier) return detail::scram_failure("the broker's last answer has no signature");
  const auto signature = detail::from_base64(*verifier);
  const auto size = static_cast<std::size_t>(EVP_MD_get_size(detail::digest_of(hash_)));
  const bool same = signature && signature->size() == size && CRYPTO_memcmp(signature->data(), server_signature_.data(), size) == 0;
  if (!same) return detail::scram_failure("the broker's signature is wrong: it does not know the password");
  return {};
}

}  // namespace kawait::machine
