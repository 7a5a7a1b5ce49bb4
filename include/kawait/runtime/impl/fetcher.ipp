#pragma once

#include <kawait/runtime/fetcher.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>
#include <cstring>

namespace kawait::runtime {

namespace detail {

/// Where `partition` is, or the size. An answer names partitions in the request's order, so that it is `from`, or the next, but for the
/// strangest brokers: of thousands a search from the first would be felt.
inline std::size_t find_from(std::span<const std::pair<topic_id_partition, machine::fetch_session::position>> asked, std::size_t from,
                             const topic_id_partition& partition) {
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::size_t place = (from + i) % asked.size();
    if (asked[place].first == partition) return place;
  }
  return asked.size();
}

}  // namespace detail

// The limit is of records alone. A response of just a share of them, and what is around them, would get a slab a quarter larger.
KAWAIT_DECL std::size_t fetch_budget::response_limit() const noexcept {
  const std::size_t share = std::max<std::size_t>(pool_.budget() / (2 * std::max<std::size_t>(4, fetchers)), 64 << 10);
  return std::min(static_cast<std::size_t>(options_.fetch_max_bytes), share - share / 32);
}

KAWAIT_DECL bool fetch_budget::fits() const noexcept {
  const std::size_t slab = buffer_pool::capacity_for(response_limit() + response_limit() / 32);
  return in_flight_ == 0 || pool_.charged() + (in_flight_ + 1) * slab <= pool_.budget();
}

KAWAIT_DECL asio::awaitable<void> fetch_budget::sender::async_wait_room() {
  auto& line = budget_.line_;
  if (std::find(line.begin(), line.end(), this) == line.end()) line.push_back(this);
  budget_.is_awaited_ = true;
  return budget_.room_.wait();
}

KAWAIT_DECL void fetch_budget::sender::leave() {
  if (std::erase(budget_.line_, this) > 0) budget_.on_released();
}

KAWAIT_DECL void fetch_budget::sender::on_sent() {
  ++budget_.in_flight_;
  leave();
}

KAWAIT_DECL fetcher::fetcher(asio::any_io_executor executor, task_group& tasks, std::int32_t node, net::broker_pool& brokers,
                             fetch_budget& budget, fetch_host& host, const options& o)
    : tasks_(tasks),
      environment_(net::environment::of(executor)),
      node_(node),
      brokers_(brokers),
      budget_(budget),
      session_sender_(budget),
      urgent_sender_(budget),
      host_(host),
      options_(o),
      backoff_(machine::backoff_options(o.retry_backoff, o.retry_backoff_max)),
      changed_(executor),
      stopping_(executor) {}

KAWAIT_DECL void fetcher::set(const topic_id_partition& partition, const machine::fetch_session::position& position, bool has_more) {
  const auto urgent = urgent_.find(partition);
  if (urgent != urgent_.end() && urgent->second.wanted.offset == position.offset) {  // it is being served
    urgent->second.wanted = position;
    return;
  }
  if (is_parked() && session_.asked_offset(partition) != position.offset && !was_served(partition, position.offset)) {
    session_.remove(partition);
    urgent_.insert_or_assign(partition, urgent_partition(position, ++last_turn_));
    if (std::exchange(serving_urgent_, true)) return;
    try {
      tasks_.spawn(serve_urgent());
    } catch (...) {  // nobody would serve it, nor any other
      serving_urgent_ = false;
      urgent_.erase(partition);
      throw;
    }
    return;
  }
  // Else what was asked for beside the session before a seek would be taken for what is asked for now, once it gets there again, and the
  // session be answered with what comes before it, again and again.
  urgent_.erase(partition);
  session_.set(partition, position, has_more);
  changed_.notify_all();
}

KAWAIT_DECL bool fetcher::was_served(const topic_id_partition& partition, std::int64_t offset) const {
  const auto it = served_.find(partition);
  return it != served_.end() && it->second == offset;
}

KAWAIT_DECL void fetcher::remove(const topic_id_partition& partition) {
  urgent_.erase(partition);
  session_.remove(partition);
}

KAWAIT_DECL void fetcher::stop() {
  stopped_ = true;
  stopping_.notify_all();
  changed_.notify_all();
  session_sender_.leave();
  urgent_sender_.leave();
  budget_.on_released();
}

