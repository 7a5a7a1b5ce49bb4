#pragma once

#include <algorithm>

#include <kawait/machine/cluster.hpp>

namespace kawait::machine {

KAWAIT_DECL const cluster::broker* cluster::find_broker(std::int32_t id) const {
  const auto place = std::lower_bound(brokers_.begin(), brokers_.end(), id,
                                      [](const broker& known, std::int32_t wanted) { return known.id < wanted; });
  return place == brokers_.end() || place->id != id ? nullptr : &*place;
}

KAWAIT_DECL std::optional<cluster::leader> cluster::leader_of(const topic_id_partition& partition) const {
  const auto known = topics_.find(partition.topic_id);
  if (known == topics_.end()) return std::nullopt;
  const auto entry = known->second.partitions.find(partition.partition);
  if (entry == known->second.partitions.end() || find_broker(entry->second.node) == nullptr) return std::nullopt;
  return entry->second;
}

KAWAIT_DECL std::optional<std::string_view> cluster::name_of(const uuid& id) const {
  const auto known = names_.find(id);
  if (known == names_.end()) return std::nullopt;
  return known->second;
}

KAWAIT_DECL std::optional<uuid> cluster::id_of(std::string_view name) const {
  const auto known = by_name_.find(name);
  if (known == by_name_.end()) return std::nullopt;
  return known->second;
}

KAWAIT_DECL std::size_t cluster::partition_count(const uuid& id) const {
  const auto known = topics_.find(id);
  return known == topics_.end() ? 0 : known->second.partitions.size();
}

KAWAIT_DECL kafka_error cluster::topic_error(std::string_view name) const {
  const auto known = name_errors_.find(name);
  return known == name_errors_.end() ? kafka_error::none : known->second;
}

KAWAIT_DECL kafka_error cluster::topic_error(const uuid& id) const {
  const auto known = id_errors_.find(id);
  return known == id_errors_.end() ? kafka_error::none : known->second;
}

KAWAIT_DECL std::vector<std::string> cluster::denied_topics() const {
  std::vector<std::string> result;
  for (const auto& [name, error] : name_errors_) {
    if (error == kafka_error::topic_authorization_failed) result.push_back(name);
  }
  return result;
}

KAWAIT_DECL bool cluster::remember_name(const uuid& id, const std::string& name) {
  if (!names_.try_emplace(id, name).second) return false;  // a topic cannot be renamed
  names_in_order_.push_back(id);
  return true;
}

KAWAIT_DECL void cluster::prune() {
  std::erase_if(topics_, [this](const auto& entry) {
    const auto& [id, known] = entry;
    return !want_ids_.contains(id) && !(want_names_.contains(known.name) && id_of(known.name) == id);
  });
  // The names of what is gone are still needed for a while: its last commit may be in the making. The oldest go first.
  const std::size_t most = 4096 + want_ids_.size() + want_names_.size();
  for (std::size_t n = names_in_order_.size(); n > 0 && names_.size() > most; --n) {
    const uuid id = names_in_order_.front();
    names_in_order_.pop_front();
    if (topics_.contains(id)) {
      names_in_order_.push_back(id);
      continue;
    }
    const auto known = names_.find(id);
    if (id_of(known->second) == id) by_name_.erase(known->second);
    names_.erase(known);
  }
}

}  // namespace kawait::machine
