#pragma once

#include <kawait/testing/fetch_sessions.hpp>

#include <algorithm>
#include <limits>

namespace kawait::testing {
namespace session_detail {

inline constexpr auto eviction_age = std::chrono::minutes(2);  // min.incremental.fetch.session.eviction.ms

inline std::int32_t next_epoch(std::int32_t epoch) { return epoch == std::numeric_limits<std::int32_t>::max() ? 1 : epoch + 1; }

inline std::size_t size_of(const fetch_sessions::response& r) { return r.records ? r.records->size() : 0; }

}  // namespace session_detail

KAWAIT_DECL fetch_sessions::context fetch_sessions::begin(machine::time_point now, std::int32_t session_id,
                                                          std::int32_t session_epoch, bool uses_ids,
                                                          std::vector<fetch_wish> wishes,
                                                          const std::vector<topic_id_partition>& forgotten) {
  context c;
  if (session_epoch == 0 || session_epoch == -1) {
    // A full request closes the session that it names.
    sessions_.erase(session_id);
    c.kind = session_epoch == 0 ? kind::full : kind::sessionless;
    c.wishes = std::move(wishes);
    return c;
  }
  c.kind = kind::error;
  const auto found = sessions_.find(session_id);
  if (found == sessions_.end()) {
    c.error = kafka_error::fetch_session_id_not_found;
    return c;
  }
  session& s = found->second;
  if (s.epoch != session_epoch || s.uses_ids != uses_ids) {
    c.error = s.epoch != session_epoch ? kafka_error::invalid_fetch_session_epoch : kafka_error::fetch_session_topic_id_error;
    return c;
  }
  update(s, wishes, forgotten);
  if (s.partitions.empty()) {
    sessions_.erase(found);
    c.kind = kind::sessionless;
    c.wishes = std::move(wishes);
    return c;
  }
  s.epoch = session_detail::next_epoch(s.epoch);
  s.last_used = now;
  c.kind = kind::incremental;
  c.session_id = session_id;
  for (const cached& p : s.partitions) c.wishes.push_back(p.wish);
  return c;
}

KAWAIT_DECL void fetch_sessions::update(session& s, const std::vector<fetch_wish>& wishes,
                                        const std::vector<topic_id_partition>& forgotten) {
  for (const fetch_wish& w : wishes) {
    const auto known = s.index.find(w.partition);
    if (known != s.index.end()) {
      known->second->wish = w;
      continue;
    }
    s.partitions.emplace_back();
    s.partitions.back().wish = w;
    s.index[w.partition] = std::prev(s.partitions.end());
  }
  for (const topic_id_partition& p : forgotten) {
    const auto known = s.index.find(p);
    if (known == s.index.end()) continue;
    s.partitions.erase(known->second);
    s.index.erase(known);
  }
}

KAWAIT_DECL bool fetch_sessions::make_room(machine::time_point now) {
  if (sessions_.size() < slots_) return true;
  const auto oldest = std::min_element(sessions_.begin(), sessions_.end(), [](const auto& a, const auto& b) {
    return a.second.last_used < b.second.last_used;
  });
  if (oldest == sessions_.end() || now - oldest->second.last_used <= session_detail::eviction_age) return false;
  sessions_.erase(oldest);
  return true;
}

KAWAIT_DECL void fetch_sessions::grant(context& c, machine::time_point now, bool uses_ids,
                                       const std::function<std::uint64_t()>& random) {
  if (c.kind != kind::full || c.wishes.empty() || !make_room(now)) return;
  std::int32_t id = 0;
  while (id == 0 || sessions_.contains(id)) id = static_cast<std::int32_t>(random() & 0x7fffffffu);
  session& s = sessions_[id];
  s.uses_ids = uses_ids;
  s.last_used = now;
  update(s, c.wishes, {});
  c.session_id = id;
}

KAWAIT_DECL bool fetch_sessions::must_answer(context& c, const topic_id_partition& partition, const response& r) {
  const auto found = sessions_.find(c.session_id);
  const bool all = c.kind != kind::incremental;
  if (c.session_id == 0 || found == sessions_.end()) return all;
  session& s = found->second;
  const auto known = s.index.find(partition);
  if (known == s.index.end()) return all;
  cached& p = *known->second;
  const bool changed = p.high_watermark != r.high_watermark || p.log_start_offset != r.log_start_offset;
  const bool told = session_detail::size_of(r) > 0 || r.error_code != 0 || r.preferred_read_replica >= 0 ||
                    r.diverging_epoch.epoch >= 0 || changed;
  p.high_watermark = r.error_code != 0 ? -1 : r.high_watermark;
  p.log_start_offset = r.log_start_offset;
  // Who got records comes last the next time.
  if (session_detail::size_of(r) > 0 && !all) s.partitions.splice(s.partitions.end(), s.partitions, known->second);
  return all || told;
}

}  // namespace kawait::testing
