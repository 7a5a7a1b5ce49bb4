#pragma once

#include <atomic>
#include <cassert>
#include <thread>

namespace kawait::runtime {

/// Finds out that two threads are in one consumer at once: its executor is a context that several threads run, without a strand.
/// Nothing is locked: what it finds is a bug of the caller's that corrupts memory soon.
class serial {
 public:
  /// Covers code that does not suspend; sections of one thread may nest.
  class section {
   public:
    explicit section(serial& s) : serial_(s), entered_(s.enter()) {}
    section(const section&) = delete;
    section& operator=(const section&) = delete;
    ~section() {
      if (entered_ == entry::first) serial_.inside_.store(std::thread::id());
    }
    /// Another thread is inside.
    bool is_violated() const noexcept { return entered_ == entry::violated; }

   private:
    friend serial;
    enum class entry { first, nested, violated };

    serial& serial_;
    entry entered_;
  };

 private:
  section::entry enter() {
    const std::thread::id self = std::this_thread::get_id();
    std::thread::id there;
    if (inside_.compare_exchange_strong(there, self)) return section::entry::first;
    return there == self ? section::entry::nested : section::entry::violated;
  }

  std::atomic<std::thread::id> inside_;
};

}  // namespace kawait::runtime

#if defined(NDEBUG)
#define KAWAIT_SERIAL_SECTION(s) static_cast<void>(0)
#else
/// For the rest of the block: a debug assertion that no other thread is inside.
#define KAWAIT_SERIAL_SECTION(s)                           \
  const ::kawait::runtime::serial::section kawait_section_(s); \
  assert(!kawait_section_.is_violated() && "a consumer's executor ran two handlers at once: use a strand")
#endif
