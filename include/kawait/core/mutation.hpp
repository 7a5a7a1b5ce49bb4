#pragma once

/// Where a test may break the library, to see whether the tests notice: KAWAIT_MUTANT(name) is false, and gone, unless a program is
/// compiled with KAWAIT_MUTANTS, as tests/seeds/mutants.cpp is; there it holds while that mutant is chosen.
#if defined(KAWAIT_MUTANTS)
namespace kawait::detail {

enum class mutant {
  none,
  acknowledges_before_drain,
  acknowledges_during_commit,
  forgets_what_it_owns,
  forgets_a_fence,
  never_gives_up_at_deadline,
  silent_while_draining,
  leaves_without_a_word,
  static_member_leaves_for_good,
  commits_past_done,
  commits_what_is_handed_out,
  commits_what_is_not_held,
  commits_with_newest_epoch,
  commits_once_only,
  gives_up_without_commit,
  keeps_done_over_a_seek,
  leaks_a_lease,
  fetches_what_is_revoked,
  fetches_from_the_first_offset_sent,
  takes_last_record_plus_one,
  takes_answers_from_before_a_seek,
  ignores_leader_epochs,
  resets_on_an_error,
  resets_in_silence,
  pause_drops_what_is_buffered,
  shows_aborted_records,
  reads_on_when_lost,
  runs_two_handlers,
  takes_any_answer,
  pauses_without_bound,
  retries_without_a_pause,
  works_on_after_the_end,
  gives_up_early,
  joins_during_commit,
  cuts_values,
  closes_without_a_deadline,
  ends_on_a_passing_error,
  forgets_who_commits,
  reads_ahead_without_bound,
  count
};

inline mutant chosen_mutant = mutant::none;

}  // namespace kawait::detail
#define KAWAIT_MUTANT(name) (::kawait::detail::chosen_mutant == ::kawait::detail::mutant::name)
#else
#define KAWAIT_MUTANT(name) false
#endif
