#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::machine {

/// How a consumer's partitions share its buffer. Half of it is shared out evenly, so that what one partition holds and nobody releases
/// stops no other. A quarter is for those that had records lately: a few busy ones among a thousand idle ones would be fetched by the
/// record batch otherwise. The rest is for answers that are under way.
class buffer_shares {
 public:
  static constexpr std::size_t smallest = 16 << 10;  ///< A producer's usual record batch (batch.size) is no larger.
  static constexpr std::size_t most_busy = 64;       ///< More of them would not have much more than all have.

  explicit buffer_shares(std::size_t budget) noexcept : budget_(budget) {}

  /// So many share it.
  void set_partitions(std::size_t n) noexcept { partitions_ = n; }
  KAWAIT_DECL std::size_t share_of(const topic_id_partition& partition) const;
  /// An answer had records of it. Those whose shares are others now; valid until the next call.
  KAWAIT_DECL std::span<const topic_id_partition> on_records(const topic_id_partition& partition);
  /// It is not ours any more.
  KAWAIT_DECL void remove(const topic_id_partition& partition);

 private:
  struct busy_partition {
    topic_id_partition partition;
    std::uint64_t answer;  // the last that had records of it
  };

  KAWAIT_DECL std::size_t even_share() const noexcept;
  KAWAIT_DECL std::size_t busy_share() const noexcept;

  std::size_t budget_;
  std::size_t partitions_ = 0;
  std::uint64_t answers_ = 0;
  std::list<busy_partition> busy_;  // the latest first
  std::unordered_map<topic_id_partition, std::list<busy_partition>::iterator> places_;
  std::vector<topic_id_partition> changed_;
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/buffer_shares.ipp>
#endif
