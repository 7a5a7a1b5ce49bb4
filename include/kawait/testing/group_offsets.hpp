#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::testing {

/// What was committed for one partition.
struct committed_offset {
  offset_and_epoch position;
  std::string metadata;

  committed_offset() = default;
  committed_offset(const offset_and_epoch& p, std::string m) : position(p), metadata(std::move(m)) {}
};

/// The offsets of one group. They belong to topics by name, and go with them.
class group_offsets {
 public:
  using partitions = std::map<std::int32_t, committed_offset>;

  KAWAIT_DECL void set(std::string_view topic, std::int32_t partition, committed_offset offset);
  /// Null: none.
  KAWAIT_DECL const committed_offset* find(std::string_view topic, std::int32_t partition) const;
  KAWAIT_DECL void forget(std::string_view topic);

  /// A transaction that is not over yet has an offset of its own for the partition.
  void set_pending(const topic_partition& p, bool yes) { yes ? void(pending_.insert(p)) : void(pending_.erase(p)); }
  bool pending(std::string_view topic, std::int32_t partition) const {
    return !pending_.empty() && pending_.contains(topic_partition(std::string(topic), partition));
  }

  bool empty() const noexcept { return topics_.empty() && pending_.empty(); }
  const std::map<std::string, partitions, std::less<>>& topics() const noexcept { return topics_; }

 private:
  std::map<std::string, partitions, std::less<>> topics_;
  std::set<topic_partition> pending_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/group_offsets.ipp>
#endif
