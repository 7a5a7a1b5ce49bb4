#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>

#include <kawait/kawait.hpp>
#include <kawait/testing/broker.hpp>

#include "broker/admin_support.hpp"
#include "broker/cluster_support.hpp"
#include "catch.hpp"

namespace kawait::tests {

using namespace std::chrono_literals;

/// How long a step of a script may take: for machines that are busy with much else.
inline constexpr std::chrono::seconds patience{30};

inline asio::awaitable<void> moment() { return sleep_for(5ms); }

/// In a script: until the condition holds, or the script fails. A macro, so that no lambda has to be passed to a coroutine.
#define UNTIL(...)                                                                                                         \
  for (const auto limit_ = std::chrono::steady_clock::now() + ::kawait::tests::patience; !(__VA_ARGS__);                  \
       co_await ::kawait::tests::moment())                                                                                 \
  if (std::chrono::steady_clock::now() > limit_)                                                                           \
  throw std::runtime_error(std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": not in time: " #__VA_ARGS__)

class actor;
struct actor_options;

/// What the group's coordinator says of a member.
struct described_member {
  std::string id, instance;
  std::int32_t epoch = 0;
  std::size_t assigned = 0;
  bool at_target = false;
};

struct described_group {
  std::int16_t error = 0;
  std::string state, assignor;
  std::int32_t epoch = -1, target_epoch = -1;
  std::vector<described_member> members;
};

/// One of the two clusters that a script plays on, and what it saw there. All that the script does, it does through Kafka's
/// protocol, so that the two differ only in their answers. Names of topics and of the group begin with the scenario's: the real cluster is
/// shared by all scenarios.
class stage {
 public:
  stage(asio::any_io_executor executor, std::string scenario, std::string bootstrap);
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;
  ~stage();

  asio::any_io_executor executor() const { return executor_; }
  const std::string& bootstrap() const noexcept { return bootstrap_; }
  const std::string& group() const noexcept { return group_; }
  std::string topic(const std::string& stem) const { return scenario_ + "-" + stem; }
  /// The name without what topic() put before it.
  std::string stem(const std::string& topic) const { return topic.substr(scenario_.size() + 1); }

  // --- Topics, by their stems.
  asio::awaitable<void> create(std::string name, std::int32_t partitions);
  asio::awaitable<void> grow(std::string name, std::int32_t total);
  asio::awaitable<void> remove(std::string name);
  /// A batch of `count` records to each of its partitions.
  asio::awaitable<void> append(std::string name, std::int64_t count);
  /// Until every partition that has records is owned by a member that has read to its end.
  asio::awaitable<void> all_read();
  /// The coordinator hears of partitions later than clients do, and a group that is joined in between moves its epoch twice.
  /// create() waits for it.
  asio::awaitable<void> heard_of(std::string name, std::int32_t partitions);
  const uuid& id_of(const std::string& name) const { return topics_.at(name).id; }

  // --- The group.
  actor& join(std::string name, const actor_options& how);
  /// Until every running member owns as many partitions as its `share` says and the coordinator agrees that all is done; told then
  /// is who owns how many, how many of them since the last time, and every epoch.
  asio::awaitable<void> settled();
  /// One look at the group. An error that passes is asked about again.
  asio::awaitable<described_group> describe();
  /// Tells what it looks like to an administrator.
  asio::awaitable<void> tell_group();
  asio::awaitable<void> tell_committed(std::string name);
  asio::awaitable<std::int16_t> delete_group();

  /// A connection to the one node.
  asio::awaitable<std::shared_ptr<net::connection>> connection();

  /// A line of what is compared.
  void tell(std::string line) { lines_.push_back(std::move(line)); }
  /// All that is to be the same on both, in the order in which it was told; then what each member saw.
  std::string transcript() const;

  /// Until there is a coordinator: it is made by asking for it.
  asio::awaitable<void> open();
  /// Ends what still runs. Of what members see from here on only how they end is told.
  asio::awaitable<void> close();
  /// Before the context goes.
  void drop();

 private:
  struct topic_state {
    uuid id;
    std::vector<std::int64_t> ends;
  };

  asio::any_io_executor executor_;
  std::string scenario_, bootstrap_, group_;
  std::map<std::string, topic_state> topics_;
  std::deque<std::unique_ptr<actor>> actors_;
  std::vector<std::string> lines_;
  std::optional<std::string> record_;  // once the script has ended
  std::shared_ptr<net::connection> connection_;
  std::unique_ptr<admin> admin_;
};

/// Plays the script on the embedded broker and on a real Kafka, at the same time, and compares the two records. Fails also if
/// either does not come to its end.
void play(const char* scenario, asio::awaitable<void> (*script)(stage&));

/// The release of the real one, whose generation the embedded one is: from KAFKA_VERSION.
testing::kafka_generation release();

}  // namespace kawait::tests
