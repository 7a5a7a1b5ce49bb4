#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/batch.hpp>
#include <kawait/close_options.hpp>
#include <kawait/config.hpp>
#include <kawait/event.hpp>
#include <kawait/offsets.hpp>
#include <kawait/partition.hpp>

namespace kawait {

/// A consumer of Apache Kafka 4.0 or newer: a member of a group of the consumer protocol (KIP-848), or a reader of assigned partitions.
///
/// Read it in one of three ways; the first call fixes which, and another is errc::mixed_modes:
/// - for_each_partition (and its kin) run it and one coroutine a partition;
/// - async_next_event tells of partitions that come and go, beside a running async_run();
/// - async_next gives batches of all partitions in turn, beside a running async_run().
///
/// The executor must never run two handlers at once: that of a single-threaded context, or a strand; a debug build asserts it.
/// Everything happens on it; no thread is made, but for the one of Asio's that resolves host names (none for IP addresses).
///
/// async_ functions may be started on any thread. They take any completion token; without one they are awaitables that throw
/// kawait::error, which carries the broker's words. With a token, a `diagnostics` before it receives them; it must live until then.
/// Cancellation is per call, by any type, and may come from any thread; a call that is cancelled before it has begun does nothing.
/// All other functions belong to the consumer's executor.
///
/// Destroying it is abrupt: nothing is committed, nobody is told, what is pending completes with operation_aborted (a partition's
/// async_wait and async_wait_end, too). async_close() first.
class consumer {
 public:
  using milliseconds = std::chrono::milliseconds;

  /// Throws kawait::error: errc::invalid_config (of files that ssl.* names, too: they are read here); errc::io_uring_unavailable where
  /// the system forbids io_uring.
  KAWAIT_DECL consumer(asio::any_io_executor executor, config c);
  consumer(consumer&&) noexcept = default;
  consumer& operator=(consumer&&) = delete;
  KAWAIT_DECL ~consumer();

  asio::any_io_executor get_executor() const noexcept { return engine_->executor(); }

  /// The topics to read as a member of group.id; replaces the subscription before, also while running. A topic that does not exist is
  /// no error, only a last_warning(): it is read as soon as it does. Throws kawait::error: errc::group_required, not_in_manual_mode (after
  /// assign), closed (once async_close was called), not_subscribed (no topic), kafka_error::invalid_topic_exception.
  template <class... Topics>
  void subscribe(const Topics&... topics) {
    std::vector<std::string> names;
    (names.emplace_back(topics), ...);
    subscribe(std::move(names));
  }
  KAWAIT_DECL void subscribe(std::vector<std::string> topics);
  /// All topics whose whole name matches the pattern, those made later included, and the ones named beside it; replaces the subscription
  /// before, also while running. The brokers match (RE2/J), at their pace: a new topic may take until their next look, ten minutes at
  /// most. Topics that the principal may not describe are left out. A pattern that is none ends async_run with
  /// kafka_error::invalid_regular_expression. Kafka 4.0 goes on with the topics of a pattern that was dropped or changed until something
  /// else moves the group. Throws kawait::error as subscribe() does; not_subscribed if the pattern is empty.
  KAWAIT_DECL void subscribe_pattern(std::string pattern, std::vector<std::string> topics = {});
  /// Gives all partitions up and leaves the group, as async_close does, but goes on: async_run() runs, and subscribe() joins again, also
  /// before this has completed. Streams end as revoked. Without a subscription it does nothing.
  ///
  /// Completes with void(std::error_code) once the member has left: errc::revocation_deadline if work was still in hand near the time-out,
  /// commit_failed, lost (as async_close); request_timeout if the leave took longer (it goes on); not_in_manual_mode (after assign);
  /// errc::closed, or what ended the consumer; operation_aborted if cancelled (only the wait is), or the consumer was destroyed. As
  /// async_close it waits for handlers: a handler must not await it.
  KAWAIT_DECL asio::awaitable<void> async_unsubscribe(milliseconds timeout = std::chrono::seconds(30));
  template <class Token>
    requires(!std::convertible_to<Token, milliseconds>)
  auto async_unsubscribe(Token&& token) {
    return async_unsubscribe(std::chrono::seconds(30), std::forward<Token>(token));
  }
  template <class Token>
  auto async_unsubscribe(milliseconds timeout, Token&& token) {
    return detail::initiate<void>(get_executor(), unsubscribe_operation(engine_, timeout), std::forward<Token>(token));
  }
  template <class Token>
  auto async_unsubscribe(milliseconds timeout, diagnostics& words, Token&& token) {
    return detail::initiate<void>(get_executor(), unsubscribe_operation(engine_, timeout), std::forward<Token>(token), &words);
  }
  /// Reads these partitions without being a member of a group; with group.id, offsets are still fetched and committed there. Before
  /// async_run only. A topic or partition that is not found within default.api.timeout.ms ends async_run with
  /// kafka_error::unknown_topic_or_partition. Throws kawait::error: errc::not_in_manual_mode (after subscribe), already_running,
  /// closed, not_subscribed (no partition), kafka_error::invalid_topic_exception, unknown_topic_or_partition (a negative partition).
  /// Replaces what was assigned before. assignment() has them, to be sought and read, once async_run has found them.
  KAWAIT_DECL void assign(std::vector<topic_partition> partitions);

