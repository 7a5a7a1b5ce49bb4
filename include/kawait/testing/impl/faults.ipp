#pragma once

#include <kawait/testing/faults.hpp>

#include <algorithm>
#include <deque>
#include <stdexcept>

#include <kawait/net/timer.hpp>
#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>

namespace kawait::testing {
namespace fault_detail {

using kind = fault::kind;
using maker = fault (*)(std::uint64_t random);

struct named_fault {
  const char* name;
  std::optional<api_key> api;
  heartbeat_kind heartbeat;
  maker make;
};

template <kafka_error Error>
fault says(std::uint64_t) {
  return fault::answer_with(Error);
}
template <fault::kind Kind>
fault plainly(std::uint64_t) {
  return fault(Kind);
}
inline fault late(std::uint64_t random) { return fault::answered_late(std::chrono::milliseconds(1 + random % 3000)); }
inline fault too_late(std::uint64_t) { return fault::answered_late(std::chrono::seconds(45)); }
inline fault cut(std::uint64_t random) { return fault::cut_after(random % 200); }
inline fault stall(std::uint64_t random) { return fault::stall_after(random % 200); }
inline fault wrong_id(std::uint64_t random) { return fault::corrupt(random % 4); }
inline fault spoilt(std::uint64_t random) { return fault::corrupt(4 + random % 4096); }
inline fault negative(std::uint64_t) { return fault::length(-2); }
inline fault huge(std::uint64_t) { return fault::length(0x7ffffff0); }

/// The faults of reliability.md that are faults of requests.
inline const std::vector<named_fault>& all() {
  using e = kafka_error;
  constexpr auto any = heartbeat_kind::any;
  constexpr auto beat = api_key::consumer_group_heartbeat;
  static const std::vector<named_fault> list = {
      // Transport.
      {"lost request", {}, any, plainly<kind::drop_request>},
      {"lost answer", {}, any, plainly<kind::drop_answer>},
      {"closed before", {}, any, plainly<kind::close_before>},
      {"closed after", {}, any, plainly<kind::close_after>},
      {"cut answer", {}, any, cut},
      {"stalled answer", {}, any, stall},
      {"silence", {}, any, plainly<kind::silence>},
      {"slow answer", {}, any, late},
      {"closed in mid-fetch", api_key::fetch, any, cut},
      // Wire.
      {"wrong correlation id", {}, any, wrong_id},
      {"answer after the time-out", {}, any, too_late},
      {"negative length", {}, any, negative},
      {"huge length", {}, any, huge},
      {"bad CRC", api_key::fetch, any, plainly<kind::corrupt_records>},
      {"spoilt fetch", api_key::fetch, any, spoilt},
      {"spoilt metadata", api_key::metadata, any, spoilt},
      {"no such version", api_key::api_versions, any, says<e::unsupported_version>},
      // Group.
      {"lost heartbeat answer", beat, any, plainly<kind::drop_answer>},
      {"lost join answer", beat, heartbeat_kind::join, plainly<kind::drop_answer>},
      {"lost acknowledgement", beat, heartbeat_kind::acknowledgement, plainly<kind::drop_request>},
      {"lost acknowledgement answer", beat, heartbeat_kind::acknowledgement, plainly<kind::drop_answer>},
      {"lost leave answer", beat, heartbeat_kind::leave, plainly<kind::drop_answer>},
      {"coordinator loading", beat, any, says<e::coordinator_load_in_progress>},
      {"coordinator unavailable", beat, any, says<e::coordinator_not_available>},
      {"coordinator elsewhere", beat, any, says<e::not_coordinator>},
      {"fenced member epoch", beat, any, says<e::fenced_member_epoch>},
      {"unknown member", beat, any, says<e::unknown_member_id>},
      {"unknown group", beat, heartbeat_kind::keep_alive, says<e::group_id_not_found>},
      {"stale epoch on commit", api_key::offset_commit, any, says<e::stale_member_epoch>},
      {"unknown member on commit", api_key::offset_commit, any, says<e::unknown_member_id>},
      {"commit refused for now", api_key::offset_commit, any, says<e::coordinator_load_in_progress>},
      {"lost commit answer", api_key::offset_commit, any, plainly<kind::drop_answer>},
      {"stale epoch on offset fetch", api_key::offset_fetch, any, says<e::stale_member_epoch>},
      {"unstable offsets", api_key::offset_fetch, any, says<e::unstable_offset_commit>},
      {"no coordinator found", api_key::find_coordinator, any, says<e::coordinator_not_available>},
      // Log.
      {"not the leader", api_key::fetch, any, says<e::not_leader_or_follower>},
      {"fenced leader epoch", api_key::fetch, any, says<e::fenced_leader_epoch>},
      {"broker behind", api_key::fetch, any, says<e::unknown_leader_epoch>},
      {"storage error", api_key::fetch, any, says<e::kafka_storage_error>},
      {"session lost", api_key::fetch, any, says<e::fetch_session_id_not_found>},
      {"session epoch wrong", api_key::fetch, any, says<e::invalid_fetch_session_epoch>},
      {"unknown topic id", api_key::fetch, any, says<e::unknown_topic_id>},
      {"offsets not available", api_key::list_offsets, any, says<e::offset_not_available>}};
  return list;
}

inline heartbeat_kind kind_of(const request_view& r) {
  protocol::consumer_group_heartbeat_request q;
  if (protocol::decode_request(q, r.body, r.version)) return heartbeat_kind::any;
  if (q.member_epoch < 0) return heartbeat_kind::leave;
  if (q.member_epoch == 0) return heartbeat_kind::join;
  return q.topic_partitions ? heartbeat_kind::acknowledgement : heartbeat_kind::keep_alive;
}

}  // namespace fault_detail

struct faults::state {
  std::deque<fault_rule> rules;
  std::map<std::string, std::size_t> hits;
  std::uint64_t seed = 1;
  std::map<std::int32_t, net::time_point> down;  // nodes that are stopped or frozen, until when
  bool stopped = false;

