#pragma once

#include <algorithm>
#include <limits>

#include <kawait/testing/broker_core.hpp>
#include <kawait/wire/writer.hpp>

namespace kawait::testing::broker_detail {

// What goes wrong with answers, byte by byte. A frame: length, correlation id, in most flexible answers a byte of tagged fields,
// body.

inline constexpr std::size_t frame_head = 8;

/// Where the first count or length of an answer lies, for the flexible versions that new clients use; 0: not known.
inline std::size_t first_count(api_key api, std::int16_t version) {
  const auto behind = [&](std::int16_t flexible_since, std::size_t fixed) {
    return version >= flexible_since ? frame_head + 1 + fixed : std::size_t{0};
  };
  switch (api) {
    case api_key::api_versions: return version >= 3 ? frame_head + 2 : 0;  // its header has no tagged fields
    case api_key::fetch: return behind(12, 10);                            // throttle, error, session
    case api_key::consumer_group_heartbeat: return behind(0, 6);           // throttle, error
    case api_key::metadata: return behind(9, 4);                           // throttle
    case api_key::list_offsets: return behind(6, 4);
    case api_key::offset_commit: return behind(8, 4);
    case api_key::offset_fetch: return behind(8, 4);
    case api_key::find_coordinator: return behind(4, 4);
    case api_key::offset_for_leader_epoch: return behind(4, 4);
    default: return 0;
  }
}

inline void announce(std::vector<std::byte>& bytes, std::size_t length) {
  wire::store_big_endian(bytes.data(), static_cast<std::int32_t>(length));
}

inline void shorten(std::vector<std::byte>& bytes, std::size_t body) {
  bytes.resize(std::min(bytes.size(), frame_head + body));
  announce(bytes, bytes.size() - 4);
}

KAWAIT_DECL void core::distort(connection& c, const incoming& in, reply& r, const fault& f) {
  if (f.what == fault::kind::close_after) {
    r.bytes.clear();
    r.close = true;
  }
  if (r.bytes.size() <= frame_head) return;
  const std::size_t size = r.bytes.size();
  std::vector<std::byte>& bytes = r.bytes;
  switch (f.what) {
    case fault::kind::drop_answer: bytes.clear(); break;
    case fault::kind::cut_answer:
      bytes.resize(std::min(size, f.bytes));
      r.close = true;
      break;
    case fault::kind::corrupt_answer: bytes[4 + f.bytes % (size - 4)] ^= std::byte{0xff}; break;
    case fault::kind::partial_answer:
      bytes.resize(1 + f.bytes % (size - 1));
      c.silent = true;
      break;
    case fault::kind::wrong_id: wire::store_big_endian(bytes.data() + 4, in.correlation_id + 1); break;
    case fault::kind::wrong_length: wire::store_big_endian(bytes.data(), f.length); break;
    case fault::kind::short_answer: shorten(bytes, f.bytes % (size - frame_head)); break;
    case fault::kind::repeat_answer: {
      const std::vector<std::byte> once = bytes;
      bytes.insert(bytes.end(), once.begin(), once.end());
      break;
    }
    case fault::kind::hostile_count: {
      const std::size_t at = first_count(static_cast<api_key>(in.key), in.version);
      if (at == 0 || at >= size) return shorten(bytes, 0);
      static constexpr std::byte most[5] = {std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0x0f}};
      bytes[at] = most[0];
      bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at) + 1, std::begin(most) + 1, std::end(most));
      announce(bytes, bytes.size() - 4);
      break;
    }
    default: return;
  }
}

}  // namespace kawait::testing::broker_detail
