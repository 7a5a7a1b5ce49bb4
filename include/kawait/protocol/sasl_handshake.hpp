#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct sasl_handshake_response {
  static constexpr const char* api_name = "SaslHandshake";
  static constexpr std::int16_t api_key = 17, min_version = 1, max_version = 1, first_flexible_version = field::last_version;

  std::int16_t error_code = 0;
  std::vector<std::string_view> mechanisms;  ///< Those that the listener has enabled.

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = sasl_handshake_response;
    visit(field("ErrorCode"), &m::error_code);
    visit(field("Mechanisms"), &m::mechanisms);
  }
};

/// Begins an authentication, or on an authenticated connection another one (KIP-368).
struct sasl_handshake_request {
  static constexpr const char* api_name = "SaslHandshake";
  static constexpr std::int16_t api_key = 17, min_version = 1, max_version = 1, first_flexible_version = field::last_version;
  using response = sasl_handshake_response;

  std::string_view mechanism;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    visit(field("Mechanism"), &sasl_handshake_request::mechanism);
  }
};

}  // namespace kawait::protocol
