// What consumers tell, and what handlers get and do.

#include <algorithm>

#include "oracle.hpp"

namespace seeds {

using kawait::topic_id_partition;
using kawait::topic_partition;
using namespace std::chrono_literals;
using phase = ownership::phase;

namespace {

/// Whether a commit's failure is one that passes.
bool is_passing(const std::string& words) {
  for (const char* name : {"COORDINATOR_LOAD_IN_PROGRESS", "COORDINATOR_NOT_AVAILABLE", "NOT_COORDINATOR", "REQUEST_TIMED_OUT"}) {
    if (words.find(name) != words.npos) return true;
  }
  return false;
}

}  // namespace

void ownership::mark(std::int64_t from, std::int64_t to) {
  auto i = done.upper_bound(from);
  if (i != done.begin() && std::prev(i)->second >= from) {
    --i;
    from = i->first;
  }
  while (i != done.end() && i->first <= to) {
    to = std::max(to, i->second);
    i = done.erase(i);
  }
  done.emplace(from, to);
}

bool ownership::is_done(std::int64_t offset) const {
  const auto i = done.upper_bound(offset);
  return i != done.begin() && std::prev(i)->second > offset;
}

std::shared_ptr<ownership> client::newest(const topic_partition& p) const {
  for (auto i = owned.rbegin(); i != owned.rend(); ++i) {
    if ((*i)->name == p) return *i;
  }
  return nullptr;
}

void client::end(ownership& o, time_point now) {
  o.at = ownership::phase::over;
  o.ended = now;
  left_work = left_work || o.in_hand > 0;
}

ownership* client::live(const topic_partition& p) const {
  for (auto i = owned.rbegin(); i != owned.rend(); ++i) {
    if ((*i)->name == p && (*i)->is_live()) return i->get();
  }
  return nullptr;
}

/// Passes on what one consumer tells.
class oracle::watcher final : public kawait::observer {
 public:
  watcher(oracle& o, client& c) : oracle_(o), client_(c) {}

  void on_joined(const joined& e) override {
    client_.id = std::string(e.member_id);
    client_.fenced.reset();
    oracle_.reach("event: joined");
    tell("joined at epoch " + std::to_string(e.member_epoch));
  }
  void on_assigned(const assigned& e) override { oracle_.on_assigned(client_, e); }
  void on_revoked(const revoked& e) override { oracle_.on_revoked(client_, e); }
  void on_drained(const drained& e) override { oracle_.on_drained(client_, e); }
  void on_lost(const lost& e) override { oracle_.on_lost(client_, e); }
  void on_delivered(const delivered& e) override { oracle_.on_delivered(client_, e); }
  void on_left(const left&) override {
    oracle_.reach("event: left");
    tell("left");
  }
  void on_heartbeat(const heartbeat& e) override {
    if (e.refused) oracle_.reach("heartbeat: " + e.refused.message());
    using kawait::kafka_error;
    const bool is_out = e.refused == kafka_error::fenced_member_epoch || e.refused == kafka_error::unknown_member_id ||
                        e.refused == kafka_error::group_id_not_found || e.refused == kafka_error::fenced_instance_id;
    if (is_out) client_.fenced = oracle_.world_.now();
  }
  void on_committed(const committed& e) override {
    for (const committed_offset& o : e.offsets) {
      oracle_.reach(o.outcome ? "commit: " + o.outcome.code.message() : "commit: done");
      tell("commit of " + o.partition.to_string() + " at " + std::to_string(o.offset) + ": " +
           (o.outcome ? o.outcome.to_string() : "done"));
    }
  }
  void on_throttled(const throttled&) override { oracle_.reach("event: throttled"); }
  void on_disconnected(const disconnected& e) override {
    oracle_.reach("disconnected: " + e.reason.code.message());
  }
  void on_warned(const warned& e) override {
    const std::error_code code = e.reason.code;
    if (code == kawait::kafka_error::offset_out_of_range || code == kawait::errc::log_truncated) {
      oracle_.on_reset(client_, e.reason.words);
    }
    oracle_.reach("warning: " + code.message());
    tell("warning: " + e.reason.to_string());
  }
  void on_ended(const ended& e) override {
    if (e.reason) oracle_.check_survives(client_, "the consumer", e.reason.code);
    oracle_.reach(e.reason ? "ended: " + e.reason.code.message() : "ended: closed");
    tell("ended: " + (e.reason ? e.reason.to_string() : "closed"));
  }

 private:
  void tell(const std::string& what) { oracle_.note(client_.name, what); }

