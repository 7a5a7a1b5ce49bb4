#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/protocol/decoder.hpp>
#include <kawait/protocol/encoder.hpp>
#include <kawait/protocol/field.hpp>
#include <kawait/protocol/header.hpp>
#include <kawait/wire/reader.hpp>
#include <kawait/wire/writer.hpp>

namespace kawait::protocol {

/// A request: it names its response.
template <class T>
concept request = structure<T> && requires { typename T::response; };

/// A request or a response.
template <class T>
concept message = structure<T> && requires {
  T::api_name;
  T::api_key;
  T::min_version;
  T::max_version;
  T::first_flexible_version;
};

template <message Message>
constexpr bool is_flexible(std::int16_t version) noexcept {
  return version >= Message::first_flexible_version;
}

namespace detail {

/// "Fetch request v17", for words.
struct message_name {
  const char* api;
  bool is_request;
  std::int16_t version;
};

template <message Message>
constexpr message_name name_of(std::int16_t version) noexcept {
  return {Message::api_name, request<Message>, version};
}

KAWAIT_DECL failure unknown_version(message_name name, std::int16_t min, std::int16_t max);
KAWAIT_DECL failure refused(message_name name, const encoder& e);
KAWAIT_DECL failure malformed(message_name name, const wire::reader& in, const decoder& d);
KAWAIT_DECL failure malformed(message_name name, const char* what, std::size_t position);
/// Puts the length of all behind `begin` into the four bytes there; takes the frame back if it is too long.
KAWAIT_DECL failure finish_frame(std::vector<std::byte>& out, std::size_t begin, message_name name);

/// Reads from where `in` stands to its end.
template <message Message>
failure decode_rest(Message& out, wire::reader& in, std::int16_t version) {
  out = Message{};
  decoder d(in, version, is_flexible<Message>(version));
  d.read_struct(out);
  if (in.bad()) return malformed(name_of<Message>(version), in, d);
  if (in.left() != 0) return malformed(name_of<Message>(version), "bytes left over", in.position());
  return {};
}

template <message Message>
failure decode_behind_header(Message& out, std::span<const std::byte> in, std::int16_t version, bool tags) {
  if (version < Message::min_version || version > Message::max_version) {
    return unknown_version(name_of<Message>(version), Message::min_version, Message::max_version);
  }
  wire::reader r(in);
  if (tags) r.skip_tagged_fields();
  if (r.bad()) return malformed(name_of<Message>(version), "header tags", r.position());
  return decode_rest(out, r, version);
}

}  // namespace detail

/// Appends a message without any header. What the version cannot carry (a field that it lacks and that is not ignorable, null
/// where it has none) is refused: errc::unsupported_broker or, where no version could, errc::invalid_config, with words naming
/// API, version and field; `out` is then as it was.
template <message Message>
failure encode_body(std::vector<std::byte>& out, const Message& m, std::int16_t version) {
  if (version < Message::min_version || version > Message::max_version) {
    return detail::unknown_version(detail::name_of<Message>(version), Message::min_version, Message::max_version);
  }
  const std::size_t begin = out.size();
  wire::writer w(out);
  encoder e(w, version, is_flexible<Message>(version));
  e.write_struct(m);
  if (!e.failed()) return {};
  out.resize(begin);
  return detail::refused(detail::name_of<Message>(version), e);
}

/// Decodes a message that has no header; else like decode_response.
template <message Message>
failure decode_body(Message& out, std::span<const std::byte> in, std::int16_t version) {
  return detail::decode_behind_header(out, in, version, false);
}

/// Appends a whole frame: length, request header, message. Failures are those of encode_body.
template <request Request>
failure encode_request(std::vector<std::byte>& out, const Request& m, std::int16_t version, std::int32_t correlation_id,
                       std::string_view client_id) {
  const std::size_t begin = out.size();
  if (client_id.size() > wire::max_string_size) return failure(errc::invalid_config, "client.id: longer than 32767 bytes");
  request_header header;
  header.api_key = Request::api_key;
  header.api_version = version;
  header.correlation_id = correlation_id;
  header.client_id = client_id;
  wire::writer w(out);
  w.write(std::int32_t{0});
  write_request_header(w, header, is_flexible<Request>(version));
  failure f = encode_body(out, m, version);
  if (f) {
    out.resize(begin);
    return f;
  }
  return detail::finish_frame(out, begin, detail::name_of<Request>(version));
}

/// Decodes a response from what follows the correlation id of its frame: the header's tags, then the message, which must use up
/// all bytes. Strings and records of `out` are views of `in`. errc::malformed_response names API, version, field and byte
/// (counted from the start of `in`); `out` is then worthless. Allocates at most 36 bytes per byte of `in`, whatever its counts
/// claim.
template <message Response>
failure decode_response(Response& out, std::span<const std::byte> in, std::int16_t version) {
  return detail::decode_behind_header(out, in, version,
                                      response_header_has_tags(Response::api_key, is_flexible<Response>(version)));
}

/// For the far end of a connection: decodes a request from where read_request_header stopped.
template <request Request>
failure decode_request(Request& out, std::span<const std::byte> in, std::int16_t version) {
  return detail::decode_behind_header(out, in, version, is_flexible<Request>(version));
}

/// For the far end of a connection: appends a whole frame: length, response header, message.
template <message Response>
failure encode_response(std::vector<std::byte>& out, const Response& m, std::int16_t version, std::int32_t correlation_id) {
  const std::size_t begin = out.size();
  wire::writer w(out);
  w.write(std::int32_t{0});
  w.write(correlation_id);
  if (response_header_has_tags(Response::api_key, is_flexible<Response>(version))) w.write_uvarint(0);
  failure f = encode_body(out, m, version);
  if (f) {
    out.resize(begin);
    return f;
  }
  return detail::finish_frame(out, begin, detail::name_of<Response>(version));
}

}  // namespace kawait::protocol

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/protocol/impl/codec.ipp>
#endif
