#pragma once

// Which broker to reach where any will do.

#include <algorithm>

#include <kawait/net/broker_pool.hpp>

namespace kawait::net {

KAWAIT_DECL asio::awaitable<broker_pool::state::opened> broker_pool::state::any(std::shared_ptr<state> self) {
  if (self->closed_) co_return failure(errc::closed);
  if (self->refused_) co_return self->refused_;
  if (auto live = self->least_loaded()) co_return live;
  const auto s = self->any_;
  const std::uint64_t awaited = begin_attempt(self, s);
  while (s->attempts_ended() < awaited && !self->closed_) {
    co_await s->changed.wait();
    // Somebody else may have reached a node, while this attempt is still at one that does not answer.
    if (auto live = self->least_loaded()) co_return live;
  }
  if (self->closed_) co_return failure(errc::closed);
  if (auto live = s->open_connection()) co_return live;
  co_return s->why_none();
}

// Known brokers: first, from a random start, those that need not wait; last, the one of the others that waits least.
KAWAIT_DECL broker_pool::state::candidates broker_pool::state::known_brokers() {
  candidates c;
  time_point least = time_point::max();
  for (const auto& [id, n] : nodes_) {
    const time_point at = n.control->not_before();
    if (at <= env_->now()) {
      c.ready.push_back(id);
    } else if (at < least) {
      least = at;
      c.waiting.assign(1, id);
    }
  }
  if (!c.ready.empty()) {
    const auto start = static_cast<std::ptrdiff_t>(env_->random() % c.ready.size());
    std::rotate(c.ready.begin(), c.ready.begin() + start, c.ready.end());
  }
  return c;
}

KAWAIT_DECL asio::awaitable<broker_pool::state::opened> broker_pool::state::open_known(std::shared_ptr<slot> s,
                                                                                       std::vector<std::int32_t> ids,
                                                                                       std::string& words) {
  for (const std::int32_t id : ids) {
    if (auto live = least_loaded()) {
      s->where = host_port();  // some node's connection, not one for another to adopt
      co_return live;
    }
    auto reached = co_await get(shared_from_this(), id, channel::control);
    if (s->retired()) co_return failure(errc::closed);
    if (reached) {
      s->where = host_port();
      co_return std::move(reached);
    }
    detail::append(words, reached.error());
  }
  co_return failure(errc::bootstrap_failed);
}

// The bootstrap list starts at random as well: whoever bootstraps a thousand clients does not want all of them at one address.
KAWAIT_DECL asio::awaitable<broker_pool::state::opened> broker_pool::state::open_somewhere(std::shared_ptr<slot> s) {
  std::string words;
  const candidates known = known_brokers();
  auto first = co_await open_known(s, known.ready, words);
  if (first || s->retired()) co_return std::move(first);
  const std::vector<host_port> list = bootstrap_;
  std::error_code common = errc::bootstrap_failed;
  const std::size_t start = list.empty() ? 0 : static_cast<std::size_t>(env_->random() % list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const host_port& where = list[(start + i) % list.size()];
    auto reached = co_await open(where);
    if (reached) {
      s->where = where;
      co_return std::move(reached);
    }
    detail::append(words, reached.error());
    // Whose password is wrong at one is wrong at all: trying on would only lock the account.
    if (reached.error().code == errc::authentication_failed) co_return failure(errc::authentication_failed, std::move(words));
    if (i == 0) {
      common = reached.error().code;
    } else if (common != reached.error().code) {
      common = errc::bootstrap_failed;
    }
  }
  auto last = co_await open_known(s, known.waiting, words);
  if (last || s->retired()) co_return std::move(last);
  // Where all names are wrong, or all ports are another's, the code can say so.
  const bool telling = common == errc::unresolved_host || common == errc::not_kafka || common == errc::certificate_rejected ||
                       common == errc::tls_failed;
  co_return failure(telling && nodes_.empty() ? common : make_error_code(errc::bootstrap_failed), std::move(words));
}

}  // namespace kawait::net
