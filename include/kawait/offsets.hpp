#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <kawait/core/types.hpp>

namespace kawait {

/// The offset to commit for a partition: that of the next record to be read.
using offset_map = std::map<topic_partition, std::int64_t>;

/// The same with words of the application's own, which the group keeps beside the offset; at most the broker's
/// offset.metadata.max.bytes, 4 KiB by default.
struct offset_and_metadata {
  std::int64_t offset = -1;
  std::string metadata;

  offset_and_metadata() = default;
  offset_and_metadata(std::int64_t o, std::string m) : offset(o), metadata(std::move(m)) {}

  friend bool operator==(const offset_and_metadata&, const offset_and_metadata&) = default;
};
using metadata_map = std::map<topic_partition, offset_and_metadata>;

/// A record's place: what async_offsets_for_times finds.
struct offset_and_timestamp {
  std::int64_t offset = -1;
  std::chrono::sys_time<std::chrono::milliseconds> timestamp;  ///< As record::timestamp().

  friend bool operator==(const offset_and_timestamp&, const offset_and_timestamp&) = default;
};

/// What to look for: the first record of this time or later.
using time_map = std::map<topic_partition, std::chrono::system_clock::time_point>;
/// What was found; nothing where no record is that late.
using found_map = std::map<topic_partition, std::optional<offset_and_timestamp>>;

namespace detail {

inline metadata_map without_metadata(offset_map offsets) {
  metadata_map all;
  for (const auto& [partition, offset] : offsets) all.emplace(partition, offset_and_metadata(offset, {}));
  return all;
}

}  // namespace detail
}  // namespace kawait
