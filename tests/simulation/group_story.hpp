#pragma once

// Groups in virtual time: members that work with for_each_partition, faults by script, and an observer that sees every delivery and
// every request and knows what must hold.

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <asio/co_spawn.hpp>

#include "simulation/embedded.hpp"

namespace embedded {

using kawait::errc;
using kawait::topic_id_partition;
using kawait::topic_partition;
using testing::kafka_generation;
using index_set = std::set<std::int32_t>;

inline constexpr kafka_generation generations[] = {kafka_generation::v4_0, kafka_generation::v4_2, kafka_generation::v4_3};

/// One time that a member worked on a partition: from its handler's start to its end.
struct ownership {
  std::string member, member_id;
  kawait::partition handle;
  topic_partition name;
  topic_id_partition id;
  std::int64_t first = -1;  ///< The first offset it was given.
  std::int64_t next = -1;   ///< The next it expects.
  std::int64_t done = -1;   ///< All below it was called done.
  bool open = true;
  kawait::net::time_point began{}, ended{};
  kawait::end_reason why = kawait::end_reason::none;
};

/// Looks on. What it holds against the members, each time a record is delivered and a request arrives:
/// - a delivery to a stale ownership; offsets that do not ascend by one within an ownership; a value that is not its offset's;
/// - an ownership that does not begin at what the group had committed: lost or repeated work, or a reset that nobody asked for;
/// - a commit above what was done, or one that goes back: a late one that overwrote a newer owner's;
/// - a partition that the broker takes for given up while its work is under way (or for another's: then two would work on it).
class observer {
 public:
  observer(testing::world& w, testing::broker& b) : world_(w), broker_(b) {}

