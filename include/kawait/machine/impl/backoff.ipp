#pragma once

#include <kawait/machine/backoff.hpp>
#include <kawait/core/mutation.hpp>

#include <algorithm>

namespace kawait::machine {

KAWAIT_DECL milliseconds backoff::next(std::uint64_t random_bits) noexcept {
  // A day is longer than any sane pause, and keeps the arithmetic below far from overflow.
  constexpr std::int64_t day = 24 * 60 * 60 * 1000;
  if (KAWAIT_MUTANT(retries_without_a_pause)) return milliseconds(1);
  const std::int64_t most = KAWAIT_MUTANT(pauses_without_bound) ? day : std::clamp<std::int64_t>(options_.max.count(), 1, day);
  std::int64_t pause = std::clamp<std::int64_t>(options_.first.count(), 1, most);
  for (std::uint32_t i = 0; i < attempts_ && pause < most; ++i) pause = std::min(pause * 2, most);
  if (attempts_ != UINT32_MAX) ++attempts_;

  // 1024ths, from 0.8 to 1.2: the top bits of a generator are its best.
  const auto spread = static_cast<std::int64_t>(random_bits >> 54);
  const std::int64_t jittered = pause * 4 / 5 + pause * 2 / 5 * spread / 1023;
  return milliseconds(std::clamp<std::int64_t>(jittered, 1, most));
}

}  // namespace kawait::machine
