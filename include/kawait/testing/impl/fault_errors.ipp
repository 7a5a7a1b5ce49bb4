#pragma once

#include <functional>
#include <utility>

#include <kawait/testing/faults_state.hpp>
#include <kawait/testing/impl/fault_requests.ipp>

namespace kawait::testing::faults_detail {

// Errors that a broker answers, and answers to heartbeats that are lost or wrong.

inline bool list_twice(protocol::consumer_group_heartbeat_response& r) {
  if (!r.assignment || r.assignment->topic_partitions.empty()) return false;
  for (auto& t : r.assignment->topic_partitions) {
    const auto once = t.partitions;
    t.partitions.insert(t.partitions.end(), once.begin(), once.end());
  }
  const auto topics = r.assignment->topic_partitions;
  r.assignment->topic_partitions.insert(r.assignment->topic_partitions.end(), topics.begin(), topics.end());
  return true;
}

inline bool say_negative_epoch(protocol::consumer_group_heartbeat_response& r) {
  r.member_epoch = -5;
  return true;
}

using adder = std::function<void(std::string_view, fault_outcome, std::string_view, kafka_error, apis)>;

inline adder error_adder(std::vector<entry>& all) {
  return [&all](std::string_view name, fault_outcome outcome, std::string_view meaning, kafka_error e, apis of) {
    add_request_fault(all, name, outcome, meaning, std::move(of), [e](state&) { return fault::answer_with(e); });
  };
}

KAWAIT_DECL void add_heartbeat_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  using e = kafka_error;
  const apis heartbeat{api_key::consumer_group_heartbeat};
  const auto add = error_adder(all);
  add("fenced-epoch", survived, "a heartbeat is answered FENCED_MEMBER_EPOCH", e::fenced_member_epoch, heartbeat);
  add("unknown-member", survived, "a heartbeat is answered UNKNOWN_MEMBER_ID", e::unknown_member_id, heartbeat);
  add("group-missing", reported, "a heartbeat is answered GROUP_ID_NOT_FOUND: fatal to a member that joins",
      e::group_id_not_found, heartbeat);
  add("instance-unreleased", reported, "a heartbeat is answered UNRELEASED_INSTANCE_ID", e::unreleased_instance_id, heartbeat);
  add("instance-fenced", reported, "a heartbeat is answered FENCED_INSTANCE_ID", e::fenced_instance_id, heartbeat);
  add("group-full", reported, "a heartbeat is answered GROUP_MAX_SIZE_REACHED", e::group_max_size_reached, heartbeat);
  add("unknown-assignor", reported, "a heartbeat is answered UNSUPPORTED_ASSIGNOR", e::unsupported_assignor, heartbeat);
  add("bad-pattern", reported, "a heartbeat is answered INVALID_REGULAR_EXPRESSION", e::invalid_regular_expression, heartbeat);
  add("heartbeat-refused", reported, "a heartbeat is answered INVALID_REQUEST", e::invalid_request, heartbeat);
  add("heartbeat-unsupported", reported, "a heartbeat is answered UNSUPPORTED_VERSION", e::unsupported_version, heartbeat);
  const auto edit = [&](std::string_view name, std::string_view meaning,
                        bool (*how)(protocol::consumer_group_heartbeat_response&)) {
    add_request_fault(all, name, survived, meaning, heartbeat, [how](state&) { return fault::edited(how); });
  };
  edit("duplicate-assignment", "an assignment lists every partition four times", list_twice);
  edit("negative-epoch", "a heartbeat is done, and answered with member epoch -5", say_negative_epoch);
  const auto lose = [&](std::string_view name, std::string_view meaning, heartbeat_kind of, kind how) {
    add_request_fault(all, name, survived, meaning, heartbeat, [how](state&) { return fault(how); });
    all.back().when = [of](const request_view& v) { return heartbeat_kind_of(v) == of; };
  };
  lose("lost-join-answer", "a member joins and is not told so", heartbeat_kind::join, kind::drop_answer);
  lose("lost-acknowledgement", "a member says what it has given up or taken over, and is not heard",
       heartbeat_kind::acknowledgement, kind::drop_request);
  lose("lost-acknowledgement-answer", "a member says what it has given up or taken over, and is not answered",
       heartbeat_kind::acknowledgement, kind::drop_answer);
  lose("lost-leave-answer", "a member leaves and is not told so", heartbeat_kind::leave, kind::drop_answer);
}

