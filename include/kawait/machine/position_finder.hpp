#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
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
#include <kawait/machine/time.hpp>
#include <kawait/protocol/list_offsets.hpp>
#include <kawait/protocol/offset_fetch.hpp>
#include <kawait/protocol/offset_for_leader_epoch.hpp>

namespace kawait::machine {

/// Finds where partitions start to be read: the committed offset, else what the reset policy says, or the offset of a time.
///
/// Only a broker's plain "no offset is committed" lets the reset policy speak. Every error that may pass is asked again, for as
/// long as the partition is not removed. One OffsetFetch, and of ListOffsets and OffsetForLeaderEpoch one each for each broker, are
/// in flight at a time.
class position_finder {
 public:
  /// auto.offset.reset
  enum class reset_policy { earliest, latest, none };

  /// How a position was found.
  enum class source {
    committed,  ///< The group's committed offset. Its leader epoch is still to be validated.
    reset,      ///< By the policy: no offset was committed, or what was asked for is out of range.
    timestamp,  ///< What from_timestamp() asked for; the offset is -1 if the partition has no record of that time or later.
    truncated   ///< The log was cut below the position of from_out_of_range(): where the epochs part, else by the policy (KIP-320).
  };

  struct options {
    reset_policy policy = reset_policy::latest;
    std::int8_t isolation_level = 0;
    milliseconds request_timeout{30'000};  ///< For offsets that the leader looks up in remote storage.
    backoff_options backoff;
    /// by_duration (KIP-1106): where the policy speaks, the first record that is no older than so long before the question leaves;
    /// the end, if there is none.
    std::optional<milliseconds> back;

    options() = default;
    options(reset_policy p, std::int8_t isolation, milliseconds timeout, const backoff_options& b)
        : policy(p), isolation_level(isolation), request_timeout(timeout), backoff(b) {}
  };

  /// Send OffsetFetch to the coordinator. on_offset_fetch or on_offset_fetch_failed tells what came of it.
  struct fetch_committed {
    struct item {
      leased lease;
      std::string topic;
    };
    std::vector<item> items;  ///< A topic's partitions are neighbours.

    /// Without a group's member, as for a reader that only looks: a null member id and epoch -1. Refers to this effect and the
    /// arguments.
    KAWAIT_DECL protocol::offset_fetch_request request(std::string_view group_id, std::optional<std::string_view> member_id,
                                                       std::int32_t member_epoch) const;
  };

  /// Send ListOffsets to the broker. on_list_offsets or on_list_offsets_failed tells what came of it.
  struct list_offsets {
    struct item {
      leased lease;
      std::string topic;
      std::int64_t timestamp = 0;
      std::int32_t leader_epoch = -1;
      std::optional<milliseconds> back;  ///< Instead of the timestamp: the time so long ago.
    };
    std::int32_t node = -1;
    std::vector<item> items;  ///< A topic's partitions are neighbours.
    std::int8_t isolation_level = 0;
    milliseconds timeout{0};

    /// Refers to this effect. `now`: what those count from that look back.
    KAWAIT_DECL protocol::list_offsets_request request(std::chrono::system_clock::time_point now = {}) const;
  };

  /// Send OffsetForLeaderEpoch to the broker. on_epoch_ends or on_epoch_ends_failed tells what came of it.
  struct find_epoch_ends {
    struct item {
      leased lease;
      std::string topic;
      std::int32_t leader_epoch = -1;  ///< The leader's.
      std::int32_t epoch = -1;         ///< The one whose end is asked for.
    };
    std::int32_t node = -1;
    std::vector<item> items;  ///< A topic's partitions are neighbours.

    /// Refers to this effect.
    KAWAIT_DECL protocol::offset_for_leader_epoch_request request() const;
  };

  struct found {
    leased lease;
    offset_and_epoch position;
    source how = source::committed;
    std::int64_t timestamp = -1;  ///< Of the record there, if a time was asked for.
  };

  /// No position: no_offset or log_truncated under the policy none, a missing permission, what no retry can mend.
  struct not_found {
    leased lease;
    failure why;
  };

  /// cluster::request_refresh(): a leader is unknown or not the leader any more.
  struct refresh_metadata {};

  using effect = std::variant<idle, fetch_committed, list_offsets, find_epoch_ends, found, not_found, refresh_metadata,
                              kawait::machine::find_coordinator>;

  explicit position_finder(const options& o) : options_(o), group_pause_(o.backoff) {}

  /// Asks for the committed offset, and where none is committed for the policy's. Each from_… replaces what the partition was
  /// asked before, whatever its generation.
  KAWAIT_DECL void from_committed(const leased& lease);
  /// Asks for the policy's offset: no group, or the position is out of range. `policy` may differ from the configured one.
  KAWAIT_DECL void from_reset(const leased& lease, reset_policy policy);
  KAWAIT_DECL void from_reset(const leased& lease);
  /// The leader refuses this position. It says so too of an epoch that it never had, after an unclean election: if the position has
  /// an epoch, the leader is asked where that ends before the policy speaks.
  KAWAIT_DECL void from_out_of_range(const leased& lease, const offset_and_epoch& position);
  /// Asks for the first offset at or after a time (ms since 1970), or one of list_offsets_request's special times.
  KAWAIT_DECL void from_timestamp(const leased& lease, std::int64_t timestamp);
  /// The same; if no record is that late, for the end. No record of that time is passed over that comes meanwhile.
  KAWAIT_DECL void from_timestamp_or_end(const leased& lease, std::int64_t timestamp);
  /// No answer for the partition is wanted any more.
  KAWAIT_DECL void remove(const topic_id_partition& partition);

