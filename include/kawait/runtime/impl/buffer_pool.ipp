#pragma once

#include <kawait/runtime/buffer_pool.hpp>

#include <algorithm>
#include <bit>

namespace kawait::runtime {

KAWAIT_DECL std::size_t buffer_pool::capacity_for(std::size_t bytes) noexcept {
  constexpr std::size_t smallest = 4096;
  if (bytes <= smallest) return smallest;
  const std::size_t power = std::bit_floor(bytes);
  const std::size_t step = power / 4;
  return power + (bytes - power + step - 1) / step * step;
}

KAWAIT_DECL void buffer_pool::shared::recycle(wire::slab* s) noexcept {
  charged.fetch_sub(s->capacity(), std::memory_order_relaxed);
  s->next = returned.load(std::memory_order_relaxed);
  while (!returned.compare_exchange_weak(s->next, s, std::memory_order_acq_rel)) {
  }
  // The pool may have closed before the push: then nobody else will empty the stack. Both may try; each slab is taken once.
  if (closed.load(std::memory_order_acquire)) destroy_returned();
  unref();
}

KAWAIT_DECL void buffer_pool::shared::destroy_returned() noexcept {
  wire::slab* s = returned.exchange(nullptr, std::memory_order_acq_rel);
  while (s) wire::slab::destroy(std::exchange(s, s->next));
}

KAWAIT_DECL buffer_pool::~buffer_pool() {
  for (wire::slab* s : free_) wire::slab::destroy(s);
  shared_->closed.store(true, std::memory_order_release);
  shared_->destroy_returned();
  shared_->unref();
}

KAWAIT_DECL void buffer_pool::collect() {
  wire::slab* s = shared_->returned.exchange(nullptr, std::memory_order_acq_rel);
  while (s) {
    wire::slab* const next = s->next;
    kept_ += s->capacity();
    free_.push_back(s);
    s = next;
  }
}

// Best fit, but never a slab more than twice as large as needed: it would be charged in full.
KAWAIT_DECL wire::slab* buffer_pool::take_kept(std::size_t capacity) {
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const std::size_t has = (*it)->capacity();
    if (has < capacity || has > 2 * capacity) continue;
    if (best == free_.end() || has < (*best)->capacity()) best = it;
  }
  if (best == free_.end()) return nullptr;
  wire::slab* const s = *best;
  *best = free_.back();
  free_.pop_back();
  kept_ -= s->capacity();
  return s;
}

// What is kept for reuse counts against the budget too; it goes first.
KAWAIT_DECL void buffer_pool::trim(std::size_t wanted) {
  while (!free_.empty() && charged() + kept_ + wanted > budget_) {
    kept_ -= free_.back()->capacity();
    wire::slab::destroy(free_.back());
    free_.pop_back();
  }
}

KAWAIT_DECL wire::slab_ref buffer_pool::acquire(std::size_t bytes) {
  const std::size_t capacity = capacity_for(bytes);
  collect();
  wire::slab* s = take_kept(capacity);
  trim(s ? s->capacity() : capacity);
  if (!s) s = wire::slab::create(capacity, shared_);
  shared_->charged.fetch_add(s->capacity(), std::memory_order_relaxed);
  shared_->references.fetch_add(1, std::memory_order_relaxed);
  peak_ = std::max(peak_, charged() + kept_);
  return wire::slab_ref(s);
}

}  // namespace kawait::runtime
