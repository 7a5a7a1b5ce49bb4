#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <kawait/core/result.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/machine/time.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/testing/group_member.hpp>
#include <kawait/testing/group_options.hpp>
#include <kawait/testing/topic_pattern.hpp>

namespace kawait::testing {

/// One group of the consumer protocol (KIP-848), as a coordinator keeps it: members, the target that an assignor computes for
/// each group epoch, and the way of each member to it. As in Kafka nothing of it happens by itself but time-outs: a target is
/// computed, and a member is moved, in a heartbeat. Pure: the time comes in with each call, and answers depend on nothing else.
class consumer_group {
 public:
  using request = protocol::consumer_group_heartbeat_request;

  struct beat {
    const group_member* member;
    bool tell;  ///< The answer has an assignment: member->assigned.
  };

  KAWAIT_DECL consumer_group(std::string id, const generation_traits& traits);
  consumer_group(const consumer_group&) = delete;
  consumer_group& operator=(const consumer_group&) = delete;

  /// A heartbeat that joins or stays, of a request that is valid in itself. `member_id` is the request's, or the one made for it.
  /// A failure is what the broker answers; nothing has changed then.
  KAWAIT_DECL result<beat> heartbeat(const group_context& ctx, const request& r, std::string_view member_id,
                                     std::string_view client_id);
  /// A heartbeat that leaves: epoch -1 or -2.
  KAWAIT_DECL failure leave(const group_context& ctx, const request& r);

  /// Time-outs of sessions and revocations, regular expressions that are resolved by now.
  KAWAIT_DECL void advance(const group_context& ctx);
  /// Another coordinator has read the group from the log, where no timers are: all begin anew.
  KAWAIT_DECL void restart_timers(const group_context& ctx);
  /// Nothing happens before; it may be that nothing does then either. machine::never: nothing is due.
  machine::time_point next() const noexcept { return next_; }

  /// Topics came, went or grew: the next heartbeat looks at them.
  void on_topics_changed() noexcept { topics_changed_ = true, ++topics_version_; }

  /// Whether a member may commit, and with this epoch. A failure: the request as a whole is refused with it.
  /// Otherwise the member whose partitions are to be asked of may_commit(), or null: anything goes.
  KAWAIT_DECL result<const group_member*> check_commit(const group_context& ctx, std::string_view member_id, std::int32_t epoch,
                                                       std::int16_t version) const;
  /// An epoch that is not the newest: whether the partition was the member's at that epoch already (KIP-1251).
  KAWAIT_DECL static bool may_commit(const group_member& m, std::int32_t epoch, const topic_id_partition& p);
  KAWAIT_DECL failure check_fetch(const std::optional<std::string_view>& member_id, std::int32_t epoch) const;

  // To look and to meddle.
  const std::string& id() const noexcept { return id_; }
  std::int32_t epoch() const noexcept { return epoch_; }
  std::int32_t assignment_epoch() const noexcept { return assignment_epoch_; }
  bool empty() const noexcept { return members_.empty(); }
  /// Since when it has been empty.
  machine::time_point empty_since() const noexcept { return empty_since_; }
  const std::map<std::string, group_member, std::less<>>& members() const noexcept { return members_; }
  KAWAIT_DECL const group_member* find(std::string_view member_id) const;
  /// Who holds the partition, given to it and not acknowledged as given up. Null: nobody.
  KAWAIT_DECL const group_member* owner_of(const topic_id_partition& p) const;

  /// What most members ask for, of those that ask for any.
  KAWAIT_DECL std::string preferred_assignor(const group_options& options) const;

  /// Its next heartbeat and commits are fenced, until it joins or leaves. False: no such member.
  KAWAIT_DECL bool fence(std::string_view member_id);
  /// As if its session ended. False: no such member.
  KAWAIT_DECL bool expire(const group_context& ctx, std::string_view member_id);
  /// From now on this is its target, whatever it subscribes to, and the assignor deals the rest to the others; nothing: the
  /// assignor decides again. Survives the member.
  KAWAIT_DECL void set_target(std::string member_id, std::optional<partition_list> target);
  bool has_set_targets() const noexcept { return !overrides_.empty(); }

