#pragma once

#include <string>
#include <string_view>

#include <kawait/detail/config.hpp>

namespace kawait::testing {

/// The broker's side of SCRAM-SHA-256, for tests: machine::scram is the client's. For one exchange.
class scram_server {
 public:
  /// From the client's first message; one that is malformed has an empty first().
  KAWAIT_DECL scram_server(std::string_view client_first, std::string_view password, int iterations = 4096);

  /// The name that the client gives, as it is written in SCRAM.
  static std::string_view user_of(std::string_view client_first) {
    constexpr std::string_view head = "n,,n=";
    if (!client_first.starts_with(head)) return {};
    const std::string_view rest = client_first.substr(head.size());
    return rest.substr(0, rest.find(','));
  }

  /// The challenge.
  const std::string& first() const noexcept { return first_; }
  /// "v=...", or empty if the proof is wrong.
  KAWAIT_DECL std::string final(std::string_view client_final) const;

 private:
  std::string bare_, nonce_, first_, client_key_, server_key_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/scram_server.ipp>
#endif
