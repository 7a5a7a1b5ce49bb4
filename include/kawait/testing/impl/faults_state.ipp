#pragma once

#include <algorithm>
#include <exception>
#include <utility>

#include <asio/post.hpp>

#include <kawait/core/error.hpp>
#include <kawait/testing/broker_core.hpp>
#include <kawait/testing/faults_state.hpp>

namespace kawait::testing::faults_detail {

KAWAIT_DECL bool rule::fits(const request_view& v) const {
  if (scope != fault_scope::request) return false;
  if ((api && *api != v.api) || (known && !known->fits(v))) return false;
  if ((node && *node != v.node) || (client && *client != v.client_id)) return false;
  return (!connection || *connection == v.connection) && (!when || when(v));
}

KAWAIT_DECL bool rule::is_due(state& s) {
  ++seen;
  if (seen < first || seen > last || seen % step != 0 || struck >= most) return false;
  // Drawn only where it matters, but whether or not an earlier rule struck: rules do not shift each other's chances.
  return chance >= 1 || static_cast<double>(s.random() >> 11) * 0x1p-53 < chance;
}

KAWAIT_DECL state::state(broker& b, std::uint64_t seed)
    : cluster(&b),
      env(net::environment::of(b.get_executor())),
      network(dynamic_cast<memory_network*>(&env.net())),
      clock(dynamic_cast<simulated_backend*>(env.clock())),
      seed_(seed),
      changed_(b.get_executor()) {}

KAWAIT_DECL void state::attach() {
  if (cluster->core_->faults_owner) throw error(errc::invalid_config, "a broker has one testing::faults at a time");
  cluster->core_->faults_owner = this;
  const std::weak_ptr<state> weak = weak_from_this();
  cluster->set_faults([weak](const request_view& v) {
    const auto self = weak.lock();
    return self ? self->decide(v) : fault();
  });
  if (network) {
    cluster->set_connection_faults([weak](std::int32_t node, const connection_attempt& a, connection_plan& plan) {
      if (const auto self = weak.lock()) self->decide(node, a, plan);
    });
  }
  asio::co_spawn(cluster->get_executor(), run(shared_from_this()), [](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
  });
}

KAWAIT_DECL void state::detach() {
  detached_ = true;
  ++heals_;
  cluster->core_->faults_owner = nullptr;
  cluster->set_faults(nullptr);
  cluster->core_->end_faults();
  if (network) cluster->set_connection_faults(nullptr);
  events_.clear();
  rules.clear();
  changed_.notify_all();
}

// SplitMix64.
KAWAIT_DECL std::uint64_t state::random() {
  std::uint64_t z = seed_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

KAWAIT_DECL void state::count(std::string_view name, std::string_view who) {
  ++hits[std::string(name)];
  if (network && network->trace().is_read()) network->trace().note(now(), "FAULT", std::string(name) + " " + std::string(who));
}

KAWAIT_DECL fault state::decide(const request_view& v) {
  // By index: a condition may make rules, which strike from the next request on, and may heal, with which all is over.
  std::shared_ptr<rule> first;
  const std::uint64_t heals = heals_;
  const std::size_t count_of_rules = rules.size();
  for (std::size_t i = 0; i < count_of_rules; ++i) {
    const std::shared_ptr<rule> r = rules[i];
    const bool fits = r->fits(v);
    if (heals != heals_) return fault();
    if (fits && r->is_due(*this) && !first) first = r;
  }
  if (!first) return fault();
  ++first->struck;
  fault f = first->known ? first->known->make(*this) : first->own;
  std::string who = "of request ";
  who.append(std::to_string(v.number_on_connection)).append(" (").append(name_of(v.api)).append(") of connection ");
  who.append(std::to_string(v.connection)).append(" at node ").append(std::to_string(v.node));
  f.struck = [self = shared_from_this(), name = first->name, who, own = std::move(f.struck)] {
    self->count(name, who);
    if (own) own();
  };
  return f;
}

KAWAIT_DECL void state::decide(std::int32_t node, const connection_attempt& a, connection_plan& plan) {
  const auto hidden = unreachable.find(node);
  if (hidden != unreachable.end() && hidden->second > 0) plan.what = connection_plan::outcome::black_hole;
  std::shared_ptr<rule> first;
  for (const std::shared_ptr<rule>& r : rules) {
    if (r->scope != fault_scope::connection || (r->node && *r->node != node)) continue;
    if (r->is_due(*this) && !first) first = r;
  }
  if (!first) return;
  ++first->struck;
  if (first->known) {
    first->known->plan(*this, plan);
  } else {
    plan = first->own_plan;
  }
  count(first->name, "of attempt " + std::to_string(a.number) + " to connect to node " + std::to_string(node));
}

KAWAIT_DECL std::optional<topic_partition> state::pick_partition() {
  const auto topic = pick(cluster->topics());
  if (!topic || topic->second == 0) return std::nullopt;
  return topic_partition(topic->first, static_cast<std::int32_t>(below(static_cast<std::size_t>(topic->second))));
}

KAWAIT_DECL bool state::exists(const topic_partition& p) const {
  for (const auto& [name, partitions] : cluster->topics()) {
    if (name == p.topic) return p.partition < partitions;
  }
  return false;
}

KAWAIT_DECL std::optional<state::group_member_name> state::pick_member() {
  std::vector<group_member_name> all;
  const group_coordinator& groups = cluster->group();
  for (const std::string& g : groups.groups()) {
    for (const member_view& m : groups.members(g)) {
      if (m.client_id != "scripted") all.push_back(group_member_name{g, m.id});
    }
  }
  return pick(all);
}

KAWAIT_DECL bool state::act(const entry& e) {
  if (!e.act(*this)) return false;
  count(e.info.name, "of the cluster");
  return true;
}

KAWAIT_DECL void state::later(net::duration d, std::function<void()> what, bool undoes) {
  event e;
  e.what = std::move(what);
  e.undoes = undoes;
  events_.emplace(now() + d, std::move(e));
  changed_.notify_all();
}

// Even between none and twice the mean.
KAWAIT_DECL void state::at_random(net::duration mean, std::vector<const entry*> from) {
  const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(2 * mean).count();
  const auto wait = between(0, std::max<std::int64_t>(most, 1));
  later(wait, [this, mean, from = std::move(from)] {
    try {
      act(**pick(from));
    } catch (...) {
      at_random(mean, from);
      throw;
    }
    at_random(mean, from);
  });
}

KAWAIT_DECL void state::heal() {
  ++heals_;
  rules.clear();
  std::multimap<net::time_point, event> events = std::exchange(events_, {});
  for (auto& [at, e] : events) {
    if (e.undoes) e.what();
  }
  unreachable.clear();
  cluster->core_->end_faults();
  changed_.notify_all();
}

// What a test's own function throws leaves the context's run, and what else is to happen happens.
KAWAIT_DECL void state::happen(const event& e) {
  try {
    e.what();
  } catch (...) {
    asio::post(cluster->get_executor(), [thrown = std::current_exception()] { std::rethrow_exception(thrown); });
  }
}

// The context owns it: it ends when the faults are detached, or with the context.
KAWAIT_DECL asio::awaitable<void> state::run(std::shared_ptr<state> self) {
  while (!self->detached_) {
    const auto next = self->events_.begin();
    const net::time_point at = next == self->events_.end() ? net::time_point::max() : next->first;
    if (at > self->now()) {
      const std::error_code ignored = co_await self->changed_.wait_until(at);
      (void)ignored;
      continue;
    }
    const event e = std::move(next->second);
    self->events_.erase(next);
    self->happen(e);
  }
}

}  // namespace kawait::testing::faults_detail