 private:
  struct admission {
    group_member* known;  // Null: a new one.
    bool replaces;        // a static member, perhaps under another id
  };
  struct pattern {
    topic_pattern compiled;
    std::set<std::string, std::less<>> topics;
    bool resolved = false;
  };
  struct resolution {
    machine::time_point due;
    std::vector<std::string> patterns;
  };
  using owned_list = std::optional<partition_list>;
  using metadata = std::map<std::string, std::pair<uuid, std::int32_t>, std::less<>>;

  // --- Membership (consumer_group.ipp).
  KAWAIT_DECL result<admission> admit(const group_context& ctx, const request& r, std::string_view member_id,
                                      const owned_list& owned);
  KAWAIT_DECL failure check_epoch(const group_context& ctx, const group_member& m, std::int32_t epoch,
                                  const owned_list& owned) const;
  KAWAIT_DECL group_member& enrol(const admission& a, std::string_view member_id);
  KAWAIT_DECL void remove(const group_context& ctx, group_member& m);
  KAWAIT_DECL group_member* static_member(std::string_view instance_id);
  KAWAIT_DECL void due(machine::time_point at) noexcept;

  // --- The way of a member to its target (group_reconciliation.ipp). Whether `assigned` changed.
  KAWAIT_DECL bool reconcile(const group_context& ctx, group_member& m, const owned_list& owned, bool subscription_changed);
  KAWAIT_DECL bool approach_target(const group_context& ctx, group_member& m, std::int32_t epoch, const owned_list& owned);
  KAWAIT_DECL bool drop_unsubscribed(const group_context& ctx, group_member& m, const owned_list& owned);
  KAWAIT_DECL void hold(group_member& m, partition_epochs assigned, partition_epochs revoking);
  KAWAIT_DECL void await_revocation(const group_context& ctx, group_member& m);
  KAWAIT_DECL partition_list wanted(const group_context& ctx, const group_member& m) const;
  KAWAIT_DECL bool subscribes(const group_context& ctx, const group_member& m, const uuid& topic) const;
  KAWAIT_DECL void release(group_member& m);
  KAWAIT_DECL void claim(group_member& m);

  // --- Subscriptions and targets (group_subscriptions.ipp).
  /// What a request changes of a member's subscription; whether the target is to follow at once.
  struct change {
    bool any = false;
    bool retarget = false;
  };
  KAWAIT_DECL change subscribe(const group_context& ctx, group_member& m, const request& r, std::optional<topic_pattern> added);
  KAWAIT_DECL void begin_resolution(const group_context& ctx);
  KAWAIT_DECL void finish_resolution(const group_context& ctx);
  KAWAIT_DECL void drop_unused_patterns();
  KAWAIT_DECL void update_metadata(const group_context& ctx, bool bump);
  KAWAIT_DECL metadata subscribed_metadata(const group_context& ctx) const;
  KAWAIT_DECL void update_target(const group_context& ctx);

  std::string id_;
  std::int32_t epoch_;
  std::int32_t assignment_epoch_ = 0;
  std::optional<machine::time_point> assigned_at_;
  machine::time_point empty_since_ = machine::time_point::min();
  machine::time_point next_ = machine::never;

  std::map<std::string, group_member, std::less<>> members_;  // by id
  std::map<std::string, std::string, std::less<>> static_;    // instance id to member id
  std::unordered_map<topic_id_partition, const group_member*> owners_;
  std::map<std::string, partition_list, std::less<>> overrides_;

  metadata metadata_;  // of the topics subscribed to, as the epoch knows them
  bool topics_changed_ = true;
  std::uint64_t topics_version_ = 1;

  std::map<std::string, pattern, std::less<>> patterns_;
  std::optional<resolution> resolving_;
  std::optional<machine::time_point> resolved_at_;
  std::uint64_t resolved_version_ = 0;  // of topics_version_
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/consumer_group.ipp>
#include <kawait/testing/impl/group_reconciliation.ipp>
#include <kawait/testing/impl/group_subscriptions.ipp>
#endif
