#pragma once

#include <kawait/protocol/decoder.hpp>

namespace kawait::protocol {

KAWAIT_DECL void decoder::note(const char* name) {
  if (!path_.empty()) path_.insert(path_.begin(), '.');
  path_.insert(0, name);
}

}  // namespace kawait::protocol
