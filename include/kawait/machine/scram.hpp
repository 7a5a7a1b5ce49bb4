#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <kawait/core/error.hpp>
#include <kawait/core/result.hpp>
#include <kawait/core/secret.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::machine {

/// The client's side of SCRAM (RFC 5802, RFC 7677) without channel binding, as Kafka has it (KIP-84): the password never leaves, and
/// the broker has to show that it knows it, too. For one exchange. Failures are errc::authentication_failed; their words hold nothing
/// of what was exchanged but the broker's own error.
class scram {
 public:
  enum class hash : std::uint8_t { sha_256, sha_512 };

  /// Fewer make a stolen exchange cheap to try passwords on; more let a forged answer keep the client busy.
  static constexpr std::uint32_t least_iterations = 4096, most_iterations = 1'000'000;

  /// `nonce`: printable, without commas, never used before.
  KAWAIT_DECL scram(hash h, std::string_view user, secret password, std::string_view nonce);
  KAWAIT_DECL ~scram();
  scram(const scram&) = delete;
  scram& operator=(const scram&) = delete;

  KAWAIT_DECL std::string client_first() const;
  /// The answer to client_first(): the client's final message. Takes up to a second of processor time for the most iterations; a few
  /// milliseconds for Kafka's 4096.
  KAWAIT_DECL result<std::string> client_final(std::string_view server_first);
  /// The answer to that. No failure: the broker knows the password.
  KAWAIT_DECL failure finish(std::string_view server_final);

 private:
  static constexpr std::size_t longest_hash = 64;
  using digest = std::array<unsigned char, longest_hash>;

  KAWAIT_DECL std::string client_first_bare() const;

  hash hash_;
  std::string user_;  // With '=' and ',' written as =3D and =2C.
  secret password_;
  std::string nonce_;
  digest server_signature_{};
  bool awaits_signature_ = false;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/scram.ipp>
#endif