KAWAIT_DECL machine::fetch_session::limits fetcher::limits(std::int32_t max_wait_ms, std::int32_t min_bytes) const {
  machine::fetch_session::limits l;
  l.max_wait_ms = max_wait_ms;
  l.min_bytes = min_bytes;
  l.max_bytes = static_cast<std::int32_t>(budget_.response_limit());
  l.isolation_level = static_cast<std::int8_t>(options_.isolation);
  l.rack = options_.client_rack;
  return l;
}

KAWAIT_DECL asio::awaitable<void> fetcher::run() {
  while (!stopped_) {
    if (!session_.wants_any()) {
      session_sender_.leave();
      co_await changed_.wait();
    } else if (has_joiners()) {
      session_sender_.leave();
      co_await changed_.wait_until(joiners_until_);
    } else if (!session_sender_.has_room()) {
      co_await session_sender_.async_wait_room();
    } else {
      co_await fetch_once();
    }
  }
}

KAWAIT_DECL asio::awaitable<void> fetcher::pause_after_failure() {
  host_.on_node_failed(node_);
  host_.refresh_metadata();
  const net::time_point until = environment_.now() + backoff_.next(environment_.random());
  while (!stopped_ && environment_.now() < until) co_await stopping_.wait_until(until);
}

KAWAIT_DECL asio::awaitable<void> fetcher::fetch_once() {
  if (!brokers_.find(node_, net::channel::fetch)) session_sender_.leave();  // who connects does not hold up who could send
  auto connection = co_await brokers_.async_get(node_, net::channel::fetch);
  if (stopped_) co_return;
  if (!connection) {
    session_.on_disconnected();
    session_sender_.leave();
    co_await pause_after_failure();
    co_return;
  }
  if (!session_.wants_any() || has_joiners() || !session_sender_.has_room()) co_return;
  const auto& request = session_.next(limits(static_cast<std::int32_t>(options_.fetch_max_wait.count()), options_.fetch_min_bytes));
  const milliseconds timeout = options_.fetch_max_wait + options_.request_timeout;
  answers_at_once_ = std::exchange(more_is_known_, false);
  served_.clear();
  session_sender_.on_sent();
  const net::time_point sent = environment_.now();
  auto answer = co_await (*connection)->async_request(request, timeout, budget_.pool());
  budget_.on_answered();
  if (stopped_) co_return;
  if (options_.observers) tell_fetched(answer, sent);
  if (!answer) {
    session_.on_disconnected();
    co_await pause_after_failure();
    co_return;
  }
  using kind = machine::fetch_session::verdict::kind;
  auto verdict = session_.on_response(answer->message);
  if (verdict.what == kind::deliver) {
    backoff_.reset();
    deliver(answer->message, answer->buffer, {});
  } else if (verdict.what == kind::failed) {
    co_await pause_after_failure();
  }
}

KAWAIT_DECL asio::awaitable<void> fetcher::close_session() {
  const auto request = session_.closing();
  if (!request) co_return;
  // Not on the connection of fetches: the broker would answer it only after the fetch that is parked there.
  auto connection = brokers_.find(node_, net::channel::control);
  if (!connection) co_return;
  const auto unused = co_await connection->async_request(*request, milliseconds(500), budget_.pool());
  (void)unused;
}

KAWAIT_DECL std::vector<fetcher::asked_partition> fetcher::urgent_ones() const {
  std::vector<std::pair<std::uint64_t, topic_id_partition>> turns;
  for (const auto& [partition, urgent] : urgent_) turns.emplace_back(urgent.turn, partition);
  std::sort(turns.begin(), turns.end());
  std::vector<asked_partition> all;
  for (const auto& [turn, partition] : turns) all.emplace_back(partition, urgent_.at(partition).wanted);
  return all;
}

KAWAIT_DECL bool fetcher::has_more(const topic_id_partition& partition, std::int64_t offset) const {
  const auto stream = host_.find_stream(partition);
  return stream && stream->has_more_at(offset, options_.isolation);
}

