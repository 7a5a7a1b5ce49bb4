#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include <kawait/core/types.hpp>
#include <kawait/runtime/partition_stream.hpp>

namespace kawait::runtime {

/// Which partitions are fetched further ahead than their share of the buffer, which may be less than a record batch where they are
/// thousands: a few at a time, of those that are being read and have more, in turn. So what stands still pins no more than the places,
/// and each partition's share is there for it whatever the others do. Consumer's executor.
class read_ahead {
 public:
  /// `bytes` are what all of the places may bring.
  explicit read_ahead(std::size_t bytes) noexcept : each_(bytes / std::tuple_size_v<decltype(places_)>) {}

  /// A request for `stream` was answered. Gives it a place if it is to have one now, or takes its own. Returns who lost an unused one
  /// thereby, and lives: the broker has been told more for it than holds now.
  KAWAIT_DECL std::shared_ptr<partition_stream> on_answered(partition_stream& stream, isolation_level isolation);

 private:
  using place = std::weak_ptr<partition_stream>;

  KAWAIT_DECL bool is_awaited(isolation_level isolation) const;
  /// The place that it may have now, which may be its own.
  KAWAIT_DECL place* find(const partition_stream& stream, isolation_level isolation);

  KAWAIT_DECL static bool has_more(const partition_stream& stream, isolation_level isolation);
  KAWAIT_DECL static bool is_vacant(const std::shared_ptr<partition_stream>& holder, isolation_level isolation);

  std::array<place, 4> places_;
  std::size_t each_;
  place awaited_;  // who found none first, and is to have the next
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/read_ahead.ipp>
#endif
