#pragma once

#include <chrono>
#include <cstdio>
#include <cstring>
#include <ostream>
#include <string>

#include <kawait/testing/event_trace.hpp>

namespace kawait::testing {

// Of a part of a word its bytes and their count, so that "a" and "a\0" differ. In the machine's byte order: all that we know of are
// little-endian.
KAWAIT_DECL void event_trace::mix(std::span<const std::byte> bytes) noexcept {
  mix(bytes.size());
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t n = bytes.size() < sizeof word ? bytes.size() : sizeof word;
    std::memcpy(&word, bytes.data(), n);
    mix(word);
    bytes = bytes.subspan(n);
  }
}

KAWAIT_DECL void event_trace::add(net::time_point at, std::string_view who, std::string_view what, std::uint64_t number,
                                  std::span<const std::byte> bytes) {
  ++events_;
  mix(static_cast<std::uint64_t>((at - start_).count()));
  mix(std::as_bytes(std::span<const char>(who)));
  mix(std::as_bytes(std::span<const char>(what)));
  mix(number);
  mix(bytes);
  if (!out_) return;
  std::string words(what);
  words += ' ';
  words += std::to_string(number);
  note(at, who, words);
}

KAWAIT_DECL void event_trace::draw(net::time_point at, std::uint64_t value) noexcept {
  ++events_;
  mix(static_cast<std::uint64_t>((at - start_).count()));
  mix(value);
}

KAWAIT_DECL void event_trace::note(net::time_point at, std::string_view who, std::string_view what) {
  if (!out_) return;
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(at - start_).count();
  char time[40];
  std::snprintf(time, sizeof time, "%11lld.%06lld ", static_cast<long long>(micros / 1'000'000),
                static_cast<long long>(micros % 1'000'000));
  *out_ << time << who << ' ' << what << '\n';
}

}  // namespace kawait::testing
