#pragma once

#include <algorithm>
#include <iterator>

#include <kawait/machine/offset_tracker.hpp>
#include <kawait/core/mutation.hpp>

namespace kawait::machine {

KAWAIT_DECL void offset_tracker::restart(const offset_and_epoch& position) {
  batches_.clear();
  first_ = next_;
  handed_out_ = position.offset;
  open_ = 0;
  if (!KAWAIT_MUTANT(keeps_done_over_a_seek)) mark_.reset();
  hole_.reset();
  cuts_.clear();
  // A commit that is still in flight is not ours to judge any more: after a seek back its offset is no measure for what
  // follows, and after a seek forward its failure must not look like one of the new position's.
  commits_.clear();
  committed_.reset();
}

KAWAIT_DECL void offset_tracker::truncate(const offset_and_epoch& end) {
  if (end.offset >= handed_out_) return;
  // What was abandoned at the end or above is gone from the log. What is in hand below it is not.
  if (hole_ && *hole_ >= end.offset) hole_.reset();
  for (batch& b : batches_) {
    if (b.end <= end.offset) continue;
    b = batch{b.name, std::min(b.begin, end.offset), end.offset, std::min(b.done, end.offset), end.leader_epoch};
  }
  handed_out_ = end.offset;
  while (!cuts_.empty() && (open_ == 0 || cuts_.back().end >= end.offset)) cuts_.pop_back();
  if (open_ > 0) cuts_.push_back(cut{next_, end.offset});
  if (mark_ && mark_->offset > end.offset) mark_ = end;
  commits_.clear();
  committed_.reset();
  advance();
}

KAWAIT_DECL offset_tracker::ticket offset_tracker::open(std::int64_t begin, std::int64_t end, std::int32_t leader_epoch) {
  const ticket t = next_;
  push(begin, end, leader_epoch);
  ++open_;
  return t;
}

KAWAIT_DECL void offset_tracker::skip(std::int64_t end, std::int32_t leader_epoch) {
  if (end <= handed_out_) return;
  push(end, end, leader_epoch);
  advance();
}

KAWAIT_DECL void offset_tracker::push(std::int64_t begin, std::int64_t end, std::int32_t leader_epoch) {
  begin = std::max(begin, handed_out_);
  end = std::max(begin, end);
  if (!hole_) batches_.push_back(batch{next_, begin, end, begin, leader_epoch});
  handed_out_ = end;
  ++next_;
}

KAWAIT_DECL std::deque<offset_tracker::batch>::iterator offset_tracker::find(ticket t) {
  const auto at = std::lower_bound(batches_.begin(), batches_.end(), t, [](const batch& b, ticket wanted) { return b.name < wanted; });
  return at != batches_.end() && at->name == t ? at : batches_.end();
}

KAWAIT_DECL void offset_tracker::done(ticket t, std::int64_t next_offset) {
  const auto b = find(t);
  if (b == batches_.end()) return;
  b->done = std::clamp(next_offset, b->done, b->end);
  advance();
}

KAWAIT_DECL bool offset_tracker::is_of_log(ticket t, std::int64_t offset) const noexcept {
  const auto lowest = std::find_if(cuts_.begin(), cuts_.end(), [t](const cut& c) { return t < c.before; });
  return is_current(t) && (lowest == cuts_.end() || offset < lowest->end);
}

KAWAIT_DECL void offset_tracker::advance() {
  while (!batches_.empty()) {
    const batch& b = batches_.front();
    // The gap before a batch is passed together with the first of its own offsets: the mark is always something that was done.
    if (b.done != b.begin || b.begin == b.end) mark_ = offset_and_epoch(b.done, b.leader_epoch);
    if (b.done != b.end) return;
    batches_.pop_front();
  }
}

KAWAIT_DECL void offset_tracker::released(ticket t) {
  if (!is_current(t)) return;
  if (open_ > 0) --open_;
  const auto b = find(t);
  if (b == batches_.end() || b->done == b->end) return;
  hole_ = b->done;
  // What was done of it still counts, once all before it is done. What is behind can never be committed.
  b->end = b->done;
  batches_.erase(b->begin == b->end ? b : std::next(b), batches_.end());
}

KAWAIT_DECL std::optional<offset_and_epoch> offset_tracker::uncommitted() const {
  const auto beyond = [&](const offset_and_epoch& other) { return mark_->offset > other.offset; };
  if (!mark_ || (committed_ && !beyond(*committed_))) return std::nullopt;
  for (const commit& c : commits_) {
    if (!beyond(c.offset)) return std::nullopt;
  }
  if (KAWAIT_MUTANT(commits_past_done)) return offset_and_epoch(mark_->offset + 1, mark_->leader_epoch);
  return mark_;
}

KAWAIT_DECL bool offset_tracker::is_being_committed(std::int64_t offset) const noexcept {
  if (committed_ && committed_->offset >= offset) return false;
  return std::any_of(commits_.begin(), commits_.end(), [offset](const commit& c) { return c.offset.offset >= offset; });
}

KAWAIT_DECL offset_tracker::commit_id offset_tracker::on_commit_sent(const offset_and_epoch& offset) {
  commits_.push_back(commit{next_commit_, offset});
  return next_commit_++;
}

KAWAIT_DECL void offset_tracker::on_committed(commit_id id) {
  const auto offset = remove_commit(id);
  // Sent first, answered last (its connection broke, and a retry on the next one overtook it): what the broker holds is the
  // later one.
  if (!offset || id < last_committed_) return;
  last_committed_ = id;
  committed_ = offset;
}

KAWAIT_DECL void offset_tracker::on_commit_failed(commit_id id) { remove_commit(id); }

KAWAIT_DECL std::optional<offset_and_epoch> offset_tracker::remove_commit(commit_id id) {
  const auto found = std::find_if(commits_.begin(), commits_.end(), [id](const commit& c) { return c.id == id; });
  if (found == commits_.end()) return std::nullopt;
  const offset_and_epoch offset = found->offset;
  commits_.erase(found);
  return offset;
}

}  // namespace kawait::machine