KAWAIT_DECL asio::awaitable<void> fetcher::serve_urgent() {
  while (!stopped_ && !urgent_.empty()) {
    while (!stopped_ && !urgent_sender_.has_room()) co_await urgent_sender_.async_wait_room();
    if (stopped_) break;
    if (!brokers_.find(node_, net::channel::control)) urgent_sender_.leave();
    auto connection = co_await brokers_.async_get(node_, net::channel::control);
    if (stopped_) break;
    if (connection && !urgent_sender_.has_room()) continue;  // others have sent meanwhile
    // Not before: some may have been revoked while we waited.
    const std::vector<asked_partition> asked = urgent_ones();
    if (asked.empty()) break;
    std::size_t first_brought = asked.size();
    if (connection) {
      first_brought = co_await fetch_urgent(*connection, asked);
    } else {
      urgent_sender_.leave();
      co_await pause_after_failure();
    }
    if (stopped_) break;
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const asked_partition& a = asked[i];
      // Unless its position was changed (it is urgent again) or it is not wanted any more, it joins the session now, answered or not; but
      // not if others before it have filled the answer while the session's request is parked: with nothing to bring for as long as its
      // partitions have nothing, and this one would wait for its end. It keeps its turn.
      const auto it = urgent_.find(a.first);
      if (it == urgent_.end() || it->second.wanted.offset != a.second.offset) continue;
      if (i > first_brought && is_parked() && has_more(a.first, a.second.offset)) continue;
      urgent_.erase(it);
      served_[a.first] = a.second.offset;
      if (const auto stream = host_.find_stream(a.first)) host_.on_fetch_answered(*stream);
    }
  }
  urgent_sender_.leave();
  serving_urgent_ = false;
}

KAWAIT_DECL asio::awaitable<std::size_t> fetcher::fetch_urgent(std::shared_ptr<net::connection> connection,
                                                               std::vector<asked_partition> asked) {
  const auto request = machine::fetch_session::one_shot(asked, limits(0, 0));
  urgent_sender_.on_sent();
  const net::time_point sent = environment_.now();
  joiners_until_ = sent + options_.retry_backoff;
  auto answer = co_await connection->async_request(request, options_.request_timeout, budget_.pool());
  joiners_until_ = sent;
  changed_.notify_all();
  budget_.on_answered();
  if (stopped_) co_return asked.size();
  if (options_.observers) tell_fetched(answer, sent);
  if (!answer || answer->message.error_code != 0) {
    co_await pause_after_failure();
    co_return asked.size();
  }
  co_return deliver(answer->message, answer->buffer, asked);
}

KAWAIT_DECL void fetcher::tell_fetched(const result<net::answer<protocol::fetch_request>>& answer, net::time_point sent) const {
  observer::fetched f{node_, 0, environment_.now() - sent, {}};
  if (!answer) {
    f.failed = answer.error().code;
  } else if (answer->message.error_code != 0) {
    f.failed = static_cast<kafka_error>(answer->message.error_code);
  } else {
    for (const auto& topic : answer->message.responses) {
      for (const auto& p : topic.partitions) f.bytes += p.records ? p.records->size() : 0;
    }
  }
  options_.observers.tell(&observer::on_fetched, f);
}

KAWAIT_DECL std::size_t fetcher::deliver(const protocol::fetch_response& response, const wire::slab_ref& buffer,
                                         std::span<const asked_partition> one_shot) {
  host_.on_node_endpoints(response);
  std::size_t bytes = 0, first_brought = one_shot.size(), place = 0;
  for (const auto& topic : response.responses) {
    for (const auto& data : topic.partitions) {
      bytes += data.records ? data.records->size() : 0;
      const topic_id_partition partition(topic.topic_id, data.partition_index);
      std::optional<std::int64_t> asked;
      if (one_shot.empty()) {
        asked = session_.asked_offset(partition);
      } else {
        place = detail::find_from(one_shot, place, partition);
        if (place < one_shot.size()) asked = one_shot[place].second.offset;
        if (data.records && !data.records->empty()) first_brought = std::min(first_brought, place);
      }
      const auto stream = host_.find_stream(partition);
      if (!stream || !asked) continue;
      // A late answer: the partition was sought, or revoked and assigned again, after the request had left.
      const auto wanted = stream->fetch_position();
      if (!wanted || (wanted->offset != *asked && !KAWAIT_MUTANT(takes_answers_from_before_a_seek))) continue;
      deliver_partition(*stream, data, buffer);
    }
  }
  // An answer that is about full may have left out others.
  if (!more_is_known_ && one_shot.empty() && bytes > budget_.response_limit() / 2) more_is_known_ = knows_of_more();
  look_for_ends(response, one_shot);
  return first_brought;
}

