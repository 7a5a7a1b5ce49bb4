#pragma once

#include <kawait/core/kafka_error.hpp>
#include <kawait/testing/group_coordinator.hpp>

namespace kawait::testing {

KAWAIT_DECL protocol::offset_commit_response group_coordinator::commit(time_point now, const protocol::offset_commit_request& r,
                                                                       std::int16_t version) {
  kept_.clear();
  pass(now);
  protocol::offset_commit_response answer;
  const failure refused = store(now, r, version, answer);
  if (!refused) return answer;
  // Whatever is wrong with the request, or with one partition of it, is wrong with all.
  answer.topics.clear();
  for (const auto& t : r.topics) {
    auto& topic = answer.topics.emplace_back();
    topic.name = t.name;
    topic.topic_id = t.topic_id;
    for (const auto& p : t.partitions) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = p.partition_index;
      partition.error_code = static_cast<std::int16_t>(refused.code.value());
    }
  }
  return answer;
}

KAWAIT_DECL failure group_coordinator::store(time_point now, const protocol::offset_commit_request& r, std::int16_t version,
                                             protocol::offset_commit_response& answer) {
  struct item {
    const topic_image* topic;
    const protocol::offset_commit_request::partition* partition;
    std::int16_t* error;
  };
  // Topics and partitions that are not there are sorted out before the coordinator sees the request.
  std::vector<item> items;
  answer.topics.reserve(r.topics.size());
  for (const auto& t : r.topics) {
    auto& topic = answer.topics.emplace_back();
    topic.name = t.name;
    topic.topic_id = t.topic_id;
    topic.partitions.reserve(t.partitions.size());
    const auto* image = version >= 10 ? topics_.by_id(t.topic_id) : topics_.by_name(t.name);
    for (const auto& p : t.partitions) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = p.partition_index;
      if (image != nullptr && p.partition_index >= 0 && p.partition_index < image->partitions) {
        items.push_back(item{image, &p, &partition.error_code});
      } else {
        partition.error_code = static_cast<std::int16_t>(image == nullptr && version >= 10
                                                             ? kafka_error::unknown_topic_id
                                                             : kafka_error::unknown_topic_or_partition);
      }
    }
  }
  if (items.empty()) return failure();

  const auto epoch = r.generation_id_or_member_epoch;
  const auto found = groups_.find(r.group_id);
  const group_member* strict = nullptr;
  if (found == groups_.end()) {
    if (epoch >= 0) return failure(version >= 9 ? kafka_error::group_id_not_found : kafka_error::illegal_generation);
  } else if (found->second.members) {
    const auto checked = found->second.members->check_commit(context(now), r.member_id, epoch, version);
    if (!checked) return checked.error();
    strict = *checked;
  } else if (epoch >= 0) {  // nobody is a member of what only has offsets
    return failure(kafka_error::unknown_member_id);
  }
  const auto too_large = [&](const item& i) {
    return i.partition->committed_metadata && i.partition->committed_metadata->size() > options_.offset_metadata_max;
  };
  for (const auto& i : items) {
    if (strict == nullptr || too_large(i)) continue;
    const topic_id_partition p(i.topic->id, i.partition->partition_index);
    if (!consumer_group::may_commit(*strict, epoch, p)) return failure(kafka_error::stale_member_epoch);
  }
  for (const auto& i : items) {
    if (too_large(i)) {
      *i.error = static_cast<std::int16_t>(kafka_error::offset_metadata_too_large);
      continue;
    }
    const offset_and_epoch position(i.partition->committed_offset, i.partition->committed_leader_epoch);
    committed_offset offset(position, std::string(i.partition->committed_metadata.value_or("")));
    groups_[std::string(r.group_id)].offsets.set(i.topic->name, i.partition->partition_index, std::move(offset));
  }
  return failure();
}

