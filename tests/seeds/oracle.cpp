#include "oracle.hpp"

#include <algorithm>

namespace seeds {

using namespace std::chrono_literals;
using kawait::topic_id_partition;
using kawait::topic_partition;
using phase = ownership::phase;

namespace {

/// The fault's longest, and the time until somebody looks.
constexpr auto slowest_request = 10s + 250ms;

/// Nothing delays what is sent, or has it served later.
bool is_prompt(const plan& p) {
  static constexpr std::string_view delays[] = {
      "latency",      "slow-link",    "small-window",    "node-frozen", "node-unreachable", "coordinator-unreachable",
      "network-down", "slow-request", "clients-stopped", "slow-answer", "late-answer",      "quota",
      "silence",      "follower-gone"};
  for (const member_plan& m : p.members) {
    if (m.what == interruption::freeze) return false;
  }
  return p.latency_ms == 0 && p.outage_ms == 0 && !p.fences_unheard &&
         std::none_of(std::begin(delays), std::end(delays), [&](std::string_view name) { return p.has_fault(name); });
}

/// What was sent has come to the broker so late at most. A request that is not answered in its time has its connection torn down, and
/// what of it has not arrived by then never does; but while its sender stands still, nobody sees that.
std::chrono::milliseconds lag_of(const plan& p) {
  if (is_prompt(p)) return 0ms;
  std::chrono::milliseconds all = request_timeout + 1s;
  if (p.faults.empty() && p.outage_ms == 0) all = 2 * p.latency_ms * 1ms + 50ms;
  for (const fault_plan& f : p.faults) {
    if (f.name == "clients-stopped") all += std::max(1, f.times) * 2min;
  }
  int stands_still = 0;
  for (const member_plan& m : p.members) {
    if (m.what == interruption::freeze) stands_still = std::max(stands_still, m.lasts_ms);
  }
  return all + stands_still * 1ms;
}

bool is_served_in_time(const plan& p) {
  static constexpr std::string_view halts[] = {"node-frozen",  "node-unreachable", "coordinator-unreachable",
                                               "network-down", "follower-gone",    "slow-request"};
  return std::none_of(std::begin(halts), std::end(halts), [&](std::string_view name) { return p.has_fault(name); });
}

/// What buffers may hold beside their budget (config::fetch_buffer_bytes). Of the record batches only bombs are larger than a
/// partition's share: each may be a partition's own.
std::size_t head_room_of(const plan& p) {
  using kawait::runtime::buffer_pool;
  constexpr std::size_t inflated = kawait::wire::default_decompression_limit + (std::size_t{1} << 20), others = 64 << 10;
  const std::size_t one_response = buffer_pool::capacity_for(fetch_buffer_bytes / 8);
  // What outgrows its slab is copied to one of twice its size, or of the limit's.
  const bool has_bombs = std::any_of(p.faults.begin(), p.faults.end(), [](const fault_plan& f) { return f.name.ends_with("-bomb"); });
  const std::size_t decompressed = has_bombs ? decompression_limit : 2 * bulk;
  std::size_t all = one_response + decompressed + decompressed / 2;
  for (const fault_plan& f : p.faults) {
    // Snappy makes at most 64 bytes of 3, lz4 255 of one; the bombs of the others are shorter than what is asked for.
    const std::size_t bomb = f.name == "snappy-bomb" ? inflated / 64 * 3 : f.name == "lz4-bomb" ? inflated / 255 : 0;
    if (bomb > 0) all += static_cast<std::size_t>(f.times) * buffer_pool::capacity_for(bomb + others);
  }
  return all;
}

}  // namespace

oracle::oracle(kawait::testing::world& w, kawait::testing::broker& b, const plan& p)
    : world_(w),
      broker_(b),
      plan_(p),
      ledger_(b, p.committed_only),
      prompt_(is_prompt(p)),
      lag_(lag_of(p)),
      served_in_time_(is_served_in_time(p)),
      calm_(prompt_ && p.faults.empty() && p.answers_lost_percent == 0),
      head_room_(head_room_of(p)) {
  has_manual_ = std::any_of(p.members.begin(), p.members.end(), [](const member_plan& m) { return m.manual; });
}

void oracle::fail(invariant i, std::string words) {
  // Nobody can tell what a byte was that no checksum covers: what follows must not hang, nor be without bounds, and that is all.
  const bool holds_anyway = i == invariant::completes_once || i == invariant::bounded_retries || i == invariant::bounded_memory;
  if (plan_.has_fault("flipped-byte") && !holds_anyway) return;
  note("VIOLATED", std::to_string(static_cast<int>(i)) + ": " + words);
  // The first says most; those that follow from it are without number.
  if (violations_.empty()) violations_.push_back(violation{i, std::move(words)});
}

void oracle::note(std::string_view who, std::string_view what) {
  auto& trace = world_.network().trace();
  if (trace.is_read()) trace.note(world_.now(), who, what);
}

void oracle::sample() {
  ledger_.look();
  check_committed();
  check_owners();
  for (const auto& c : clients_) check_buffers(*c);
  check_deadlines();
  check_attempts();
}

// The broker expels who has not given up what it was to give up when the rebalance time-out has passed.
void oracle::check_deadlines() {
  if (!prompt_) return;
  for (const auto& c : clients_) {
    for (const auto& o : c->owned) {
      if (o->at != phase::revoking || o->revoked + rebalance_timeout > world_.now()) continue;
      fail(invariant::drained_first, c->name + " holds " + o->name.to_string() + " beyond the deadline of its revocation");
    }
  }
}

void oracle::check_deadline(const client& c, const ownership& o, time_point ended) {
  const auto due = std::min(o.due, c.closes);
  if (ended >= due) return;
  const auto early = std::chrono::duration_cast<std::chrono::milliseconds>(due - ended).count();
  fail(invariant::drained_first, c.name + " gave " + o.name.to_string() + " up with work in hand, " + std::to_string(early) +
                                     " ms before the deadline");
}

void oracle::check_attempts() {
  std::size_t all = 0;
  for (const std::int32_t node : broker_.nodes()) {
    const auto where = broker_.address(node);
    all += world_.network().attempts(where.host, where.port);
  }
  if (all > attempts_ + 100 * clients_.size()) {
    fail(invariant::bounded_retries, std::to_string(all - attempts_) + " attempts to connect at once");
  }
  attempts_ = all;
}

// A commit that was under way when its log was truncated, or its topic made anew under the same name, names offsets of old.
bool oracle::is_sound(const book* b) const {
  return b && !b->gone && !b->truncated && !b->inherits;
}

void oracle::check_committed() {
  for (const heir& h : std::exchange(heirs_, {})) {
    book* const b = ledger_.current(h.name);
    const auto committed = broker_.committed(group, h.name.topic, h.name.partition);
    if (!b || committed != h.offset) continue;
    const std::int64_t checked = checked_[*ledger_.current_id(h.name)];
    if (!h.is_late) b->inherits = true;
    if (h.is_late && *committed < checked && !b->fell_from) b->fell_from = checked;
  }
  for (const suspicion& s : std::exchange(suspicions_, {})) {
    const auto now = broker_.committed(group, s.name.topic, s.name.partition);
    const auto owner = broker_.group().owner(group, s.name);
    const book* b = ledger_.current(s.name);
    if (now != s.offset || owner != s.owner || !b || checked_[*ledger_.current_id(s.name)] == s.offset) continue;
    fail(invariant::commits_of_owned, s.who + " committed " + s.name.to_string() + ", which is " + s.owner + "'s by now");
  }
  for (auto& [where, b] : ledger_.books()) {
    if (b.gone) continue;
    const auto committed = broker_.committed(group, b.name.topic, b.name.partition);
    std::int64_t& checked = checked_[where];
    if (!committed || *committed == checked) continue;
    if (*committed > checked && is_sound(&b)) {
      const entry* e = ledger_.first_missing(where, checked, *committed);
      // Served late, to the topic that has the name by now: what was not done is passed over, or will be, once it is written.
      if ((e || *committed > b.end) && was_of_another(where, b.name, *committed)) {
        b.inherits = true;
      } else if (e) {
        fail(invariant::at_least_once, b.name.to_string() + " is committed at " + std::to_string(*committed) + ", though " +
                                           std::to_string(e->offset) + " was not done");
      }
    }
    if (*committed < checked) on_moved_back(b, checked, *committed);
    checked = *committed;
    if (b.fell_from && checked >= *b.fell_from) b.fell_from.reset();
  }
}

void oracle::on_moved_back(book& b, std::int64_t from, std::int64_t to) {
  if (!is_sound(&b) || b.sought || b.reset || b.fell_from) return;
  if (was_given_up(b.name, to)) {
    b.fell_from = from;
    return;
  }
  fail(invariant::commits_of_owned, b.name.to_string() + " was committed at " + std::to_string(from) + ", and then at " +
                                        std::to_string(to));
}

// A commit is made, and held back by the fault; its time passes, or that of a request before it; whoever sent it closes the connection,
// and commits anew, and more; then the first is served.
bool oracle::was_given_up(const topic_partition& p, std::int64_t offset) const {
  const auto now = world_.now();
  return std::any_of(asked_.begin(), asked_.end(), [&](const asked_commit& a) {
    return a.name == p && a.offset == offset && broker_.is_closed_by_client(a.connection) && a.at + slowest_request >= now;
  });
}

// A commit by name that is served when its topic has been made anew.
bool oracle::was_of_another(const topic_id_partition& where, const topic_partition& p, std::int64_t offset) const {
  const auto now = world_.now();
  return std::any_of(asked_.begin(), asked_.end(), [&](const asked_commit& a) {
    return a.name == p && a.offset == offset && a.where && a.where != where && a.is_by_name && a.at + slowest_request >= now;
  });
}

void oracle::check_owners() {
  std::map<topic_id_partition, const client*> owners;
  for (const auto& c : clients_) {
    if (!c->consumer) continue;
    const auto member = broker_.group().member(group, c->consumer->member_id());
    // Who is behind does not know yet what has become of it.
    if (!member || member->epoch != c->consumer->member_epoch() || member->client_id != c->name) continue;
    const auto held = c->consumer->assignment();
    for (const auto& o : c->owned) {
      if (!o->is_live() || !o->where) continue;
      // Told late, it is of a topic that has been made anew meanwhile, and looks like the new one's.
      if (std::none_of(held.begin(), held.end(), [&](const kawait::partition& p) { return p.info()->id == *o->where; })) continue;
      const auto [other, is_first] = owners.emplace(*o->where, c.get());
      if (is_first || other->second == c.get()) continue;
      fail(invariant::one_owner, o->name.to_string() + " is " + other->second->name + "'s and " + c->name + "'s");
    }
  }
}

void oracle::check_survives(const client& c, std::string_view what, std::error_code why) {
  if (plan_.is_hostile()) return;
  if (c.id.empty() && why == kawait::kafka_error::unreleased_instance_id) return;  // its predecessor is in the group still
  // A join is answered FENCED_MEMBER_EPOCH; the leave behind it finds the predecessor under the instance id, which is waiting to be
  // replaced, or to expire: the library ends with that answer, though the next join could do it (membership::on_leave_answered).
  const bool was_fenced_in_joining = plan_.has_fault("fenced-epoch") && why == kawait::kafka_error::fenced_instance_id;
  if (c.id.empty() && was_fenced_in_joining) return;
  // No broker was reached, or none answered well, for as long as that may take: what came of the last attempt is told.
  const bool is_of_kafka = &why.category() == &kawait::make_error_code(kawait::kafka_error::none).category();
  const bool may_pass = !is_of_kafka || why == kawait::condition::retriable;
  if (c.id.empty() && may_pass && !calm_ && world_.now() >= c.since + api_timeout) return;
  if (why == kawait::errc::closed || why == asio::error::operation_aborted) return;
  // Who reads on with batches in hand that fill the partition's share is told; if it was frozen, when they are released already.
  const bool has_had_any = std::any_of(c.owned.begin(), c.owned.end(), [](const auto& o) { return o->began; });
  if (plan_.bulky && has_had_any && why == kawait::errc::lease_quota) return;
  fail(invariant::survives, c.name + ": " + std::string(what) + " failed: " + why.message());
}

void oracle::check_buffers(const client& c) {
  if (!c.consumer || c.left_work) return;
  const auto& buffers = c.consumer->engine()->buffers();
  // What was handed out when there were fewer partitions may be more than a share is now.
  const std::size_t larger_shares = c.assignments > 1 ? (c.assignments - 1) * buffers.budget() / 2 : 0;
  if (buffers.peak() <= buffers.budget() + head_room_ + larger_shares) return;
  fail(invariant::bounded_memory, c.name + " has held " + std::to_string(buffers.peak()) + " bytes");
}

void oracle::check_given_back(const client& c) {
  // What was given up at its deadline may be in hand still.
  const bool is_working = std::any_of(c.owned.begin(), c.owned.end(), [](const auto& o) { return o->in_hand > 0; });
  if (is_working) return;
  const std::size_t held = c.consumer->engine()->buffers().charged();
  if (held > 0) fail(invariant::bounded_memory, c.name + " has closed, and holds " + std::to_string(held) + " bytes still");
}

std::optional<std::string> oracle::unsettled(bool strictly) {
  ledger_.look();
  for (auto& [where, b] : ledger_.books()) {
    // Of a place that the application named nobody knows the leader epoch, by which truncation is found.
    if (b.gone || b.inherits || (b.sought && b.truncated)) continue;
    if (const entry* e = ledger_.first_missing(where, 0, b.end)) {
      return b.name.to_string() + " at " + std::to_string(e->offset) + " was not read";
    }
    std::int64_t last = -1;
    for (auto i = b.at.rbegin(); i != b.at.rend() && last < 0; ++i) {
      if (ledger_.first_missing(where, i->first, i->first + 1, true)) last = i->first;
    }
    // An earlier commit that was held up on a connection since closed may come behind, and stand until the next.
    if ((b.sought || b.fell_from || has_manual_ || !prompt_) && !strictly) continue;
    const auto committed = broker_.committed(group, b.name.topic, b.name.partition);
    if (last >= 0 && (!committed || *committed <= last)) {
      return b.name.to_string() + " is committed at " + std::to_string(committed.value_or(-1)) + ", done up to " +
             std::to_string(last);
    }
  }
  return std::nullopt;
}

std::optional<std::string> oracle::silent(std::chrono::milliseconds within) const {
  for (const auto& c : clients_) {
    if (!c->consumer || c->closing) continue;
    if (!c->last_heartbeat || *c->last_heartbeat + within < world_.now()) return c->name;
  }
  return std::nullopt;
}

}  // namespace seeds
