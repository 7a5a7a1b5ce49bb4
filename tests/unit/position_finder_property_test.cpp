#include "position_finder_support.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <utility>
#include <variant>
#include <vector>

#include "catch.hpp"

namespace position_finder_property_tests {

using namespace position_finder_support;

/// A broker that answers what it likes, and an application that seeks and loses partitions meanwhile. Offsets say what they are
/// the answer to: committed offsets are 1000 + generation, those of times 2000 + generation, resets 3000 + generation.
class random_run {
 public:
  explicit random_run(std::uint64_t seed) : random_(seed) {}

  int go() {
    for (int step = 0; step < 200; ++step) {
      calm_ = step > 120;  // faults end, and everything must be found
      if (!calm_ && below(4) == 0) ask();
      perform(d_.finder.poll(at_ms(d_.now), d_.metadata));
      if (group_ && below(3) == 0) answer_group();
      for (const std::int32_t node : {1, 2, 3}) {
        if (nodes_.count(node) != 0 && below(3) == 0) answer_node(node);
      }
    }
    CHECK(wanted_.empty());
    CHECK(d_.finder.empty());
    return found_;
  }

 private:
  enum kind { nothing, committed_offset, time, reset };

  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  kafka_error any_error() {
    static constexpr kafka_error errors[] = {kafka_error::unstable_offset_commit, kafka_error::not_leader_or_follower,
                                             kafka_error::unknown_topic_or_partition, kafka_error::stale_member_epoch};
    return calm_ || below(4) != 0 ? kafka_error::none : errors[below(4)];
  }

  void ask() {
    const auto l = leased(topic_id_partition(id(1), below(3)), ++generation_);
    const auto what = static_cast<kind>(below(4));
    none_committed_[l.partition] = below(3) == 0;
    wanted_.erase(l.partition);
    if (what == nothing) d_.finder.remove(l.partition);
    if (what == committed_offset) d_.finder.from_committed(l);
    if (what == time) d_.finder.from_timestamp(l, 5);
    if (what == reset) d_.finder.from_reset(l);
    if (what != nothing) wanted_[l.partition] = {generation_, what};
  }

  void perform(position_finder::effect effect) {
    REQUIRE_FALSE(std::holds_alternative<position_finder::not_found>(effect));
    if (auto* f = std::get_if<position_finder::fetch_committed>(&effect)) {
      REQUIRE_FALSE(group_);
      group_ = std::move(*f);
    } else if (auto* l = std::get_if<position_finder::list_offsets>(&effect)) {
      REQUIRE(nodes_.count(l->node) == 0);
      nodes_.emplace(l->node, std::move(*l));
    } else if (auto* found = std::get_if<position_finder::found>(&effect)) {
      on_found(*found);
    } else if (auto* idle = std::get_if<machine::idle>(&effect)) {
      REQUIRE(idle->until > at_ms(d_.now));
      if (group_ || !nodes_.empty() || idle->until == machine::never) return;
      d_.now += std::chrono::duration_cast<milliseconds>(idle->until - at_ms(d_.now)).count();
    }
  }

  void on_found(const position_finder::found& found) {
    ++found_;
    REQUIRE(wanted_.count(found.lease.partition) == 1);
    const auto [of, what] = wanted_[found.lease.partition];
    wanted_.erase(found.lease.partition);
    CHECK(found.lease.generation == of);
    if (what == committed_offset) CHECK((found.how == source::reset) == none_committed_[found.lease.partition]);
    const int thousands = found.how == source::reset ? 3 : found.how == source::timestamp ? 2 : 1;
    CHECK((what == committed_offset || thousands == what));
    CHECK(found.position.offset == thousands * 1000 + static_cast<std::int64_t>(of));
  }

  void answer_group() {
    const auto asked = std::exchange(group_, std::nullopt);
    if (!calm_ && below(4) == 0) {
      d_.finder.on_offset_fetch_failed(failure(errc::connection_closed), at_ms(d_.now), random_());
      return;
    }
    std::vector<committed> answers;
    for (const auto& item : asked->items) {
      const auto error = any_error();
      const bool none = error != kafka_error::none || none_committed_[item.lease.partition];
      const auto offset = none ? -1 : 1000 + static_cast<std::int64_t>(item.lease.generation);
      answers.push_back({1, item.lease.partition.partition, offset, 1, error});
    }
    d_.answer(offsets(answers, below(2) == 0));
  }

  void answer_node(std::int32_t node) {
    const auto asked = std::move(nodes_.extract(node).mapped());
    if (!calm_ && below(4) == 0) {
      d_.finder.on_list_offsets_failed(node, failure(errc::request_timeout), at_ms(d_.now), random_());
      return;
    }
    std::vector<listed> answers;
    for (const auto& item : asked.items) {
      const auto offset = (item.timestamp == 5 ? 2000 : 3000) + static_cast<std::int64_t>(item.lease.generation);
      answers.push_back({"a", item.lease.partition.partition, offset, 1, any_error()});
    }
    d_.answer(node, lists(answers));
  }

  std::mt19937_64 random_;
  driven d_;
  bool calm_ = false;
  std::uint64_t generation_ = 0;
  int found_ = 0;
  std::map<topic_id_partition, std::pair<std::uint64_t, kind>> wanted_;
  std::map<topic_id_partition, bool> none_committed_;
  std::optional<position_finder::fetch_committed> group_;
  std::map<std::int32_t, position_finder::list_offsets> nodes_;
};

TEST_CASE("position_finder: every partition finds the position of its own lease, whatever fails", "[position_finder]") {
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    found += random_run(seed).go();
  }
  CHECK(found > 5000);
}

}  // namespace position_finder_property_tests