  /// Runs the consumer until it is closed. Completes with void(std::error_code): none after async_close; operation_aborted when
  /// cancelled (abrupt, as destruction) or destroyed; else what ended it: errc::not_subscribed, already_running; what the last attempt
  /// failed with if within default.api.timeout.ms no broker was reached, or none answered (bootstrap_failed, unresolved_host, not_kafka,
  /// tls_failed, certificate_rejected, request_timeout, connection_closed, malformed_response, frame_too_large, correlation_mismatch);
  /// authentication_failed (credentials were refused sasl.login.attempts times in a row, whenever that is); unsupported_broker, or what
  /// the coordinator refuses for good (kafka_error::group_authorization_failed, unsupported_assignor, group_max_size_reached, ...).
  /// Memory that ran out is std::errc::not_enough_memory, any other exception in the library's own work state_not_recoverable.
  KAWAIT_DECL asio::awaitable<void> async_run();
  template <class Token>
  auto async_run(Token&& token) {
    return detail::initiate<void>(get_executor(), run_operation(engine_), std::forward<Token>(token));
  }
  template <class Token>
  auto async_run(diagnostics& words, Token&& token) {
    return detail::initiate<void>(get_executor(), run_operation(engine_), std::forward<Token>(token), &words);
  }

  /// Ends all streams, waits for the work in hand, commits what is done (in automatic mode), leaves the group, closes the connections.
  /// Completes with void(std::error_code): errc::revocation_deadline if work was still in hand near the time-out, commit_failed (also
  /// where the topic is gone: what was done is recorded nowhere), lost if the group went on without us meanwhile, with work in hand or
  /// not committed yet, request_timeout if the leave was not answered in time, what async_run ends with if the consumer failed
  /// meanwhile (before: none), operation_aborted if cancelled, or the consumer was destroyed. Closed it is in any case. Cancelling
  /// makes it abrupt.
  /// While another close is under way (for_each_* ends so when a handler throws) it completes with that one, at the earlier of both
  /// deadlines.
  ///
  /// It waits for the handlers of for_each_partition and its kin to return, and for batches to be released. So a handler, or who
  /// holds a batch, must not await it: he would wait for himself, until near the time-out. Spawn it and return.
  KAWAIT_DECL asio::awaitable<void> async_close(close_options o = close_options());
  template <class Token>
    requires(!std::convertible_to<Token, close_options>)
  auto async_close(Token&& token) {
    return async_close(close_options(), std::forward<Token>(token));
  }
  template <class Token>
  auto async_close(close_options o, Token&& token) {
    return detail::initiate<void>(get_executor(), close_operation(engine_, o), std::forward<Token>(token));
  }
  template <class Token>
  auto async_close(close_options o, diagnostics& words, Token&& token) {
    return detail::initiate<void>(get_executor(), close_operation(engine_, o), std::forward<Token>(token), &words);
  }

