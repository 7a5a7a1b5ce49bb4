#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct sasl_authenticate_response {
  static constexpr const char* api_name = "SaslAuthenticate";
  static constexpr std::int16_t api_key = 36, min_version = 0, max_version = 2, first_flexible_version = 2;

  std::int16_t error_code = 0;
  std::optional<std::string_view> error_message{std::in_place};
  bytes_view auth_bytes;
  std::int64_t session_lifetime_ms = 0;  ///< 0: for as long as the connection lives.

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = sasl_authenticate_response;
    visit(field("ErrorCode"), &m::error_code);
    visit(field("ErrorMessage").nullable(0), &m::error_message);
    visit(field("AuthBytes"), &m::auth_bytes);
    visit(field("SessionLifetimeMs").since(1).ignorable(), &m::session_lifetime_ms);
  }
};

/// One message of the mechanism that SaslHandshake has named.
struct sasl_authenticate_request {
  static constexpr const char* api_name = "SaslAuthenticate";
  static constexpr std::int16_t api_key = 36, min_version = 0, max_version = 2, first_flexible_version = 2;
  using response = sasl_authenticate_response;

  bytes_view auth_bytes;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    visit(field("AuthBytes"), &sasl_authenticate_request::auth_bytes);
  }
};

}  // namespace kawait::protocol
