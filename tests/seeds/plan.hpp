#pragma once

// What a seed means: who takes part, what happens and when. Pure data, drawn before anything runs.

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/testing/fault_catalogue.hpp>
#include <kawait/testing/generation.hpp>
#include <kawait/wire/compression.hpp>

namespace seeds {

/// SplitMix64. Not <random>: its distributions differ between libraries, and with them what a seed means.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// From `least` to `most`.
  int between(int least, int most) noexcept {
    return least + static_cast<int>(next() % static_cast<std::uint64_t>(most - least + 1));
  }
  bool chance(int percent) noexcept { return between(1, 100) <= percent; }
  template <class T>
  const T& pick(const std::vector<T>& from) noexcept {
    return from[next() % from.size()];
  }

 private:
  std::uint64_t state_;
};

/// How a member reads.
enum class style { partitions, batches, records, records_by_key, records_any_order, events, pulls };

/// How a member's life is interrupted.
enum class interruption {
  none,
  close,   ///< In order.
  crash,   ///< The consumer is destroyed with all that it has in hand.
  freeze,  ///< As by SIGSTOP, for so long that its session may end.
  leave    ///< async_unsubscribe(), and subscribed again.
};

struct member_plan {
  std::string name;
  std::string instance;      ///< A static member's. Empty: a dynamic one.
  style how = style::pulls;
  int starts_ms = 0;
  int work_ms = 0;           ///< A batch, or record, takes so long.
  int stuck_percent = 0;     ///< Of them are held until the deadline, or the end of the turmoil.
  int throws_percent = 0;
  int seeks_percent = 0;     ///< Behind a batch: back, to the same place, or on.
  int pauses_percent = 0;
  bool stubborn = false;     ///< Handlers do not listen to being cancelled.
  bool by_record = false;    ///< Batches are done record by record, in no order.
  bool elsewhere = false;    ///< Handlers run on a strand of their own, or batches are released by another coroutine.
  int commits_ms = 1000;     ///< auto.commit.interval.ms
  bool manual = false;       ///< enable.auto.commit=false
  bool pattern = false;      ///< Subscribed by a pattern.
  bool retries = false;      ///< for_each_*: retry, then skip.
  std::vector<std::string> topics;
  interruption what = interruption::none;
  int interrupted_ms = 0;
  int lasts_ms = 0;          ///< Until it is back.
  int changes_ms = 0;        ///< It reads other topics from then on. 0: never.
  std::vector<std::string> changed;
};

/// Records that are appended.
struct load_plan {
  int at_ms = 0;
  std::string topic;
  int partition = 0;
  int records = 1;
  kawait::wire::codec codec = kawait::wire::codec::none;
  enum class end { plain, committed, aborted } how = end::plain;
  int open_ms = 0;  ///< Of a transaction: decided so much later.
  int hole = 0;     ///< So many offsets are left out behind them.
  std::size_t padding = 0;  ///< Bytes behind a record's value.
};

/// What records are padded by: a batch of one is less than a partition's share of the buffers.
inline constexpr std::size_t bulk = std::size_t{14} << 10;

struct fault_plan {
  std::string name;
  kawait::testing::fault_scope scope = kawait::testing::fault_scope::request;
  int at_ms = 0;       ///< Of the cluster: then. Of others: from then on.
  int percent = 100;   ///< Of requests and connections.
  int times = 1;
};

struct topic_plan {
  std::string name;
  int partitions = 1;
};

struct plan {
  std::uint64_t seed = 0;
  kawait::testing::kafka_generation generation = kawait::testing::kafka_generation::v4_3;
  int nodes = 1;
  bool by_name = false;          ///< The cluster is known by a name, so that its nodes may move.
  bool committed_only = false;   ///< isolation.level=read_committed
  bool slow_assignor = false;    ///< Targets lag by a second.
  int turmoil_ms = 20000;
  bool ends_abruptly = false;    ///< The context is destroyed with everything pending.
  std::vector<topic_plan> topics;
  std::vector<member_plan> members;
  std::vector<load_plan> loads;
  std::vector<fault_plan> faults;
  int outage_ms = 0;             ///< At the end of the turmoil all nodes are down for so long.
  bool small_fetches = false;    ///< A fetch brings a batch or two.
  bool small_answers = false;    ///< Of few partitions, so that others wait in line.
  bool bulky = false;            ///< There is more to be read than buffers may hold.
  int latency_ms = 0;            ///< Of every connection, each way.
  int answers_lost_percent = 0;  ///< Of commits', over the whole turmoil.
  bool fences_unheard = false;   ///< Somebody is fenced who waits for the answer to one of those.

  bool has_fault(std::string_view name) const;
  /// Faults that a consumer has to report: members may end, streams may fail.
  bool is_hostile() const;
};

plan make_plan(std::uint64_t seed);
std::ostream& operator<<(std::ostream& out, const plan& p);

}  // namespace seeds
