#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <kawait/core/kafka_error.hpp>
#include <kawait/core/mutation.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/machine/backoff.hpp>
#include <kawait/machine/leased.hpp>
#include <kawait/machine/membership_effects.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>

namespace kawait::machine {

using lease_generation = std::uint64_t;

/// What leave() does to the membership (KIP-1092).
enum class leave_kind {
  default_,        ///< A dynamic member leaves; a static one leaves for a while and keeps its partitions.
  leave_group,     ///< A static member leaves for good, too.
  remain_in_group  ///< A dynamic member says nothing and stays until its session ends; a static one leaves for a while.
};

/// What drains gets nine tenths of a time-out: the rest is for saying that it has.
inline milliseconds drain_time(milliseconds timeout) { return timeout * (KAWAIT_MUTANT(gives_up_early) ? 3 : 9) / 10; }

struct member_options {
  std::string group_id;
  std::string member_id;  ///< Made by the client, once per consumer, kept across rejoins.
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::optional<std::string> remote_assignor;
  milliseconds rebalance_timeout{300000};
  backoff_options retry;

  member_options() = default;
  member_options(std::string group, std::string member) : group_id(std::move(group)), member_id(std::move(member)) {}
};

/// One member of a group of the consumer protocol (KIP-848): decides which heartbeat is sent when, and which partitions are ours.
///
/// Inputs change its state; poll() says what is to be done, one effect at a time, until it says `idle`. Effects are performed in
/// the order in which they come. Two promises hold whatever the broker says:
/// - a heartbeat that gives a partition up leaves only after its work has drained or its deadline has passed, and never while a
///   commit that names it is unanswered;
/// - every assignment of a partition has a generation of its own, so nothing that belongs to an earlier ownership can pass for
///   this one's.
class membership {
 public:
  using effect = membership_effect;

  KAWAIT_DECL explicit membership(member_options options);

  /// Joins, or changes the subscription of a member at once. While leaving, it joins again afterwards.
  KAWAIT_DECL void subscribe(std::vector<std::string> names, std::optional<std::string> regex);

  /// Drains, leaves, and ends with the effect `left`. What is being lost is not drained, and a member the broker cannot know says
  /// nothing.
  KAWAIT_DECL void leave(leave_kind kind);

  /// max.poll.interval.ms passed without a sign of life from the application: leaves, then loses all; joins again once it moved.
  KAWAIT_DECL void on_poll_timeout();
  KAWAIT_DECL void on_application_moved();

  /// The answer to send_heartbeat.
  KAWAIT_DECL void on_heartbeat(const protocol::consumer_group_heartbeat_response& response, time_point now,
                                std::uint64_t random);

  /// A heartbeat was not answered and never will be, or could not be sent. Without a heartbeat under way it means nothing.
  KAWAIT_DECL void on_disconnected(time_point now, std::uint64_t random);

  /// The metadata knows the name of this topic id.
  KAWAIT_DECL void on_resolved(const uuid& topic_id);
  /// Whether on_resolved of this one is waited for; not any more once another assignment lacks it.
  bool is_unresolved(const uuid& topic_id) const { return unresolved_.contains(topic_id); }

  /// The gate of a revoked lease is closed, and its last commit is answered or given up. Other generations are ignored.
  KAWAIT_DECL void on_drained(const leased& lease);

  /// A commit of these left, and was answered: by the broker, or by the end of its connection. One call each for each request.
  KAWAIT_DECL void on_commit_sent(std::span<const leased> leases);
  KAWAIT_DECL void on_commit_answered(std::span<const leased> leases);

  KAWAIT_DECL effect poll(time_point now);

