#pragma once

#include <cstdint>

#include <kawait/detail/config.hpp>
#include <kawait/machine/time.hpp>

namespace kawait::machine {

/// retry.backoff.ms and retry.backoff.max.ms.
struct backoff_options {
  milliseconds first{100};
  milliseconds max{1000};

  backoff_options() = default;
  backoff_options(milliseconds f, milliseconds m) : first(f), max(m) {}
};

/// Pauses that double from `first` to `max`, each up to 20 % shorter or longer so that a thousand clients do not come back in
/// step.
class backoff {
 public:
  explicit backoff(const backoff_options& options) : options_(options) {}

  /// The next pause: at least 1 ms, never above `max`. `random_bits`: any 64 of them.
  KAWAIT_DECL milliseconds next(std::uint64_t random_bits) noexcept;

  /// As next, but none for the first attempt: for what is worth one repetition at once.
  milliseconds next_unless_first(std::uint64_t random_bits) noexcept {
    const bool first = attempts_ == 0;
    const auto pause = next(random_bits);
    return first ? milliseconds(0) : pause;
  }

  /// It worked: the next pause is the first again.
  void reset() noexcept { attempts_ = 0; }

  /// How many pauses were asked for since it last worked.
  std::uint32_t attempts() const noexcept { return attempts_; }

 private:
  backoff_options options_;
  std::uint32_t attempts_ = 0;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/backoff.ipp>
#endif
