#pragma once

#include <kawait/core/topic_name.hpp>
#include <kawait/runtime/engine.hpp>

#include <string>
#include <unordered_map>
#include <utility>

namespace kawait::runtime {

namespace detail {

inline void drop_settled(std::vector<std::pair<stream_ptr, offset_and_epoch>>& awaited) {
  std::erase_if(awaited, [](const auto& a) { return !a.first->tracker().is_being_committed(a.second.offset); });
}

}  // namespace detail

KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> engine::commit_done(std::vector<stream_ptr> streams,
                                                                                      net::time_point deadline) {
  const auto self = shared_from_this();
  releases_->drain();
  std::vector<machine::commit_item> items;
  sent_commits sent;
  for (auto& stream : streams) {
    warn_of_hole(*stream);
    const auto offset = stream->tracker().uncommitted();
    if (!offset) continue;
    items.emplace_back(stream->id(), stream->topic(), *offset);
    sent.emplace_back(stream, stream->tracker().on_commit_sent(*offset));
  }
  const net::time_point began = environment_.now();
  auto outcomes = co_await commits_.async_commit(std::move(items), deadline);
  settle(sent, outcomes);
  tell_committed(outcomes, began);
  co_return outcomes;
}

// In manual mode a batch may be dropped without done(). Who names the offsets of his commits is right to; who commits what is
// done would wonder why nothing is, from there on.
KAWAIT_DECL void engine::warn_of_hole(partition_stream& stream) {
  const auto hole = stream.take_untold_hole();
  if (!hole) return;
  const std::string where = stream.name().to_string() + ": offset " + std::to_string(*hole);
  warn(failure(errc::batch_abandoned, where + " is not done, and its batch was released: no commit goes past it"));
}

// The trackers hear of it, so that the mark, where it is older, is not sent behind it.
KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> engine::commit_offsets(std::vector<machine::commit_item> items,
                                                                                         net::time_point deadline) {
  const auto self = shared_from_this();
  sent_commits sent;
  for (const auto& item : items) {
    const auto stream = find_stream(item.lease.partition);
    const bool is_live = stream && stream->id() == item.lease;
    sent.emplace_back(is_live ? stream : nullptr, is_live ? stream->tracker().on_commit_sent(item.offset) : 0);
  }
  const net::time_point began = environment_.now();
  auto outcomes = co_await commits_.async_commit(std::move(items), deadline);
  settle(sent, outcomes);
  tell_committed(outcomes, began);
  co_return outcomes;
}

KAWAIT_DECL void engine::settle(const sent_commits& sent, const std::vector<machine::commit_outcome>& outcomes) {
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const auto& [stream, id] = sent[i];
    if (!stream) continue;
    if (outcomes[i].result) {
      stream->tracker().on_commit_failed(id);
    } else {
      stream->tracker().on_committed(id);
    }
  }
  committed_.notify_all();
}

// What a commit under way covers is not sent again, so that its end is ours; whatever is done, or committed by name, meanwhile is not:
// there might be something each time we look. What is left at the deadline is returned. Between the last look and the commit that is
// sent for the rest nothing must suspend, or another's may come under way.
KAWAIT_DECL asio::awaitable<engine::awaited_commits> engine::commits_settled(std::vector<stream_ptr> streams,
                                                                             net::time_point deadline) {
  releases_->drain();
  awaited_commits left;
  for (const auto& stream : streams) {
    if (const auto mark = stream->tracker().committable()) left.emplace_back(stream, *mark);
  }
  for (;;) {
    detail::drop_settled(left);
    if (left.empty() || is_over() || environment_.now() >= deadline) break;
    co_await committed_.wait_until(deadline);
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) break;
  }
  co_return left;
}

KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> engine::commit_all_done(std::vector<stream_ptr> streams,
                                                                                          net::time_point deadline) {
  const auto self = shared_from_this();
  const auto unanswered = co_await commits_settled(streams, deadline);
  auto outcomes = co_await commit_done(std::move(streams), deadline);
  for (const auto& [stream, mark] : unanswered) {
    const machine::commit_item item(stream->id(), stream->topic(), mark);
    outcomes.emplace_back(item, failure(errc::request_timeout, "an earlier commit is still unanswered"));
  }
  co_return outcomes;
}

