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

  /// An answer brought data of `stream`, or told its end. Gives it a place if it is to have one now, or takes its own. Returns whoever
  /// lost an unused one thereby: the broker has been told more for it than holds now.
  KAWAIT_DECL std::shared_ptr<partition_stream> on_answered(partition_stream& stream, isolation_level isolation);

 private:
  using place = std::weak_ptr<partition_stream>;

  static KAWAIT_DECL bool has_more(const partition_stream& stream, isolation_level isolation);
  static KAWAIT_DECL bool is_vacant(const std::shared_ptr<partition_stream>& holder, isolation_level isolation);

  std::array<place, 4> places_;
  std::size_t each_;
  bool is_awaited_ = false;  // somebody found none
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/read_ahead.ipp>
#endif
