#pragma once

#include <kawait/protocol/header.hpp>

namespace kawait::protocol {

KAWAIT_DECL void write_request_header(wire::writer& out, const request_header& header, bool flexible) {
  out.write(header.api_key);
  out.write(header.api_version);
  out.write(header.correlation_id);
  if (header.client_id) {
    out.write_string(*header.client_id, false);
  } else {
    out.write_null_string(false);
  }
  if (flexible) out.write_uvarint(0);
}

KAWAIT_DECL result<request_header> read_request_header(std::span<const std::byte>& frame) {
  wire::reader in(frame);
  request_header header;
  header.api_key = in.read<std::int16_t>();
  header.api_version = in.read<std::int16_t>();
  header.correlation_id = in.read<std::int32_t>();
  header.client_id = in.read_string(false);
  if (in.bad()) return failure(errc::malformed_response, "request header");
  frame = frame.subspan(in.position());
  return header;
}

}  // namespace kawait::protocol
