#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::machine {

/// What of one partition is done and may be committed. Batches are handed out in the order of their offsets and done in any
/// order; what is committed is the low-water mark: the offset below which everything handed out is done.
///
/// Offsets between batches (control batches, aborted transactions, holes of compaction) were nobody's work and count as done.
class offset_tracker {
 public:
  /// Names a batch that was handed out.
  using ticket = std::uint64_t;
  /// Names a commit that was sent.
  using commit_id = std::uint64_t;

  /// Reading (re)starts at `position`: assigned, sought, reset. Older tickets and commits are ignored from now on.
  KAWAIT_DECL void restart(const offset_and_epoch& position);

  /// A batch was handed out, of the offsets [begin, end), after all earlier ones. `leader_epoch` is that of its last record
  /// batch.
  KAWAIT_DECL ticket open(std::int64_t begin, std::int64_t end, std::int32_t leader_epoch);

  /// The position went past offsets in which there is nothing to hand out; they are done once all before them is.
  KAWAIT_DECL void skip(std::int64_t end, std::int32_t leader_epoch);

  /// Everything of the batch below `next_offset` is done. Going back is ignored.
  KAWAIT_DECL void done(ticket t, std::int64_t next_offset);

  /// Whether what was handed out at `offset` is what the log has there: no restart came since, and no truncation took it.
  KAWAIT_DECL bool is_of_log(ticket t, std::int64_t offset) const noexcept;

  /// The log has lost what lay at `end` and above: what was handed out below it is still to be done.
  KAWAIT_DECL void truncate(const offset_and_epoch& end);

  /// The handle is gone; called once for each ticket. If the batch is not wholly done, it is abandoned for good: the mark stays
  /// below it.
  KAWAIT_DECL void released(ticket t);

  /// What may be committed: the next offset to read and the leader epoch of the last batch done. Nothing if nothing was done
  /// since the restart.
  std::optional<offset_and_epoch> committable() const { return mark_; }

  /// committable(), if it is beyond what was committed and what is being committed.
  KAWAIT_DECL std::optional<offset_and_epoch> uncommitted() const;

  /// A commit of `offset` leaves (the mark's, or one the user named); its answer is told with the id.
  KAWAIT_DECL commit_id on_commit_sent(const offset_and_epoch& offset);
  KAWAIT_DECL void on_committed(commit_id id);
  KAWAIT_DECL void on_commit_failed(commit_id id);

  /// The last offset the broker confirmed since the restart.
  std::optional<offset_and_epoch> committed() const { return committed_; }
  /// A commit of `offset` or of a later one is under way, and none was confirmed.
  KAWAIT_DECL bool is_being_committed(std::int64_t offset) const noexcept;

  /// The first offset that is not done of an abandoned batch: no commit goes past it.
  std::optional<std::int64_t> abandoned() const { return hole_; }

  /// Batches handed out since the restart and not released yet, done or not.
  std::size_t open_count() const noexcept { return open_; }

 private:
  struct batch {
    ticket name;
    std::int64_t begin;
    std::int64_t end;
    std::int64_t done;  // everything of it below is done
    std::int32_t leader_epoch;
  };
  struct cut {
    ticket before;  // it concerns these
    std::int64_t end;
  };
  struct commit {
    commit_id id;
    offset_and_epoch offset;
  };

  KAWAIT_DECL void push(std::int64_t begin, std::int64_t end, std::int32_t leader_epoch);
  bool is_current(ticket t) const noexcept { return t >= first_ && t < next_; }
  KAWAIT_DECL std::deque<batch>::iterator find(ticket t);
  KAWAIT_DECL void advance();
  KAWAIT_DECL std::optional<offset_and_epoch> remove_commit(commit_id id);

  // Batches in the order of their offsets, and so of their tickets. What is wholly done is dropped from the front, and all that is
  // behind an abandoned batch (no commit can reach it), so the list is never longer than what is in hand.
  std::deque<batch> batches_;
  ticket next_ = 1;
  ticket first_ = 1;  // of the current restart
  std::int64_t handed_out_ = 0;  // the end of the last batch
  std::size_t open_ = 0;
  std::optional<offset_and_epoch> mark_;
  std::optional<std::int64_t> hole_;
  std::vector<cut> cuts_;  // truncations of what is in hand, ascending: one that goes deeper says what those before it said

  std::vector<commit> commits_;  // in flight, in the order in which they were sent
  commit_id next_commit_ = 1;
  commit_id last_committed_ = 0;
  std::optional<offset_and_epoch> committed_;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/offset_tracker.ipp>
#endif
