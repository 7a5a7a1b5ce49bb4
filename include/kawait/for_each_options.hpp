#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <asio/any_io_executor.hpp>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/machine/backoff.hpp>
#include <kawait/record.hpp>

namespace kawait {

/// Options of for_each_batch and for_each_record, in any order; `on` is one of for_each_partition, too.

/// Handlers run on another executor than the consumer's, those of each partition on a strand of their own, so that it may be that of a
/// thread pool: one partition's handlers never run on two threads at once, several partitions' do. A handler's coroutine has that
/// strand as its this_coro::executor; timers and the like that it makes belong there. What it calls of its partition or the consumer
/// without `async_` belongs to the consumer's executor all the same. The executor's context must outlive the handlers: end for_each_*
/// first.
struct on {
  explicit on(asio::any_io_executor e) : executor(std::move(e)) {}
  asio::any_io_executor executor;
};

/// At most so many handlers at once, over all partitions of the consumer. Who waits for its turn comes in order of arrival, and is not
/// taken for standing still (max.poll.interval.ms) as long as those at work are not. Throws kawait::error(errc::invalid_config) for 0.
struct concurrency {
  KAWAIT_DECL explicit concurrency(std::size_t handlers);
  std::size_t count;
};

/// For for_each_record with coroutines: up to so many records of one partition at once. Records of equal keys are handled one after the
/// other, in order, also across batches; those without a key have no order among themselves (an empty key is a key). What is committed
/// is the low-water mark: after a crash, records that were done behind one that was not come again. `concurrency` bounds the sum over
/// all partitions. With `on`, they take turns on their partition's strand. Throws kawait::error(errc::invalid_config) for 0.
struct by_key {
  KAWAIT_DECL explicit by_key(std::size_t records);
  std::size_t count;
};

/// As by_key, in no order at all.
struct any_order {
  KAWAIT_DECL explicit any_order(std::size_t records);
  std::size_t count;
};

/// A handler that throws ends everything in order, and for_each_* throws what it threw: what happens without another policy, spelled
/// out.
struct stop_policy {};
inline constexpr stop_policy stop;

/// A handler that throws is called again with the same record or batch, up to `times` times, after pauses that double from `first` to
/// `max` (up to 20 % shorter or longer, never above `max`). Meanwhile the partition counts as worked on (max.poll.interval.ms), and
/// its turn under `concurrency` is another's. If the partition is revoked meanwhile, the next owner gets the record; nothing is
/// thrown. After the last time it is as without: stop, or skip if that is given, too. Throws kawait::error(errc::invalid_config) for
/// times below 1, or pauses below 1 ms or in the wrong order.
struct retry {
  using milliseconds = std::chrono::milliseconds;
  KAWAIT_DECL explicit retry(int times, milliseconds first = milliseconds(100), milliseconds max = milliseconds(10'000));
  int times;
  machine::backoff_options pauses;
};

/// What skip tells of work that it gives up. Valid during the call.
struct skipped_work {
  std::exception_ptr thrown;         ///< By the handler, the last time.
  topic_partition partition;
  std::int64_t offset = -1;          ///< Of the record; of a batch the first.
  std::int64_t next_offset = -1;     ///< Behind what is skipped.
  int attempts = 1;                  ///< How often the handler was called with it.
  const kawait::record* record = nullptr;  ///< With for_each_record.

  /// What was thrown, in words.
  KAWAIT_DECL std::string what() const;
};

/// A handler that throws is reported, and its record or batch is done all the same. What the report throws is as a handler's that
/// throws without a policy. It is called where the handler ran, and kept until for_each_* has ended. With `retry`: after the last time.
struct skip {
  KAWAIT_DECL explicit skip(std::function<void(const skipped_work&)> report);
  std::function<void(const skipped_work&)> report;
};

namespace detail {

/// All options together.
struct for_each_settings {
  std::optional<asio::any_io_executor> executor;
  std::size_t handlers = 0;    // 0: no bound
  std::size_t in_partition = 1;
  bool is_ordered = true;
  int retries = 0;
  machine::backoff_options pauses;
  std::function<void(const skipped_work&)> report;

  void set(on o) { executor.emplace(std::move(o.executor)); }
  void set(concurrency o) { handlers = o.count; }
  void set(by_key o) {
    in_partition = o.count;
    is_ordered = true;
  }
  void set(any_order o) {
    in_partition = o.count;
    is_ordered = false;
  }
  void set(stop_policy) {}
  void set(const retry& o) {
    retries = o.times;
    pauses = o.pauses;
  }
  void set(skip o) { report = std::move(o.report); }
};

template <class Option>
concept for_each_option = requires(for_each_settings& s, Option o) { s.set(std::move(o)); };
template <class Option>
concept within_partition = std::same_as<Option, by_key> || std::same_as<Option, any_order>;
template <class... Options>
inline constexpr bool at_most_one_order = (std::size_t{0} + ... + std::size_t{within_partition<Options>}) <= 1;
template <class Option, class... Options>
inline constexpr std::size_t times_given = (std::size_t{0} + ... + std::size_t{std::same_as<Option, Options>});
template <class... Options>
inline constexpr bool each_once = ((times_given<Options, Options...> == 1) && ...);
template <class... Options>
inline constexpr bool stops_or_skips = times_given<stop_policy, Options...> == 0 || times_given<skip, Options...> == 0;

}  // namespace detail
}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/for_each_options.ipp>
#endif
