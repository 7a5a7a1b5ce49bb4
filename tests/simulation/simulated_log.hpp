#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "batch_builder.hpp"

namespace simulated {

/// The record batches of one partition.
class log {
 public:
  /// One record batch of the values; their offsets follow on.
  void append(const std::vector<std::string>& values, bool corrupt) {
    kawait::tests::batch_builder b(end_);
    for (const auto& v : values) b.add("key", v);
    std::vector<std::byte> bytes = b.build();
    if (corrupt) bytes.back() ^= std::byte{1};
    end_ += static_cast<std::int64_t>(values.size());
    batches_.emplace(end_, std::move(bytes));
  }
  void append_hole(std::int32_t size) {
    kawait::tests::batch_builder b(end_);
    b.add("key", "first").add("key", "second").hole(size - 2);
    end_ += size;
    batches_.emplace(end_, b.build());
  }
  std::int64_t end() const noexcept { return end_; }
  /// Whole batches from the offset on, of no more than `most` bytes; at_least_one: but for the first.
  std::vector<std::byte> read(std::int64_t from, std::size_t most, bool at_least_one) const {
    std::vector<std::byte> bytes;
    for (auto b = batches_.upper_bound(from); b != batches_.end(); ++b) {
      const bool may_exceed = at_least_one && bytes.empty();
      if (!may_exceed && bytes.size() + b->second.size() > most) break;
      bytes.insert(bytes.end(), b->second.begin(), b->second.end());
    }
    return bytes;
  }

 private:
  std::map<std::int64_t, std::vector<std::byte>> batches_;  // by the offset behind them
  std::int64_t end_ = 0;
};

}  // namespace simulated
