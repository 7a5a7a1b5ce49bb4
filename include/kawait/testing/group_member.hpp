#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/machine/time.hpp>

namespace kawait::testing {

/// With the member epoch at which each was assigned.
using partition_epochs = std::map<topic_id_partition, std::int32_t>;

/// Sorted, each once.
using partition_list = std::vector<topic_id_partition>;

enum class reconciliation {
  stable,      ///< It has what it should have at its epoch.
  unrevoked,   ///< It has yet to acknowledge a revocation.
  unreleased,  ///< It waits for partitions that others have not given up yet.
};

/// One member of a group, as the coordinator knows it.
struct group_member {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::set<std::string, std::less<>> names;
  std::string regex;     ///< Empty: none.
  std::string assignor;  ///< The one it asked for; empty: any.
  machine::milliseconds rebalance_timeout{0};

  std::int32_t epoch = 0;  ///< -2: a static member that left for a while.
  std::int32_t previous_epoch = 0;
  reconciliation state = reconciliation::stable;
  partition_epochs assigned;  ///< What it was told that it may own.
  partition_epochs revoking;  ///< What it owns until it acknowledges.
  partition_list target;      ///< What it is to own in the end.

  bool fenced = false;  ///< By hand: answered FENCED_MEMBER_EPOCH until it joins or leaves.
  machine::time_point session_ends = machine::never;
  machine::time_point revocation_ends = machine::never;

  void move_to(std::int32_t next) noexcept {
    previous_epoch = epoch;
    epoch = next;
  }
};

}  // namespace kawait::testing
