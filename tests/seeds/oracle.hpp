#pragma once

// Holds a run against the invariants: what consumers say (observer), what handlers get and do, what arrives at the broker.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/consumer.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/world.hpp>

#include "invariants.hpp"
#include "ledger.hpp"
#include "plan.hpp"

namespace seeds {

using time_point = kawait::net::time_point;

/// One partition's stay with one consumer, from `assigned` to the end.
struct ownership {
  enum class phase { owned, revoking, over };

  kawait::topic_partition name;
  std::optional<kawait::topic_id_partition> where;  ///< As the cluster had it then.
  phase at = phase::owned;
  std::int32_t epoch = -1;  ///< At which it was assigned.
  time_point since{}, revoked{}, ended{};
  bool acknowledged = false;  ///< A heartbeat has said so when it was over.
  time_point due{};         ///< Before that work that is in hand need not be given up.
  bool asked_offset = false;
  bool sought = false;      ///< The next delivery begins wherever it likes.
  bool began = false;       ///< There was a delivery.
  std::uint64_t turn = 0;   ///< Counts seeks and resets: what was handed out before no longer counts for commits.
  std::uint64_t resets = 0, seen_resets = 0;  ///< That the consumer has told, and had at the last delivery.
  time_point turned{};
  std::int64_t base = -1, next = -1;   ///< What was handed out in this turn.
  std::int64_t lowest = -1, highest = -1;  ///< In all turns.
  std::map<std::int64_t, std::int64_t> done;  ///< [from, to), merged.
  std::int64_t committed = -1;         ///< The last that was asked for.
  int in_hand = 0;
  std::map<std::string, std::int64_t> handled;  ///< By key: the last record that a handler was given.

  bool is_live() const noexcept { return at != phase::over; }
  /// What is delivered next begins elsewhere, and that was told.
  bool is_reset() const noexcept { return resets != seen_resets; }
  void mark(std::int64_t from, std::int64_t to);
  bool is_done(std::int64_t offset) const;
};

/// What a handler holds of a partition.
struct holding {
  std::shared_ptr<ownership> of;
  std::uint64_t turn = 0;
  std::vector<entry*> seen;
};

/// One consumer, which is one life of a member.
struct client {
  std::string name;
  bool manual = false;
  bool reads_itself = false;      ///< No handler of for_each_* has to return.
  bool closing = false;
  std::optional<bool> only_of_gone;  ///< What failed in closing: whether all of it were commits of topics that are deleted.
  std::string id;                 ///< Of the member.
  std::vector<std::shared_ptr<ownership>> owned;
  std::map<std::pair<kawait::topic_id_partition, std::string>, int> handlers;
  time_point since{};
  std::optional<time_point> last_heartbeat;
  time_point closes = time_point::max();  ///< Closing or unsubscribing, what is in hand may be given up then.
  std::optional<time_point> fenced;  ///< It was told so.
  /// Work was in hand of a partition that was given up or lost: what it holds is in nobody's share of the buffers any more.
  bool left_work = false;
  std::size_t assignments = 0;
  std::int64_t second = -1;
  int requests_in_second = 0;
  kawait::consumer* consumer = nullptr;  ///< While there is one.

  void end(ownership& o, time_point now);
  ownership* live(const kawait::topic_partition& p) const;
  std::shared_ptr<ownership> newest(const kawait::topic_partition& p) const;
};

class oracle {
 public:
  oracle(kawait::testing::world& w, kawait::testing::broker& b, const plan& p);
  oracle(const oracle&) = delete;
  oracle& operator=(const oracle&) = delete;

  ledger& book_of_records() noexcept { return ledger_; }
  const std::vector<violation>& violations() const noexcept { return violations_; }
  const std::map<std::string, std::size_t>& reached() const noexcept { return reached_; }
  void fail(invariant i, std::string words);
  void reach(std::string what) { ++reached_[std::move(what)]; }
  void note(std::string_view who, std::string_view what);

  // --- Consumers.
  client& add_client(std::string name, const member_plan& p);
  std::shared_ptr<kawait::observer> watch(client& c);
  /// Something of it (a read, the consumer) has failed: there must be a reason.
  void check_survives(const client& c, std::string_view what, std::error_code why);
  /// Its buffers have kept to their budget.
  void check_buffers(const client& c);
  /// It has closed: nothing is buffered any more but what is in hand.
  void check_given_back(const client& c);
  /// The consumer is about to be destroyed, or has been.
  void on_gone(client& c);

  // --- Handlers.
  holding take(client& c, const kawait::topic_partition& p, std::int64_t first, std::int64_t next);
  void saw(client& c, holding& h, const kawait::topic_id_partition& where, const kawait::record& r);
  /// Nothing of what the batch spans was left out.
  void check_whole(client& c, const holding& h, const kawait::topic_id_partition& where, std::int64_t from, std::int64_t to);
  void done(const holding& h, std::int64_t from, std::int64_t to);
  /// A handler threw, and the policy skips.
  void on_skipped(client& c, const kawait::topic_partition& p, std::int64_t from, std::int64_t to);
  void release(const holding& h) { --h.of->in_hand; }
  /// Nothing new is begun of what is given up.
  void check_begins(const client& c, const holding& h, std::int64_t offset);
  /// Of one key, or all of the partition, offsets ascend.
  void check_order(const client& c, const holding& h, const std::string& key, std::int64_t offset);
  void on_seek(client& c, const kawait::topic_id_partition& where, std::optional<std::int64_t> from, std::int64_t to);
  /// One at a time for a partition, or for each key of it.
  void on_handler(client& c, const kawait::topic_id_partition& where, const std::string& key, int change);

