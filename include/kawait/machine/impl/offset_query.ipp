#pragma once

#include <algorithm>

#include <kawait/machine/impl/position_finder_answers.ipp>
#include <kawait/machine/offset_query.hpp>

namespace kawait::machine {

namespace detail {

inline position_finder::options finder_options_of(const offset_query::options& o) {
  return position_finder::options(position_finder::reset_policy::none, o.isolation_level, o.request_timeout, o.backoff);
}

}  // namespace detail

KAWAIT_DECL offset_query::offset_query(const options& o, std::vector<wish> wishes) : options_(o), finder_(detail::finder_options_of(o)) {
  entries_.reserve(wishes.size());
  for (wish& w : wishes) entries_.push_back(entry{std::move(w), std::nullopt, std::nullopt});
  open_ = entries_.size();
}

// A topic that was deleted and created again while it was asked about is another one: its partitions are asked about anew.
KAWAIT_DECL failure offset_query::resolve(const cluster& metadata) {
  if (seen_version_ == metadata.version()) return {};
  seen_version_ = metadata.version();
  unresolved_ = false;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    entry& e = entries_[i];
    if (e.told) continue;
    const topic_partition& name = e.wanted.partition;
    const failure said(make_error_code(metadata.topic_error(name.topic)), name.to_string());
    if (said && is_final(said)) return said;
    std::optional<topic_id_partition> id;
    const auto topic = metadata.id_of(name.topic);
    if (topic && std::cmp_less(name.partition, metadata.partition_count(*topic))) id.emplace(*topic, name.partition);
    unresolved_ |= !id;
    if (e.id == id) continue;
    if (e.id) {
      finder_.remove(*e.id);
      by_id_.erase(*e.id);
    }
    e.id = id;
    if (!id) continue;
    by_id_[*id] = i;
    finder_.from_timestamp(leased(*id, 0), e.wanted.timestamp);
  }
  return {};
}

KAWAIT_DECL offset_query::entry* offset_query::find(const leased& lease) {
  const auto place = by_id_.find(lease.partition);
  return place == by_id_.end() ? nullptr : &entries_[place->second];
}

KAWAIT_DECL offset_query::effect offset_query::finish(failure why) const {
  finished result;
  result.why = std::move(why);
  if (!result.why) {
    for (const entry& e : entries_) result.answers.push_back(*e.told);
  }
  return result;
}

KAWAIT_DECL failure offset_query::why_late(const cluster& metadata) const {
  const auto late = std::find_if(entries_.begin(), entries_.end(), [](const entry& e) { return !e.told; });
  const std::string name = late->wanted.partition.to_string();
  if (metadata.brokers().empty()) return failure(errc::request_timeout, name + ": no broker has told of the cluster");
  if (!late->id) {
    const kafka_error said = metadata.topic_error(late->wanted.partition.topic);
    return failure(said == kafka_error::none ? kafka_error::unknown_topic_or_partition : said, name);
  }
  return failure(errc::request_timeout, name + (last_ ? ": " + last_.to_string() : std::string()));
}

KAWAIT_DECL offset_query::effect offset_query::poll(time_point now, const cluster& metadata) {
  if (failure final = resolve(metadata)) return finish(std::move(final));
  time_point next = options_.deadline;
  while (open_ > 0) {
    auto step = finder_.poll(now, metadata);
    if (const auto* const found = std::get_if<position_finder::found>(&step)) {
      entry* const e = find(found->lease);
      e->told.emplace();
      e->told->offset = found->position.offset;
      e->told->timestamp = found->timestamp;
      --open_;
    } else if (const auto* const missing = std::get_if<position_finder::not_found>(&step)) {
      return finish(failure(missing->why.code, find(missing->lease)->wanted.partition.to_string()));
    } else if (now >= options_.deadline) {
      return finish(why_late(metadata));
    } else if (auto* const ask = std::get_if<list_offsets>(&step)) {
      return std::move(*ask);
    } else if (std::get_if<refresh_metadata>(&step)) {
      return refresh_metadata();
    } else {
      next = std::min(next, std::get<idle>(step).until);
      break;
    }
  }
  if (open_ == 0) return finish({});
  // A topic without the partition is known well enough for the cluster not to ask again by itself.
  if (unresolved_ && now >= refresh_from_) {
    refresh_from_ = now + options_.backoff.max;
    return refresh_metadata();
  }
  if (unresolved_) next = std::min(next, refresh_from_);
  return idle{next};
}

KAWAIT_DECL void offset_query::on_list_offsets(std::int32_t node, const protocol::list_offsets_response& response, time_point now,
                                               std::uint64_t random_bits) {
  for (const auto& t : response.topics) {
    for (const auto& p : t.partitions) {
      if (p.error_code != 0) last_ = failure(make_error_code(static_cast<kafka_error>(p.error_code)));
    }
  }
  finder_.on_list_offsets(node, response, now, random_bits);
}

KAWAIT_DECL void offset_query::on_list_offsets_failed(std::int32_t node, const failure& why, time_point now,
                                                      std::uint64_t random_bits) {
  last_ = why;
  finder_.on_list_offsets_failed(node, why, now, random_bits);
}

}  // namespace kawait::machine
