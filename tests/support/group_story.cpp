#include "simulation/group_story.hpp"

namespace embedded {

ownership& observer::begin(const std::string& member, const std::string& member_id, const kawait::partition& p) {
  ownership& o = ownerships_.emplace_back();
  o.member = member;
  o.member_id = member_id;
  o.handle = p;
  o.name = p.name();
  if (exists(o.name.topic)) o.id = topic_id_partition(broker_.topic_id(o.name.topic), p.index());
  if (!o.id.topic_id.is_zero()) names_[o.id] = o.name;
  o.began = world_.now();
  check();
  return o;
}

void observer::deliver(ownership& o, const kawait::batch& b) {
  check();
  if (o.handle.is_stale()) violation(o, "was given a batch though it was stale");
  if (o.first < 0) {
    o.first = o.next = b.first_offset();
    const std::int64_t start = broker_.committed("g", o.name.topic, o.name.partition).value_or(0);
    if (starts_at_commit && o.first != start)
      violation(o, "begins at " + std::to_string(o.first) + ", but committed is " + std::to_string(start));
  }
  for (const kawait::record& r : b) {
    if (r.offset() != o.next) violation(o, "was given offset " + std::to_string(r.offset()) + " for " + std::to_string(o.next));
    o.next = r.offset() + 1;
    if (*r.value() != "r" + std::to_string(r.offset())) violation(o, "was given a wrong value: " + std::string(*r.value()));
    ++seen_[o.id][r.offset()];
    ++records_;
  }
}

void observer::done(ownership& o, const kawait::batch& b) {
  o.done = b.next_offset();
  auto& highest = done_[o.id];
  highest = std::max(highest, o.done);
}

void observer::end(ownership& o) {
  o.open = false;
  if (!over_) {
    o.ended = world_.now();
    o.why = o.handle.end_reason();
  }
}

void observer::leave() {
  over_ = true;
  for (ownership& o : ownerships_) o.handle = kawait::partition();
}

void observer::check() {
  for (const ownership& o : ownerships_) {
    if (!o.open || o.handle.is_stale() || o.id.topic_id.is_zero()) continue;
    const auto m = broker_.group().member("g", o.member_id);
    if (!m) continue;  // expelled, and not told yet
    const auto holds = [&](const auto& list) { return std::find(list.begin(), list.end(), o.id) != list.end(); };
    if (!holds(m->assigned) && !holds(m->revoking)) violation(o, "works on what the broker takes for given up");
  }
  for (const auto& [id, name] : names_) {
    if (!exists(name.topic) || broker_.topic_id(name.topic) != id.topic_id) continue;
    const std::int64_t now = broker_.committed("g", name.topic, name.partition).value_or(0);
    std::int64_t& before = committed_[id];
    if (now > done_[id]) note(name.to_string() + ": committed " + std::to_string(now) + ", done " + std::to_string(done_[id]));
    if (now < before) note(name.to_string() + ": committed " + std::to_string(now) + " after " + std::to_string(before));
    before = now;
  }
}

std::size_t observer::repeated() const {
  std::size_t n = 0;
  for (const auto& [p, offsets] : seen_) n += static_cast<std::size_t>(std::count_if(offsets.begin(), offsets.end(), [](const auto& o) { return o.second > 1; }));
  return n;
}

std::vector<const ownership*> observer::of(std::int32_t partition, const std::string& topic) const {
  std::vector<const ownership*> list;
  for (const ownership& o : ownerships_) {
    if (o.name == topic_partition(topic, partition)) list.push_back(&o);
  }
  return list;
}

index_set observer::owned(const std::string& member) const {
  index_set all;
  for (const ownership& o : ownerships_) {
    if (o.open && o.member == member && o.handle.end_reason() == kawait::end_reason::none) all.insert(o.name.partition);
  }
  return all;
}

std::size_t observer::ended(kawait::end_reason why) const {
  return static_cast<std::size_t>(
      std::count_if(ownerships_.begin(), ownerships_.end(), [&](const ownership& o) { return !o.open && o.why == why; }));
}

bool observer::exists(const std::string& topic) const {
  try {
    return !broker_.topic_id(topic).is_zero();
  } catch (const std::out_of_range&) {
    return false;
  }
}

void observer::note(const std::string& what) {
  const bool is_new = std::find(violations_.begin(), violations_.end(), what) == violations_.end();
  if (is_new && violations_.size() < 20) violations_.push_back(what);
}

actor::actor(testing::world& w, observer& o, std::string name, kawait::config c) : name_(std::move(name)), world_(w), observer_(o) {
  consumer_.emplace(w.executor(), std::move(c));
  consumer_->subscribe("orders");
  id_ = consumer_->member_id();
}

void actor::start() {
  const auto run = [](kawait::consumer& c, handler h) -> asio::awaitable<void> { co_await kawait::for_each_partition(c, h); };
  asio::co_spawn(world_.executor(), run(*consumer_, handler{this}), [this](std::exception_ptr e) {
    ended_at = world_.now();
    has_ended = true;
    thrown = e;
  });
}

void actor::close(std::chrono::milliseconds timeout) {
  closed_from = world_.now();
  consumer_->async_close(kawait::close_options(timeout), [this](std::error_code ec) {
    closed_at = world_.now();
    closed = ec;
  });
}

std::error_code actor::error() const {
  try {
    if (thrown) std::rethrow_exception(thrown);
  } catch (const std::system_error& e) {
    return e.code();
  } catch (...) {
    return std::make_error_code(std::errc::state_not_recoverable);
  }
  return {};
}

asio::awaitable<void> actor::work(kawait::partition p) {
  const opened o(observer_, *this, p);
  for (;;) {
    auto b = co_await p.async_next();
    if (!b) break;
    observer_.deliver(o.own, *b);
    const std::chrono::milliseconds pause = work_time ? work_time(*b) : 0ms;
    if (pause > 0ms) co_await kawait::sleep_for(pause);
    while (held.contains(p.index())) co_await kawait::sleep_for(10ms);
    observer_.done(o.own, *b);
    b->done();
  }
}

story::~story() {
  log.check();
  if (!log.violations().empty()) {
    std::string all;
    for (const auto& v : log.violations()) all += v + "\n";
    CAPTURE(all);
    CHECK(log.violations().empty());
  }
  for (auto& a : actors_) a.vanish();
  world.poll();
  log.leave();
  cluster_.reset();
  world.destroy_context();
}

void story::write(std::int32_t partition, int count, const std::string& topic) {
  std::vector<producer_record> all;
  const std::int64_t from = broker.end_offset(topic, partition);
  for (int i = 0; i < count; ++i) all.emplace_back("key", "r" + std::to_string(from + i));
  broker.append(topic, partition, all);
}

void story::target(const actor& a, const index_set& partitions) {
  std::vector<topic_partition> list;
  for (const auto p : partitions) list.emplace_back("orders", p);
  broker.group().set_target("g", a.id(), list);
}

bool story::is_done(std::int32_t partitions, const std::string& topic) {
  for (std::int32_t p = 0; p < partitions; ++p) {
    const std::int64_t end = broker.end_offset(topic, p);
    if (log.seen(topic_id_partition(broker.topic_id(topic), p)) != static_cast<std::size_t>(end)) return false;
    if (broker.committed("g", topic, p).value_or(0) != end) return false;
  }
  return true;
}

testing::seen_request story::last(api_key api) const {
  const auto& all = broker.requests();
  const auto found = std::find_if(all.rbegin(), all.rend(), [api](const auto& r) { return r.api == api; });
  return found == all.rend() ? testing::seen_request() : *found;
}

fault story::arrives(const testing::request_view& r) {
  log.check();
  auto& script = scripts_[r.api];
  if (!script.empty()) {
    const fault f = script.front();
    script.pop_front();
    return f;
  }
  return otherwise ? otherwise(r) : fault();
}

void story::add_other(const std::string& id) {
  REQUIRE(!broker.group().add_member(world.now(), "g", testing::scripted_member(id, {"orders"})));
}

}  // namespace embedded
