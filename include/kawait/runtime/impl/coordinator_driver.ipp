#pragma once

#include <kawait/runtime/coordinator_driver.hpp>

#include <algorithm>
#include <utility>

namespace kawait::runtime {

KAWAIT_DECL coordinator_driver::coordinator_driver(asio::any_io_executor executor, task_group& tasks, net::broker_pool& brokers,
                                                   const options& o)
    : tasks_(tasks),
      environment_(net::environment::of(executor)),
      brokers_(brokers),
      group_id_(o.group_id.value_or(std::string())),
      machine_(group_id_, machine::backoff_options(o.retry_backoff, o.retry_backoff_max)),
      changed_(executor) {}

KAWAIT_DECL void coordinator_driver::notify() {
  ++changes_;
  changed_.notify_all();
}

KAWAIT_DECL void coordinator_driver::forget() {
  machine_.forget();
  notify();
}

KAWAIT_DECL void coordinator_driver::on_disconnected() {
  machine_.on_disconnected(environment_.now(), environment_.random());
  notify();
}

KAWAIT_DECL void coordinator_driver::cut(const failure& why) {
  if (const auto connection = committing_.lock()) connection->close(why);
}

KAWAIT_DECL void coordinator_driver::stop_searching() {
  if (life_ != life::searching) return;
  life_ = life::as_known;
  notify();
}

KAWAIT_DECL void coordinator_driver::stop() {
  life_ = life::stopped;
  notify();
}

KAWAIT_DECL asio::awaitable<result<std::shared_ptr<net::connection>>> coordinator_driver::async_get(net::time_point deadline) {
  using answer = result<std::shared_ptr<net::connection>>;
  const std::uint64_t failed_before = attempts_failed_;
  for (;;) {
    if (life_ == life::stopped) co_return answer(errc::closed);
    if (attempts_failed_ != failed_before) co_return answer(last_failure_);
    const net::time_point now = environment_.now();
    const bool is_lost = life_ == life::as_known && (!machine_.is_known() || failed_in_a_row_ > 0);
    if (now >= deadline || is_lost) {
      co_return answer(last_failure_ ? last_failure_ : failure(errc::request_timeout, "coordinator of group " + group_id_));
    }
    net::time_point until = deadline;
    const std::uint64_t seen = changes_;
    const auto effect = machine_.poll(now);
    if (const auto* const node = std::get_if<machine::known>(&effect)) {
      if (auto open = reach(*node)) co_return answer(std::move(open));
      if (!machine_.is_known()) continue;
    } else if (const auto* const f = std::get_if<machine::failed>(&effect)) {
      machine_.forget();  // whoever asks next is told anew
      co_return answer(f->reason);
    } else if (const auto* const pause = std::get_if<machine::idle>(&effect)) {
      until = std::min(pause->until, deadline);
    } else {
      begin_look_up();
    }
    // A task may have run to its end where it was spawned.
    if (changes_ == seen) co_await changed_.wait_until(until);
  }
}

KAWAIT_DECL std::shared_ptr<net::connection> coordinator_driver::reach(const machine::known& node) {
  if (auto open = brokers_.find(node.node_id, net::channel::control)) {
    failed_in_a_row_ = 0;  // somebody else may have opened it
    was_connected_ = true;
    connecting_.reset();  // what is still tried is another's, and says nothing of this one
    return open;
  }
  // A connection that ended while nothing was asked on it: the broker may be gone, and the group be another's. To find that out by
  // connecting may take as long as an attempt may; any other broker says so at once.
  if (std::exchange(was_connected_, false) && life_ == life::searching) {
    machine_.forget();
    return nullptr;
  }
  if (!brokers_.knows(node.node_id)) brokers_.set_broker(net::broker(node.node_id, node.host, node.port));
  if (connecting_ == node.node_id) return nullptr;
  const auto before = std::exchange(connecting_, node.node_id);
  try {
    tasks_.spawn(connect(node.node_id));
  } catch (...) {  // nobody connects to it
    connecting_ = before;
    throw;
  }
  return nullptr;
}

KAWAIT_DECL asio::awaitable<void> coordinator_driver::connect(std::int32_t node) {
  const auto connection = co_await brokers_.async_get(node, net::channel::control);
  if (connecting_ != node) co_return;  // it was another's turn meanwhile, whose attempt it is that counts
  connecting_.reset();
  if (life_ == life::stopped) co_return;
  if (connection) {
    failed_in_a_row_ = 0;
  } else {
    last_failure_ = connection.error();
    ++attempts_failed_;
    ++failed_in_a_row_;
    on_disconnected();
  }
  notify();
}

// Once, when it is news: told each time, it would undo what Metadata says later of a broker that has moved.
KAWAIT_DECL void coordinator_driver::note_address() {
  was_connected_ = false;
  const machine::known* const node = machine_.node();
  if (node) brokers_.set_broker(net::broker(node->node_id, node->host, node->port));
}

// The machine waits for the answer from now on: without memory for one who asks, it is told that there is none.
KAWAIT_DECL void coordinator_driver::begin_look_up() {
  try {
    tasks_.spawn(look_up());
  } catch (...) {
    on_disconnected();
    throw;
  }
}

// One look-up at a time: the machine is idle while one is under way, so others wait for its end.
KAWAIT_DECL asio::awaitable<void> coordinator_driver::look_up() {
  auto connection = co_await brokers_.async_any();
  if (life_ == life::stopped) co_return;
  if (connection) {
    protocol::find_coordinator_request request;
    request.key_type = 0;
    request.coordinator_keys.push_back(group_id_);
    auto found = co_await (*connection)->async_request(request);
    if (life_ == life::stopped) co_return;
    if (found) {
      machine_.on_found(found->message, environment_.now(), environment_.random());
      note_address();
      notify();
      co_return;
    }
    last_failure_ = found.error();
  } else {
    last_failure_ = connection.error();
  }
  on_disconnected();
}

}  // namespace kawait::runtime
