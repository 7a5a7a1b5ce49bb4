#pragma once

#include <kawait/machine/membership.hpp>

#include <algorithm>

namespace kawait::machine {

KAWAIT_DECL membership::membership(member_options options) : options_(std::move(options)), backoff_(options_.retry) {
  options_.rebalance_timeout = std::clamp(options_.rebalance_timeout, milliseconds(1), milliseconds(INT32_MAX));
}

KAWAIT_DECL void membership::subscribe(std::vector<std::string> names, std::optional<std::string> regex) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  // Null says "unchanged": a regex once told is cleared by an empty one, in every full heartbeat from then on.
  if (regex && regex->empty()) regex.reset();
  if (!regex && regex_) regex.emplace();
  const bool other_names = names != names_;
  const bool other_regex = regex != regex_;
  names_ = std::move(names);
  regex_ = std::move(regex);
  names_not_before_ = time_point::min();

  if (auto* l = std::get_if<leaving>(&state_)) {
    l->rejoin = true;
  } else if (auto* d = std::get_if<departing>(&state_)) {
    d->rejoin = true;
  } else if (in<unsubscribed>() || in<fatal>()) {
    state_ = joining{};
  } else if (is_member() || (in<joining>() && in_flight_)) {  // the join under way says what was wanted before
    unsaid_.names |= other_names;
    unsaid_.regex |= other_regex;
  }
  // Whoever will join says all of it then.
}

KAWAIT_DECL void membership::leave(leave_kind kind) {
  const auto epoch = kind == leave_kind::leave_group ? leave_epoch : default_leave_epoch();
  const bool silent = kind == leave_kind::remain_in_group && !options_.instance_id;
  const std::optional<std::int32_t> last_word = silent ? std::optional<std::int32_t>() : epoch;
  if (auto* l = std::get_if<leaving>(&state_)) {
    l->rejoin = false;
    if (kind != leave_kind::default_) l->epoch = last_word;  // who unsubscribed, and now closes otherwise
    return;
  }
  if (auto* d = std::get_if<departing>(&state_)) {
    d->rejoin = false;
    return;
  }
  const auto* j = std::get_if<joining>(&state_);
  target_.clear();
  unresolved_.clear();
  if (in_flight_ && in_flight_->epoch < join_epoch) {
    state_ = departing{};  // on its way already: fenced, or after a poll time-out
  } else if (in<unsubscribed>() || in<stalled>() || in<fatal>() || (j && !j->asked)) {
    finish_leaving(false);
  } else {
    if (in<stalling>() || in<resigning>()) lose_all(poll_timeout());
    state_ = leaving{last_word, false};
  }
}

KAWAIT_DECL void membership::on_poll_timeout() {
  if (is_member()) state_ = stalling{};  // elsewhere there is nothing to give up
}

KAWAIT_DECL void membership::on_application_moved() {
  if (in<stalling>()) state_ = resigning{};
  if (in<stalled>()) state_ = joining{};
}

KAWAIT_DECL void membership::on_resolved(const uuid& topic_id) {
  resolved_.insert(topic_id);
  unresolved_.erase(topic_id);
  if ((in<stable>() || in<awaiting>()) && has_additions()) state_ = reconciling{false};
}

KAWAIT_DECL void membership::on_drained(const leased& l) {
  const auto it = leases_.find(l.partition);
  if (it == leases_.end() || it->second.generation != l.generation) return;
  if (const auto* d = std::get_if<draining>(&it->second.phase)) it->second.phase = released{d->deadline};
}

KAWAIT_DECL void membership::on_commit_sent(std::span<const leased> leases) {
  for (const auto& l : leases) ++unanswered_[l.partition];
}

KAWAIT_DECL void membership::on_commit_answered(std::span<const leased> leases) {
  for (const auto& l : leases) {
    const auto it = unanswered_.find(l.partition);
    if (it != unanswered_.end() && --it->second == 0) unanswered_.erase(it);
  }
  if (unanswered_.empty()) cut_at_.reset();
}

KAWAIT_DECL bool membership::is_member() const noexcept { return in<awaiting>() || in<stable>() || in<reconciling>(); }

KAWAIT_DECL const membership::lease* membership::find(const leased& l) const {
  const auto it = leases_.find(l.partition);
  return it != leases_.end() && it->second.generation == l.generation ? &it->second : nullptr;
}

KAWAIT_DECL bool membership::holds(const leased& l) const {
  if (!is_member() && !in<leaving>()) return false;  // after a poll time-out all is as good as lost
  const auto* found = find(l);
  return found != nullptr && !found->is_released();
}

KAWAIT_DECL bool membership::lost(const leased& l) const { return l.generation <= lost_through_; }

KAWAIT_DECL std::optional<std::int32_t> membership::lease_epoch(const leased& l) const {
  if (!holds(l)) return std::nullopt;
  return find(l)->epoch;
}

KAWAIT_DECL bool membership::has_only_to_leave() const noexcept {
  return in<departing>() || (in<leaving>() && !any_draining() && unanswered_.empty());
}

KAWAIT_DECL std::string_view membership::state_name() const noexcept {
  static constexpr std::string_view names[] = {"unsubscribed", "joining",   "awaiting", "stable",  "reconciling", "leaving",
                                               "departing",    "resigning", "stalling", "stalled", "fatal"};
  return names[state_.index()];
}

}  // namespace kawait::machine
