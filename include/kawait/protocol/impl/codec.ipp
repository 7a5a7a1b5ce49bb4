#pragma once

#include <limits>
#include <string>

#include <kawait/protocol/codec.hpp>

namespace kawait::protocol::detail {

inline std::string to_string(message_name name) {
  return std::string(name.api) + (name.is_request ? " request v" : " response v") + std::to_string(name.version);
}

KAWAIT_DECL failure unknown_version(message_name name, std::int16_t min, std::int16_t max) {
  return failure(errc::unsupported_broker, to_string(name) + ": only versions " + std::to_string(min) + " to " +
                                               std::to_string(max) + " are implemented");
}

KAWAIT_DECL failure refused(message_name name, const encoder& e) {
  return failure(e.code(), to_string(name) + ": " + e.path() + ": " + e.reason());
}

KAWAIT_DECL failure malformed(message_name name, const char* what, std::size_t position) {
  return failure(errc::malformed_response, to_string(name) + ": " + what + " at byte " + std::to_string(position));
}

KAWAIT_DECL failure malformed(message_name name, const wire::reader& in, const decoder& d) {
  return malformed(name, d.path().empty() ? "tagged fields" : d.path().c_str(), in.position());
}

KAWAIT_DECL failure finish_frame(std::vector<std::byte>& out, std::size_t begin, message_name name) {
  const std::size_t size = out.size() - begin - sizeof(std::int32_t);
  if (size > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    out.resize(begin);
    return failure(errc::frame_too_large, to_string(name));
  }
  wire::store_big_endian(out.data() + begin, static_cast<std::int32_t>(size));
  return {};
}

}  // namespace kawait::protocol::detail
