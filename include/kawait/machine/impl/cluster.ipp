#pragma once

#include <algorithm>

#include <kawait/machine/cluster.hpp>

namespace kawait::machine {

KAWAIT_DECL protocol::metadata_request cluster::fetch_metadata::request() const {
  protocol::metadata_request result;
  result.allow_auto_topic_creation = false;
  result.topics.emplace();
  result.topics->reserve(names.size() + ids.size());
  for (const std::string& name : names) {
    result.topics->emplace_back();
    result.topics->back().name = name;
  }
  for (const uuid& id : ids) {
    result.topics->emplace_back();
    result.topics->back().name.reset();
    result.topics->back().topic_id = id;
  }
  return result;
}

// ---------------------------------------------------------------- what is wanted

KAWAIT_DECL void cluster::want_names(std::vector<std::string> names) {
  read_names_ = std::set<std::string>(std::make_move_iterator(names.begin()), std::make_move_iterator(names.end()));
  update_names();
}

KAWAIT_DECL void cluster::hold_names(const std::vector<std::string>& names) {
  for (const std::string& name : names) ++held_names_[name];
  update_names();
}

KAWAIT_DECL void cluster::release_names(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto held = held_names_.find(name);
    if (held != held_names_.end() && --held->second == 0) held_names_.erase(held);
  }
  update_names();
}

KAWAIT_DECL void cluster::update_names() {
  std::set<std::string> wanted = read_names_;
  for (const auto& [name, count] : held_names_) wanted.insert(name);
  for (const std::string& name : wanted) {
    if (!want_names_.contains(name) && !is_resolved(name)) ask_names_.insert(name);
  }
  std::erase_if(ask_names_, [&](const std::string& name) { return !wanted.contains(name); });
  std::erase_if(name_errors_, [&](const auto& entry) { return !wanted.contains(entry.first); });
  want_names_ = std::move(wanted);
  unresolved_is_current_ = false;
}

KAWAIT_DECL void cluster::want_ids(std::vector<uuid> ids) {
  const std::set<uuid> wanted(ids.begin(), ids.end());
  const std::set<uuid> before = want_ids_;
  for (const uuid& id : before) {
    if (!wanted.contains(id)) remove_id(id);
  }
  for (const uuid& id : wanted) add_id(id);
}

KAWAIT_DECL void cluster::add_id(const uuid& id) {
  if (!want_ids_.insert(id).second) return;
  if (!is_resolved(id)) ask_ids_.insert(id);
  unresolved_is_current_ = false;
}

KAWAIT_DECL void cluster::remove_id(const uuid& id) {
  want_ids_.erase(id);
  ask_ids_.erase(id);
  id_errors_.erase(id);
  unresolved_is_current_ = false;
}

// Asked for by its name already.
KAWAIT_DECL bool cluster::is_covered(const uuid& id) const {
  const auto known = topics_.find(id);
  if (known == topics_.end() || !want_names_.contains(known->second.name)) return false;
  return id_of(known->second.name) == id && topic_error(known->second.name) == kafka_error::none;
}

KAWAIT_DECL bool cluster::is_resolved(const uuid& id) const {
  const auto known = topics_.find(id);
  if (known == topics_.end() || topic_error(id) != kafka_error::none) return false;
  const auto& partitions = known->second.partitions;
  return !partitions.empty() && std::all_of(partitions.begin(), partitions.end(), [this](const auto& entry) {
    return find_broker(entry.second.node) != nullptr;
  });
}

KAWAIT_DECL bool cluster::is_resolved(const std::string& name) const {
  const auto id = id_of(name);
  return id && topic_error(name) == kafka_error::none && is_resolved(*id);
}

// ---------------------------------------------------------------- when to ask

KAWAIT_DECL void cluster::refresh_all() {
  requested_ = false;
  refreshing_ = true;
  ask_brokers_ = true;
  ask_names_ = want_names_;
  ask_ids_.clear();
  for (const uuid& id : want_ids_) {
    if (!is_covered(id)) ask_ids_.insert(id);
  }
}

KAWAIT_DECL void cluster::rebootstrap() {
  brokers_.clear();
  note_change();
  refresh_all();
}

KAWAIT_DECL bool cluster::find_unresolved() {
  if (unresolved_is_current_) return unresolved_;
  unresolved_ = std::any_of(want_names_.begin(), want_names_.end(), [this](const auto& name) { return !is_resolved(name); }) ||
                std::any_of(want_ids_.begin(), want_ids_.end(), [this](const auto& id) { return !is_resolved(id); });
  unresolved_is_current_ = true;
  return unresolved_;
}

