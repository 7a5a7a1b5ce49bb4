#pragma once

#include <algorithm>
#include <new>

#include <kawait/net/connection.hpp>

namespace kawait::net {
namespace detail {

inline constexpr std::size_t most_spare_slots = 16;

/// Of a stream that broke.
inline std::error_code code_of_end(const std::error_code& ec) noexcept {
  return ec.category() == tls_category() ? errc::tls_failed : errc::connection_closed;
}

/// Slots are only marked here; their requesters run later, so none of them can get in between. It may be for want of memory, and no
/// other call comes for who is left out: allocates nothing but the words, of which the code has to do without.
template <class Requests>
void fail_all(Requests& requests, const failure& why) noexcept {
  for (const auto& p : requests) {
    if (!p.slot) continue;
    p.slot->why.take_over(why);
    p.slot->done = true;
    p.slot->ready.notify_all();
  }
  requests.clear();
}

KAWAIT_DECL ticket::~ticket() {
  if (connection_) connection_->abandon(correlation_id_, std::move(slot_));
}

}  // namespace detail

KAWAIT_DECL connection::connection(passkey, asio::any_io_executor executor, std::unique_ptr<transport> stream, address where,
                                   connection_options options)
    : executor_(std::move(executor)),
      env_(&environment::of(executor_)),
      stream_(std::move(stream)),
      peer_(std::move(where)),
      options_(std::move(options)),
      max_frame_(options_.max_handshake_frame),
      may_write_(executor_),
      watchdog_(executor_) {}

KAWAIT_DECL connection::~connection() = default;

KAWAIT_DECL void connection::start() {
  spare_slots_.reserve(detail::most_spare_slots);
  spawn_own(read_loop(shared_from_this()));
}

// Without one of its coroutines a connection would look open for ever: out of memory, it is closed, and the next is made.
KAWAIT_DECL void connection::spawn_own(asio::awaitable<void> coroutine) {
  auto ended = [self = shared_from_this()](std::exception_ptr e) {
    if (!e) return;
    try {
      std::rethrow_exception(std::move(e));
    } catch (const std::system_error& x) {
      self->close(failure(x.code(), x.what()));
    } catch (...) {
      self->close(failure(std::make_error_code(std::errc::not_enough_memory)));
    }
  };
  asio::co_spawn(executor_, std::move(coroutine), std::move(ended));
}

KAWAIT_DECL void connection::close(failure why) {
  if (why_) return;
  why_ = why ? std::move(why) : failure(errc::closed);
  // What a broken connection has not delivered is said anew on the next. A commit that came through later still would undo one that
  // came after it.
  why_.code == errc::closed ? stream_->close() : stream_->abort();
  watchdog_.cancel();
  may_write_.notify_all();
  out_.clear();
  detail::fail_all(pending_, why_);
  if (session_) {
    session_->renewal.cancel();
    detail::fail_all(session_->held, why_);
  }
  if (!options_.observers || stage_ == stage::handshaking) return;
  try {
    options_.observers.tell(&observer::on_disconnected, observer::disconnected{peer_.to_string(), why_});
  } catch (const std::bad_alloc&) {  // not told, then: it is closed all the same
  }
}

KAWAIT_DECL failure connection::at_peer(const failure& f) const {
  std::string words = peer_.to_string();
  if (!f.words.empty()) words.append(": ").append(f.words);
  return failure(f.code, std::move(words));
}

KAWAIT_DECL void connection::fail(std::error_code code, std::string_view words) {
  std::string all(words);
  // ApiVersions is answered without SASL, and what follows by the connection's end.
  const bool wants_login =
      code == errc::connection_closed && stage_ == stage::established && !pending_.empty() && !options_.sasl;
  if (wants_login) all += " (a listener that asks for SASL ends connections without it so)";
  close(at_peer(failure(code, std::move(all))));
}

KAWAIT_DECL failure connection::malformed(failure f) {
  failure why = at_peer(f);
  close(why);
  return why;
}

// The broker answers first and then reads nothing until the time is over (KIP-219), so what is in flight waits as well. Brokers ask
// for no more than their quota's windows (eleven of a second, by default): a broken number must not silence the connection for weeks.
KAWAIT_DECL void connection::throttle(std::int32_t given) {
  if (given <= 0 || why_) return;
  const std::chrono::milliseconds pause(std::min(given, 60'000));
  throttled_until_ = std::max(throttled_until_, env_->now() + pause);
  if (options_.observers) options_.observers.tell(&observer::on_throttled, observer::throttled{peer_.to_string(), pause});
  for (pending_request& p : pending_) p.deadline = std::max(p.deadline, throttled_until_ + p.timeout);
}

// The request's frame is already at the end of out_, or among those that wait for the session's renewal.
KAWAIT_DECL detail::ticket connection::enqueue(detail::added_frame& frame, std::chrono::milliseconds timeout,
                                               wire::slab_source& body) {
  return is_held() ? enqueue_in(session_->held, frame, timeout, body) : enqueue_now(frame, timeout, body);
}

KAWAIT_DECL detail::ticket connection::enqueue_now(detail::added_frame& frame, std::chrono::milliseconds timeout,
                                                   wire::slab_source& body) {
  watch(deadline_in(timeout));  // first: it may be short of memory
  detail::ticket t = enqueue_in(pending_, frame, timeout, body);
  send_now();
  return t;
}

KAWAIT_DECL detail::ticket connection::enqueue_in(std::deque<pending_request>& queue, detail::added_frame& frame,
                                                  std::chrono::milliseconds timeout, wire::slab_source& body) {
  std::unique_ptr<detail::answer_slot> slot;
  if (spare_slots_.empty()) {
    slot = std::make_unique<detail::answer_slot>(executor_);
  } else {
    slot = std::move(spare_slots_.back());
    spare_slots_.pop_back();
  }
  const std::int32_t id = next_correlation_id_;
  queue.push_back(pending_request{id, timeout, deadline_in(timeout), slot.get(), &body});
  // Both or neither: an entry without its frame would wait for the answer to another, and the reverse.
  frame.keep();
  next_correlation_id_ = id == std::numeric_limits<std::int32_t>::max() ? 0 : id + 1;
  return detail::ticket(shared_from_this(), std::move(slot), id);
}

KAWAIT_DECL void connection::abandon(std::int32_t correlation_id, std::unique_ptr<detail::answer_slot> slot) noexcept {
  if (!slot->done) {
    for (pending_request& p : pending_) {
      if (p.correlation_id == correlation_id) p.slot = nullptr;
    }
    if (is_held()) {
      for (pending_request& p : session_->held) {
        if (p.correlation_id == correlation_id) p.slot = nullptr;
      }
    }
  }
  if (why_ || spare_slots_.size() == detail::most_spare_slots) return;
  slot->done = false;
  slot->buffer.reset();
  spare_slots_.push_back(std::move(slot));  // within what start() reserved: nothing is allocated in a destructor
}

// Nearly always the stream takes a request at once, and no coroutine is needed. What it does not take is gathered, with whatever
// is requested meanwhile, for one writer.
KAWAIT_DECL void connection::send_now() {
  if (writing_) return;
  if (throttled_until_ <= env_->now()) {
    const std::size_t sent = stream_->try_write(out_);
    if (sent == out_.size()) {
      out_.clear();
      return;
    }
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(sent));
  }
  writing_ = true;
  try {
    spawn_own(write_loop(shared_from_this()));
  } catch (...) {
    writing_ = false;
    throw;
  }
}

KAWAIT_DECL asio::awaitable<void> connection::write_loop(std::shared_ptr<connection> self) {
  connection& c = *self;
  while (!c.why_ && !c.out_.empty()) {
    if (c.throttled_until_ > c.env_->now()) {
      co_await c.may_write_.wait_until(c.throttled_until_);
      continue;
    }
    std::error_code ec;
    std::swap(c.out_, c.sending_);
    co_await c.stream_->write(c.sending_, ec);
    c.sending_.clear();
    if (ec) c.fail(detail::code_of_end(ec), ec.message());
  }
  c.writing_ = false;
}

// One timer per connection, at or before the earliest deadline. An answer does not move it: it finds out when it fires, which is
// once per time-out instead of once per request.
KAWAIT_DECL void connection::watch(time_point deadline) {
  if (deadline >= watched_) return;
  watchdog_.expires_at(deadline);  // the wait before is over with it
  try {
    watchdog_.async_wait([self = shared_from_this()](std::error_code ec) {
      if (ec) return;
      try {
        self->on_watchdog();
      } catch (...) {  // it would leave the user's io_context::run(), and the request never end
        self->close(failure(std::make_error_code(std::errc::not_enough_memory)));
      }
    });
  } catch (...) {  // nobody would look after what is pending
    watched_ = time_point::max();
    close(failure(std::make_error_code(std::errc::not_enough_memory)));
    throw;
  }
  watched_ = deadline;
}

KAWAIT_DECL void connection::on_watchdog() {
  watched_ = time_point::max();
  if (why_ || pending_.empty()) return;
  const auto earlier = [](const pending_request& a, const pending_request& b) { return a.deadline < b.deadline; };
  const pending_request& first = *std::min_element(pending_.begin(), pending_.end(), earlier);
  if (first.deadline > env_->now()) {
    watch(first.deadline);
    return;
  }
  // Closing is the only way out: a late answer could no longer be told from the next one's.
  fail(make_error_code(errc::request_timeout), "no answer within " + std::to_string(first.timeout.count()) + " ms");
}

}  // namespace kawait::net
