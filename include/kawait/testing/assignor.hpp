#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::testing {

/// A member as an assignor sees it. The strings are the caller's.
struct assignor_member {
  std::string_view id;
  std::optional<std::string_view> instance_id;
  std::vector<uuid> topics;                  ///< Subscribed to, and there. Sorted, each once.
  std::vector<topic_id_partition> previous;  ///< Its last target. Sorted.
};

using partition_counts = std::map<uuid, std::int32_t>;

/// One list for each member, in their order; sorted. Every partition of a topic that anyone subscribed to is in exactly one.
using member_assignments = std::vector<std::vector<topic_id_partition>>;

/// Kafka's "uniform": as many partitions for each as for any other, as far as subscriptions allow, with as few moves as that
/// takes.
/// If all subscribe to the same topics, sizes differ by one at most, and nobody loses a partition but for that.
KAWAIT_DECL member_assignments assign_uniform(const std::vector<assignor_member>& members, const partition_counts& topics);

/// Kafka's "range": of each topic a run of partitions for each subscriber, in the order of instance ids, then of member ids.
/// Topics with as many partitions are split alike. What was before has no influence.
KAWAIT_DECL member_assignments assign_range(const std::vector<assignor_member>& members, const partition_counts& topics);

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/assignor.ipp>
#endif