  /// The next batch of any partition, one of each in turn. Completes with void(std::error_code, batch). Errors: those of
  /// partition::async_next (told once; other partitions go on), those of async_run once it has ended, errc::closed, mixed_modes.
  KAWAIT_DECL asio::awaitable<batch> async_next();
  template <class Token>
  auto async_next(Token&& token) {
    return detail::initiate<batch>(get_executor(), next_operation(engine_), std::forward<Token>(token));
  }
  template <class Token>
  auto async_next(diagnostics& words, Token&& token) {
    return detail::initiate<batch>(get_executor(), next_operation(engine_), std::forward<Token>(token), &words);
  }

  /// The next change of the assignment. Completes with void(std::error_code, event). Errors: those of async_run once it has ended,
  /// errc::closed, mixed_modes, operation_aborted when cancelled (no event is lost).
  KAWAIT_DECL asio::awaitable<event> async_next_event();
  template <class Token>
  auto async_next_event(Token&& token) {
    return detail::initiate<event>(get_executor(), event_operation(engine_), std::forward<Token>(token));
  }
  template <class Token>
  auto async_next_event(diagnostics& words, Token&& token) {
    return detail::initiate<event>(get_executor(), event_operation(engine_), std::forward<Token>(token), &words);
  }

  /// Lets the revoked partitions go: completes once their work in hand is done and committed. Until then the broker is not told. If
  /// nobody calls it, it happens by itself at half the deadline (0.9 x rebalance time-out). Holding a batch of such a partition while
  /// awaiting this waits for the deadline; half-way a last_warning() says so. Completes with void(std::error_code):
  /// errc::revocation_deadline (work was still in hand), lost (the group went on without us meanwhile), commit_failed (given up
  /// nevertheless), closed, or what ended the consumer; operation_aborted if cancelled (only this wait is; the drain goes on), or the
  /// consumer was destroyed.
  KAWAIT_DECL asio::awaitable<void> async_incremental_unassign(revocation r);
  template <class Token>
  auto async_incremental_unassign(revocation r, Token&& token) {
    return detail::initiate<void>(get_executor(), unassign_operation(engine_, std::move(r)), std::forward<Token>(token));
  }
  template <class Token>
  auto async_incremental_unassign(revocation r, diagnostics& words, Token&& token) {
    return detail::initiate<void>(get_executor(), unassign_operation(engine_, std::move(r)), std::forward<Token>(token), &words);
  }

