#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/machine/backoff.hpp>
#include <kawait/machine/cluster.hpp>
#include <kawait/machine/effect.hpp>
#include <kawait/machine/leased.hpp>
#include <kawait/machine/membership.hpp>
#include <kawait/protocol/offset_commit.hpp>

namespace kawait::machine {

/// Which member epoch a commit is stamped with (KIP-1251).
enum class stamp_rule {
  current_epoch,  ///< Brokers before 4.3 accept no other.
  lease_epoch,    ///< Those with metadata.version 30: any epoch not below the one at which the partitions were assigned.
  unknown         ///< lease_epoch, until the broker refuses one that is as it should be.
};

/// What is known of the node that coordinates the group.
struct commit_rules {
  stamp_rule stamp = stamp_rule::unknown;
  std::int16_t version = 9;  ///< The highest OffsetCommit version in common: 9 names topics, 10 gives their ids (Kafka 4.2).

  commit_rules() = default;
  commit_rules(stamp_rule s, std::int16_t v) : stamp(s), version(v) {}
};

/// The offset of one partition: the next one to be read. Without a group membership the generation means nothing.
struct commit_item {
  leased lease;
  std::string topic;
  offset_and_epoch offset;
  std::string metadata;

  commit_item() = default;
  commit_item(const leased& l, std::string t, const offset_and_epoch& o, std::string m = {})
      : lease(l), topic(std::move(t)), offset(o), metadata(std::move(m)) {}

  friend bool operator==(const commit_item&, const commit_item&) = default;
};

/// What came of one item; a failure without code: it is committed.
struct commit_outcome {
  leased lease;
  std::string topic;
  offset_and_epoch offset;
  failure result;

  commit_outcome() = default;
  commit_outcome(const commit_item& item, failure r)
      : lease(item.lease), topic(item.topic), offset(item.offset), result(std::move(r)) {}
};

/// One OffsetCommit for the coordinator, on the connection of the heartbeats. Tell membership::on_commit_sent(leases()) when it
/// leaves and on_commit_answered(leases()) when it was answered or its connection closed, whatever has become of the round
/// meanwhile.
struct send_commit {
  std::string group_id;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t member_epoch = -1;
  std::int16_t version = 9;
  std::vector<commit_item> items;

  KAWAIT_DECL std::vector<leased> leases() const;
  /// The message. It views this object, which must outlive it.
  KAWAIT_DECL protocol::offset_commit_request request() const;
};

/// Nothing more is to be done; one outcome for each item, in their order.
struct finished {
  std::vector<commit_outcome> outcomes;

  explicit finished(std::vector<commit_outcome> o) : outcomes(std::move(o)) {}
};

/// One call of commit: sends, splits and repeats OffsetCommit until each item is committed, refused, no longer ours, or the
/// deadline has passed. One request is under way at a time. The rounds of a partition must follow one another, or an older offset
/// repeated late would overwrite a newer one.
class commit_round {
 public:
  using effect = std::variant<idle, send_commit, find_coordinator, finished>;

  KAWAIT_DECL commit_round(std::string group_id, std::vector<commit_item> items, const commit_rules& rules,
                           const backoff_options& retry, time_point deadline);

  /// Of a member. Poll again also after every answer to a heartbeat: a stale stamp waits for it.
  KAWAIT_DECL effect poll(time_point now, const membership& member);
  /// Of a consumer that assigns its partitions itself: nobody's leave is needed.
  KAWAIT_DECL effect poll(time_point now);

  /// Nothing more is to be sent: the next poll() tells the outcomes, and nobody needs a coordinator for that.
  KAWAIT_DECL bool is_decided() const noexcept;

  /// The answer to the send_commit under way.
  KAWAIT_DECL void on_response(const protocol::offset_commit_response& response, time_point now, std::uint64_t random);
  /// It was not answered and never will be, or could not be sent. It may have been served: committing the same again does no
  /// harm.
  KAWAIT_DECL void on_disconnected(time_point now, std::uint64_t random);

  /// There is no coordinator to be had, and asking again is in vain: what is undecided failed for this reason.
  KAWAIT_DECL void fail(const failure& why);

  /// A broker before 4.2 is told names. That of a topic that was deleted may stand for one created since, whose offsets those of the
  /// old one are not: such items fail. So do those whose id the coordinator did not know, if the metadata does not know it either. To
  /// be called before each poll().
  KAWAIT_DECL void refuse_replaced(const cluster& metadata);
  /// The coordinator has not heard of a topic that is to be committed: newer metadata tells whether it is gone.
  KAWAIT_DECL bool doubts_topics() const noexcept;

  /// What is known of the node that coordinates the group now. Where that is nothing, an earlier finding of a strict one is kept: the
  /// current epoch is a stamp that every broker takes.
  void set_rules(const commit_rules& rules) noexcept {
    const bool keep = rules.stamp == stamp_rule::unknown && rules_.stamp == stamp_rule::current_epoch;
    rules_ = commit_rules(keep ? rules_.stamp : rules.stamp, rules.version);
  }
  /// What was learnt of the node: `unknown` may have turned into `current_epoch`.
  stamp_rule stamp() const noexcept { return rules_.stamp; }

 private:
  // --- What is known of an item.
  struct pending {
    failure last;  // the retriable error of the last try
  };
  /// STALE_MEMBER_EPOCH: not sent again before a heartbeat was answered, or the epoch is another than at sending.
  struct stale {
    std::int32_t stamp;
    std::int32_t member_epoch;
    bool alone;                             // no other item was in the request
    std::optional<std::uint64_t> answered;  // heartbeats, when it was first looked at
  };
  struct entry {
    commit_item item;
    std::variant<pending, stale, failure> state;  // a failure, or its absence: decided
  };

  // --- Where the round is.
  struct ready {
    time_point from;
  };
  struct in_flight {
    std::vector<std::size_t> entries;
    std::int16_t version;
    std::int32_t stamp;
    std::int32_t member_epoch;  // -1: without a membership
  };
  struct done {};

  /// The last try was answered that there is no such topic.
  KAWAIT_DECL static bool is_unknown_topic(const entry& e) noexcept;
  KAWAIT_DECL effect step(time_point now, const membership* member);
  KAWAIT_DECL void drop_not_held(const membership& member);
  KAWAIT_DECL void revive_stale(const membership& member);
  KAWAIT_DECL std::vector<std::size_t> choose();
  KAWAIT_DECL effect send(std::vector<std::size_t> chosen, const membership* member);
  KAWAIT_DECL std::int32_t stamp_for(const std::vector<std::size_t>& chosen, const membership& member) const;
  KAWAIT_DECL void on_error(entry& e, kafka_error error, const in_flight& asked, time_point now, std::uint64_t random);
  KAWAIT_DECL effect finish();

  std::string group_id_;
  std::vector<entry> entries_;
  commit_rules rules_;
  backoff backoff_;
  time_point deadline_;
  std::variant<ready, in_flight, done> state_;
  bool look_up_ = false;     // the coordinator is to be looked up before anything else
  bool dropped_ = false;     // of the items last sent, one was found to be no longer ours
  bool one_by_one_ = false;  // one bad partition fails a whole request: after that each goes alone
  std::size_t next_ = 0;     // and here it goes on, so that one that keeps failing does not hold up the others
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/commit.ipp>
#endif
