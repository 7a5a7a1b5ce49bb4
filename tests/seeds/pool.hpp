#pragma once

// Seeds in processes of their own: one that crashes or hangs takes no other with it, and is named.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "run.hpp"

namespace seeds {

struct failed_seed {
  std::uint64_t seed = 0;
  int invariant = 0;  ///< 0: it crashed or hung.
  std::string words;
};

/// What came of many seeds.
struct summary {
  std::size_t run = 0;
  std::vector<failed_seed> failed;
  std::map<std::string, std::size_t> hits, reached;
};

struct pool_options {
  std::size_t jobs = 2;
  std::size_t failures = 20;              ///< After so many no more seeds are begun.
  std::chrono::seconds hang{60};          ///< No seed takes so much CPU time.
  std::function<void()> prepare;          ///< Called in each process before its first seed.
  bool quiet = false;                     ///< What the processes write to stderr is dropped.
};

summary run_seeds(const std::vector<std::uint64_t>& all, const std::function<outcome(std::uint64_t)>& one, const pool_options& o);

}  // namespace seeds
