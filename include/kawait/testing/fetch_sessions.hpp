#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include <kawait/core/kafka_error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/machine/time.hpp>
#include <kawait/testing/messages/fetch.hpp>

namespace kawait::testing {

/// What a fetch wants of one partition.
struct fetch_wish {
  topic_id_partition partition;
  std::int64_t fetch_offset = 0;
  std::int32_t current_leader_epoch = -1;
  std::int32_t last_fetched_epoch = -1;
  std::int32_t max_bytes = 0;
};

/// The broker's side of incremental fetch sessions (KIP-227), one object a broker. Pure: time and random bits are arguments.
///
///     fetch_sessions::context c = sessions.begin(now, id, epoch, uses_ids, wishes, forgotten);
///     // read what c.wishes says, in that order; sessions.grant(c, ...); then, for each response,
///     if (sessions.must_answer(c, partition, response)) ... it goes into the answer
///     // c.session_id is the answer's
class fetch_sessions {
 public:
  /// As max.incremental.fetch.session.cache.slots; 0 grants no session ever.
  explicit fetch_sessions(std::size_t slots = 1000) : slots_(slots) {}

  enum class kind {
    error,        ///< The answer is context::error alone.
    sessionless,  ///< Everything is answered; no session.
    full,         ///< Everything is answered, and a session granted if there is room.
    incremental   ///< Only what changed is answered.
  };
  struct context {
    fetch_sessions::kind kind = kind::sessionless;
    kafka_error error = kafka_error::none;
    std::int32_t session_id = 0;  ///< That the answer bears.
    std::vector<fetch_wish> wishes;  ///< In the order of service.
  };
  using response = messages::fetch_response::partition;

  /// A request arrived. `uses_ids`: its version names topics by id; a session keeps to one of both.
  KAWAIT_DECL context begin(machine::time_point now, std::int32_t session_id, std::int32_t session_epoch, bool uses_ids,
                            std::vector<fetch_wish> wishes, const std::vector<topic_id_partition>& forgotten);
  /// Grants the session of a full request before its responses are shown to must_answer(); `random` makes its id.
  KAWAIT_DECL void grant(context& c, machine::time_point now, bool uses_ids, const std::function<std::uint64_t()>& random);
  /// Whether the partition's response belongs into the answer; the session remembers what was answered.
  KAWAIT_DECL bool must_answer(context& c, const topic_id_partition& partition, const response& r);

  /// Meddling: the broker forgets a session (or all of them), as when the cache is full or the broker was restarted.
  void evict(std::int32_t session_id) { sessions_.erase(session_id); }
  void evict_all() { sessions_.clear(); }
  std::size_t size() const noexcept { return sessions_.size(); }

 private:
  struct cached {
    fetch_wish wish;
    std::int64_t high_watermark = -1;
    std::int64_t log_start_offset = -1;
  };
  struct session {
    std::int32_t epoch = 1;  // that the next request must have
    bool uses_ids = true;
    machine::time_point last_used;
    std::list<cached> partitions;  // in the order of service
    std::map<topic_id_partition, std::list<cached>::iterator> index;
  };

  KAWAIT_DECL bool make_room(machine::time_point now);
  KAWAIT_DECL static void update(session& s, const std::vector<fetch_wish>& wishes,
                                 const std::vector<topic_id_partition>& forgotten);

  std::size_t slots_;
  std::map<std::int32_t, session> sessions_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/fetch_sessions.ipp>
#endif
