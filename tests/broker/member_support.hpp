#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <kawait/kawait.hpp>

#include "admin_support.hpp"
#include "catch.hpp"
#include "cluster_support.hpp"

namespace kawait::tests {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

/// How long EVENTUALLY waits: for machines that are busy with much else.
inline constexpr std::chrono::seconds patience{60};

inline asio::awaitable<void> moment() { return sleep_for(5ms); }

/// Inside a coroutine: until the condition holds, or the test fails. A macro, so that no lambda has to be passed to a coroutine.
#define EVENTUALLY(...)                                                                                            \
  for (const auto limit_ = ::kawait::tests::clock::now() + ::kawait::tests::patience; !(__VA_ARGS__);             \
       co_await ::kawait::tests::moment())                                                                        \
  if (::kawait::tests::clock::now() > limit_)                                                                     \
  throw std::runtime_error(std::string(__FILE__) + ":" + std::to_string(__LINE__) + ": not within a minute: " #__VA_ARGS__)

/// One time that a member owned a partition.
struct ownership {
  std::string member;
  kawait::partition handle;
  topic_partition name;
  std::int64_t first = -1;  ///< The first offset it was given.
  std::int64_t next = -1;   ///< The next it expects.
  std::int64_t done = -1;   ///< All below it was called done.
  bool open = true;         ///< Its handler has not returned.
  clock::time_point began, read, ended;
  end_reason why = end_reason::none;
};

/// What all members of a test were given, and what was wrong with it: offsets that do not ascend by one within an ownership, two
/// members that work on a partition at once, a record after its partition's revocation completed, a value that is not its offset's.
class history {
 public:
  ownership& begin(const std::string& member, const kawait::partition& p);
  void deliver(ownership& o, const batch& b);
  void end(ownership& o, end_reason why);

  std::size_t records() const noexcept { return records_; }
  /// How often each offset was handed out.
  const std::map<std::int64_t, int>& offsets(const topic_partition& p) { return seen_[p]; }
  /// Whether every offset below `end` was.
  bool has_all(const topic_partition& p, std::int64_t end);
  /// Offsets that were handed out more than once.
  std::size_t repeated() const;
  std::set<std::int32_t> open_partitions(const std::string& member) const;
  std::size_t open_count() const;
  /// Those of a partition, oldest first.
  std::vector<const ownership*> of(const topic_partition& p) const;
  const std::vector<std::string>& violations() const noexcept { return violations_; }
  const std::deque<ownership>& all() const noexcept { return ownerships_; }
  /// Before the context of the members goes.
  void forget_handles();

  bool values_are_offsets = true;   ///< Values are "r<offset>".
  bool offsets_are_dense = true;

 private:
  std::deque<ownership> ownerships_;
  std::map<topic_partition, std::map<std::int64_t, int>> seen_;
  std::vector<std::string> violations_;
  std::size_t records_ = 0;
};

/// Closes an ownership also if its coroutine is destroyed or throws.
class open_ownership {
 public:
  open_ownership(history& h, const std::string& member, const kawait::partition& p) : history_(h), ownership_(h.begin(member, p)) {}
  open_ownership(const open_ownership&) = delete;
  open_ownership& operator=(const open_ownership&) = delete;
  ~open_ownership() { history_.end(ownership_, why); }
  ownership* operator->() noexcept { return &ownership_; }
  ownership& operator*() noexcept { return ownership_; }
  end_reason why = end_reason::none;

 private:
  history& history_;
  ownership& ownership_;
};

/// A consumer with for_each_partition: one coroutine a partition that records what it is given, works and says done.
class member {
 public:
  member(asio::any_io_executor executor, history& h, std::string name, config c);
  member(const member&) = delete;
  member& operator=(const member&) = delete;

  void start();
  /// Starts for_each_partition with a handler of the test's own.
  template <class Handler>
  void start_with(Handler h) {
    asio::co_spawn(executor_, run_with(std::move(h)), asio::bind_cancellation_slot(signal_.slot(), completion()));
  }
  template <class Handler>
  void start_with(Handler h, on where) {
    asio::co_spawn(executor_, run_on(std::move(h), std::move(where)), asio::bind_cancellation_slot(signal_.slot(), completion()));
  }
  /// Cancels for_each_partition.
  void cancel() { signal_.emit(asio::cancellation_type::terminal); }
  /// Closes in order, and until for_each_partition has returned. Throws what either throws.
  asio::awaitable<void> close();
  /// Until for_each_partition has returned.
  asio::awaitable<void> ended();
  bool has_ended() const noexcept { return ended_; }
  /// What for_each_partition threw.
  std::exception_ptr thrown() const noexcept { return thrown_; }
  /// The code of it; none if it returned. Throws what is no kawait::error.
  std::error_code outcome() const;

  std::set<std::int32_t> owned() const { return history_.open_partitions(name_); }
  kawait::consumer& consumer() noexcept { return consumer_; }
  const std::string& name() const noexcept { return name_; }
  history& log() noexcept { return history_; }

  /// How long a batch takes.
  std::function<std::chrono::milliseconds(const batch&)> work_time;
  /// In place of batch.done(); what it returns is what is done.
  std::function<std::int64_t(batch&)> finish;

 private:
  struct ending {
    member* self;
    void operator()(std::exception_ptr e) const {
      self->thrown_ = std::move(e);
      self->ended_ = true;
    }
  };
  struct handler {
    member* self;
    asio::awaitable<void> operator()(kawait::partition p) const { return self->work(std::move(p)); }
  };

  ending completion() noexcept { return ending{this}; }
  template <class Handler>
  asio::awaitable<void> run_with(Handler h) {
    co_await for_each_partition(consumer_, std::move(h));
  }
  template <class Handler>
  asio::awaitable<void> run_on(Handler h, on where) {
    co_await for_each_partition(consumer_, std::move(h), std::move(where));
  }
  asio::awaitable<void> work(kawait::partition p);

  asio::any_io_executor executor_;
  history& history_;
  std::string name_;
  kawait::consumer consumer_;
  asio::cancellation_signal signal_;
  std::exception_ptr thrown_;
  bool ended_ = false;
};

/// Produces numbered records to every partition of a topic, each of them once, so that values are offsets.
class load {
 public:
  load(admin& a, std::string topic, std::int32_t partitions) : admin_(a), topic_(std::move(topic)), produced_(static_cast<std::size_t>(partitions)) {}

  /// `count` records to each partition.
  asio::awaitable<void> add(std::int64_t count, std::int64_t per_batch = 20, std::size_t size = 100);
  /// Batches to all partitions in turn until stopped.
  asio::awaitable<void> run();
  asio::awaitable<void> stop();

  const std::string& topic() const noexcept { return topic_; }
  std::int32_t partitions() const noexcept { return static_cast<std::int32_t>(produced_.size()); }
  std::int64_t produced(std::int32_t p) const { return produced_.at(static_cast<std::size_t>(p)); }
  std::int64_t total() const;
  /// Whether all that was produced was handed out.
  bool is_consumed(history& h) const;
  std::chrono::milliseconds pause{5};
  std::int64_t batch_size = 10;

 private:
  admin& admin_;
  std::string topic_;
  std::vector<std::int64_t> produced_;
  producer_identity who_;
  bool running_ = false, stopping_ = false;
};

/// Runs a test's coroutine on a context of its own, with a limit, and owns what the test's coroutines refer to: members go before the
/// context, what they wrote after it.
class scenario {
 public:
  explicit scenario(std::string bootstrap = one_node().bootstrap());
  ~scenario();
  scenario(const scenario&) = delete;
  scenario& operator=(const scenario&) = delete;

  /// Throws what the coroutine throws, or what a spawned one did. Nothing may have been produced in vain, unless nodes die.
  void run(asio::awaitable<void> test, std::chrono::seconds limit = std::chrono::seconds(120));
  /// As above; not called where it is written, for g++ 12 warns of a coroutine that is inlined.
  void run(asio::awaitable<void> (*test)(scenario&), std::chrono::seconds limit = std::chrono::seconds(120));
  /// A coroutine beside the test's.
  void spawn(asio::awaitable<void> beside);

  asio::any_io_executor executor() { return context_.get_executor(); }
  asio::io_context& context() noexcept { return context_; }
  const std::string& bootstrap() const noexcept { return bootstrap_; }
  /// Earliest, commits every 200 ms, time-outs of a few seconds.
  config settings(const std::string& group) const;
  /// The same without a group.
  config settings() const;
  template <class T, class... Args>
  T& make(Args&&... args) {
    auto made = std::make_shared<T>(std::forward<Args>(args)...);
    kept_.push_back(made);
    return *made;
  }
  /// A member that is subscribed and not yet started.
  member& subscribe(const std::string& name, config c, const std::string& topic);
  /// What the group has committed for each partition, read by a consumer of its own.
  asio::awaitable<std::vector<std::int64_t>> committed(std::string group, std::string topic, std::int32_t partitions);

  history log;
  bool nodes_die = false;

 private:
  std::string bootstrap_;
  asio::io_context context_{1};
  std::exception_ptr thrown_;
  bool ended_ = false;
  std::vector<std::shared_ptr<void>> kept_;

 public:
  tests::admin& admin;
};

/// The words of history's violations, for a CHECK to show.
std::string joined(const std::vector<std::string>& lines);

/// A blocking call beside the context; EVENTUALLY(b.is_done()), then get() rethrows.
class background {
 public:
  explicit background(std::function<void()> work);
  ~background();
  bool is_done() const;
  void get();

 private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace kawait::tests
