#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/machine/backoff.hpp>
#include <kawait/machine/fetch_session.hpp>
#include <kawait/net/broker_pool.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/runtime/buffer_pool.hpp>
#include <kawait/runtime/options.hpp>
#include <kawait/runtime/partition_stream.hpp>
#include <kawait/runtime/task_group.hpp>

namespace kawait::runtime {

/// What a fetcher asks and tells the engine. Consumer's executor.
class fetch_host {
 public:
  using partition_data = protocol::fetch_response::partition;

  /// The live stream of a partition, or nullptr.
  virtual std::shared_ptr<partition_stream> find_stream(const topic_id_partition&) = 0;
  /// A partition's error, a diverging epoch, or the follower to fetch from, told by `node`; what was asked for is still its position.
  virtual void on_fetch_error(partition_stream&, const partition_data&, std::int32_t node) = 0;
  /// The node was not reached, or did not answer.
  virtual void on_node_failed(std::int32_t node) = 0;
  /// Addresses of leaders named in partition errors (KIP-951).
  virtual void on_node_endpoints(const protocol::fetch_response&) = 0;
  /// The partition's data was queued or dropped: its place in the fetch sessions is to be looked at again.
  virtual void on_fetch_answered(partition_stream&) = 0;
  virtual void refresh_metadata() = 0;
  /// Those whose readers wait for the end.
  virtual const std::list<partition_stream*>& awaiting_end() const noexcept = 0;

 protected:
  ~fetch_host() = default;
};

/// What all fetchers of a consumer share: the buffer budget and the limits of a request.
class fetch_budget {
 public:
  fetch_budget(const asio::any_io_executor& executor, const options& o, buffer_pool& pool)
      : options_(o), pool_(pool), room_(executor) {}

  /// Who sends requests, one after another. Where there is room for one only, it goes round: whoever has just been answered is there
  /// first to ask again, and would keep the others out for as long as the buffer is full.
  class sender {
   public:
    explicit sender(fetch_budget& budget) noexcept : budget_(budget) {}
    sender(const sender&) = delete;
    sender& operator=(const sender&) = delete;
    ~sender() { leave(); }

    /// Whether a request may leave now. One always may: it is the documented head-room, and a stalled partition must not stop the rest.
    bool has_room() const noexcept { return budget_.fits() && (budget_.line_.empty() || budget_.line_.front() == this); }
    /// In line, until something has changed; has_room() may be false still.
    KAWAIT_DECL asio::awaitable<void> async_wait_room();
    /// Has nothing to send after all.
    KAWAIT_DECL void leave();
    KAWAIT_DECL void on_sent();

   private:
    fetch_budget& budget_;
  };

  /// The most that one response may bring of records; so that those of all fetchers together stay within half the budget.
  KAWAIT_DECL std::size_t response_limit() const noexcept;
  void on_answered() {
    --in_flight_;
    on_released();
  }
  /// Something of the buffer may be free again, or the waiters have something else to look at.
  void on_released() {
    if (std::exchange(is_awaited_, false)) room_.notify_all();
  }
  buffer_pool& pool() noexcept { return pool_; }
  std::size_t fetchers = 0;

 private:
  KAWAIT_DECL bool fits() const noexcept;

  const options& options_;
  buffer_pool& pool_;
  net::condition room_;
  std::vector<const sender*> line_;
  bool is_awaited_ = false;
  std::size_t in_flight_ = 0;
};

/// Fetches from one broker: a coroutine over the broker's fetch session (KIP-227), and at times a second, sessionless request beside
/// it. A partition that is assigned, sought or resumed while the session's request is parked at the broker would wait for as long as
/// fetch.max.wait.ms: it is served at once by a request with no wait on the other connection, and joins the session afterwards,
/// or is asked for again if others have filled the answer. A request that will bring what is known to be there already is not parked, and
/// what comes late waits for the next.
class fetcher {
 public:
  KAWAIT_DECL fetcher(asio::any_io_executor executor, task_group& tasks, std::int32_t node, net::broker_pool& brokers,
                      fetch_budget& budget, fetch_host& host, const options& o);

