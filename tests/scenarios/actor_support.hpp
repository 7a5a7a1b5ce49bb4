#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <asio/cancellation_signal.hpp>

#include "stage_support.hpp"

namespace kawait::tests {

/// How a member is started.
struct actor_options {
  std::vector<std::string> topics;  ///< Stems.
  std::string instance, assignor;
  bool commits = true;              ///< By itself what is done, every so often.
  std::chrono::milliseconds commit_interval{100};

  actor_options() = default;
  explicit actor_options(std::string topic) : topics(1, std::move(topic)) {}
  actor_options(std::string first, std::string second) : topics{std::move(first), std::move(second)} {}
};

/// A member of the group, by a consumer of this library with events: it reads all that it owns, gives up at once what is revoked,
/// and records both.
class actor {
 public:
  actor(stage& s, std::string name, const actor_options& how);
  actor(const actor&) = delete;
  actor& operator=(const actor&) = delete;
  ~actor();

  void start();
  void subscribe(std::vector<std::string> stems);
  /// Closes: commits, leaves.
  asio::awaitable<void> close();
  /// It is gone without a word.
  asio::awaitable<void> die();
  /// Until its run has ended, in whatever way; how is told.
  asio::awaitable<void> ended();
  /// For the stage, before the context goes.
  void drop();

  std::size_t share = 0;      ///< How many partitions it should own when the group has settled.
  bool holding = false;       ///< Batches are kept, and not done, until this is false again.
  bool names = false;         ///< Which partitions it owns is the protocol's to say: settled() tells them.

  const std::string& name() const noexcept { return name_; }
  bool running() const noexcept { return running_; }
  /// "ended: well"
  const std::string& outcome() const noexcept { return outcome_; }
  bool joined() const { return epoch() > 0; }
  std::int32_t epoch() const { return consumer_ ? consumer_->member_epoch() : -1; }
  std::string id() const { return consumer_ ? consumer_->member_id() : std::string(); }
  std::set<topic_partition> owned() const;
  /// How many batches it holds.
  std::size_t held() const noexcept { return held_; }
  /// Partitions that it has been told to give up, and has not yet.
  std::size_t draining() const noexcept { return draining_; }
  /// What it owned when the group last settled; a static member's successor takes it over.
  const std::set<topic_partition>& settled_with() const noexcept { return settled_; }
  void succeeds(const actor& other) { settled_ = other.settled_; }
  /// It owns the partition, and `end` is what it would read next.
  bool is_at(const topic_partition& p, std::int64_t end) const;

  /// The line for settled(); what came before is not merged with what comes.
  std::string settle();
  /// Events, and how much of each partition was read each time that it was owned.
  std::vector<std::string> transcript() const;

 private:
  struct ownership {
    kawait::partition handle;
    topic_partition name;
    std::int64_t first = -1, next = -1;
    bool open = true;
  };
  struct noted {
    std::string kind;
    std::map<std::string, std::size_t> counts;  // by topic; none: a line as it is
  };

  void note(std::string what) { events_.push_back(noted{std::move(what), {}}); }
  void note(const char* kind, const std::vector<kawait::partition>& partitions);
  std::string line_of(const noted& n) const;
  static asio::awaitable<void> listen(actor& self);
  static asio::awaitable<void> read(actor& self, kawait::partition p);
  void deliver(ownership& o, const batch& b);

  stage& stage_;
  std::string name_, outcome_;
  std::optional<kawait::consumer> consumer_;
  asio::cancellation_signal abort_;
  bool running_ = false;
  bool closing_ = false;
  std::size_t held_ = 0, draining_ = 0;
  std::deque<ownership> ownerships_;
  std::deque<noted> events_;
  bool sealed_ = true;  // the last event is not merged with the next
  std::set<topic_partition> settled_;
};

}  // namespace kawait::tests
