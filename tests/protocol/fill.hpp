#pragma once

#include <concepts>
#include <cstdint>
#include <deque>
#include <limits>
#include <random>
#include <string>
#include <string_view>

#include <kawait/core/types.hpp>
#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/field.hpp>

namespace kawait::test {

/// Fills messages with seeded values that their version can carry: nulls, extremes, empty and long arrays, tags present and
/// absent. Owns the text that the messages view.
class filler {
 public:
  explicit filler(std::uint64_t seed) : random_(seed) {}

  /// `small` keeps strings and arrays short, for tests that go through every byte.
  template <protocol::message Message>
  Message make(std::int16_t version, bool small = false) {
    version_ = version;
    small_ = small;
    Message m;
    fill(m);
    return m;
  }

  std::uint64_t below(std::uint64_t n) { return random_() % n; }

 private:
  template <class Message>
  struct visitor {
    filler& self;
    Message& m;

    template <class T>
    void operator()(const protocol::field& f, T Message::*member) {
      if (!f.in(self.version_)) return;
      if (f.is_tagged() && self.below(3) == 0) return;
      self.fill_value(m.*member, f.is_nullable(self.version_));
    }
  };

  template <protocol::structure T>
  void fill(T& m) {
    visitor<T> visit{*this, m};
    T::fields(visit);
  }

  template <class T>
  void fill_value(T& value, bool nullable) {
    if constexpr (protocol::is_optional<T>) {
      value.reset();
      if (nullable && below(3) == 0) return;
      fill_value(value.emplace(), false);
    } else if constexpr (std::same_as<T, std::string_view>) {
      value = text();
    } else if constexpr (std::same_as<T, protocol::bytes_view>) {
      const std::string_view s = text();
      value = std::as_bytes(std::span<const char>(s.data(), s.size()));
    } else if constexpr (protocol::is_array<T>) {
      value.clear();
      value.resize(count(sizeof(typename T::value_type)));
      for (auto& element : value) fill_value(element, false);
    } else if constexpr (protocol::structure<T>) {
      fill(value);
    } else if constexpr (std::same_as<T, uuid>) {
      for (std::byte& b : value.bytes) b = static_cast<std::byte>(below(256));
    } else if constexpr (std::same_as<T, bool>) {
      value = below(2) == 0;
    } else {
      value = number<T>();
    }
  }

  template <std::integral T>
  T number() {
    switch (below(6)) {
      case 0: return 0;
      case 1: return static_cast<T>(-1);
      case 2: return std::numeric_limits<T>::min();
      case 3: return std::numeric_limits<T>::max();
      default: return static_cast<T>(random_());
    }
  }

  std::string_view text() {
    std::size_t n = below(12);
    if (!small_ && below(8) == 0) n = 120 + below(300);    // a length of two bytes
    if (!small_ && below(400) == 0) n = 20'000;            // and of three
    std::string s;
    while (s.size() < n) s += below(10) == 0 ? std::string("\xcf\x80") : std::string(1, static_cast<char>('!' + below(90)));
    return text_.emplace_back(std::move(s));
  }

  std::size_t count(std::size_t size) {
    if (!small_ && size <= 16 && below(20) == 0) return 126 + below(4);  // around where the count takes two bytes
    return below(small_ ? 3 : 4);
  }

  std::mt19937_64 random_;
  std::deque<std::string> text_;
  std::int16_t version_ = 0;
  bool small_ = false;
};

}  // namespace kawait::test
