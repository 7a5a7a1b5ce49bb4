#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include <kawait/core/error.hpp>
#include <kawait/detail/edit_distance.hpp>
#include <kawait/testing/fault_catalogue.hpp>
#include <kawait/testing/faults_state.hpp>

namespace kawait::testing {
namespace faults_detail {

KAWAIT_DECL const std::vector<entry>& entries() {
  static const std::vector<entry> all = [] {
    std::vector<entry> list;
    add_connection_faults(list);
    add_wire_faults(list);
    add_record_faults(list);
    add_heartbeat_faults(list);
    add_coordinator_faults(list);
    add_leader_faults(list);
    add_node_faults(list);
    add_address_faults(list);
    add_clock_faults(list);
    add_log_faults(list);
    add_group_faults(list);
    return list;
  }();
  return all;
}

KAWAIT_DECL const entry& find(std::string_view name) {
  const auto& all = entries();
  const auto named = std::find_if(all.begin(), all.end(), [&](const entry& e) { return e.info.name == name; });
  if (named != all.end()) return *named;
  const auto nearest = std::min_element(all.begin(), all.end(), [&](const entry& a, const entry& b) {
    return kawait::detail::edit_distance(name, a.info.name) < kawait::detail::edit_distance(name, b.info.name);
  });
  throw error(errc::invalid_config,
              "there is no fault \"" + std::string(name) + "\"; the nearest is \"" + std::string(nearest->info.name) + "\"");
}

}  // namespace faults_detail

KAWAIT_DECL const std::vector<fault_info>& fault_catalogue() {
  static const std::vector<fault_info> all = [] {
    std::vector<fault_info> list;
    for (const faults_detail::entry& e : faults_detail::entries()) list.push_back(e.info);
    return list;
  }();
  return all;
}

KAWAIT_DECL const fault_info& find_fault(std::string_view name) { return faults_detail::find(name).info; }

}  // namespace kawait::testing
