#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/protocol/field.hpp>
#include <kawait/protocol/find_coordinator.hpp>
#include <kawait/testing/messages/versions.hpp>

namespace kawait::testing::messages {

using protocol::field;

/// All versions: the client's own declaration begins with version 4, where one request may ask for several keys.
struct find_coordinator_response : api<10, 0, 6, 3> {
  static constexpr const char* api_name = "FindCoordinator";
  using coordinator = protocol::find_coordinator_response::coordinator;

  std::int32_t throttle_time_ms = 0;
  std::int16_t error_code = 0;
  std::optional<std::string_view> error_message{std::in_place};
  std::int32_t node_id = 0;
  std::string_view host;
  std::int32_t port = 0;
  std::vector<coordinator> coordinators;
  static void fields(auto&& visit) {
    using m = find_coordinator_response;
    visit(field("ThrottleTimeMs").since(1).ignorable(), &m::throttle_time_ms);
    visit(field("ErrorCode").until(3), &m::error_code);
    visit(field("ErrorMessage").since(1).until(3).nullable(1).ignorable(), &m::error_message);
    visit(field("NodeId").until(3), &m::node_id);
    visit(field("Host").until(3), &m::host);
    visit(field("Port").until(3), &m::port);
    visit(field("Coordinators").since(4), &m::coordinators);
  }
};

struct find_coordinator_request : api<10, 0, 6, 3> {
  static constexpr const char* api_name = "FindCoordinator";
  using response = find_coordinator_response;

  std::string_view key;
  std::int8_t key_type = 0;
  std::vector<std::string_view> coordinator_keys;
  static void fields(auto&& visit) {
    using m = find_coordinator_request;
    visit(field("Key").until(3), &m::key);
    visit(field("KeyType").since(1), &m::key_type);
    visit(field("CoordinatorKeys").since(4), &m::coordinator_keys);
  }
};

}  // namespace kawait::testing::messages
