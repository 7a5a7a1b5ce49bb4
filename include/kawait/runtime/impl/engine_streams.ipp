#pragma once

#include <kawait/runtime/engine.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>

namespace kawait::runtime {

namespace detail {

/// A partition's share of the buffer is at least one record batch of the usual size.
inline constexpr std::size_t smallest_quota = 16 << 10;

}  // namespace detail

// ---- The assignment.

KAWAIT_DECL stream_ptr engine::add_stream(const machine::leased& id, std::string topic) {
  auto stream = std::make_shared<partition_stream>(executor_, static_cast<stream_host&>(*this), id, std::move(topic));
  stream->require_done(options_.auto_commit && options_.group_id);
  streams_[id.partition] = stream;
  return stream;
}

KAWAIT_DECL std::vector<stream_ptr> engine::assignment() const {
  std::vector<stream_ptr> all;
  all.reserve(streams_.size());
  for (const auto& [id, stream] : streams_) all.push_back(stream);
  std::sort(all.begin(), all.end(), [](const stream_ptr& a, const stream_ptr& b) { return a->name() < b->name(); });
  return all;
}

KAWAIT_DECL stream_ptr engine::find(const topic_partition& name) const {
  stream_ptr going;
  for (const auto& [id, stream] : streams_) {
    if (id.partition != name.partition || stream->topic() != name.topic || stream->info()->stale.load()) continue;
    if (!stream->is_ended()) return stream;
    going = stream;
  }
  return going;
}

KAWAIT_DECL void engine::share_quotas() {
  const std::size_t share = options_.fetch_buffer_bytes / 2 / std::max<std::size_t>(1, streams_.size());
  for (const auto& [id, stream] : streams_) stream->set_quota(std::max(share, detail::smallest_quota));
}

/// After streams were added or removed.
KAWAIT_DECL void engine::on_assignment_changed() {
  if (is_over()) return;
  share_quotas();
  want_topics();
}

KAWAIT_DECL void engine::want_topics() {
  std::set<uuid> ids = unresolved_;
  for (const auto& [id, stream] : streams_) ids.insert(id.topic_id);
  metadata_.cluster().want_ids(std::vector<uuid>(ids.begin(), ids.end()));
  metadata_.wake();
}

KAWAIT_DECL void engine::on_assigned(const machine::assign_partitions& assigned) {
  std::vector<stream_ptr> now;
  for (const machine::leased& id : assigned.partitions) {
    std::string topic(metadata_.cluster().name_of(id.partition.topic_id).value_or("?"));
    auto stream = add_stream(id, std::move(topic));
    auto before = newest_retired(id.partition);
    if (!before) {
      now.push_back(std::move(stream));
    } else {
      tasks_.spawn(announce_after(std::move(before), std::move(stream)));
    }
  }
  on_assignment_changed();
  if (!now.empty()) announce(std::move(now));
}

// The partition came back while work of its earlier lease is still in hand: two handlers of one partition never run side by side.
KAWAIT_DECL asio::awaitable<void> engine::announce_after(stream_ptr predecessor, stream_ptr stream) {
  const net::time_point deadline = environment_.now() + machine::drain_time(options_.rebalance_time());
  while (!predecessor->work().is_drained() && !is_over() && !KAWAIT_MUTANT(runs_two_handlers)) {
    // A handler's return is awaited however long it takes; unreleased batches only until their leases are stale for good.
    if (mode_ == reading_mode::handlers) {
      co_await predecessor->work().changed().wait();
    } else {
      if (environment_.now() >= deadline) break;
      co_await predecessor->work().changed().wait_until(deadline);
    }
  }
  if (is_over() || stream->is_ended()) co_return;
  std::vector<stream_ptr> one(1, stream);
  announce(std::move(one));
}

KAWAIT_DECL void engine::announce(std::vector<stream_ptr> streams) {
  for (const auto& s : streams) s->is_announced = true;
  tell_assigned(streams, member_epoch());
  publish(assignment_change(assignment_change::kind::assigned, std::move(streams)));
}

KAWAIT_DECL void engine::publish(assignment_change change) {
  const bool assigned = change.what == assignment_change::kind::assigned;
  switch (mode_) {
    case reading_mode::handlers:
      if (assigned && listener_) {
        for (const auto& s : change.streams) listener_->on_assigned(s);
      }
      break;
    case reading_mode::batches:
      if (assigned) {
        for (const auto& s : change.streams) s->start();
      }
      break;
    case reading_mode::undecided:
      // Perhaps nobody ever asks: what went again before anybody did is not kept, nor told.
      if (!assigned) return drop_untold();
      [[fallthrough]];
    case reading_mode::events:
      changes_.push_back(std::move(change));
      changed_.notify_all();
  }
}

KAWAIT_DECL void engine::drop_untold() {
  for (assignment_change& c : changes_) std::erase_if(c.streams, [](const stream_ptr& s) { return s->is_ended(); });
  std::erase_if(changes_, [](const assignment_change& c) { return c.streams.empty(); });
}

// ---- Partitions that go.

KAWAIT_DECL void engine::end_stream(partition_stream& stream, end_reason why, const failure& error) {
  fetches_.remove(stream.id().partition);
  positions_.finder().remove(stream.id().partition);
  stream.end(why, error);
  fetches_.on_released();
}

KAWAIT_DECL void engine::give_up(partition_stream& stream) {
  stream.make_stale();
  stream.work().give_up();
  if (listener_) listener_->on_gone(stream);
}

// There are several where batches of each were kept for longer than the next was held back.
KAWAIT_DECL stream_ptr engine::newest_retired(const topic_id_partition& partition) const {
  stream_ptr newest;
  const auto [begin, end] = retired_.equal_range(partition);
  for (auto it = begin; it != end; ++it) {
    if (!newest || newest->id() < it->second->id()) newest = it->second;
  }
  return newest;
}

KAWAIT_DECL void engine::retire(const stream_ptr& stream) {
  const auto it = streams_.find(stream->id().partition);
  if (it == streams_.end() || it->second != stream) return;
  streams_.erase(it);
  stream->make_stale();
  if (!stream->work().is_drained()) {
    retired_.emplace(stream->id().partition, stream);
    tasks_.spawn(forget_retired(stream));
  }
}

KAWAIT_DECL asio::awaitable<void> engine::forget_retired(stream_ptr stream) {
  while (!stream->work().is_drained() && !is_over()) co_await stream->work().changed().wait();
  on_application_moved();
  const auto [begin, end] = retired_.equal_range(stream->id().partition);
  const auto it = std::find_if(begin, end, [&](const auto& entry) { return entry.second == stream; });
  if (it != end) retired_.erase(it);
}

KAWAIT_DECL void engine::on_revoked(const machine::revoke_partitions& revoked) {
  auto* const now_closing = std::get_if<closing>(&state_);
  std::vector<stream_ptr> streams, known;
  for (const machine::leased& id : revoked.partitions) {
    auto stream = find_stream(id.partition);
    if (!stream || stream->id() != id) {
      group_->membership().on_drained(id);
      continue;
    }
    end_stream(*stream, now_closing ? end_reason::closed : end_reason::revoked, {});
    if (stream->is_announced) known.push_back(stream);
    streams.push_back(std::move(stream));
  }
  net::time_point deadline = revoked.deadline;
  if (now_closing) deadline = std::min(deadline, now_closing->drain_deadline);
  if (departure_) deadline = std::min(deadline, departure_->drain_deadline);
  const auto revocation = std::make_shared<revocation_state>(executor_, std::move(streams), environment_.now(), deadline);
  tell_revoked(known, deadline);
  if (!known.empty()) {
    assignment_change change(assignment_change::kind::revoked, std::move(known));
    change.revocation = revocation;
    publish(std::move(change));
  } else {
    revocation->start();  // nobody knows of it who could
  }
  std::erase_if(revocations_, [](const std::weak_ptr<revocation_state>& r) { return r.expired(); });
  revocations_.push_back(revocation);
  tasks_.spawn(drain(revocation));
}

// Retired at once, not when its drain comes to it: the next effect may be that it is ours again.
KAWAIT_DECL void engine::on_abandoned(const machine::abandon_partitions& abandoned) {
  for (const machine::leased& id : abandoned.partitions) {
    const auto stream = find_stream(id.partition);
    if (!stream || stream->id() != id) continue;
    // Now: its drain may find that the group has gone on without us meanwhile, and take that for the reason.
    if (!stream->work().is_drained()) note_drain_failure(failure(errc::revocation_deadline, stream->name().to_string()));
    give_up(*stream);
    retire(stream);
  }
}

// Work is in hand that nobody can commit any more, or was done and is not committed; or only transactions' markers were passed since.
KAWAIT_DECL bool engine::is_at_stake(partition_stream& stream) const {
  // A handler that waits for its next batch has nothing in hand.
  const std::size_t idle = mode_ == reading_mode::handlers ? std::min<std::size_t>(stream.waiting, 1) : 0;
  if (stream.work().inside() > idle) return true;
  if (!options_.auto_commit) return false;
  const auto done = stream.tracker().committable();
  const auto committed = stream.tracker().committed();
  return done && (!committed || committed->offset < done->offset);
}

KAWAIT_DECL void engine::on_lost(const machine::lose_partitions& lost) {
  releases_->drain();  // what was released a moment ago is not in hand
  std::vector<stream_ptr> known;
  for (const machine::leased& id : lost.partitions) {
    const auto stream = find_stream(id.partition);
    if (!stream || stream->id() != id) continue;
    if (stream->is_announced) known.push_back(stream);
    if (KAWAIT_MUTANT(reads_on_when_lost)) continue;
    if (is_at_stake(*stream)) note_drain_failure(failure(errc::lost, stream->name().to_string()));
    end_stream(*stream, end_reason::lost, {});
    give_up(*stream);
    retire(stream);
  }
  start_lost_drains();
  on_assignment_changed();
  tell_lost(known, lost.reason);
  if (known.empty()) return;
  assignment_change change(assignment_change::kind::lost, std::move(known));
  change.reason = lost.reason;
  publish(std::move(change));
}

// What nobody has claimed yet and was lost meanwhile has nothing to wait for. Told drained at half its deadline, it would be when the
// partition may be ours again.
KAWAIT_DECL void engine::start_lost_drains() {
  for (const auto& weak : revocations_) {
    const auto revocation = weak.lock();
    if (!revocation) continue;
    const auto& streams = revocation->streams();
    const bool is_lost = std::all_of(streams.begin(), streams.end(), [](const stream_ptr& s) { return s->work().is_given_up(); });
    if (is_lost) revocation->start();
  }
}

// Who closes waits for no claim any more: the leave comes behind all drains.
KAWAIT_DECL void engine::start_drains() {
  for (const auto& weak : std::exchange(revocations_, {})) {
    if (const auto revocation = weak.lock()) revocation->start();
  }
}

KAWAIT_DECL asio::awaitable<void> engine::drain(std::shared_ptr<revocation_state> revocation) {
  const bool commits = options_.auto_commit && options_.group_id;
  if (commits) tasks_.spawn(commit_at_once(revocation));  // what is done is, whatever becomes of the rest
  const net::time_point half = revocation->half_deadline();
  while (mode_ == reading_mode::events && std::holds_alternative<running>(state_) && !revocation->is_started()) {
    if (environment_.now() >= half) break;
    co_await revocation->changed().wait_until(half);
  }
  for (const auto& stream : revocation->streams()) tasks_.spawn(drain_partition(revocation, stream));
}

KAWAIT_DECL asio::awaitable<void> engine::commit_at_once(std::shared_ptr<revocation_state> revocation) {
  co_await commit_done(revocation->streams(), revocation->deadline());
}

// One partition's way out: its work ends, what was done meanwhile is committed, and only then is it given back. At the deadline, or when
// the group has gone on without us, it is given back with the work still in hand.
KAWAIT_DECL asio::awaitable<void> engine::drain_partition(std::shared_ptr<revocation_state> revocation, stream_ptr stream) {
  co_await stream->work().async_wait();
  failure why;
  const bool commits = options_.auto_commit && options_.group_id && !KAWAIT_MUTANT(gives_up_without_commit);
  const bool is_in_time = stream->work().is_drained() && !stream->work().is_given_up();
  if (is_in_time && commits) {
    std::vector<stream_ptr> one(1, stream);
    auto outcomes = co_await commit_all_done(std::move(one), revocation->deadline());
    for (const auto& outcome : outcomes) {
      if (outcome.result) why = failure(errc::commit_failed, stream->name().to_string() + ": " + outcome.result.to_string());
    }
  }
  if (const auto* const end = std::get_if<over>(&state_)) {
    why = end->why ? end->why : failure(errc::closed);
  } else if (stream->work().is_given_up()) {
    if (group_ && group_->membership().lost(stream->id())) {
      why = failure(errc::lost, stream->name().to_string());
    } else if (!is_in_time) {  // else its commit says how it went
      why = failure(errc::revocation_deadline, stream->name().to_string());
    }
  }
  if (group_) {
    group_->membership().on_drained(stream->id());
    group_->wake();
  }
  retire(stream);
  tell_drained(*revocation, *stream, why);
  if (revocation->on_partition_done(why)) on_assignment_changed();
  // Of a loss who closes heard when it happened, if it was after he began: a drain that nobody claimed finds it much later.
  if (why.code != errc::lost) note_drain_failure(why);
}

}  // namespace kawait::runtime
