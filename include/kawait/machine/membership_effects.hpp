#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/machine/effect.hpp>
#include <kawait/machine/heartbeat.hpp>
#include <kawait/machine/leased.hpp>

namespace kawait::machine {

/// Look these topic ids up in the metadata and tell on_resolved of each one found. Asked again at the heartbeat interval.
struct resolve_topics {
  std::vector<uuid> ids;

  explicit resolve_topics(std::vector<uuid> i) : ids(std::move(i)) {}
};

/// Give these up by the deadline: stop fetching, drain, commit; then on_drained of each. They may be named in commits until then.
struct revoke_partitions {
  std::vector<leased> partitions;
  time_point deadline;

  revoke_partitions(std::vector<leased> p, time_point d) : partitions(std::move(p)), deadline(d) {}
};

/// The deadline passed before these were drained: their leases are stale, their handlers are cancelled, no commit names them any
/// more. The broker is told that they are given up whatever their handlers do.
struct abandon_partitions {
  std::vector<leased> partitions;

  explicit abandon_partitions(std::vector<leased> p) : partitions(std::move(p)) {}
};

/// A commit that names a partition to be given up is still unanswered. Close the coordinator's connection, so that the commit
/// cannot be served after the partition has its next owner, then tell on_commit_answered (and on_disconnected, if a heartbeat was
/// under way).
struct cut_coordinator {};

/// These are ours now; only what was added. A partition whose earlier lease is still being worked on starts when that has ended.
struct assign_partitions {
  std::vector<leased> partitions;
  std::int32_t member_epoch;

  assign_partitions(std::vector<leased> p, std::int32_t e) : partitions(std::move(p)), member_epoch(e) {}
};

/// These are ours no longer: the group went on without us. Nothing of them can be committed; on_drained is not needed.
struct lose_partitions {
  std::vector<leased> partitions;
  failure reason;

  lose_partitions(std::vector<leased> p, failure r) : partitions(std::move(p)), reason(std::move(r)) {}
};

/// Tell the user; the membership goes on.
struct report {
  failure reason;

  explicit report(failure r) : reason(std::move(r)) {}
};

/// What leave() asked for is over.
struct left {};

using membership_effect =
    std::variant<idle, send_heartbeat, find_coordinator, resolve_topics, revoke_partitions, abandon_partitions, cut_coordinator,
                 assign_partitions, lose_partitions, report, failed, left>;

}  // namespace kawait::machine
