#pragma once

#include <algorithm>
#include <cassert>
#include <limits>

#include <kawait/machine/fetch_session.hpp>
#include <kawait/core/mutation.hpp>

namespace kawait::machine {

namespace detail {

inline protocol::fetch_request::partition to_request(const topic_id_partition& partition, const fetch_session::position& p) {
  protocol::fetch_request::partition item;
  item.partition = partition.partition;
  item.current_leader_epoch = p.leader_epoch;
  item.fetch_offset = p.offset;
  item.last_fetched_epoch = KAWAIT_MUTANT(ignores_leader_epochs) ? -1 : p.last_fetched_epoch;
  item.partition_max_bytes = p.max_bytes;
  return item;
}

inline void apply_limits(protocol::fetch_request& request, const fetch_session::limits& l) {
  request.max_wait_ms = l.max_wait_ms;
  request.min_bytes = l.min_bytes;
  request.max_bytes = l.max_bytes;
  request.isolation_level = l.isolation_level;
  request.rack_id = l.rack;
}

}  // namespace detail

KAWAIT_DECL const fetch_session::slot* fetch_session::find(const topic_id_partition& partition) const {
  const auto found = by_partition_.find(partition);
  if (found == by_partition_.end() || !slots_[found->second].is_wanted) return nullptr;
  return &slots_[found->second];
}

KAWAIT_DECL fetch_session::index fetch_session::at(const topic_id_partition& partition) {
  const auto found = by_partition_.find(partition);
  if (found != by_partition_.end()) return found->second;
  index i = static_cast<index>(slots_.size());
  if (free_.empty()) {
    slots_.emplace_back();
  } else {
    i = free_.back();
    free_.pop_back();
  }
  slots_[i].partition = partition;
  by_partition_.emplace(partition, i);
  order_is_current_ = false;
  return i;
}

KAWAIT_DECL void fetch_session::set(const topic_id_partition& partition, const position& wanted, bool has_more) {
  const index i = at(partition);
  slot& s = slots_[i];
  s.has_more = has_more;
  if (s.is_wanted && s.wanted == wanted) return count(s);
  if (!s.is_wanted) ++wanted_;
  s.is_wanted = true;
  s.wanted = wanted;
  count(s);
  mark_changed(i);
}

KAWAIT_DECL void fetch_session::remove(const topic_id_partition& partition) {
  const auto found = by_partition_.find(partition);
  if (found == by_partition_.end()) return;
  slot& s = slots_[found->second];
  if (!s.is_wanted || KAWAIT_MUTANT(fetches_what_is_revoked)) return;
  s.is_wanted = false;
  --wanted_;
  count(s);
  mark_changed(found->second);
}

KAWAIT_DECL void fetch_session::mark_changed(index i) {
  if (slots_[i].is_changed) return;
  slots_[i].is_changed = true;
  changed_.push_back(i);
}

KAWAIT_DECL void fetch_session::count(slot& s) {
  ready_bytes_ -= s.counted;
  s.counted = s.is_sent && s.is_wanted && s.has_more ? s.wanted.max_bytes : 0;
  ready_bytes_ += s.counted;
}

KAWAIT_DECL void fetch_session::free_slot(index i) {
  ready_bytes_ -= slots_[i].counted;
  by_partition_.erase(slots_[i].partition);
  slots_[i] = slot();
  free_.push_back(i);
  order_is_current_ = false;
}

KAWAIT_DECL const protocol::fetch_request& fetch_session::next(const limits& l) {
  assert(!in_flight_);
  clear_request();
  detail::apply_limits(request_, l);
  request_.session_id = id_;
  request_.session_epoch = epoch_;
  full_in_flight_ = epoch_ == 0;
  in_flight_ = true;
  if (full_in_flight_) {
    list_all();
  } else {
    list_changes();
  }
  changed_.clear();
  return request_;
}

KAWAIT_DECL void fetch_session::list_all() {
  disperse_line();
  for (const index i : changed_) {
    slots_[i].is_changed = false;
    if (!slots_[i].is_wanted) free_slot(i);
  }
  if (!order_is_current_) {
    order_.clear();
    for (const auto& [partition, i] : by_partition_) order_.push_back(i);
    std::sort(order_.begin(), order_.end(), [this](index a, index b) { return slots_[a].partition < slots_[b].partition; });
    order_is_current_ = true;
  }
  // The first partition that has data gets a whole batch however large; the others only what is left. One whose batches are
  // larger than what is left moves only when it comes first, so each must come first in its turn.
  std::size_t start = 0;
  if (first_served_) {
    const auto behind = std::upper_bound(order_.begin(), order_.end(), *first_served_,
                                         [this](const topic_id_partition& p, index i) { return p < slots_[i].partition; });
    start = static_cast<std::size_t>(behind - order_.begin());
  }
  for (std::size_t k = start; k < order_.size(); ++k) append(slots_[order_[k]]);
  for (std::size_t k = 0; k < start; ++k) append(slots_[order_[k]]);
}

KAWAIT_DECL void fetch_session::list_changes() {
  line_up();
  let_in();
  // Who is in line must not wait for those in the session, should they have less than was thought.
  if (!line_.empty()) request_.min_bytes = 0;
  // Sorted, so that a topic's id is sent once. Within a session the broker has its own order of service.
  std::sort(listed_.begin(), listed_.end(), [this](index a, index b) { return slots_[a].partition < slots_[b].partition; });
  for (const index i : listed_) {
    slot& s = slots_[i];
    if (s.is_wanted) {
      if (!s.is_sent || (s.sent != s.wanted && !KAWAIT_MUTANT(fetches_from_the_first_offset_sent))) append(s);
      continue;
    }
    if (s.is_sent) append_forgotten(s.partition);
    free_slot(i);
  }
}

// Of what has changed, who is to come into the session and has more; the others are listed. Also who was in line, and was sought to
// where there is nothing yet.
KAWAIT_DECL void fetch_session::line_up() {
  listed_.clear();
  for (const index i : changed_) {
    slot& s = slots_[i];
    s.is_changed = false;
    if (s.is_in_line && s.is_wanted && !s.has_more) {
      std::erase(line_, i);
      s.is_in_line = false;
    }
    if (s.is_in_line) continue;
    s.is_in_line = s.is_wanted && !s.is_sent && s.has_more;
    if (s.is_in_line) {
      line_.push_back(i);
    } else {
      listed_.push_back(i);
    }
  }
}

KAWAIT_DECL void fetch_session::let_in() {
  const std::int64_t answer = request_.max_bytes;
  std::int64_t bytes = 0;
  while (!line_.empty()) {
    // Some come in each time, and the first of them always: those in the session may never make room.
    if (was_full_ && bytes > answer / 8 && ready_bytes_ + bytes >= 2 * answer) return;
    slot& s = slots_[line_.front()];
    s.is_in_line = false;
    if (s.is_wanted) bytes += s.wanted.max_bytes;
    listed_.push_back(line_.front());
    line_.pop_front();
  }
}

KAWAIT_DECL void fetch_session::disperse_line() {
  for (const index i : line_) {
    slots_[i].is_in_line = false;
    if (!slots_[i].is_wanted && !slots_[i].is_changed) free_slot(i);
  }
  line_.clear();
}

KAWAIT_DECL void fetch_session::append(slot& s) {
  s.sent = s.wanted;
  s.is_sent = true;
  count(s);
  auto& topics = request_.topics;
  if (topics.empty() || topics.back().topic_id != s.partition.topic_id) {
    topics.emplace_back().topic_id = s.partition.topic_id;
    if (!spare_.empty()) {
      topics.back().partitions = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  topics.back().partitions.push_back(detail::to_request(s.partition, s.sent));
}

KAWAIT_DECL void fetch_session::append_forgotten(const topic_id_partition& partition) {
  auto& topics = request_.forgotten_topics_data;
  if (topics.empty() || topics.back().topic_id != partition.topic_id) topics.emplace_back().topic_id = partition.topic_id;
  topics.back().partitions.push_back(partition.partition);
}

KAWAIT_DECL void fetch_session::clear_request() {
  for (auto& topic : request_.topics) {
    topic.partitions.clear();
    spare_.push_back(std::move(topic.partitions));
  }
  request_.topics.clear();
  request_.forgotten_topics_data.clear();
}

KAWAIT_DECL fetch_session::verdict fetch_session::on_response(const protocol::fetch_response& response) {
  if (!in_flight_) return verdict(verdict::kind::absorbed);
  in_flight_ = false;
  const auto error = static_cast<kafka_error>(response.error_code);
  if (error != kafka_error::none) {
    renew(error == kafka_error::fetch_session_id_not_found);
    const bool is_of_session = error == kafka_error::fetch_session_id_not_found ||
                               error == kafka_error::invalid_fetch_session_epoch ||
                               error == kafka_error::fetch_session_topic_id_error;
    // A full request names no session that could be wrong; a broker that says so anyway would be asked again and again without
    // a pause.
    if (is_of_session && !full_in_flight_) return verdict(verdict::kind::absorbed);
    return verdict(verdict::kind::failed, failure(make_error_code(error)));
  }
  if (full_in_flight_) note_first_served(response);
  note_size(response);
  if (response.session_id == 0) {
    // None was granted; or the answer was throttled before one was made; or the last partition was forgotten.
    renew(true);
  } else if (full_in_flight_) {
    id_ = response.session_id;
    epoch_ = 1;
  } else if (response.session_id == id_) {
    epoch_ = detail::next_session_epoch(epoch_);
  } else {
    renew(false);
  }
  return verdict();
}

KAWAIT_DECL void fetch_session::note_first_served(const protocol::fetch_response& response) {
  for (const auto& topic : response.responses) {
    for (const auto& partition : topic.partitions) {
      if (!partition.records || partition.records->empty()) continue;
      first_served_ = topic_id_partition(topic.topic_id, partition.partition_index);
      return;
    }
  }
}

KAWAIT_DECL void fetch_session::note_size(const protocol::fetch_response& response) {
  std::int64_t bytes = 0;
  for (const auto& topic : response.responses) {
    for (const auto& partition : topic.partitions) bytes += partition.records ? std::ssize(*partition.records) : 0;
  }
  // Empty because of a quota: that says nothing of what there is.
  if (bytes > 0 || response.throttle_time_ms == 0) was_full_ = bytes > request_.max_bytes / 2;
}

KAWAIT_DECL void fetch_session::renew(bool forget_id) {
  epoch_ = 0;
  if (forget_id) id_ = 0;
}

KAWAIT_DECL void fetch_session::on_disconnected() {
  in_flight_ = false;
  // Whether the broker saw the last request is unknown, and so is its epoch. The old id with epoch 0 closes what it may have
  // kept.
  renew(false);
}

KAWAIT_DECL std::optional<std::int64_t> fetch_session::asked_offset(const topic_id_partition& partition) const {
  const slot* s = find(partition);
  if (s == nullptr || !s->is_sent) return std::nullopt;
  return s->sent.offset;
}

KAWAIT_DECL std::optional<protocol::fetch_request> fetch_session::closing() const {
  if (id_ == 0) return std::nullopt;
  protocol::fetch_request request;
  request.session_id = id_;
  request.session_epoch = -1;
  return request;
}

KAWAIT_DECL protocol::fetch_request fetch_session::one_shot(std::span<const std::pair<topic_id_partition, position>> partitions,
                                                            const limits& l) {
  protocol::fetch_request request;
  detail::apply_limits(request, l);
  request.session_id = 0;
  request.session_epoch = -1;
  for (const auto& [partition, wanted] : partitions) {
    if (request.topics.empty() || request.topics.back().topic_id != partition.topic_id) {
      request.topics.emplace_back().topic_id = partition.topic_id;
    }
    request.topics.back().partitions.push_back(detail::to_request(partition, wanted));
  }
  return request;
}

}  // namespace kawait::machine
