#pragma once

#include <algorithm>

#include <kawait/core/topic_name.hpp>
#include <kawait/detail/list_of.hpp>
#include <kawait/runtime/engine.hpp>

namespace kawait::runtime {

// What is to be read, by a group or without one.

KAWAIT_DECL failure engine::subscribe(std::vector<std::string> names, std::optional<std::string> pattern) {
  if (!options_.group_id) return failure(errc::group_required, "subscribe");
  // Behind its own leave the member would join again, and nobody would be there to speak for it.
  if (is_over() || std::holds_alternative<closing>(state_)) return failure(errc::closed, "subscribe");
  if (!assigned_names_.empty() || (!group_ && !streams_.empty())) return failure(errc::not_in_manual_mode, "subscribe after assign");
  if (pattern && pattern->empty()) return failure(errc::not_subscribed, "subscribe_pattern: the pattern is empty");
  if (names.empty() && !pattern) return failure(errc::not_subscribed, "subscribe: no topic is named");
  for (const auto& name : names) {
    if (failure bad = check_topic_name(name)) return bad;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (!group_) {
    group_ = std::make_unique<group_driver>(executor_, tasks_, coordinator_, static_cast<group_host&>(*this), options_,
                                            detail::make_member_id(environment_));
    commits_.set_member(group_->membership(), [this] { group_->wake(); });
    positions_.set_member(group_->membership());
  }
  on_subscription_changed(names);
  group_->membership().subscribe(std::move(names), std::move(pattern));
  group_->wake();
  return {};
}

// Asked for by name as the member joins: the topics are known when they are assigned, and the user hears of those that are not there.
KAWAIT_DECL void engine::ask_for_subscribed() {
  auto names = subscribed_;
  std::erase_if(names, [this](const std::string& name) { return troubled_.contains(name); });
  metadata_.cluster().want_names(std::move(names));
  metadata_.wake();
}

KAWAIT_DECL void engine::on_subscription_changed(std::vector<std::string> names) {
  subscribed_ = std::move(names);
  troubled_.clear();
  denial_ = failure();
  ask_for_subscribed();
}

// The coordinator does not say which: the metadata does. What is not there was told already.
KAWAIT_DECL void engine::on_subscription_denied(const failure& why) {
  denial_ = why;
  const auto again = std::erase_if(troubled_, [](const auto& t) { return t.second == kafka_error::topic_authorization_failed; });
  ask_for_subscribed();
  if (again == 0) metadata_.request_refresh();  // of those that were known
}

// After an answer. A name that is refused is told once and asked for no more, until the subscription changes or the group refuses it:
// what appears later comes by the assignment.
KAWAIT_DECL void engine::check_subscription() {
  if (subscribed_.empty()) return;
  auto& cluster = metadata_.cluster();
  std::vector<std::string> wanted, missing, denied;
  bool is_all_known = true;
  for (const auto& name : subscribed_) {
    if (troubled_.contains(name)) continue;
    const kafka_error said = cluster.topic_error(name);
    auto& list = said == kafka_error::unknown_topic_or_partition ? missing : said == kafka_error::topic_authorization_failed ? denied : wanted;
    list.push_back(name);
    is_all_known = is_all_known && (said != kafka_error::none || cluster.id_of(name));
  }
  if (denial_ && (is_all_known || !denied.empty())) {
    const failure plain = std::exchange(denial_, failure());
    if (denied.empty()) warn(plain);
  }
  if (missing.empty() && denied.empty()) return;
  for (const auto& name : missing) troubled_.emplace(name, kafka_error::unknown_topic_or_partition);
  for (const auto& name : denied) troubled_.emplace(name, kafka_error::topic_authorization_failed);
  cluster.want_names(std::move(wanted));
  metadata_.wake();
  if (!missing.empty()) {
    warn(failure(kafka_error::unknown_topic_or_partition,
                 "subscribe: there is no topic " + kawait::detail::list_of(missing) + " yet; it is read as soon as there is"));
  }
  if (!denied.empty()) {
    warn(failure(kafka_error::topic_authorization_failed, "group '" + *options_.group_id + "': " + kawait::detail::list_of(denied) +
                                                              ": the principal needs DESCRIBE and READ on every subscribed topic"));
  }
}

KAWAIT_DECL asio::awaitable<failure> engine::unsubscribe(milliseconds timeout) {
  const auto self = shared_from_this();
  if (is_over() || std::holds_alternative<closing>(state_)) co_return failure(errc::closed, "unsubscribe");
  if (!assigned_names_.empty() || (!group_ && !streams_.empty())) {
    co_return failure(errc::not_in_manual_mode, "unsubscribe after assign");
  }
  if (!group_ || (group_->membership().is_unsubscribed() && !departure_)) co_return failure();
  on_subscription_changed({});
  group_->membership().leave(machine::leave_kind::default_);
  group_->wake();
  if (std::holds_alternative<created>(state_)) co_return failure();

  timeout = bounded(timeout);
  const net::time_point now = environment_.now();
  const net::time_point deadline = now + timeout;
  auto mine = departure_;
  if (!mine) {
    mine = std::make_shared<departure>();
    mine->drain_deadline = now + machine::drain_time(timeout);
    tasks_.spawn(watch_departure(mine));
    departure_ = mine;  // not without somebody to watch it
  }
  while (!mine->has_left && !is_over()) {
    if (environment_.now() >= deadline) co_return failure(errc::request_timeout, "unsubscribe");
    co_await left_.wait_until(deadline);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return failure(std::error_code(asio::error::operation_aborted));
  }
  co_return mine->has_left ? mine->outcome : why_over();
}

KAWAIT_DECL asio::awaitable<void> engine::watch_departure(std::shared_ptr<departure> one) {
  while (!one->has_left && !is_over() && environment_.now() < one->drain_deadline) co_await left_.wait_until(one->drain_deadline);
  if (one->has_left || is_over()) co_return;
  const auto streams = assignment();
  for (const auto& s : streams) {
    if (s->is_ended()) give_up(*s);
  }
}

KAWAIT_DECL failure engine::assign(std::vector<topic_partition> partitions) {
  if (group_) return failure(errc::not_in_manual_mode, "assign after subscribe");
  if (is_over() || std::holds_alternative<closing>(state_)) return failure(errc::closed, "assign");
  if (!std::holds_alternative<created>(state_)) return failure(errc::already_running, "assign");
  if (partitions.empty()) return failure(errc::not_subscribed, "assign: no partition is named");
  std::vector<std::string> names;
  for (const auto& p : partitions) {
    if (failure bad = check_topic_name(p.topic)) return bad;
    if (p.partition < 0) return failure(kafka_error::unknown_topic_or_partition, p.to_string());
    names.push_back(p.topic);
  }
  std::sort(partitions.begin(), partitions.end());
  partitions.erase(std::unique(partitions.begin(), partitions.end()), partitions.end());
  assigned_names_ = std::move(partitions);
  metadata_.cluster().want_names(std::move(names));
  metadata_.wake();
  return {};
}

// A topic that is there and lacks the partition is no reason for the metadata to be asked for again.
KAWAIT_DECL asio::awaitable<void> engine::look_for_assigned() {
  while (std::holds_alternative<running>(state_) && !assigned_names_.empty()) {
    co_await over_.wait_until(environment_.now() + options_.retry_backoff_max);
    if (!std::holds_alternative<running>(state_) || assigned_names_.empty()) break;
    if (std::get<running>(state_).reached) resolve_assigned();
    metadata_.request_refresh();
  }
}

}  // namespace kawait::runtime