  // --- The broker.
  void on_request(const kawait::testing::request_view& v);
  /// An answer of this connection was spoilt: it is to be closed.
  void expect_close(std::uint64_t connection) { doomed_.emplace(connection, world_.now()); }
  /// Empty until it has joined.
  std::string member_id_of(std::string_view client);
  /// A commit over this connection is never answered.
  void on_unanswered(const kawait::testing::request_view& v);
  /// Now and then.
  void sample();
  /// Everything that is wanted is done, and committed. Else what is not. What was done before a seek, or by a member that commits by
  /// hand, need not be committed, unless `strictly`.
  std::optional<std::string> unsettled(bool strictly);
  /// Who is alive, and has not been heard of for so long.
  std::optional<std::string> silent(std::chrono::milliseconds within) const;

 private:
  class watcher;
  struct unanswered {
    std::uint64_t connection = 0;
    const client* who = nullptr;
    time_point sent{};
    std::set<kawait::topic_partition> partitions;
  };
  struct suspicion {
    kawait::topic_partition name;
    std::int64_t offset;
    std::string who, owner;
  };
  struct heir {
    kawait::topic_partition name;
    std::int64_t offset;
    bool is_late;  ///< Of this topic, but given up long ago: it may be behind newer ones.
  };
  struct asked_commit {
    kawait::topic_partition name;
    std::optional<kawait::topic_id_partition> where;  ///< That it was meant for.
    std::int64_t offset;
    time_point at;
    std::uint64_t connection;
    bool is_by_name;
  };

  // What the observer tells (oracle_consumers.cpp).
  void on_assigned(client& c, const kawait::observer::assigned& e);
  void on_revoked(client& c, const kawait::observer::revoked& e);
  void on_drained(client& c, const kawait::observer::drained& e);
  void on_lost(client& c, const kawait::observer::lost& e);
  void on_delivered(client& c, const kawait::observer::delivered& e);
  void on_reset(client& c, std::string_view words);
  void check_deadline(const client& c, const ownership& o, time_point ended);
  void check_delivered(client& c, ownership& o, const kawait::observer::delivered& e);
  void begin_turn(ownership& o, std::int64_t at);

  // What arrives (oracle_requests.cpp).
  client* find_client(std::string_view name);
  void on_heartbeat(client& c, const kawait::testing::request_view& v);
  void on_commit(client& c, const kawait::testing::request_view& v);
  /// A commit that names no topic id may be of an earlier topic of the name. The broker may refuse it, which is seen at the next sample.
  void note_heir(const client& c, const kawait::topic_partition& p, std::int64_t offset);
  void check_unanswered(const client& c, const kawait::testing::request_view& v, const std::set<kawait::topic_partition>& said);
  enum class served { in_time, late };  // late: who sent it has given it up
  void check_commit(client& c, const kawait::topic_partition& p, std::int64_t offset, std::int32_t epoch, time_point sent, served how);
  void on_fetch(client& c, const kawait::testing::request_view& v);
  void on_list_offsets(client& c, const kawait::testing::request_view& v);
  void on_offset_fetch(client& c, const kawait::testing::request_view& v);
  void check_pace(client& c, const kawait::testing::request_view& v);

  // What has become of it.
  const book* book_of(const ownership& o) { return o.where ? ledger_.find(*o.where) : nullptr; }
  /// Its offsets mean what they meant.
  bool is_sound(const book* b) const;
  void check_committed();
  void on_moved_back(book& b, std::int64_t from, std::int64_t to);
  bool was_given_up(const kawait::topic_partition& p, std::int64_t offset) const;
  /// By name, for a topic that is gone, and served late.
  bool was_of_another(const kawait::topic_id_partition& where, const kawait::topic_partition& p, std::int64_t offset) const;
  void check_owners();
  void check_deadlines();
  void check_attempts();
  std::chrono::milliseconds lag() const { return lag_; }

  kawait::testing::world& world_;
  kawait::testing::broker& broker_;
  const plan& plan_;
  ledger ledger_;
  bool prompt_;   ///< What arrives was sent at the same time.
  std::chrono::milliseconds lag_;
  bool served_in_time_;  ///< A request that has arrived is served before its client gives it up.
  bool calm_;     ///< Nothing goes wrong that is not ours.
  std::size_t head_room_;
  bool has_manual_ = false;  ///< Who commits by hand does not try again what failed.
  std::vector<std::unique_ptr<client>> clients_;
  std::vector<violation> violations_;
  std::map<std::string, std::size_t> reached_;
  std::size_t attempts_ = 0;  ///< To connect, up to the last sample.
  std::map<std::uint64_t, time_point> doomed_;
  std::vector<unanswered> unanswered_;
  std::vector<suspicion> suspicions_;
  std::vector<heir> heirs_;
  std::deque<asked_commit> asked_;  ///< With requests that are served late: the last of them.
  std::map<kawait::topic_id_partition, std::int64_t> checked_;  ///< Below it every record was found to be done.
  std::map<std::pair<std::string, std::int32_t>, std::set<kawait::topic_id_partition>> sessions_;
};

inline constexpr const char* group = "g";
inline constexpr std::size_t fetch_buffer_bytes = std::size_t{1} << 20, decompression_limit = std::size_t{1} << 20;
inline constexpr std::chrono::milliseconds rebalance_timeout{6000}, request_timeout{4000}, api_timeout{10'000};
inline constexpr std::chrono::milliseconds revocation_time = rebalance_timeout * 9 / 10;

}  // namespace seeds