KAWAIT_DECL bool fetcher::knows_of_more() const {
  return session_.any_wanted([this](const topic_id_partition& partition, std::int64_t offset) { return has_more(partition, offset); });
}

// That the position is the end that an answer tells is seen there. It does not get there where compaction has left nothing of the log's
// last offsets, and nothing is told of a partition that was sought to where its session's request is parked already: then what says
// that there is nothing to read is an answer without records. An answer with other partitions' records may have left this one's out.
KAWAIT_DECL void fetcher::look_for_ends(const protocol::fetch_response& response, std::span<const asked_partition> one_shot) {
  if (response.throttle_time_ms > 0) return;  // empty, whatever there is
  const auto has_some = [](const fetch_host::partition_data& data) { return data.records && !data.records->empty(); };
  bool has_records = false;
  for (const auto& topic : response.responses) {
    has_records = has_records || std::any_of(topic.partitions.begin(), topic.partitions.end(), has_some);
  }
  // Nearly every answer has: it must not cost a walk through the session.
  if (has_records && (!one_shot.empty() || host_.awaiting_end().empty())) return;
  std::unordered_set<topic_id_partition> told;  // of which the answer says something else
  for (const auto& topic : response.responses) {
    for (const auto& data : topic.partitions) {
      if (has_some(data) || says_no(data)) told.emplace(topic.topic_id, data.partition_index);
    }
  }
  if (has_records) {
    for (partition_stream* const stream : host_.awaiting_end()) {
      const auto asked = session_.asked_offset(stream->id().partition);
      if (asked && !told.contains(stream->id().partition)) stream->on_passed_over(*asked, session_.size());
    }
    return;
  }
  const auto look = [&](const topic_id_partition& partition, std::int64_t asked) {
    const auto stream = told.contains(partition) ? nullptr : host_.find_stream(partition);
    if (stream) stream->on_end_seen(asked);
  };
  for (const asked_partition& a : one_shot) look(a.first, a.second.offset);
  if (one_shot.empty()) session_.for_each_asked(look);
}

KAWAIT_DECL void fetcher::deliver_partition(partition_stream& stream, const fetch_host::partition_data& data,
                                            const wire::slab_ref& buffer) {
  if (says_no(data)) {
    host_.on_fetch_error(stream, data, node_);
    return;
  }
  stream.high_watermark = data.high_watermark;
  stream.last_stable_offset = data.last_stable_offset;
  if (data.records && !data.records->empty()) {
    wire::records_summary summary;
    chunk fetched;
    // Where batches are smaller than what was asked for, more of them than there is room for.
    fetched.error = wire::summarize(*data.records, summary, stream.room());
    fetched.bytes = data.records->first(summary.bytes);
    fetched.buffer = buffer;
    if (budget_.pool().is_tight() && summary.bytes < buffer->capacity() / 4) {
      fetched.buffer = budget_.pool().acquire(summary.bytes);
      std::memcpy(fetched.buffer->data(), fetched.bytes.data(), summary.bytes);
      fetched.bytes = std::span<const std::byte>(fetched.buffer->data(), summary.bytes);
    }
    if (data.aborted_transactions && options_.isolation == isolation_level::read_committed) {
      std::vector<wire::aborted_transaction> aborted;
      for (const auto& a : *data.aborted_transactions) aborted.emplace_back(a.producer_id, a.first_offset);
      fetched.aborted = wire::aborted_transactions(std::move(aborted));
    }
    stream.on_fetched(std::move(fetched), summary);
  }
  const auto next = stream.fetch_position();
  const std::int64_t end = stream.end_of_log(options_.isolation);
  const bool is_end = next && end >= 0 && next->offset >= end;
  if (is_end) {
    stream.on_end_seen(next->offset);
  } else {
    stream.on_more_seen();
  }
  host_.on_fetch_answered(stream);
  // What goes on beside the session, or has no room, is nothing that the session's next request would bring at once.
  more_is_known_ |= next && !is_end && session_.wants(stream.id().partition);
}

}  // namespace kawait::runtime
