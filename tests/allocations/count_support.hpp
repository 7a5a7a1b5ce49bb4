#pragma once

#include <cstddef>

namespace counted {

/// How often memory was allocated so far: by operator new, or, as Asio does for its frames, by aligned_alloc.
std::size_t allocations() noexcept;
/// The largest allocation since the last call of this.
std::size_t take_largest() noexcept;

}  // namespace counted
