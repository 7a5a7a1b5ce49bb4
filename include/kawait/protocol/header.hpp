#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <kawait/core/error.hpp>
#include <kawait/core/result.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/wire/reader.hpp>
#include <kawait/wire/writer.hpp>

namespace kawait::protocol {

/// The start of every request frame, behind its length.
struct request_header {
  std::int16_t api_key = 0;
  std::int16_t api_version = 0;
  std::int32_t correlation_id = 0;
  /// Null only in what others send. In every version with a two-byte length: a broker must be able to read the header of an
  /// ApiVersions request that is newer than itself.
  std::optional<std::string_view> client_id;
};

/// Writes request header version 2 (flexible, with an empty section of tags) or 1.
KAWAIT_DECL void write_request_header(wire::writer& out, const request_header& header, bool flexible);

/// For the far end of a connection: reads what versions 1 and 2 share, and leaves `frame` (without its length) behind it, where
/// decode_request continues. errc::malformed_response if it does not decode.
KAWAIT_DECL result<request_header> read_request_header(std::span<const std::byte>& frame);

/// Whether a response header has tags (version 1) behind its correlation id. Never that of ApiVersions, whose reader does not
/// know the sender's versions yet.
constexpr bool response_header_has_tags(std::int16_t api_key, bool flexible) noexcept { return flexible && api_key != 18; }

}  // namespace kawait::protocol

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/protocol/impl/header.ipp>
#endif
