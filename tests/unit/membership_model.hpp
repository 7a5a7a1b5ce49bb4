#pragma once

// A small model of the broker's side of one member's group, for the randomized tests: enough of it to tell when a member does
// what it must not, or does not get what it should.

#include "membership_harness.hpp"

#include <kawait/machine/commit.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace membership_test {

using partition_set = std::set<topic_id_partition>;

struct chance {
  std::mt19937_64 engine;

  explicit chance(std::uint64_t seed) : engine(seed) {}
  std::uint64_t bits() { return engine(); }
  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(engine() % n); }
  bool percent(unsigned p) { return engine() % 100 < p; }
};

/// What the broker answered, owning.
struct heartbeat_answer {
  kafka_error error = kafka_error::none;
  std::int32_t epoch = 0;
  std::optional<partition_set> assignment;
};

class model_broker {
 public:
  bool refuses_known_joiners = false;  // 4.0 and 4.1
  bool knows_lease_epochs = false;     // 4.3
  bool is_static = false;
  bool topics_denied = false;
  std::string violation;

  const partition_set& assigned() const { return assigned_; }
  const partition_set& target() const { return target_; }
  bool knows() const { return known_; }
  std::int32_t epoch() const { return epoch_; }

  void retarget(partition_set t) {
    target_ = std::move(t);
    ++group_epoch_;
  }
  /// Partitions that other members have not given up yet.
  void set_busy(partition_set b) {
    busy_ = std::move(b);
    for (const auto& p : assigned_) busy_.erase(p);
    for (const auto& p : revoking_) busy_.erase(p);
  }
  /// The session ended, or the rebalance time-out.
  void expire() { forget(); }
  /// Fences without forgetting: the epoch moved where the member cannot follow.
  void jump() {
    if (known_) previous_ = -7, epoch_ += 5, group_epoch_ = std::max(group_epoch_, epoch_);
  }

  heartbeat_answer heartbeat(const send_heartbeat& h) {
    if (h.topic_names && topics_denied) return {kafka_error::topic_authorization_failed, 0, std::nullopt};
    if (h.leaves()) return leave(h);
    bool tell = h.joins();
    if (h.joins()) {
      if (!h.owned || !h.owned->empty() || !h.topic_names || h.rebalance_timeout_ms < 0)
        return {kafka_error::invalid_request, 0, std::nullopt};
      if (known_ && is_static) return {kafka_error::unreleased_instance_id, 0, std::nullopt};
      if (known_ && refuses_known_joiners) return {kafka_error::fenced_member_epoch, 0, std::nullopt};
      // It owns nothing any more: what was to be given up is.
      revoking_.clear();
      known_ = true;
    } else {
      if (!known_) return {kafka_error::unknown_member_id, 0, std::nullopt};
      if (h.member_epoch != epoch_ && !(h.member_epoch == previous_ && h.owned && owns(*h.owned)))
        return {kafka_error::fenced_member_epoch, 0, std::nullopt};
      tell = h.owned && (h.topic_names || h.topic_regex) && h.rebalance_timeout_ms >= 0;
      if (h.owned && std::none_of(h.owned->begin(), h.owned->end(), [&](const auto& p) { return revoking_.count(p) != 0; }))
        revoking_.clear();
    }
    tell |= reconcile(h.owned);
    heartbeat_answer a{kafka_error::none, epoch_, std::nullopt};
    if (tell) a.assignment = assigned_;
    return a;
  }

  kafka_error commit(const send_commit& c) {
    if (!known_) return kafka_error::unknown_member_id;
    if (c.member_epoch != epoch_) {
      if (!knows_lease_epochs || c.member_epoch > epoch_) return kafka_error::stale_member_epoch;
      for (const auto& i : c.items) {
        const auto at = since_.find(i.lease.partition);
        if (assigned_.count(i.lease.partition) == 0 || at->second > c.member_epoch) return kafka_error::stale_member_epoch;
      }
    }
    // With the current epoch no broker checks the ownership. It must not be needed.
    for (const auto& i : c.items) {
      if (assigned_.count(i.lease.partition) == 0 && revoking_.count(i.lease.partition) == 0)
        violation = "a commit was taken for " + show(i.lease) + ", which is not the member's";
    }
    return kafka_error::none;
  }

 private:
  void forget() {
    known_ = false;
    epoch_ = previous_ = 0;
    assigned_.clear();
    revoking_.clear();
  }

  heartbeat_answer leave(const send_heartbeat& h) {
    if (!known_) return {kafka_error::unknown_member_id, 0, std::nullopt};
    forget();
    return {kafka_error::none, h.member_epoch, std::nullopt};
  }

  bool owns(const std::vector<topic_id_partition>& list) const {
    return std::all_of(list.begin(), list.end(), [&](const auto& p) { return assigned_.count(p) != 0; });
  }

  /// What the request does not own need not be given up.
  bool reconcile(const std::optional<std::vector<topic_id_partition>>& owned) {
    if (!revoking_.empty()) return false;
    bool changed = false;
    for (const auto& p : partition_set(assigned_)) {
      if (target_.count(p) != 0) continue;
      assigned_.erase(p);
      if (!owned || std::find(owned->begin(), owned->end(), p) != owned->end()) revoking_.insert(p);
      changed = true;
    }
    if (epoch_ == 0) epoch_ = std::max(group_epoch_, 1);
    if (!revoking_.empty()) return changed;
    if (epoch_ < group_epoch_) {
      previous_ = epoch_;
      epoch_ = group_epoch_;
    }
    for (const auto& p : target_) {
      if (busy_.count(p) != 0 || !assigned_.insert(p).second) continue;
      since_[p] = epoch_;
      changed = true;
    }
    return changed;
  }

  bool known_ = false;
  std::int32_t epoch_ = 0, previous_ = 0, group_epoch_ = 1;
  partition_set assigned_, revoking_, target_, busy_;
  std::map<topic_id_partition, std::int32_t> since_;
};

}  // namespace membership_test