  /// Commits what is done of all partitions, or the offsets given, with or without metadata. Completes with
  /// void(std::error_code, commit_result):
  /// - errc::commit_failed if any was refused, or not answered within default.api.timeout.ms (errc::request_timeout); the result says
  ///   which and why. What was sent by then is waited for, for request.timeout.ms. Of partitions that are not ours nothing is sent,
  ///   their status is errc::not_assigned; one that is being revoked is ours until it is given up. Where the consumer was closed or has
  ///   failed before the answer, the status is errc::not_assigned, closed, or what ended the consumer.
  /// - operation_aborted if cancelled, or the consumer was destroyed: cancelling calls back no request, so what was sent may be
  ///   committed nevertheless.
  /// - errc::group_required.
  /// g++ 12 takes no braced list inside a co_await expression: give the map a name first.
  KAWAIT_DECL asio::awaitable<commit_result> async_commit();
  KAWAIT_DECL asio::awaitable<commit_result> async_commit(offset_map offsets);
  KAWAIT_DECL asio::awaitable<commit_result> async_commit(metadata_map offsets);
  template <class Token>
    requires(!std::convertible_to<Token, offset_map> && !std::convertible_to<Token, metadata_map>)
  auto async_commit(Token&& token) {
    return detail::initiate<commit_result>(get_executor(), commit_operation(engine_), std::forward<Token>(token));
  }
  template <class Token>
  auto async_commit(diagnostics& words, Token&& token) {
    return detail::initiate<commit_result>(get_executor(), commit_operation(engine_), std::forward<Token>(token), &words);
  }
  template <class Token>
  auto async_commit(offset_map offsets, Token&& token) {
    return async_commit(detail::without_metadata(std::move(offsets)), std::forward<Token>(token));
  }
  template <class Token>
  auto async_commit(offset_map offsets, diagnostics& words, Token&& token) {
    return async_commit(detail::without_metadata(std::move(offsets)), words, std::forward<Token>(token));
  }
  template <class Token>
  auto async_commit(metadata_map offsets, Token&& token) {
    return detail::initiate<commit_result>(get_executor(), commit_offsets_operation(engine_, std::move(offsets)),
                                           std::forward<Token>(token));
  }
  template <class Token>
  auto async_commit(metadata_map offsets, diagnostics& words, Token&& token) {
    return detail::initiate<commit_result>(get_executor(), commit_offsets_operation(engine_, std::move(offsets)),
                                           std::forward<Token>(token), &words);
  }

  /// What the group has committed; partitions without a commit have offset -1. Completes with void(std::error_code, offset_map), within
  /// default.api.timeout.ms: errc::group_required; the coordinator's error, or that it could not be reached or did not answer
  /// (errc::request_timeout, connection_closed and the like); errc::closed, or what ended the consumer; operation_aborted if cancelled, or
  /// the consumer was destroyed. g++ 12 takes no braced list inside a co_await expression: give the vector a name first.
  KAWAIT_DECL asio::awaitable<offset_map> async_committed(std::vector<topic_partition> partitions);
  template <class Token>
  auto async_committed(std::vector<topic_partition> partitions, Token&& token) {
    return detail::initiate<offset_map>(get_executor(), committed_operation(engine_, std::move(partitions)), std::forward<Token>(token));
  }
  template <class Token>
  auto async_committed(std::vector<topic_partition> partitions, diagnostics& words, Token&& token) {
    return detail::initiate<offset_map>(get_executor(), committed_operation(engine_, std::move(partitions)), std::forward<Token>(token),
                                        &words);
  }

  /// The same with the metadata that was committed beside each offset; completes with void(std::error_code, metadata_map).
  KAWAIT_DECL asio::awaitable<metadata_map> async_committed_metadata(std::vector<topic_partition> partitions);
  template <class Token>
  auto async_committed_metadata(std::vector<topic_partition> partitions, Token&& token) {
    return detail::initiate<metadata_map>(get_executor(), metadata_operation(engine_, std::move(partitions)), std::forward<Token>(token));
  }
  template <class Token>
  auto async_committed_metadata(std::vector<topic_partition> partitions, diagnostics& words, Token&& token) {
    return detail::initiate<metadata_map>(get_executor(), metadata_operation(engine_, std::move(partitions)), std::forward<Token>(token),
                                          &words);
  }

