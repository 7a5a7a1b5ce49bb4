#pragma once

#include <kawait/partition.hpp>

#include <algorithm>

namespace kawait {

namespace detail {

KAWAIT_DECL std::pair<failure, commit_result> to_commit_result(std::vector<machine::commit_outcome> outcomes) {
  std::pair<failure, commit_result> r;
  for (auto& outcome : outcomes) {
    commit_status& status = r.second.emplace_back();
    status.partition = topic_partition(std::move(outcome.topic), outcome.lease.partition.partition);
    status.offset = outcome.offset.offset;
    status.code = outcome.result.code;
    status.words = std::move(outcome.result.words);
    if (!status.code) continue;
    // Cut short as a whole, by cancelling the call or by destroying the consumer: what was sent may be committed or not.
    if (r.first.code != asio::error::operation_aborted) {
      r.first.code = status.code == asio::error::operation_aborted ? status.code : make_error_code(errc::commit_failed);
    }
    r.first.words += (r.first.words.empty() ? "" : "; ") + status.partition.to_string() + ": " + status.code.message();
  }
  return r;
}

}  // namespace detail

KAWAIT_DECL partition::partition(const std::shared_ptr<runtime::engine>& e, const runtime::stream_ptr& s)
    : executor_(e->executor()), engine_(e), stream_(s), info_(s->info()) {}

// ---- Operations on the consumer's executor.

KAWAIT_DECL asio::awaitable<result<std::optional<batch>>> partition::next(std::shared_ptr<runtime::engine> e, runtime::stream_ptr s,
                                                                          bool or_end) {
  using answer = result<std::optional<batch>>;
  if (!s || !e) co_return answer(std::optional<batch>());  // ended long ago
  auto taken = co_await e->next(std::move(s), or_end);
  if (!taken) co_return answer(std::move(taken).error());
  std::optional<batch> next;
  if (*taken) next.emplace(std::move(*taken));
  co_return answer(std::move(next));
}

KAWAIT_DECL asio::awaitable<failure> partition::wait(std::shared_ptr<runtime::engine> e, runtime::stream_ptr s) {
  if (!s || !e) co_return failure();
  failure bad = co_await e->wait(s);
  if (!bad) bad = s->why_aborted();
  co_return bad;
}

KAWAIT_DECL asio::awaitable<failure> partition::wait_end(std::shared_ptr<runtime::engine> e, runtime::stream_ptr s) {
  while (s && e && !s->is_ended()) {
    co_await s->ended().wait();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return failure(std::error_code(asio::error::operation_aborted));
  }
  failure bad;
  if (s && e) bad = s->why_aborted();
  co_return bad;
}

KAWAIT_DECL asio::awaitable<std::pair<failure, commit_result>> partition::commit(std::shared_ptr<runtime::engine> e,
                                                                                 runtime::stream_ptr s) {
  std::pair<failure, commit_result> r;
  if (!e || !s || s->info()->stale.load()) {
    r.first = failure(errc::not_assigned, s ? s->name().to_string() : "commit");
    co_return r;
  }
  if (!e->settings().group_id) {
    r.first = failure(errc::group_required, "commit");
    co_return r;
  }
  std::vector<runtime::stream_ptr> one(1, s);
  const auto deadline = e->api_deadline();
  auto outcomes = co_await e->commit_all_done(std::move(one), deadline);
  co_return detail::to_commit_result(std::move(outcomes));
}

// ---- Without a token.

KAWAIT_DECL asio::awaitable<std::optional<batch>> partition::async_next() const {
  return detail::await_on<std::optional<batch>>(executor_, next_operation(engine_, stream_));
}

KAWAIT_DECL asio::awaitable<std::optional<batch>> partition::async_next_or_end() const {
  return detail::await_on<std::optional<batch>>(executor_, next_or_end_operation(engine_, stream_));
}

KAWAIT_DECL asio::awaitable<void> partition::async_wait() const {
  return detail::await_done_on(executor_, wait_operation(engine_, stream_));
}

KAWAIT_DECL asio::awaitable<void> partition::async_wait_end() const {
  return detail::await_done_on(executor_, wait_end_operation(engine_, stream_));
}

KAWAIT_DECL asio::awaitable<commit_result> partition::async_commit() const {
  return detail::await_on<commit_result>(executor_, commit_operation(engine_, stream_));
}

// ---- At once.

KAWAIT_DECL runtime::stream_ptr partition::live_stream(const char* call) const {
  auto s = stream_.lock();
  if (!s || s->is_ended()) throw error(errc::not_assigned, std::string(call) + ": " + name().to_string());
  return s;
}

KAWAIT_DECL std::optional<batch> partition::try_next() const {
  const auto e = engine_.lock();
  const auto s = stream_.lock();
  if (!e || !s) return std::nullopt;
  auto taken = e->try_next(*s);
  auto l = detail::value_or_throw(std::move(taken));
  if (!l) return std::nullopt;
  return std::make_optional<batch>(std::move(l));
}

KAWAIT_DECL void partition::seek(std::int64_t offset) const {
  if (offset < 0) throw error(errc::invalid_config, "seek: offset " + std::to_string(offset) + " of " + name().to_string());
  live_stream("seek")->seek(offset_and_epoch(offset));
}

KAWAIT_DECL void partition::seek_to_beginning() const {
  live_stream("seek_to_beginning")->seek_to_time(protocol::list_offsets_request::earliest);
}

KAWAIT_DECL void partition::seek_to_end() const {
  live_stream("seek_to_end")->seek_to_time(protocol::list_offsets_request::latest);
}

KAWAIT_DECL void partition::seek_to(std::chrono::system_clock::time_point time) const {
  live_stream("seek_to")->seek_to_time(detail::to_timestamp(time));
}

KAWAIT_DECL void partition::pause() const { live_stream("pause")->pause(); }

KAWAIT_DECL void partition::resume() const { live_stream("resume")->resume(); }

KAWAIT_DECL std::optional<std::int64_t> partition::position() const {
  const auto s = stream_.lock();
  const auto e = engine_.lock();
  return s && e ? e->position(*s) : std::nullopt;
}

KAWAIT_DECL std::optional<std::int64_t> partition::lag() const {
  const auto s = stream_.lock();
  const auto e = engine_.lock();
  const auto from = s && e ? e->position(*s) : std::nullopt;
  if (!from) return std::nullopt;
  const std::int64_t end = s->end_of_log(e->settings().isolation);
  if (end < 0) return std::nullopt;
  return std::max<std::int64_t>(0, end - *from);
}

}  // namespace kawait
