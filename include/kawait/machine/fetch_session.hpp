#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/protocol/fetch.hpp>

namespace kawait::machine {

namespace detail {

/// Epoch 0 opens a session, so what follows 2^31 - 1 is 1.
inline std::int32_t next_session_epoch(std::int32_t epoch) {
  return epoch == std::numeric_limits<std::int32_t>::max() ? 1 : epoch + 1;
}

}  // namespace detail

/// An incremental fetch session (KIP-227) with one broker: what is wanted of which partition, and what the broker was told of it.
///
/// One request is in flight at a time. The broker keeps the offset that was sent last, and answers with the same bytes again
/// until it is told another: after an answer with records, set() the next offset, or remove() the partition, before next().
///
/// To answer, a broker looks at every partition of the session, also once the answer is full. So while answers are, partitions known to
/// have records wait in line outside of it: what is in the session has enough for two answers.
class fetch_session {
 public:
  struct position {
    std::int64_t offset = 0;
    std::int32_t leader_epoch = -1;        ///< The leader's, as far as known; -1: unknown.
    std::int32_t last_fetched_epoch = -1;  ///< Of the batch before `offset`; lets the broker find a truncation (KIP-595).
    std::int32_t max_bytes = 0;

    position() = default;
    position(std::int64_t o, std::int32_t leader, std::int32_t fetched, std::int32_t bytes)
        : offset(o), leader_epoch(leader), last_fetched_epoch(fetched), max_bytes(bytes) {}

    friend bool operator==(const position&, const position&) = default;
  };

  struct limits {
    std::int32_t max_wait_ms = 500;
    std::int32_t min_bytes = 1;
    std::int32_t max_bytes = 0x7fffffff;
    std::int8_t isolation_level = 0;
    std::string_view rack;  ///< Must outlive the request.

    limits() = default;
    limits(std::int32_t wait, std::int32_t min, std::int32_t max, std::int8_t isolation = 0, std::string_view r = {})
        : max_wait_ms(wait), min_bytes(min), max_bytes(max), isolation_level(isolation), rack(r) {}
  };

  /// What to do with an answer.
  struct verdict {
    enum class kind {
      deliver,   ///< Look at its partitions; asked_offset() tells which of them count.
      absorbed,  ///< The broker lost the session. Nothing is in the answer; the next request opens another, at once.
      failed     ///< `why`; nothing is in the answer. The next request is a full one; back off before it.
    };
    kind what = kind::deliver;
    failure why;

    verdict() = default;
    verdict(kind k, failure f = {}) : what(k), why(std::move(f)) {}
  };

  /// Adds a partition, or changes its position. Costs nothing more for partitions that stay. `has_more`: the log is known to have
  /// records there.
  KAWAIT_DECL void set(const topic_id_partition& partition, const position& wanted, bool has_more = false);
  /// Not to be fetched any more: an answer that is under way is no longer asked for.
  KAWAIT_DECL void remove(const topic_id_partition& partition);

  bool wants_any() const noexcept { return wanted_ > 0; }
  bool wants(const topic_id_partition& partition) const { return find(partition) != nullptr; }
  std::size_t size() const noexcept { return wanted_; }
  bool in_flight() const noexcept { return in_flight_; }
  /// Something was set or removed since the last request.
  bool has_changes() const noexcept { return !changed_.empty(); }

  /// The next request; it counts as sent. Valid until the next call. Not while one is in flight.
  KAWAIT_DECL const protocol::fetch_request& next(const limits& l);

  /// The answer to the last request; asked_offset() speaks of that request until the next one.
  KAWAIT_DECL verdict on_response(const protocol::fetch_response& response);
  /// No answer to the last request will come, or there is a new connection: the next request is a full one, and closes what the
  /// broker may still keep of the old session.
  KAWAIT_DECL void on_disconnected();

  /// The offset for which the broker answers: the one it was sent last. Nothing if the partition was not asked for, or was
  /// removed since. An answer counts if this is still the position.
  KAWAIT_DECL std::optional<std::int64_t> asked_offset(const topic_id_partition& partition) const;

  /// f(partition, asked_offset) for each that has one.
  template <class F>
  void for_each_asked(F f) const {
    for (const slot& s : slots_) {
      if (s.is_wanted && s.is_sent) f(s.partition, s.sent.offset);
    }
  }

  /// Whether f(partition, offset) is true of one that the next request will be about, or of one in line: of those it lets some in.
  template <class F>
  bool any_wanted(F f) const {
    return std::any_of(slots_.begin(), slots_.end(), [&](const slot& s) { return s.is_wanted && f(s.partition, s.wanted.offset); });
  }

  /// The request that closes the session, if the broker has one; its answer is of no interest.
  KAWAIT_DECL std::optional<protocol::fetch_request> closing() const;

  /// A request outside of any session.
  KAWAIT_DECL static protocol::fetch_request one_shot(std::span<const std::pair<topic_id_partition, position>> partitions,
                                                      const limits& l);

 private:
  struct slot {
    topic_id_partition partition;
    position wanted;
    position sent;
    bool is_wanted = false;
    bool is_sent = false;     // the broker has it in the session, or was asked for it by the full request in flight
    bool is_changed = false;  // listed in changed_
    bool is_in_line = false;  // listed in line_, also where it is not wanted any more
    bool has_more = false;
    std::int32_t counted = 0;  // of ready_bytes_
  };
  using index = std::uint32_t;

  KAWAIT_DECL const slot* find(const topic_id_partition& partition) const;
  KAWAIT_DECL index at(const topic_id_partition& partition);
  KAWAIT_DECL void mark_changed(index i);
  KAWAIT_DECL void free_slot(index i);
  KAWAIT_DECL void list_all();
  KAWAIT_DECL void list_changes();
  KAWAIT_DECL void line_up();
  KAWAIT_DECL void let_in();
  KAWAIT_DECL void disperse_line();
  KAWAIT_DECL void count(slot& s);
  KAWAIT_DECL void append(slot& s);
  KAWAIT_DECL void append_forgotten(const topic_id_partition& partition);
  KAWAIT_DECL void clear_request();
  KAWAIT_DECL void note_first_served(const protocol::fetch_response& response);
  KAWAIT_DECL void note_size(const protocol::fetch_response& response);
  KAWAIT_DECL void renew(bool forget_id);

  // Partitions live in slots whose index does not change while they are wanted, so that a request costs what changed.
  std::vector<slot> slots_;
  std::vector<index> free_;
  std::vector<index> changed_;
  std::unordered_map<topic_id_partition, index> by_partition_;
  std::size_t wanted_ = 0;

  // Who has more and is not in the session yet comes in from a line, first come, first served.
  std::deque<index> line_;
  std::vector<index> listed_;     // by the next request
  std::int64_t ready_bytes_ = 0;  // what the broker may send of those in the session that have more
  bool was_full_ = false;         // the last answer

  // The session: an id of 0 is none. Epoch 0: the next request is a full one, and asks for a new session.
  std::int32_t id_ = 0;
  std::int32_t epoch_ = 0;
  bool in_flight_ = false;
  bool full_in_flight_ = false;

  // Full requests list the partitions in this order, from the one behind the first that was served last.
  std::vector<index> order_;
  bool order_is_current_ = false;
  std::optional<topic_id_partition> first_served_;

  // The request, and the storage of the lists within it that the last request did not need.
  protocol::fetch_request request_;
  std::vector<std::vector<protocol::fetch_request::partition>> spare_;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/fetch_session.ipp>
#endif
