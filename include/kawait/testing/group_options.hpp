#pragma once

#include <chrono>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include <kawait/machine/time.hpp>
#include <kawait/testing/generation.hpp>
#include <kawait/testing/topic_table.hpp>

namespace kawait::testing {

/// How a group coordinator behaves. The defaults are Kafka's, but for assignment_interval.
struct group_options {
  using milliseconds = std::chrono::milliseconds;

  kafka_generation generation = kafka_generation::v4_3;
  milliseconds session_timeout{45000};
  milliseconds heartbeat_interval{5000};
  std::size_t max_size = std::numeric_limits<std::size_t>::max();  ///< group.consumer.max.size: members of one group.
  std::vector<std::string> assignors{"uniform", "range"};          ///< The first is the default.
  /// The least time between two targets of a group. 0: each is computed in the heartbeat that sees the need. Kafka 4.3's default
  /// is a second (generation_traits::assignment_interval): members then keep an older target for so long.
  milliseconds assignment_interval{0};
  milliseconds regex_delay{1000};        ///< How long a new regular expression takes to be resolved; never in the same heartbeat.
  milliseconds regex_min_refresh{10000};
  milliseconds regex_max_refresh{600000};
  milliseconds empty_group_expiry{600000};  ///< After that a group without members and offsets is unknown.
  std::size_t offset_metadata_max = 4096;   ///< offset.metadata.max.bytes

  group_options() = default;
  explicit group_options(kafka_generation g) : generation(g) {}
};

/// What a group is told with everything that it does.
struct group_context {
  const group_options& options;
  const topic_table& topics;
  machine::time_point now;

  group_context(const group_options& o, const topic_table& t, machine::time_point n) : options(o), topics(t), now(n) {}
  const generation_traits& traits() const noexcept { return traits_of(options.generation); }
};

}  // namespace kawait::testing
