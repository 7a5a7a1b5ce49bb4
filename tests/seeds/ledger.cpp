#include "ledger.hpp"

#include <algorithm>
#include <charconv>

namespace seeds {

using kawait::topic_id_partition;
using kawait::topic_partition;
namespace testing = kawait::testing;

namespace {

/// Of records: the world begins in 2023.
constexpr std::int64_t first_timestamp = 1'700'000'000'000;

}  // namespace

void ledger::look() {
  std::map<std::string, kawait::uuid> now;
  for (const auto& [name, partitions] : broker_.topics()) {
    const kawait::uuid id = broker_.topic_id(name);
    now.emplace(name, id);
    for (std::int32_t p = 0; p < partitions; ++p) {
      book& b = books_[topic_id_partition(id, p)];
      b.name = topic_partition(name, p);
      const std::int64_t end = broker_.end_offset(name, p);
      const auto from = b.at.lower_bound(end);
      if (from != b.at.end() || end < b.end) b.truncated = true;
      for (auto i = from; i != b.at.end(); ++i) i->second->replaced = true;
      b.at.erase(from, b.at.end());
      for (const auto& [offset, e] : b.at) {
        if (e->marker < end) continue;
        // Its transaction is open again, and will be aborted: who had read it saw it committed, nobody else has to.
        e->excused |= committed_only_ && e->what == fate::committed;
        e->marker = -1;
      }
      b.end = end;
    }
  }
  if (now == ids_) return;
  ids_ = std::move(now);
  for (auto& [where, b] : books_) {
    const auto alive = ids_.find(b.name.topic);
    b.gone = alive == ids_.end() || alive->second != where.topic_id;
  }
}

void ledger::append(const topic_partition& p, int count, const testing::append_options& how, std::size_t padding) {
  look();
  const auto id = ids_.find(p.topic);
  if (id == ids_.end()) return;
  const topic_id_partition where(id->second, p.partition);
  const auto found = books_.find(where);
  if (found == books_.end()) return;
  book& b = found->second;
  std::vector<testing::producer_record> records;
  for (int i = 0; i < count; ++i) {
    auto e = std::make_unique<entry>();
    e->serial = entries_.size();
    e->where = where;
    e->offset = b.end + i;
    e->what = how.transactional ? fate::open : fate::committed;
    e->padding = padding;
    records.emplace_back(e->key(), e->value(p));
    // Not in order: a producer's clock may say anything.
    e->timestamp = first_timestamp + static_cast<std::int64_t>(e->serial * 7919 % 100'000);
    records.back().timestamp = e->timestamp;
    b.at[e->offset] = e.get();
    if (how.transactional) open_[*how.producer].push_back(e.get());
    entries_.push_back(std::move(e));
  }
  broker_.append(p.topic, p.partition, records, how);
  b.end = broker_.end_offset(p.topic, p.partition);
}

void ledger::decide(std::int64_t producer, bool commit) {
  look();
  const std::vector<entry*> mine = std::exchange(open_[producer], {});
  if (mine.empty()) return;
  const book& b = books_.at(mine.front()->where);
  if (b.gone) return;
  // Its coordinator knows nothing of truncations: there is a marker, whatever is left to be decided.
  broker_.end_transaction(b.name.topic, b.name.partition, producer, commit);
  look();
  for (entry* e : mine) {
    e->what = commit ? fate::committed : fate::aborted;
    e->marker = books_.at(mine.front()->where).end - 1;
  }
}

entry* ledger::find(std::string_view value) {
  std::uint64_t serial = 0;
  const auto end = std::from_chars(value.data(), value.data() + value.size(), serial);
  if (end.ec != std::errc() || serial >= entries_.size()) return nullptr;
  entry& e = *entries_[serial];
  const book& b = books_.at(e.where);
  return value == e.value(b.name) ? &e : nullptr;
}

book* ledger::find(const topic_id_partition& p) {
  const auto found = books_.find(p);
  return found == books_.end() ? nullptr : &found->second;
}

std::optional<topic_id_partition> ledger::current_id(const topic_partition& p) const {
  const auto id = ids_.find(p.topic);
  if (id == ids_.end()) return std::nullopt;
  return topic_id_partition(id->second, p.partition);
}

book* ledger::current(const topic_partition& p) {
  const auto id = current_id(p);
  return id ? find(*id) : nullptr;
}

std::optional<topic_partition> ledger::name_of(const topic_id_partition& p) {
  const book* b = find(p);
  return b ? std::optional(b->name) : std::nullopt;
}

bool ledger::is_in_log(const book& b, std::int64_t offset) {
  const auto records = broker_.log(b.name.topic, b.name.partition).records(offset);
  return !records.empty() && records.front().offset == offset;
}

entry* ledger::first_missing(const topic_id_partition& p, std::int64_t from, std::int64_t to, bool even_done) {
  book* b = find(p);
  if (!b || b->gone) return nullptr;
  for (auto i = b->at.lower_bound(from); i != b->at.end() && i->first < to; ++i) {
    entry& e = *i->second;
    if (!is_wanted(e) || (e.done && !even_done)) continue;
    if (is_in_log(*b, e.offset)) return &e;
    e.excused = true;
  }
  return nullptr;
}

}  // namespace seeds
