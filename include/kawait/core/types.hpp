#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <kawait/detail/config.hpp>

namespace kawait {

/// Kafka's 128-bit id, of topics and members.
struct uuid {
  std::array<std::byte, 16> bytes{};

  bool is_zero() const noexcept { return bytes == std::array<std::byte, 16>{}; }
  /// Kafka's own form: base64 with '-' and '_', unpadded (22 characters).
  KAWAIT_DECL std::string to_string() const;

  friend bool operator==(const uuid&, const uuid&) = default;
  friend auto operator<=>(const uuid&, const uuid&) = default;
};

/// A partition as users name it.
struct topic_partition {
  std::string topic;
  std::int32_t partition = -1;

  topic_partition() = default;
  topic_partition(std::string t, std::int32_t p) : topic(std::move(t)), partition(p) {}

  /// "orders-3", as Kafka prints it.
  KAWAIT_DECL std::string to_string() const;

  friend bool operator==(const topic_partition&, const topic_partition&) = default;
  friend auto operator<=>(const topic_partition&, const topic_partition&) = default;
};

/// A partition as the protocol names it: a topic that was deleted and created again has another id.
struct topic_id_partition {
  uuid topic_id;
  std::int32_t partition = -1;

  topic_id_partition() = default;
  topic_id_partition(const uuid& id, std::int32_t p) : topic_id(id), partition(p) {}

  friend bool operator==(const topic_id_partition&, const topic_id_partition&) = default;
  friend auto operator<=>(const topic_id_partition&, const topic_id_partition&) = default;
};

/// Where the next record is read: the offset, and the leader epoch of the record before it (-1: unknown).
struct offset_and_epoch {
  std::int64_t offset = -1;
  std::int32_t leader_epoch = -1;

  offset_and_epoch() = default;
  offset_and_epoch(std::int64_t o, std::int32_t e = -1) : offset(o), leader_epoch(e) {}

  friend bool operator==(const offset_and_epoch&, const offset_and_epoch&) = default;
};

inline constexpr std::int64_t unknown_offset = -1;

}  // namespace kawait

template <>
struct std::hash<kawait::uuid> {
  std::size_t operator()(const kawait::uuid& id) const noexcept {
    std::uint64_t halves[2];
    std::memcpy(halves, id.bytes.data(), sizeof halves);
    return static_cast<std::size_t>((halves[0] ^ (halves[1] << 1)) * 0x9E3779B97F4A7C15u);
  }
};

template <>
struct std::hash<kawait::topic_partition> {
  std::size_t operator()(const kawait::topic_partition& tp) const noexcept {
    return std::hash<std::string>{}(tp.topic) * 31 + static_cast<std::size_t>(tp.partition);
  }
};

template <>
struct std::hash<kawait::topic_id_partition> {
  std::size_t operator()(const kawait::topic_id_partition& tp) const noexcept {
    return std::hash<kawait::uuid>{}(tp.topic_id) * 31 + static_cast<std::size_t>(tp.partition);
  }
};

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/core/impl/types.ipp>
#endif
