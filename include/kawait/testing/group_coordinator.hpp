#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/core/result.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/machine/time.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/offset_commit.hpp>
#include <kawait/protocol/offset_fetch.hpp>
#include <kawait/testing/consumer_group.hpp>
#include <kawait/testing/group_offsets.hpp>
#include <kawait/testing/group_options.hpp>
#include <kawait/testing/topic_table.hpp>

namespace kawait::testing {

/// A member as a test sees it. `assigned` is what it was told it may own, `revoking` what it has yet to acknowledge as given up,
/// `target` what it is to own in the end; each sorted.
struct member_view {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::int32_t epoch = 0;  ///< -2: a static member that left for a while.
  reconciliation state = reconciliation::stable;
  partition_list assigned, revoking, target;
  std::vector<std::string> topics;
  std::string regex;
};

/// A group as an administrator sees it. `target_epoch` is that for which an assignor last computed a target.
struct group_view {
  std::string_view state;  ///< "Empty", "Assigning", "Reconciling" or "Stable".
  std::int32_t epoch = 0;
  std::int32_t target_epoch = 0;
  std::string assignor;
};

/// A member without a client, for others to share with: the coordinator itself makes its heartbeats.
struct scripted_member {
  std::string id;
  std::vector<std::string> topics;
  std::string regex;
  std::optional<std::string> instance_id;
  /// Whether it gives up what it is to give up, at once. Otherwise it holds on until acknowledge(), and is expelled when its
  /// rebalance time-out has passed.
  bool acknowledges = true;
  machine::milliseconds rebalance_timeout{300000};

  scripted_member() = default;
  scripted_member(std::string i, std::vector<std::string> t) : id(std::move(i)), topics(std::move(t)) {}
};

/// The group coordinator of a Kafka cluster, for tests: groups of the consumer protocol (KIP-848) with their offsets, and the
/// offsets of consumers that assign their partitions themselves. It behaves like the generation of Kafka that its options name,
/// error by error; what it does not do: groups of the classic protocol, transactions, authorization.
///
/// Pure: no I/O, no clock, no randomness. Time comes in with each call and must not go back; as in Kafka it passes only where
/// someone calls. Not thread-safe.
class group_coordinator {
 public:
  using time_point = machine::time_point;

  KAWAIT_DECL explicit group_coordinator(group_options options = group_options());
  group_coordinator(const group_coordinator&) = delete;
  group_coordinator& operator=(const group_coordinator&) = delete;

  /// All topics there are now: new, gone or grown ones change targets with the next heartbeats; offsets of those that are gone,
  /// or were made anew, are forgotten.
  KAWAIT_DECL void set_topics(std::vector<topic_image> topics);

  /// What is asked of the coordinator. Strings of answers point into the request or into storage of the coordinator, and hold
  /// until either goes or is used again.
  KAWAIT_DECL protocol::consumer_group_heartbeat_response heartbeat(time_point now,
                                                                    const protocol::consumer_group_heartbeat_request& r,
                                                                    std::int16_t version, std::string_view client_id);
  KAWAIT_DECL protocol::offset_commit_response commit(time_point now, const protocol::offset_commit_request& r,
                                                      std::int16_t version);
  KAWAIT_DECL protocol::offset_fetch_response fetch_offsets(time_point now, const protocol::offset_fetch_request& r,
                                                            std::int16_t version);

  /// Lets time pass: sessions and rebalance time-outs expire, regular expressions are resolved, scripted members live. The calls
  /// above do that first themselves.
  KAWAIT_DECL void tick(time_point now);
  /// When tick() may have something to do. Nothing: never, as things are.
  KAWAIT_DECL std::optional<time_point> next() const;

  /// There is no coordinator: no time passes for groups, and no scripted member is added, until load(). Heartbeats and
  /// commits are the broker's to keep away.
  KAWAIT_DECL void unload(time_point now);
  /// There is one again, or another. It knows all that the last one did but how long members have been silent: sessions and
  /// revocations have their full time again, as in Kafka.
  KAWAIT_DECL void load(time_point now);

  // --- To look at. A group that is not there has epoch -1 and no members.
  KAWAIT_DECL std::vector<std::string> groups() const;
  KAWAIT_DECL std::vector<member_view> members(std::string_view group) const;
  KAWAIT_DECL std::optional<member_view> member(std::string_view group, std::string_view member_id) const;
  KAWAIT_DECL std::int32_t epoch(std::string_view group) const;
  KAWAIT_DECL std::optional<group_view> view(std::string_view group) const;
  /// Nobody rebalances: the target is computed for the newest epoch and every member has reached it.
  KAWAIT_DECL bool settled(std::string_view group) const;
  /// The member that the broker takes for the owner. Nothing: free.
  KAWAIT_DECL std::optional<std::string> owner(std::string_view group, const topic_partition& p) const;
  KAWAIT_DECL std::optional<committed_offset> committed(std::string_view group, const topic_partition& p) const;
  const group_options& options() const noexcept { return options_; }

