#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <kawait/wire/slab.hpp>

namespace kawait::runtime {

/// The slabs of one consumer: fetched responses and decompressed record batches, reused rather than fresh (a fresh slab costs a page
/// fault every 4 KiB), and charged by capacity against one budget (fetch.buffer.bytes).
///
/// Slabs come back from any thread, also after the pool has gone: a returned slab goes onto a lock-free stack that acquire() empties,
/// and what both share lives until the last slab is back.
class buffer_pool final : public wire::slab_source {
 public:
  explicit buffer_pool(std::size_t budget);
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;
  KAWAIT_DECL ~buffer_pool();

  /// A slab of at least `bytes`. Never refused: who fetches reserves first, and a broker may answer with one batch above any limit.
  KAWAIT_DECL wire::slab_ref acquire(std::size_t bytes) override;

  std::size_t budget() const noexcept { return budget_; }
  /// Capacity of all slabs that somebody refers to.
  std::size_t charged() const noexcept { return shared_->charged.load(std::memory_order_relaxed); }
  /// Capacity of the slabs kept for reuse.
  std::size_t kept() const noexcept { return kept_; }
  /// The highest sum of both so far.
  std::size_t peak() const noexcept { return peak_; }
  /// Above half the budget what pins much more than it needs is copied out.
  bool is_tight() const noexcept { return charged() > budget_ / 2; }

  /// The capacity that a request for `bytes` is given: steps of a quarter, so that a response a few bytes above a power of two does
  /// not pay for twice its size.
  static KAWAIT_DECL std::size_t capacity_for(std::size_t bytes) noexcept;

 private:
  struct shared final : wire::slab_owner {
    std::atomic<wire::slab*> returned{nullptr};
    std::atomic<std::size_t> charged{0};
    std::atomic<std::size_t> references{1};  // the pool's own, and one for every slab outside it
    std::atomic<bool> closed{false};

    KAWAIT_DECL void recycle(wire::slab* s) noexcept override;
    KAWAIT_DECL void destroy_returned() noexcept;
    void unref() noexcept {
      if (references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
  };

  KAWAIT_DECL void collect();
  KAWAIT_DECL wire::slab* take_kept(std::size_t capacity);
  KAWAIT_DECL void trim(std::size_t wanted);

  std::size_t budget_;
  shared* shared_;
  std::vector<wire::slab*> free_;  // few: the budget divided by the usual response
  std::size_t kept_ = 0;
  std::size_t peak_ = 0;
};

inline buffer_pool::buffer_pool(std::size_t budget) : budget_(budget), shared_(new shared) {}

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/buffer_pool.ipp>
#endif
