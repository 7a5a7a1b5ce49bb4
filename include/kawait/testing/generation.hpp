#pragma once

#include <chrono>
#include <cstdint>

namespace kawait::testing {

/// Which Kafka the embedded one behaves like. 4.1 is like 4.2 to a client, but for its versions of OffsetCommit and OffsetFetch
/// (9) and for what it does with a known member that joins (as 4.0).
enum class kafka_generation { v4_0, v4_2, v4_3 };

/// What differs between generations: the newest versions of those APIs whose newest version differs, and behaviour.
struct generation_traits {
  std::int16_t metadata_version;  ///< The feature `metadata.version` of ApiVersions: the software's maximum.
  std::int16_t fetch;
  std::int16_t list_offsets;
  std::int16_t offset_commit;  ///< From version 10 on by topic id.
  std::int16_t offset_fetch;

  /// A member that the group knows may join again (epoch 0) at any time; before, it is fenced unless its epoch has never moved
  /// since its first answer.
  bool known_member_rejoins;
  /// A commit may carry any epoch since that at which the partition was assigned (KIP-1251); before, the member's current one.
  bool lease_epoch_commits;
  /// A member that acknowledged one revocation and owes another is one epoch further; later generations keep the epoch.
  bool revocation_moves_epoch;
  /// Another pattern is another subscription at once; before, only when it is resolved and gives others, or is one that is resolved
  /// already: a member that gives up its pattern keeps what that brought until the group moves for another reason.
  bool pattern_is_subscription;
  /// Who describes a group is told that a member has what it is yet to give up; before, only what it may keep.
  bool revoking_is_described;
  /// The epoch of a group without history; its first member's is one more.
  std::int32_t first_group_epoch;
  /// The default of group.consumer.assignment.interval.ms; 0: there is none, a target is computed at once.
  std::chrono::milliseconds assignment_interval;
};

namespace detail {
inline constexpr generation_traits generations[] = {
    {25, 17, 10, 9, 9, false, false, true, false, false, 0, std::chrono::milliseconds(0)},
    {29, 18, 11, 10, 10, true, false, false, true, false, 0, std::chrono::milliseconds(0)},
    {30, 18, 11, 10, 10, true, true, false, true, true, 1, std::chrono::milliseconds(1000)},
};
}  // namespace detail

constexpr const generation_traits& traits_of(kafka_generation generation) noexcept {
  return detail::generations[static_cast<int>(generation)];
}

}  // namespace kawait::testing
