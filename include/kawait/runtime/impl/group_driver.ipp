#pragma once

#include <kawait/runtime/group_driver.hpp>

namespace kawait::runtime {

namespace detail {

inline machine::member_options member_options_of(const options& o, std::string member_id) {
  machine::member_options m(*o.group_id, std::move(member_id));
  m.instance_id = o.group_instance_id;
  if (!o.client_rack.empty()) m.rack_id = o.client_rack;
  m.remote_assignor = o.remote_assignor;
  m.rebalance_timeout = o.rebalance_time();
  m.retry = machine::backoff_options(o.retry_backoff, o.retry_backoff_max);
  return m;
}

}  // namespace detail

KAWAIT_DECL group_driver::group_driver(asio::any_io_executor executor, task_group& tasks, coordinator_driver& coordinator,
                                       group_host& host, const options& o, std::string member_id)
    : tasks_(tasks),
      environment_(net::environment::of(executor)),
      coordinator_(coordinator),
      host_(host),
      options_(o),
      membership_(detail::member_options_of(o, std::move(member_id))),
      changed_(executor) {}

KAWAIT_DECL void group_driver::stop() {
  stopped_ = true;
  changed_.notify_all();
}

KAWAIT_DECL asio::awaitable<void> group_driver::run() {
  while (!stopped_) {
    auto effect = membership_.poll(environment_.now());
    if (membership_.has_only_to_leave()) {
      coordinator_.stop_searching();
    } else {
      coordinator_.resume_searching();
    }
    if (const auto* const pause = std::get_if<machine::idle>(&effect)) {
      co_await changed_.wait_until(pause->until);
    } else {
      perform(effect);
    }
  }
}

KAWAIT_DECL void group_driver::perform(machine::membership::effect& effect) {
  using namespace machine;
  if (auto* const beat = std::get_if<send_heartbeat>(&effect)) {
    tasks_.spawn(heartbeat(std::move(*beat)));
  } else if (std::get_if<find_coordinator>(&effect)) {
    coordinator_.forget();
  } else if (std::get_if<cut_coordinator>(&effect)) {
    coordinator_.cut(failure(errc::revocation_deadline, "a commit was still unanswered"));
  } else if (const auto* const unknown = std::get_if<resolve_topics>(&effect)) {
    host_.on_unresolved(unknown->ids);
  } else if (const auto* const revoked = std::get_if<revoke_partitions>(&effect)) {
    host_.on_revoked(*revoked);
  } else if (const auto* const abandoned = std::get_if<abandon_partitions>(&effect)) {
    host_.on_abandoned(*abandoned);
  } else if (const auto* const assigned = std::get_if<assign_partitions>(&effect)) {
    host_.on_assigned(*assigned);
  } else if (const auto* const lost = std::get_if<lose_partitions>(&effect)) {
    host_.on_lost(*lost);
  } else if (const auto* const warning = std::get_if<report>(&effect)) {
    host_.on_group_warning(warning->reason);
  } else if (const auto* const fatal = std::get_if<failed>(&effect)) {
    host_.on_group_failed(fatal->reason);
  } else if (std::get_if<left>(&effect)) {
    host_.on_left();
  }
}

KAWAIT_DECL asio::awaitable<void> group_driver::heartbeat(machine::send_heartbeat what) {
  const net::time_point deadline = environment_.now() + options_.request_timeout;
  auto connection = co_await coordinator_.async_get(deadline);
  if (stopped_) co_return;
  failure why;
  if (connection) {
    group_host::heartbeat_sight seen;
    seen.was_join = what.member_epoch == machine::join_epoch;
    if (what.owned) seen.owned = what.owned->size();
    const net::time_point sent = environment_.now();
    const auto request = what.request();
    auto answer = co_await (*connection)->async_request(request);
    if (stopped_) co_return;
    if (answer) {
      const net::time_point now = environment_.now();
      membership_.on_heartbeat(answer->message, now, environment_.random());
      seen.round_trip = now - sent;
      if (answer->message.error_code != 0) seen.refused = static_cast<kafka_error>(answer->message.error_code);
      host_.on_heartbeat_answered(seen);
      wake();
      co_return;
    }
    why = std::move(answer).error();
    if (!machine::is_final(why)) coordinator_.on_disconnected();
  } else {
    why = std::move(connection).error();
  }
  if (machine::is_final(why)) {
    host_.on_group_failed(why);
    co_return;
  }
  membership_.on_disconnected(environment_.now(), environment_.random());
  host_.on_group_unreachable(why);
  wake();
}

}  // namespace kawait::runtime
