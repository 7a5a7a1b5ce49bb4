#pragma once

#include <ostream>
#include <utility>

#include <kawait/core/error.hpp>
#include <kawait/testing/faults.hpp>
#include <kawait/testing/faults_state.hpp>

namespace kawait::testing {
namespace faults_detail {

inline std::string_view scope_words(fault_scope s) {
  switch (s) {
    case fault_scope::request: return "requests";
    case fault_scope::connection: return "connections";
    case fault_scope::cluster: break;
  }
  return "the cluster";
}

inline const entry& find(std::string_view name, fault_scope wanted) {
  const entry& e = find(name);
  if (e.info.scope == wanted) return e;
  throw error(errc::invalid_config, "the fault \"" + std::string(name) + "\" strikes " + std::string(scope_words(e.info.scope)) +
                                        ", not " + std::string(scope_words(wanted)));
}

inline void check(double probability) {
  if (!(probability >= 0 && probability <= 1)) throw error(errc::invalid_config, "a probability lies between 0 and 1");
}

/// Attempts to connect have no client, no API and nothing else of a request.
inline void check_requests(const rule& r) {
  if (r.scope != fault_scope::request) throw error(errc::invalid_config, "attempts to connect are chosen by node and count only");
}

}  // namespace faults_detail

KAWAIT_DECL fault_rule::fault_rule(std::shared_ptr<faults_detail::state> owner, fault_scope scope, std::optional<api_key> api)
    : owner_(std::move(owner)), rule_(std::make_unique<faults_detail::rule>()) {
  rule_->scope = scope;
  rule_->api = api;
}

KAWAIT_DECL fault_rule::fault_rule(const fault_rule& other)
    : owner_(other.owner_), rule_(std::make_unique<faults_detail::rule>(*other.rule_)) {}

KAWAIT_DECL fault_rule::~fault_rule() = default;

KAWAIT_DECL fault_rule& fault_rule::node(std::int32_t id) {
  rule_->node = id;
  return *this;
}

KAWAIT_DECL fault_rule& fault_rule::client(std::string_view id) {
  faults_detail::check_requests(*rule_);
  rule_->client = std::string(id);
  return *this;
}

KAWAIT_DECL fault_rule& fault_rule::connection(std::uint64_t id) {
  faults_detail::check_requests(*rule_);
  rule_->connection = id;
  return *this;
}

KAWAIT_DECL fault_rule& fault_rule::heartbeat(heartbeat_kind kind) {
  return when([kind](const request_view& v) { return heartbeat_kind_of(v) == kind; });
}

KAWAIT_DECL fault_rule& fault_rule::when(std::function<bool(const request_view&)> condition) {
  faults_detail::check_requests(*rule_);
  if (rule_->when) {
    condition = [first = std::move(rule_->when), second = std::move(condition)](const request_view& v) {
      return first(v) && second(v);
    };
  }
  rule_->when = std::move(condition);
  return *this;
}

KAWAIT_DECL fault_rule& fault_rule::nth(std::size_t n) {
  from(n);
  rule_->last = rule_->first;
  return *this;
}

KAWAIT_DECL fault_rule& fault_rule::from(std::size_t n) {
  rule_->first = n == 0 ? 1 : n;
  return *this;
}

KAWAIT_DECL fault_rule& fault_rule::every(std::size_t n) {
  rule_->step = n == 0 ? 1 : n;
  return *this;
}

KAWAIT_DECL fault_rule& fault_rule::times(std::size_t n) {
  rule_->most = n;
  return *this;
}

KAWAIT_DECL fault_rule& fault_rule::chance(double probability) {
  faults_detail::check(probability);
  rule_->chance = probability;
  return *this;
}

KAWAIT_DECL void fault_rule::inject(std::string_view name) {
  const faults_detail::entry& e = faults_detail::find(name, rule_->scope);
  if (rule_->api && !e.fits(*rule_->api)) {
    throw error(errc::invalid_config,
                "the fault \"" + std::string(name) + "\" does not strike " + std::string(name_of(*rule_->api)));
  }
  rule_->known = &e;
  rule_->name = std::string(name);
  owner_->rules.push_back(std::make_shared<faults_detail::rule>(*rule_));
}

KAWAIT_DECL void fault_rule::inject(const fault& f, std::string_view name) {
  if (rule_->scope != fault_scope::request) throw error(errc::invalid_config, "that is a fault of requests");
  rule_->own = f;
  rule_->name = std::string(name);
  owner_->rules.push_back(std::make_shared<faults_detail::rule>(*rule_));
}

KAWAIT_DECL void fault_rule::answer(kafka_error e) {
  inject(fault::answer_with(e), name_of(e));
}

KAWAIT_DECL void fault_rule::plan(connection_plan p, std::string_view name) {
  if (rule_->scope != fault_scope::connection) throw error(errc::invalid_config, "that is a fault of connections");
  rule_->own_plan = std::move(p);
  rule_->name = std::string(name);
  owner_->rules.push_back(std::make_shared<faults_detail::rule>(*rule_));
}

KAWAIT_DECL faults::faults(broker& b, std::uint64_t seed) : state_(std::make_shared<faults_detail::state>(b, seed)) {
  state_->attach();
}

KAWAIT_DECL faults::~faults() { state_->detach(); }

KAWAIT_DECL fault_rule faults::on(api_key api) { return fault_rule(state_, fault_scope::request, api); }

KAWAIT_DECL fault_rule faults::on_request() { return fault_rule(state_, fault_scope::request, std::nullopt); }

KAWAIT_DECL fault_rule faults::on_connection() {
  if (!state_->network) throw error(errc::invalid_config, "faults of connections need a broker in a testing::world");
  return fault_rule(state_, fault_scope::connection, std::nullopt);
}

KAWAIT_DECL void faults::by_chance(std::string_view name, double probability) {
  const bool of_requests = faults_detail::find(name).info.scope == fault_scope::request;
  fault_rule r = of_requests ? on_request() : on_connection();
  r.chance(probability).inject(name);
}

KAWAIT_DECL void faults::all_by_chance(double probability) {
  for (const fault_info& f : fault_catalogue()) {
    if (f.scope == fault_scope::cluster || (f.scope == fault_scope::connection && !state_->network)) continue;
    if (f.outcome == fault_outcome::survived) by_chance(f.name, probability);
  }
}

KAWAIT_DECL bool faults::act(std::string_view name) { return state_->act(faults_detail::find(name, fault_scope::cluster)); }

KAWAIT_DECL void faults::after(net::duration d, std::string_view name) {
  const faults_detail::entry& e = faults_detail::find(name, fault_scope::cluster);
  state_->later(d, [s = state_.get(), &e] { s->act(e); });
}

KAWAIT_DECL void faults::after(net::duration d, std::function<void(broker&)> what, std::string_view name) {
  state_->later(d, [s = state_.get(), what = std::move(what), name = std::string(name)] {
    what(*s->cluster);
    s->count(name, "of the cluster");
  });
}

KAWAIT_DECL void faults::at_random(net::duration mean, std::vector<std::string> names) {
  std::vector<const faults_detail::entry*> from;
  for (const std::string& name : names) from.push_back(&faults_detail::find(name, fault_scope::cluster));
  for (const faults_detail::entry& e : faults_detail::entries()) {
    if (names.empty() && e.info.scope == fault_scope::cluster && e.info.outcome == fault_outcome::survived) from.push_back(&e);
  }
  state_->at_random(mean, std::move(from));
}

KAWAIT_DECL void faults::heal() { state_->heal(); }

KAWAIT_DECL const std::map<std::string, std::size_t>& faults::hits() const { return state_->hits; }

KAWAIT_DECL std::size_t faults::hits(std::string_view name) const {
  const auto found = state_->hits.find(std::string(name));
  return found == state_->hits.end() ? 0 : found->second;
}

KAWAIT_DECL void faults::report(std::ostream& out) const {
  std::map<std::string, std::size_t> own = state_->hits;
  for (const fault_info& f : fault_catalogue()) {
    const std::string name(f.name);
    out << hits(f.name) << '\t' << name << '\t' << f.meaning << '\n';
    own.erase(name);
  }
  for (const auto& [name, n] : own) out << n << '\t' << name << '\n';
}

}  // namespace kawait::testing
