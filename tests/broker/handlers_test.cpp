// for_each_batch and for_each_record in a group that changes.

#include "handler_support.hpp"

namespace kawait::tests {
namespace {

/// Works for a while on each record, and counts how often each was worked on to the end.
struct counting {
  explicit counting(std::map<std::pair<std::int32_t, std::int64_t>, int>& all, std::size_t& own) : seen(&all), mine(&own) {}
  asio::awaitable<void> operator()(kawait::record r, kawait::partition p) const {
    co_await sleep_for(2ms);
    note(p.index(), r.offset());
  }
  void operator()(const batch& b) const {
    for (const kawait::record& r : b) note(b.partition(), r.offset());
  }
  void note(std::int32_t p, std::int64_t offset) const {
    ++(*seen)[std::pair(p, offset)];
    ++*mine;
  }
  std::map<std::pair<std::int32_t, std::int64_t>, int>* seen;
  std::size_t* mine;
};

enum class way { records, several, whole_batches };

struct working_member {
  working_member(asio::any_io_executor e, config c) : executor(e), consumer(std::move(e), std::move(c)) {}
  void start(std::map<std::pair<std::int32_t, std::int64_t>, int>& all, way how) {
    const counting handler(all, seen);
    auto work = how == way::records   ? for_each_record(consumer, handler)
                : how == way::several ? for_each_record(consumer, handler, by_key(4), concurrency(6), retry(3))
                                      : for_each_batch(consumer, handler, concurrency(1));
    asio::co_spawn(executor, std::move(work), [this](std::exception_ptr e) {
      has_ended = true;
      thrown = e;
    });
  }
  asio::any_io_executor executor;
  kawait::consumer consumer;
  std::size_t seen = 0;
  bool has_ended = false;
  std::exception_ptr thrown;
};

asio::awaitable<void> two_members(scenario& s, way how) {
  const std::string topic = unique_name("handlers"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 4);
  load& l = s.make<load>(s.admin, topic, 4);
  co_await l.add(500);
  std::map<std::pair<std::int32_t, std::int64_t>, int> seen;
  working_member& a = s.make<working_member>(s.executor(), s.settings(group));
  working_member& b = s.make<working_member>(s.executor(), s.settings(group));
  a.consumer.subscribe(topic);
  b.consumer.subscribe(topic);
  a.start(seen, how);
  EVENTUALLY(a.seen > 100);
  b.start(seen, how);
  EVENTUALLY(a.consumer.assignment().size() == 2 && b.consumer.assignment().size() == 2);
  co_await l.add(500);
  EVENTUALLY(seen.size() == 4000 && b.seen > 500);
  co_await b.consumer.async_close();
  co_await a.consumer.async_close();
  EVENTUALLY(a.has_ended && b.has_ended);
  CHECK(!a.thrown);
  CHECK(!b.thrown);
  const auto committed = co_await s.committed(group, topic, 4);
  for (const std::int64_t offset : committed) CHECK(offset == 1000);
  std::size_t repeated = 0;
  for (const auto& [which, times] : seen) repeated += times > 1 ? 1u : 0u;
  // Several at once: what was done behind one that was not, when the partition moved, is done again by the next owner.
  if (how == way::several) {
    CHECK(repeated < 100);
  } else {
    CHECK(repeated == 0);
  }
}

asio::awaitable<void> by_records(scenario& s) { return two_members(s, way::records); }
asio::awaitable<void> by_several(scenario& s) { return two_members(s, way::several); }
asio::awaitable<void> by_batches(scenario& s) { return two_members(s, way::whole_batches); }

TEST_CASE("for_each_record: partitions move in the middle of a batch, and every record is worked on once", "[membership][handlers]") {
  scenario s;
  s.run(&by_records);
}

TEST_CASE("for_each_record, several at once: partitions move, and no record is missing", "[membership][handlers]") {
  scenario s;
  s.run(&by_several);
}

TEST_CASE("for_each_batch: partitions move, and every batch is worked on once", "[membership][handlers]") {
  scenario s;
  s.run(&by_batches);
}

}  // namespace
}  // namespace kawait::tests
