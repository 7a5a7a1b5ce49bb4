#pragma once

#include <chrono>

namespace kawait::machine {

/// The machines have no clock: whoever drives them passes the time in.
using time_point = std::chrono::steady_clock::time_point;
using duration = time_point::duration;
using std::chrono::milliseconds;

/// Nothing to do until something is told.
inline constexpr time_point never = time_point::max();

}  // namespace kawait::machine
