#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/core/result.hpp>
#include <kawait/machine/poll_watch.hpp>
#include <kawait/runtime/buffer_pool.hpp>
#include <kawait/runtime/commit_driver.hpp>
#include <kawait/runtime/coordinator_driver.hpp>
#include <kawait/runtime/fetch_scheduler.hpp>
#include <kawait/runtime/group_driver.hpp>
#include <kawait/runtime/lease.hpp>
#include <kawait/runtime/metadata_driver.hpp>
#include <kawait/runtime/options.hpp>
#include <kawait/runtime/partition_stream.hpp>
#include <kawait/runtime/position_driver.hpp>
#include <kawait/runtime/revocation.hpp>
#include <kawait/runtime/serial.hpp>
#include <kawait/runtime/task_group.hpp>

namespace kawait::runtime {

/// How a consumer is read. The first call fixes it.
enum class reading_mode { undecided, handlers, events, batches };

using stream_ptr = std::shared_ptr<partition_stream>;

/// What an exception says, as async_run() tells it.
KAWAIT_DECL failure failure_of(std::exception_ptr thrown);

/// One consumer: wires the drivers of the machines together and keeps the partitions' streams. Everything runs on one executor; the
/// engine lives as long as its last task.
class engine final : public std::enable_shared_from_this<engine>,
                     private stream_host,
                     private fetch_host,
                     private metadata_host,
                     private group_host,
                     private position_host,
                     private release_sink {
  struct passkey {};

 public:
  KAWAIT_DECL static std::shared_ptr<engine> create(asio::any_io_executor executor, options o);
  KAWAIT_DECL engine(passkey, asio::any_io_executor executor, options o);
  KAWAIT_DECL ~engine();

  const asio::any_io_executor& executor() const noexcept { return executor_; }
  const options& settings() const noexcept { return options_; }

  // ---- What to read.
  /// Topics, and those that a pattern of the broker's matches.
  KAWAIT_DECL failure subscribe(std::vector<std::string> names, std::optional<std::string> pattern);
  /// Drains, commits and leaves, and goes on without a subscription. The outcome is that of close().
  KAWAIT_DECL asio::awaitable<failure> unsubscribe(milliseconds timeout);
  KAWAIT_DECL failure assign(std::vector<topic_partition> partitions);

  // ---- Life.
  /// Until closed, stopped or failed.
  KAWAIT_DECL asio::awaitable<failure> run();
  /// Drains, commits, leaves. The outcome tells of a deadline that passed or a commit that failed.
  KAWAIT_DECL asio::awaitable<failure> close(milliseconds timeout, machine::leave_kind kind);
  /// begin_close() only starts it; run() returns when it is over.
  KAWAIT_DECL void begin_close(milliseconds timeout, machine::leave_kind kind = machine::leave_kind::default_);
  /// At once: nothing is committed, nobody is told.
  KAWAIT_DECL void stop(failure why);
  /// The same, of what was thrown where nobody can be told of it but by the consumer's end. Also release_sink's.
  KAWAIT_DECL void on_failed(std::exception_ptr thrown) override;
  bool is_over() const noexcept { return std::holds_alternative<over>(state_); }
  /// What a call that the end has cut short fails with. Only when it is over.
  failure why_over() const {
    const failure& why = std::get<over>(state_).why;
    return why ? why : failure(errc::closed);
  }

  // ---- Reading.
  KAWAIT_DECL failure enter(reading_mode mode);
  KAWAIT_DECL void set_listener(assignment_listener* listener);
  /// The next batch of a partition; none when the stream has ended, or, if so wanted, at the log's end.
  KAWAIT_DECL asio::awaitable<result<std::unique_ptr<lease>>> next(stream_ptr stream, bool or_end);
  KAWAIT_DECL result<std::unique_ptr<lease>> try_next(partition_stream& stream);
  /// Of what was released so far, also in the line before: a batch that does not decode takes the position back.
  KAWAIT_DECL std::optional<std::int64_t> position(const partition_stream& stream);
  /// Until try_next would give something, or the end.
  KAWAIT_DECL asio::awaitable<failure> wait(stream_ptr stream);
  /// The next batch of any partition.
  KAWAIT_DECL asio::awaitable<result<std::unique_ptr<lease>>> next_of_any();
  KAWAIT_DECL asio::awaitable<result<assignment_change>> next_change();
  KAWAIT_DECL asio::awaitable<failure> unassign(std::shared_ptr<revocation_state> revocation);
  KAWAIT_DECL std::vector<stream_ptr> assignment() const;
  /// Also one that is being given up, as long as it may be committed.
  KAWAIT_DECL stream_ptr find(const topic_partition& name) const;

  // ---- Commits.
  /// What is done and not committed. What a commit under way covers is settled first.
  KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> commit_all_done(std::vector<stream_ptr> streams,
                                                                                    net::time_point deadline);
  KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> commit_offsets(std::vector<machine::commit_item> items,
                                                                                   net::time_point deadline);
  struct committed_offset {
    topic_partition partition;
    offset_and_epoch offset;
    std::string metadata;

    committed_offset(topic_partition p, const offset_and_epoch& o, std::string m)
        : partition(std::move(p)), offset(o), metadata(std::move(m)) {}
  };
  using committed_offsets = std::vector<committed_offset>;
  /// Repeated until default.api.timeout.ms has passed.
  KAWAIT_DECL asio::awaitable<result<committed_offsets>> committed(std::vector<topic_partition> partitions);
  /// Offsets by time of any partitions, each named once: the leaders' answers, in their order. Repeated until default.api.timeout.ms
  /// has passed. Needs no run().
  KAWAIT_DECL asio::awaitable<result<position_driver::answers>> find_offsets(std::vector<machine::offset_query::wish> wishes);
  net::time_point api_deadline() { return environment_.now() + options_.default_api_timeout; }

  buffer_pool& buffers() noexcept { return buffers_; }
  std::string member_id() const { return group_ ? group_->membership().member_id() : std::string(); }
  std::int32_t member_epoch() const { return group_ ? group_->membership().member_epoch() : -1; }
  /// "joining", "stable", ...; empty without a group.
  std::string_view membership_state() const { return group_ ? group_->membership().state_name() : std::string_view(); }
  failure last_warning;  ///< What went wrong and is being retried or seen to, newest; for words of time-outs.
  KAWAIT_DECL void warn(failure why);

 private:
  // --- Life. What is assigned without a group has no membership to leave.
  struct created {};
  struct running {
    net::time_point since;
    bool reached = false;  // a broker has answered: Metadata, or a heartbeat
  };
  struct closing {
    net::time_point drain_deadline, deadline;  // of who is in the greatest hurry
  };
  struct over {
    failure why;
  };

  // --- stream_host
  KAWAIT_DECL void on_first_read(partition_stream&) override;
  KAWAIT_DECL void on_seek(partition_stream&) override;
  KAWAIT_DECL void on_demand(partition_stream&) override;
  KAWAIT_DECL void on_readable(partition_stream&) override;
  KAWAIT_DECL void on_out_of_range(partition_stream&, const offset_and_epoch& position) override;
  // --- fetch_host
  KAWAIT_DECL stream_ptr find_stream(const topic_id_partition&) override;
  KAWAIT_DECL void on_fetch_error(partition_stream&, const partition_data&, std::int32_t node) override;
  KAWAIT_DECL void on_node_failed(std::int32_t node) override;
  KAWAIT_DECL void on_node_endpoints(const protocol::fetch_response&) override;
  KAWAIT_DECL void on_fetch_answered(partition_stream&) override;
  KAWAIT_DECL void refresh_metadata() override;
  const std::list<partition_stream*>& awaiting_end() const noexcept override { return awaiting_end_; }
  // --- metadata_host
  KAWAIT_DECL void on_metadata() override;
  KAWAIT_DECL void on_cluster_unreachable(failure why) override;
  // --- group_host
  KAWAIT_DECL void on_assigned(const machine::assign_partitions&) override;
  KAWAIT_DECL void on_revoked(const machine::revoke_partitions&) override;
  KAWAIT_DECL void on_abandoned(const machine::abandon_partitions&) override;
  KAWAIT_DECL void on_lost(const machine::lose_partitions&) override;
  KAWAIT_DECL void on_unresolved(const std::vector<uuid>&) override;
  KAWAIT_DECL void on_group_warning(const failure&) override;
  KAWAIT_DECL void on_group_failed(const failure&) override;
  KAWAIT_DECL void on_left() override;
  KAWAIT_DECL void on_heartbeat_answered(const heartbeat_sight&) override;
  KAWAIT_DECL void on_group_unreachable(const failure&) override;
  // --- position_host
  KAWAIT_DECL void on_position_found(const machine::position_finder::found&) override;
  KAWAIT_DECL void on_position_not_found(const machine::position_finder::not_found&) override;
  // --- release_sink
  KAWAIT_DECL void on_marked(lease&) override;
  KAWAIT_DECL void on_released(lease&) override;

  // --- What is subscribed (impl/engine_subscription.ipp).
  /// On the way out of the group to stay alive without it.
  struct departure {
    net::time_point drain_deadline;
    failure outcome;
    bool has_left = false;
  };
  KAWAIT_DECL void on_subscription_changed(std::vector<std::string> names);
  KAWAIT_DECL void on_subscription_denied(const failure& why);
  KAWAIT_DECL void ask_for_subscribed();
  KAWAIT_DECL void check_subscription();
  KAWAIT_DECL asio::awaitable<void> watch_departure(std::shared_ptr<departure> one);
  // --- Who listens hears of it (impl/engine_observed.ipp).
  KAWAIT_DECL void tell_assigned(const std::vector<stream_ptr>& streams, std::int32_t member_epoch) const;
  KAWAIT_DECL void tell_revoked(const std::vector<stream_ptr>& streams, net::time_point deadline) const;
  KAWAIT_DECL void tell_drained(const revocation_state& revocation, const partition_stream& stream, const failure& outcome) const;
  KAWAIT_DECL void tell_lost(const std::vector<stream_ptr>& streams, const failure& reason) const;
  KAWAIT_DECL void tell_committed(const std::vector<machine::commit_outcome>& outcomes, net::time_point began) const;
  KAWAIT_DECL void tell_delivered(const partition_stream& stream, const lease& l) const;
  // --- Life (impl/engine.ipp).
  KAWAIT_DECL void note_drain_failure(const failure& why);
  KAWAIT_DECL void start();
  KAWAIT_DECL void start_metadata();
  KAWAIT_DECL void finish(failure why);
  KAWAIT_DECL void finish(failure why, end_reason ended);
  KAWAIT_DECL void end_all(end_reason why, const failure& error);
  KAWAIT_DECL void end_untold(partition_stream& stream, end_reason why) noexcept;
  KAWAIT_DECL void close_by(milliseconds timeout, machine::leave_kind kind);
  KAWAIT_DECL asio::awaitable<void> watch_close(net::time_point drain_deadline, net::time_point deadline);
  KAWAIT_DECL asio::awaitable<void> close_assigned(net::time_point drain_deadline);
  KAWAIT_DECL asio::awaitable<void> say_goodbye(failure why);
  KAWAIT_DECL asio::awaitable<void> commit_by_time();
  KAWAIT_DECL void warn_of_commits(const std::vector<machine::commit_outcome>& outcomes);
  // --- max.poll.interval.ms (impl/engine_watch.ipp).
  struct stalled_work {
    stream_ptr stream;
    std::uint64_t activity = 0;
    bool has_work = false;
  };
  KAWAIT_DECL std::uint64_t activity_of(const partition_stream& stream) const noexcept;
  enum class loss_word { untold, told, answered };
  KAWAIT_DECL void note_asked_on() noexcept;
  KAWAIT_DECL stream_ptr worked_on(const stream_ptr& stream) const;
  KAWAIT_DECL asio::awaitable<void> watch_application();
  KAWAIT_DECL void stall(const std::vector<machine::leased>& overdue);
  KAWAIT_DECL bool has_stalled_moved() const;
  KAWAIT_DECL void on_application_moved() noexcept;
  KAWAIT_DECL void resolve_assigned();
  KAWAIT_DECL asio::awaitable<void> look_for_assigned();
  // --- What fetchers find (impl/engine_hosts.ipp).
  KAWAIT_DECL void on_truncated(partition_stream& stream, const offset_and_epoch& end);
  KAWAIT_DECL void on_sent_away(partition_stream& stream, std::int32_t node, std::int32_t follower);
  // --- Commits (impl/engine_commits.ipp).
  using awaited_commits = std::vector<std::pair<stream_ptr, offset_and_epoch>>;  // and the offset that each is to have committed
  using sent_commits = std::vector<std::pair<stream_ptr, machine::offset_tracker::commit_id>>;
  KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> commit_done(std::vector<stream_ptr> streams, net::time_point deadline);
  KAWAIT_DECL void warn_of_hole(partition_stream& stream);
  KAWAIT_DECL asio::awaitable<awaited_commits> commits_settled(std::vector<stream_ptr> streams, net::time_point deadline);
  KAWAIT_DECL void settle(const sent_commits& sent, const std::vector<machine::commit_outcome>& outcomes);
  KAWAIT_DECL asio::awaitable<result<committed_offsets>> ask_committed(std::vector<topic_partition> partitions,
                                                                       net::time_point deadline);
  // --- Streams (impl/engine_streams.ipp).
  KAWAIT_DECL stream_ptr add_stream(const machine::leased& id, std::string topic);
  KAWAIT_DECL void announce(std::vector<stream_ptr> streams);
  KAWAIT_DECL void publish(assignment_change change);
  KAWAIT_DECL void drop_untold();
  KAWAIT_DECL asio::awaitable<void> announce_after(stream_ptr predecessor, stream_ptr stream);
  KAWAIT_DECL stream_ptr newest_retired(const topic_id_partition& partition) const;
  KAWAIT_DECL void retire(const stream_ptr& stream);
  KAWAIT_DECL asio::awaitable<void> forget_retired(stream_ptr stream);
  KAWAIT_DECL void on_assignment_changed();
  KAWAIT_DECL void share_quotas();
  KAWAIT_DECL void want_topics();
  KAWAIT_DECL void list_ready(partition_stream& stream);
  KAWAIT_DECL result<std::unique_ptr<lease>> take_listed(partition_stream& stream);
  KAWAIT_DECL void end_stream(partition_stream& stream, end_reason why, const failure& error);
  KAWAIT_DECL asio::awaitable<void> drain(std::shared_ptr<revocation_state> revocation);
  KAWAIT_DECL asio::awaitable<void> commit_at_once(std::shared_ptr<revocation_state> revocation);
  KAWAIT_DECL asio::awaitable<void> drain_partition(std::shared_ptr<revocation_state> revocation, stream_ptr stream);
  KAWAIT_DECL void give_up(partition_stream& stream);
  KAWAIT_DECL bool is_at_stake(partition_stream& stream) const;
  KAWAIT_DECL void warn_of_held(const revocation_state& revocation);
  KAWAIT_DECL void start_drains();
  KAWAIT_DECL void start_lost_drains();
  KAWAIT_DECL hand_out_context hand_out();

  serial serial_;
  asio::any_io_executor executor_;
  options options_;
  net::environment& environment_;
  buffer_pool buffers_;
  wire::decompressor codecs_;
  std::shared_ptr<release_queue> releases_;
  task_group tasks_;
  net::broker_pool brokers_;
  metadata_driver metadata_;
  coordinator_driver coordinator_;
  commit_driver commits_;
  position_driver positions_;
  fetch_scheduler fetches_;
  std::unique_ptr<group_driver> group_;  // subscribed; else assigned

  std::variant<created, running, closing, over> state_;
  std::vector<std::string> subscribed_;          // by name
  std::map<std::string, kafka_error> troubled_;  // those of them that are not there or denied, as the user was told
  failure denial_;                               // of the group, which does not say which topics: the metadata will
  std::shared_ptr<departure> departure_;         // under way
  bool asks_metadata_ = false;
  std::vector<topic_partition> assigned_names_;  // by assign(): those whose topic id is not known yet
  std::uint64_t assigned_generation_ = 0;
  reading_mode mode_ = reading_mode::undecided;
  assignment_listener* listener_ = nullptr;

  std::unordered_map<topic_id_partition, stream_ptr> streams_;   // ours, draining ones included
  std::unordered_multimap<topic_id_partition, stream_ptr> retired_;  // not ours any more, with work still in hand
  std::set<uuid> unresolved_;                                    // assigned to us by id, name not known yet
  std::deque<stream_ptr> ready_;
  std::deque<assignment_change> changes_;
  failure close_outcome_;
  std::uint64_t reads_of_any_ = 0;  // calls of next_of_any()
  std::list<partition_stream*> awaiting_end_;  // their readers wait for records or the end
  loss_word loss_ = loss_word::untold;  // of what stalled_ names, by an event
  std::vector<stalled_work> stalled_;  // why we left the group, until one of them moves
  net::condition moved_;      // one of them has
  net::condition over_;       // run() and close() wait for it
  net::condition left_;       // unsubscribe() does
  net::condition readable_;   // next_of_any()
  net::condition changed_;    // next_change()
  net::condition committed_;  // a commit was answered
  net::timer commit_timer_;
  std::vector<std::weak_ptr<revocation_state>> revocations_;  // under way
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/engine.ipp>
#include <kawait/runtime/impl/engine_subscription.ipp>
#include <kawait/runtime/impl/engine_hosts.ipp>
#include <kawait/runtime/impl/engine_streams.ipp>
#include <kawait/runtime/impl/engine_reading.ipp>
#include <kawait/runtime/impl/engine_commits.ipp>
#include <kawait/runtime/impl/engine_watch.ipp>
#include <kawait/runtime/impl/engine_observed.ipp>
#endif
