#pragma once

#include <algorithm>

#include <kawait/detail/list_of.hpp>
#include <kawait/runtime/engine.hpp>

namespace kawait::runtime {

namespace detail {

/// Counts a reader as waiting while its coroutine is suspended, also if the coroutine is destroyed there.
class waiting_reader {
 public:
  explicit waiting_reader(stream_ptr stream) : stream_(std::move(stream)) { ++stream_->waiting; }
  waiting_reader(const waiting_reader&) = delete;
  waiting_reader& operator=(const waiting_reader&) = delete;
  ~waiting_reader() { --stream_->waiting; }

 private:
  stream_ptr stream_;
};

/// Lists a stream while its reader's coroutine is suspended.
class listed_wait {
 public:
  listed_wait(std::list<partition_stream*>& list, partition_stream& stream)
      : list_(list), place_(list.insert(list.end(), &stream)) {}
  listed_wait(const listed_wait&) = delete;
  listed_wait& operator=(const listed_wait&) = delete;
  ~listed_wait() { list_.erase(place_); }

 private:
  std::list<partition_stream*>& list_;
  std::list<partition_stream*>::iterator place_;
};

inline failure aborted() { return failure(std::error_code(asio::error::operation_aborted)); }

}  // namespace detail

KAWAIT_DECL failure engine::enter(reading_mode mode) {
  if (mode_ == mode) return mode == reading_mode::handlers ? failure(errc::already_running, "for_each") : failure();
  if (mode_ != reading_mode::undecided) return failure(errc::mixed_modes);
  mode_ = mode;
  if (mode == reading_mode::events) return {};
  for (auto& change : std::exchange(changes_, {})) {
    if (change.what == assignment_change::kind::assigned) publish(std::move(change));
  }
  return {};
}

KAWAIT_DECL void engine::set_listener(assignment_listener* listener) { listener_ = listener; }

KAWAIT_DECL hand_out_context engine::hand_out() {
  return hand_out_context{buffers_,
                          codecs_,
                          releases_,
                          options_.decompression_limit,
                          options_.check_crcs,
                          options_.isolation == isolation_level::read_committed};
}

KAWAIT_DECL result<std::unique_ptr<lease>> engine::try_next(partition_stream& stream) {
  KAWAIT_SERIAL_SECTION(serial_);
  releases_->drain();
  stream.note_activity();
  on_application_moved();
  stream.start();
  auto taken = stream.take(hand_out());
  if (taken && *taken) tell_delivered(stream, **taken);
  fetches_.on_released();  // a response whose batches were decompressed, or skipped, is not needed any more
  // An ended stream has no more; what ended it is told by end_reason(), by async_run(), or here if the consumer was destroyed.
  if (!taken && stream.is_ended() && (!taken.error() || stream.why_ended() != end_reason::closed)) return std::unique_ptr<lease>();
  return taken;
}

KAWAIT_DECL std::optional<std::int64_t> engine::position(const partition_stream& stream) {
  KAWAIT_SERIAL_SECTION(serial_);
  releases_->drain();
  return stream.position();
}

KAWAIT_DECL asio::awaitable<result<std::unique_ptr<lease>>> engine::next(stream_ptr stream, bool or_end) {
  using answer = result<std::unique_ptr<lease>>;
  const auto self = shared_from_this();
  for (;;) {
    if (stream->waiting > 0) co_return answer(failure(errc::already_running, stream->name().to_string() + ": a second reader"));
    auto taken = try_next(*stream);
    if (!taken || *taken || stream->is_ended() || (or_end && stream->at_end())) co_return taken;
    const detail::waiting_reader counted(stream);
    std::optional<detail::listed_wait> awaited;
    if (or_end) awaited.emplace(awaiting_end_, *stream);
    while (!stream->is_readable() && !(or_end && stream->at_end())) {
      co_await stream->readable().wait();
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none && !stream->is_ended()) co_return answer(detail::aborted());
    }
  }
}

