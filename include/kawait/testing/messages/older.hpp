#pragma once

#include <cstdint>

#include <kawait/protocol/list_offsets.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/protocol/offset_for_leader_epoch.hpp>
#include <kawait/testing/messages/versions.hpp>

namespace kawait::testing::messages {

// What the client speaks too, in all the versions that Kafka 4 has.
using metadata_request = since_version<protocol::metadata_request, 0>;
using list_offsets_request = since_version<protocol::list_offsets_request, 1>;
using offset_for_leader_epoch_request = since_version<protocol::offset_for_leader_epoch_request, 2>;

}  // namespace kawait::testing::messages
