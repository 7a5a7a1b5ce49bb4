#pragma once

#include <kawait/core/error.hpp>
#include <kawait/core/kafka_error.hpp>

namespace kawait::machine {

/// Whether asking again is in vain: what a broker refuses for good, or cannot do. What a broken connection did is always tried again.
inline bool is_final(const failure& why) {
  if (why.code.category() == kafka_category()) return why.code == condition::fatal;
  return why.code == errc::unsupported_broker;
}

}  // namespace kawait::machine
