#pragma once

#include <kawait/runtime/commit_driver.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>
#include <map>

namespace kawait::runtime {

namespace detail {

inline machine::commit_rules rules_of(const net::connection& connection) {
  const std::int16_t level = connection.versions().metadata_version();
  machine::commit_rules rules;
  rules.stamp = level < 0 ? machine::stamp_rule::unknown : level >= 30 ? machine::stamp_rule::lease_epoch : machine::stamp_rule::current_epoch;
  if (const auto version = connection.versions().choose<protocol::offset_commit_request>()) rules.version = *version;
  return rules;
}

}  // namespace detail

KAWAIT_DECL commit_driver::commit_driver(asio::any_io_executor executor, task_group& tasks, metadata_driver& metadata,
                                         coordinator_driver& coordinator, const options& o)
    : tasks_(tasks),
      environment_(net::environment::of(executor)),
      metadata_(metadata),
      coordinator_(coordinator),
      options_(o),
      finished_(executor),
      changed_(executor) {}

KAWAIT_DECL void commit_driver::stop(const failure& why) {
  stopped_ = true;
  if (why) why_stopped_.take_over(why);
  changed_.notify_all();
  finished_.notify_all();
}

KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> commit_driver::async_commit(std::vector<machine::commit_item> items,
                                                                                              net::time_point deadline) {
  const auto mine = std::make_shared<call>();
  mine->items = std::move(items);
  mine->deadline = mine->gives_up = deadline;
  if (mine->items.empty()) co_return std::vector<machine::commit_outcome>();
  waiting_.push_back(mine);
  if (!std::exchange(running_, true)) {
    try {
      tasks_.spawn(run_rounds());
    } catch (...) {  // nobody would run a round, for this call or any other
      running_ = false;
      std::erase(waiting_, mine);
      throw;
    }
  }
  bool cancelled = false;  // this call; the commit itself goes on
  while (!mine->is_finished && !stopped_ && !cancelled && environment_.now() < mine->gives_up) {
    co_await finished_.wait_until(mine->gives_up);
    const auto state = co_await asio::this_coro::cancellation_state;
    cancelled = state.cancelled() != asio::cancellation_type::none;
  }
  if (!mine->is_finished) {
    const bool is_in_a_round = std::erase(waiting_, mine) == 0;
    const char* const late = is_in_a_round ? "the commit was not answered in time" : "the commit before it is still unanswered";
    const failure why = stopped_    ? why_stopped_
                        : cancelled ? failure(asio::error::operation_aborted)
                                    : failure(errc::request_timeout, late);
    for (const auto& item : mine->items) mine->outcomes.emplace_back(item, why);
  }
  co_return std::move(mine->outcomes);
}

KAWAIT_DECL asio::awaitable<void> commit_driver::run_rounds() {
  while (!waiting_.empty() && !stopped_) {
    const auto calls = std::exchange(waiting_, {});
    std::map<machine::leased, machine::commit_item> newest;
    net::time_point deadline = net::time_point::min();
    for (const auto& c : calls) {
      for (const auto& item : c->items) newest.insert_or_assign(item.lease, item);
      deadline = std::max(deadline, c->deadline);
    }
    for (const auto& c : calls) {
      if (c->deadline == deadline) c->gives_up = net::time_point::max();
    }
    std::vector<machine::commit_item> items;
    for (auto& [lease, item] : newest) items.push_back(std::move(item));
    auto outcomes = co_await run_round(std::move(items), deadline);
    std::map<machine::leased, machine::commit_outcome> results;
    for (auto& outcome : outcomes) results[outcome.lease] = std::move(outcome);
    for (const auto& c : calls) {
      if (KAWAIT_MUTANT(forgets_who_commits)) continue;
      // The offset is the one that was sent: a later call's, where two named the same partition.
      for (const auto& item : c->items) c->outcomes.push_back(results[item.lease]);
      c->is_finished = true;
    }
    finished_.notify_all();
  }
  running_ = false;
}

KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> commit_driver::run_round(std::vector<machine::commit_item> items,
                                                                                           net::time_point deadline) {
  const machine::backoff_options retry(options_.retry_backoff, options_.retry_backoff_max);
  std::weak_ptr<net::connection> asked;
  machine::commit_round round(*options_.group_id, items, machine::commit_rules(), retry, deadline);
  auto connection = co_await coordinator_.async_get(deadline);
  while (!stopped_) {
    if (connection) round.set_rules(detail::rules_of(**connection));
    if (!connection && machine::is_final(connection.error())) round.fail(connection.error());
    round.refuse_replaced(metadata_.cluster());
    // From here to the encoding of the request nothing suspends: a lease that the machine finds held now is held when the request
    // takes its place on the connection, before any heartbeat that gives the partition up.
    auto effect = member_ ? round.poll(environment_.now(), *member_) : round.poll(environment_.now());
    if (auto* const finished = std::get_if<machine::finished>(&effect)) co_return std::move(finished->outcomes);
    if (const auto* const what = std::get_if<machine::send_commit>(&effect)) {
      if (connection) {
        asked = *connection;
        co_await send(round, *what, *connection);
        // That is told at once: the connection over which the answer came may be gone by now, and another long in coming.
        if (round.is_decided()) continue;
      } else {
        round.on_disconnected(environment_.now(), environment_.random());
      }
    } else if (const auto* const pause = std::get_if<machine::idle>(&effect)) {
      co_await changed_.wait_until(pause->until);
    } else if (!connection || *connection == asked.lock()) {
      coordinator_.forget();  // or another was found since
    }
    connection = co_await coordinator_.async_get(deadline);
  }
  std::vector<machine::commit_outcome> closed;
  for (const auto& item : items) closed.emplace_back(item, why_stopped_);
  co_return closed;
}

KAWAIT_DECL asio::awaitable<void> commit_driver::send(machine::commit_round& round, const machine::send_commit& what,
                                                      std::shared_ptr<net::connection> connection) {
  const auto leases = what.leases();
  if (member_) member_->on_commit_sent(leases);
  coordinator_.on_commit_sent(connection);
  const auto request = what.request();
  auto answer = co_await connection->async_request(request);
  if (member_) {
    member_->on_commit_answered(leases);
    wake_member_();
  }
  if (stopped_) co_return;
  if (answer) {
    round.on_response(answer->message, environment_.now(), environment_.random());
    if (round.doubts_topics()) metadata_.request_refresh();
  } else if (machine::is_final(answer.error())) {
    round.fail(answer.error());
  } else {
    round.on_disconnected(environment_.now(), environment_.random());
    coordinator_.on_disconnected();
  }
}

}  // namespace kawait::runtime
