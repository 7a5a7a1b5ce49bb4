#include "actor_support.hpp"

#include <algorithm>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

namespace kawait::tests {

namespace {

config settings(const stage& s, const actor_options& how) {
  config c(s.bootstrap());
  c.group_id(s.group()).auto_offset_reset(offset_reset::earliest).auto_commit(how.commits);
  c.auto_commit_interval(how.commit_interval);
  c.default_api_timeout(20s).request_timeout(15s);
  if (!how.instance.empty()) c.group_instance_id(how.instance);
  if (!how.assignor.empty()) c.remote_assignor(how.assignor);
  return c;
}

}  // namespace

actor::actor(stage& s, std::string name, const actor_options& how) : stage_(s), name_(std::move(name)) {
  consumer_.emplace(s.executor(), settings(s, how));
  subscribe(how.topics);
}

actor::~actor() = default;

void actor::subscribe(std::vector<std::string> stems) {
  for (auto& t : stems) t = stage_.topic(t);
  consumer_->subscribe(std::move(stems));
}

void actor::start() {
  running_ = true;
  consumer_->async_run(asio::bind_cancellation_slot(abort_.slot(), [this](std::error_code ec) {
    running_ = false;
    outcome_ = "ended: " + (ec ? ec.message() : std::string("well"));
    note(outcome_);
  }));
  asio::co_spawn(stage_.executor(), listen(*this), asio::detached);
}

asio::awaitable<void> actor::listen(actor& self) {
  try {
    for (;;) {
      auto e = co_await self.consumer_->async_next_event();
      switch (e.what) {
        case event::kind::assigned:
          self.note("assigned", e.partitions);
          for (const auto& p : e.partitions) asio::co_spawn(self.stage_.executor(), read(self, p), asio::detached);
          break;
        case event::kind::revoked: {
          const std::size_t count = e.partitions.size();
          self.note("revoked", e.partitions);
          self.draining_ += count;
          self.consumer_->async_incremental_unassign(e.revocation, [&self, count](std::error_code ec) {
            self.draining_ -= count;
            if (ec && !self.closing_) self.note("given up: " + ec.message());
          });
          break;
        }
        case event::kind::lost:
          self.note("lost", e.partitions);
          self.note("because of " + e.reason.code.message());
          break;
      }
    }
  } catch (const error&) {
  }
}

asio::awaitable<void> actor::read(actor& self, kawait::partition p) {
  ownership& o = self.ownerships_.emplace_back();
  o.handle = p;
  o.name = p.name();
  try {
    for (;;) {
      auto b = co_await p.async_next();
      if (!b) break;
      self.deliver(o, *b);
      ++self.held_;
      while (self.holding && self.running_) co_await moment();
      --self.held_;
      b->done();
    }
  } catch (const error& e) {
    if (self.running_) self.note("reading: " + e.code().message());
  }
  o.open = false;
}

void actor::deliver(ownership& o, const batch& b) {
  for (const record& r : b) {
    if (o.first < 0) o.first = o.next = r.offset();
    if (r.offset() != o.next) note("offset " + std::to_string(r.offset()) + " in place of " + std::to_string(o.next));
    if (!r.value() || number_of(*r.value()) != r.offset()) note("another's value at " + std::to_string(r.offset()));
    o.next = r.offset() + 1;
  }
}

asio::awaitable<void> actor::close() {
  closing_ = true;
  co_await consumer_->async_close();
  co_await ended();
}

asio::awaitable<void> actor::die() {
  closing_ = true;
  abort_.emit(asio::cancellation_type::terminal);
  co_await ended();
}

asio::awaitable<void> actor::ended() { UNTIL(!running_); }

// --- What it saw.

std::set<topic_partition> actor::owned() const {
  std::set<topic_partition> all;
  if (!consumer_) return all;
  for (const auto& p : consumer_->assignment()) all.insert(p.name());
  return all;
}

bool actor::is_at(const topic_partition& p, std::int64_t end) const {
  return std::any_of(ownerships_.begin(), ownerships_.end(),
                     [&](const ownership& o) { return o.open && o.name == p && o.handle.position() == end; });
}

void actor::drop() {
  consumer_.reset();
  for (auto& o : ownerships_) o.handle = kawait::partition();
}

void actor::note(const char* kind, const std::vector<kawait::partition>& partitions) {
  if (partitions.empty()) return;
  if (sealed_ || events_.empty() || events_.back().kind != kind) events_.push_back(noted{kind, {}});
  sealed_ = false;
  for (const auto& p : partitions) ++events_.back().counts[stage_.stem(p.topic())];
}

std::string actor::line_of(const noted& n) const {
  std::string line = n.kind;
  for (const auto& [topic, count] : n.counts) line += " " + std::to_string(count) + " of " + topic;
  return line;
}

std::string actor::settle() {
  sealed_ = true;
  const auto now = owned();
  std::map<std::string, std::size_t> counts;
  std::string which;
  std::size_t kept = 0;
  for (const auto& p : now) {
    ++counts[stage_.stem(p.topic)];
    kept += settled_.contains(p) ? 1 : 0;
    if (names) which += " " + stage_.stem(p.topic) + "-" + std::to_string(p.partition);
  }
  settled_ = now;
  std::string line = name_ + ": epoch " + std::to_string(epoch()) + ",";
  for (const auto& [topic, count] : counts) line += " " + std::to_string(count) + " of " + topic;
  return line + (now.empty() ? " nothing" : ", " + std::to_string(kept) + " kept") + which;
}

std::vector<std::string> actor::transcript() const {
  std::vector<std::string> all;
  for (const auto& n : events_) all.push_back(line_of(n));
  std::map<std::string, int> reads;
  for (const auto& o : ownerships_) {
    const std::string range = o.first < 0 ? "nothing" : std::to_string(o.first) + " to " + std::to_string(o.next);
    ++reads["read " + range + " of " + stage_.stem(o.name.topic)];
  }
  for (const auto& [what, times] : reads) all.push_back(what + ", " + std::to_string(times) + " times");
  return all;
}

}  // namespace kawait::tests
