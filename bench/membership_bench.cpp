// The membership machine (KIP-848) by itself, without a broker: a stable member's heartbeat, and 1,000 partitions that are
// assigned, revoked, drained and given up. One line of JSON for each.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <variant>
#include <vector>

#include <kawait/machine/membership.hpp>

#include "best.hpp"

namespace {

using namespace std::chrono_literals;
using namespace kawait::machine;
using response = kawait::protocol::consumer_group_heartbeat_response;

constexpr std::int32_t partitions = 1000;

kawait::uuid topic_id() {
  kawait::uuid id;
  id.bytes.fill(std::byte{7});
  return id;
}

response well() {
  response r;
  r.member_epoch = 7;
  r.heartbeat_interval_ms = 1000;
  return r;
}

response assigned(std::int32_t count) {
  response r = well();
  auto& topics = r.assignment.emplace().topic_partitions;
  if (count == 0) return r;
  auto& topic = topics.emplace_back();
  topic.topic_id = topic_id();
  for (std::int32_t i = 0; i < count; ++i) topic.partitions.push_back(i);
  return r;
}

/// A member, the clock, and a coordinator that answers at once what it is told to.
struct member {
  member() : m(member_options("billing", "member")) { m.subscribe({"orders"}, std::nullopt); }

  /// Does what is to be done now: the first heartbeat is answered with `said`, what is revoked is drained. How many effects that were.
  std::size_t settle(const response& said) {
    bool has_said = false;
    for (std::size_t n = 0;; ++n) {
      const membership::effect e = m.poll(now);
      if (std::holds_alternative<idle>(e)) return n;
      if (std::holds_alternative<send_heartbeat>(e)) m.on_heartbeat(std::exchange(has_said, true) ? well() : said, now, 0);
      if (const auto* const r = std::get_if<resolve_topics>(&e)) {
        for (const auto& id : r->ids) m.on_resolved(id);
      }
      if (const auto* const r = std::get_if<revoke_partitions>(&e)) {
        revoked += r->partitions.size();
        for (const leased& lease : r->partitions) m.on_drained(lease);
      }
      if (const auto* const a = std::get_if<assign_partitions>(&e)) owned += a->partitions.size();
    }
  }
  std::size_t beat(const response& said) {
    now += 1s;
    return settle(said);
  }

  membership m;
  time_point now{1000s};
  std::size_t owned = 0, revoked = 0;
};

void print(const char* what, double seconds, std::size_t times, std::size_t check) {
  std::printf("{\"bench\":\"membership\",\"what\":\"%s\",\"ns\":%.0f,\"check\":%zu}\n", what,
              seconds / static_cast<double>(times) * 1e9, check);
}

void measure_heartbeat(const char* what, std::int32_t count) {
  member stable;
  stable.settle(assigned(count));
  stable.beat(well());
  if (stable.owned != static_cast<std::size_t>(count)) std::abort();
  const response answer = well();
  std::size_t effects = 0;
  constexpr std::size_t times = 1000;
  const double seconds = bench::best_seconds(15, [&] {
    for (std::size_t i = 0; i < times; ++i) effects += stable.beat(answer);
  });
  print(what, seconds, times, effects);
}

void measure_reconciliation() {
  member moved;
  const response all = assigned(partitions), none = assigned(0);
  moved.settle(none);
  constexpr std::size_t times = 20;
  const double seconds = bench::best_seconds(15, [&] {
    for (std::size_t i = 0; i < times; ++i) {
      moved.beat(all);
      moved.beat(none);
    }
  });
  if (moved.owned != 15 * times * partitions || moved.revoked != moved.owned) std::abort();
  print("1,000 partitions assigned, and revoked", seconds, times, moved.owned);
}

}  // namespace

int main() {
  measure_heartbeat("heartbeat and answer", 4);
  measure_heartbeat("heartbeat and answer, 1,000 partitions owned", partitions);
  measure_reconciliation();
}