  ownership& begin(const std::string& member, const std::string& member_id, const kawait::partition& p) {
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
  void deliver(ownership& o, const kawait::batch& b) {
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
  void done(ownership& o, const kawait::batch& b) {
    o.done = b.next_offset();
    auto& highest = done_[o.id];
    highest = std::max(highest, o.done);
  }
  void end(ownership& o) {
    o.open = false;
    if (!over_) {
      o.ended = world_.now();
      o.why = o.handle.end_reason();
    }
  }
  /// The context goes.
  void leave() {
    over_ = true;
    for (ownership& o : ownerships_) o.handle = kawait::partition();
  }
  /// An offset that is the test's own doing.
  void expect_committed(const topic_id_partition& p, std::int64_t offset) { done_[p] = std::max(done_[p], offset); }

  void check() {
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

  std::size_t records() const noexcept { return records_; }
  std::size_t seen(const topic_id_partition& p) { return seen_[p].size(); }
  /// Records that were given out more than once.
  std::size_t repeated() const {
    std::size_t n = 0;
    for (const auto& [p, offsets] : seen_) n += static_cast<std::size_t>(std::count_if(offsets.begin(), offsets.end(), [](const auto& o) { return o.second > 1; }));
    return n;
  }
  /// Those of a partition, oldest first.
  std::vector<const ownership*> of(std::int32_t partition, const std::string& topic = "orders") const {
    std::vector<const ownership*> list;
    for (const ownership& o : ownerships_) {
      if (o.name == topic_partition(topic, partition)) list.push_back(&o);
    }
    return list;
  }
  /// What a member works on now, and was not told to give up.
  index_set owned(const std::string& member) const {
    index_set all;
    for (const ownership& o : ownerships_) {
      if (o.open && o.member == member && o.handle.end_reason() == kawait::end_reason::none) all.insert(o.name.partition);
    }
    return all;
  }
  std::size_t ended(kawait::end_reason why) const {
    return static_cast<std::size_t>(
        std::count_if(ownerships_.begin(), ownerships_.end(), [&](const ownership& o) { return !o.open && o.why == why; }));
  }
  const std::deque<ownership>& all() const noexcept { return ownerships_; }
  const std::vector<std::string>& violations() const noexcept { return violations_; }

  bool starts_at_commit = true;

 private:
  bool exists(const std::string& topic) const {
    try {
      return !broker_.topic_id(topic).is_zero();
    } catch (const std::out_of_range&) {
      return false;
    }
  }
  void violation(const ownership& o, const std::string& what) { note(o.member + " " + o.name.to_string() + " " + what); }
  void note(const std::string& what) {
    const bool is_new = std::find(violations_.begin(), violations_.end(), what) == violations_.end();
    if (is_new && violations_.size() < 20) violations_.push_back(what);
  }

  testing::world& world_;
  testing::broker& broker_;
  std::deque<ownership> ownerships_;
  std::map<topic_id_partition, std::map<std::int64_t, int>> seen_;
  std::map<topic_id_partition, std::int64_t> done_, committed_;
  std::map<topic_id_partition, topic_partition> names_;
  std::vector<std::string> violations_;
  std::size_t records_ = 0;
  bool over_ = false;
};

/// A member: one coroutine a partition that takes batches, works and says done.
class actor {
 public:
  actor(testing::world& w, observer& o, std::string name, kawait::config c) : name_(std::move(name)), world_(w), observer_(o) {
    consumer_.emplace(w.executor(), std::move(c));
    consumer_->subscribe("orders");
    id_ = consumer_->member_id();
  }
  actor(const actor&) = delete;
  actor& operator=(const actor&) = delete;

  void start() {
    const auto run = [](kawait::consumer& c, handler h) -> asio::awaitable<void> { co_await kawait::for_each_partition(c, h); };
    asio::co_spawn(world_.executor(), run(*consumer_, handler{this}), [this](std::exception_ptr e) {
      ended_at = world_.now();
      has_ended = true;
      thrown = e;
    });
  }
  void close(std::chrono::milliseconds timeout = 30s) {
    closed_from = world_.now();
    consumer_->async_close(kawait::close_options(timeout), [this](std::error_code ec) {
      closed_at = world_.now();
      closed = ec;
    });
  }
  /// As kill -9 does: nobody is told.
  void vanish() { consumer_.reset(); }

  /// How long a batch takes.
  std::function<std::chrono::milliseconds(const kawait::batch&)> work_time;
  /// Work on these lasts until they are taken out.
  index_set held;

  index_set owned() const { return observer_.owned(name_); }
  const std::string& name() const noexcept { return name_; }
  const std::string& id() const noexcept { return id_; }
  kawait::consumer& consumer() { return *consumer_; }
  /// What for_each_partition threw, if that was an error with a code.
  std::error_code error() const {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const std::system_error& e) {
      return e.code();
    } catch (...) {
      return std::make_error_code(std::errc::state_not_recoverable);
    }
    return {};
  }

  bool has_ended = false;
  std::exception_ptr thrown;
  std::optional<std::error_code> closed;
  kawait::net::time_point closed_from{}, closed_at{}, ended_at{};

 private:
  struct handler {
    actor* self;
    asio::awaitable<void> operator()(kawait::partition p) const { return self->work(std::move(p)); }
  };
  /// Ends an ownership also if its coroutine throws or is destroyed.
  struct opened {
    opened(observer& o, const actor& a, const kawait::partition& p) : watch(o), own(o.begin(a.name_, a.id(), p)) {}
    opened(const opened&) = delete;
    opened& operator=(const opened&) = delete;
    ~opened() { watch.end(own); }
    observer& watch;
    ownership& own;
  };

  asio::awaitable<void> work(kawait::partition p) {
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

  std::string name_, id_;
  testing::world& world_;
  observer& observer_;
  std::optional<kawait::consumer> consumer_;
};

/// A cluster with the topic "orders", its group "g", and who looks on. At its end all must have held.
class story {
 public:
  explicit story(std::int32_t partitions = 2, testing::broker_options o = testing::broker_options())
      : cluster_(std::make_unique<testing::broker>(world.executor(), o)), broker(*cluster_), log(world, broker) {
    broker.create_topic("orders", partitions);
    broker.set_faults([this](const testing::request_view& r) { return arrives(r); });
  }
  ~story() {
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

  kawait::config settings(const std::string& name) const {
    kawait::config c = member_of(broker);
    c.client_id(name);
    return c;
  }
  /// A member that does not run yet.
  actor& prepare(const std::string& name, kawait::config c) { return actors_.emplace_back(world, log, name, c.client_id(name)); }
  actor& prepare(const std::string& name) { return prepare(name, settings(name)); }
  actor& join(const std::string& name, kawait::config c) {
    actor& a = prepare(name, std::move(c));
    a.start();
    return a;
  }
  actor& join(const std::string& name) { return join(name, settings(name)); }
  /// A member without a client, which shares "orders" and gives up at once what it is to give up.
  void add_other(const std::string& id = "other") { REQUIRE(!broker.group().add_member(world.now(), "g", testing::scripted_member(id, {"orders"}))); }

  void write(std::int32_t partition, int count, const std::string& topic = "orders") {
    std::vector<producer_record> all;
    const std::int64_t from = broker.end_offset(topic, partition);
    for (int i = 0; i < count; ++i) all.emplace_back("key", "r" + std::to_string(from + i));
    broker.append(topic, partition, all);
  }
  /// To each of the first partitions.
  void write_all(std::int32_t partitions, int count = 10) {
    for (std::int32_t p = 0; p < partitions; ++p) write(p, count);
  }
  void target(const actor& a, const index_set& partitions) {
    std::vector<topic_partition> list;
    for (const auto p : partitions) list.emplace_back("orders", p);
    broker.group().set_target("g", a.id(), list);
  }

  bool until(const std::function<bool()>& predicate, kawait::net::duration limit = 10min) { return world.run_until(predicate, limit); }
  /// Every record of the first partitions was given to somebody, and nothing below the end is uncommitted.
  bool is_done(std::int32_t partitions, const std::string& topic = "orders") {
    for (std::int32_t p = 0; p < partitions; ++p) {
      const std::int64_t end = broker.end_offset(topic, p);
      if (log.seen(topic_id_partition(broker.topic_id(topic), p)) != static_cast<std::size_t>(end)) return false;
      if (broker.committed("g", topic, p).value_or(0) != end) return false;
    }
    return true;
  }
  bool until_done(std::int32_t partitions, kawait::net::duration limit = 10min) {
    return until([this, partitions] { return is_done(partitions); }, limit);
  }
  std::optional<testing::member_view> view(const actor& a) { return broker.group().member("g", a.id()); }
  bool is_member(const actor& a) { return view(a).has_value(); }

  /// What becomes of the next requests of this API, of all clients.
  void next(api_key api, std::vector<fault> faults) { scripts_[api].insert(scripts_[api].end(), faults.begin(), faults.end()); }
  bool has_happened(api_key api) { return scripts_[api].empty(); }
  /// Asked where no script says anything.
  testing::fault_decision otherwise;
  /// The newest request of an API.
  testing::seen_request last(api_key api) const {
    const auto& all = broker.requests();
    const auto found = std::find_if(all.rbegin(), all.rend(), [api](const auto& r) { return r.api == api; });
    return found == all.rend() ? testing::seen_request() : *found;
  }
  /// Requests of an API since the story's beginning.
  std::size_t count(api_key api) const { return broker.count(api); }

  testing::world world;

 private:
  std::unique_ptr<testing::broker> cluster_;  // goes before the world

 public:
  testing::broker& broker;
  observer log;

 private:
  fault arrives(const testing::request_view& r) {
    log.check();
    auto& script = scripts_[r.api];
    if (!script.empty()) {
      const fault f = script.front();
      script.pop_front();
      return f;
    }
    return otherwise ? otherwise(r) : fault();
  }

  std::map<api_key, std::deque<fault>> scripts_;
  std::deque<actor> actors_;
};

inline std::vector<fault> times(std::size_t n, const fault& f) { return std::vector<fault>(n, f); }
inline fault answer_with(kafka_error e) { return fault::answer_with(e); }
inline testing::broker_options of_generation(kafka_generation g, std::int32_t count = 1) {
  testing::broker_options o(g);
  o.nodes = count;
  return o;
}

}  // namespace embedded
