#pragma once

#include <chrono>

#include <kawait/machine/membership.hpp>
#include <kawait/runtime/options.hpp>

namespace kawait {

/// What becomes of the membership when the consumer closes (KIP-1092): default_, a dynamic member leaves, a static one leaves for a while
/// and keeps its partitions; leave_group, a static one leaves for good, too; remain_in_group, a dynamic one says nothing and is a member
/// until its session ends, so that a quick restart moves no partition of others.
using leave_kind = machine::leave_kind;

/// What async_close may do differently.
struct close_options {
  /// For all of it: drain, commit, leave. More than a year counts as one.
  std::chrono::milliseconds timeout{30'000};
  leave_kind membership = leave_kind::default_;

  close_options() = default;
  template <class Rep, class Period>
  close_options(std::chrono::duration<Rep, Period> t, leave_kind m = leave_kind::default_)
      : timeout(runtime::bounded(t)), membership(m) {}
  close_options(leave_kind m) : membership(m) {}
};

}  // namespace kawait
