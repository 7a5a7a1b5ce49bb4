#pragma once

#include <kawait/machine/commit.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>
#include <map>
#include <string_view>

namespace kawait::machine {

KAWAIT_DECL std::vector<leased> send_commit::leases() const {
  std::vector<leased> list;
  list.reserve(items.size());
  for (const auto& i : items) list.push_back(i.lease);
  return list;
}

KAWAIT_DECL protocol::offset_commit_request send_commit::request() const {
  using request_type = protocol::offset_commit_request;
  request_type r;
  r.group_id = group_id;
  r.member_id = member_id;
  r.group_instance_id = instance_id;
  r.generation_id_or_member_epoch = member_epoch;
  // A topic that was deleted and created again is two topics of one name.
  std::map<std::pair<std::string_view, uuid>, std::size_t> places;
  for (const auto& i : items) {
    const auto& id = i.lease.partition.topic_id;
    const auto [place, is_new] = places.try_emplace({i.topic, version >= 10 ? id : uuid()}, r.topics.size());
    if (is_new) {
      r.topics.emplace_back();
      r.topics.back().name = i.topic;
      r.topics.back().topic_id = id;
    }
    request_type::partition p;
    p.partition_index = i.lease.partition.partition;
    p.committed_offset = i.offset.offset;
    p.committed_leader_epoch = i.offset.leader_epoch;
    p.committed_metadata = i.metadata;
    r.topics[place->second].partitions.push_back(std::move(p));
  }
  return r;
}

KAWAIT_DECL commit_round::commit_round(std::string group_id, std::vector<commit_item> items, const commit_rules& rules,
                                       const backoff_options& retry, time_point deadline)
    : group_id_(std::move(group_id)), rules_(rules), backoff_(retry), deadline_(deadline), state_(ready{time_point::min()}) {
  entries_.reserve(items.size());
  for (auto& i : items) entries_.push_back(entry{std::move(i), pending()});
}

KAWAIT_DECL commit_round::effect commit_round::poll(time_point now, const membership& member) { return step(now, &member); }

KAWAIT_DECL commit_round::effect commit_round::poll(time_point now) { return step(now, nullptr); }

KAWAIT_DECL commit_round::effect commit_round::step(time_point now, const membership* member) {
  if (std::holds_alternative<done>(state_)) return idle{};
  if (look_up_) {
    look_up_ = false;
    return find_coordinator{};
  }
  if (std::holds_alternative<in_flight>(state_)) {
    if (now >= deadline_) return finish();
    return idle{deadline_};
  }
  // At every send, repeats included: what was given up meanwhile has, or will have, another owner.
  if (member != nullptr) {
    drop_not_held(*member);
    revive_stale(*member);
  }
  if (is_decided() || now >= deadline_) return finish();
  if (const auto from = std::get<ready>(state_).from; now < from) return idle{std::min(from, deadline_)};
  auto chosen = choose();
  if (chosen.empty()) return idle{deadline_};  // until a heartbeat was answered
  return send(std::move(chosen), member);
}

KAWAIT_DECL void commit_round::drop_not_held(const membership& member) {
  for (auto& e : entries_) {
    if (std::holds_alternative<failure>(e.state) || member.holds(e.item.lease) || KAWAIT_MUTANT(commits_what_is_not_held)) continue;
    if (std::holds_alternative<stale>(e.state)) dropped_ = true;
    e.state = failure(member.lost(e.item.lease) ? errc::lost : errc::not_assigned);
  }
}

KAWAIT_DECL bool commit_round::is_unknown_topic(const entry& e) noexcept {
  const auto* p = std::get_if<pending>(&e.state);
  return p != nullptr && (p->last.code == kafka_error::unknown_topic_id || p->last.code == kafka_error::unknown_topic_or_partition);
}

KAWAIT_DECL void commit_round::refuse_replaced(const cluster& metadata) {
  // The topic is deleted and made anew while work on the old one is in hand; the work is done, and its offset committed by name; the
  // member is assigned the new topic and begins at that offset: what is below is never read.
  //
  // By id nothing can go astray. But a coordinator that has not heard of the id may yet hear of it, or never again; to repeat the commit
  // until the deadline, which is minutes away at a revocation, would hold up the whole reconciliation for a topic that is gone.
  if (std::holds_alternative<in_flight>(state_)) return;
  for (auto& e : entries_) {
    const uuid& id = e.item.lease.partition.topic_id;
    if (std::holds_alternative<failure>(e.state) || id.is_zero()) continue;
    if (rules_.version >= 10 && !is_unknown_topic(e)) continue;
    // Where the brokers no longer know the id, the name stands for nothing, or for what has not been heard of yet.
    if (metadata.id_of(e.item.topic) == id) continue;
    e.state = failure(kafka_error::unknown_topic_id, "the topic was deleted, and its name may stand for another");
  }
}

KAWAIT_DECL bool commit_round::doubts_topics() const noexcept {
  return std::any_of(entries_.begin(), entries_.end(), [](const entry& e) { return is_unknown_topic(e); });
}

KAWAIT_DECL void commit_round::revive_stale(const membership& member) {
  for (auto& e : entries_) {
    auto* s = std::get_if<stale>(&e.state);
    if (s == nullptr) continue;
    const bool moved = member.member_epoch() != s->member_epoch;
    if (!s->answered) s->answered = member.heartbeats_answered();
    if (!moved && *s->answered == member.heartbeats_answered()) continue;
    // A broker that knows lease epochs would have taken this one: no epoch moved, and a heartbeat answered since then confirms
    // that each partition of the request is still ours. So it wants the current epoch.
    const bool sound = !moved && s->stamp < s->member_epoch && (s->alone || !dropped_);
    if (rules_.stamp == stamp_rule::unknown && sound) rules_.stamp = stamp_rule::current_epoch;
    if (rules_.stamp != stamp_rule::current_epoch) one_by_one_ = true;
    e.state = pending{failure(kafka_error::stale_member_epoch)};
  }
}

KAWAIT_DECL std::vector<std::size_t> commit_round::choose() {
  std::vector<std::size_t> chosen;
  const bool alone = one_by_one_ && rules_.stamp != stamp_rule::current_epoch;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::size_t at = alone ? (next_ + i) % entries_.size() : i;
    if (!std::holds_alternative<pending>(entries_[at].state)) continue;
    chosen.push_back(at);
    if (!alone) continue;
    next_ = at + 1;
    break;
  }
  return chosen;
}

