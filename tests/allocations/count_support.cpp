#include "allocations/count_support.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>

#include <malloc.h>

namespace {

std::atomic<std::size_t> count{0};
std::atomic<std::size_t> largest{0};
std::atomic<std::size_t> blocks_in_use{0}, bytes_in_use{0};

void add(std::size_t size) noexcept {
  count.fetch_add(1, std::memory_order_relaxed);
  largest.store(std::max(size, largest.load(std::memory_order_relaxed)), std::memory_order_relaxed);
}

std::size_t* until_short = nullptr;  // of the one thread that tries it; 0: not any more

bool is_short() noexcept { return until_short && *until_short > 0 && --*until_short == 0; }

std::string_view wanted;  // by the one thread that looks for it
std::size_t times_found = 0;

[[gnu::noinline]] void give_back(void* p) noexcept {
  if (p) {
    blocks_in_use.fetch_sub(1, std::memory_order_relaxed);
    bytes_in_use.fetch_sub(malloc_usable_size(p), std::memory_order_relaxed);
  }
  if (p && !wanted.empty()) {
    const std::string_view held(static_cast<const char*>(p), malloc_usable_size(p));
    if (held.find(wanted) != std::string_view::npos) ++times_found;
  }
  std::free(p);
}

}  // namespace

namespace counted {

std::size_t allocations() noexcept { return count.load(std::memory_order_relaxed); }
std::size_t blocks() noexcept { return blocks_in_use.load(std::memory_order_relaxed); }
std::size_t bytes() noexcept { return bytes_in_use.load(std::memory_order_relaxed); }
std::size_t take_largest() noexcept { return largest.exchange(0); }
void look_for(std::string_view text) noexcept {
  wanted = text;
  times_found = 0;
}
std::size_t found() noexcept { return times_found; }
shortage::shortage(std::size_t& nth) noexcept { until_short = &nth; }
shortage::~shortage() { until_short = nullptr; }

}  // namespace counted

[[gnu::noinline]] void* operator new(std::size_t size) {
  add(size);
  if (is_short()) throw std::bad_alloc();
  void* const p = std::malloc(size > 0 ? size : 1);
  if (!p) throw std::bad_alloc();
  blocks_in_use.fetch_add(1, std::memory_order_relaxed);
  bytes_in_use.fetch_add(malloc_usable_size(p), std::memory_order_relaxed);
  return p;
}
[[gnu::noinline]] void operator delete(void* p) noexcept { give_back(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { give_back(p); }

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  add(size);
  if (is_short()) return nullptr;
  void* p = nullptr;
  return posix_memalign(&p, std::max(alignment, sizeof(void*)), size) == 0 ? p : nullptr;
}
