#pragma once

#include <kawait/runtime/engine.hpp>

#include <algorithm>

#include <kawait/core/mutation.hpp>
#include <kawait/net/oidc.hpp>

namespace kawait::runtime {

namespace detail {

/// The endpoint's client gives up a little before who waits for it, and can say why.
inline void take_tokens_by_oidc(net::sasl_options& o, milliseconds setup_timeout) {
  auto made = net::oidc_client::create(o.oidc, setup_timeout * 9 / 10);
  if (!made) throw error(made.error().code, made.error().words);
  const auto client = *std::move(made);
  o.token = [client] { return client->token(); };
  o.token_refused = [client] { client->forget(); };
}

inline net::connection_options connection_options_of(const options& o) {
  net::connection_options c;
  c.client_id = o.client_id;
  c.observers = o.observers;
  c.request_timeout = o.request_timeout;
  // Who waits two seconds for the cluster must not be kept for ten by one address that says nothing.
  c.setup_timeout = std::min(o.connection_setup_timeout, o.default_api_timeout);
  if (o.security.has_tls()) {
    auto made = net::tls_context::create(o.security.tls);
    if (!made) throw error(made.error().code, made.error().words);
    c.tls = *std::move(made);
  }
  if (o.security.has_sasl()) {
    auto sasl = std::make_shared<net::sasl_options>(o.security.sasl);
    if (!sasl->oidc.endpoint.empty()) take_tokens_by_oidc(*sasl, c.setup_timeout);
    c.sasl = std::move(sasl);
  }
  return c;
}

/// A random (version 4) UUID in Kafka's form.
inline std::string make_member_id(net::environment& environment) {
  const std::uint64_t bits[2] = {environment.random(), environment.random()};
  uuid id;
  std::memcpy(id.bytes.data(), bits, sizeof bits);
  id.bytes[6] = (id.bytes[6] & std::byte{0x0f}) | std::byte{0x40};
  id.bytes[8] = (id.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  return id.to_string();
}

}  // namespace detail

KAWAIT_DECL std::shared_ptr<engine> engine::create(asio::any_io_executor executor, options o) {
  auto e = std::make_shared<engine>(passkey(), std::move(executor), std::move(o));
  e->tasks_.set_owner(e, [raw = e.get()](std::exception_ptr thrown) { raw->on_failed(std::move(thrown)); });
  return e;
}

KAWAIT_DECL failure failure_of(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(std::move(thrown));
  } catch (const std::system_error& x) {
    return failure(x.code(), x.what());
  } catch (const std::bad_alloc&) {
    return failure(std::make_error_code(std::errc::not_enough_memory));
  } catch (const std::exception& x) {
    return failure(std::make_error_code(std::errc::state_not_recoverable), x.what());
  } catch (...) {
    return failure(std::make_error_code(std::errc::state_not_recoverable));
  }
}

// What escapes a task, or a release: out of memory, say.
KAWAIT_DECL void engine::on_failed(std::exception_ptr thrown) { finish(failure_of(std::move(thrown))); }

KAWAIT_DECL engine::engine(passkey, asio::any_io_executor executor, options o)
    : executor_(executor),
      options_(std::move(o)),
      environment_(net::environment::of(executor)),
      buffers_(options_.fetch_buffer_bytes),
      releases_(std::make_shared<release_queue>(executor)),
      tasks_(executor),
      brokers_(executor, detail::connection_options_of(options_),
               machine::backoff_options(options_.reconnect_backoff, options_.reconnect_backoff_max), options_.bootstrap),
      metadata_(executor, brokers_, *this, options_),
      coordinator_(executor, tasks_, brokers_, options_),
      commits_(executor, tasks_, metadata_, coordinator_, options_),
      positions_(executor, tasks_, brokers_, metadata_, coordinator_, *this, options_),
      fetches_(executor, tasks_, brokers_, metadata_, *this, buffers_, options_),
      moved_(executor),
      over_(executor),
      left_(executor),
      readable_(executor),
      changed_(executor),
      committed_(executor),
      commit_timer_(executor) {
  releases_->set_sink(this);
  brokers_.on_refused([this](const failure& why) { finish(why); });
}

KAWAIT_DECL engine::~engine() { releases_->detach(); }

// ---- Life.

KAWAIT_DECL void engine::start_metadata() {
  if (!std::exchange(asks_metadata_, true)) tasks_.spawn(metadata_.run());
}

KAWAIT_DECL void engine::start() {
  running now_running;
  now_running.since = environment_.now();
  now_running.reached = !metadata_.cluster().brokers().empty();  // by who asked for offsets before
  state_ = now_running;
  for (const std::string& words : options_.warnings) {
    const failure without_effect(errc::invalid_config, words);
    options_.observers.tell(&observer::on_warned, observer::warned{without_effect});
  }
  start_metadata();
  if (now_running.reached) resolve_assigned();
  tasks_.spawn(positions_.run());
  if (group_) tasks_.spawn(group_->run());
  if (group_) tasks_.spawn(watch_application());
  if (!group_) tasks_.spawn(look_for_assigned());
  if (options_.auto_commit && options_.group_id) tasks_.spawn(commit_by_time());
}

KAWAIT_DECL asio::awaitable<failure> engine::run() {
  const auto self = shared_from_this();
  if (std::holds_alternative<created>(state_)) {
    if (!group_ && assigned_names_.empty()) co_return failure(errc::not_subscribed, "run");
    start();
  } else if (!is_over()) {
    co_return failure(errc::already_running, "run");
  }
  while (!is_over()) {
    co_await over_.wait();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none && !is_over()) {
      stop(failure(std::error_code(asio::error::operation_aborted)));
    }
  }
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
  co_await tasks_.async_wait_idle();
  co_return std::get<over>(state_).why;
}

