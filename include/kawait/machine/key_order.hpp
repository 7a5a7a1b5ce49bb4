#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <kawait/wire/record.hpp>

namespace kawait::machine {

/// Which of a partition's records may be worked on at once: of equal keys one at a time, in the order in which they were added; those
/// without a key at any time. Of what may begin the oldest does, so that the low-water mark moves.
///
/// Keys are known by their hash alone, which outlives the batch: two keys of one hash merely wait for each other.
template <class Item>
class key_order {
 public:
  struct work {
    Item item;
    std::uint64_t order = 0;          ///< Counts what was added.
    std::optional<std::size_t> key;   ///< Its hash.

    work(Item i, std::uint64_t o, std::optional<std::size_t> k) : item(std::move(i)), order(o), key(k) {}
  };

  /// Not ordered: no key counts.
  explicit key_order(bool is_ordered = true) : is_ordered_(is_ordered) {}

  void add(Item item, wire::nullable_view key) {
    std::optional<std::size_t> hash;
    if (is_ordered_ && key) hash = std::hash<std::string_view>()(*key);
    work w(std::move(item), next_++, hash);
    ++waiting_;
    if (hash) {
      const auto [at, is_free] = busy_.try_emplace(*hash);
      if (!is_free) {
        at->second.push_back(std::move(w));
        return;
      }
    }
    ready_.emplace(w.order, std::move(w));
  }

  bool has_ready() const noexcept { return !ready_.empty(); }
  /// The oldest that may begin. The caller says when it has ended.
  std::optional<work> start() {
    if (ready_.empty()) return std::nullopt;
    std::optional<work> first(std::move(ready_.begin()->second));
    ready_.erase(ready_.begin());
    --waiting_;
    return first;
  }
  void finish(const work& w) {
    if (!w.key) return;
    const auto at = busy_.find(*w.key);
    if (at == busy_.end()) return;
    if (at->second.empty()) {
      busy_.erase(at);
      return;
    }
    const std::uint64_t order = at->second.front().order;
    ready_.emplace(order, std::move(at->second.front()));
    at->second.pop_front();
  }

  /// Added and not started.
  std::size_t waiting() const noexcept { return waiting_; }
  /// Drops all that has not started.
  void clear() {
    ready_.clear();
    busy_.clear();
    waiting_ = 0;
  }

 private:
  bool is_ordered_;
  std::uint64_t next_ = 0;
  std::size_t waiting_ = 0;
  std::map<std::uint64_t, work> ready_;
  std::unordered_map<std::size_t, std::deque<work>> busy_;  // by key: what waits behind the one that is ready or under way
};

}  // namespace kawait::machine