/// One topic that was asked for. A topic that is not there has no offsets, but an unknown id is an error.
KAWAIT_DECL void group_coordinator::fetch_topic(const entry* e, const protocol::offset_fetch_request::topic& t,
                                                const fetching& how, protocol::offset_fetch_response::topic& answer) const {
  answer.name = t.name;
  answer.topic_id = t.topic_id;
  const auto* image = how.version >= 10 ? topics_.by_id(t.topic_id) : nullptr;
  const bool unknown = how.version >= 10 && image == nullptr;
  const std::string_view name = image == nullptr ? t.name : std::string_view(image->name);
  for (const auto index : t.partition_indexes) {
    auto& p = answer.partitions.emplace_back();
    p.partition_index = index;
    p.committed_offset = unknown_offset;
    unknown ? void(p.error_code = static_cast<std::int16_t>(kafka_error::unknown_topic_id)) : fetch_partition(e, name, how, p);
  }
}

KAWAIT_DECL void group_coordinator::fetch_partition(const entry* e, std::string_view topic, const fetching& how,
                                                    protocol::offset_fetch_response::partition& answer) {
  answer.committed_offset = unknown_offset;
  if (e == nullptr) return;
  if (how.stable && e->offsets.pending(topic, answer.partition_index)) {
    answer.error_code = static_cast<std::int16_t>(kafka_error::unstable_offset_commit);
    return;
  }
  const auto* found = e->offsets.find(topic, answer.partition_index);
  if (found == nullptr) return;
  answer.committed_offset = found->position.offset;
  answer.committed_leader_epoch = found->position.leader_epoch;
  answer.metadata = found->metadata;
}

KAWAIT_DECL protocol::offset_fetch_response::group group_coordinator::fetch_group(
    const protocol::offset_fetch_request::group& g, const fetching& how) const {
  protocol::offset_fetch_response::group answer;
  answer.group_id = g.group_id;
  const auto it = groups_.find(g.group_id);
  const entry* e = it == groups_.end() ? nullptr : &it->second;
  if (e != nullptr && e->members && how.version >= 9) {
    if (const auto f = e->members->check_fetch(g.member_id, g.member_epoch)) {
      answer.error_code = static_cast<std::int16_t>(f.code.value());
      return answer;
    }
  }
  if (g.topics) {
    for (const auto& t : *g.topics) fetch_topic(e, t, how, answer.topics.emplace_back());
    return answer;
  }
  if (e == nullptr) return answer;
  for (const auto& [name, partitions] : e->offsets.topics()) {
    const auto* image = topics_.by_name(name);
    if (image == nullptr && how.version >= 10) continue;
    auto& topic = answer.topics.emplace_back();
    topic.name = name;
    if (image != nullptr) topic.topic_id = image->id;
    for (const auto& [index, offset] : partitions) {
      auto& p = topic.partitions.emplace_back();
      p.partition_index = index;
      fetch_partition(e, name, how, p);
    }
  }
  return answer;
}

KAWAIT_DECL protocol::offset_fetch_response group_coordinator::fetch_offsets(time_point now,
                                                                             const protocol::offset_fetch_request& r,
                                                                             std::int16_t version) {
  kept_.clear();
  pass(now);
  protocol::offset_fetch_response answer;
  for (const auto& g : r.groups) answer.groups.push_back(fetch_group(g, fetching{version, r.require_stable}));
  return answer;
}

KAWAIT_DECL void group_coordinator::set_offset(time_point now, std::string_view group, const topic_partition& p,
                                               const offset_and_epoch& offset, std::string metadata) {
  kept_.clear();
  pass(now);
  groups_[std::string(group)].offsets.set(p.topic, p.partition, committed_offset(offset, std::move(metadata)));
}

KAWAIT_DECL void group_coordinator::set_pending(std::string_view group, const topic_partition& p, bool yes) {
  if (const auto it = groups_.find(group); it != groups_.end() || yes) groups_[std::string(group)].offsets.set_pending(p, yes);
}

}  // namespace kawait::testing
