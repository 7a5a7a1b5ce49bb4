#pragma once

#include <cstddef>
#include <string_view>

namespace counted {

/// How often memory was allocated so far: by operator new, or, as Asio does for its frames, by aligned_alloc.
std::size_t allocations() noexcept;
/// What is in use of operator new's: how many allocations, and of how many bytes.
std::size_t blocks() noexcept;
std::size_t bytes() noexcept;
/// The largest allocation since the last call of this.
std::size_t take_largest() noexcept;
/// From now on counts, for found(), the memory given back to operator delete that holds the text; empty: no more.
void look_for(std::string_view text) noexcept;
std::size_t found() noexcept;

/// While one lives, memory can be short: the `nth` allocation of all that are made then fails, once.
class shortage {
 public:
  explicit shortage(std::size_t& nth) noexcept;
  shortage(const shortage&) = delete;
  shortage& operator=(const shortage&) = delete;
  ~shortage();
};

}  // namespace counted
