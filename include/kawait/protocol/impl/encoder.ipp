#pragma once

#include <kawait/protocol/encoder.hpp>

namespace kawait::protocol {

KAWAIT_DECL void encoder::note(const char* name) {
  if (!path_.empty()) path_.insert(path_.begin(), '.');
  path_.insert(0, name);
}

}  // namespace kawait::protocol
