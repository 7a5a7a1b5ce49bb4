#pragma once

#include <algorithm>
#include <map>

#include <kawait/net/broker_pool.hpp>

namespace kawait::net {
namespace detail {

inline void append(std::string& words, const failure& f) {
  if (!words.empty()) words += "; ";
  words += f.to_string();
}

}  // namespace detail

/// One connection of the pool: open, being attempted, or neither.
class broker_pool::slot {
 public:
  slot(const asio::any_io_executor& executor, const machine::backoff_options& reconnect, host_port address)
      : where(std::move(address)), changed(executor), pause_(reconnect), longest_pause_(reconnect.max) {}

  std::shared_ptr<connection> open_connection() const {
    return live_ && live_->is_open() ? live_ : std::shared_ptr<connection>();
  }
  void adopt(std::shared_ptr<connection> c, time_point now) {
    live_ = std::move(c);
    opened_ = now;
  }

  bool retired() const noexcept { return retired_; }
  bool attempting() const noexcept { return begun_ != ended_; }
  std::uint64_t attempts_begun() const noexcept { return begun_; }
  std::uint64_t attempts_ended() const noexcept { return ended_; }
  time_point not_before() const noexcept { return not_before_; }
  /// Why there is no open connection: what the last attempt to end failed with, or why the connection that it made is closed.
  const failure& why_none() const noexcept { return live_ ? live_->why_closed() : last_; }

  void begin(time_point now) {
    drop_closed();  // who waited for the attempt before may not have run since
    ++begun_;
    // A connection that broke at once is as bad as one that never was; one that has lasted makes the next attempt a first one.
    if (opened_ != time_point::min() && now - opened_ >= longest_pause_) pause_.reset();
    opened_ = time_point::min();
    outcome_ = failure(errc::closed);  // if the attempt is cut short
  }
  void end(time_point now, std::uint64_t random) {
    ended_ = begun_;
    last_ = std::move(outcome_);
    not_before_ = now + pause_.next(random);
    changed.notify_all();
  }
  void set_failure(failure f) { outcome_ = std::move(f); }

  /// Nobody will ask for it any more.
  void retire(failure why) {
    retired_ = true;
    stop.emit(asio::cancellation_type::terminal);
    if (live_) live_->close(std::move(why));
    drop_closed();
    changed.notify_all();
  }

  host_port where;
  condition changed;
  asio::cancellation_signal stop;

 private:
  void drop_closed() {
    if (live_) last_.take_over(live_->why_closed());
    live_.reset();
  }

  std::shared_ptr<connection> live_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;
  failure last_;
  failure outcome_;  // Of the attempt under way.
  machine::backoff pause_;
  duration longest_pause_;
  time_point not_before_ = time_point::min();
  time_point opened_ = time_point::min();
  bool retired_ = false;
};

/// Outlives the pool as long as a coroutine runs in it.
class broker_pool::state : public std::enable_shared_from_this<state> {
 public:
  using opened = result<std::shared_ptr<connection>>;

  state(asio::any_io_executor executor, connection_options options, const machine::backoff_options& reconnect,
        std::vector<host_port> bootstrap)
      : executor_(std::move(executor)),
        env_(&environment::of(executor_)),
        options_(std::move(options)),
        reconnect_(reconnect),
        bootstrap_(std::move(bootstrap)),
        any_(make_slot(host_port())) {}

  KAWAIT_DECL void set_broker(const broker& b);
  KAWAIT_DECL void set_brokers(const std::vector<broker>& brokers);
  KAWAIT_DECL std::shared_ptr<slot> find(std::int32_t node, channel c) const;
  KAWAIT_DECL std::shared_ptr<connection> least_loaded() const;
  KAWAIT_DECL void forget(const failure& why);
  void close() {
    // Once: the context may be on its way out when the pool is, and what waited for the first has been destroyed.
    if (!std::exchange(closed_, true)) retire_all(failure(errc::closed));
  }

  void on_refused(std::function<void(const failure&)> tell) { tell_refused_ = std::move(tell); }

  KAWAIT_DECL static asio::awaitable<opened> get(std::shared_ptr<state> self, std::int32_t node, channel c);
  KAWAIT_DECL static asio::awaitable<opened> any(std::shared_ptr<state> self);

 private:
  struct node {
    std::shared_ptr<slot> fetch;
    std::shared_ptr<slot> control;
  };
  struct candidates {
    std::vector<std::int32_t> ready;
    std::vector<std::int32_t> waiting;
  };
  class attempt_guard;

