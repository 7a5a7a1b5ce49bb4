#pragma once

#include <algorithm>

#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/impl/broker_refusals.ipp>

namespace kawait::testing::broker_detail {

/// Encodes, says how long the client is to be silent, and closes what it cannot say.
template <class Response>
void encode(core& owner, const incoming& in, Response& r, std::int16_t version, reply& out) {
  const auto found = owner.throttles.find(static_cast<api_key>(in.key));
  if (found != owner.throttles.end() && found->second.count() > 0) {
    out.throttled = found->second;
    r.throttle_time_ms = static_cast<std::int32_t>(found->second.count());
  }
  if (protocol::encode_response(out.bytes, r, version, in.correlation_id)) out.close = true;
}

/// As protocol::decode_request(), but bytes left over are ignored, as Kafka does: librdkafka 2.16 leaves three behind a Metadata
/// request for all topics.
template <class Request>
bool decode(const incoming& in, Request& q) {
  const bool flexible = protocol::is_flexible<Request>(in.version);
  wire::reader r(in.body);
  if (flexible) r.skip_tagged_fields();
  protocol::decoder d(r, in.version, flexible);
  if (!r.bad()) d.read_struct(q);
  return !r.bad();
}

/// Whether the API has a way of its own to say so, besides the error in every place for one.
template <class Request>
bool tells_itself(kafka_error e) {
  return std::is_same_v<Request, protocol::offset_fetch_request> && e == kafka_error::unstable_offset_commit;
}

template <class Request>
void answer_with(core& owner, incoming& in, reply& out) {
  Request q;
  if (!decode(in, q)) {
    out.close = true;
    return;
  }
  const bool served = in.refused == kafka_error::none || tells_itself<Request>(in.refused);
  typename Request::response r = served ? owner.on(q, in) : refuse(q, in.refused, in);
  if constexpr (std::is_same_v<Request, protocol::consumer_group_heartbeat_request>) {
    if (in.edits && in.edits->edit(r) && in.edits->struck) in.edits->struck();
  }
  encode(owner, in, r, in.version, out);
  if constexpr (std::is_same_v<Request, messages::produce_request>) {
    if (q.acks != 0) return;
    // Nobody waits for an answer; an error can only be told by closing.
    out.bytes.clear();
    for (const auto& t : r.responses) {
      for (const auto& p : t.partitions) out.close = out.close || p.error_code != 0;
    }
  }
}

/// As Kafka: letters and digits, and between them also '-' and '.'.
inline bool is_software_name(std::string_view text) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  const auto inner = [&](char c) { return plain(c) || c == '-' || c == '.'; };
  return !text.empty() && plain(text.front()) && plain(text.back()) && std::all_of(text.begin(), text.end(), inner);
}

inline bool is_of_sasl(api_key key) noexcept { return key == api_key::sasl_handshake || key == api_key::sasl_authenticate; }

KAWAIT_DECL std::optional<api_range> core::offered(std::int16_t key) const {
  for (const api_range& r : all_offered()) {
    if (static_cast<std::int16_t>(r.key) == key) return r;
  }
  return std::nullopt;
}

