#include <kawait/machine/offset_tracker.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "catch.hpp"

// The tracker against a naive model of it.

namespace offset_tracker_property_tests {

using kawait::offset_and_epoch;
using kawait::machine::offset_tracker;
using mark = std::optional<offset_and_epoch>;

// The contract (N3) said the slow way: every handed-out offset is done or not, and the mark is found by walking over all of them.
class naive_model {
 public:
  void restart() { *this = naive_model(); }
  void open(std::uint64_t ticket, std::int64_t begin, std::int64_t end) {
    batches_[ticket] = {begin, end, {}, true};
  }
  void skip(std::int64_t end) { batches_[1'000'000'000 + skips_++] = {end, end, {}, false}; }
  void done(std::uint64_t ticket, std::int64_t next) {
    const auto found = batches_.find(ticket);
    if (found == batches_.end() || !found->second.held) return;
    for (std::int64_t o = found->second.begin; o < std::min(next, found->second.end); ++o) found->second.done.insert(o);
  }
  void released(std::uint64_t ticket) {
    const auto found = batches_.find(ticket);
    if (found == batches_.end()) return;
    found->second.held = false;
  }
  std::optional<std::int64_t> committable() const {
    std::optional<std::int64_t> result;
    for (const auto& b : in_order()) {
      for (std::int64_t o = b.begin; o < b.end; ++o) {
        if (!b.done.count(o)) return result;
        result = o + 1;
      }
      if (b.begin == b.end) result = b.end;
    }
    return result;
  }
  std::optional<std::int64_t> abandoned() const {
    for (const auto& b : in_order()) {
      for (std::int64_t o = b.begin; o < b.end; ++o) {
        if (!b.done.count(o) && !b.held) return o;
      }
    }
    return std::nullopt;
  }
  std::size_t open_count() const {
    std::size_t n = 0;
    for (const auto& [ticket, b] : batches_) n += b.held;
    return n;
  }

 private:
  struct batch {
    std::int64_t begin, end;
    std::set<std::int64_t> done;
    bool held;
  };
  std::vector<batch> in_order() const {
    std::vector<batch> all;
    for (const auto& [ticket, b] : batches_) all.push_back(b);
    std::sort(all.begin(), all.end(), [](const batch& a, const batch& b) { return a.end < b.end; });
    return all;
  }

  std::map<std::uint64_t, batch> batches_;
  std::uint64_t skips_ = 0;
};

void run_seed(std::uint64_t seed) {
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto up_to = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  offset_tracker tracker;
  naive_model model;
  std::vector<std::pair<std::uint64_t, std::int64_t>> tickets;  // with the ends, also those of earlier restarts
  std::set<std::uint64_t> released;
  std::int64_t position = up_to(50);
  tracker.restart(offset_and_epoch(position));
  for (int step = 0; step < 120; ++step) {
    const auto what = up_to(100);
    if (what < 25) {
      const std::int64_t begin = position + (up_to(3) == 0 ? up_to(4) : 0);
      const std::int64_t end = begin + 1 + up_to(6);
      const auto t = tracker.open(begin, end, 1);
      model.open(t, begin, end);
      tickets.emplace_back(t, end);
      position = end;
    } else if (what < 30) {
      position += 1 + up_to(3);
      tracker.skip(position, 1);
      model.skip(position);
    } else if (what < 75 && !tickets.empty()) {
      const auto& [t, end] = tickets[static_cast<std::size_t>(up_to(tickets.size()))];
      const auto next = up_to(2) == 0 ? end : end - up_to(7);
      tracker.done(t, next);
      model.done(t, next);
    } else if (what < 97 && !tickets.empty()) {
      // Mostly what is done is released; a batch that is not becomes a hole, which ends most of what there is to see.
      const auto& [t, end] = tickets[static_cast<std::size_t>(up_to(tickets.size()))];
      if (up_to(8) != 0) {
        tracker.done(t, end);
        model.done(t, end);
      }
      if (released.insert(t).second) {
        tracker.released(t);
        model.released(t);
      }
    } else if (what >= 98) {
      position = up_to(200);
      tracker.restart(offset_and_epoch(position));
      model.restart();
    }
    const auto found = tracker.committable();
    CHECK((found ? std::optional<std::int64_t>(found->offset) : std::nullopt) == model.committable());
    CHECK(tracker.abandoned() == model.abandoned());
    CHECK(tracker.open_count() == model.open_count());
  }
}

TEST_CASE("offset_tracker: agrees with a naive model, whatever the order (N3)", "[offset_tracker]") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) run_seed(seed);
}

}  // namespace offset_tracker_property_tests
