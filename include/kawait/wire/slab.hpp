#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include <kawait/detail/config.hpp>

namespace kawait::wire {

class slab;

/// Takes slabs back that nobody refers to any more. Called on the thread that dropped the last reference.
class slab_owner {
 public:
  virtual void recycle(slab* s) noexcept = 0;

 protected:
  ~slab_owner() = default;
};

/// A block of bytes that a response is read into, or a record batch decompressed into, and that everything viewing it keeps alive.
/// Its bytes are not initialised: a slab is written by the kernel or by a codec before anyone reads it.
class slab {
 public:
  /// One allocation of header and bytes; without an owner the last reference frees it. Throws std::bad_alloc.
  static slab* create(std::size_t capacity, slab_owner* owner = nullptr) {
    void* memory = ::operator new(sizeof(slab) + capacity);
    return ::new (memory) slab(capacity, owner);
  }
  static void destroy(slab* s) noexcept {
    s->~slab();
    ::operator delete(s);
  }

  std::byte* data() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  std::size_t capacity() const noexcept { return capacity_; }

  slab_owner* owner = nullptr;  ///< Changed only while a single reference exists.
  slab* next = nullptr;         ///< For the owner's free list.

 private:
  friend class slab_ref;
  slab(std::size_t capacity, slab_owner* o) : owner(o), capacity_(capacity) {}

  std::atomic<std::size_t> references_{0};
  std::size_t capacity_;
};

/// A counted reference; any thread may drop one.
class slab_ref {
 public:
  slab_ref() = default;
  explicit slab_ref(slab* s) noexcept : slab_(s) {
    if (slab_) slab_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  slab_ref(const slab_ref& other) noexcept : slab_ref(other.slab_) {}
  slab_ref(slab_ref&& other) noexcept : slab_(std::exchange(other.slab_, nullptr)) {}
  slab_ref& operator=(slab_ref other) noexcept {
    std::swap(slab_, other.slab_);
    return *this;
  }
  ~slab_ref() { reset(); }

  void reset() noexcept {
    slab* s = std::exchange(slab_, nullptr);
    if (!s || s->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (s->owner) {
      s->owner->recycle(s);
    } else {
      slab::destroy(s);
    }
  }

  explicit operator bool() const noexcept { return slab_ != nullptr; }
  slab* get() const noexcept { return slab_; }
  slab* operator->() const noexcept { return slab_; }

 private:
  slab* slab_ = nullptr;
};

/// Where a response's bytes go. Fetch responses come from the consumer's buffer pool, everything else from the heap.
class slab_source {
 public:
  /// A slab of at least `bytes` (already checked against the frame limit).
  virtual slab_ref acquire(std::size_t bytes) = 0;

 protected:
  ~slab_source() = default;
};

/// The slab source of small, rare responses.
class heap_slabs final : public slab_source {
 public:
  slab_ref acquire(std::size_t bytes) override { return slab_ref(slab::create(bytes)); }
};

}  // namespace kawait::wire
