#pragma once

#include <algorithm>
#include <array>
#include <charconv>

#include <kawait/metrics_observer.hpp>

namespace kawait {
namespace detail {

/// A page of Prometheus' text format.
class metrics_page {
 public:
  explicit metrics_page(std::string_view labels) : labels_(labels) {}

  void family(std::string_view name, std::string_view type, std::string_view help) {
    text_.append("# HELP kawait_").append(name).append(" ").append(help).append("\n");
    text_.append("# TYPE kawait_").append(name).append(" ").append(type).append("\n");
  }
  template <class Number>
  void sample(std::string_view name, std::string_view labels, Number value) {
    text_.append("kawait_").append(name);
    if (!labels_.empty() || !labels.empty()) {
      text_.append("{").append(labels_).append(labels_.empty() || labels.empty() ? "" : ",").append(labels).append("}");
    }
    // Not std::to_string, whose decimal point is the locale's.
    std::array<char, 32> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    text_.append(" ").append(digits.data(), end).append("\n");
  }
  template <class Number>
  void one(std::string_view name, std::string_view type, std::string_view help, Number value) {
    family(name, type, help);
    sample(name, {}, value);
  }
  void summary(const std::string& name, std::string_view help, std::uint64_t count, observer::duration sum) {
    family(name, "summary", help);
    sample(name + "_count", {}, count);
    sample(name + "_sum", {}, std::chrono::duration<double>(sum).count());
  }
  std::string take() { return std::move(text_); }

 private:
  std::string_view labels_;
  std::string text_;
};

/// name="value", escaped.
inline std::string label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text += '"';
}

}  // namespace detail

KAWAIT_DECL void metrics_observer::on_joined(const joined& e) {
  const std::lock_guard guard(lock_);
  ++joins_;
  member_epoch_ = e.member_epoch;
}

KAWAIT_DECL void metrics_observer::on_heartbeat(const heartbeat& e) {
  const std::lock_guard guard(lock_);
  heartbeats_.add(e.round_trip);
  if (e.refused) ++refused_heartbeats_;
  member_epoch_ = e.member_epoch;
}

KAWAIT_DECL void metrics_observer::on_assigned(const assigned& e) {
  const std::lock_guard guard(lock_);
  assigned_ += e.partitions.size();
  for (const auto& p : e.partitions) ++streams_[p].owners;
}

KAWAIT_DECL void metrics_observer::on_revoked(const revoked& e) {
  const std::lock_guard guard(lock_);
  revoked_ += e.partitions.size();
}

// The counters stay, as counters must not go back; the lag is the next owner's.
KAWAIT_DECL void metrics_observer::forget(const topic_partition& p) {
  const auto it = streams_.find(p);
  if (it == streams_.end()) return;
  // One that hears late that it has lost it takes it from nobody.
  if (it->second.owners > 0) --it->second.owners;
  if (it->second.owners == 0) it->second.lag = -1;
}

KAWAIT_DECL void metrics_observer::on_drained(const drained& e) {
  const std::lock_guard guard(lock_);
  drains_.add(e.took);
  if (e.outcome) ++overdue_drains_;
  forget(e.partition);
}

KAWAIT_DECL void metrics_observer::on_lost(const lost& e) {
  const std::lock_guard guard(lock_);
  lost_ += e.partitions.size();
  for (const auto& p : e.partitions) forget(p);
}

KAWAIT_DECL void metrics_observer::on_committed(const committed& e) {
  const std::lock_guard guard(lock_);
  commits_.add(e.took);
  for (const auto& o : e.offsets) refused_commits_ += o.outcome ? 1 : 0;
}

KAWAIT_DECL void metrics_observer::on_fetched(const fetched& e) {
  const std::lock_guard guard(lock_);
  fetches_.add(e.took);
  fetched_bytes_ += e.bytes;
  if (e.failed) ++failed_fetches_;
}

KAWAIT_DECL void metrics_observer::on_delivered(const delivered& e) {
  const std::lock_guard guard(lock_);
  stream& s = streams_[e.partition];
  ++s.batches;
  s.records += e.records;
  s.bytes += e.bytes;
  s.lag = e.lag.value_or(-1);
}