KAWAIT_DECL asio::awaitable<failure> engine::wait(stream_ptr stream) {
  const auto self = shared_from_this();
  releases_->drain();
  stream->note_activity();
  on_application_moved();
  stream->start();
  const detail::waiting_reader counted(stream);
  while (!stream->is_readable()) {
    co_await stream->readable().wait();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return detail::aborted();
  }
  co_return failure();
}

// ---- All partitions.

KAWAIT_DECL void engine::list_ready(partition_stream& stream) {
  if (std::exchange(stream.is_listed, true)) return;
  ready_.push_back(stream.shared_from_this());
  readable_.notify_all();
}

// It is listed until then: a failure that it meets wakes readers, and would be told a second time. Out of memory, what is there is to be
// had by the next call.
KAWAIT_DECL result<std::unique_ptr<lease>> engine::take_listed(partition_stream& stream) try {
  auto taken = try_next(stream);
  stream.is_listed = false;
  return taken;
} catch (...) {
  stream.is_listed = false;
  if (stream.has_data()) list_ready(stream);
  throw;
}

KAWAIT_DECL asio::awaitable<result<std::unique_ptr<lease>>> engine::next_of_any() {
  using answer = result<std::unique_ptr<lease>>;
  const auto self = shared_from_this();
  if (failure wrong = enter(reading_mode::batches)) co_return answer(std::move(wrong));
  ++reads_of_any_;
  on_application_moved();
  for (;;) {
    releases_->drain();
    while (!ready_.empty()) {
      const stream_ptr stream = std::move(ready_.front());
      ready_.pop_front();
      if (stream->is_ended()) continue;
      auto taken = take_listed(*stream);
      if (taken && !*taken) continue;
      // One batch each in turn; a failure is told once.
      if (taken && stream->is_readable()) list_ready(*stream);
      co_return taken;
    }
    if (const auto* const end = std::get_if<over>(&state_)) co_return answer(end->why ? end->why : failure(errc::closed));
    co_await readable_.wait();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return answer(detail::aborted());
  }
}

// ---- Events.

KAWAIT_DECL asio::awaitable<result<assignment_change>> engine::next_change() {
  using answer = result<assignment_change>;
  const auto self = shared_from_this();
  if (failure wrong = enter(reading_mode::events)) co_return answer(std::move(wrong));
  note_asked_on();
  while (changes_.empty()) {
    if (const auto* const end = std::get_if<over>(&state_)) co_return answer(end->why ? end->why : failure(errc::closed));
    co_await changed_.wait();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return answer(detail::aborted());
  }
  assignment_change change = std::move(changes_.front());
  changes_.pop_front();
  if (change.what == assignment_change::kind::lost && !stalled_.empty()) loss_ = loss_word::told;
  co_return change;
}

// Which coroutine holds a batch nobody knows. One that awaits the revocation with a batch of its own in hand waits for itself, and this is
// the only word of it before the deadline.
KAWAIT_DECL void engine::warn_of_held(const revocation_state& revocation) {
  std::vector<std::string> held;
  for (const auto& stream : revocation.streams()) {
    if (!stream->work().is_drained()) held.push_back(stream->name().to_string());
  }
  if (held.empty()) return;
  warn(failure(errc::revocation_deadline, "async_incremental_unassign: half of the time is over and batches are still in hand of " +
                                              kawait::detail::list_of(held) + "; who awaits it with one in his own waits for himself"));
}

KAWAIT_DECL asio::awaitable<failure> engine::unassign(std::shared_ptr<revocation_state> revocation) {
  const auto self = shared_from_this();
  releases_->drain();
  revocation->start();
  const net::time_point half = revocation->half_deadline();
  while (!revocation->is_done() && !is_over()) {
    if (environment_.now() < half) {
      co_await revocation->changed().wait_until(half);
      if (environment_.now() >= half && revocation->is_to_warn()) warn_of_held(*revocation);
    } else {
      co_await revocation->changed().wait();
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return detail::aborted();
  }
  co_return revocation->is_done() ? revocation->outcome() : why_over();
}

}  // namespace kawait::runtime
