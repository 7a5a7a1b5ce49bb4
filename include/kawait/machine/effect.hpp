#pragma once

#include <utility>

#include <kawait/core/error.hpp>
#include <kawait/machine/time.hpp>

namespace kawait::machine {

// What the machines of a group answer to poll() with in common.

/// Nothing to do: poll again at `until`, or after the next input, whichever comes first.
struct idle {
  time_point until = never;
};

/// Forget which broker coordinates the group and look it up again (coordinator::forget).
struct find_coordinator {};

/// It cannot go on. The words name the group, the broker's own reason and what helps.
struct failed {
  failure reason;

  explicit failed(failure f) : reason(std::move(f)) {}
};

}  // namespace kawait::machine