KAWAIT_DECL std::vector<api_range> core::all_offered() const {
  std::vector<api_range> all = apis_of(options.group.generation);
  if (options.users.empty()) return all;
  const std::vector<api_range> more = apis_of_sasl();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

KAWAIT_DECL asio::awaitable<void> core::answer(connection& c, incoming& in, reply& out) {
  const std::optional<api_range> range = offered(in.key);
  const bool known = range && in.version >= range->min && in.version <= range->max;
  const bool of_versions = range && range->key == api_key::api_versions;
  if (of_versions && (!known || in.refused == kafka_error::unsupported_version)) {
    // Newer than this broker, or by a fault as if: told so in the oldest format, with what there is of this one API.
    protocol::api_versions_response r;
    r.error_code = number_of(kafka_error::unsupported_version);
    auto& a = r.api_keys.emplace_back();
    a.api_key = in.key;
    a.min_version = range->min;
    a.max_version = known ? std::max<std::int16_t>(0, static_cast<std::int16_t>(in.version - 1)) : range->max;
    encode(*this, in, r, 0, out);
    co_return;
  }
  if (!known || (!is_logged_in(c) && !of_versions && !is_of_sasl(range->key))) {
    out.close = true;
    co_return;
  }
  if (range->key == api_key::sasl_handshake) co_return answer_handshake(c, in, out);
  if (range->key == api_key::sasl_authenticate) co_return answer_authenticate(c, in, out);
  if (range->key == api_key::fetch) {
    co_await answer_fetch(c, in, out);
    co_return;
  }
  answer_at_once(in, out);
}

KAWAIT_DECL void core::answer_at_once(incoming& in, reply& out) {
  switch (static_cast<api_key>(in.key)) {
    case api_key::produce: return answer_with<messages::produce_request>(*this, in, out);
    case api_key::list_offsets: return answer_with<messages::list_offsets_request>(*this, in, out);
    case api_key::metadata: return answer_with<messages::metadata_request>(*this, in, out);
    case api_key::offset_commit: return answer_with<protocol::offset_commit_request>(*this, in, out);
    case api_key::offset_fetch: return answer_with<protocol::offset_fetch_request>(*this, in, out);
    case api_key::find_coordinator: return answer_with<messages::find_coordinator_request>(*this, in, out);
    case api_key::api_versions: return answer_with<protocol::api_versions_request>(*this, in, out);
    case api_key::create_topics: return answer_with<messages::create_topics_request>(*this, in, out);
    case api_key::delete_topics: return answer_with<messages::delete_topics_request>(*this, in, out);
    case api_key::create_partitions: return answer_with<messages::create_partitions_request>(*this, in, out);
    case api_key::init_producer_id: return answer_with<messages::init_producer_id_request>(*this, in, out);
    case api_key::offset_for_leader_epoch: return answer_with<messages::offset_for_leader_epoch_request>(*this, in, out);
    case api_key::add_partitions_to_txn: return answer_with<messages::add_partitions_to_txn_request>(*this, in, out);
    case api_key::end_txn: return answer_with<messages::end_txn_request>(*this, in, out);
    case api_key::delete_groups: return answer_with<messages::delete_groups_request>(*this, in, out);
    case api_key::consumer_group_heartbeat: return answer_with<protocol::consumer_group_heartbeat_request>(*this, in, out);
    case api_key::consumer_group_describe: return answer_with<messages::consumer_group_describe_request>(*this, in, out);
    case api_key::describe_groups: return answer_with<messages::describe_groups_request>(*this, in, out);
    default: out.close = true;
  }
}

KAWAIT_DECL protocol::api_versions_response core::on(const protocol::api_versions_request& q, incoming& in) {
  protocol::api_versions_response r;
  const bool named = is_software_name(q.client_software_name) && is_software_name(q.client_software_version);
  if (in.version >= 3 && !named) r.error_code = number_of(kafka_error::invalid_request);
  for (const api_range& range : all_offered()) {
    auto& a = r.api_keys.emplace_back();
    a.api_key = static_cast<std::int16_t>(range.key);
    a.min_version = range.min;
    a.max_version = range.max;
  }
  const auto feature = [&](std::string_view name, std::int16_t min, std::int16_t max) {
    auto& s = r.supported_features.emplace_back();
    s.name = name;
    s.min_version = min;
    s.max_version = max;
    auto& f = r.finalized_features.emplace_back();
    f.name = name;
    f.min_version_level = f.max_version_level = max;
  };
  feature("group.version", 1, 1);
  feature("metadata.version", 7, traits_of(options.group.generation).metadata_version);
  r.finalized_features_epoch = 1;
  return r;
}

KAWAIT_DECL messages::find_coordinator_response core::on(const messages::find_coordinator_request& q, incoming& in) {
  if (q.key_type != 0 && q.key_type != 1) return refuse(q, kafka_error::invalid_request, in);
  const std::int32_t id = coordinator_node();
  const cluster_node* n = cluster.node(id);
  if (!n) return refuse(q, kafka_error::coordinator_not_available, in);
  messages::find_coordinator_response r;
  r.error_message = std::nullopt;
  for (const std::string_view key : q.coordinator_keys) {
    auto& c = r.coordinators.emplace_back();
    c.key = key;
    c.node_id = id;
    c.host = n->host;
    c.port = n->port;
    c.error_message = std::nullopt;
  }
  if (in.version > 3) return r;
  r.node_id = id;
  r.host = n->host;
  r.port = n->port;
  return r;
}

}  // namespace kawait::testing::broker_detail
