#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <kawait/detail/config.hpp>
#include <kawait/observer.hpp>

namespace kawait {

enum class log_level : std::uint8_t {
  error,  ///< async_run() ends with an error; partitions were lost.
  warn,   ///< What is being retried, or seen to: last_warning(). Settings without effect.
  info,   ///< What changes a few times an hour: joined, assigned, revoked, drained, left, connections.
  debug   ///< Heartbeats, commits, throttling.
};

/// "warn"
KAWAIT_DECL std::string_view name_of(log_level level) noexcept;

/// Says what happens in lines of words. Fetches and batches are no lines: metrics_observer counts them.
///
///     config.add_observer(std::make_shared<kawait::log_observer>([](kawait::log_level level, std::string_view line) {
///       std::clog << name_of(level) << ' ' << line << '\n';
///     }));
///
/// The sink is called on the consumer's executor, as all observers are; without time and without a line's end.
class log_observer : public observer {
 public:
  using sink = std::function<void(log_level, std::string_view)>;

  /// Lines above `most` are not even made.
  explicit log_observer(sink s, log_level most = log_level::info) : sink_(std::move(s)), most_(most) {}
  /// To std::clog: "kawait warn: ...".
  KAWAIT_DECL explicit log_observer(log_level most = log_level::info);

  KAWAIT_DECL void on_joined(const joined& e) override;
  KAWAIT_DECL void on_heartbeat(const heartbeat& e) override;
  KAWAIT_DECL void on_assigned(const assigned& e) override;
  KAWAIT_DECL void on_revoked(const revoked& e) override;
  KAWAIT_DECL void on_drained(const drained& e) override;
  KAWAIT_DECL void on_lost(const lost& e) override;
  KAWAIT_DECL void on_left(const left& e) override;
  KAWAIT_DECL void on_committed(const committed& e) override;
  KAWAIT_DECL void on_connected(const connected& e) override;
  KAWAIT_DECL void on_disconnected(const disconnected& e) override;
  KAWAIT_DECL void on_throttled(const throttled& e) override;
  KAWAIT_DECL void on_warned(const warned& e) override;
  KAWAIT_DECL void on_ended(const ended& e) override;

 private:
  bool says(log_level level) const noexcept { return level <= most_; }
  KAWAIT_DECL void say(log_level level, std::string line) const;

  sink sink_;
  log_level most_;
};

}  // namespace kawait

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/log_observer.ipp>
#endif