  KAWAIT_DECL void retire_all(const failure& why);
  std::shared_ptr<slot> make_slot(host_port where) { return std::make_shared<slot>(executor_, reconnect_, std::move(where)); }
  /// Which attempt is to be awaited: one that is under way, or a new one.
  KAWAIT_DECL static std::uint64_t begin_attempt(const std::shared_ptr<state>& self, const std::shared_ptr<slot>& s);
  KAWAIT_DECL static asio::awaitable<opened> join(std::shared_ptr<state> self, std::shared_ptr<slot> s);
  KAWAIT_DECL static asio::awaitable<void> attempt(std::shared_ptr<state> self, std::shared_ptr<slot> s);
  KAWAIT_DECL asio::awaitable<opened> open(host_port where);
  KAWAIT_DECL void note_login(const opened& made);
  KAWAIT_DECL asio::awaitable<opened> open_somewhere(std::shared_ptr<slot> s);
  KAWAIT_DECL void adopt_bootstrap(const host_port& where, slot& control);
  KAWAIT_DECL asio::awaitable<opened> open_known(std::shared_ptr<slot> s, std::vector<std::int32_t> ids, std::string& words);
  KAWAIT_DECL candidates known_brokers();

  asio::any_io_executor executor_;
  environment* env_;
  connection_options options_;
  machine::backoff_options reconnect_;
  std::vector<host_port> bootstrap_;
  std::map<std::int32_t, node> nodes_;
  std::shared_ptr<slot> any_;  // The attempt to reach any broker; holds the connection to a bootstrap address.
  bool closed_ = false;
  std::uint32_t refusals_ = 0;  // Of our credentials, in a row.
  failure refused_;             // Too many of them: no more attempts.
  std::function<void(const failure&)> tell_refused_;
};

/// Ends an attempt however its coroutine ends.
class broker_pool::state::attempt_guard {
 public:
  attempt_guard(environment& env, slot& s) noexcept : env_(&env), slot_(&s) {}
  attempt_guard(const attempt_guard&) = delete;
  attempt_guard& operator=(const attempt_guard&) = delete;
  ~attempt_guard() { slot_->end(env_->now(), env_->random()); }

 private:
  environment* env_;
  slot* slot_;
};

KAWAIT_DECL void broker_pool::state::set_broker(const broker& b) {
  if (closed_) return;
  host_port where(b.host, b.port);
  const auto known = nodes_.find(b.id);
  if (known != nodes_.end() && known->second.control->where == where) return;
  const node made{make_slot(where), make_slot(where)};
  if (known != nodes_.end()) {
    const failure why(errc::connection_closed, "the broker's address has changed to " + where.to_string());
    known->second.control->retire(why);
    known->second.fetch->retire(why);
  }
  nodes_.insert_or_assign(b.id, made);
  adopt_bootstrap(where, *made.control);
}

// The bootstrap connection's broker is known by now: it saves connecting a second time.
KAWAIT_DECL void broker_pool::state::adopt_bootstrap(const host_port& where, slot& control) {
  if (any_->attempting() || !(any_->where == where)) return;
  if (auto c = any_->open_connection()) {
    control.adopt(std::move(c), env_->now());
    any_->adopt(nullptr, time_point::min());
    any_->where = host_port();
  }
}

KAWAIT_DECL void broker_pool::state::set_brokers(const std::vector<broker>& brokers) {
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    const auto same_id = [&](const broker& b) { return b.id == it->first; };
    const node& n = it->second;
    const bool in_use =
        n.control->open_connection() || n.fetch->open_connection() || n.control->attempting() || n.fetch->attempting();
    const bool keep = in_use || std::any_of(brokers.begin(), brokers.end(), same_id);
    it = keep ? std::next(it) : nodes_.erase(it);
  }
  for (const broker& b : brokers) set_broker(b);
}

KAWAIT_DECL std::shared_ptr<broker_pool::slot> broker_pool::state::find(std::int32_t id, channel c) const {
  const auto it = nodes_.find(id);
  if (it == nodes_.end()) return nullptr;
  return c == channel::fetch ? it->second.fetch : it->second.control;
}

KAWAIT_DECL std::shared_ptr<connection> broker_pool::state::least_loaded() const {
  std::shared_ptr<connection> best;
  for (const auto& [id, n] : nodes_) {
    auto c = n.control->open_connection();
    if (c && (!best || c->requests_in_flight() < best->requests_in_flight())) best = std::move(c);
  }
  return best ? best : any_->open_connection();
}

KAWAIT_DECL void broker_pool::state::forget(const failure& why) {
  auto any = make_slot(host_port());
  retire_all(why);
  any_ = std::move(any);
}

KAWAIT_DECL void broker_pool::state::retire_all(const failure& why) {
  const auto nodes = std::exchange(nodes_, {});
  for (const auto& [id, n] : nodes) {
    n.control->retire(why);
    n.fetch->retire(why);
  }
  any_->retire(why);
}

