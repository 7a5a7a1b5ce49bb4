#include "allocations/count_support.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

namespace {

std::atomic<std::size_t> count{0};
std::atomic<std::size_t> largest{0};

void add(std::size_t size) noexcept {
  count.fetch_add(1, std::memory_order_relaxed);
  largest.store(std::max(size, largest.load(std::memory_order_relaxed)), std::memory_order_relaxed);
}

}  // namespace

namespace counted {

std::size_t allocations() noexcept { return count.load(std::memory_order_relaxed); }
std::size_t take_largest() noexcept { return largest.exchange(0); }

}  // namespace counted

[[gnu::noinline]] void* operator new(std::size_t size) {
  add(size);
  if (void* const p = std::malloc(size > 0 ? size : 1)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  add(size);
  void* p = nullptr;
  return posix_memalign(&p, std::max(alignment, sizeof(void*)), size) == 0 ? p : nullptr;
}