  /// Whether a commit may name it now: ours, or being revoked and not given up yet.
  KAWAIT_DECL bool holds(const leased& lease) const;
  /// Whether it was lost, rather than revoked, or never ours. For the words of a commit's failure.
  KAWAIT_DECL bool lost(const leased& lease) const;
  /// The member epoch at which a lease that holds() was assigned.
  KAWAIT_DECL std::optional<std::int32_t> lease_epoch(const leased& lease) const;
  /// The epoch of the last answer; 0 while not a member.
  std::int32_t member_epoch() const noexcept { return epoch_; }
  const std::string& group_id() const noexcept { return options_.group_id; }
  const std::string& member_id() const noexcept { return options_.member_id; }
  const std::optional<std::string>& instance_id() const noexcept { return options_.instance_id; }
  /// Drained, no commit unanswered: nothing is left to be done but to leave, for which no coordinator is worth waiting.
  KAWAIT_DECL bool has_only_to_leave() const noexcept;
  bool is_unsubscribed() const noexcept { return in<unsubscribed>(); }
  bool heartbeat_in_flight() const noexcept { return in_flight_.has_value(); }
  /// Counts the heartbeats that were answered, so that a commit can wait for the next.
  std::uint64_t heartbeats_answered() const noexcept { return answered_; }
  milliseconds heartbeat_interval() const noexcept { return interval_; }
  /// "joining", "stable", ... for logs.
  KAWAIT_DECL std::string_view state_name() const noexcept;

 private:
  // --- States. Only what is true in one of them alone is kept in it.
  struct unsubscribed {};
  struct joining {
    bool asked = false;  // the broker may know us, though it never said so
  };
  struct awaiting {  // a member to whom nothing was assigned yet
    time_point since;
  };
  struct stable {};
  struct reconciling {
    bool acknowledge;  // after the drain, if any; otherwise there is only something to assign
  };
  struct leaving {
    std::optional<std::int32_t> epoch;  // what the leaving heartbeat says; nothing: none is sent
    bool rejoin = false;
  };
  struct departing {  // the leaving heartbeat is under way
    bool rejoin = false;
  };
  struct resigning {  // a leaving heartbeat in order to join again
    std::optional<failure> unreleased;
  };
  struct stalling {};  // poll time-out: a leaving heartbeat is due
  struct stalled {};   // and was sent; waiting for the application
  struct fatal {};

  // --- Leases. Whatever is in the map is owned as far as the broker knows.
  struct held {};
  struct draining {
    time_point deadline;
  };
  struct released {  // drained, or its deadline passed
    time_point deadline;
  };
  struct lease {
    lease_generation generation;
    std::int32_t epoch;
    std::variant<held, draining, released> phase;

    bool is_released() const noexcept { return std::holds_alternative<released>(phase); }
    bool is_draining() const noexcept { return std::holds_alternative<draining>(phase); }
    bool is_held() const noexcept { return std::holds_alternative<held>(phase); }
  };

  /// What a heartbeat says beyond "I am alive".
  struct contents {
    bool settings = false;
    bool names = false;
    bool regex = false;
    bool owned = false;

    static contents all() { return {true, true, true, true}; }
    bool any() const noexcept { return settings || names || regex || owned; }
  };
  struct heartbeat {
    time_point sent;
    std::int32_t epoch;
    contents said;
    std::optional<std::vector<topic_id_partition>> owned;
  };
  using partition_list = std::vector<topic_id_partition>;
  using response = protocol::consumer_group_heartbeat_response;

  template <class State>
  bool in() const noexcept {
    return std::holds_alternative<State>(state_);
  }
  template <class Predicate>
  std::vector<leased> drain(Predicate which, time_point deadline) {
    std::vector<leased> list;
    for (auto& [partition, l] : leases_) {
      if (!l.is_held() || !which(partition)) continue;
      l.phase = draining{deadline};
      if (KAWAIT_MUTANT(acknowledges_before_drain)) l.phase = released{deadline};
      list.emplace_back(partition, l.generation);
    }
    return list;
  }
  KAWAIT_DECL bool is_member() const noexcept;
  KAWAIT_DECL const lease* find(const leased& l) const;
  std::int32_t default_leave_epoch() const noexcept {
    return options_.instance_id && !KAWAIT_MUTANT(static_member_leaves_for_good) ? static_leave_epoch : leave_epoch;
  }