KAWAIT_DECL asio::awaitable<result<engine::committed_offsets>> engine::committed(std::vector<topic_partition> partitions) {
  using answer = result<committed_offsets>;
  const auto self = shared_from_this();
  if (!options_.group_id) co_return answer(failure(errc::group_required, "committed"));
  const net::time_point deadline = api_deadline();
  machine::backoff pause(machine::backoff_options(options_.retry_backoff, options_.retry_backoff_max));
  for (;;) {
    auto told = co_await ask_committed(partitions, deadline);
    if (told) co_return told;
    const failure& why = told.error();
    if (why.code == kafka_error::not_coordinator || why.code == kafka_error::coordinator_not_available) coordinator_.forget();
    const net::time_point again = environment_.now() + pause.next(environment_.random());
    if (is_over() || machine::is_final(why) || again >= deadline) co_return told;
    while (!is_over() && environment_.now() < again) {
      co_await over_.wait_until(again);
      const auto state = co_await asio::this_coro::cancellation_state;
      if (state.cancelled() != asio::cancellation_type::none) co_return answer(failure(std::error_code(asio::error::operation_aborted)));
    }
  }
}

KAWAIT_DECL asio::awaitable<result<position_driver::answers>> engine::find_offsets(std::vector<machine::offset_query::wish> wishes) {
  using answer = result<position_driver::answers>;
  const auto self = shared_from_this();
  if (is_over()) co_return answer(why_over());
  for (const auto& w : wishes) {
    if (failure bad = check_topic_name(w.partition.topic)) co_return answer(std::move(bad));
    if (w.partition.partition < 0) co_return answer(failure(kafka_error::unknown_topic_or_partition, w.partition.to_string()));
  }
  start_metadata();
  auto told = co_await positions_.async_find(std::move(wishes), api_deadline());
  if (!told && is_over()) co_return answer(why_over());
  co_return told;
}

KAWAIT_DECL asio::awaitable<result<engine::committed_offsets>> engine::ask_committed(std::vector<topic_partition> partitions,
                                                                                     net::time_point deadline) {
  using answer = result<committed_offsets>;
  machine::position_finder::fetch_committed what;
  std::int16_t cap = net::connection::newest;
  std::unordered_map<uuid, std::string> names;
  for (const auto& p : partitions) {
    const auto id = metadata_.cluster().id_of(p.topic);
    if (!id) cap = 9;  // the last version that goes by names: of a topic that is not ours the id is not known
    if (id) names.insert_or_assign(*id, p.topic);
    machine::position_finder::fetch_committed::item item;
    item.lease = machine::leased(topic_id_partition(id.value_or(uuid()), p.partition), 0);
    item.topic = p.topic;
    what.items.push_back(std::move(item));
  }
  auto connection = co_await coordinator_.async_get(deadline);
  if (!connection) co_return answer(std::move(connection).error());
  const auto request = what.request(*options_.group_id, std::nullopt, -1);
  wire::heap_slabs heap;
  auto told = co_await (*connection)->async_request(request, options_.request_timeout, heap, cap);
  if (!told) {
    coordinator_.on_disconnected();
    co_return answer(std::move(told).error());
  }
  committed_offsets offsets;
  for (const auto& group : told->message.groups) {
    if (group.error_code != 0) co_return answer(failure(static_cast<kafka_error>(group.error_code), "committed: group " + *options_.group_id));
    for (const auto& topic : group.topics) {
      const std::string name(told->version >= 10 ? names[topic.topic_id] : topic.name);
      for (const auto& p : topic.partitions) {
        const topic_partition tp(name, p.partition_index);
        if (p.error_code != 0) co_return answer(failure(static_cast<kafka_error>(p.error_code), "committed: " + tp.to_string()));
        offsets.emplace_back(tp, offset_and_epoch(p.committed_offset, p.committed_leader_epoch), std::string(p.metadata.value_or("")));
      }
    }
  }
  co_return offsets;
}

}  // namespace kawait::runtime
