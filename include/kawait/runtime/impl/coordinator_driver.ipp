#pragma once

#include <kawait/runtime/coordinator_driver.hpp>

#include <algorithm>

namespace kawait::runtime {

KAWAIT_DECL coordinator_driver::coordinator_driver(asio::any_io_executor executor, net::broker_pool& brokers, const options& o)
    : environment_(net::environment::of(executor)),
      brokers_(brokers),
      group_id_(o.group_id.value_or(std::string())),
      machine_(group_id_, machine::backoff_options(o.retry_backoff, o.retry_backoff_max)),
      changed_(executor) {}

KAWAIT_DECL void coordinator_driver::forget() {
  machine_.forget();
  changed_.notify_all();
}

KAWAIT_DECL void coordinator_driver::on_disconnected() {
  machine_.on_disconnected(environment_.now(), environment_.random());
  changed_.notify_all();
}

KAWAIT_DECL void coordinator_driver::cut(const failure& why) {
  if (const auto connection = connection_.lock()) connection->close(why);
}

KAWAIT_DECL void coordinator_driver::stop() {
  stopped_ = true;
  changed_.notify_all();
}

KAWAIT_DECL asio::awaitable<result<std::shared_ptr<net::connection>>> coordinator_driver::async_get(net::time_point deadline) {
  using answer = result<std::shared_ptr<net::connection>>;
  for (;;) {
    if (stopped_) co_return answer(errc::closed);
    const net::time_point now = environment_.now();
    if (now >= deadline) co_return answer(last_failure_ ? last_failure_ : failure(errc::request_timeout, "coordinator of group " + group_id_));
    const auto effect = machine_.poll(now);
    if (const auto* const node = std::get_if<machine::known>(&effect)) {
      brokers_.set_broker(net::broker(node->node_id, node->host, node->port));
      auto connection = co_await brokers_.async_get(node->node_id, net::channel::control);
      if (connection) {
        connection_ = *connection;
      } else if (!stopped_) {
        last_failure_ = connection.error();
        on_disconnected();
      }
      co_return connection;
    }
    if (const auto* const f = std::get_if<machine::failed>(&effect)) {
      machine_.forget();  // whoever asks next is told anew
      co_return answer(f->reason);
    }
    if (const auto* const pause = std::get_if<machine::idle>(&effect)) {
      co_await changed_.wait_until(std::min(pause->until, deadline));
    } else {
      co_await look_up();
    }
  }
}

// One look-up at a time: the machine is idle while one is under way, so others wait for its end.
KAWAIT_DECL asio::awaitable<void> coordinator_driver::look_up() {
  auto connection = co_await brokers_.async_any();
  if (stopped_) co_return;
  if (connection) {
    protocol::find_coordinator_request request;
    request.key_type = 0;
    request.coordinator_keys.push_back(group_id_);
    auto found = co_await (*connection)->async_request(request);
    if (stopped_) co_return;
    if (found) {
      machine_.on_found(found->message, environment_.now(), environment_.random());
      changed_.notify_all();
      co_return;
    }
    last_failure_ = found.error();
  } else {
    last_failure_ = connection.error();
  }
  on_disconnected();
}

}  // namespace kawait::runtime
