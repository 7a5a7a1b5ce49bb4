#pragma once

#include <kawait/testing/broker_core.hpp>

namespace kawait::testing::broker_detail {

// An answer that says nothing but the error, in every place that the API has for it.

inline std::int16_t number_of(kafka_error e) { return static_cast<std::int16_t>(e); }

/// An answer whose only error is its own.
template <class Response>
Response top_level_error(kafka_error e) {
  Response r;
  r.error_code = number_of(e);
  return r;
}

inline protocol::api_versions_response refuse(const protocol::api_versions_request&, kafka_error e, incoming&) {
  return top_level_error<protocol::api_versions_response>(e);
}
inline messages::init_producer_id_response refuse(const messages::init_producer_id_request&, kafka_error e, incoming&) {
  return top_level_error<messages::init_producer_id_response>(e);
}
inline messages::end_txn_response refuse(const messages::end_txn_request&, kafka_error e, incoming&) {
  return top_level_error<messages::end_txn_response>(e);
}
inline protocol::consumer_group_heartbeat_response refuse(const protocol::consumer_group_heartbeat_request&, kafka_error e,
                                                          incoming&) {
  return top_level_error<protocol::consumer_group_heartbeat_response>(e);
}

inline messages::find_coordinator_response refuse(const messages::find_coordinator_request& q, kafka_error e, incoming& in) {
  messages::find_coordinator_response r;
  for (const std::string_view key : q.coordinator_keys) {
    auto& c = r.coordinators.emplace_back();
    c.key = key;
    c.node_id = -1;
    c.port = -1;
    c.error_code = number_of(e);
  }
  if (in.version > 3) return r;
  r.error_code = number_of(e);
  r.node_id = r.port = -1;
  return r;
}

inline messages::metadata_request::response refuse(const messages::metadata_request& q, kafka_error e, incoming&) {
  messages::metadata_request::response r;
  r.error_code = number_of(e);
  for (std::size_t i = 0; q.topics && i < q.topics->size(); ++i) {
    auto& t = r.topics.emplace_back();
    t.error_code = number_of(e);
    t.name = (*q.topics)[i].name.value_or("");
    t.topic_id = (*q.topics)[i].topic_id;
  }
  return r;
}

inline messages::create_topics_response refuse(const messages::create_topics_request& q, kafka_error e, incoming&) {
  messages::create_topics_response r;
  for (const auto& asked : q.topics) {
    auto& t = r.topics.emplace_back();
    t.name = asked.name;
    t.error_code = number_of(e);
  }
  return r;
}

inline messages::delete_topics_response refuse(const messages::delete_topics_request& q, kafka_error e, incoming&) {
  messages::delete_topics_response r;
  for (const auto& asked : q.topics) {
    auto& t = r.responses.emplace_back();
    t.name = asked.name;
    t.topic_id = asked.topic_id;
    t.error_code = number_of(e);
  }
  for (const std::string_view name : q.topic_names) {
    auto& t = r.responses.emplace_back();
    t.name = name;
    t.error_code = number_of(e);
  }
  return r;
}

inline messages::create_partitions_response refuse(const messages::create_partitions_request& q, kafka_error e, incoming&) {
  messages::create_partitions_response r;
  for (const auto& asked : q.topics) {
    auto& t = r.results.emplace_back();
    t.name = asked.name;
    t.error_code = number_of(e);
  }
  return r;
}

inline messages::list_offsets_request::response refuse(const messages::list_offsets_request& q, kafka_error e, incoming&) {
  messages::list_offsets_request::response r;
  for (const auto& asked : q.topics) {
    auto& t = r.topics.emplace_back();
    t.name = asked.name;
    for (const auto& p : asked.partitions) {
      auto& out = t.partitions.emplace_back();
      out.partition_index = p.partition_index;
      out.error_code = number_of(e);
    }
  }
  return r;
}

inline messages::offset_for_leader_epoch_request::response refuse(const messages::offset_for_leader_epoch_request& q,
                                                                  kafka_error e, incoming&) {
  messages::offset_for_leader_epoch_request::response r;
  for (const auto& asked : q.topics) {
    auto& t = r.topics.emplace_back();
    t.topic = asked.topic;
    for (const auto& p : asked.partitions) {
      auto& out = t.partitions.emplace_back();
      out.partition = p.partition;
      out.error_code = number_of(e);
    }
  }
  return r;
}

inline messages::produce_response refuse(const messages::produce_request& q, kafka_error e, incoming&) {
  messages::produce_response r;
  for (const auto& asked : q.topics) {
    auto& t = r.responses.emplace_back();
    t.name = asked.name;
    t.topic_id = asked.topic_id;
    for (const auto& p : asked.partitions) {
      auto& out = t.partitions.emplace_back();
      out.index = p.index;
      out.error_code = number_of(e);
      out.base_offset = -1;
    }
  }
  return r;
}

inline messages::add_partitions_to_txn_response refuse(const messages::add_partitions_to_txn_request& q, kafka_error e,
                                                       incoming&) {
  messages::add_partitions_to_txn_response r;
  for (const auto& asked : q.topics) {
    auto& t = r.topics.emplace_back();
    t.name = asked.name;
    for (const std::int32_t p : asked.partitions) {
      auto& out = t.partitions.emplace_back();
      out.index = p;
      out.error_code = number_of(e);
    }
  }
  return r;
}

inline protocol::offset_commit_response refuse(const protocol::offset_commit_request& q, kafka_error e, incoming&) {
  protocol::offset_commit_response r;
  for (const auto& asked : q.topics) {
    auto& t = r.topics.emplace_back();
    t.name = asked.name;
    t.topic_id = asked.topic_id;
    for (const auto& p : asked.partitions) {
      auto& out = t.partitions.emplace_back();
      out.partition_index = p.partition_index;
      out.error_code = number_of(e);
    }
  }
  return r;
}

inline protocol::offset_fetch_response refuse(const protocol::offset_fetch_request& q, kafka_error e, incoming&) {
  protocol::offset_fetch_response r;
  for (const auto& asked : q.groups) {
    auto& g = r.groups.emplace_back();
    g.group_id = asked.group_id;
    g.error_code = number_of(e);
  }
  return r;
}

inline messages::consumer_group_describe_response refuse(const messages::consumer_group_describe_request& q, kafka_error e,
                                                         incoming&) {
  messages::consumer_group_describe_response r;
  for (const std::string_view id : q.group_ids) {
    auto& g = r.groups.emplace_back();
    g.group_id = id;
    g.error_code = number_of(e);
  }
  return r;
}

inline messages::delete_groups_response refuse(const messages::delete_groups_request& q, kafka_error e, incoming&) {
  messages::delete_groups_response r;
  for (const std::string_view id : q.groups) {
    auto& g = r.results.emplace_back();
    g.group_id = id;
    g.error_code = number_of(e);
  }
  return r;
}

inline messages::describe_groups_response refuse(const messages::describe_groups_request& q, kafka_error e, incoming& in) {
  messages::describe_groups_response r;
  for (const std::string_view id : q.groups) {
    auto& g = r.groups.emplace_back();
    g.group_id = id;
    g.group_state = "Dead";
    // Before version 6 a group that there is not is no error.
    if (e != kafka_error::group_id_not_found || in.version >= 6) g.error_code = number_of(e);
  }
  return r;
}

/// Errors of a fetch session; any other is one of partitions.
inline bool is_of_session(kafka_error e) {
  return e == kafka_error::fetch_session_id_not_found || e == kafka_error::invalid_fetch_session_epoch ||
         e == kafka_error::fetch_session_topic_id_error;
}

}  // namespace kawait::testing::broker_detail
