#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/wire/varint.hpp>

namespace kawait::wire {

/// Stores a big-endian integer in sizeof(T) bytes.
template <std::integral T>
inline void store_big_endian(std::byte* p, T v) noexcept {
  std::uint64_t rest = static_cast<std::uint64_t>(v);
  for (std::size_t i = sizeof(T); i-- > 0; rest >>= 8) p[i] = static_cast<std::byte>(rest & 0xffu);
}

/// Appends Kafka's primitive types to a vector. Lengths are the caller's to check: a length that its encoding cannot carry is
/// truncated here.
class writer {
 public:
  explicit writer(std::vector<std::byte>& out) noexcept : out_(out) {}

  std::size_t size() const noexcept { return out_.size(); }

  template <std::integral T>
  void write(T v) {
    store_big_endian(grow(sizeof(T)), v);
  }

  void write_uuid(const uuid& id) { write_bytes(id.bytes); }

  void write_uvarint(std::uint32_t v) { append_varint(v); }
  void write_varint(std::int32_t v) { append_varint(zigzag(v)); }
  void write_varlong(std::int64_t v) { append_varint(zigzag(v)); }

  void write_bytes(std::span<const std::byte> b) { out_.insert(out_.end(), b.begin(), b.end()); }

  /// A string with its length: int16, or in flexible versions uvarint length + 1.
  void write_string(std::string_view s, bool flexible) {
    if (flexible) {
      write_uvarint(static_cast<std::uint32_t>(s.size() + 1));
    } else {
      write(static_cast<std::int16_t>(s.size()));
    }
    if (!s.empty()) std::memcpy(grow(s.size()), s.data(), s.size());
  }
  void write_null_string(bool flexible) {
    if (flexible) {
      write_uvarint(0);
    } else {
      write(std::int16_t{-1});
    }
  }

  /// The count of an array, or the length of bytes or records: int32, or uvarint count + 1.
  void write_count(std::size_t n, bool flexible) {
    if (flexible) {
      write_uvarint(static_cast<std::uint32_t>(n + 1));
    } else {
      write(static_cast<std::int32_t>(n));
    }
  }
  /// A null array, null bytes or null records.
  void write_null(bool flexible) {
    if (flexible) {
      write_uvarint(0);
    } else {
      write(std::int32_t{-1});
    }
  }

  /// Puts the uvarint length of everything behind `at` in front of it (tagged fields: short, and unknown in advance).
  void insert_size(std::size_t at) {
    std::byte length[max_varint_size] = {};
    const std::byte* const end = encode_unsigned(length, static_cast<std::uint32_t>(out_.size() - at));
    out_.insert(out_.begin() + static_cast<std::ptrdiff_t>(at), static_cast<const std::byte*>(length), end);
  }

 private:
  std::byte* grow(std::size_t n) {
    const std::size_t old = out_.size();
    out_.resize(old + n);
    return out_.data() + old;
  }

  template <class Unsigned>
  void append_varint(Unsigned v) {
    for (; v >= 0x80; v >>= 7) out_.push_back(static_cast<std::byte>(v | 0x80));
    out_.push_back(static_cast<std::byte>(v));
  }

  std::vector<std::byte>& out_;
};

}  // namespace kawait::wire
