#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

struct find_coordinator_response {
  static constexpr const char* api_name = "FindCoordinator";
  static constexpr std::int16_t api_key = 10, min_version = 4, max_version = 6, first_flexible_version = 3;

  struct coordinator {
    std::string_view key;
    std::int32_t node_id = 0;
    std::string_view host;
    std::int32_t port = 0;
    std::int16_t error_code = 0;
    std::optional<std::string_view> error_message{std::in_place};

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Key").since(4), &coordinator::key);
      visit(field("NodeId").since(4), &coordinator::node_id);
      visit(field("Host").since(4), &coordinator::host);
      visit(field("Port").since(4), &coordinator::port);
      visit(field("ErrorCode").since(4), &coordinator::error_code);
      visit(field("ErrorMessage").since(4).nullable(4).ignorable(), &coordinator::error_message);
    }
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<coordinator> coordinators;  ///< One per key, each with its own error.

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = find_coordinator_response;
    visit(field("ThrottleTimeMs").since(1).ignorable(), &m::throttle_time_ms);
    visit(field("Coordinators").since(4), &m::coordinators);
  }
};

/// Which broker coordinates a group.
struct find_coordinator_request {
  static constexpr const char* api_name = "FindCoordinator";
  static constexpr std::int16_t api_key = 10, min_version = 4, max_version = 6, first_flexible_version = 3;
  using response = find_coordinator_response;

  std::int8_t key_type = 0;  ///< 0 group, 1 transaction, 2 share.
  std::vector<std::string_view> coordinator_keys;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = find_coordinator_request;
    visit(field("KeyType").since(1), &m::key_type);
    visit(field("CoordinatorKeys").since(4), &m::coordinator_keys);
  }
};

}  // namespace kawait::protocol
