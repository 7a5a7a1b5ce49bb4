#pragma once

#include <kawait/core/types.hpp>

namespace kawait {

KAWAIT_DECL std::string uuid::to_string() const {
  static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  text.reserve(22);
  std::uint32_t bits = 0;
  int held = 0;
  for (const std::byte b : bytes) {
    bits = (bits << 8) | std::to_integer<std::uint32_t>(b);
    held += 8;
    while (held >= 6) {
      held -= 6;
      text.push_back(alphabet[(bits >> held) & 63]);
    }
  }
  text.push_back(alphabet[(bits << (6 - held)) & 63]);
  return text;
}

KAWAIT_DECL std::string topic_partition::to_string() const { return topic + '-' + std::to_string(partition); }

}  // namespace kawait
