#pragma once

#include <string>

#include <kawait/protocol/api_versions.hpp>
#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/find_coordinator.hpp>
#include <kawait/protocol/list_offsets.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/protocol/offset_commit.hpp>
#include <kawait/protocol/offset_fetch.hpp>
#include <kawait/protocol/offset_for_leader_epoch.hpp>
#include <kawait/protocol/sasl_authenticate.hpp>
#include <kawait/protocol/sasl_handshake.hpp>
#include <kawait/testing/messages/fetch.hpp>
#include <kawait/testing/messages/find_coordinator.hpp>
#include <kawait/testing/messages/groups.hpp>
#include <kawait/testing/messages/older.hpp>
#include <kawait/testing/messages/produce.hpp>
#include <kawait/testing/messages/topics.hpp>
#include <kawait/testing/messages/transactions.hpp>

namespace kawait::test {

/// Calls f.template operator()<Request>() for every request; its response is Request::response.
template <class F>
void for_each_request(F&& f) {
  f.template operator()<protocol::api_versions_request>();
  f.template operator()<protocol::consumer_group_heartbeat_request>();
  f.template operator()<protocol::fetch_request>();
  f.template operator()<protocol::find_coordinator_request>();
  f.template operator()<protocol::list_offsets_request>();
  f.template operator()<protocol::metadata_request>();
  f.template operator()<protocol::offset_commit_request>();
  f.template operator()<protocol::offset_fetch_request>();
  f.template operator()<protocol::offset_for_leader_epoch_request>();
  f.template operator()<protocol::sasl_authenticate_request>();
  f.template operator()<protocol::sasl_handshake_request>();
  // What only the embedded broker speaks.
  namespace messages = testing::messages;
  f.template operator()<messages::add_partitions_to_txn_request>();
  f.template operator()<messages::consumer_group_describe_request>();
  f.template operator()<messages::create_partitions_request>();
  f.template operator()<messages::create_topics_request>();
  f.template operator()<messages::delete_groups_request>();
  f.template operator()<messages::delete_topics_request>();
  f.template operator()<messages::describe_groups_request>();
  f.template operator()<messages::end_txn_request>();
  f.template operator()<messages::fetch_request>();
  f.template operator()<messages::find_coordinator_request>();
  f.template operator()<messages::init_producer_id_request>();
  f.template operator()<messages::list_offsets_request>();
  f.template operator()<messages::metadata_request>();
  f.template operator()<messages::offset_for_leader_epoch_request>();
  f.template operator()<messages::produce_request>();
}

/// The same for requests and responses alike.
template <class F>
void for_each_message(F&& f) {
  for_each_request([&]<class Request>() {
    f.template operator()<Request>();
    f.template operator()<typename Request::response>();
  });
}

/// "FetchRequest", as Kafka names its definitions.
template <protocol::message Message>
std::string kafka_name() {
  return std::string(Message::api_name) + (protocol::request<Message> ? "Request" : "Response");
}

}  // namespace kawait::test
