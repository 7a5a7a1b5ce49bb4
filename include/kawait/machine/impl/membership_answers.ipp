#pragma once

#include <kawait/machine/membership.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>

namespace kawait::machine {

KAWAIT_DECL void membership::on_heartbeat(const response& r, time_point now, std::uint64_t random) {
  if (!in_flight_) return;
  const heartbeat asked = *std::exchange(in_flight_, std::nullopt);
  ++answered_;
  if (asked.epoch < join_epoch) return on_leave_answered(r, now, random);
  if (in<unsubscribed>() || in<stalled>() || in<fatal>()) return;         // left without a word, meanwhile
  if (in<joining>() && (!std::get<joining>(state_).asked || asked.epoch != join_epoch)) return;  // and it joins anew
  if (r.error_code != 0) return refuse(asked, r, now, random);
  if (r.member_epoch > 0) return accept(asked, r, now);
  // No member has such an epoch. What was asked for may have been done or not, as if the answer was lost.
  unsaid_ = contents::all();
  pause(now, random);
}

KAWAIT_DECL void membership::accept(const heartbeat& asked, const response& r, time_point now) {
  epoch_ = r.member_epoch;
  if (r.heartbeat_interval_ms > 0) interval_ = milliseconds(r.heartbeat_interval_ms);
  if (asked.epoch != join_epoch) backoff_.reset();  // a join alone proves little: one that is fenced right after it must not spin
  not_before_ = time_point::min();
  due_ = asked.sent + interval_;
  if (in<joining>()) state_ = awaiting{now};
  if (const auto* const a = std::get_if<awaiting>(&state_)) due_ = std::min(due_, now + patience(now - a->since));
  if (r.assignment && is_member()) adopt(asked, *r.assignment, now);
}

// A new member's partitions come once their owners gave them up, in answer to a heartbeat of its own. It asks when it has waited a
// quarter longer, which then is the most by which it comes late: 11 questions in the first second, 25 until the interval of 5 s is
// reached. And once more when an interval has passed: all owners were told by then, and those without work in hand are waiting for
// nobody.
KAWAIT_DECL duration membership::patience(duration waited) const {
  constexpr milliseconds least(50);
  const duration longer = std::clamp<duration>(waited / 4, least, std::max<duration>(interval_, least));
  const duration told = interval_ + least;
  return waited < told ? std::min(longer, told - waited) : longer;
}

KAWAIT_DECL void membership::set_target(const response::assigned& assignment, time_point now) {
  target_.clear();
  for (const auto& topic : assignment.topic_partitions) {
    if (topic.topic_id.is_zero()) continue;
    for (const auto p : topic.partitions) {
      if (p >= 0) target_.emplace(topic.topic_id, p);
    }
  }
  std::set<uuid> named;
  for (const auto& p : target_) named.insert(p.topic_id);
  std::erase_if(unresolved_, [&](const auto& u) { return named.count(u.first) == 0; });
  for (const auto& id : named) {
    if (resolved_.count(id) == 0) unresolved_.try_emplace(id, now);
  }
  for (const auto& l : leases_) named.insert(l.first.topic_id);
  std::erase_if(resolved_, [&](const uuid& id) { return named.count(id) == 0; });
}

KAWAIT_DECL void membership::adopt(const heartbeat& asked, const response::assigned& assignment, time_point now) {
  set_target(assignment, now);
  // The broker's clock of the rebalance time-out is already running.
  const time_point deadline = now + drain_time(options_.rebalance_timeout);
  auto revoked = drain([this](const topic_id_partition& p) { return target_.count(p) == 0; }, deadline);
  const bool giving_up = std::any_of(leases_.begin(), leases_.end(), [](const auto& l) { return !l.second.is_held(); });
  if (!revoked.empty()) outbox_.push_back(revoke_partitions(std::move(revoked), deadline));

  if (giving_up || has_additions()) {
    state_ = reconciling{true};
  } else if (asked.owned && *asked.owned == owned()) {
    // The heartbeat that was answered said all an acknowledgement would. (Another one could be answered alike, without end.)
    if (!target_.empty()) state_ = stable{};
  } else {
    state_ = reconciling{true};
  }
}

KAWAIT_DECL void membership::refuse(const heartbeat& asked, const response& r, time_point now, std::uint64_t random) {
  unsaid_ = contents::all();
  switch (const auto error = static_cast<kafka_error>(r.error_code)) {
    case kafka_error::not_coordinator:
    case kafka_error::coordinator_not_available:
      outbox_.push_back(find_coordinator{});
      return pause_if_repeated(now, random);
    case kafka_error::topic_authorization_failed:
      return on_topic_denied(asked, r, now);
    case kafka_error::unknown_member_id:
      return on_fenced(r, false, now, random);
    case kafka_error::fenced_member_epoch:
      if (KAWAIT_MUTANT(forgets_a_fence)) return pause(now, random);
      // Brokers before 4.2 refuse to let a member join whom they still know; a leave they never refuse.
      return on_fenced(r, true, now, random);
    case kafka_error::group_id_not_found:
      // The session ended and the group with it, while this process slept. At a join it means that the group cannot be upgraded.
      if (asked.epoch > join_epoch) return on_fenced(r, false, now, random);
      return fail(failure_of(r));
    case kafka_error::unreleased_instance_id:
      // Another member has our instance id, or we do: an earlier join of ours, whose answer was lost. A leave tells which.
      if (!in<joining>() || !options_.instance_id) return fail(failure_of(r));
      state_ = resigning{failure_of(r)};
      return pause_if_repeated(now, random);
    default:
      if (is_retriable(error) && !KAWAIT_MUTANT(ends_on_a_passing_error)) return pause(now, random);
      return fail(failure_of(r));
  }
}

KAWAIT_DECL void membership::on_leave_answered(const response& r, time_point now, std::uint64_t random) {
  if (const auto* d = std::get_if<departing>(&state_)) return finish_leaving(d->rejoin);
  auto* const resign = std::get_if<resigning>(&state_);
  if (!resign) return;  // after a poll time-out: best effort
  switch (const auto error = static_cast<kafka_error>(r.error_code)) {
    case kafka_error::none:
    case kafka_error::unknown_member_id:
    case kafka_error::fenced_member_epoch:
    case kafka_error::group_id_not_found:
      state_ = joining{};
      return;
    case kafka_error::fenced_instance_id:
      return fail(resign->unreleased ? *resign->unreleased : failure_of(r));
    case kafka_error::not_coordinator:
    case kafka_error::coordinator_not_available:
      outbox_.push_back(find_coordinator{});
      return pause_if_repeated(now, random);
    default:
      if (is_retriable(error)) return pause(now, random);
      return fail(failure_of(r));
  }
}

KAWAIT_DECL void membership::on_disconnected(time_point now, std::uint64_t random) {
  if (!in_flight_) return;
  in_flight_.reset();
  if (const auto* d = std::get_if<departing>(&state_)) return finish_leaving(d->rejoin);
  if (in<unsubscribed>() || in<fatal>()) return;
  unsaid_ = contents::all();
  says_all_until_ = now + 5 * interval_;
  outbox_.push_back(find_coordinator{});
  pause(now, random);
}

KAWAIT_DECL void membership::on_topic_denied(const heartbeat& asked, const response& r, time_point now) {
  outbox_.push_back(report(failure_of(r)));
  names_not_before_ = now + interval_;
  // The coordinator never saw this heartbeat, so the session is not refreshed: say at once what needs no permission. If it was
  // that which was refused, saying it again at once would only repeat itself.
  not_before_ = due_ = asked.said.names ? now : now + interval_;
}

KAWAIT_DECL void membership::on_fenced(const response& r, bool resign, time_point now, std::uint64_t random) {
  lose_all(failure_of(r));
  if (const auto* l = std::get_if<leaving>(&state_)) return finish_leaving(l->rejoin);
  if (in<stalling>()) {
    state_ = stalled{};
    return;
  }
  if (resign) {
    state_ = resigning{};
  } else {
    state_ = joining{};
  }
  pause_if_repeated(now, random);
}

KAWAIT_DECL void membership::fail(failure reason) {
  lose_all(reason);
  if (const auto* l = std::get_if<leaving>(&state_)) return finish_leaving(l->rejoin);
  outbox_.push_back(failed(std::move(reason)));
  state_ = fatal{};
}

KAWAIT_DECL void membership::lose_all(const failure& reason) {
  std::vector<leased> lost;
  for (const auto& [partition, l] : leases_) {
    if (!l.is_released()) lost.emplace_back(partition, l.generation);
  }
  if (!lost.empty()) outbox_.push_back(lose_partitions(std::move(lost), reason));
  leases_.clear();
  target_.clear();
  unresolved_.clear();
  lost_through_ = last_generation_;
  epoch_ = 0;
}

KAWAIT_DECL void membership::finish_leaving(bool rejoin) {
  leases_.clear();
  epoch_ = 0;
  not_before_ = names_not_before_ = time_point::min();
  backoff_.reset();
  cut_at_.reset();
  outbox_.push_back(left{});
  if (rejoin) {
    state_ = joining{};
  } else {
    state_ = unsubscribed{};
  }
}

KAWAIT_DECL void membership::pause(time_point now, std::uint64_t random) { not_before_ = due_ = now + backoff_.next(random); }

KAWAIT_DECL void membership::pause_if_repeated(time_point now, std::uint64_t random) {
  not_before_ = due_ = now + backoff_.next_unless_first(random);
}

KAWAIT_DECL failure membership::poll_timeout() const {
  return failure(errc::lost, "group '" + options_.group_id + "': nothing was read or done for max.poll.interval.ms");
}

KAWAIT_DECL failure membership::failure_of(const response& r) const {
  const auto error = static_cast<kafka_error>(r.error_code);
  std::string words = "group '" + options_.group_id + "'";
  if (r.error_message && !r.error_message->empty()) words.append(": ").append(r.error_message->substr(0, 1024));
  const auto help = [error]() -> std::string_view {
    switch (error) {
      case kafka_error::unsupported_version:
        return "the broker does not speak ConsumerGroupHeartbeat as it is needed: Kafka 4.0 or newer with its consumer group "
               "protocol enabled, or group.protocol=classic here";
      case kafka_error::unsupported_assignor:
        return "group.remote.assignor must be one of the broker's, or unset";
      case kafka_error::group_authorization_failed:
        return "the principal needs READ on the group";
      case kafka_error::topic_authorization_failed:
        return "the principal needs DESCRIBE and READ on every subscribed topic";
      case kafka_error::group_max_size_reached:
        return "the broker's group.consumer.max.size limits the members of a group";
      case kafka_error::invalid_regular_expression:
        return "the pattern must be one of RE2/J, and match whole topic names";
      case kafka_error::unreleased_instance_id:
      case kafka_error::fenced_instance_id:
        return "another member has this group.instance.id; after a crash it is free once the session has ended";
      case kafka_error::group_id_not_found:
        return "the group is a classic one that cannot be upgraded to group.protocol=consumer";
      default:
        return {};
    }
  }();
  if (!help.empty()) words.append(" (").append(help).append(")");
  return failure(error, std::move(words));
}

}  // namespace kawait::machine
