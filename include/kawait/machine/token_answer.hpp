#pragma once

#include <chrono>
#include <string_view>

#include <kawait/core/result.hpp>
#include <kawait/core/secret.hpp>

namespace kawait::machine {

/// What a token endpoint gives (RFC 6749, 5.1).
struct token_answer {
  secret token;
  std::chrono::seconds lifetime{0};  ///< 0: it does not say.

  token_answer() = default;

  /// Of strict JSON, at most 32 levels deep. Fails with errc::authentication_failed; the words hold nothing of the text.
  KAWAIT_DECL static result<token_answer> parse(std::string_view json);
};

/// Why it gives none (RFC 6749, 5.2): "invalid_client" and the like. Empty if the text says none of those that the RFC knows: any other
/// could be an echo of the request.
KAWAIT_DECL std::string_view token_refusal(std::string_view json);

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/token_answer.ipp>
#endif