  // SplitMix64.
  std::uint64_t random() {
    std::uint64_t z = seed += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  double unit() { return static_cast<double>(random() >> 11) / 9007199254740992.0; }
};

KAWAIT_DECL faults::faults(broker& b, std::uint64_t seed) : broker_(b), state_(std::make_shared<state>()) {
  state_->seed = seed;
  b.set_faults([s = state_](const request_view& r) { return decide(*s, r); });
}

KAWAIT_DECL bool faults::applies(const fault_rule& rule, const request_view& r) {
  if (rule.api_ && *rule.api_ != r.api) return false;
  if (rule.node_ && *rule.node_ != r.node) return false;
  if (rule.client_ && *rule.client_ != r.client_id) return false;
  if (rule.heartbeat_ == heartbeat_kind::any) return true;
  return r.api == api_key::consumer_group_heartbeat && fault_detail::kind_of(r) == rule.heartbeat_;
}

KAWAIT_DECL fault faults::decide(state& s, const request_view& r) {
  for (fault_rule& rule : s.rules) {
    if (!applies(rule, r)) continue;
    const std::size_t n = ++rule.seen_;
    if (n < rule.first_ || n > rule.last_) continue;
    if (rule.chance_ < 1 && s.unit() >= rule.chance_) continue;
    ++s.hits[rule.name_];
    return rule.make_(s.random());
  }
  return fault();
}

KAWAIT_DECL fault_rule& faults::make(std::string name, std::function<fault(std::uint64_t)> make) {
  fault_rule& rule = state_->rules.emplace_back();
  rule.name_ = std::move(name);
  rule.make_ = std::move(make);
  return rule;
}

KAWAIT_DECL fault_rule& faults::on(api_key api, fault what) {
  fault_rule& rule = on_any(what);
  rule.api_ = api;
  return rule;
}

KAWAIT_DECL fault_rule& faults::on_any(fault what) {
  return make("unnamed", [what](std::uint64_t) { return what; });
}

KAWAIT_DECL fault_rule& faults::add(std::string_view name) {
  for (const fault_detail::named_fault& f : fault_detail::all()) {
    if (f.name != name) continue;
    fault_rule& rule = make(f.name, f.make);
    rule.api_ = f.api;
    rule.heartbeat_ = f.heartbeat;
    return rule;
  }
  throw std::out_of_range("there is no fault called " + std::string(name));
}

KAWAIT_DECL std::vector<std::string_view> faults::catalogue() {
  std::vector<std::string_view> names;
  for (const fault_detail::named_fault& f : fault_detail::all()) names.emplace_back(f.name);
  return names;
}

KAWAIT_DECL void faults::clear() { state_->rules.clear(); }

KAWAIT_DECL void faults::stop() noexcept { state_->stopped = true; }

KAWAIT_DECL const std::map<std::string, std::size_t>& faults::hits() const { return state_->hits; }

}  // namespace kawait::testing

#include <kawait/testing/impl/faults_cluster.ipp>
