#pragma once

#include <iostream>

#include <kawait/detail/list_of.hpp>
#include <kawait/log_observer.hpp>

namespace kawait {
namespace detail {

inline std::string list_of(std::span<const topic_partition> partitions) {
  std::vector<std::string> names;
  names.reserve(partitions.size());
  for (const auto& p : partitions) names.push_back(p.to_string());
  return list_of(names);
}

inline std::string milliseconds_of(observer::duration d) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()) + " ms";
}

}  // namespace detail

KAWAIT_DECL std::string_view name_of(log_level level) noexcept {
  static constexpr std::string_view names[] = {"error", "warn", "info", "debug"};
  return names[static_cast<std::size_t>(level)];
}

KAWAIT_DECL log_observer::log_observer(log_level most)
    : log_observer([](log_level level, std::string_view line) { std::clog << "kawait " << name_of(level) << ": " << line << '\n'; },
                   most) {}

// What a broker says is in it, and must not look like a line of ours, nor do anything to a terminal.
KAWAIT_DECL void log_observer::say(log_level level, std::string line) const {
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  sink_(level, line);
}

KAWAIT_DECL void log_observer::on_joined(const joined& e) {
  if (!says(log_level::info)) return;
  std::string line = "joined group ";
  line.append(e.group).append(" as ").append(e.member_id).append(" in epoch ").append(std::to_string(e.member_epoch));
  say(log_level::info, line);
}

KAWAIT_DECL void log_observer::on_heartbeat(const heartbeat& e) {
  const log_level level = e.refused ? log_level::info : log_level::debug;
  if (!says(level)) return;
  std::string line = e.refused ? "heartbeat refused: " + e.refused.message() : "heartbeat, epoch " + std::to_string(e.member_epoch);
  if (e.owned) line += ", owning " + std::to_string(*e.owned);
  say(level, line + ", " + detail::milliseconds_of(e.round_trip));
}

KAWAIT_DECL void log_observer::on_assigned(const assigned& e) {
  if (!says(log_level::info)) return;
  std::string line = "assigned " + detail::list_of(e.partitions);
  if (e.member_epoch >= 0) line += " in epoch " + std::to_string(e.member_epoch);
  say(log_level::info, line);
}

KAWAIT_DECL void log_observer::on_revoked(const revoked& e) {
  if (!says(log_level::info)) return;
  say(log_level::info, "revoked " + detail::list_of(e.partitions) + ", to be given up within " + detail::milliseconds_of(e.time_left));
}

KAWAIT_DECL void log_observer::on_drained(const drained& e) {
  const log_level level = e.outcome ? log_level::warn : log_level::info;
  if (!says(level)) return;
  std::string line = "gave up " + e.partition.to_string() + " after " + detail::milliseconds_of(e.took);
  if (e.outcome) line += ": " + e.outcome.to_string();
  say(level, line);
}

KAWAIT_DECL void log_observer::on_lost(const lost& e) {
  if (says(log_level::error)) say(log_level::error, "lost " + detail::list_of(e.partitions) + ": " + e.reason.to_string());
}

KAWAIT_DECL void log_observer::on_left(const left&) {
  if (says(log_level::info)) say(log_level::info, "left the group");
}

KAWAIT_DECL void log_observer::on_committed(const committed& e) {
  if (!says(log_level::debug)) return;
  std::vector<std::string> words;
  words.reserve(e.offsets.size());
  for (const auto& o : e.offsets) {
    words.push_back(o.partition.to_string() + " " + std::to_string(o.offset));
    if (o.outcome) words.back() += " (" + o.outcome.to_string() + ")";
  }
  say(log_level::debug, "committed " + detail::list_of(words) + ", " + detail::milliseconds_of(e.took));
}

KAWAIT_DECL void log_observer::on_connected(const connected& e) {
  if (!says(log_level::info)) return;
  const std::string where(e.broker);
  say(log_level::info, e.outcome ? "not connected to " + where + ": " + e.outcome.to_string()
                                 : "connected to " + where + ", " + detail::milliseconds_of(e.took));
}

KAWAIT_DECL void log_observer::on_disconnected(const disconnected& e) {
  const log_level level = e.reason.code == errc::closed ? log_level::debug : log_level::info;
  if (says(level)) say(level, "disconnected from " + std::string(e.broker) + ": " + e.reason.to_string());
}

KAWAIT_DECL void log_observer::on_throttled(const throttled& e) {
  if (says(log_level::debug)) {
    say(log_level::debug, "throttled by " + std::string(e.broker) + " for " + detail::milliseconds_of(e.pause));
  }
}

KAWAIT_DECL void log_observer::on_warned(const warned& e) {
  if (says(log_level::warn)) say(log_level::warn, e.reason.to_string());
}

KAWAIT_DECL void log_observer::on_ended(const ended& e) {
  const log_level level = e.reason ? log_level::error : log_level::info;
  if (says(level)) say(level, e.reason ? "ended: " + e.reason.to_string() : "closed");
}

}  // namespace kawait
