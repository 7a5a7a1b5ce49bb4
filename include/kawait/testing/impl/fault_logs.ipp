#pragma once

#include <algorithm>
#include <utility>

#include <kawait/testing/faults_state.hpp>
#include <kawait/testing/impl/fault_nodes.ipp>

namespace kawait::testing::faults_detail {

// What happens to topics and their logs. Each says whether it could.

/// A transaction that a truncation has opened again was decided: its coordinator has nothing left to do, and it hangs, until an
/// administrator finds it and aborts it (KIP-664).
inline void abort_hanging(state& s, const topic_partition& p, std::int64_t producer, std::int64_t first) {
  if (!s.exists(p)) return;
  const auto open = s.cluster->log(p.topic, p.partition).producers().undecided();
  const auto found = open.find(producer);
  if (found != open.end() && found->second == first) s.cluster->end_transaction(p.topic, p.partition, producer, false);
}

inline bool truncate_log(state& s) {
  const auto p = s.pick_partition();
  const auto node = p ? s.pick(s.cluster->live_nodes()) : std::nullopt;
  if (!node) return false;
  const partition_log& log = s.cluster->log(p->topic, p->partition);
  const std::int64_t size = log.end_offset() - log.start_offset();
  if (size == 0) return false;
  const auto lost = static_cast<std::int64_t>(1 + s.below(static_cast<std::size_t>(std::min<std::int64_t>(size, 100))));
  const auto open_before = log.producers().undecided();
  s.cluster->elect_uncleanly(p->topic, p->partition, *node, log.end_offset() - lost);
  for (const auto& [producer, first] : log.producers().undecided()) {
    if (open_before.contains(producer)) continue;
    s.undo_later(s.between(1'000, 20'000),
                 [&s, where = *p, id = producer, from = first] { abort_hanging(s, where, id, from); });
  }
  return true;
}

inline bool delete_records(state& s) {
  const auto p = s.pick_partition();
  if (!p) return false;
  partition_log& log = s.cluster->log(p->topic, p->partition);
  const std::int64_t before = log.start_offset();
  return log.delete_records(before + (log.end_offset() - before + 1) / 2) > before;
}

inline bool hold_back(state& s) {
  const auto p = s.pick_partition();
  if (!p) return false;
  partition_log& log = s.cluster->log(p->topic, p->partition);
  log.hold_high_watermark(log.high_watermark());
  // By name: it may be another topic by then, or none.
  s.undo_later(s.between(1'000, 20'000), [&s, p = *p] {
    if (s.exists(p)) s.cluster->log(p.topic, p.partition).hold_high_watermark(std::nullopt);
  });
  return true;
}

/// Aborts `count` transactions of three records each in a partition; each end is marked so often.
inline bool abort_transactions(state& s, int count, int marks) {
  const auto p = s.pick_partition();
  if (!p) return false;
  const std::vector<producer_record> three(3, producer_record("aborted"));
  for (int i = 0; i < count; ++i) {
    const auto producer = static_cast<std::int64_t>(1'000'000 + s.below(1'000'000));
    s.cluster->append(p->topic, p->partition, three, append_options::in_transaction(producer));
    for (int m = 0; m < marks; ++m) s.cluster->end_transaction(p->topic, p->partition, producer, false);
  }
  return true;
}

inline bool take_topic_away(state& s) {
  const auto topic = s.pick(s.cluster->topics());
  if (!topic) return false;
  s.cluster->delete_topic(topic->first);
  s.undo_later(s.between(1'000, 20'000), [&s, t = *topic] {
    if (!s.exists(topic_partition(t.first, 0))) s.cluster->create_topic(t.first, t.second);
  });
  return true;
}

KAWAIT_DECL void add_log_faults(std::vector<entry>& all) {
  using enum fault_outcome;
  add_cluster_fault(all, "replicas-lag", survived, "what is appended to a partition is not seen, for up to 20 seconds",
                    hold_back);
  add_cluster_fault(all, "topic-grown", survived, "a topic gets a partition more", [](state& s) {
    const auto topic = s.pick(s.cluster->topics());
    if (topic) s.cluster->grow_topic(topic->first, topic->second + 1);
    return topic.has_value();
  });
  add_cluster_fault(all, "offset-hole", survived, "a partition leaves up to 100 offsets out", [](state& s) {
    const auto p = s.pick_partition();
    if (!p || s.cluster->end_offset(p->topic, p->partition) == 0) return false;
    s.cluster->log(p->topic, p->partition).append_hole(static_cast<std::int32_t>(1 + s.below(100)));
    return true;
  });
  add_cluster_fault(all, "aborted-transaction", survived,
                    "a transaction of three records is aborted: read_committed sees none of it",
                    [](state& s) { return abort_transactions(s, 1, 1); });
  add_cluster_fault(all, "doubled-abort-marker", survived, "a transaction is aborted, and marked so twice",
                    [](state& s) { return abort_transactions(s, 1, 2); });
  add_cluster_fault(all, "aborted-run", survived,
                    "50 transactions are aborted one after another: read_committed fetches nothing else",
                    [](state& s) { return abort_transactions(s, 50, 1); });
  add_cluster_fault(all, "log-truncated", loss,
                    "an unclean election: a partition loses up to 100 records; transactions that lose their end only are aborted",
                    truncate_log);
  add_cluster_fault(all, "records-deleted", loss, "a partition loses the older half of its records", delete_records);
  add_cluster_fault(all, "log-compacted", loss, "a partition keeps every third record", [](state& s) {
    const auto p = s.pick_partition();
    if (p) s.cluster->log(p->topic, p->partition).compact([](std::int64_t offset) { return offset % 3 == 0; });
    return p.has_value();
  });
  add_cluster_fault(all, "topic-missing", loss, "a topic is deleted, and made anew under its name after up to 20 seconds",
                    take_topic_away);
  add_cluster_fault(all, "topic-recreated", loss, "a topic is deleted and made anew under its name", [](state& s) {
    const auto topic = s.pick(s.cluster->topics());
    if (topic) s.cluster->recreate_topic(topic->first);
    return topic.has_value();
  });
}

}  // namespace kawait::testing::faults_detail
