#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string_view>

#include <kawait/net/network.hpp>

namespace kawait::testing {

/// What happened in a world, in order: a hash of all of it, and lines for whoever wants to read along.
///
/// The hash is taken over every connection that was tried, every byte that was written with its connection, direction and virtual
/// time, every end of a connection, and every random number that was drawn. No address of an object and no real clock gets into
/// it: the same seed and the same program give the same hash, on every run and every machine.
class event_trace {
 public:
  explicit event_trace(net::time_point start) : start_(start) {}
  event_trace(const event_trace&) = delete;
  event_trace& operator=(const event_trace&) = delete;

  std::uint64_t hash() const noexcept { return hash_; }
  /// How many events the hash was taken over.
  std::uint64_t events() const noexcept { return events_; }

  /// Writes a line for each event from now on, with the virtual seconds since the world began. Null: no more. The stream must live
  /// as long.
  void write_to(std::ostream* out) noexcept { out_ = out; }
  /// Whether lines are wanted: ask before composing one.
  bool is_read() const noexcept { return out_ != nullptr; }

  /// An event, with the numbers and the bytes that make it this one.
  KAWAIT_DECL void add(net::time_point at, std::string_view who, std::string_view what, std::uint64_t number,
                       std::span<const std::byte> bytes = {});
  /// A random number that was drawn: hashed only.
  KAWAIT_DECL void draw(net::time_point at, std::uint64_t value) noexcept;
  /// A line only: it says what events mean.
  KAWAIT_DECL void note(net::time_point at, std::string_view who, std::string_view what);

 private:
  void mix(std::uint64_t word) noexcept {
    // FNV-1a by words, with a fold: its multiplication carries upwards only.
    hash_ = (hash_ ^ word) * 0x100000001b3u;
    hash_ ^= hash_ >> 32;
  }
  KAWAIT_DECL void mix(std::span<const std::byte> bytes) noexcept;

  net::time_point start_;
  std::uint64_t hash_ = 0xcbf29ce484222325u;
  std::uint64_t events_ = 0;
  std::ostream* out_ = nullptr;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/event_trace.ipp>
#endif