KAWAIT_DECL void metrics_observer::on_connected(const connected& e) {
  const std::lock_guard guard(lock_);
  connects_.add(e.took);
  if (e.outcome) {
    ++failed_connects_;
  } else {
    ++connections_;
  }
}

KAWAIT_DECL void metrics_observer::on_disconnected(const disconnected&) {
  const std::lock_guard guard(lock_);
  --connections_;
}

KAWAIT_DECL void metrics_observer::on_throttled(const throttled& e) {
  const std::lock_guard guard(lock_);
  throttles_.add(e.pause);
}

KAWAIT_DECL void metrics_observer::on_warned(const warned& e) {
  const std::lock_guard guard(lock_);
  ++warnings_[std::string(e.reason.code.category().name()) + ":" + std::to_string(e.reason.code.value())];
}

KAWAIT_DECL std::string metrics_observer::prometheus() const {
  const std::lock_guard guard(lock_);
  detail::metrics_page page(labels_);
  const auto ours = std::count_if(streams_.begin(), streams_.end(), [](const auto& s) { return s.second.owners > 0; });
  page.one("assigned_partitions", "gauge", "Partitions that are ours.", ours);
  page.one("member_epoch", "gauge", "As of the last heartbeat.", member_epoch_);
  page.one("joins_total", "counter", "Times that a group took us in.", joins_);
  page.summary("heartbeat_seconds", "Round trips.", heartbeats_.count, heartbeats_.sum);
  page.one("heartbeats_refused_total", "counter", "Heartbeats answered with an error.", refused_heartbeats_);
  page.one("partitions_assigned_total", "counter", "Partitions that were added.", assigned_);
  page.one("partitions_revoked_total", "counter", "Partitions that were to be given up.", revoked_);
  page.one("partitions_lost_total", "counter", "Partitions that were others' before we gave them up.", lost_);
  page.summary("drain_seconds", "From a revocation to the end of a partition's work and its commit.", drains_.count, drains_.sum);
  page.one("drains_failed_total", "counter", "Partitions given up with work in hand or uncommitted.", overdue_drains_);
  page.summary("commit_seconds", "Commits, of any number of partitions.", commits_.count, commits_.sum);
  page.one("commits_refused_total", "counter", "Partitions whose part in a commit failed.", refused_commits_);
  page.summary("fetch_seconds", "Fetches, waiting for records included.", fetches_.count, fetches_.sum);
  page.one("fetched_bytes_total", "counter", "Record batches as they were sent.", fetched_bytes_);
  page.one("fetches_failed_total", "counter", "Fetches that were refused or not answered.", failed_fetches_);
  page.one("connections", "gauge", "Open connections.", connections_);
  page.summary("connect_seconds", "Attempts to connect, with their handshakes.", connects_.count, connects_.sum);
  page.one("connects_failed_total", "counter", "Attempts that failed.", failed_connects_);
  page.summary("throttle_seconds", "Pauses that brokers asked for.", throttles_.count, throttles_.sum);
  page.family("warnings_total", "counter", "What went wrong and was retried, by category and code.");
  for (const auto& [code, count] : warnings_) page.sample("warnings_total", detail::label("code", code), count);

  const auto by_partition = [&](const char* name, const char* type, const char* help, auto value) {
    page.family(name, type, help);
    for (const auto& [p, s] : streams_) {
      const auto v = value(s);
      if (v < 0) continue;
      page.sample(name, detail::label("topic", p.topic) + "," + detail::label("partition", std::to_string(p.partition)), v);
    }
  };
  const auto number = [](std::uint64_t n) { return static_cast<std::int64_t>(n); };
  by_partition("records_total", "counter", "Records handed out.", [&](const stream& s) { return number(s.records); });
  by_partition("batches_total", "counter", "Batches handed out.", [&](const stream& s) { return number(s.batches); });
  by_partition("bytes_total", "counter", "Bytes of records handed out.", [&](const stream& s) { return number(s.bytes); });
  by_partition("lag_records", "gauge", "Records behind the newest batch, as of the last fetch.", [](const stream& s) { return s.lag; });
  return page.take();
}

}  // namespace kawait
