#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/wire/varint.hpp>

namespace kawait::wire {

/// Kafka's longest string, in bytes; its own reader refuses more even where the encoding could carry it.
inline constexpr std::size_t max_string_size = 0x7fff;

/// Loads a big-endian integer from sizeof(T) bytes.
template <std::integral T>
inline T load_big_endian(const std::byte* p) noexcept {
  using unsigned_type = std::make_unsigned_t<T>;
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) v = (v << 8) | std::to_integer<std::uint64_t>(p[i]);
  return static_cast<T>(static_cast<unsigned_type>(v));
}

/// Reads Kafka's primitive types from a buffer that outlives what is read: strings and bytes are views of it.
/// Sticky: the first read that does not fit makes it bad, after which every read gives zero, empty or null; so a caller may read
/// a whole message and ask once. Nothing is allocated here, and a count is never larger than the bytes left allow.
class reader {
 public:
  explicit reader(std::span<const std::byte> in) noexcept
      : begin_(in.data()), next_(in.data()), end_(in.data() + in.size()) {}

  bool bad() const noexcept { return bad_; }
  std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - next_); }
  /// Bytes read so far; once bad, where the read that failed began.
  std::size_t position() const noexcept { return bad_ ? bad_at_ : static_cast<std::size_t>(next_ - begin_); }

  /// Makes the reader bad at the current position, for what only the caller can know to be wrong.
  void fail() noexcept {
    if (!bad_) bad_at_ = static_cast<std::size_t>(next_ - begin_);
    bad_ = true;
    next_ = end_;
  }

  template <std::integral T>
  T read() noexcept {
    if (left() < sizeof(T)) {
      fail();
      return T{};
    }
    const std::byte* p = next_;
    next_ += sizeof(T);
    if constexpr (std::same_as<T, bool>) {
      return *p != std::byte{0};
    } else {
      return load_big_endian<T>(p);
    }
  }

  uuid read_uuid() noexcept {
    uuid id;
    const std::span<const std::byte> b = read_bytes(id.bytes.size());
    if (!b.empty()) std::memcpy(id.bytes.data(), b.data(), id.bytes.size());
    return id;
  }

  std::uint32_t read_uvarint() noexcept { return varint_of<std::uint32_t>(); }
  std::int32_t read_varint() noexcept { return unzigzag(varint_of<std::uint32_t>()); }
  std::int64_t read_varlong() noexcept { return unzigzag(varint_of<std::uint64_t>()); }

  /// The next n bytes, or none.
  std::span<const std::byte> read_bytes(std::size_t n) noexcept {
    if (n > left()) {
      fail();
      return {};
    }
    const std::byte* p = next_;
    next_ += n;
    return {p, n};
  }

  /// A string with its length: int16 (-1 null), or in flexible versions uvarint length + 1 (0 null). nullopt: null, or bad.
  std::optional<std::string_view> read_string(bool flexible) noexcept {
    const std::int64_t n = flexible ? compact_length() : length_of<std::int16_t>();
    if (n < 0) return std::nullopt;
    if (static_cast<std::size_t>(n) > max_string_size) {
      fail();
      return std::nullopt;
    }
    const std::span<const std::byte> b = read_bytes(static_cast<std::size_t>(n));
    if (bad_) return std::nullopt;
    return std::string_view(reinterpret_cast<const char*>(b.data()), b.size());
  }

  /// Bytes or records with their length: int32, or uvarint length + 1. nullopt: null, or bad.
  std::optional<std::span<const std::byte>> read_sized_bytes(bool flexible) noexcept {
    const std::int64_t n = flexible ? compact_length() : length_of<std::int32_t>();
    if (n < 0) return std::nullopt;
    const std::span<const std::byte> b = read_bytes(static_cast<std::size_t>(n));
    if (bad_) return std::nullopt;
    return b;
  }

  /// The count of an array whose elements take at least `smallest` (> 0) bytes each: more than fit the rest is bad, so the caller
  /// may reserve what is returned. nullopt: null, or bad.
  std::optional<std::size_t> read_count(bool flexible, std::size_t smallest) noexcept {
    const std::int64_t n = flexible ? compact_length() : length_of<std::int32_t>();
    if (n < 0) return std::nullopt;
    if (static_cast<std::size_t>(n) > left() / smallest) {
      fail();
      return std::nullopt;
    }
    return static_cast<std::size_t>(n);
  }

  /// Skips a whole section of tagged fields (KIP-482).
  void skip_tagged_fields() noexcept {
    for (std::uint32_t n = read_uvarint(); n > 0 && !bad_; --n) {
      read_uvarint();
      read_bytes(read_uvarint());
    }
  }

  /// Ends the input n bytes from here, for a part that states its own length; widen() with the value returned takes that back.
  const std::byte* narrow(std::size_t n) noexcept {
    const std::byte* const old_end = end_;
    if (n > left()) {
      fail();
    } else {
      end_ = next_ + n;
    }
    return old_end;
  }
  /// Bad unless the part was read to its end.
  void widen(const std::byte* old_end) noexcept {
    if (next_ != end_) fail();
    end_ = old_end;
    if (bad_) next_ = end_;
  }

 private:
  template <class Unsigned>
  Unsigned varint_of() noexcept {
    Unsigned v = 0;
    if (const std::byte* after = decode_unsigned(next_, end_, v)) {
      next_ = after;
    } else {
      fail();
    }
    return v;
  }

  /// -1: null. Once bad a varint reads as 0, which is null too: the caller's array stays empty.
  std::int64_t compact_length() noexcept { return static_cast<std::int64_t>(read_uvarint()) - 1; }

  template <class Int>
  std::int64_t length_of() noexcept {
    const Int n = read<Int>();
    if (n < -1) fail();
    return bad_ ? -1 : static_cast<std::int64_t>(n);
  }

  const std::byte* begin_;
  const std::byte* next_;
  const std::byte* end_;
  std::size_t bad_at_ = 0;
  bool bad_ = false;
};

}  // namespace kawait::wire
