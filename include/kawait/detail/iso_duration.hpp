#pragma once

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace kawait::detail {

/// A duration as java.time.Duration.parse() takes it: "PT1H", "P2DT3H4M5.25S", "-PT6H", "pt1h-30m". Days are of 24 hours; what is less
/// than a millisecond is dropped.
class iso_duration {
 public:
  /// Nothing if `text` is none, or one that does not fit.
  static std::optional<std::chrono::milliseconds> parse(std::string_view text) {
    iso_duration d(text);
    if (!d.read()) return std::nullopt;
    return std::chrono::milliseconds(d.total_);
  }

 private:
  explicit iso_duration(std::string_view text) : rest_(text) {}

  bool take(char upper) {
    if (rest_.empty() || (rest_.front() != upper && rest_.front() != upper - 'A' + 'a')) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool read() {
    is_negative_ = take_sign();
    if (!take('P')) return false;
    bool has_any = false;
    if (!rest_.empty() && rest_.front() != 'T' && rest_.front() != 't') {
      if (!take_number() || has_fraction_ || !take('D') || !add(86'400'000)) return false;
      has_any = true;
    }
    if (take('T')) {
      constexpr struct {
        char letter;
        std::int64_t ms;
      } units[] = {{'H', 3'600'000}, {'M', 60'000}, {'S', 1'000}};
      std::size_t next = 0;
      if (rest_.empty()) return false;
      while (!rest_.empty()) {
        if (!take_number()) return false;
        while (next < 3 && !take(units[next].letter)) ++next;
        if (next == 3 || (has_fraction_ && units[next].letter != 'S') || !add(units[next].ms)) return false;
        ++next;
        has_any = true;
      }
    }
    return has_any && rest_.empty();
  }

  bool take_sign() {
    if (rest_.empty() || (rest_.front() != '-' && rest_.front() != '+')) return false;
    const bool negative = rest_.front() == '-';
    rest_.remove_prefix(1);
    return negative;
  }

  bool take_number() {
    number_is_negative_ = take_sign();
    const auto [end, ec] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number_);
    if (ec != std::errc() || number_ < 0 || rest_.front() == '-') return false;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    fraction_ms_ = 0;
    has_fraction_ = !rest_.empty() && (rest_.front() == '.' || rest_.front() == ',');
    if (!has_fraction_) return true;
    rest_.remove_prefix(1);
    std::size_t digits = 0;
    std::int64_t scale = 100;
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; rest_.remove_prefix(1), ++digits, scale /= 10) {
      fraction_ms_ += scale * (rest_.front() - '0');
    }
    return digits <= 9;
  }

  bool add(std::int64_t unit) {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / 4;
    if (number_ > most / unit) return false;
    std::int64_t part = number_ * unit + fraction_ms_;
    if (is_negative_ != number_is_negative_) part = -part;
    total_ += part;
    return total_ <= most && total_ >= -most;
  }

  std::string_view rest_;
  bool is_negative_ = false;
  bool number_is_negative_ = false;
  bool has_fraction_ = false;
  std::int64_t number_ = 0;
  std::int64_t fraction_ms_ = 0;
  std::int64_t total_ = 0;
};

}  // namespace kawait::detail
