#pragma once

#include <algorithm>

#include <kawait/machine/offset_tracker.hpp>
#include <kawait/core/mutation.hpp>

namespace kawait::machine {

KAWAIT_DECL void offset_tracker::restart(const offset_and_epoch& position) {
  batches_.clear();
  front_ = first_ = next_;
  handed_out_ = position.offset;
  open_ = 0;
  if (!KAWAIT_MUTANT(keeps_done_over_a_seek)) mark_.reset();
  hole_.reset();
  // A commit that is still in flight is not ours to judge any more: after a seek back its offset is no measure for what
  // follows, and after a seek forward its failure must not look like one of the new position's.
  commits_.clear();
  committed_.reset();
}

KAWAIT_DECL void offset_tracker::truncate(const offset_and_epoch& end) {
  if (end.offset >= handed_out_) return;
  const std::optional<std::int64_t> hole = hole_;
  if (hole && *hole >= end.offset) return restart(end);
  for (batch& b : batches_) {
    if (b.end <= end.offset) continue;
    b = batch{std::min(b.begin, end.offset), end.offset, std::min(b.done, end.offset), end.leader_epoch};
  }
  handed_out_ = end.offset;
  if (mark_ && mark_->offset > end.offset) mark_ = end;
  commits_.clear();
  committed_.reset();
  advance();
}

KAWAIT_DECL offset_tracker::ticket offset_tracker::open(std::int64_t begin, std::int64_t end, std::int32_t leader_epoch) {
  const ticket t = next_;
  ++open_;
  push(begin, end, leader_epoch);
  return t;
}

KAWAIT_DECL void offset_tracker::skip(std::int64_t end, std::int32_t leader_epoch) {
  if (end <= handed_out_) return;
  push(end, end, leader_epoch);
  advance();
}

KAWAIT_DECL void offset_tracker::push(std::int64_t begin, std::int64_t end, std::int32_t leader_epoch) {
  ++next_;
  begin = std::max(begin, handed_out_);
  end = std::max(begin, end);
  handed_out_ = end;
  if (!hole_) batches_.push_back(batch{begin, end, begin, leader_epoch});
}

KAWAIT_DECL void offset_tracker::done(ticket t, std::int64_t next_offset) {
  if (t < front_ || t - front_ >= batches_.size()) return;
  batch& b = batches_[static_cast<std::size_t>(t - front_)];
  b.done = std::clamp(next_offset, b.done, b.end);
  advance();
}

KAWAIT_DECL void offset_tracker::advance() {
  while (!batches_.empty()) {
    const batch& b = batches_.front();
    // The gap before a batch is passed together with the first of its own offsets: the mark is always something that was done.
    if (b.done != b.begin || b.begin == b.end) mark_ = offset_and_epoch(b.done, b.leader_epoch);
    if (b.done != b.end) return;
    batches_.pop_front();
    ++front_;
  }
}

KAWAIT_DECL void offset_tracker::released(ticket t) {
  if (!is_current(t)) return;
  if (open_ > 0) --open_;
  if (t < front_ || t - front_ >= batches_.size()) return;
  const auto index = static_cast<std::size_t>(t - front_);
  batch& b = batches_[index];
  if (b.done == b.end) return;
  hole_ = b.done;
  // What was done of it still counts, once all before it is done. What is behind can never be committed.
  b.end = b.done;
  batches_.resize(b.begin == b.end ? index : index + 1);
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
