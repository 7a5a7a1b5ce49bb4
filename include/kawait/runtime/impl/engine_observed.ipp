#pragma once

#include <algorithm>

#include <kawait/runtime/engine.hpp>

namespace kawait::runtime {

// What observers are told. Nothing is computed for nobody.

namespace detail {

inline std::vector<topic_partition> names_of(const std::vector<stream_ptr>& streams) {
  std::vector<topic_partition> names;
  names.reserve(streams.size());
  for (const auto& s : streams) names.push_back(s->name());
  return names;
}

}  // namespace detail

KAWAIT_DECL void engine::tell_assigned(const std::vector<stream_ptr>& streams, std::int32_t member_epoch) const {
  if (!options_.observers || streams.empty()) return;
  const auto names = detail::names_of(streams);
  options_.observers.tell(&observer::on_assigned, observer::assigned{names, member_epoch});
}

KAWAIT_DECL void engine::tell_revoked(const std::vector<stream_ptr>& streams, net::time_point deadline) const {
  if (!options_.observers || streams.empty()) return;
  const auto names = detail::names_of(streams);
  options_.observers.tell(&observer::on_revoked, observer::revoked{names, deadline - environment_.now()});
}

KAWAIT_DECL void engine::tell_drained(const revocation_state& revocation, const partition_stream& stream,
                                      const failure& outcome) const {
  if (!options_.observers || !stream.is_announced) return;
  const topic_partition name = stream.name();
  options_.observers.tell(&observer::on_drained, observer::drained{name, environment_.now() - revocation.began(), outcome});
}

KAWAIT_DECL void engine::tell_lost(const std::vector<stream_ptr>& streams, const failure& reason) const {
  if (!options_.observers || streams.empty()) return;
  const auto names = detail::names_of(streams);
  options_.observers.tell(&observer::on_lost, observer::lost{names, reason});
}

KAWAIT_DECL void engine::tell_committed(const std::vector<machine::commit_outcome>& outcomes, net::time_point began) const {
  if (!options_.observers || outcomes.empty()) return;
  std::vector<observer::committed_offset> offsets;
  for (const auto& o : outcomes) {
    offsets.push_back({topic_partition(o.topic, o.lease.partition.partition), o.offset.offset, o.result});
  }
  options_.observers.tell(&observer::on_committed, observer::committed{offsets, environment_.now() - began});
}

KAWAIT_DECL void engine::tell_delivered(const partition_stream& stream, const lease& l) const {
  if (!options_.observers) return;
  topic_partition name;
  try {
    name = stream.name();
  } catch (const std::bad_alloc&) {  // not told, but handed out
    return;
  }
  std::size_t bytes = 0;
  for (const auto& segment : l.segments) bytes += segment.records.size();
  observer::delivered d{name, l.first_offset, l.next_offset, l.record_count, bytes, {}};
  const std::int64_t end = stream.end_of_log(options_.isolation);
  if (end >= 0) d.lag = std::max<std::int64_t>(0, end - l.next_offset);
  options_.observers.tell(&observer::on_delivered, d);
}

}  // namespace kawait::runtime