KAWAIT_DECL asio::awaitable<failure> engine::close(milliseconds timeout, machine::leave_kind kind) {
  const auto self = shared_from_this();
  begin_close(timeout, kind);
  while (!is_over()) {
    co_await over_.wait();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none && !is_over()) {
      stop(failure(std::error_code(asio::error::operation_aborted)));
    }
  }
  co_return close_outcome_;
}

KAWAIT_DECL void engine::begin_close(milliseconds timeout, machine::leave_kind kind) {
  try {
    close_by(timeout, kind);
  } catch (...) {  // half of a close, without its leave or who watches its deadlines, would never end
    on_failed(std::current_exception());
  }
}

KAWAIT_DECL void engine::close_by(milliseconds timeout, machine::leave_kind kind) {
  if (std::holds_alternative<created>(state_)) finish({});
  timeout = bounded(timeout);
  const net::time_point now = environment_.now();
  const net::time_point drain_deadline = now + machine::drain_time(timeout), deadline = now + timeout;
  if (auto* const before = std::get_if<closing>(&state_)) {
    // Who closes what ends by itself already (for_each_* of which a handler threw) may be in more of a hurry. Each deadline counts
    // for itself: who comes when all is drained and only the leave is unanswered has the earlier of the second alone.
    if (drain_deadline >= before->drain_deadline && deadline >= before->deadline) return;
    before->drain_deadline = std::min(before->drain_deadline, drain_deadline);
    before->deadline = std::min(before->deadline, deadline);
    tasks_.spawn(watch_close(before->drain_deadline, before->deadline));
  }
  if (!std::holds_alternative<running>(state_)) return;
  closing now_closing;
  now_closing.drain_deadline = drain_deadline;
  now_closing.deadline = deadline;
  state_ = now_closing;
  commit_timer_.cancel();
  moved_.notify_all();
  start_drains();
  tasks_.spawn(watch_close(drain_deadline, deadline));
  if (group_) {
    group_->membership().leave(kind);
    group_->wake();
  } else {
    tasks_.spawn(close_assigned(drain_deadline));
  }
}

KAWAIT_DECL asio::awaitable<void> engine::watch_close(net::time_point drain_deadline, net::time_point deadline) {
  while (!is_over() && environment_.now() < drain_deadline) co_await over_.wait_until(drain_deadline);
  if (is_over()) co_return;
  const auto streams = assignment();
  for (const auto& s : streams) give_up(*s);
  while (!is_over() && environment_.now() < deadline) co_await over_.wait_until(deadline);
  if (is_over() || KAWAIT_MUTANT(closes_without_a_deadline)) co_return;
  if (!close_outcome_) close_outcome_ = failure(errc::request_timeout, "close");
  finish({});
}

