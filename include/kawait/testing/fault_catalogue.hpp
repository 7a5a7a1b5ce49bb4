#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <kawait/detail/config.hpp>

namespace kawait::testing {

/// What a fault strikes.
enum class fault_scope : std::uint8_t {
  request,     ///< One request or its answer, at the broker.
  connection,  ///< An attempt to connect, or the connection that comes of it: in memory only.
  cluster      ///< Nodes, leaders, logs, groups: something that happens to all clients.
};

/// What a fault does to a correct consumer that has auto.offset.reset = earliest.
enum class fault_outcome : std::uint8_t {
  survived,  ///< It gets over it by itself: no read fails, nothing ends, and every record is delivered at least once.
  loss,      ///< The same for what is left: records are gone or offsets are. If it has to go back or on for that, it warns.
  reported,  ///< It may have to tell the application: async_run() ends, or a read of the partition fails.
  any        ///< Nobody can tell that there is a fault, so that anything may follow but a crash or a hang.
};

/// A fault by name.
struct fault_info {
  std::string_view name;  ///< "lost-answer"
  fault_scope scope;
  fault_outcome outcome;
  std::string_view meaning;  ///< One line.
};

/// Every fault there is, in an order that stays.
///
///     for (const testing::fault_info& f : testing::fault_catalogue()) std::cout << f.name << ": " << f.meaning << '\n';
KAWAIT_DECL const std::vector<fault_info>& fault_catalogue();

/// The fault of this name. Throws kawait::error(errc::invalid_config), whose words tell the nearest name that there is.
KAWAIT_DECL const fault_info& find_fault(std::string_view name);

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
// Defines both, and needs what is above.
#include <kawait/testing/faults_state.hpp>
#endif
