#pragma once

#include <kawait/runtime/fetch_scheduler.hpp>

#include <algorithm>
#include <utility>

namespace kawait::runtime {

KAWAIT_DECL fetch_scheduler::fetch_scheduler(asio::any_io_executor executor, task_group& tasks, net::broker_pool& brokers,
                                             metadata_driver& metadata, fetch_host& host, buffer_pool& pool, const options& o)
    : executor_(executor),
      tasks_(tasks),
      brokers_(brokers),
      metadata_(metadata),
      host_(host),
      environment_(net::environment::of(executor)),
      options_(o),
      budget_(executor, o, pool),
      ahead_(pool.budget() / 4) {}

KAWAIT_DECL fetcher& fetch_scheduler::at(std::int32_t node) {
  const auto known = fetchers_.find(node);
  if (known != fetchers_.end()) return *known->second;
  auto made = std::make_unique<fetcher>(executor_, tasks_, node, brokers_, budget_, host_, options_);
  fetcher& f = *fetchers_.emplace(node, std::move(made)).first->second;
  try {
    tasks_.spawn(f.run());
  } catch (...) {
    fetchers_.erase(node);
    throw;
  }
  count_fetchers();
  return f;
}

KAWAIT_DECL void fetch_scheduler::update(partition_stream& stream) {
  if (stopped_) return;
  const topic_id_partition& id = stream.id().partition;
  if (stream.is_ended()) return remove(id);
  placement& place = placements_[id];
  std::optional<machine::cluster::leader> leader;
  if (stream.wants_fetch() && !place.suspended) {
    leader = metadata_.cluster().leader_of(id);
    if (!leader) metadata_.request_refresh();
  }
  const std::int32_t node = leader ? node_for(place, leader->node) : -1;
  if (place.node != node && place.node >= 0) fetchers_.at(place.node)->remove(id);
  // Before the place names it: without memory for its fetcher, remove() would look there for one that does not exist.
  fetcher* const from_now_on = leader ? &at(node) : nullptr;
  if (std::exchange(place.node, node) != node) stream.on_more_seen();  // what one broker answered tells nothing of another's log
  if (!leader) return;
  const offset_and_epoch from = *stream.fetch_position();
  stream.set_largest_elsewhere(largest_batch_);
  const auto most = static_cast<std::size_t>(options_.max_partition_fetch_bytes);
  const auto limit = static_cast<std::int32_t>(std::min(stream.fetch_room(), most));
  const machine::fetch_session::position position(from.offset, leader->epoch, from.leader_epoch, limit);
  from_now_on->set(id, position, stream.has_more_at(from.offset, options_.isolation));
}

KAWAIT_DECL void fetch_scheduler::on_answered(partition_stream& stream) {
  if (stopped_) return;
  if (stream.largest_batch() > largest_batch_ + largest_batch_ / 16) {
    largest_batch_ = stream.largest_batch();
    update_all();
  }
  if (const auto other = ahead_.on_answered(stream, options_.isolation)) update(*other);
  update(stream);
}

KAWAIT_DECL void fetch_scheduler::update_all() {
  std::vector<topic_id_partition> all;
  for (const auto& [id, place] : placements_) {
    if (place.node >= 0) all.push_back(id);
  }
  for (const auto& id : all) {
    if (const auto stream = host_.find_stream(id)) update(*stream);
  }
}

// Metadata is asked for as often as the leader is to be asked anew, so that it is noticed when the time is over.
KAWAIT_DECL std::int32_t fetch_scheduler::node_for(placement& place, std::int32_t leader) {
  if (place.follower < 0) return leader;
  const bool is_over = environment_.now() >= place.follower_until;
  if (is_over || place.follower == leader || !metadata_.cluster().find_broker(place.follower)) place.follower = -1;
  return place.follower >= 0 ? place.follower : leader;
}

KAWAIT_DECL bool fetch_scheduler::prefer(partition_stream& stream, std::int32_t follower) {
  if (!metadata_.cluster().find_broker(follower)) return false;
  placement& place = placements_[stream.id().partition];
  place.follower = follower;
  // Longer than an answer takes, or the two would be asked in turn as fast as they answer.
  place.follower_until = environment_.now() + std::max(options_.metadata_max_age, options_.retry_backoff_max);
  update(stream);
  return true;
}

KAWAIT_DECL bool fetch_scheduler::forget_follower(partition_stream& stream, std::int32_t node) {
  const auto it = placements_.find(stream.id().partition);
  if (it == placements_.end() || it->second.follower != node) return false;
  it->second.follower = -1;
  return true;
}

KAWAIT_DECL void fetch_scheduler::forget_follower(std::int32_t node) {
  std::vector<topic_id_partition> moved;
  for (auto& [id, place] : placements_) {
    if (place.follower == node) moved.push_back(id);
  }
  for (const auto& id : moved) {
    placements_[id].follower = -1;
    if (const auto stream = host_.find_stream(id)) update(*stream);
  }
}

KAWAIT_DECL void fetch_scheduler::remove(const topic_id_partition& partition) {
  const auto it = placements_.find(partition);
  if (it == placements_.end()) return;
  if (it->second.node >= 0) fetchers_.at(it->second.node)->remove(partition);
  placements_.erase(it);
}

KAWAIT_DECL void fetch_scheduler::suspend(partition_stream& stream) {
  placements_[stream.id().partition].suspended = true;
  update(stream);
  metadata_.request_refresh();
}

// A node that left for good has no part in the limits of what others may bring.
KAWAIT_DECL void fetch_scheduler::count_fetchers() {
  budget_.fetchers = static_cast<std::size_t>(
      std::count_if(fetchers_.begin(), fetchers_.end(), [&](const auto& f) { return metadata_.cluster().find_broker(f.first); }));
}

KAWAIT_DECL void fetch_scheduler::on_metadata() {
  count_fetchers();
  for (auto& [id, place] : placements_) place.suspended = false;
}

KAWAIT_DECL void fetch_scheduler::stop() {
  stopped_ = true;
  for (auto& [node, f] : fetchers_) f->stop();
}

KAWAIT_DECL asio::awaitable<void> fetch_scheduler::close_sessions() {
  for (auto& [node, f] : fetchers_) co_await f->close_session();
}

}  // namespace kawait::runtime