  // --- Answers.
  KAWAIT_DECL void accept(const heartbeat& asked, const response& r, time_point now);
  KAWAIT_DECL void adopt(const heartbeat& asked, const response::assigned& assignment, time_point now);
  KAWAIT_DECL duration patience(duration waited) const;
  KAWAIT_DECL void set_target(const response::assigned& assignment, time_point now);
  KAWAIT_DECL void refuse(const heartbeat& asked, const response& r, time_point now, std::uint64_t random);
  KAWAIT_DECL void on_leave_answered(const response& r, time_point now, std::uint64_t random);
  KAWAIT_DECL void on_topic_denied(const heartbeat& asked, const response& r, time_point now);
  KAWAIT_DECL void on_fenced(const response& r, bool resign, time_point now, std::uint64_t random);
  KAWAIT_DECL void fail(failure reason);
  KAWAIT_DECL void lose_all(const failure& reason);
  KAWAIT_DECL void finish_leaving(bool rejoin);
  KAWAIT_DECL void pause(time_point now, std::uint64_t random);
  KAWAIT_DECL void pause_if_repeated(time_point now, std::uint64_t random);
  KAWAIT_DECL failure failure_of(const response& r) const;
  KAWAIT_DECL failure poll_timeout() const;

  // --- Effects.
  KAWAIT_DECL effect poll_joining(time_point now);
  KAWAIT_DECL effect poll_resigning(time_point now);
  KAWAIT_DECL effect poll_leaving(time_point now);
  KAWAIT_DECL effect poll_reconciling(time_point now);
  KAWAIT_DECL effect keep_alive(time_point now, time_point wake);
  KAWAIT_DECL std::optional<effect> abandon(time_point now);
  KAWAIT_DECL std::optional<effect> resolve(time_point now);
  /// Nothing if there is nothing to cut for; earlier times given later count.
  KAWAIT_DECL std::optional<effect> wait_for_commits(std::optional<time_point> cut_at, time_point now);
  KAWAIT_DECL std::optional<time_point> cut_if_unanswered(time_point cut_at) const;
  /// When the first must be given up of what is released, but named by an unanswered commit.
  KAWAIT_DECL std::optional<time_point> first_blocked_deadline() const;
  KAWAIT_DECL time_point last_deadline() const;
  KAWAIT_DECL effect send(std::int32_t epoch, contents said, time_point now);
  KAWAIT_DECL contents sayable(time_point now) const noexcept;
  KAWAIT_DECL partition_list owned() const;
  KAWAIT_DECL bool has_additions() const;
  KAWAIT_DECL void assign_additions();
  KAWAIT_DECL bool any_draining() const noexcept;
  KAWAIT_DECL time_point next_deadline() const noexcept;
  KAWAIT_DECL time_point next_question() const noexcept;

  member_options options_;
  backoff backoff_;
  std::variant<unsubscribed, joining, awaiting, stable, reconciling, leaving, departing, resigning, stalling, stalled, fatal>
      state_;
  std::deque<effect> outbox_;  // effects that only wait for their turn

  std::vector<std::string> names_;
  std::optional<std::string> regex_;  // empty: cleared, and the broker may not know it yet

  std::int32_t epoch_ = 0;
  milliseconds interval_{5000};
  std::optional<heartbeat> in_flight_;
  std::uint64_t answered_ = 0;
  contents unsaid_;  // what the next heartbeat must say
  // The coordinator may have served what went unanswered late: behind the full heartbeat that came after it. If it told an assignment
  // then, it told nobody, and tells it again only to who says everything again. So some that have nothing to say do.
  time_point says_all_until_ = time_point::min();
  time_point due_ = time_point::min();
  time_point not_before_ = time_point::min();        // backoff
  time_point names_not_before_ = time_point::min();  // the subscription was denied

  std::map<topic_id_partition, lease> leases_;
  lease_generation last_generation_ = 0;
  lease_generation lost_through_ = 0;
  std::set<topic_id_partition> target_;   // the newest assignment
  std::set<uuid> resolved_;
  std::map<uuid, time_point> unresolved_;  // of the target, and when to ask for it

  std::map<topic_id_partition, std::uint32_t> unanswered_;  // commits under way that name it
  std::optional<time_point> cut_at_;                        // since a heartbeat has been waiting for them
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/membership.ipp>
#include <kawait/machine/impl/membership_answers.ipp>
#include <kawait/machine/impl/membership_poll.ipp>
#endif