KAWAIT_DECL asio::awaitable<broker_pool::state::opened> broker_pool::state::get(std::shared_ptr<state> self, std::int32_t id,
                                                                                channel c) {
  if (self->closed_) co_return failure(errc::closed);
  if (self->refused_) co_return self->refused_;
  const auto s = self->find(id, c);
  if (!s) co_return failure(errc::unknown_broker, "broker " + std::to_string(id));
  if (auto live = s->open_connection()) co_return live;
  auto joined = co_await join(self, s);
  co_return std::move(joined);
}

// The attempt is a coroutine of its own, so that a caller who is cancelled does not end it for the others.
KAWAIT_DECL std::uint64_t broker_pool::state::begin_attempt(const std::shared_ptr<state>& self, const std::shared_ptr<slot>& s) {
  if (s->attempting()) return s->attempts_begun();
  s->begin(self->env_->now());
  try {
    asio::co_spawn(self->executor_, attempt(self, s), asio::bind_cancellation_slot(s->stop.slot(), [s](std::exception_ptr) {}));
  } catch (...) {
    s->end(self->env_->now(), self->env_->random());
    throw;
  }
  return s->attempts_begun();
}

KAWAIT_DECL asio::awaitable<broker_pool::state::opened> broker_pool::state::join(std::shared_ptr<state> self,
                                                                                 std::shared_ptr<slot> s) {
  const std::uint64_t awaited = begin_attempt(self, s);
  while (s->attempts_ended() < awaited && !self->closed_) co_await s->changed.wait();
  if (self->closed_) co_return failure(errc::closed);
  if (auto live = s->open_connection()) co_return live;
  co_return s->why_none();
}

KAWAIT_DECL asio::awaitable<void> broker_pool::state::attempt(std::shared_ptr<state> self, std::shared_ptr<slot> s) {
  const attempt_guard guard(*self->env_, *s);
  timer pause(self->executor_);
  if (s->not_before() > self->env_->now()) {
    pause.expires_at(s->not_before());
    const std::error_code ec = co_await pause.async_wait();
    if (ec) co_return;
  }
  opened made{failure(errc::closed)};
  if (s == self->any_) {
    made = co_await self->open_somewhere(s);
  } else {
    made = co_await self->open(s->where);
  }
  if (!made) {
    s->set_failure(std::move(made.error()));
    co_return;
  }
  if (s->retired()) {  // while the attempt's last step was on its way
    (*made)->close();
    co_return;
  }
  s->adopt(*std::move(made), self->env_->now());
  if (s != self->any_) self->any_->changed.notify_all();
}

KAWAIT_DECL asio::awaitable<broker_pool::state::opened> broker_pool::state::open(host_port where) {
  auto made = co_await connection::open(executor_, std::move(where), options_, time_point::max());
  if (options_.sasl) note_login(made);
  co_return std::move(made);
}

KAWAIT_DECL void broker_pool::state::note_login(const opened& made) {
  if (made) refusals_ = 0;
  if (made || made.error().code != errc::authentication_failed) return;
  if (++refusals_ < options_.sasl->login_attempts || closed_ || refused_) return;
  refused_ = made.error();
  if (tell_refused_) tell_refused_(refused_);
}

KAWAIT_DECL broker_pool::broker_pool(asio::any_io_executor executor, connection_options options,
                                     const machine::backoff_options& reconnect, std::vector<host_port> bootstrap)
    : state_(std::make_shared<state>(std::move(executor), std::move(options), reconnect, std::move(bootstrap))) {}

KAWAIT_DECL broker_pool::~broker_pool() { state_->close(); }

KAWAIT_DECL void broker_pool::set_brokers(const std::vector<broker>& brokers) { state_->set_brokers(brokers); }
KAWAIT_DECL bool broker_pool::knows(std::int32_t node) const { return state_->find(node, channel::control) != nullptr; }
KAWAIT_DECL void broker_pool::set_broker(const broker& b) { state_->set_broker(b); }

KAWAIT_DECL std::shared_ptr<connection> broker_pool::find(std::int32_t node, channel c) const {
  const auto s = state_->find(node, c);
  return s ? s->open_connection() : nullptr;
}

KAWAIT_DECL asio::awaitable<result<std::shared_ptr<connection>>> broker_pool::async_get(std::int32_t node, channel c) {
  return state::get(state_, node, c);
}

KAWAIT_DECL asio::awaitable<result<std::shared_ptr<connection>>> broker_pool::async_any() { return state::any(state_); }

KAWAIT_DECL void broker_pool::on_refused(std::function<void(const failure&)> tell) { state_->on_refused(std::move(tell)); }

KAWAIT_DECL void broker_pool::rebootstrap() {
  state_->forget(failure(errc::connection_closed, "the client starts again from its bootstrap servers"));
}

KAWAIT_DECL void broker_pool::close() { state_->close(); }

}  // namespace kawait::net
