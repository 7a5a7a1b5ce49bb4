#pragma once

// What requests list, in short.

#include <kawait/machine/fetch_session.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace fetch_session_support {

using kawait::kafka_error;
using kawait::topic_id_partition;
using kawait::machine::fetch_session;
using kawait::protocol::fetch_request;
using kawait::protocol::fetch_response;
using position = fetch_session::position;
using kind = fetch_session::verdict::kind;
using offsets = std::map<topic_id_partition, std::int64_t>;

inline kawait::uuid topic(int n) {
  kawait::uuid id;
  id.bytes[15] = static_cast<std::byte>(n);
  return id;
}

inline topic_id_partition part(int t, std::int32_t p) { return topic_id_partition(topic(t), p); }
inline position at(std::int64_t offset) { return position(offset, 7, 3, 1024); }

inline fetch_session::limits some_limits() { return fetch_session::limits(500, 1, 50'000'000, 1, "rack-a"); }

inline std::vector<std::pair<topic_id_partition, std::int64_t>> listed(const fetch_request& request) {
  std::vector<std::pair<topic_id_partition, std::int64_t>> result;
  for (const auto& t : request.topics) {
    for (const auto& p : t.partitions) result.emplace_back(topic_id_partition(t.topic_id, p.partition), p.fetch_offset);
  }
  return result;
}

inline offsets as_map(const fetch_request& request) {
  offsets result;
  for (const auto& [p, o] : listed(request)) result[p] = o;
  return result;
}

inline std::set<topic_id_partition> forgotten(const fetch_request& request) {
  std::set<topic_id_partition> result;
  for (const auto& t : request.forgotten_topics_data) {
    for (const auto p : t.partitions) result.insert(topic_id_partition(t.topic_id, p));
  }
  return result;
}

inline fetch_response answer(std::int32_t session_id, kafka_error error = kafka_error::none) {
  fetch_response response;
  response.session_id = session_id;
  response.error_code = static_cast<std::int16_t>(error);
  return response;
}

}  // namespace fetch_session_support