// The same order as in a group, without anyone to tell: end the streams, drain, commit.
KAWAIT_DECL asio::awaitable<void> engine::close_assigned(net::time_point drain_deadline) {
  auto streams = assignment();
  const auto all = std::make_shared<revocation_state>(executor_, streams, environment_.now(), drain_deadline);
  tell_revoked(streams, drain_deadline);
  for (const auto& s : streams) end_stream(*s, end_reason::closed, {});
  co_await drain(all);
  while (!all->is_done() && !is_over()) co_await all->changed().wait();
  if (!close_outcome_) close_outcome_ = all->outcome();
  failure none;
  co_await say_goodbye(none);
}

KAWAIT_DECL asio::awaitable<void> engine::say_goodbye(failure why) {
  co_await fetches_.close_sessions();
  finish(std::move(why));
}

KAWAIT_DECL void engine::stop(failure why) { finish(std::move(why), end_reason::closed); }

KAWAIT_DECL void engine::finish(failure why) {
  const end_reason ended = why ? end_reason::failed : end_reason::closed;
  finish(std::move(why), ended);
}

KAWAIT_DECL void engine::finish(failure why, end_reason ended) {
  if (is_over()) return;
  // The close was under way: who waits for it hears that it was cut short. Who closes later has nothing left to close.
  if (why && std::holds_alternative<closing>(state_) && !close_outcome_) close_outcome_.take_over(why);
  over now_over;
  now_over.why = std::move(why);
  state_ = std::move(now_over);
  const failure& told = std::get<over>(state_).why;
  try {
    end_all(ended, told);
  } catch (...) {  // it may be what brought us here: not told, then, but ended
    for (const auto& [id, s] : streams_) end_untold(*s, ended);
    for (const auto& [id, s] : retired_) end_untold(*s, ended);
  }
  metadata_.stop();
  coordinator_.stop();
  commits_.stop(told);
  positions_.stop();
  fetches_.stop();
  if (group_) group_->stop();
  start_drains();
  commit_timer_.cancel();
  brokers_.close();
  options_.observers.tell(&observer::on_ended, observer::ended{told});
  moved_.notify_all();
  over_.notify_all();
  left_.notify_all();
  readable_.notify_all();
  changed_.notify_all();
  committed_.notify_all();
}

KAWAIT_DECL void engine::end_all(end_reason why, const failure& error) {
  auto streams = assignment();
  auto open = streams;
  std::erase_if(open, [](const stream_ptr& s) { return s->is_ended() || !s->is_announced; });
  tell_lost(open, error ? error : failure(errc::closed));
  for (const auto& [id, s] : retired_) streams.push_back(s);
  for (const auto& s : streams) {
    end_stream(*s, why, error);
    give_up(*s);
  }
}

KAWAIT_DECL void engine::end_untold(partition_stream& stream, end_reason why) noexcept {
  stream.make_stale();
  try {
    stream.end(why);
  } catch (...) {  // its readers find out with their next call
  }
  try {
    give_up(stream);
  } catch (...) {  // its handler is not interrupted
  }
}

KAWAIT_DECL asio::awaitable<void> engine::commit_by_time() {
  while (std::holds_alternative<running>(state_)) {
    commit_timer_.expires_after(options_.auto_commit_interval);
    co_await commit_timer_.async_wait();
    if (!std::holds_alternative<running>(state_)) break;
    auto streams = assignment();
    std::erase_if(streams, [](const stream_ptr& s) { return s->is_ended(); });  // their drains commit
    const net::time_point deadline = api_deadline();
    const auto outcomes = co_await commit_done(std::move(streams), deadline);
    warn_of_commits(outcomes);
  }
}

// Nobody waits for an automatic commit: what it fails with is tried again with the next.
KAWAIT_DECL void engine::warn_of_commits(const std::vector<machine::commit_outcome>& outcomes) {
  for (const auto& outcome : outcomes) {
    if (!outcome.result) continue;
    const topic_partition name(outcome.topic, outcome.lease.partition.partition);
    const std::string& words = outcome.result.words;
    warn(failure(outcome.result.code, "commit of " + name.to_string() + (words.empty() ? "" : ": ") + words));
  }
}

KAWAIT_DECL void engine::warn(failure why) {
  last_warning = std::move(why);
  options_.observers.tell(&observer::on_warned, observer::warned{last_warning});
}

// Who closes or unsubscribes hears of the first.
KAWAIT_DECL void engine::note_drain_failure(const failure& why) {
  if (!why) return;
  if (std::holds_alternative<closing>(state_) && !close_outcome_) close_outcome_ = why;
  if (departure_ && !departure_->outcome) departure_->outcome = why;
}

}  // namespace kawait::runtime
