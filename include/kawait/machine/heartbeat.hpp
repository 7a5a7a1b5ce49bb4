#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>

namespace kawait::machine {

/// The member epochs that are none: what a heartbeat asks for instead of an epoch.
inline constexpr std::int32_t join_epoch = 0;
inline constexpr std::int32_t leave_epoch = -1;
inline constexpr std::int32_t static_leave_epoch = -2;  ///< A static member leaves for a while; its partitions are kept for it.

/// One ConsumerGroupHeartbeat for the coordinator, as soon as it is known; it is answered by membership::on_heartbeat, or by
/// on_disconnected if there is no coordinator, no connection or no answer in time. What is not set says "unchanged".
struct send_heartbeat {
  std::string group_id;
  std::string member_id;
  std::int32_t member_epoch = 0;
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::int32_t rebalance_timeout_ms = -1;
  std::optional<std::vector<std::string>> topic_names;
  std::optional<std::string> topic_regex;  ///< RE2/J, of the whole name; empty: no longer any. Needs version 1.
  std::optional<std::string> assignor;
  std::optional<std::vector<topic_id_partition>> owned;  ///< Sorted. Without something it was told before: an acknowledgement.

  send_heartbeat() = default;
  send_heartbeat(std::string group, std::string member, std::int32_t epoch)
      : group_id(std::move(group)), member_id(std::move(member)), member_epoch(epoch) {}

  bool joins() const noexcept { return member_epoch == join_epoch; }
  bool leaves() const noexcept { return member_epoch < join_epoch; }

  /// The message. It views this object, which must outlive it.
  KAWAIT_DECL protocol::consumer_group_heartbeat_request request() const;

  friend bool operator==(const send_heartbeat&, const send_heartbeat&) = default;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/heartbeat.ipp>
#endif