KAWAIT_DECL void add_coordinator_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  using e = kafka_error;
  const apis commit{api_key::offset_commit};
  const apis offsets{api_key::offset_commit, api_key::offset_fetch};
  const apis coordinator{api_key::consumer_group_heartbeat, api_key::offset_commit, api_key::offset_fetch};
  const apis any_coordinator{api_key::consumer_group_heartbeat, api_key::offset_commit, api_key::offset_fetch,
                             api_key::find_coordinator};
  const auto add = error_adder(all);
  add("coordinator-loading", survived, "answered COORDINATOR_LOAD_IN_PROGRESS", e::coordinator_load_in_progress, any_coordinator);
  add("coordinator-gone", survived, "answered COORDINATOR_NOT_AVAILABLE", e::coordinator_not_available, any_coordinator);
  add("not-coordinator", survived, "answered NOT_COORDINATOR, by the one that is it", e::not_coordinator, coordinator);
  add("group-denied", reported, "answered GROUP_AUTHORIZATION_FAILED", e::group_authorization_failed, any_coordinator);
  add("stale-epoch", survived, "offsets are answered STALE_MEMBER_EPOCH", e::stale_member_epoch, offsets);
  add("unknown-committer", survived, "offsets are answered UNKNOWN_MEMBER_ID", e::unknown_member_id, offsets);
  add("commit-timed-out", survived, "a commit is answered REQUEST_TIMED_OUT", e::request_timed_out, commit);
  add("commit-unknown-topic", survived, "a commit is answered UNKNOWN_TOPIC_OR_PARTITION", e::unknown_topic_or_partition, commit);
  add("unstable-offset", survived, "fetched offsets are answered UNSTABLE_OFFSET_COMMIT", e::unstable_offset_commit,
      apis{api_key::offset_fetch});
}

KAWAIT_DECL void add_leader_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  using e = kafka_error;
  const apis fetch{api_key::fetch};
  const apis leader{api_key::fetch, api_key::list_offsets, api_key::offset_for_leader_epoch};
  const auto add = error_adder(all);
  add("not-leader", survived, "answered NOT_LEADER_OR_FOLLOWER, by the one that is it", e::not_leader_or_follower, leader);
  add("fenced-leader-epoch", survived, "answered FENCED_LEADER_EPOCH", e::fenced_leader_epoch, leader);
  add("unknown-leader-epoch", survived, "answered UNKNOWN_LEADER_EPOCH", e::unknown_leader_epoch, leader);
  add("offset-unavailable", survived, "answered OFFSET_NOT_AVAILABLE", e::offset_not_available,
      apis{api_key::fetch, api_key::list_offsets});
  add("storage-error", survived, "answered KAFKA_STORAGE_ERROR", e::kafka_storage_error, leader);
  add("unknown-topic", survived, "answered UNKNOWN_TOPIC_OR_PARTITION", e::unknown_topic_or_partition, leader);
  add("unknown-topic-id", survived, "a fetch is answered UNKNOWN_TOPIC_ID", e::unknown_topic_id, fetch);
  add("inconsistent-topic-id", survived, "a fetch is answered INCONSISTENT_TOPIC_ID", e::inconsistent_topic_id, fetch);
  add("server-error", survived, "a fetch is answered UNKNOWN_SERVER_ERROR", e::unknown_server_error, fetch);
  add("corrupt-message", survived, "a fetch is answered CORRUPT_MESSAGE", e::corrupt_message, fetch);
  add("session-lost", survived, "a fetch is answered FETCH_SESSION_ID_NOT_FOUND", e::fetch_session_id_not_found, fetch);
  add("session-epoch", survived, "a fetch is answered INVALID_FETCH_SESSION_EPOCH", e::invalid_fetch_session_epoch, fetch);
  add("session-topic-id", survived, "a fetch is answered FETCH_SESSION_TOPIC_ID_ERROR", e::fetch_session_topic_id_error, fetch);
  add("out-of-range", loss, "a fetch is answered OFFSET_OUT_OF_RANGE, though it is in range", e::offset_out_of_range, fetch);
  add("topic-denied", reported, "answered TOPIC_AUTHORIZATION_FAILED", e::topic_authorization_failed,
      apis{api_key::fetch, api_key::list_offsets, api_key::metadata, api_key::consumer_group_heartbeat});
  add("leader-missing", survived, "metadata is answered LEADER_NOT_AVAILABLE", e::leader_not_available, apis{api_key::metadata});
  add("versions-mismatch", survived, "ApiVersions is answered UNSUPPORTED_VERSION, in the oldest form, unless it is asked so",
      e::unsupported_version, apis{api_key::api_versions});
  all.back().when = [](const request_view& v) { return v.version > 0; };
}

}  // namespace kawait::testing::faults_detail