  /// Forgets a group and its offsets, as an administrator may: non_empty_group while it has members, group_id_not_found.
  KAWAIT_DECL kafka_error remove_group(time_point now, std::string_view group);

  // --- To meddle with. False: there is no such group or member.
  /// Commits without a member.
  KAWAIT_DECL void set_offset(time_point now, std::string_view group, const topic_partition& p, const offset_and_epoch& offset,
                              std::string metadata = {});
  /// As if a transaction that commits an offset of this partition were under way: who asks for stable offsets is answered
  /// UNSTABLE_OFFSET_COMMIT until it is over.
  KAWAIT_DECL void set_pending(std::string_view group, const topic_partition& p, bool yes);
  /// Heartbeats of this member are answered FENCED_MEMBER_EPOCH, commits STALE_MEMBER_EPOCH, until it joins or leaves.
  KAWAIT_DECL bool fence(std::string_view group, std::string_view member_id);
  /// As if the session ended: its next heartbeat is answered UNKNOWN_MEMBER_ID.
  KAWAIT_DECL bool expire(time_point now, std::string_view group, std::string_view member_id);
  /// The target of a member, now or when it joins: instead of what an assignor would deal, and whether it subscribes to that or
  /// not. The others share the rest. Takes effect with the next heartbeats. Nothing: the assignor decides again.
  KAWAIT_DECL void set_target(std::string_view group, std::string_view member_id,
                              std::optional<std::vector<topic_partition>> target);
  /// The same with topic ids, which need not exist.
  KAWAIT_DECL void set_target_ids(std::string_view group, std::string_view member_id, std::optional<partition_list> target);

  /// Joins at once. What it is answered, if that is an error.
  KAWAIT_DECL failure add_member(time_point now, std::string_view group, scripted_member member);
  /// It leaves for good.
  KAWAIT_DECL bool remove_member(time_point now, std::string_view group, std::string_view member_id);
  /// It is gone without a word, as in a crash: its session ends in its time.
  KAWAIT_DECL bool abandon_member(std::string_view group, std::string_view member_id);
  /// Makes a scripted member give up what it holds on to, now.
  KAWAIT_DECL bool acknowledge(time_point now, std::string_view group, std::string_view member_id);

 private:
  using heartbeat_request = protocol::consumer_group_heartbeat_request;
  using heartbeat_response = protocol::consumer_group_heartbeat_response;

  struct entry {
    std::unique_ptr<consumer_group> members;  // Null: there are only offsets.
    group_offsets offsets;
  };
  struct scripted {
    std::string group;
    scripted_member member;
    std::int32_t epoch = 0;
    partition_list owned;
    bool said = false;  // the coordinator was told that it owns these
    time_point due = machine::never;
  };
  using entries = std::map<std::string, entry, std::less<>>;

  group_context context(time_point now) const { return group_context(options_, topics_, now); }
  KAWAIT_DECL consumer_group* find(std::string_view group) const;
  KAWAIT_DECL consumer_group& obtain(std::string_view group);
  KAWAIT_DECL std::string_view keep(std::string text);
  KAWAIT_DECL void pass(time_point until);
  KAWAIT_DECL time_point earliest() const;
  KAWAIT_DECL time_point expiry_of(const entry& e) const;

  KAWAIT_DECL failure check(const heartbeat_request& r, std::int16_t version) const;
  KAWAIT_DECL heartbeat_response serve(time_point now, const heartbeat_request& r, std::int16_t version,
                                       std::string_view client_id);
  KAWAIT_DECL static std::vector<protocol::heartbeat_topic> topics_of(const partition_list& list);
  KAWAIT_DECL failure serve_leave(time_point now, const heartbeat_request& r);
  KAWAIT_DECL static member_view view(const group_member& m);

  KAWAIT_DECL failure store(time_point now, const protocol::offset_commit_request& r, std::int16_t version,
                            protocol::offset_commit_response& answer);
  struct fetching {
    std::int16_t version;
    bool stable;
  };
  KAWAIT_DECL void fetch_topic(const entry* e, const protocol::offset_fetch_request::topic& t, const fetching& how,
                               protocol::offset_fetch_response::topic& answer) const;
  KAWAIT_DECL static void fetch_partition(const entry* e, std::string_view topic, const fetching& how,
                                          protocol::offset_fetch_response::partition& answer);
  KAWAIT_DECL protocol::offset_fetch_response::group fetch_group(const protocol::offset_fetch_request::group& g,
                                                                 const fetching& how) const;

  KAWAIT_DECL scripted* find_scripted(std::string_view group, std::string_view member_id);
  KAWAIT_DECL failure beat(scripted& s, time_point now, bool acknowledge);

  group_options options_;
  topic_table topics_;
  entries groups_;
  std::vector<scripted> scripted_;
  std::deque<std::string> kept_;  // what the last answer points to
  std::uint64_t made_ids_ = 0;
  bool loaded_ = true;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/group_coordinator.ipp>
#include <kawait/testing/impl/group_coordinator_offsets.ipp>
#include <kawait/testing/impl/group_coordinator_scripts.ipp>
#endif
