#pragma once

#include <kawait/runtime/position_driver.hpp>

namespace kawait::runtime {

namespace detail {

/// While somebody asks about topics, metadata has them.
class held_names {
 public:
  held_names(metadata_driver& metadata, const std::vector<machine::offset_query::wish>& wishes) : metadata_(metadata) {
    for (const auto& w : wishes) names_.push_back(w.partition.topic);
    metadata_.cluster().hold_names(names_);
    metadata_.wake();
  }
  held_names(const held_names&) = delete;
  held_names& operator=(const held_names&) = delete;
  ~held_names() { metadata_.cluster().release_names(names_); }

 private:
  metadata_driver& metadata_;
  std::vector<std::string> names_;
};

inline machine::position_finder::options finder_options_of(const options& o) {
  machine::position_finder::options f(o.auto_offset_reset, static_cast<std::int8_t>(o.isolation), o.request_timeout,
                                      machine::backoff_options(o.retry_backoff, o.retry_backoff_max));
  f.back = o.auto_offset_reset_back;
  return f;
}

}  // namespace detail

KAWAIT_DECL position_driver::position_driver(asio::any_io_executor executor, task_group& tasks, net::broker_pool& brokers,
                                             metadata_driver& metadata, coordinator_driver& coordinator, position_host& host,
                                             const options& o)
    : tasks_(tasks),
      environment_(net::environment::of(executor)),
      brokers_(brokers),
      metadata_(metadata),
      coordinator_(coordinator),
      host_(host),
      options_(o),
      finder_(detail::finder_options_of(o)),
      changed_(executor) {}

KAWAIT_DECL void position_driver::stop() {
  stopped_ = true;
  changed_.notify_all();
}

KAWAIT_DECL asio::awaitable<void> position_driver::run() {
  using finder = machine::position_finder;
  while (!stopped_) {
    auto effect = finder_.poll(environment_.now(), metadata_.cluster());
    if (const auto* const pause = std::get_if<machine::idle>(&effect)) {
      co_await changed_.wait_until(pause->until);
    } else if (auto* const committed = std::get_if<finder::fetch_committed>(&effect)) {
      tasks_.spawn(fetch_committed(std::move(*committed)));
    } else if (auto* const offsets = std::get_if<finder::list_offsets>(&effect)) {
      tasks_.spawn(list_offsets(std::move(*offsets), nullptr));
    } else if (auto* const ends = std::get_if<finder::find_epoch_ends>(&effect)) {
      tasks_.spawn(find_epoch_ends(std::move(*ends)));
    } else if (const auto* const found = std::get_if<finder::found>(&effect)) {
      host_.on_position_found(*found);
    } else if (const auto* const missing = std::get_if<finder::not_found>(&effect)) {
      host_.on_position_not_found(*missing);
    } else if (std::get_if<finder::refresh_metadata>(&effect)) {
      metadata_.request_refresh();
    } else {
      coordinator_.forget();
    }
  }
}

template <class Request>
asio::awaitable<result<net::answer<Request>>> position_driver::ask(const result<std::shared_ptr<net::connection>>& connection,
                                                                   const Request& request) {
  using answer = result<net::answer<Request>>;
  if (stopped_) co_return answer(errc::closed);
  if (!connection) co_return answer(connection.error());
  auto told = co_await (*connection)->async_request(request);
  co_return told;
}

KAWAIT_DECL asio::awaitable<void> position_driver::fetch_committed(machine::position_finder::fetch_committed what) {
  const auto connection = co_await coordinator_.async_get(environment_.now() + options_.request_timeout);
  std::optional<std::string_view> member_id;
  std::int32_t epoch = -1;
  if (member_) {
    member_id = member_->member_id();
    epoch = member_->member_epoch();
  }
  const auto request = what.request(*options_.group_id, member_id, epoch);
  const auto answer = co_await ask(connection, request);
  if (stopped_) co_return;
  if (answer) {
    finder_.on_offset_fetch(answer->message, environment_.now(), environment_.random());
  } else {
    if (connection) coordinator_.on_disconnected();
    finder_.on_offset_fetch_failed(answer.error(), environment_.now(), environment_.random());
  }
  wake();
}

KAWAIT_DECL asio::awaitable<result<position_driver::answers>> position_driver::async_find(
    std::vector<machine::offset_query::wish> wishes, net::time_point deadline) {
  using answer = result<answers>;
  using query_machine = machine::offset_query;
  const detail::held_names held(metadata_, wishes);
  const query_machine::options how(static_cast<std::int8_t>(options_.isolation), options_.request_timeout,
                                   machine::backoff_options(options_.retry_backoff, options_.retry_backoff_max), deadline);
  const auto query = std::make_shared<query_machine>(how, std::move(wishes));
  while (!stopped_) {
    auto effect = query->poll(environment_.now(), metadata_.cluster());
    if (auto* const finished = std::get_if<query_machine::finished>(&effect)) {
      if (finished->why) co_return answer(std::move(finished->why));
      co_return answer(std::move(finished->answers));
    } else if (auto* const offsets = std::get_if<query_machine::list_offsets>(&effect)) {
      tasks_.spawn(list_offsets(std::move(*offsets), query));
    } else if (std::get_if<query_machine::refresh_metadata>(&effect)) {
      metadata_.request_refresh();
    } else {
      co_await changed_.wait_until(std::get<machine::idle>(effect).until);
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return answer(failure(std::error_code(asio::error::operation_aborted)));
    }
  }
  co_return answer(failure(errc::closed));
}

KAWAIT_DECL asio::awaitable<void> position_driver::list_offsets(machine::position_finder::list_offsets what,
                                                                std::shared_ptr<machine::offset_query> query) {
  const auto connection = co_await brokers_.async_get(what.node, net::channel::control);
  const auto request = what.request(environment_.wall_clock());
  const auto answer = co_await ask(connection, request);
  if (stopped_) co_return;
  const auto now = environment_.now();
  const std::uint64_t random = environment_.random();
  if (answer) {
    query ? query->on_list_offsets(what.node, answer->message, now, random)
          : finder_.on_list_offsets(what.node, answer->message, now, random);
  } else {
    query ? query->on_list_offsets_failed(what.node, answer.error(), now, random)
          : finder_.on_list_offsets_failed(what.node, answer.error(), now, random);
    metadata_.request_refresh();
  }
  wake();
}

KAWAIT_DECL asio::awaitable<void> position_driver::find_epoch_ends(machine::position_finder::find_epoch_ends what) {
  const auto connection = co_await brokers_.async_get(what.node, net::channel::control);
  const auto request = what.request();
  const auto answer = co_await ask(connection, request);
  if (stopped_) co_return;
  if (answer) {
    finder_.on_epoch_ends(what.node, answer->message, environment_.now(), environment_.random());
  } else {
    finder_.on_epoch_ends_failed(what.node, answer.error(), environment_.now(), environment_.random());
    metadata_.request_refresh();
  }
  wake();
}

}  // namespace kawait::runtime
