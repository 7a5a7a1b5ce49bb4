#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <asio/any_io_executor.hpp>
#include <asio/awaitable.hpp>

#include <kawait/core/result.hpp>
#include <kawait/machine/coordinator.hpp>
#include <kawait/machine/final_error.hpp>
#include <kawait/net/broker_pool.hpp>
#include <kawait/net/timer.hpp>
#include <kawait/runtime/options.hpp>
#include <kawait/runtime/task_group.hpp>

namespace kawait::runtime {

/// Finds the group's coordinator for whoever needs it: heartbeats, commits and OffsetFetch share one connection to it, whose requests
/// the broker serves in order.
class coordinator_driver {
 public:
  KAWAIT_DECL coordinator_driver(asio::any_io_executor executor, task_group& tasks, net::broker_pool& brokers, const options& o);

  /// A connection to the coordinator, looked up and opened when needed. One attempt to connect; look-ups are repeated, with the
  /// machine's back-off. Not a moment longer than until `deadline`: what goes on then goes on for others.
  KAWAIT_DECL asio::awaitable<result<std::shared_ptr<net::connection>>> async_get(net::time_point deadline);

  /// The broker says that it is not the coordinator.
  KAWAIT_DECL void forget();
  /// It did not answer, or the connection broke.
  KAWAIT_DECL void on_disconnected();
  /// A commit leaves on it. It may be that of a former coordinator by the time that cut() is called.
  void on_commit_sent(const std::shared_ptr<net::connection>& connection) { committing_ = connection; }
  /// Closes the connection on which a commit is unanswered, whatever else is pending on it.
  KAWAIT_DECL void cut(const failure& why);
  /// From now on a coordinator that is not known, or could not be reached, is not looked for: who waits for one is told at once.
  KAWAIT_DECL void stop_searching();
  void resume_searching() noexcept {
    if (life_ == life::as_known) life_ = life::searching;
  }
  KAWAIT_DECL void stop();

 private:
  enum class life { searching, as_known, stopped };

  KAWAIT_DECL void begin_look_up();
  KAWAIT_DECL asio::awaitable<void> look_up();
  KAWAIT_DECL asio::awaitable<void> connect(std::int32_t node);
  KAWAIT_DECL void notify();
  KAWAIT_DECL void note_address();
  /// The open connection, or null: then one is being made, or it is looked up anew.
  KAWAIT_DECL std::shared_ptr<net::connection> reach(const machine::known& node);

  task_group& tasks_;
  net::environment& environment_;
  net::broker_pool& brokers_;
  std::string group_id_;
  machine::coordinator machine_;
  std::weak_ptr<net::connection> committing_;
  net::condition changed_;
  failure last_failure_;
  std::optional<std::int32_t> connecting_;
  bool was_connected_ = false;  // since it was found, and it was not asked since whether it is another
  std::uint64_t attempts_failed_ = 0;
  std::uint64_t failed_in_a_row_ = 0;
  std::uint64_t changes_ = 0;
  life life_ = life::searching;
};

}  // namespace kawait::runtime

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/runtime/impl/coordinator_driver.ipp>
#endif
