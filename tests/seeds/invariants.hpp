#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace seeds {

/// What must hold, whatever goes wrong.
enum class invariant {
  at_least_once = 1,
  ascending,
  same_bytes,
  within_ownership,
  drained_first,
  committed_is_done,
  commits_of_owned,
  reset_on_reason,
  truncation_found,
  one_owner,
  decided_only,
  matched_answers,
  progress,
  completes_once,
  bounded_memory,
  bounded_retries,
  deterministic = 18,
  leaves,
  survives
};

constexpr std::string_view words_of(invariant i) {
  switch (i) {
    case invariant::at_least_once: return "every record below a committed offset was done";
    case invariant::ascending: return "within one ownership offsets ascend, without gaps";
    case invariant::same_bytes: return "one offset is the same bytes in every delivery";
    case invariant::within_ownership: return "nothing is delivered before a partition is assigned, nor after it is given up";
    case invariant::drained_first: return "a revocation is acknowledged after the drain only";
    case invariant::committed_is_done: return "nothing is committed but what is done, and never backwards";
    case invariant::commits_of_owned: return "commits are of owned partitions, and answered before those are given up";
    case invariant::reset_on_reason: return "a position is reset for want of an offset only, and that is told";
    case invariant::truncation_found: return "truncation is found and told, and a topic made anew is read from its beginning";
    case invariant::one_owner: return "a partition has one owner";
    case invariant::decided_only: return "read_committed yields nothing aborted or undecided";
    case invariant::matched_answers: return "an answer to nothing closes the connection";
    case invariant::progress: return "once the faults have healed, everything is read, committed and alive in time";
    case invariant::completes_once: return "every operation completes once, and close() keeps its deadline";
    case invariant::bounded_memory: return "buffers stay within their budget, and go back";
    case invariant::bounded_retries: return "nothing is repeated without a pause";
    case invariant::deterministic: return "a seed is one run";
    case invariant::leaves: return "who closes has committed what is done, and has left the group";
    case invariant::survives: return "what can be got over ends no consumer, and fails no read";
  }
  return "";
}

struct violation {
  invariant what;
  std::string words;
};

}  // namespace seeds