  /// Fetch it from `position` on, where the log is known to have records, or not.
  KAWAIT_DECL void set(const topic_id_partition& partition, const machine::fetch_session::position& position, bool has_more);
  /// Fetch it no more.
  KAWAIT_DECL void remove(const topic_id_partition& partition);

  /// Until stop(). Failures are the network's and are retried.
  KAWAIT_DECL asio::awaitable<void> run();
  KAWAIT_DECL void stop();
  /// Tells the broker that the session is over, best effort.
  KAWAIT_DECL asio::awaitable<void> close_session();

 private:
  using asked_partition = std::pair<topic_id_partition, machine::fetch_session::position>;
  struct urgent_partition {
    machine::fetch_session::position wanted;
    std::uint64_t turn = 0;  // requests name them in this order, of which an answer brings the first as far as they fit

    urgent_partition(const machine::fetch_session::position& w, std::uint64_t t) : wanted(w), turn(t) {}
  };

  KAWAIT_DECL machine::fetch_session::limits limits(std::int32_t max_wait_ms, std::int32_t min_bytes) const;
  /// The session's request waits at the broker for records to come.
  bool is_parked() const noexcept { return session_.in_flight() && !answers_at_once_; }
  /// What was asked for beside the session is about to be answered, and then joins the session's next request. Would that leave before,
  /// it would be parked again without it; and so on, for as long as there is more than an answer brings. Not for long: the other
  /// connection may hang.
  bool has_joiners() const noexcept { return environment_.now() < joiners_until_; }
  KAWAIT_DECL bool was_served(const topic_id_partition& partition, std::int64_t offset) const;
  KAWAIT_DECL asio::awaitable<void> pause_after_failure();
  KAWAIT_DECL asio::awaitable<void> fetch_once();
  KAWAIT_DECL asio::awaitable<void> serve_urgent();
  KAWAIT_DECL std::vector<asked_partition> urgent_ones() const;
  KAWAIT_DECL bool has_more(const topic_id_partition& partition, std::int64_t offset) const;
  /// The first of them of which the answer has brought records, or how many there are.
  KAWAIT_DECL asio::awaitable<std::size_t> fetch_urgent(std::shared_ptr<net::connection> connection,
                                                        std::vector<asked_partition> asked);
  KAWAIT_DECL void tell_fetched(const result<net::answer<protocol::fetch_request>>& answer, net::time_point sent) const;
  /// Of `one_shot` the first that it has records of, or the size.
  KAWAIT_DECL std::size_t deliver(const protocol::fetch_response& response, const wire::slab_ref& buffer,
                                  std::span<const asked_partition> one_shot);
  KAWAIT_DECL void deliver_partition(partition_stream& stream, const fetch_host::partition_data& data, const wire::slab_ref& buffer);
  static bool says_no(const fetch_host::partition_data& data) noexcept {
    return data.error_code != 0 || data.diverging_epoch.end_offset >= 0 || data.preferred_read_replica >= 0;
  }
  KAWAIT_DECL bool knows_of_more() const;
  KAWAIT_DECL void look_for_ends(const protocol::fetch_response& response, std::span<const asked_partition> one_shot);

  task_group& tasks_;
  net::environment& environment_;
  std::int32_t node_;
  net::broker_pool& brokers_;
  fetch_budget& budget_;
  fetch_budget::sender session_sender_, urgent_sender_;
  fetch_host& host_;
  const options& options_;
  machine::fetch_session session_;
  machine::backoff backoff_;
  std::unordered_map<topic_id_partition, urgent_partition> urgent_;
  std::unordered_map<topic_id_partition, std::int64_t> served_;  // urgent ones, and at which offset, since the request in flight left
  std::uint64_t last_turn_ = 0;
  net::time_point joiners_until_{};
  bool serving_urgent_ = false;
  bool answers_at_once_ = false;
  bool more_is_known_ = false;  // behind what the last answer brought
  bool stopped_ = false;
  net::condition changed_;
  net::condition stopping_;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/fetcher.ipp>
#endif
