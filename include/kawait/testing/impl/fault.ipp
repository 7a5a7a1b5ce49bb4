#pragma once

#include <kawait/protocol/codec.hpp>
#include <kawait/testing/fault.hpp>

namespace kawait::testing {

KAWAIT_DECL heartbeat_kind heartbeat_kind_of(const request_view& r) {
  protocol::consumer_group_heartbeat_request q;
  if (r.api != api_key::consumer_group_heartbeat || protocol::decode_request(q, r.body, r.version)) return heartbeat_kind::none;
  if (q.member_epoch < 0) return heartbeat_kind::leave;
  if (q.member_epoch == 0) return heartbeat_kind::join;
  return q.topic_partitions ? heartbeat_kind::acknowledgement : heartbeat_kind::keep_alive;
}

}  // namespace kawait::testing
