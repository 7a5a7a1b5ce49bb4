// What arrives at the broker.

#include <algorithm>

#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/list_offsets.hpp>
#include <kawait/protocol/offset_commit.hpp>
#include <kawait/protocol/offset_fetch.hpp>

#include "oracle.hpp"

namespace seeds {

using namespace std::chrono_literals;
using kawait::topic_id_partition;
using kawait::topic_partition;
using kawait::testing::api_key;
using kawait::testing::request_view;
using phase = ownership::phase;
namespace protocol = kawait::protocol;

namespace {

template <class Request>
std::optional<Request> decode(const request_view& v) {
  Request q;
  if (protocol::decode_request(q, v.body, v.version)) return std::nullopt;
  return q;
}

/// By the id where the version has one.
std::optional<topic_partition> name_of(ledger& l, const protocol::offset_commit_request::topic& t, std::int32_t partition,
                                       std::int16_t version) {
  if (version >= 10) return l.name_of(topic_id_partition(t.topic_id, partition));
  return topic_partition(std::string(t.name), partition);
}

}  // namespace

client* oracle::find_client(std::string_view name) {
  for (const auto& c : clients_) {
    if (c->name == name) return c.get();
  }
  return nullptr;
}

std::string oracle::member_id_of(std::string_view name) {
  const client* c = find_client(name);
  return c ? c->id : std::string();
}

void oracle::on_request(const request_view& v) {
  client* c = find_client(v.client_id);
  if (!c) return;
  ledger_.look();
  check_committed();
  check_pace(*c, v);
  const auto doomed = doomed_.find(v.connection);
  if (doomed != doomed_.end() && world_.now() > doomed->second + (prompt_ ? 0s : 5s)) {
    fail(invariant::matched_answers, c->name + " goes on with connection " + std::to_string(v.connection));
  }
  reach("request: " + std::string(kawait::testing::name_of(v.api)));
  if (c->consumer) {
    const auto state = c->consumer->engine()->membership_state();
    if (!state.empty()) reach("membership: " + std::string(state));
  }
  switch (v.api) {
    case api_key::consumer_group_heartbeat: return on_heartbeat(*c, v);
    case api_key::offset_commit: return on_commit(*c, v);
    case api_key::fetch: return on_fetch(*c, v);
    case api_key::list_offsets: return on_list_offsets(*c, v);
    case api_key::offset_fetch: return on_offset_fetch(*c, v);
    default: return;
  }
}

void oracle::check_pace(client& c, const request_view& v) {
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(v.at.time_since_epoch()).count();
  if (second != c.second) {
    c.second = second;
    c.requests_in_second = 0;
  }
  if (++c.requests_in_second == 1000) fail(invariant::bounded_retries, c.name + " sends 1000 requests in a second");
  if (c.requests_in_second > 20'000) {
    throw violation{invariant::bounded_retries, c.name + " sends requests without end, while time stands still"};
  }
}

void oracle::on_heartbeat(client& c, const request_view& v) {
  const auto q = decode<protocol::consumer_group_heartbeat_request>(v);
  if (!q) return;
  const auto gap = c.last_heartbeat ? world_.now() - *c.last_heartbeat : 0s;
  if (calm_ && q->member_epoch > 0 && gap > 3s) fail(invariant::progress, c.name + " was silent for longer than an interval");
  c.last_heartbeat = world_.now();
  static constexpr std::string_view kinds[] = {"", "join", "keep alive", "acknowledgement", "leave"};
  reach("heartbeat: " + std::string(kinds[static_cast<int>(heartbeat_kind_of(v))]));
  if (q->member_epoch < 0 && q->member_epoch != (q->instance_id ? -2 : -1)) {
    fail(invariant::leaves, c.name + " leaves with epoch " + std::to_string(q->member_epoch));
  }
  const bool has_none = q->member_epoch <= 0;  // it leaves, or joins with nothing
  if (!has_none && !q->topic_partitions) return;
  std::set<topic_partition> said;
  if (!has_none) {
    for (const auto& t : *q->topic_partitions) {
      for (const std::int32_t p : t.partitions) {
        if (const auto name = ledger_.name_of(topic_id_partition(t.topic_id, p))) said.insert(*name);
      }
    }
  }
  check_unanswered(c, v, said);
  for (const auto& o : c.owned) o->acknowledged |= !o->is_live() && !said.contains(o->name);
  if (has_none) return;
  for (const auto& o : c.owned) {
    // What arrives late may have been said before it was assigned.
    if (!o->is_live() || said.contains(o->name) || o->since + lag() >= v.sent) continue;
    if (o->at == phase::revoking && o->revoked + revocation_time <= world_.now()) continue;  // given up with its work in hand
    fail(invariant::drained_first, c.name + " says that it has not " + o->name.to_string() + ", which it has");
  }
}

// Whoever sent the commit must have closed its connection before he gives up what it is of. What was under way then may arrive all
// the same.
void oracle::check_unanswered(const client& c, const request_view& v, const std::set<topic_partition>& said) {
  for (const unanswered& u : unanswered_) {
    if (u.connection != v.connection && (u.who != &c || broker_.is_closed_by_client(u.connection))) continue;
    if (v.sent < u.sent) continue;  // it waited at a node that stood still, or on its way, and was said before
    for (const topic_partition& p : u.partitions) {
      if (said.contains(p)) continue;
      fail(invariant::commits_of_owned, c.name + " gives " + p.to_string() + " up while a commit of it is not answered");
    }
  }
}

void oracle::on_unanswered(const request_view& v) {
  const auto q = decode<protocol::offset_commit_request>(v);
  if (!q) return;
  unanswered u;
  u.connection = v.connection;
  u.sent = v.sent;
  u.who = find_client(v.client_id);
  for (const auto& t : q->topics) {
    for (const auto& p : t.partitions) {
      if (const auto name = name_of(ledger_, t, p.partition_index, v.version)) u.partitions.insert(*name);
    }
  }
  unanswered_.push_back(std::move(u));
}

void oracle::on_commit(client& c, const request_view& v) {
  const auto q = decode<protocol::offset_commit_request>(v);
  if (!q) return;
  for (const auto& t : q->topics) {
    for (const auto& p : t.partitions) {
      const auto name = name_of(ledger_, t, p.partition_index, v.version);
      if (!name) continue;
      if (v.version < 10) note_heir(c, *name, p.committed_offset);
      if (!plan_.has_fault("slow-request")) continue;
      const auto last = c.newest(*name);
      const auto where = last ? last->where : std::nullopt;
      asked_.push_back(asked_commit{*name, where, p.committed_offset, world_.now(), v.connection, v.version < 10});
      if (asked_.size() > 1000) asked_.pop_front();
    }
  }
  if (v.at > v.sent + request_timeout || broker_.is_closed_by_client(v.connection)) {
    // The node was frozen, or the connection was slow. Whoever sent it has given it up, closed the connection, and may have committed
    // more: it is out of his hands. Whoever begins there was told the newer one, or is told this one.
    for (const auto& t : q->topics) {
      for (const auto& p : t.partitions) {
        const auto name = name_of(ledger_, t, p.partition_index, v.version);
        if (!name) continue;
        heirs_.push_back(heir{*name, p.committed_offset, true});
        check_commit(c, *name, p.committed_offset, q->generation_id_or_member_epoch, v.sent, served::late);
      }
    }
    return reach("request: a commit served after its time");
  }
  std::int32_t newest = -1;
  bool all_live = true;
  for (const auto& t : q->topics) {
    for (const auto& p : t.partitions) {
      const auto name = name_of(ledger_, t, p.partition_index, v.version);
      if (!name) continue;
      check_commit(c, *name, p.committed_offset, q->generation_id_or_member_epoch, v.sent, served::in_time);
      const ownership* o = c.live(*name);
      all_live = all_live && o;
      if (o) newest = std::max(newest, o->epoch);
    }
  }
  // Who could not learn what the broker knows, and is told that a stamp is stale which is not, has to believe it.
  const bool is_lied_to = plan_.has_fault("versions-mismatch") && plan_.has_fault("stale-epoch");
  const bool stamps = kawait::testing::traits_of(plan_.generation).lease_epoch_commits && !is_lied_to;
  if (stamps && prompt_ && all_live && newest >= 0 && q->generation_id_or_member_epoch > newest) {
    fail(invariant::commits_of_owned, c.name + " commits with epoch " + std::to_string(q->generation_id_or_member_epoch) +
                                          " what it was assigned at " + std::to_string(newest));
  }
}

void oracle::note_heir(const client& c, const topic_partition& p, std::int64_t offset) {
  const auto last = c.newest(p);
  if (last && last->where != ledger_.current_id(p)) heirs_.push_back(heir{p, offset, false});
}

void oracle::check_commit(client& c, const topic_partition& p, std::int64_t offset, std::int32_t epoch, time_point sent,
                          served how) {
  const std::string what = c.name + " commits " + p.to_string() + " at " + std::to_string(offset);
  note(c.name, "asks for a commit of " + p.to_string() + " at " + std::to_string(offset) + " with epoch " + std::to_string(epoch));
  const auto owner = broker_.group().owner(group, p);
  ownership* o = c.live(p);
  if (!o) {
    const auto last = c.newest(p);
    if (!last) return fail(invariant::commits_of_owned, what + ", which it never had");
    // Though it was sent in time, it must not be taken when the partition is another's.
    const bool was_same = last->where == ledger_.current_id(p);
    if (how == served::in_time && served_in_time_ && was_same && owner && !c.id.empty() && *owner != c.id) {
      suspicions_.push_back(suspicion{p, offset, c.name, *owner});
    }
    if (last->ended + lag() < sent) fail(invariant::commits_of_owned, what + " after giving it up, or losing it");
    return;
  }
  // By name (before version 10) who has not heard yet that a topic was made anew commits to the new one: nothing can be done about it.
  const bool is_same = o->where == ledger_.current_id(p);
  if (how == served::late && o->since > sent) return;  // of an earlier stay
  if (how == served::in_time && is_same && owner && !c.id.empty() && *owner != c.id) {
    suspicions_.push_back(suspicion{p, offset, c.name, *owner});
  }
  // One that was refused is said again, though the position is another by now.
  const bool none_was_refused = plan_.faults.empty() && plan_.answers_lost_percent == 0;
  const auto late = none_was_refused ? lag() : lag() + 10s;
  if (o->is_reset() || (o->turned != time_point() && o->turned + late > sent)) return;
  if (how == served::in_time && o->committed > offset) fail(invariant::committed_is_done, what + " after " + std::to_string(o->committed));
  o->committed = std::max(o->committed, offset);
  const book* b = book_of(*o);
  if (!o->began || !is_sound(b)) return;
  // Beyond what was delivered there may be holes, markers and aborted records.
  if (offset > std::max(o->next, b->end)) return fail(invariant::committed_is_done, what + ", behind the end");
  for (auto i = b->at.lower_bound(o->base); i != b->at.end() && i->first < offset; ++i) {
    if (!ledger_.is_wanted(*i->second) || o->is_done(i->first)) continue;
    if (!ledger_.first_missing(*o->where, i->first, i->first + 1, true)) continue;
    return fail(invariant::committed_is_done, what + ", though " + std::to_string(i->first) + " is not done");
  }
}

void oracle::on_fetch(client& c, const request_view& v) {
  const auto q = decode<protocol::fetch_request>(v);
  if (!q) return;
  std::set<topic_id_partition> once;
  // Epoch 0 begins a session, -1 is none; else what is listed is added to what the session has.
  auto& wanted = q->session_epoch < 0 ? once : sessions_[{c.name, v.node}];
  if (q->session_epoch <= 0) wanted.clear();
  for (const auto& t : q->topics) {
    for (const auto& p : t.partitions) wanted.insert(topic_id_partition(t.topic_id, p.partition));
  }
  for (const auto& t : q->forgotten_topics_data) {
    for (const std::int32_t p : t.partitions) wanted.erase(topic_id_partition(t.topic_id, p));
  }
  for (const topic_id_partition& where : wanted) {
    const auto name = ledger_.name_of(where);
    const auto o = name ? c.newest(*name) : nullptr;
    if (!o) continue;
    const time_point since = o->at == phase::revoking ? o->revoked : o->ended;
    if (o->at != phase::owned && since + lag() < v.sent) {
      fail(invariant::within_ownership, c.name + " fetches " + name->to_string() + ", which it is giving up or has not");
    }
    // A request that was made before the partition was lost, and held back by a quota, comes when it is assigned anew.
    const bool is_of_now = calm_ || o->since + lag() < v.sent;
    if (o->at == phase::owned && is_of_now && !o->asked_offset && !o->sought && o->turn == 0 && !o->began) {
      fail(invariant::within_ownership, c.name + " fetches " + name->to_string() + " before it has asked for its offset");
    }
  }
}

void oracle::on_offset_fetch(client& c, const request_view& v) {
  const auto q = decode<protocol::offset_fetch_request>(v);
  if (!q) return;
  for (const auto& g : q->groups) {
    if (!g.topics) continue;
    for (const auto& t : *g.topics) {
      for (const std::int32_t p : t.partition_indexes) {
        const auto name = v.version >= 10 ? ledger_.name_of(topic_id_partition(t.topic_id, p))
                                          : std::optional(topic_partition(std::string(t.name), p));
        ownership* o = name ? c.live(*name) : nullptr;
        if (o) o->asked_offset = true;
      }
    }
  }
}

void oracle::on_list_offsets(client& c, const request_view& v) {
  const auto q = decode<protocol::list_offsets_request>(v);
  if (!q) return;
  for (const auto& t : q->topics) {
    for (const auto& p : t.partitions) {
      const topic_partition name(std::string(t.name), p.partition_index);
      const ownership* o = c.live(name);
      const auto committed = broker_.committed(group, name.topic, name.partition);
      if (!o || o->since > v.sent || o->sought || o->turn > 0 || o->is_reset() || !committed || p.timestamp >= 0) continue;
      if (!is_sound(book_of(*o))) continue;
      if (broker_.group().owner(group, name) != c.id) continue;  // one that was expelled, and is yet to hear of it
      if (o->committed >= 0) continue;  // its own, of this stay
      fail(invariant::reset_on_reason, c.name + " asks where " + name.to_string() + " begins or ends, committed is " +
                                           std::to_string(*committed));
    }
  }
}

}  // namespace seeds
