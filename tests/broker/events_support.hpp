#pragma once

#include "member_support.hpp"

namespace kawait::tests {

/// A consumer in events mode: a coroutine for each assigned partition, revocations as the test wants them.
struct events_member {
  kawait::consumer consumer;
  history& log;
  std::string name;
  std::vector<event> told;
  bool hold = false;      ///< Batches are kept from now on.
  bool release = false;   ///< And given back, done.
  bool unassign = true;   ///< Revocations are claimed at once.
  bool is_over = false;
  std::error_code outcome;
  int holding = 0;
  std::set<std::int32_t> stale;  ///< Partitions whose held batch turned stale.

  events_member(asio::any_io_executor executor, history& h, std::string n, config c)
      : consumer(std::move(executor), std::move(c)), log(h), name(std::move(n)) {}

  void start() {
    consumer.async_run([this](std::error_code ec) {
      outcome = ec;
      is_over = true;
    });
    asio::co_spawn(consumer.get_executor(), listen(), asio::detached);
  }
  std::size_t count(event::kind what) const {
    std::size_t n = 0;
    for (const event& e : told) n += e.what == what ? 1 : 0;
    return n;
  }
  const event* last(event::kind what) const {
    const event* found = nullptr;
    for (const event& e : told) {
      if (e.what == what) found = &e;
    }
    return found;
  }
  asio::awaitable<void> listen() {
    try {
      for (;;) {
        auto e = co_await consumer.async_next_event();
        told.push_back(e);
        if (e.what == event::kind::assigned) {
          for (const auto& p : e.partitions) asio::co_spawn(consumer.get_executor(), read(p), asio::detached);
        } else if (e.what == event::kind::revoked && unassign) {
          consumer.async_incremental_unassign(e.revocation, [](std::error_code) {});
        }
      }
    } catch (const error&) {
    }
  }
  asio::awaitable<void> read(kawait::partition p) {
    try {
      open_ownership own(log, name, p);
      for (;;) {
        auto b = co_await p.async_next();
        if (!b) break;
        log.deliver(*own, *b);
        if (hold) {
          ++holding;
          EVENTUALLY(release || is_over);
          --holding;
          if (b->is_stale()) stale.insert(p.index());
        }
        b->done();
      }
      own.why = p.end_reason();
    } catch (const error&) {
    }
  }
  asio::awaitable<void> close() {
    co_await consumer.async_close();
    EVENTUALLY(is_over);
  }
};

}  // namespace kawait::tests
