#pragma once

#include <span>
#include <string>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/core/error.hpp>
#include <kawait/machine/membership.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/coordinator_driver.hpp>
#include <kawait/runtime/options.hpp>
#include <kawait/runtime/task_group.hpp>

namespace kawait::runtime {

/// What the group decides about this member. Consumer's executor; none of the calls may suspend.
class group_host {
 public:
  /// What is told of a heartbeat.
  struct heartbeat_sight {
    bool was_join = false;
    std::optional<std::size_t> owned;
    net::duration round_trip{};
    std::error_code refused;
  };

  virtual void on_assigned(const machine::assign_partitions&) = 0;
  /// Drain them, then tell membership::on_drained for each.
  virtual void on_revoked(const machine::revoke_partitions&) = 0;
  /// The deadline has passed: they are given up with their work still in hand.
  virtual void on_abandoned(const machine::abandon_partitions&) = 0;
  virtual void on_lost(const machine::lose_partitions&) = 0;
  /// Their names are to be learnt; tell membership::on_resolved.
  virtual void on_unresolved(const std::vector<uuid>&) = 0;
  virtual void on_group_warning(const failure&) = 0;
  virtual void on_group_failed(const failure&) = 0;
  virtual void on_left() = 0;
  /// A heartbeat was answered: the member epoch may have moved.
  virtual void on_heartbeat_answered(const heartbeat_sight&) = 0;
  /// A heartbeat could not be sent, or was not answered; it is tried again.
  virtual void on_group_unreachable(const failure&) = 0;

 protected:
  ~group_host() = default;
};

/// Pumps machine::membership: waits on one timer and on events, and performs the effects. One heartbeat is in flight at a time, beside
/// which the pump goes on, since a deadline may pass meanwhile.
class group_driver {
 public:
  KAWAIT_DECL group_driver(asio::any_io_executor executor, task_group& tasks, coordinator_driver& coordinator, group_host& host,
                           const options& o, std::string member_id);

  machine::membership& membership() noexcept { return membership_; }
  /// To be called after the machine was told something.
  void wake() { changed_.notify_all(); }

  KAWAIT_DECL asio::awaitable<void> run();
  KAWAIT_DECL void stop();

 private:
  KAWAIT_DECL asio::awaitable<void> heartbeat(machine::send_heartbeat what);
  KAWAIT_DECL void perform(machine::membership::effect& effect);

  task_group& tasks_;
  net::environment& environment_;
  coordinator_driver& coordinator_;
  group_host& host_;
  const options& options_;
  machine::membership membership_;
  net::condition changed_;
  bool stopped_ = false;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/group_driver.ipp>
#endif
