#pragma once

// A member of the group over all of its lives: consumers that are started, interrupted and started again, and their handlers.

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <asio/awaitable.hpp>

#include <kawait/consumer.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/world.hpp>

#include "frozen.hpp"
#include "oracle.hpp"
#include "plan.hpp"

namespace seeds {

/// What all members share.
struct stage {
  stage(kawait::testing::world& w, kawait::testing::broker& b, oracle& o, const plan& p)
      : world(w), broker(b), watch(o), script(p) {}

  kawait::testing::world& world;
  kawait::testing::broker& broker;
  oracle& watch;
  const plan& script;
  bool healed = false;  ///< Members work as they should from now on.
};

/// An operation that must complete exactly once.
struct pending {
  std::string what;
  time_point begun{};
  std::chrono::milliseconds limit{0};  ///< 0: none.
  int completed = 0;
};

/// One consumer, from its making to its end.
class life : public std::enable_shared_from_this<life> {
 public:
  life(stage& s, const member_plan& p, int number);
  life(const life&) = delete;
  life& operator=(const life&) = delete;

  void start();
  void close(std::chrono::milliseconds timeout);
  void leave();
  void subscribe(const std::vector<std::string>& topics, bool pattern);
  /// The consumer is destroyed, whatever it does.
  void destroy();
  void freeze() { freezer_->freeze(); }
  void thaw() { freezer_->thaw(); }

  bool has_ended() const noexcept { return ended_.has_value(); }
  std::optional<time_point> ended() const noexcept { return ended_; }
  kawait::consumer* consumer() noexcept { return consumer_.get(); }
  client& seen() noexcept { return client_; }
  /// After the world has come to rest: what was begun has completed.
  void check_completed();
  void check_left();

  // --- For handlers.
  stage& on() noexcept { return stage_; }
  const member_plan& script() const noexcept { return plan_; }
  dice& draw() noexcept { return dice_; }
  /// What a handler does before it is done. Throws as the plan says.
  asio::awaitable<void> work(kawait::partition p);
  void throw_perhaps();
  /// Works on a batch, marks and releases it.
  asio::awaitable<void> handle(kawait::batch b, std::optional<kawait::partition> p);
  /// Beside what else it does. It must end before the world does.
  void spawn(asio::awaitable<void> what, std::string name);
  /// An operation that has to complete once. Without a time-out it may take as long as it likes.
  std::shared_ptr<pending> begin(std::string what, std::chrono::milliseconds timeout = std::chrono::milliseconds(0));
  void complete(const std::shared_ptr<pending>& p);

 private:
  kawait::config settings() const;
  asio::any_io_executor handlers();
  void run_each();
  void run_consumer();
  static asio::awaitable<void> each(std::shared_ptr<life> self);
  static asio::awaitable<void> each_record(life& self);
  static asio::awaitable<void> pull(std::shared_ptr<life> self);
  static asio::awaitable<void> listen(std::shared_ptr<life> self);
  static asio::awaitable<void> unassign(std::shared_ptr<life> self, kawait::revocation r, int delay_ms);

  stage& stage_;
  const member_plan& plan_;
  client& client_;
  dice dice_;
  std::shared_ptr<freezer> freezer_;
  asio::any_io_executor executor_;
  std::unique_ptr<kawait::consumer> consumer_;
  std::vector<std::shared_ptr<pending>> pending_;
  std::optional<time_point> ended_;
  std::optional<std::error_code> closed_;
  bool was_member_ = false;  ///< When it was told to close.
};

/// Plays one member's part of the plan.
class member {
 public:
  member(stage& s, const member_plan& p) : stage_(s), plan_(p) {}

  /// Looked at every now and then.
  void tick(int now_ms);
  /// Back, if it was away, with all topics.
  void heal();
  std::vector<std::shared_ptr<life>>& lives() noexcept { return lives_; }
  life* current() noexcept { return lives_.empty() ? nullptr : lives_.back().get(); }

 private:
  void begin_life();
  void interrupt();
  void resume();

  stage& stage_;
  const member_plan& plan_;
  std::vector<std::shared_ptr<life>> lives_;
  bool interrupted_ = false, resumed_ = false, changed_ = false, away_ = false;
};

// --- Handlers (handlers.cpp).

/// of for_each_partition, and for each partition of an event.
asio::awaitable<void> read_partition(std::shared_ptr<life> self, kawait::partition p);

}  // namespace seeds
