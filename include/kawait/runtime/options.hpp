#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <kawait/core/observer.hpp>
#include <kawait/machine/position_finder.hpp>
#include <kawait/net/network.hpp>
#include <kawait/net/security.hpp>
#include <kawait/wire/compression.hpp>

namespace kawait {

enum class isolation_level : std::uint8_t { read_uncommitted = 0, read_committed = 1 };

}  // namespace kawait

namespace kawait::runtime {

using std::chrono::milliseconds;

/// In milliseconds, at most `most` and at least its negative: hours::max() is more milliseconds than there are.
template <class Rep, class Period>
milliseconds saturated(std::chrono::duration<Rep, Period> d, milliseconds most) {
  using approximate = std::chrono::duration<double, std::milli>;
  if (approximate(d) >= approximate(most)) return most;
  if (approximate(d) <= -approximate(most)) return -most;
  return std::chrono::duration_cast<milliseconds>(d);
}

/// Who would wait for ever waits for a year: longer times are none that could be added to one.
template <class Rep, class Period>
milliseconds bounded(std::chrono::duration<Rep, Period> timeout) {
  return std::max(milliseconds(0), saturated(timeout, std::chrono::hours(24 * 365)));
}

/// A consumer's settings as the runtime uses them; kawait::config sets and checks them, and knows Kafka's name for each.
struct options {
  kawait::detail::observers observers;

  std::vector<std::string> warnings;  ///< What was set and has no effect.

  std::vector<net::host_port> bootstrap;
  net::security_options security;
  std::string client_id = "kawait";
  std::string client_rack;

  std::optional<std::string> group_id;
  std::optional<std::string> group_instance_id;
  std::optional<std::string> remote_assignor;
  milliseconds max_poll_interval{300'000};
  std::optional<milliseconds> rebalance_timeout;  ///< Unset: max_poll_interval, as in Java.

  bool auto_commit = true;
  milliseconds auto_commit_interval{5'000};
  machine::position_finder::reset_policy auto_offset_reset = machine::position_finder::reset_policy::latest;
  std::optional<milliseconds> auto_offset_reset_back;  ///< by_duration; the policy beside it does not count then.
  isolation_level isolation = isolation_level::read_uncommitted;
  bool check_crcs = true;

  std::int32_t fetch_min_bytes = 1;
  std::int32_t fetch_max_bytes = 50 << 20;
  milliseconds fetch_max_wait{500};
  std::int32_t max_partition_fetch_bytes = 1 << 20;
  std::size_t fetch_buffer_bytes = std::size_t{32} << 20;
  std::size_t decompression_limit = wire::default_decompression_limit;

  milliseconds metadata_max_age{300'000};
  milliseconds request_timeout{30'000};
  milliseconds default_api_timeout{60'000};
  milliseconds connection_setup_timeout{10'000};
  milliseconds reconnect_backoff{50};
  milliseconds reconnect_backoff_max{1'000};
  milliseconds retry_backoff{100};
  milliseconds retry_backoff_max{1'000};

  milliseconds rebalance_time() const { return rebalance_timeout.value_or(max_poll_interval); }
};

}  // namespace kawait::runtime
