// Whether the seeds would notice: every mutant of the library (kawait/core/mutation.hpp) has to break an invariant within so many.
//
//     mutants                       # all of them, and the library as it is, which must not
//     mutants --seeds 1000 --jobs 2 leaks_a_lease
//
// The exit status is 1 if one survives, or breaks nothing but invariants that it is not about.

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

/// It runs, and gets nowhere.
constexpr invariant hang{};

/// What a mutant breaks: one of these invariants at least, whatever else comes of it.
struct expectation {
  std::string_view name;
  std::vector<invariant> breaks;
};

/// In the order of the enumeration.
const std::vector<expectation>& table() {
  using enum invariant;
  static const std::vector<expectation> all{
      {"none", {}},
      {"acknowledges_before_drain", {drained_first}},
      {"acknowledges_during_commit", {commits_of_owned}},
      {"forgets_what_it_owns", {drained_first}},
      {"forgets_a_fence", {one_owner, progress}},
      {"never_gives_up_at_deadline", {hang, drained_first, completes_once}},  // its deadline has passed: it looks again at once, for ever
      {"silent_while_draining", {progress}},
      {"leaves_without_a_word", {leaves}},
      {"static_member_leaves_for_good", {leaves}},
      {"commits_past_done", {committed_is_done, at_least_once}},
      {"commits_what_is_handed_out", {committed_is_done, at_least_once}},
      {"commits_what_is_not_held", {commits_of_owned}},
      {"commits_with_newest_epoch", {commits_of_owned}},
      {"commits_once_only", {progress, leaves}},
      {"gives_up_without_commit", {leaves}},
      {"keeps_done_over_a_seek", {committed_is_done, at_least_once}},
      {"leaks_a_lease", {bounded_memory, drained_first, progress}},
      {"fetches_what_is_revoked", {within_ownership}},
      {"fetches_from_the_first_offset_sent", {ascending, bounded_retries, progress}},
      {"takes_last_record_plus_one", {progress, bounded_retries}},
      {"takes_answers_from_before_a_seek", {ascending}},
      {"ignores_leader_epochs", {ascending, truncation_found, progress}},
      {"resets_on_an_error", {reset_on_reason}},
      {"resets_in_silence", {ascending, commits_of_owned, committed_is_done}},
      {"pause_drops_what_is_buffered", {ascending}},
      {"shows_aborted_records", {decided_only}},
      {"reads_on_when_lost", {within_ownership, one_owner}},
      {"runs_two_handlers", {within_ownership}},
      {"takes_any_answer", {matched_answers}},
      {"pauses_without_bound", {progress}},
      {"retries_without_a_pause", {bounded_retries}},
      {"works_on_after_the_end", {within_ownership}},
      {"gives_up_early", {drained_first}},
      {"joins_during_commit", {commits_of_owned}},
      {"cuts_values", {same_bytes}},
      {"closes_without_a_deadline", {completes_once}},
      {"ends_on_a_passing_error", {survives}},
      {"forgets_who_commits", {completes_once, progress, leaves}},
      {"reads_ahead_without_bound", {bounded_memory}},
  };
  return all;
}

outcome run_one(std::uint64_t seed) { return play(make_plan(seed)); }

bool is_expected(const expectation& e, int broken) {
  return std::find(e.breaks.begin(), e.breaks.end(), static_cast<invariant>(broken)) != e.breaks.end();
}

/// Whether it breaks an invariant that it is about: others come of nearly everything, a hang and a want of progress above all. The library
/// as it is is about none.
bool tell(const expectation& e, const summary& s) {
  const auto as_expected = std::find_if(s.failed.begin(), s.failed.end(), [&](const failed_seed& f) { return is_expected(e, f.invariant); });
  const bool is_other = as_expected == s.failed.end();
  const failed_seed& f = is_other ? s.failed.front() : *as_expected;
  std::cout << "seed " << std::right << std::setw(4) << f.seed << "  ";
  if (f.invariant > 0) std::cout << std::setw(2) << f.invariant << " (" << words_of(static_cast<invariant>(f.invariant)) << "): ";
  std::cout << f.words << (is_other ? "; BY OTHERS ONLY" : "") << std::endl;
  return !is_other;
}

/// Whether it came out as it has to.
bool judge(mutant m, std::uint64_t seeds, std::size_t jobs) {
  std::vector<std::uint64_t> all(seeds);
  for (std::uint64_t i = 0; i < seeds; ++i) all[i] = i + 1;
  pool_options o;
  o.jobs = jobs;
  o.hang = std::chrono::seconds(20);
  o.quiet = true;
  o.prepare = [m] { kawait::detail::chosen_mutant = m; };
  const expectation& e = table()[static_cast<std::size_t>(m)];
  // The first seed that breaks says how soon it is noticed; a few more, whether by what was meant.
  summary s;
  for (const std::size_t failures : {1, 6}) {
    o.failures = failures;
    s = run_seeds(all, run_one, o);
    const bool is_told = std::any_of(s.failed.begin(), s.failed.end(), [&](const failed_seed& f) { return is_expected(e, f.invariant); });
    if (s.failed.empty() || is_told) break;
  }
  std::cout << std::left << std::setw(36) << e.name;
  if (!s.failed.empty()) return tell(e, s);
  std::cout << (m == mutant::none ? "breaks nothing" : "SURVIVES") << " in " << s.run << " seeds" << std::endl;
  return m == mutant::none;
}

int run_all(int argc, char** argv) {
  std::uint64_t count = 4000;
  std::size_t jobs = 2;
  std::vector<mutant> wanted;
  if (table().size() != static_cast<std::size_t>(mutant::count)) throw std::runtime_error("the table is not of these mutants");
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--seeds" && i + 1 < argc) {
      count = std::stoull(argv[++i]);
    } else if (word == "--jobs" && i + 1 < argc) {
      jobs = std::stoul(argv[++i]);
    } else {
      const auto at = std::find_if(table().begin(), table().end(), [&](const expectation& e) { return e.name == word; });
      if (at == table().end()) throw std::invalid_argument(word);
      wanted.push_back(static_cast<mutant>(at - table().begin()));
    }
  }
  if (wanted.empty()) {
    for (std::size_t i = 0; i < table().size(); ++i) wanted.push_back(static_cast<mutant>(i));
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
