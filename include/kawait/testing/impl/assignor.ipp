#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <set>
#include <utility>

#include <kawait/testing/assignor.hpp>

namespace kawait::testing {
namespace detail {

/// A topic while partitions are dealt.
struct dealt_topic {
  uuid id;
  std::vector<std::size_t> subscribers;
  std::vector<std::size_t> owners;  // by partition

  static constexpr std::size_t nobody = static_cast<std::size_t>(-1);
};

class uniform_assignor {
 public:
  KAWAIT_DECL uniform_assignor(const std::vector<assignor_member>& members, const partition_counts& topics);
  KAWAIT_DECL member_assignments run();

 private:
  KAWAIT_DECL void deal_evenly();
  KAWAIT_DECL void deal_to_subscribers();
  KAWAIT_DECL void keep(std::size_t member, std::size_t limit);
  KAWAIT_DECL void fill(dealt_topic& t);
  KAWAIT_DECL bool level(dealt_topic& t);
  KAWAIT_DECL dealt_topic* find(const uuid& id);

  const std::vector<assignor_member>& members_;
  std::vector<dealt_topic> topics_;  // by id
  std::vector<std::size_t> loads_;
};

KAWAIT_DECL uniform_assignor::uniform_assignor(const std::vector<assignor_member>& members, const partition_counts& topics)
    : members_(members), loads_(members.size()) {
  for (const auto& [id, count] : topics) {
    topics_.emplace_back();
    topics_.back().id = id;
    topics_.back().owners.assign(static_cast<std::size_t>(std::max(count, 0)), dealt_topic::nobody);
  }
  for (std::size_t m = 0; m < members.size(); ++m) {
    for (const auto& id : members[m].topics) {
      if (auto* t = find(id)) t->subscribers.push_back(m);
    }
  }
  std::erase_if(topics_, [](const dealt_topic& t) { return t.subscribers.empty(); });
}

KAWAIT_DECL dealt_topic* uniform_assignor::find(const uuid& id) {
  const auto it = std::lower_bound(topics_.begin(), topics_.end(), id, [](const auto& t, const uuid& i) { return t.id < i; });
  return it != topics_.end() && it->id == id ? &*it : nullptr;
}

/// What it had, if it may still have it.
KAWAIT_DECL void uniform_assignor::keep(std::size_t member, std::size_t limit) {
  for (const auto& p : members_[member].previous) {
    if (loads_[member] == limit) return;
    auto* t = find(p.topic_id);
    if (t == nullptr || p.partition < 0 || static_cast<std::size_t>(p.partition) >= t->owners.size()) continue;
    if (!std::binary_search(t->subscribers.begin(), t->subscribers.end(), member)) continue;
    auto& owner = t->owners[static_cast<std::size_t>(p.partition)];
    if (owner != dealt_topic::nobody) continue;
    owner = member;
    ++loads_[member];
  }
}

/// All subscribe to the same: who had more than its share gives the rest to who has less.
KAWAIT_DECL void uniform_assignor::deal_evenly() {
  std::size_t total = 0;
  for (const auto& t : topics_) total += t.owners.size();
  const std::size_t share = total / members_.size();
  std::size_t extras = total % members_.size();
  for (std::size_t m = 0; m < members_.size(); ++m) {
    keep(m, share + (extras > 0 ? 1 : 0));
    if (loads_[m] > share) --extras;
  }
  std::size_t next = 0;
  const auto room = [&](std::size_t m) { return loads_[m] < share || (loads_[m] == share && extras > 0); };
  for (int round = 0; round < 2; ++round) {  // everyone's share, then what is left over
    std::size_t m = 0;
    for (; next < topics_.size(); ++next) {
      for (auto& owner : topics_[next].owners) {
        if (owner != dealt_topic::nobody) continue;
        while (m < members_.size() && !(round == 0 ? loads_[m] < share : room(m))) ++m;
        if (m == members_.size()) break;
        owner = m;
        if (++loads_[m] > share) --extras;
      }
      if (m == members_.size()) break;
    }
  }
}

/// Gives what has no owner to whoever has least.
KAWAIT_DECL void uniform_assignor::fill(dealt_topic& t) {
  std::set<std::pair<std::size_t, std::size_t>> by_load;
  for (auto& owner : t.owners) {
    if (owner != dealt_topic::nobody) continue;
    if (by_load.empty()) {
      for (const auto m : t.subscribers) by_load.emplace(loads_[m], m);
    }
    owner = by_load.begin()->second;
    by_load.erase(by_load.begin());
    by_load.emplace(++loads_[owner], owner);
  }
}

/// Moves partitions of one topic from whoever has most to whoever has least. Whether it did.
KAWAIT_DECL bool uniform_assignor::level(dealt_topic& t) {
  std::map<std::size_t, std::vector<std::size_t>> owned;
  for (std::size_t p = 0; p < t.owners.size(); ++p) owned[t.owners[p]].push_back(p);
  std::set<std::pair<std::size_t, std::size_t>> takers, givers;
  for (const auto m : t.subscribers) takers.emplace(loads_[m], m);
  for (const auto& [m, list] : owned) givers.emplace(loads_[m], m);
  bool moved = false;
  while (!givers.empty() && givers.rbegin()->first > takers.begin()->first + 1) {
    const std::size_t from = givers.rbegin()->second, to = takers.begin()->second;
    takers.erase({loads_[from], from});
    takers.erase({loads_[to], to});
    givers.erase({loads_[from], from});
    givers.erase({loads_[to], to});
    const std::size_t p = owned[from].back();
    owned[from].pop_back();
    owned[to].push_back(p);
    t.owners[p] = to;
    takers.emplace(--loads_[from], from);
    takers.emplace(++loads_[to], to);
    if (!owned[from].empty()) givers.emplace(loads_[from], from);
    givers.emplace(loads_[to], to);
    moved = true;
  }
  return moved;
}

KAWAIT_DECL void uniform_assignor::deal_to_subscribers() {
  for (std::size_t m = 0; m < members_.size(); ++m) keep(m, static_cast<std::size_t>(-1));
  // Topics with little choice first, so that those with more can make up for them.
  std::vector<dealt_topic*> order;
  for (auto& t : topics_) order.push_back(&t);
  std::sort(order.begin(), order.end(), [](const dealt_topic* a, const dealt_topic* b) {
    const auto x = a->owners.size() * b->subscribers.size(), y = b->owners.size() * a->subscribers.size();
    if (x != y) return x > y;
    if (a->subscribers.size() != b->subscribers.size()) return a->subscribers.size() < b->subscribers.size();
    return a->id < b->id;
  });
  for (auto* t : order) fill(*t);
  // A move in one topic makes room in another; it settles in a few rounds, since each move levels.
  bool moved = true;
  for (int round = 0; moved && round < 16; ++round) {
    moved = false;
    for (auto* t : order) moved |= level(*t);
  }
}

KAWAIT_DECL member_assignments uniform_assignor::run() {
  member_assignments all(members_.size());
  if (members_.empty()) return all;
  const bool same = std::all_of(topics_.begin(), topics_.end(),
                                [&](const dealt_topic& t) { return t.subscribers.size() == members_.size(); });
  same ? deal_evenly() : deal_to_subscribers();
  for (const auto& t : topics_) {
    for (std::size_t p = 0; p < t.owners.size(); ++p) all[t.owners[p]].emplace_back(t.id, static_cast<std::int32_t>(p));
  }
  return all;
}

}  // namespace detail

KAWAIT_DECL member_assignments assign_uniform(const std::vector<assignor_member>& members, const partition_counts& topics) {
  return detail::uniform_assignor(members, topics).run();
}

KAWAIT_DECL member_assignments assign_range(const std::vector<assignor_member>& members, const partition_counts& topics) {
  std::vector<std::size_t> order(members.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto& x = members[a];
    const auto& y = members[b];
    if (x.instance_id.has_value() != y.instance_id.has_value()) return x.instance_id.has_value();
    return x.instance_id != y.instance_id ? *x.instance_id < *y.instance_id : x.id < y.id;
  });
  std::map<uuid, std::vector<std::size_t>> subscribers;
  for (const auto m : order) {
    for (const auto& id : members[m].topics) subscribers[id].push_back(m);
  }
  member_assignments all(members.size());
  for (const auto& [id, who] : subscribers) {
    const auto it = topics.find(id);
    if (it == topics.end()) continue;
    const auto share = it->second / static_cast<std::int32_t>(who.size());
    auto extras = it->second % static_cast<std::int32_t>(who.size());
    std::int32_t next = 0;
    for (const auto m : who) {
      const std::int32_t end = next + share + (extras-- > 0 ? 1 : 0);
      for (; next < end; ++next) all[m].emplace_back(id, next);
    }
  }
  return all;
}

}  // namespace kawait::testing