KAWAIT_DECL std::int32_t commit_round::stamp_for(const std::vector<std::size_t>& chosen, const membership& member) const {
  if (rules_.stamp == stamp_rule::current_epoch || KAWAIT_MUTANT(commits_with_newest_epoch)) return member.member_epoch();
  std::int32_t highest = 0;
  for (const auto i : chosen) highest = std::max(highest, member.lease_epoch(entries_[i].item.lease).value_or(0));
  return highest;
}

KAWAIT_DECL commit_round::effect commit_round::send(std::vector<std::size_t> chosen, const membership* member) {
  send_commit c;
  c.group_id = group_id_;
  std::int32_t member_epoch = -1;
  if (member != nullptr) {
    c.member_id = member->member_id();
    c.instance_id = member->instance_id();
    c.member_epoch = stamp_for(chosen, *member);
    member_epoch = member->member_epoch();
  }
  c.version = rules_.version >= 10 ? 10 : 9;
  for (const auto i : chosen) {
    const auto& item = entries_[i].item;
    if (item.lease.partition.topic_id.is_zero()) c.version = 9;
    c.items.push_back(item);
  }
  dropped_ = false;
  state_ = in_flight{std::move(chosen), c.version, c.member_epoch, member_epoch};
  return c;
}

KAWAIT_DECL void commit_round::on_response(const protocol::offset_commit_response& response, time_point now,
                                           std::uint64_t random) {
  auto* under_way = std::get_if<in_flight>(&state_);
  if (under_way == nullptr) return;
  const in_flight asked = std::move(*under_way);
  state_ = ready{now};

  struct key {
    std::string_view name;
    uuid id;
    std::int32_t partition;
    auto operator<=>(const key&) const = default;
  };
  const bool by_id = asked.version >= 10;
  std::map<key, std::int16_t> answers;
  for (const auto& t : response.topics) {
    for (const auto& p : t.partitions)
      answers.try_emplace(key{by_id ? std::string_view() : t.name, by_id ? t.topic_id : uuid(), p.partition_index}, p.error_code);
  }
  for (const auto i : asked.entries) {
    entry& e = entries_[i];
    const auto& p = e.item.lease.partition;
    const auto found = answers.find(key{by_id ? std::string_view() : e.item.topic, by_id ? p.topic_id : uuid(), p.partition});
    if (found == answers.end()) {
      e.state = failure(errc::malformed_response, "the broker's answer to OffsetCommit lacks a partition");
    } else if (found->second == 0) {
      e.state = failure();
    } else {
      on_error(e, static_cast<kafka_error>(found->second), asked, now, random);
    }
  }
}

KAWAIT_DECL void commit_round::on_error(entry& e, kafka_error error, const in_flight& asked, time_point now,
                                        std::uint64_t random) {
  auto& next = std::get<ready>(state_).from;
  if (KAWAIT_MUTANT(commits_once_only)) {
    e.state = failure(error);
    return;
  }
  e.state = pending{failure(error)};
  switch (error) {
    case kafka_error::not_coordinator:
    case kafka_error::coordinator_not_available:
    case kafka_error::request_timed_out:
      if (look_up_) return;  // one pause for the whole answer, however many of its partitions ask for one
      look_up_ = true;
      next = now + backoff_.next_unless_first(random);
      return;
    case kafka_error::stale_member_epoch:
      if (asked.member_epoch < 0) break;
      e.state = stale{asked.stamp, asked.member_epoch, asked.entries.size() == 1, std::nullopt};
      return;
    default:
      if (!is_retriable(error)) break;
      if (next == now) next = now + backoff_.next(random);
      return;
  }
  e.state = failure(error);
}

KAWAIT_DECL void commit_round::on_disconnected(time_point now, std::uint64_t random) {
  if (!std::holds_alternative<in_flight>(state_)) return;
  state_ = ready{now + backoff_.next(random)};
  look_up_ = true;
}

KAWAIT_DECL void commit_round::fail(const failure& why) {
  for (auto& e : entries_) {
    if (!std::holds_alternative<failure>(e.state)) e.state = why;
  }
  if (std::holds_alternative<in_flight>(state_)) state_ = ready{time_point::min()};
  look_up_ = false;
}

KAWAIT_DECL bool commit_round::is_decided() const noexcept {
  return std::all_of(entries_.begin(), entries_.end(), [](const entry& e) { return std::holds_alternative<failure>(e.state); });
}

KAWAIT_DECL commit_round::effect commit_round::finish() {
  std::vector<commit_outcome> outcomes;
  outcomes.reserve(entries_.size());
  for (const auto& e : entries_) {
    failure result(errc::request_timeout);
    if (const auto* known = std::get_if<failure>(&e.state)) result = *known;
    if (const auto* p = std::get_if<pending>(&e.state); p != nullptr && p->last) result = p->last;
    if (std::holds_alternative<stale>(e.state)) result = failure(kafka_error::stale_member_epoch);
    outcomes.emplace_back(e.item, std::move(result));
  }
  state_ = done{};
  return finished(std::move(outcomes));
}

}  // namespace kawait::machine
