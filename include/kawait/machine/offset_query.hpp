#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/machine/cluster.hpp>
#include <kawait/machine/effect.hpp>
#include <kawait/machine/position_finder.hpp>
#include <kawait/machine/time.hpp>

namespace kawait::machine {

/// Offsets by time of any partitions, whoever reads them, for a caller who waits: their ends, or the first record of a time.
///
/// Topics are given by name; what they are, and who leads them, the cluster is to know: hold their names there meanwhile. All errors
/// that may pass are asked again until the deadline; so are topics and partitions that there are not, since they may be new.
class offset_query {
 public:
  struct options {
    std::int8_t isolation_level = 0;
    milliseconds request_timeout{30'000};  ///< For offsets that the leader looks up in remote storage.
    backoff_options backoff;
    time_point deadline = never;

    options() = default;
    options(std::int8_t isolation, milliseconds timeout, const backoff_options& b, time_point until)
        : isolation_level(isolation), request_timeout(timeout), backoff(b), deadline(until) {}
  };

  struct wish {
    topic_partition partition;
    std::int64_t timestamp = 0;  ///< Milliseconds since 1970, or one of list_offsets_request's special times.

    wish(topic_partition p, std::int64_t t) : partition(std::move(p)), timestamp(t) {}
  };
  struct answer {
    std::int64_t offset = unknown_offset;  ///< Unknown: no record is that late.
    std::int64_t timestamp = -1;           ///< Of the record there, if a time was asked for.

    answer() noexcept {}  // not defaulted: clang 19 would know of it only behind the whole class, too late for optional<answer>
  };
  /// An answer for each wish, in their order; or why there is none.
  struct finished {
    failure why;
    std::vector<answer> answers;
  };

  using list_offsets = position_finder::list_offsets;
  using refresh_metadata = position_finder::refresh_metadata;
  using effect = std::variant<idle, list_offsets, refresh_metadata, finished>;

  /// No partition may be wished for twice.
  KAWAIT_DECL offset_query(const options& o, std::vector<wish> wishes);

  /// What to do now. A request counts as sent. Behind `finished` nothing follows.
  KAWAIT_DECL effect poll(time_point now, const cluster& metadata);

  KAWAIT_DECL void on_list_offsets(std::int32_t node, const protocol::list_offsets_response& response, time_point now,
                                   std::uint64_t random_bits);
  /// The ListOffsets to that broker was not answered.
  KAWAIT_DECL void on_list_offsets_failed(std::int32_t node, const failure& why, time_point now, std::uint64_t random_bits);

 private:
  struct entry {
    wish wanted;
    std::optional<topic_id_partition> id;  // that the finder was given
    std::optional<answer> told;
  };

  KAWAIT_DECL failure resolve(const cluster& metadata);
  KAWAIT_DECL entry* find(const leased& lease);
  KAWAIT_DECL effect finish(failure why) const;
  KAWAIT_DECL failure why_late(const cluster& metadata) const;

  options options_;
  position_finder finder_;
  std::vector<entry> entries_;
  std::unordered_map<topic_id_partition, std::size_t> by_id_;
  std::size_t open_ = 0;              // without an answer
  std::optional<std::uint64_t> seen_version_;
  bool unresolved_ = false;
  time_point refresh_from_{};         // not before it is a missing partition a reason for another refresh
  failure last_;                      // what the brokers said last that may pass
};

}  // namespace kawait::machine

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/machine/impl/offset_query.ipp>
#endif