KAWAIT_DECL cluster::effect cluster::poll(time_point now) {
  if (in_flight_) return idle();
  if (now < retry_at_) return idle{retry_at_};
  if (has_to_ask()) return send();
  answered_ = refreshing_ = false;
  const time_point stale_at = refreshed_ ? *refreshed_ + options_.max_age : never;
  if (now >= stale_at || (requested_ && now >= repeat_at_)) {
    refresh_all();
    return send();
  }
  if (!find_unresolved()) return idle{requested_ ? std::min(repeat_at_, stale_at) : stale_at};
  if (now < repeat_at_) return idle{std::min(repeat_at_, stale_at)};
  for (const std::string& name : want_names_) {
    if (!is_resolved(name)) ask_names_.insert(name);
  }
  for (const uuid& id : want_ids_) {
    if (!is_resolved(id) && !is_covered(id)) ask_ids_.insert(id);
  }
  return send();
}

KAWAIT_DECL cluster::fetch_metadata cluster::send() {
  in_flight_ = true;
  fetch_metadata to_ask;
  if (!ask_names_.empty()) {
    to_ask.names.assign(ask_names_.begin(), ask_names_.end());
  } else {
    to_ask.ids.assign(ask_ids_.begin(), ask_ids_.end());
  }
  return to_ask;
}

KAWAIT_DECL void cluster::on_disconnected(time_point now, std::uint64_t random_bits) {
  in_flight_ = false;
  retry_at_ = now + retry_.next(random_bits);
}

KAWAIT_DECL void cluster::forget_asked(const fetch_metadata& asked) {
  ask_brokers_ = false;
  for (const std::string& name : asked.names) ask_names_.erase(name);
  for (const uuid& id : asked.ids) ask_ids_.erase(id);
}

// Any answer may turn out to be the round's last: what is left to ask may be unwanted by the time.
KAWAIT_DECL void cluster::on_round_answer(time_point now, std::uint64_t random_bits) {
  if (!answered_) {
    // Rounds that repeat follow each other within the longest pause; one that comes later begins anew.
    if (now - answered_at_ > 2 * options_.backoff.max) repeat_.reset();
    pause_ = repeat_.next(random_bits);
  }
  answered_ = true;
  answered_at_ = now;
  repeat_at_ = now + pause_;
  if (refreshing_) refreshed_ = now;
  if (!has_to_ask()) prune();
}

// ---------------------------------------------------------------- answers

KAWAIT_DECL cluster::outcome cluster::on_metadata(const protocol::metadata_response& response, const fetch_metadata& asked,
                                                  time_point now, std::uint64_t random_bits) {
  outcome result;
  in_flight_ = false;
  const auto error = static_cast<kafka_error>(response.error_code);
  if (error != kafka_error::none) {
    retry_at_ = now + retry_.next(random_bits);
    result.why = failure(make_error_code(error));
    result.rebootstrap = error == kafka_error::rebootstrap_required;
    result.changed = result.rebootstrap && !brokers_.empty();
    if (result.rebootstrap) rebootstrap();
    return result;
  }
  retry_.reset();
  forget_asked(asked);
  result.changed = replace_brokers(response);
  // Errors first: that an id is gone decides whether another one may take over its name.
  for (const auto& t : response.topics) result.changed |= on_topic_error(t, asked);
  for (const auto& t : response.topics) result.changed |= on_topic(t, asked);
  unresolved_is_current_ = false;
  if (result.changed) note_change();
  on_round_answer(now, random_bits);
  return result;
}

KAWAIT_DECL bool cluster::replace_brokers(const protocol::metadata_response& response) {
  std::map<std::int32_t, broker> by_id;
  for (const auto& b : response.brokers) {
    if (b.node_id < 0 || b.host.empty() || b.port <= 0 || b.port > 65535) continue;
    by_id[b.node_id] = broker(b.node_id, std::string(b.host), b.port, std::string(b.rack.value_or(std::string_view())));
  }
  if (by_id.empty()) return false;  // a broker that is just starting knows nobody
  std::vector<broker> brokers;
  brokers.reserve(by_id.size());
  for (auto& [id, b] : by_id) brokers.push_back(std::move(b));
  if (brokers == brokers_) return false;
  brokers_ = std::move(brokers);
  return true;
}

