#pragma once

#include <kawait/machine/membership.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>

namespace kawait::machine {

KAWAIT_DECL membership::effect membership::poll(time_point now) {
  if (!outbox_.empty()) {
    effect next = std::move(outbox_.front());
    outbox_.pop_front();
    return next;
  }
  if (in<joining>()) return poll_joining(now);
  if (in<resigning>() || in<stalling>()) return poll_resigning(now);
  if (in<leaving>()) return poll_leaving(now);
  if (!is_member()) return idle{};
  if (auto question = resolve(now)) return std::move(*question);
  if (in<reconciling>()) return poll_reconciling(now);
  return keep_alive(now, never);
}

KAWAIT_DECL membership::effect membership::poll_joining(time_point now) {
  if (in_flight_) return idle{};
  if (const auto from = std::max(not_before_, names_not_before_); now < from) return idle{from};
  // A join owns nothing. Were a commit of the lost ownership still under way, and the broker gave the same partitions back with
  // the same epoch, as 4.2 does, the commit would count as one of the new ownership.
  if (auto wait = wait_for_commits(cut_if_unanswered(now + interval_), now); wait && !KAWAIT_MUTANT(joins_during_commit)) {
    return std::move(*wait);
  }
  std::get<joining>(state_).asked = true;
  return send(join_epoch, contents::all(), now);
}

KAWAIT_DECL membership::effect membership::poll_resigning(time_point now) {
  // What was revoked before a poll time-out keeps its deadline, whatever the leave waits for: the broker expels us then, and another
  // begins with it.
  if (auto gone = abandon(now)) return std::move(*gone);
  const time_point deadline = next_deadline();
  // After a poll time-out it goes at once, whatever went wrong before: it is best effort, and the others wait for the partitions.
  if (in_flight_) return idle{deadline};
  if (in<resigning>() && now < not_before_) return idle{std::min(not_before_, deadline)};
  if (auto wait = wait_for_commits(cut_if_unanswered(std::min(now + interval_, deadline)), now)) {
    if (auto* const i = std::get_if<idle>(&*wait)) i->until = std::min(i->until, deadline);
    return std::move(*wait);
  }
  effect leave = send(default_leave_epoch(), contents(), now);
  lose_all(poll_timeout());  // the leave first; who was fenced has lost all already
  if (in<stalling>()) state_ = stalled{};
  return leave;
}

KAWAIT_DECL membership::effect membership::poll_leaving(time_point now) {
  const leaving l = std::get<leaving>(state_);
  // The leave says what was given up, so that all of it waits for the last. Who keeps one beyond its time is expelled, and may commit
  // nothing of the others: so the first one's is everyone's. Also that of what is released, and was not acknowledged yet; where it has
  // passed, half of what the broker grants beyond it.
  time_point deadline = std::min(now + drain_time(options_.rebalance_timeout), next_deadline());
  for (const auto& [partition, each] : leases_) {
    const auto* const r = std::get_if<released>(&each.phase);
    if (r == nullptr) continue;
    deadline = std::min(deadline, now < r->deadline ? r->deadline : std::max(now, r->deadline + options_.rebalance_timeout / 20));
  }
  if (auto revoked = drain([](const topic_id_partition&) { return true; }, deadline); !revoked.empty())
    return revoke_partitions(std::move(revoked), deadline);
  if (auto gone = abandon(now)) return std::move(*gone);

  // Of what is to be given up at several times the first counts: the broker expels who keeps it longer, and takes no commit of his.
  auto cut_at = first_blocked_deadline();
  const bool is_drained = !any_draining();
  if (is_drained) {
    if (!l.epoch || KAWAIT_MUTANT(leaves_without_a_word)) {
      finish_leaving(l.rejoin);
      return poll(now);
    }
    if (!cut_at) cut_at = cut_if_unanswered(leases_.empty() ? now + interval_ : last_deadline());  // of partitions that are gone already
  }
  time_point wake = never;
  if (auto wait = wait_for_commits(cut_at, now)) {
    if (std::holds_alternative<cut_coordinator>(*wait)) return std::move(*wait);
    wake = std::get<idle>(*wait).until;
  } else if (is_drained) {
    // Behind a heartbeat that is under way it would be served no sooner: a broker serves a connection's requests one by one.
    if (in_flight_) return idle{};
    state_ = departing{l.rejoin};
    return send(*l.epoch, contents(), now);
  }
  if (epoch_ == 0) return idle{wake};  // no member yet: the join was not answered
  return keep_alive(now, wake);
}

KAWAIT_DECL membership::effect membership::poll_reconciling(time_point now) {
  if (!std::get<reconciling>(state_).acknowledge) {
    assign_additions();
    state_ = stable{};
    return poll(now);
  }
  if (auto gone = abandon(now)) return std::move(*gone);
  if (any_draining() && KAWAIT_MUTANT(silent_while_draining)) return idle{next_deadline()};
  // Also while others drain, whose time may end much later: the broker expels who keeps the first too long.
  if (auto wait = wait_for_commits(first_blocked_deadline(), now)) {
    if (const auto* i = std::get_if<idle>(&*wait)) return keep_alive(now, i->until);
    return std::move(*wait);
  }
  if (any_draining()) return keep_alive(now, never);
  if (in_flight_) return keep_alive(now, never);
  if (now < not_before_) return keep_alive(now, not_before_);

  // Acknowledge, then take what was added: the next owners wait for this heartbeat, and nobody waits for ours.
  std::erase_if(leases_, [](const auto& l) { return l.second.is_released(); });
  assign_additions();  // behind the acknowledgement: the outbox is empty here
  unsaid_.owned = true;
  state_ = stable{};
  return send(epoch_, sayable(now), now);
}

KAWAIT_DECL membership::effect membership::keep_alive(time_point now, time_point wake) {
  wake = std::min({wake, next_deadline(), next_question()});
  if (in_flight_) return idle{wake};
  const contents say = sayable(now);
  const time_point from = say.any() ? not_before_ : std::max(not_before_, due_);
  if (now >= from && !say.any() && now < says_all_until_) {
    unsaid_ = contents::all();
    return send(epoch_, sayable(now), now);
  }
  if (now >= from) return send(epoch_, say, now);
  if (now < names_not_before_ && unsaid_.names) wake = std::min(wake, names_not_before_);
  return idle{std::min(wake, from)};
}

KAWAIT_DECL membership::effect membership::send(std::int32_t epoch, contents said, time_point now) {
  send_heartbeat h(options_.group_id, options_.member_id, epoch);
  // Always: a join without it is silently one of a dynamic member.
  h.instance_id = options_.instance_id;
  if (epoch == join_epoch) h.rack_id = options_.rack_id;
  if (said.settings) {
    h.rebalance_timeout_ms = static_cast<std::int32_t>(options_.rebalance_timeout.count());
    h.assignor = options_.remote_assignor;
  }
  if (said.names) h.topic_names = names_;
  if (said.regex) h.topic_regex = said.names ? regex_ : regex_.value_or(std::string());
  if (said.owned) h.owned = owned();
  unsaid_.settings &= !said.settings;
  unsaid_.names &= !said.names;
  unsaid_.regex &= !said.regex;
  unsaid_.owned &= !said.owned;
  in_flight_ = heartbeat{now, epoch, said, h.owned};
  return h;
}

KAWAIT_DECL membership::contents membership::sayable(time_point now) const noexcept {
  contents c = unsaid_;
  if (now >= names_not_before_) return c;
  c.names = false;
  // Only an answer to a full heartbeat repeats an assignment that was lost with an earlier answer, and without names it is full
  // by a regex, be it an empty one.
  c.regex |= c.settings && c.owned;
  return c;
}

KAWAIT_DECL std::optional<membership::effect> membership::wait_for_commits(std::optional<time_point> cut_at, time_point now) {
  if (!cut_at) {
    cut_at_.reset();
    return std::nullopt;
  }
  if (!cut_at_) cut_at_ = cut_at;
  if (*cut_at_ != never) cut_at_ = std::min(*cut_at_, *cut_at);
  if (now < *cut_at_) return idle{*cut_at_};
  cut_at_ = never;  // once: the end of the connection answers the commits
  return cut_coordinator{};
}

KAWAIT_DECL std::optional<time_point> membership::cut_if_unanswered(time_point cut_at) const {
  return unanswered_.empty() ? std::nullopt : std::optional(cut_at);
}

KAWAIT_DECL std::optional<time_point> membership::first_blocked_deadline() const {
  std::optional<time_point> first;
  for (const auto& [partition, l] : leases_) {
    const auto* const r = std::get_if<released>(&l.phase);
    if (r == nullptr || unanswered_.count(partition) == 0 || KAWAIT_MUTANT(acknowledges_during_commit)) continue;
    first = std::min(first.value_or(never), r->deadline);
  }
  return first;
}

KAWAIT_DECL time_point membership::last_deadline() const {
  time_point last = time_point::min();
  for (const auto& [partition, l] : leases_) last = std::max(last, std::get<released>(l.phase).deadline);
  return last;
}

KAWAIT_DECL std::optional<membership::effect> membership::abandon(time_point now) {
  std::vector<leased> late;
  for (auto& [partition, l] : leases_) {
    const auto* d = std::get_if<draining>(&l.phase);
    if (d == nullptr || now < d->deadline || KAWAIT_MUTANT(never_gives_up_at_deadline)) continue;
    late.emplace_back(partition, l.generation);
    l.phase = released{time_point(d->deadline)};
  }
  if (late.empty()) return std::nullopt;
  return abandon_partitions(std::move(late));
}

KAWAIT_DECL std::optional<membership::effect> membership::resolve(time_point now) {
  std::vector<uuid> ids;
  for (auto& [id, ask_at] : unresolved_) {
    if (now < ask_at) continue;
    ids.push_back(id);
    ask_at = now + interval_;
  }
  if (ids.empty()) return std::nullopt;
  return resolve_topics(std::move(ids));
}

KAWAIT_DECL void membership::assign_additions() {
  std::vector<leased> added;
  for (const auto& p : target_) {
    if (resolved_.count(p.topic_id) == 0 || leases_.count(p) != 0) continue;
    leases_.emplace(p, lease{++last_generation_, epoch_, held{}});
    added.emplace_back(p, last_generation_);
  }
  if (!added.empty()) outbox_.push_back(assign_partitions(std::move(added), epoch_));
}

KAWAIT_DECL bool membership::has_additions() const {
  return std::any_of(target_.begin(), target_.end(),
                     [&](const topic_id_partition& p) { return resolved_.count(p.topic_id) != 0 && leases_.count(p) == 0; });
}

KAWAIT_DECL membership::partition_list membership::owned() const {
  // Not only what was begun: also what was assigned and is not begun yet, because its topic is unknown or others drain first.
  // Otherwise: the broker assigns p; we say that we own nothing of p, and begin it a moment later; meanwhile the target changes,
  // and the broker, who need not ask for what we do not own, gives p away at once; two members work on p, and both may commit.
  partition_list list;
  list.reserve(leases_.size() + target_.size());
  for (const auto& l : leases_) list.push_back(l.first);
  for (const auto& p : target_) {
    if (leases_.count(p) == 0) list.push_back(p);
  }
  std::sort(list.begin(), list.end());
  if (KAWAIT_MUTANT(forgets_what_it_owns) && !list.empty()) list.pop_back();
  return list;
}

KAWAIT_DECL bool membership::any_draining() const noexcept {
  return std::any_of(leases_.begin(), leases_.end(), [](const auto& l) { return l.second.is_draining(); });
}

KAWAIT_DECL time_point membership::next_deadline() const noexcept {
  time_point first = never;
  if (in<stable>()) return first;
  for (const auto& [partition, l] : leases_) {
    if (const auto* d = std::get_if<draining>(&l.phase)) first = std::min(first, d->deadline);
  }
  return first;
}

KAWAIT_DECL time_point membership::next_question() const noexcept {
  time_point first = never;
  for (const auto& [id, ask_at] : unresolved_) first = std::min(first, ask_at);
  return first;
}

}  // namespace kawait::machine
