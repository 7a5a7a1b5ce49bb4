// Whether the seeds would notice: every mutant of the library (kawait/core/mutation.hpp) has to break an invariant within so many.
//
//     mutants                       # all of them, and the library as it is, which must not
//     mutants --seeds 1000 --jobs 2 leaks_a_lease
//
// The exit status is 1 if one survives.

#include <algorithm>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <kawait/core/mutation.hpp>

#include "pool.hpp"
#include "run.hpp"

namespace seeds {
namespace {

using kawait::detail::mutant;

/// In the order of the enumeration.
constexpr std::string_view names[] = {
    "none",
    "acknowledges_before_drain",
    "acknowledges_during_commit",
    "forgets_what_it_owns",
    "forgets_a_fence",
    "never_gives_up_at_deadline",
    "silent_while_draining",
    "leaves_without_a_word",
    "static_member_leaves_for_good",
    "commits_past_done",
    "commits_what_is_handed_out",
    "commits_what_is_not_held",
    "commits_with_newest_epoch",
    "commits_once_only",
    "gives_up_without_commit",
    "keeps_done_over_a_seek",
    "leaks_a_lease",
    "fetches_what_is_revoked",
    "fetches_from_the_first_offset_sent",
    "takes_last_record_plus_one",
    "takes_answers_from_before_a_seek",
    "ignores_leader_epochs",
    "resets_on_an_error",
    "resets_in_silence",
    "pause_drops_what_is_buffered",
    "shows_aborted_records",
    "reads_on_when_lost",
    "runs_two_handlers",
    "takes_any_answer",
    "pauses_without_bound",
    "retries_without_a_pause",
};
static_assert(std::size(names) == static_cast<std::size_t>(mutant::count));

outcome run_one(std::uint64_t seed) { return play(make_plan(seed)); }

/// Whether it came out as it has to.
bool judge(mutant m, std::uint64_t seeds, std::size_t jobs) {
  std::vector<std::uint64_t> all(seeds);
  for (std::uint64_t i = 0; i < seeds; ++i) all[i] = i + 1;
  pool_options o;
  o.jobs = jobs;
  o.failures = 1;
  o.hang = std::chrono::seconds(20);
  o.quiet = true;
  o.prepare = [m] { kawait::detail::chosen_mutant = m; };
  const summary s = run_seeds(all, run_one, o);
  std::cout << std::left << std::setw(36) << names[static_cast<std::size_t>(m)];
  if (s.failed.empty()) {
    std::cout << (m == mutant::none ? "breaks nothing" : "SURVIVES") << " in " << s.run << " seeds" << std::endl;
    return m == mutant::none;
  }
  const failed_seed& f = s.failed.front();
  std::cout << std::right << std::setw(4) << s.run + 1 << " seeds  ";
  if (f.invariant > 0) std::cout << std::setw(2) << f.invariant << " (" << words_of(static_cast<invariant>(f.invariant)) << "): ";
  std::cout << f.words << std::endl;
  return m != mutant::none;
}

int run_all(int argc, char** argv) {
  std::uint64_t count = 1000;
  std::size_t jobs = 2;
  std::vector<mutant> wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--seeds" && i + 1 < argc) {
      count = std::stoull(argv[++i]);
    } else if (word == "--jobs" && i + 1 < argc) {
      jobs = std::stoul(argv[++i]);
    } else {
      const auto at = std::find(std::begin(names), std::end(names), word);
      if (at == std::end(names)) throw std::invalid_argument(word);
      wanted.push_back(static_cast<mutant>(at - std::begin(names)));
    }
  }
  if (wanted.empty()) {
    for (std::size_t i = 0; i < std::size(names); ++i) wanted.push_back(static_cast<mutant>(i));
  }
  bool is_well = true;
  for (const mutant m : wanted) is_well = judge(m, count, jobs) && is_well;
  return is_well ? 0 : 1;
}

}  // namespace
}  // namespace seeds

int main(int argc, char** argv) {
  try {
    return seeds::run_all(argc, argv);
  } catch (const std::logic_error&) {
    std::cerr << "usage: mutants [--seeds N] [--jobs N] [NAME...]\n";
    return 2;
  }
}
