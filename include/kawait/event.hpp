#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/partition.hpp>
#include <kawait/runtime/revocation.hpp>

namespace kawait {

/// Names one revocation for async_incremental_unassign. Copyable; many may wait for it. Must not outlive the execution context.
class revocation {
 public:
  revocation() = default;
  explicit revocation(std::shared_ptr<runtime::revocation_state> s) : state_(std::move(s)) {}

  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// All drained, or given up at the deadline.
  bool is_done() const noexcept { return !state_ || state_->is_done(); }

  /// For the library.
  const std::shared_ptr<runtime::revocation_state>& state() const noexcept { return state_; }

 private:
  std::shared_ptr<runtime::revocation_state> state_;
};

/// A change of the assignment: only what was added, or what goes (KIP-848's incremental rebalancing).
struct event {
  enum class kind {
    assigned,  ///< Ours from now on. Nothing is fetched before the first read.
    revoked,   ///< To be given up: call async_incremental_unassign(revocation) once it may drain.
    lost       ///< Gone already: the group went on without us. Nothing of them can be committed.
  };

  kind what = kind::assigned;
  std::vector<partition> partitions;
  kawait::revocation revocation;  ///< With `revoked`.
  failure reason;                 ///< With `lost`: the broker's words.
};

}  // namespace kawait
