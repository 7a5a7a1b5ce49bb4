#pragma once

// What an engine knows of a membership from its effects alone, and the checks of each effect against that.

#include "membership_model.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>

namespace membership_test {

struct tracked {
  std::uint64_t generation;
  enum { held, draining, gone } phase;
  time_point deadline;
};

class checked_engine {
 public:
  explicit checked_engine(member_options o) : member_(std::move(o)) {}
  virtual ~checked_engine() = default;

  std::string violation;
  std::size_t assigned = 0, revoked = 0, abandoned = 0, lost = 0, cuts = 0, joins = 0;

 protected:
  using request = std::variant<send_heartbeat, send_commit>;

  /// The connection is to be closed.
  virtual void cut() = 0;
  /// There are new questions_ of topic ids.
  virtual void asked() = 0;

  void fail(const std::string& what) {
    if (violation.empty()) violation = what + " (state " + std::string(member_.state_name()) + ")";
  }

  bool named_by_commit(const topic_id_partition& p) const {
    for (const auto& r : queue_) {
      const auto* c = std::get_if<send_commit>(&r);
      if (c == nullptr) continue;
      for (const auto& i : c->items) {
        if (i.lease.partition == p) return true;
      }
    }
    return false;
  }

  void perform(const send_heartbeat& h) {
    if (in_flight_) fail("two heartbeats in flight");
    joins += h.joins();
    const bool gives_all = h.member_epoch <= 0;
    for (const auto& r : queue_) {
      if (gives_all && std::holds_alternative<send_commit>(r)) fail("a join or leave while a commit is unanswered");
    }
    if (gives_all || h.owned) {
      if (!gives_all && !std::includes(h.owned->begin(), h.owned->end(), answered_.begin(), answered_.end()) &&
          member_.state_name() != "leaving")
        fail("it does not claim what is assigned to it");
      const partition_set said = h.owned ? partition_set(h.owned->begin(), h.owned->end()) : partition_set();
      for (const auto& p : said) {
        if (leases_.count(p) == 0 && answered_.count(p) == 0) fail("it claims " + show(p));
      }
      for (auto it = leases_.begin(); it != leases_.end();) {
        if (said.count(it->first) != 0) {
          ++it;
          continue;
        }
        if (it->second.phase != tracked::gone && !(h.leaves() && stalled_)) fail("it gives up " + show(it->first) + " undrained");
        if (named_by_commit(it->first)) fail("it gives up " + show(it->first) + " while a commit names it");
        it = it->second.phase == tracked::gone ? leases_.erase(it) : std::next(it);
      }
    }
    in_flight_ = true;
    queue_.push_back(h);
  }

  void perform(const assign_partitions& a) {
    stalled_ = false;  // it joined again; there may have been nothing to lose
    for (const auto& l : a.partitions) {
      ++assigned;
      if (l.generation <= last_generation_) fail("a generation came twice");
      last_generation_ = l.generation;
      if (const auto it = leases_.find(l.partition); it != leases_.end() && it->second.phase != tracked::gone)
        fail("assigned while held: " + show(l));
      leases_.insert_or_assign(l.partition, tracked{l.generation, tracked::held, never});
      if (answered_.count(l.partition) == 0) fail("assigned what the broker did not: " + show(l));
    }
    if (a.partitions.empty()) fail("assigned nothing");
    if (a.member_epoch <= 0) fail("assigned at no epoch");
  }

  void perform(const revoke_partitions& r) {
    if (r.deadline <= now_) fail("a deadline in the past");
    for (const auto& l : r.partitions) {
      ++revoked;
      auto* t = find(l);
      if (t == nullptr || t->phase != tracked::held) return fail("revoked what is not held: " + show(l));
      *t = tracked{l.generation, tracked::draining, r.deadline};
    }
  }

  void perform(const abandon_partitions& a) {
    for (const auto& l : a.partitions) {
      ++abandoned;
      auto* t = find(l);
      if (t == nullptr || t->phase != tracked::draining) return fail("abandoned what does not drain: " + show(l));
      if (now_ < t->deadline) fail("abandoned too early: " + show(l));
      t->phase = tracked::gone;
    }
  }

  void perform(const lose_partitions& lose) {
    for (const auto& l : lose.partitions) {
      ++lost;
      auto* t = find(l);
      if (t == nullptr || t->phase == tracked::gone) return fail("lost what is not held: " + show(l));
      t->phase = tracked::gone;
    }
    for (const auto& [p, t] : leases_) {
      if (t.phase != tracked::gone) fail("not lost with the others: " + show(p));
    }
    leases_.clear();
    stalled_ = false;
  }

  void perform(const cut_coordinator&) {
    ++cuts;
    bool any = false;
    for (const auto& r : queue_) any |= std::holds_alternative<send_commit>(r);
    if (!any) fail("cut without a commit under way");
    cut();
  }

  void perform(const resolve_topics& r) {
    questions_.insert(r.ids.begin(), r.ids.end());
    asked();
  }

  void perform(const left&) {
    for (const auto& [p, t] : leases_) {
      if (t.phase != tracked::gone) fail("left with " + show(p));
    }
    leases_.clear();
  }

  void perform(const find_coordinator&) {}
  void perform(const report&) {}
  void perform(const failed& f) { fail("failed: " + f.reason.to_string()); }
  void perform(const idle&) {}

  tracked* find(const leased& l) {
    const auto it = leases_.find(l.partition);
    return it != leases_.end() && it->second.generation == l.generation ? &it->second : nullptr;
  }

  void check_holds() {
    for (const auto& [p, t] : leases_) {
      const leased l(p, t.generation);
      const bool expected = t.phase != tracked::gone && !stalled_;
      if (member_.holds(l) != expected) fail("holds() is wrong about " + show(l));
      if (member_.lease_epoch(l).has_value() != expected) fail("lease_epoch() is wrong about " + show(l));
    }
  }

  membership member_;
  time_point now_{1000s};
  bool in_flight_ = false, stalled_ = false;
  std::map<topic_id_partition, tracked> leases_;
  std::uint64_t last_generation_ = 0;
  partition_set answered_;  // the newest assignment that the member was told
  std::set<uuid> questions_;
  std::deque<request> queue_;  // the coordinator's connection: served in order
};

}  // namespace membership_test
