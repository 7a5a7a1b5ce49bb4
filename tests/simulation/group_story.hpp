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

  ownership& begin(const std::string& member, const std::string& member_id, const kawait::partition& p);
  void deliver(ownership& o, const kawait::batch& b);
  void done(ownership& o, const kawait::batch& b);
  void end(ownership& o);
  /// The context goes.
  void leave();
  /// An offset that is the test's own doing.
  void expect_committed(const topic_id_partition& p, std::int64_t offset) { done_[p] = std::max(done_[p], offset); }

  void check();

  std::size_t records() const noexcept { return records_; }
  std::size_t seen(const topic_id_partition& p) { return seen_[p].size(); }
  /// Records that were given out more than once.
  std::size_t repeated() const;
  /// Those of a partition, oldest first.
  std::vector<const ownership*> of(std::int32_t partition, const std::string& topic = "orders") const;
  /// What a member works on now, and was not told to give up.
  index_set owned(const std::string& member) const;
  std::size_t ended(kawait::end_reason why) const;
  const std::deque<ownership>& all() const noexcept { return ownerships_; }
  const std::vector<std::string>& violations() const noexcept { return violations_; }

  bool starts_at_commit = true;

 private:
  bool exists(const std::string& topic) const;
  void violation(const ownership& o, const std::string& what) { note(o.member + " " + o.name.to_string() + " " + what); }
  void note(const std::string& what);

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
  actor(testing::world& w, observer& o, std::string name, kawait::config c);
  actor(const actor&) = delete;
  actor& operator=(const actor&) = delete;

  void start();
  void close(std::chrono::milliseconds timeout = 30s);
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
  std::error_code error() const;

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

  asio::awaitable<void> work(kawait::partition p);

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
  ~story();

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
  void add_other(const std::string& id = "other");

  void write(std::int32_t partition, int count, const std::string& topic = "orders");
  /// To each of the first partitions.
  void write_all(std::int32_t partitions, int count = 10) {
    for (std::int32_t p = 0; p < partitions; ++p) write(p, count);
  }
  void target(const actor& a, const index_set& partitions);

  bool until(const std::function<bool()>& predicate, kawait::net::duration limit = 10min) { return world.run_until(predicate, limit); }
  /// Every record of the first partitions was given to somebody, and nothing below the end is uncommitted.
  bool is_done(std::int32_t partitions, const std::string& topic = "orders");
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
  testing::seen_request last(api_key api) const;
  /// Requests of an API since the story's beginning.
  std::size_t count(api_key api) const { return broker.count(api); }

  testing::world world;

 private:
  std::unique_ptr<testing::broker> cluster_;  // goes before the world

 public:
  testing::broker& broker;
  observer log;

 private:
  fault arrives(const testing::request_view& r);

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
