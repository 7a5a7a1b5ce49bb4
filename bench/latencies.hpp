#pragma once

#include <kawait/wire/record.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "usage.hpp"

namespace bench {

/// How long the records of rivals/librdkafka_pace.c took to whoever reads them. They count from `warm_up` seconds after the first on,
/// for `length` seconds. Throws where an offset is left out.
class latencies {
 public:
  latencies(const char* warm_up, const char* length) : warm_up_(seconds(warm_up)), length_(seconds(length)) {}

  /// Now.
  void read(const kawait::wire::record& r, std::int32_t partition) {
    now_ = std::chrono::system_clock::now();
    if (!begin_) begin_ = now_ + warm_up_;
    if (next_.try_emplace(partition, r.offset()).first->second++ != r.offset()) {
      throw std::runtime_error("a gap before offset " + std::to_string(r.offset()));
    }
    if (now_ < *begin_ || last_) return;
    if (!first_) first_ = usage::now();
    all_.push_back(now_ - sent(r));
  }

  /// Nothing counts any more.
  bool is_over() {
    if (!last_ && first_ && now_ >= *begin_ + length_) last_ = usage::now();
    return last_.has_value();
  }

  /// The JSON line that latency.sh reads.
  void print(const char* name) {
    if (!last_) throw std::runtime_error("the consumer ended early");
    std::sort(all_.begin(), all_.end());
    const std::chrono::duration<double> length = last_->at - first_->at;
    std::printf("{\"name\":\"%s\",\"records\":%zu,\"seconds\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f"
                ",\"cpu_s\":%.6f}\n",
                name, all_.size(), length.count(), percentile_us(500), percentile_us(990), percentile_us(999), percentile_us(1000),
                last_->user + last_->system - first_->user - first_->system);
  }

 private:
  using clock = std::chrono::system_clock;

  static clock::duration seconds(const char* text) {
    return std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(std::strtod(text, nullptr)));
  }

  static clock::time_point sent(const kawait::wire::record& r) {
    const auto value = r.value().bytes();
    if (value.size() < 8) throw std::runtime_error("a value of less than 8 bytes");
    std::uint64_t n = 0;
    for (const std::byte b : value.first(8)) n = n << 8 | std::to_integer<std::uint64_t>(b);
    return clock::time_point(std::chrono::nanoseconds(static_cast<std::int64_t>(n)));
  }

  /// The smallest that so many, of a thousand, are not above.
  double percentile_us(std::size_t per_mille) const {
    return std::chrono::duration<double, std::micro>(all_[(all_.size() * per_mille + 999) / 1000 - 1]).count();
  }

  clock::duration warm_up_, length_;
  std::map<std::int32_t, std::int64_t> next_;
  std::vector<clock::duration> all_;
  clock::time_point now_;
  std::optional<clock::time_point> begin_;
  std::optional<usage> first_, last_;
};

}  // namespace bench