  /// The first offset that each partition's log holds: 0, or higher once old records were deleted. Of any partitions, whether they are
  /// ours or not, in a group, after assign(), and without either; also before async_run(). The leaders are asked, and again
  /// while they move.
  /// Completes with void(std::error_code, offset_map), within default.api.timeout.ms, with all of them or none (the words name the
  /// partition): kafka_error::unknown_topic_or_partition if there is none until then; topic_authorization_failed or another refusal
  /// for good; kafka_error::invalid_topic_exception; errc::request_timeout (the words say what the leader said last, or that no broker
  /// was reached); errc::closed, or what ended the consumer; operation_aborted if cancelled, or the consumer was destroyed.
  KAWAIT_DECL asio::awaitable<offset_map> async_beginning_offsets(std::vector<topic_partition> partitions);
  template <class Token>
  auto async_beginning_offsets(std::vector<topic_partition> partitions, Token&& token) {
    return detail::initiate<offset_map>(get_executor(), edges_operation(engine_, false, std::move(partitions)),
                                        std::forward<Token>(token));
  }
  template <class Token>
  auto async_beginning_offsets(std::vector<topic_partition> partitions, diagnostics& words, Token&& token) {
    return detail::initiate<offset_map>(get_executor(), edges_operation(engine_, false, std::move(partitions)),
                                        std::forward<Token>(token), &words);
  }

  /// The end of each partition's log: the offset of the next record to be written. Under isolation.level=read_committed the last stable
  /// offset: what lies beyond is not decided, and not read. All else as async_beginning_offsets.
  KAWAIT_DECL asio::awaitable<offset_map> async_end_offsets(std::vector<topic_partition> partitions);
  template <class Token>
  auto async_end_offsets(std::vector<topic_partition> partitions, Token&& token) {
    return detail::initiate<offset_map>(get_executor(), edges_operation(engine_, true, std::move(partitions)),
                                        std::forward<Token>(token));
  }
  template <class Token>
  auto async_end_offsets(std::vector<topic_partition> partitions, diagnostics& words, Token&& token) {
    return detail::initiate<offset_map>(get_executor(), edges_operation(engine_, true, std::move(partitions)),
                                        std::forward<Token>(token), &words);
  }

  /// The first record of each partition whose timestamp is the given one or later, with its timestamp; nothing where no record is that
  /// late (below the end that async_end_offsets tells). Times count in milliseconds, those before 1970 as 1970. Completes with
  /// void(std::error_code, found_map); all else as async_beginning_offsets.
  KAWAIT_DECL asio::awaitable<found_map> async_offsets_for_times(time_map times);
  template <class Token>
  auto async_offsets_for_times(time_map times, Token&& token) {
    return detail::initiate<found_map>(get_executor(), times_operation(engine_, std::move(times)), std::forward<Token>(token));
  }
  template <class Token>
  auto async_offsets_for_times(time_map times, diagnostics& words, Token&& token) {
    return detail::initiate<found_map>(get_executor(), times_operation(engine_, std::move(times)), std::forward<Token>(token), &words);
  }

  /// The partitions that are ours and not being given up.
  KAWAIT_DECL std::vector<partition> assignment() const;
  /// The id this member has in its group; empty without one.
  std::string member_id() const { return engine_->member_id(); }
  /// The member epoch of the last heartbeat's answer.
  std::int32_t member_epoch() const { return engine_->member_epoch(); }
  /// What went wrong last and is being retried, or seen to.
  const failure& last_warning() const noexcept { return engine_->last_warning; }

  /// For the library.
  const std::shared_ptr<runtime::engine>& engine() const noexcept { return engine_; }

 private:
  using engine_ptr = std::shared_ptr<runtime::engine>;

