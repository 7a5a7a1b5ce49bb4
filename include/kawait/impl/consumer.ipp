#pragma once

#include <kawait/consumer.hpp>

namespace kawait {

namespace detail {

inline config checked(config c) {
  c.check();
  return c;
}

}  // namespace detail

KAWAIT_DECL consumer::consumer(asio::any_io_executor executor, config c)
    : engine_(runtime::engine::create(std::move(executor), detail::checked(std::move(c)).values())) {}

KAWAIT_DECL consumer::~consumer() {
  if (engine_) engine_->stop(failure(std::error_code(asio::error::operation_aborted)));
}

KAWAIT_DECL void consumer::subscribe(std::vector<std::string> topics) {
  detail::value_or_throw(engine_->subscribe(std::move(topics), std::nullopt));
}

KAWAIT_DECL void consumer::subscribe_pattern(std::string pattern, std::vector<std::string> topics) {
  detail::value_or_throw(engine_->subscribe(std::move(topics), std::move(pattern)));
}

KAWAIT_DECL void consumer::assign(std::vector<topic_partition> partitions) {
  detail::value_or_throw(engine_->assign(std::move(partitions)));
}

KAWAIT_DECL std::vector<partition> consumer::assignment() const {
  std::vector<partition> all;
  for (const auto& s : engine_->assignment()) {
    if (!s->is_ended() && s->is_announced) all.emplace_back(engine_, s);
  }
  return all;
}

// ---- Operations on the consumer's executor.

KAWAIT_DECL asio::awaitable<result<batch>> consumer::next(engine_ptr e) {
  auto taken = co_await e->next_of_any();
  if (!taken) co_return result<batch>(std::move(taken).error());
  co_return result<batch>(batch(std::move(*taken)));
}

KAWAIT_DECL asio::awaitable<result<event>> consumer::next_event(engine_ptr e) {
  auto change = co_await e->next_change();
  if (!change) co_return result<event>(std::move(change).error());
  event told;
  using kind = runtime::assignment_change::kind;
  told.what = change->what == kind::assigned  ? event::kind::assigned
              : change->what == kind::revoked ? event::kind::revoked
                                              : event::kind::lost;
  for (const auto& s : change->streams) told.partitions.emplace_back(e, s);
  told.revocation = revocation(std::move(change->revocation));
  told.reason = std::move(change->reason);
  co_return result<event>(std::move(told));
}

KAWAIT_DECL asio::awaitable<failure> consumer::unassign(engine_ptr e, revocation r) {
  if (!r) co_return failure();
  co_return co_await e->unassign(r.state());
}

KAWAIT_DECL asio::awaitable<std::pair<failure, commit_result>> consumer::commit_done(engine_ptr e) {
  std::pair<failure, commit_result> refused;
  if (!e->settings().group_id) {
    refused.first = failure(errc::group_required, "commit");
    co_return refused;
  }
  auto streams = e->assignment();
  const auto deadline = e->api_deadline();
  auto outcomes = co_await e->commit_all_done(std::move(streams), deadline);
  co_return detail::to_commit_result(std::move(outcomes));
}

KAWAIT_DECL asio::awaitable<std::pair<failure, commit_result>> consumer::commit_offsets(engine_ptr e, metadata_map offsets) {
  std::pair<failure, commit_result> refused;
  if (!e->settings().group_id) {
    refused.first = failure(errc::group_required, "commit");
    co_return refused;
  }
  std::vector<machine::commit_item> items;
  std::vector<machine::commit_outcome> not_ours;
  for (const auto& [name, wanted] : offsets) {
    const std::int64_t offset = wanted.offset;
    const auto stream = e->find(name);
    machine::commit_item item;
    item.topic = name.topic;
    item.lease.partition.partition = name.partition;
    item.offset = offset_and_epoch(offset);
    item.metadata = wanted.metadata;
    if (!stream) {
      not_ours.emplace_back(item, failure(errc::not_assigned, name.to_string()));
    } else if (offset < 0) {
      not_ours.emplace_back(item, failure(kafka_error::invalid_commit_offset_size, "offset " + std::to_string(offset)));
    } else {
      item.lease = stream->id();
      items.push_back(std::move(item));
    }
  }
  const auto deadline = e->api_deadline();
  auto outcomes = co_await e->commit_offsets(std::move(items), deadline);
  outcomes.insert(outcomes.end(), not_ours.begin(), not_ours.end());
  co_return detail::to_commit_result(std::move(outcomes));
}

KAWAIT_DECL asio::awaitable<result<metadata_map>> consumer::committed_metadata(engine_ptr e, std::vector<topic_partition> partitions) {
  auto offsets = co_await e->committed(std::move(partitions));
  if (!offsets) {
    failure bad = std::move(offsets).error();
    if (e->is_over()) bad = e->why_over();
    co_return result<metadata_map>(std::move(bad));
  }
  metadata_map map;
  for (auto& c : *offsets) map[c.partition] = offset_and_metadata(c.offset.offset, std::move(c.metadata));
  result<metadata_map> all(std::move(map));
  co_return all;
}

KAWAIT_DECL asio::awaitable<result<offset_map>> consumer::committed(engine_ptr e, std::vector<topic_partition> partitions) {
  auto told = co_await committed_metadata(std::move(e), std::move(partitions));
  if (!told) co_return result<offset_map>(std::move(told).error());
  offset_map map;
  for (const auto& [name, committed] : *told) map[name] = committed.offset;
  result<offset_map> all(std::move(map));
  co_return all;
}

KAWAIT_DECL asio::awaitable<result<offset_map>> consumer::edges(engine_ptr e, bool end, std::vector<topic_partition> partitions) {
  using request = protocol::list_offsets_request;
  offset_map offsets;
  for (auto& p : partitions) offsets[std::move(p)] = -1;
  std::vector<machine::offset_query::wish> wishes;
  for (const auto& [name, offset] : offsets) wishes.emplace_back(name, end ? request::latest : request::earliest);
  auto told = co_await e->find_offsets(std::move(wishes));
  if (!told) co_return result<offset_map>(std::move(told).error());
  auto answer = told->begin();
  for (auto& [name, offset] : offsets) offset = (answer++)->offset;
  result<offset_map> all(std::move(offsets));
  co_return all;
}

KAWAIT_DECL asio::awaitable<result<found_map>> consumer::offsets_for_times(engine_ptr e, time_map times) {
  std::vector<machine::offset_query::wish> wishes;
  for (const auto& [name, time] : times) wishes.emplace_back(name, detail::to_timestamp(time));
  auto told = co_await e->find_offsets(std::move(wishes));
  if (!told) co_return result<found_map>(std::move(told).error());
  found_map found;
  auto answer = told->begin();
  for (const auto& [name, time] : times) {
    auto& place = found[name];
    if (answer->offset >= 0) {
      place.emplace();
      place->offset = answer->offset;
      place->timestamp = std::chrono::sys_time<milliseconds>(milliseconds(answer->timestamp));
    }
    ++answer;
  }
  result<found_map> all(std::move(found));
  co_return all;
}

// ---- Without a token.

KAWAIT_DECL asio::awaitable<void> consumer::async_run() { return detail::await_apart_on(get_executor(), run_operation(engine_)); }

KAWAIT_DECL asio::awaitable<void> consumer::async_close(close_options o) {
  return detail::await_done_on(get_executor(), close_operation(engine_, o));
}

KAWAIT_DECL asio::awaitable<void> consumer::async_unsubscribe(milliseconds timeout) {
  return detail::await_done_on(get_executor(), unsubscribe_operation(engine_, timeout));
}

KAWAIT_DECL asio::awaitable<batch> consumer::async_next() { return detail::await_on<batch>(get_executor(), next_operation(engine_)); }

KAWAIT_DECL asio::awaitable<event> consumer::async_next_event() {
  return detail::await_on<event>(get_executor(), event_operation(engine_));
}

KAWAIT_DECL asio::awaitable<void> consumer::async_incremental_unassign(revocation r) {
  return detail::await_done_on(get_executor(), unassign_operation(engine_, std::move(r)));
}

KAWAIT_DECL asio::awaitable<commit_result> consumer::async_commit() {
  return detail::await_on<commit_result>(get_executor(), commit_operation(engine_));
}

KAWAIT_DECL asio::awaitable<commit_result> consumer::async_commit(offset_map offsets) {
  return async_commit(detail::without_metadata(std::move(offsets)));
}

KAWAIT_DECL asio::awaitable<metadata_map> consumer::async_committed_metadata(std::vector<topic_partition> partitions) {
  return detail::await_on<metadata_map>(get_executor(), metadata_operation(engine_, std::move(partitions)));
}

KAWAIT_DECL asio::awaitable<commit_result> consumer::async_commit(metadata_map offsets) {
  return detail::await_on<commit_result>(get_executor(), commit_offsets_operation(engine_, std::move(offsets)));
}

KAWAIT_DECL asio::awaitable<offset_map> consumer::async_committed(std::vector<topic_partition> partitions) {
  return detail::await_on<offset_map>(get_executor(), committed_operation(engine_, std::move(partitions)));
}

KAWAIT_DECL asio::awaitable<offset_map> consumer::async_beginning_offsets(std::vector<topic_partition> partitions) {
  return detail::await_on<offset_map>(get_executor(), edges_operation(engine_, false, std::move(partitions)));
}

KAWAIT_DECL asio::awaitable<offset_map> consumer::async_end_offsets(std::vector<topic_partition> partitions) {
  return detail::await_on<offset_map>(get_executor(), edges_operation(engine_, true, std::move(partitions)));
}

KAWAIT_DECL asio::awaitable<found_map> consumer::async_offsets_for_times(time_map times) {
  return detail::await_on<found_map>(get_executor(), times_operation(engine_, std::move(times)));
}

}  // namespace kawait
