#pragma once

#include <algorithm>
#include <chrono>
#include <limits>

namespace bench {

/// The least of the times, in seconds, that so many runs of `work` took.
template <class Work>
double best_seconds(int runs, Work work) {
  std::chrono::duration<double> best(std::numeric_limits<double>::max());
  for (int i = 0; i < runs; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    best = std::min<std::chrono::duration<double>>(best, std::chrono::steady_clock::now() - begin);
  }
  return best.count();
}

}  // namespace bench