  struct run_operation {
    explicit run_operation(engine_ptr e) : engine(std::move(e)) {}
    engine_ptr engine;
    asio::awaitable<failure> operator()() const { return engine->run(); }
  };
  struct close_operation {
    close_operation(engine_ptr e, close_options o) : engine(std::move(e)), how(o) {}
    engine_ptr engine;
    close_options how;
    asio::awaitable<failure> operator()() const { return engine->close(how.timeout, how.membership); }
  };
  struct unsubscribe_operation {
    unsubscribe_operation(engine_ptr e, milliseconds t) : engine(std::move(e)), timeout(t) {}
    engine_ptr engine;
    milliseconds timeout;
    asio::awaitable<failure> operator()() const { return engine->unsubscribe(timeout); }
  };
  struct next_operation {
    explicit next_operation(engine_ptr e) : engine(std::move(e)) {}
    engine_ptr engine;
    asio::awaitable<result<batch>> operator()() const { return next(engine); }
  };
  struct event_operation {
    explicit event_operation(engine_ptr e) : engine(std::move(e)) {}
    engine_ptr engine;
    asio::awaitable<result<event>> operator()() const { return next_event(engine); }
  };
  struct unassign_operation {
    unassign_operation(engine_ptr e, revocation r) : engine(std::move(e)), which(std::move(r)) {}
    engine_ptr engine;
    revocation which;
    asio::awaitable<failure> operator()() const { return unassign(engine, which); }
  };
  struct commit_operation {
    explicit commit_operation(engine_ptr e) : engine(std::move(e)) {}
    engine_ptr engine;
    asio::awaitable<std::pair<failure, commit_result>> operator()() const { return commit_done(engine); }
  };
  struct commit_offsets_operation {
    commit_offsets_operation(engine_ptr e, metadata_map o) : engine(std::move(e)), offsets(std::move(o)) {}
    engine_ptr engine;
    metadata_map offsets;
    asio::awaitable<std::pair<failure, commit_result>> operator()() const { return commit_offsets(engine, offsets); }
  };
  struct committed_operation {
    committed_operation(engine_ptr e, std::vector<topic_partition> p) : engine(std::move(e)), partitions(std::move(p)) {}
    engine_ptr engine;
    std::vector<topic_partition> partitions;
    asio::awaitable<result<offset_map>> operator()() const { return committed(engine, partitions); }
  };

  struct metadata_operation {
    metadata_operation(engine_ptr e, std::vector<topic_partition> p) : engine(std::move(e)), partitions(std::move(p)) {}
    engine_ptr engine;
    std::vector<topic_partition> partitions;
    asio::awaitable<result<metadata_map>> operator()() const { return committed_metadata(engine, partitions); }
  };
  struct edges_operation {
    edges_operation(engine_ptr e, bool is_end, std::vector<topic_partition> p)
        : engine(std::move(e)), end(is_end), partitions(std::move(p)) {}
    engine_ptr engine;
    bool end;
    std::vector<topic_partition> partitions;
    asio::awaitable<result<offset_map>> operator()() const { return edges(engine, end, partitions); }
  };
  struct times_operation {
    times_operation(engine_ptr e, time_map t) : engine(std::move(e)), times(std::move(t)) {}
    engine_ptr engine;
    time_map times;
    asio::awaitable<result<found_map>> operator()() const { return offsets_for_times(engine, times); }
  };

  KAWAIT_DECL static asio::awaitable<result<batch>> next(engine_ptr e);
  KAWAIT_DECL static asio::awaitable<result<event>> next_event(engine_ptr e);
  KAWAIT_DECL static asio::awaitable<failure> unassign(engine_ptr e, revocation r);
  KAWAIT_DECL static asio::awaitable<std::pair<failure, commit_result>> commit_done(engine_ptr e);
  KAWAIT_DECL static asio::awaitable<std::pair<failure, commit_result>> commit_offsets(engine_ptr e, metadata_map offsets);
  KAWAIT_DECL static asio::awaitable<result<offset_map>> committed(engine_ptr e, std::vector<topic_partition> partitions);
  KAWAIT_DECL static asio::awaitable<result<metadata_map>> committed_metadata(engine_ptr e, std::vector<topic_partition> partitions);
  KAWAIT_DECL static asio::awaitable<result<offset_map>> edges(engine_ptr e, bool end, std::vector<topic_partition> partitions);
  KAWAIT_DECL static asio::awaitable<result<found_map>> offsets_for_times(engine_ptr e, time_map times);

  engine_ptr engine_;
};

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/consumer.ipp>
#endif