  bool empty() const noexcept { return entries_.empty(); }

  /// What to do now. A request counts as sent; a partition that was found, or was not, is forgotten.
  KAWAIT_DECL effect poll(time_point now, const cluster& metadata);

  KAWAIT_DECL void on_offset_fetch(const protocol::offset_fetch_response& response, time_point now, std::uint64_t random_bits);
  /// The OffsetFetch was not answered.
  KAWAIT_DECL void on_offset_fetch_failed(const failure& why, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void on_list_offsets(std::int32_t node, const protocol::list_offsets_response& response, time_point now,
                                   std::uint64_t random_bits);
  /// The ListOffsets to that broker was not answered.
  KAWAIT_DECL void on_list_offsets_failed(std::int32_t node, const failure& why, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void on_epoch_ends(std::int32_t node, const protocol::offset_for_leader_epoch_response& response, time_point now,
                                 std::uint64_t random_bits);
  /// The OffsetForLeaderEpoch to that broker was not answered.
  KAWAIT_DECL void on_epoch_ends_failed(std::int32_t node, const failure& why, time_point now, std::uint64_t random_bits);

 private:
  using request_id = std::uint64_t;  // 0: none
  using answer = std::variant<found, not_found>;

  struct committed {};
  struct by_time {
    std::int64_t timestamp = 0;
    source how = source::reset;
    std::optional<milliseconds> back;     // instead of the timestamp
    bool or_end = false;                  // if no record is that late
    bool asks_end = false;                // none was: the end is asked for, and then the time once more
    std::optional<offset_and_epoch> end;  // as it was before the time was asked for
  };
  struct by_epoch {
    offset_and_epoch refused;
  };
  using question = std::variant<committed, by_time, by_epoch>;

  struct entry {
    leased lease;
    question wanted;
    request_id asked = 0;  // the request in flight for it; an answer to any other is late
    time_point from{};     // not to be asked before
    backoff pause;
    std::optional<answer> ready;

    entry(const leased& l, const question& q, const backoff_options& b) : lease(l), wanted(q), pause(b) {}
  };
  struct sent {
    request_id id;
    std::vector<topic_id_partition> partitions;
    std::map<std::string, uuid, std::less<>> ids;  // all but OffsetFetch from version 10 on answer with names

    template <class Items>
    sent(request_id i, const Items& items) : id(i) {
      for (const auto& item : items) {
        partitions.push_back(item.lease.partition);
        ids.emplace(item.topic, item.lease.partition.topic_id);
      }
    }
  };
  /// One kind of question to one broker.
  struct node_state {
    std::optional<sent> in_flight;
    time_point from{};
    backoff pause;

    explicit node_state(const backoff_options& b) : pause(b) {}
  };
  using node_states = std::map<std::int32_t, node_state>;
  /// What a broker said of one partition.
  struct told {
    kafka_error error;
    offset_and_epoch position;
    std::int64_t timestamp = -1;
  };
  /// The partitions that may be asked for now, and when to look again.
  struct due;

  KAWAIT_DECL void start(const leased& lease, const question& wanted);
  KAWAIT_DECL static question policy_question(reset_policy policy);
  KAWAIT_DECL question reset_question() const;
  KAWAIT_DECL void finish(entry& e, answer a);
  KAWAIT_DECL void retry(entry& e, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL std::optional<effect> next_ready();
  KAWAIT_DECL due find_due(time_point now, const cluster& metadata) const;
  KAWAIT_DECL effect send_committed(std::vector<fetch_committed::item> items);
  /// Of what is asked for at brokers: the request to the first that may be asked now; else `next` is when to look again.
  template <class Request>
  std::optional<effect> send_first(node_states& nodes, std::map<std::int32_t, Request>& requests, time_point now, time_point& next);
  /// The request that this answers is in flight no longer.
  KAWAIT_DECL std::optional<sent> take_sent(node_states& nodes, std::int32_t node);
  KAWAIT_DECL entry* asked_in(const sent& request, const topic_id_partition& partition);
  KAWAIT_DECL void on_committed(entry& e, const told& t, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void on_listed(entry& e, const told& t, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void on_no_offset(entry& e, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void on_epoch_end(entry& e, const told& t, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void on_leader_error(entry& e, const failure& why, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void on_leader_failed(node_states& nodes, std::int32_t node, const failure& why, time_point now,
                                    std::uint64_t random_bits);
  KAWAIT_DECL void on_group_error(const sent& request, const failure& why, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void retry_unanswered(const sent& request, time_point now, std::uint64_t random_bits);
  KAWAIT_DECL void ask_again(const sent& request);
  KAWAIT_DECL void fail_all(const sent& request, const failure& why);

  options options_;
  std::unordered_map<topic_id_partition, entry> entries_;
  std::deque<topic_id_partition> ready_;  // some of them may be removed or started anew since
  request_id next_request_ = 1;

  std::optional<sent> group_request_;
  time_point group_from_{};
  backoff group_pause_;
  node_states lists_;   // ListOffsets
  node_states epochs_;  // OffsetForLeaderEpoch

  bool find_coordinator_ = false;
  bool refresh_ = false;
  time_point refresh_from_{};  // not before it is what is unknown a reason for another refresh

  // Until something is told, the time comes or the cluster changes, poll() has nothing new to say, however many partitions wait.
  bool changed_ = true;
  time_point idle_until_{};
  std::uint64_t seen_version_ = 0;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/position_finder.ipp>
#include <kawait/machine/impl/position_finder_answers.ipp>
#endif
