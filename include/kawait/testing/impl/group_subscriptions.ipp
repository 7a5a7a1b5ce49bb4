#pragma once

#include <algorithm>

#include <kawait/testing/assignor.hpp>
#include <kawait/testing/consumer_group.hpp>

namespace kawait::testing {

KAWAIT_DECL consumer_group::change consumer_group::subscribe(const group_context& ctx, group_member& m, const request& r,
                                                             std::optional<topic_pattern> added) {
  change c;
  if (r.subscribed_topic_names) {
    std::set<std::string, std::less<>> names(r.subscribed_topic_names->begin(), r.subscribed_topic_names->end());
    c.any = c.retarget = names != m.names;
    m.names = std::move(names);
  }
  if (r.subscribed_topic_regex && *r.subscribed_topic_regex != m.regex) {
    const bool at_once = ctx.traits().pattern_is_subscription;
    c.any = c.any || at_once;
    m.regex = std::string(*r.subscribed_topic_regex);
    if (added) patterns_.emplace(m.regex, pattern{std::move(*added), {}});
    drop_unused_patterns();
    // One that is not resolved yet moves the epoch when it is.
    const auto it = patterns_.find(m.regex);
    c.retarget = c.retarget || (it == patterns_.end() ? at_once : it->second.resolved);
  }
  return c;
}

KAWAIT_DECL void consumer_group::drop_unused_patterns() {
  if (patterns_.empty()) return;
  std::set<std::string_view> used;
  for (const auto& [id, m] : members_) used.insert(m.regex);
  std::erase_if(patterns_, [&](const auto& p) { return !used.contains(p.first); });
  if (std::none_of(patterns_.begin(), patterns_.end(), [](const auto& p) { return p.second.resolved; })) resolved_at_.reset();
}

KAWAIT_DECL void consumer_group::begin_resolution(const group_context& ctx) {
  if (patterns_.empty() || resolving_) return;
  bool needed = resolved_version_ < topics_version_;
  for (const auto& [text, p] : patterns_) needed = needed || !p.resolved;
  if (resolved_at_) {
    if (ctx.now <= *resolved_at_ + ctx.options.regex_min_refresh) return;
    needed = needed || ctx.now > *resolved_at_ + ctx.options.regex_max_refresh;
  }
  if (!needed) return;
  resolving_.emplace();
  resolving_->due = ctx.now + ctx.options.regex_delay;
  for (const auto& [text, p] : patterns_) resolving_->patterns.push_back(text);
  due(resolving_->due);
}

KAWAIT_DECL void consumer_group::finish_resolution(const group_context& ctx) {
  const resolution done = std::move(*resolving_);
  resolving_.reset();
  bool changed = false;
  for (const auto& text : done.patterns) {
    const auto it = patterns_.find(text);
    if (it == patterns_.end()) continue;
    std::set<std::string, std::less<>> topics;
    for (const auto& [name, image] : ctx.topics.all()) {
      if (it->second.compiled.matches(name)) topics.insert(topics.end(), name);
    }
    changed = changed || topics != it->second.topics;
    it->second.topics = std::move(topics);
    it->second.resolved = true;
    resolved_at_ = ctx.now;
  }
  resolved_version_ = topics_version_;
  if (changed || !ctx.traits().pattern_is_subscription) update_metadata(ctx, changed);
}

KAWAIT_DECL consumer_group::metadata consumer_group::subscribed_metadata(const group_context& ctx) const {
  metadata all;
  const auto add = [&](const auto& names) {
    for (const auto& name : names) {
      if (all.contains(name)) continue;
      if (const auto* t = ctx.topics.by_name(name)) all.emplace(name, std::pair(t->id, t->partitions));
    }
  };
  for (const auto& [id, m] : members_) add(m.names);
  for (const auto& [text, p] : patterns_) add(p.topics);
  return all;
}

/// Moves the group's epoch if it must, or if the topics subscribed to are others than they were.
KAWAIT_DECL void consumer_group::update_metadata(const group_context& ctx, bool bump) {
  topics_changed_ = false;
  metadata now = subscribed_metadata(ctx);
  bump = bump || now != metadata_;
  metadata_ = std::move(now);
  if (bump) ++epoch_;
}

KAWAIT_DECL std::string consumer_group::preferred_assignor(const group_options& options) const {
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, m] : members_) {
    if (!m.assignor.empty()) ++votes[m.assignor];
  }
  const auto most = std::max_element(votes.begin(), votes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != votes.end()) return std::string(most->first);
  return options.assignors.empty() ? "uniform" : options.assignors.front();
}

KAWAIT_DECL void consumer_group::update_target(const group_context& ctx) {
  if (assignment_epoch_ >= epoch_) return;
  if (assigned_at_ && ctx.now < *assigned_at_ + ctx.options.assignment_interval) return;
  std::set<topic_id_partition> given;
  std::vector<assignor_member> list;
  std::vector<group_member*> who;
  partition_counts counts;
  for (const auto& [name, topic] : metadata_) counts.emplace(topic.first, topic.second);
  for (auto& [id, m] : members_) {
    if (const auto it = overrides_.find(id); it != overrides_.end()) {
      m.target = it->second;
      given.insert(m.target.begin(), m.target.end());
      continue;
    }
    auto& a = list.emplace_back();
    who.push_back(&m);
    a.id = m.id;
    if (m.instance_id) a.instance_id = *m.instance_id;
    const auto add = [&](const auto& names) {
      for (const auto& name : names) {
        if (const auto it = metadata_.find(name); it != metadata_.end()) a.topics.push_back(it->second.first);
      }
    };
    add(m.names);
    if (const auto it = patterns_.find(m.regex); it != patterns_.end()) add(it->second.topics);
    std::sort(a.topics.begin(), a.topics.end());
    a.topics.erase(std::unique(a.topics.begin(), a.topics.end()), a.topics.end());
    a.previous = std::move(m.target);
  }
  auto targets = preferred_assignor(ctx.options) == "range" ? assign_range(list, counts) : assign_uniform(list, counts);
  for (std::size_t i = 0; i < who.size(); ++i) {
    if (!given.empty()) std::erase_if(targets[i], [&](const auto& p) { return given.contains(p); });
    who[i]->target = std::move(targets[i]);
  }
  assignment_epoch_ = epoch_;
  assigned_at_ = ctx.now;
}

KAWAIT_DECL void consumer_group::set_target(std::string member_id, std::optional<partition_list> target) {
  if (target) {
    std::sort(target->begin(), target->end());
    target->erase(std::unique(target->begin(), target->end()), target->end());
    overrides_.insert_or_assign(std::move(member_id), std::move(*target));
  } else {
    overrides_.erase(member_id);
  }
  ++epoch_;
  assigned_at_.reset();  // the test does not wait for the interval
}

}  // namespace kawait::testing
