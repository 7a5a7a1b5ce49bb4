#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/machine/commit.hpp>
#include <kawait/machine/membership.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/coordinator_driver.hpp>
#include <kawait/runtime/metadata_driver.hpp>
#include <kawait/runtime/options.hpp>
#include <kawait/runtime/task_group.hpp>

namespace kawait::runtime {

/// Commits offsets: one round at a time, since an older offset that is repeated late would overwrite a newer one. What is asked for
/// while a round is under way goes into the next together.
class commit_driver {
 public:
  KAWAIT_DECL commit_driver(asio::any_io_executor executor, task_group& tasks, metadata_driver& metadata,
                            coordinator_driver& coordinator, const options& o);

  /// In a group the member is asked at every send which leases may be named; it is told of every request. `wake_member` tells its
  /// driver that the machine has something new.
  void set_member(machine::membership& member, std::function<void()> wake_member) {
    member_ = &member;
    wake_member_ = std::move(wake_member);
  }

  /// One outcome for each item, in their order; throws only when memory is short. What has not left by the deadline is given up then.
  /// An OffsetCommit that is unanswered then is waited for, since its outcome is what the call is about: for request.timeout.ms from
  /// when it left, or from the end of a throttling. But where it is of several calls, only those of the latest deadline wait so.
  KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> async_commit(std::vector<machine::commit_item> items,
                                                                                 net::time_point deadline);
  /// A heartbeat was answered: a stale stamp may have been waiting for it.
  void wake() { changed_.notify_all(); }
  /// `why` is what calls under way complete with; errc::closed if there is nothing to say.
  KAWAIT_DECL void stop(const failure& why);

 private:
  struct call {
    std::vector<machine::commit_item> items;
    net::time_point deadline;
    net::time_point gives_up;  ///< Later than the deadline where the round ends then by itself, and knows why.
    std::vector<machine::commit_outcome> outcomes;
    bool is_finished = false;
  };

  KAWAIT_DECL asio::awaitable<void> run_rounds();
  KAWAIT_DECL asio::awaitable<std::vector<machine::commit_outcome>> run_round(std::vector<machine::commit_item> items,
                                                                              net::time_point deadline);
  KAWAIT_DECL asio::awaitable<void> send(machine::commit_round& round, const machine::send_commit& what,
                                         std::shared_ptr<net::connection> connection);

  task_group& tasks_;
  net::environment& environment_;
  metadata_driver& metadata_;
  coordinator_driver& coordinator_;
  const options& options_;
  machine::membership* member_ = nullptr;
  std::function<void()> wake_member_;
  std::vector<std::shared_ptr<call>> waiting_;
  net::condition finished_;
  net::condition changed_;
  bool running_ = false;
  bool stopped_ = false;
  failure why_stopped_{errc::closed};
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/commit_driver.ipp>
#endif