namespace detail {

inline bool was_asked(const protocol::metadata_response::topic& t, const cluster::fetch_metadata& asked) {
  if (!asked.ids.empty()) return std::binary_search(asked.ids.begin(), asked.ids.end(), t.topic_id);
  return t.name && std::binary_search(asked.names.begin(), asked.names.end(), *t.name, std::less<>());
}

/// Whether the answer still names the topic's partitions.
inline bool has_topic(const protocol::metadata_response::topic& t) {
  const auto error = static_cast<kafka_error>(t.error_code);
  return (error == kafka_error::none || error == kafka_error::leader_not_available) && t.name && !t.topic_id.is_zero();
}

}  // namespace detail

KAWAIT_DECL bool cluster::on_topic_error(const protocol::metadata_response::topic& t, const fetch_metadata& asked) {
  if (detail::has_topic(t) || !detail::was_asked(t, asked)) return false;
  const auto error = t.error_code == 0 ? kafka_error::unknown_server_error : static_cast<kafka_error>(t.error_code);
  if (asked.ids.empty()) {
    const std::string name(*t.name);
    if (!want_names_.contains(name)) return false;
    return std::exchange(name_errors_[name], error) != error;
  }
  if (!want_ids_.contains(t.topic_id)) return false;
  if (error == kafka_error::unknown_topic_id) {
    const auto known = topics_.find(t.topic_id);
    if (known != topics_.end() && id_of(known->second.name) == t.topic_id) by_name_.erase(known->second.name);
  }
  const auto [entry, is_new] = id_errors_.try_emplace(t.topic_id, error);
  return std::exchange(entry->second, error) != error || is_new;
}

KAWAIT_DECL bool cluster::on_topic(const protocol::metadata_response::topic& t, const fetch_metadata& asked) {
  if (!detail::has_topic(t) || !detail::was_asked(t, asked)) return false;
  const std::string name(*t.name);
  bool changed = name_errors_.erase(name) > 0;
  changed |= id_errors_.erase(t.topic_id) > 0;
  changed |= remember_name(t.topic_id, name);
  changed |= map_name(name, t.topic_id, asked.ids.empty());
  topic& known = topics_[t.topic_id];
  known.name = name;
  changed |= merge(known, t);
  return changed;
}

KAWAIT_DECL bool cluster::map_name(const std::string& name, const uuid& id, bool by_name) {
  const auto [entry, is_new] = by_name_.try_emplace(name, id);
  if (is_new) return true;
  const uuid before = entry->second;
  if (before == id) return false;
  // Deleted and created again. An answer by name is the newest; one by id may be of a broker that has not heard of the
  // deletion, so the name stays with an id that is as much wanted.
  const bool is_taken = want_ids_.contains(before) && topics_.contains(before) && topic_error(before) == kafka_error::none;
  if (!by_name && is_taken) return false;
  entry->second = id;
  // Only an answer by name lets more be asked in the same round, so that rounds end whatever brokers say.
  if (by_name && want_ids_.contains(before)) ask_ids_.insert(before);
  return true;
}

KAWAIT_DECL bool cluster::merge(topic& known, const protocol::metadata_response::topic& t) {
  bool changed = false;
  for (const auto& p : t.partitions) {
    if (p.partition_index < 0) continue;
    const leader told(p.leader_id < 0 ? -1 : p.leader_id, p.leader_epoch < 0 ? -1 : p.leader_epoch);
    const auto [entry, is_new] = known.partitions.try_emplace(p.partition_index, told);
    if (is_new) {
      changed = true;
    } else if (told.epoch >= entry->second.epoch) {
      // A partition's error is no reason to ignore it: LEADER_NOT_AVAILABLE names the epoch of the leader that is gone.
      changed |= std::exchange(entry->second, told) != told;
    }
  }
  return changed;
}

KAWAIT_DECL bool cluster::on_leader_hint(const topic_id_partition& partition, std::int32_t node, std::int32_t epoch) {
  const auto known = topics_.find(partition.topic_id);
  if (known == topics_.end() || node < 0) return false;
  const auto entry = known->second.partitions.find(partition.partition);
  if (entry == known->second.partitions.end() || epoch <= entry->second.epoch) return false;
  entry->second = leader(node, epoch);
  note_change();
  return true;
}

KAWAIT_DECL void cluster::on_broker_hint(const broker& b) {
  if (b.id < 0 || b.host.empty() || b.port <= 0 || b.port > 65535) return;
  const auto place = std::lower_bound(brokers_.begin(), brokers_.end(), b.id,
                                      [](const broker& known, std::int32_t id) { return known.id < id; });
  if (place == brokers_.end() || place->id != b.id) {
    brokers_.insert(place, b);
  } else if (*place != b) {
    *place = b;
  } else {
    return;
  }
  note_change();
}

KAWAIT_DECL void cluster::note_change() {
  ++version_;
  unresolved_is_current_ = false;
}

}  // namespace kawait::machine