  oracle& oracle_;
  client& client_;
};

std::shared_ptr<kawait::observer> oracle::watch(client& c) { return std::make_shared<watcher>(*this, c); }

client& oracle::add_client(std::string name, const member_plan& p) {
  auto c = std::make_unique<client>();
  c->name = std::move(name);
  c->manual = p.manual;
  c->since = world_.now();
  c->reads_itself = p.how == style::pulls || p.how == style::events;
  clients_.push_back(std::move(c));
  return *clients_.back();
}

void oracle::on_gone(client& c) {
  c.consumer = nullptr;
  for (const auto& o : c.owned) {
    if (!o->is_live()) continue;
    c.end(*o, world_.now());
  }
}

void oracle::on_assigned(client& c, const kawait::observer::assigned& e) {
  reach("event: assigned");
  ++c.assignments;
  ledger_.look();
  for (const topic_partition& p : e.partitions) {
    note(c.name, "assigned " + p.to_string() + " at epoch " + std::to_string(e.member_epoch));
    auto o = std::make_shared<ownership>();
    o->name = p;
    o->where = ledger_.current_id(p);
    o->epoch = e.member_epoch;
    o->since = world_.now();
    c.owned.push_back(std::move(o));
  }
}

void oracle::on_revoked(client& c, const kawait::observer::revoked& e) {
  reach("event: revoked");
  for (const topic_partition& p : e.partitions) {
    note(c.name, "revoked " + p.to_string());
    for (const auto& o : c.owned) {
      if (o->name != p || o->at != phase::owned) continue;
      o->at = phase::revoking;
      o->revoked = world_.now();
      o->due = world_.now() + revocation_time;
      // Who leaves while some drain, or are not acknowledged, gives up all with the first of them: the broker expels him then.
      for (const auto& other : c.owned) {
        const bool is_given_up = other->at == phase::over && other->revoked != time_point() && !other->acknowledged;
        if (other->at == phase::revoking || is_given_up) o->due = std::min(o->due, other->due);
      }
      break;
    }
  }
}

void oracle::on_drained(client& c, const kawait::observer::drained& e) {
  const std::string words = e.outcome ? e.outcome.to_string() : "well";
  reach("drained: " + (e.outcome ? e.outcome.code.message() : "well"));
  note(c.name, "drained " + e.partition.to_string() + ": " + words);
  for (const auto& o : c.owned) {
    if (o->name != e.partition || o->at != phase::revoking) continue;
    c.end(*o, world_.now());
    if (e.outcome && c.closing) {
      const book* b = book_of(*o);
      const bool is_of_gone = e.outcome.code == kawait::errc::commit_failed && b && b->gone;
      c.only_of_gone = c.only_of_gone.value_or(true) && is_of_gone;
    }
    const auto took = world_.now() - o->revoked;
    if (e.outcome.code == kawait::errc::revocation_deadline && o->in_hand > 0) check_deadline(c, *o, world_.now());
    if (e.outcome.code == kawait::errc::revocation_deadline && prompt_ && c.reads_itself && o->in_hand == 0) {
      fail(invariant::progress, c.name + " waits for work on " + o->name.to_string() + " that nobody has in hand");
    }
    if (e.outcome.code == kawait::errc::commit_failed && took < 3s && is_passing(e.outcome.words)) {
      fail(invariant::leaves, c.name + " gives " + o->name.to_string() + " up though its commit might have come through: " + words);
    }
    if (!e.outcome && o->in_hand > 0) {
      fail(invariant::drained_first, c.name + " gave " + o->name.to_string() + " up with work in hand, before the deadline");
    }
    const bool has_turned = o->turn > 0 || o->is_reset();  // what was done before counts no more
    const book* b = book_of(*o);
    const bool is_checkable = is_sound(b) && !b->fell_from && !plan_.is_hostile() && served_in_time_;
    if (!e.outcome && !c.manual && o->began && !has_turned && is_checkable) {
      // What is done is committed: the low-water mark of this stay. A commit that is served late takes one back that came after it.
      const auto committed = broker_.committed(group, o->name.topic, o->name.partition);
      const auto run = o->done.find(o->base);
      const std::int64_t mark = run == o->done.end() ? o->base : run->second;
      if (mark > o->base && (!committed || *committed < mark)) {
        fail(invariant::leaves, c.name + " gave " + o->name.to_string() + " up, done up to " + std::to_string(mark) +
                                    ", committed " + std::to_string(committed.value_or(-1)));
      }
    }
    return;
  }
}

void oracle::on_lost(client& c, const kawait::observer::lost& e) {
  reach("event: lost");
  for (const topic_partition& p : e.partitions) {
    note(c.name, "lost " + p.to_string() + ": " + e.reason.to_string());
    for (const auto& o : c.owned) {
      if (o->name != p || !o->is_live()) continue;
      c.end(*o, world_.now());
      break;
    }
  }
}

// The words begin with the partition's name: another's position stays what it was.
void oracle::on_reset(client& c, std::string_view words) {
  const std::string_view name = words.substr(0, words.find(' '));
  for (const auto& o : c.owned) {
    if (!o->is_live() || o->name.to_string() != name) continue;
    ++o->resets;
    if (book* b = o->where ? ledger_.find(*o->where) : nullptr) b->reset = true;
  }
}

void oracle::begin_turn(ownership& o, std::int64_t at) {
  ++o.turn;
  o.turned = world_.now();
  o.base = o.next = at;
  o.done.clear();
  o.committed = -1;
  o.sought = false;
}

void oracle::on_delivered(client& c, const kawait::observer::delivered& e) {
  note(c.name, "delivered " + e.partition.to_string() + " from " + std::to_string(e.first_offset) + " to " +
                   std::to_string(e.next_offset));
  const auto o = c.newest(e.partition);
  if (!o || o->at != phase::owned) {
    return fail(invariant::within_ownership, c.name + " delivers of " + e.partition.to_string() + ", which is not its own");
  }
  if (c.fenced && *c.fenced < world_.now()) {
    return fail(invariant::one_owner, c.name + " delivers though it was told that it is fenced");
  }
  check_delivered(c, *o, e);
  o->next = e.next_offset;
  o->lowest = o->began ? std::min(o->lowest, o->base) : o->base;
  o->highest = std::max(o->highest, o->next);
  o->seen_resets = o->resets;
  o->began = true;
}

void oracle::check_delivered(client& c, ownership& o, const kawait::observer::delivered& e) {
  const std::string what = c.name + " delivers of " + e.partition.to_string() + " from " + std::to_string(e.first_offset);
  if (o.sought || o.is_reset()) return begin_turn(o, e.first_offset);
  const book* b = book_of(o);
  if (!o.began) {
    const auto committed = broker_.committed(group, e.partition.topic, e.partition.partition);
    o.base = o.next = e.first_offset;
    if (!is_sound(b) || b->fell_from) return;
    if (broker_.group().owner(group, e.partition) != c.id) return;  // one that was expelled, and is yet to hear of it
    if (committed && e.first_offset < *committed) {
      return fail(invariant::reset_on_reason, what + ", committed is " + std::to_string(*committed));
    }
    o.base = o.next = committed.value_or(0);
  }
  if (e.first_offset < o.next) return fail(invariant::ascending, what + " after " + std::to_string(o.next));
  if (!is_sound(b)) return;
  const entry* missed = ledger_.first_missing(*o.where, o.next, e.first_offset, true);
  if (missed) fail(invariant::ascending, what + " and leaves " + std::to_string(missed->offset) + " out");
}

holding oracle::take(client& c, const topic_partition& p, std::int64_t first, std::int64_t next) {
  // A handler may get what was handed out before the partition went, and after it came back; or before the position was reset.
  std::shared_ptr<ownership> o = c.newest(p);
  for (auto i = c.owned.rbegin(); i != c.owned.rend(); ++i) {
    if ((*i)->name != p || !(*i)->began || (*i)->highest < next || (*i)->lowest > first) continue;
    o = *i;
    break;
  }
  if (!o) {
    fail(invariant::within_ownership, c.name + " reads " + p.to_string() + " without having been assigned it");
    o = std::make_shared<ownership>();
    o->at = phase::over;
  }
  ++o->in_hand;
  holding h;
  const bool is_of_this_turn = o->base <= first && next <= o->next;
  h.turn = is_of_this_turn ? o->turn : o->turn - 1;
  h.of = std::move(o);
  return h;
}

void oracle::check_begins(const client& c, const holding& h, std::int64_t offset) {
  if (h.of->is_live() || h.of->ended >= world_.now()) return;
  fail(invariant::within_ownership, c.name + " is given " + h.of->name.to_string() + " at " + std::to_string(offset) +
                                        ", which it has no more");
}

void oracle::check_order(const client& c, const holding& h, const std::string& key, std::int64_t offset) {
  ownership& o = *h.of;
  if (o.turn > 0 || o.resets > 0) return;
  const auto [last, is_first] = o.handled.emplace(key, offset);
  // What failed is given again.
  if (!is_first && offset < last->second) {
    fail(invariant::ascending, c.name + " is given " + o.name.to_string() + " at " + std::to_string(offset) + " after " +
                                   std::to_string(last->second) + (key.empty() ? "" : ", both of key " + key));
  }
  last->second = offset;
}

void oracle::saw(client& c, holding& h, const topic_id_partition& where, const kawait::record& r) {
  const std::int64_t offset = r.offset();
  const std::optional<std::string_view> value = r.value();
  const auto name = ledger_.name_of(where);
  const std::string of = name ? name->to_string() : where.topic_id.to_string();
  const std::string what = c.name + " got " + of + " at " + std::to_string(offset);
  if (value == "aborted") {  // of a fault, whose offsets nobody knows
    if (plan_.committed_only) fail(invariant::decided_only, what + ": aborted");
    return;
  }
  entry* e = value ? ledger_.find(*value) : nullptr;
  if (!e) return fail(invariant::same_bytes, what + ": " + std::string(value.value_or("null")));
  if (r.key() != std::optional<std::string_view>(e->key())) {
    return fail(invariant::same_bytes, what + " with key " + std::string(r.key().value_or("null")));
  }
  if (r.timestamp_ms() != e->timestamp) {
    return fail(invariant::same_bytes, what + " with timestamp " + std::to_string(r.timestamp_ms()));
  }
  if (e->where.topic_id != where.topic_id) return fail(invariant::truncation_found, what + " of another topic id");
  if (e->where != where || e->offset != offset) return fail(invariant::same_bytes, what + ": " + std::string(*value));
  if (plan_.committed_only && e->what != fate::committed) {
    fail(invariant::decided_only, what + (e->what == fate::open ? ": undecided" : ": aborted"));
  }
  h.seen.push_back(e);
}

void oracle::check_whole(client& c, const holding& h, const topic_id_partition& where, std::int64_t from, std::int64_t to) {
  const book* b = ledger_.find(where);
  if (!b || b->gone || b->truncated) return;
  for (auto i = b->at.lower_bound(from); i != b->at.end() && i->first < to; ++i) {
    if (!ledger_.is_wanted(*i->second) || std::find(h.seen.begin(), h.seen.end(), i->second) != h.seen.end()) continue;
    if (!ledger_.first_missing(where, i->first, i->first + 1, true)) continue;
    return fail(invariant::ascending, c.name + " got " + b->name.to_string() + " from " + std::to_string(from) + " to " +
                                          std::to_string(to) + " without " + std::to_string(i->first));
  }
}

void oracle::done(const holding& h, std::int64_t from, std::int64_t to) {
  if (h.turn == h.of->turn) h.of->mark(from, to);
  for (entry* e : h.seen) {
    if (e->offset >= from && e->offset < to) e->done = true;
  }
}

void oracle::on_skipped(client& c, const topic_partition& p, std::int64_t from, std::int64_t to) {
  holding h = take(c, p, from, to);
  if (book* b = ledger_.current(p)) {
    for (auto i = b->at.lower_bound(from); i != b->at.end() && i->first < to; ++i) h.seen.push_back(i->second);
  }
  done(h, from, to);
  release(h);
}

void oracle::on_seek(client& c, const topic_id_partition& where, std::optional<std::int64_t> from, std::int64_t to) {
  book* b = ledger_.find(where);
  if (!b) return;
  note(c.name, "seeks " + b->name.to_string() + " to " + std::to_string(to));
  if (const auto o = c.newest(b->name)) {
    // Who seeks on while work is in hand gives that up, too.
    if (o->began && (from || o->in_hand > 0)) from = std::min(from.value_or(to), o->base);
    ++o->turn;
    o->turned = world_.now();
    o->done.clear();
    o->committed = -1;
    o->base = o->next = to;
    o->sought = true;
  }
  b->sought = true;
  if (!from) return;
  for (auto i = b->at.lower_bound(*from); i != b->at.end() && i->first < to; ++i) i->second->excused |= !i->second->done;
}

void oracle::on_handler(client& c, const topic_id_partition& where, const std::string& key, int change) {
  const int running = c.handlers[{where, key}] += change;
  if (running > 1) {
    fail(invariant::within_ownership, c.name + " runs two handlers of one " + (key.empty() ? "partition" : "key") + " at once");
  }
}

}  // namespace seeds
