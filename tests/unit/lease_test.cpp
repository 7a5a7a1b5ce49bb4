#include "catch.hpp"

#include <set>

#include "unit/stream_support.hpp"

namespace lease_tests {

using kawait::runtime::lease;
using kawait::runtime::lease_segment;
using kawait::runtime::partition_info;
using kawait::runtime::release_queue;
using kawait::runtime::release_sink;
using kawait::testing::world;
using streams::batch_builder;
using streams::byte_vector;
namespace wire = kawait::wire;

/// Notes what comes back, and in which order.
struct noting_sink final : release_sink {
  void on_marked(lease& l) override { marked.emplace_back(l.ticket, l.low_water_mark()); }
  void on_released(lease& l) override { released.emplace_back(l.ticket, l.low_water_mark()); }
  void on_failed(std::exception_ptr why) override { std::rethrow_exception(why); }

  std::vector<std::pair<std::uint64_t, std::int64_t>> marked, released;
};

struct desk {
  desk() : queue(std::make_shared<release_queue>(w.executor())) { queue->set_sink(&sink); }
  ~desk() { queue->detach(); }

  /// A lease over these record batches, read from `first` on. It has to be released.
  lease* make(std::uint64_t ticket, const std::vector<byte_vector>& batches, std::int64_t first) {
    auto* const l = new lease(queue);
    l->info = info;
    l->ticket = ticket;
    l->first_offset = first;
    for (const byte_vector& bytes : batches) {
      kept.push_back(std::make_unique<byte_vector>(bytes));
      wire::batch_cursor cursor(*kept.back());
      wire::batch_view view;
      REQUIRE(cursor.next(view));
      l->segments.emplace_back(view.header, view.records(), l->record_count);
      l->record_count += static_cast<std::uint32_t>(view.header.record_count);
      l->next_offset = view.header.next_offset();
    }
    return l;
  }
  /// Without records that anybody looks at.
  lease* plain(std::uint64_t ticket) {
    auto* const l = new lease(queue);
    l->info = info;
    l->ticket = ticket;
    l->next_offset = 10;
    return l;
  }

  world w;
  noting_sink sink;
  std::shared_ptr<release_queue> queue;
  std::shared_ptr<partition_info> info =
      std::make_shared<partition_info>("orders", kawait::topic_id_partition(kawait::uuid(), 0));
  std::vector<std::unique_ptr<byte_vector>> kept;
};

// ---- What is done.

TEST_CASE("the mark is the run of records done from the start", "[lease]") {
  desk d;
  lease* const l = d.make(1, {streams::batch_of(10, 4), streams::batch_of(14, 2)}, 10);
  struct row {
    std::uint32_t ordinal;
    std::int64_t offset, mark;
  };
  CHECK(l->low_water_mark() == -1);
  const row rows[] = {{1, 11, -1}, {4, 14, -1}, {0, 10, 12}, {3, 13, 12}, {2, 12, 15}, {2, 12, 15}, {5, 15, 16}};
  for (const row& r : rows) {
    CAPTURE(r.offset);
    l->mark_one_done(r.ordinal, r.offset);
    CHECK(l->low_water_mark() == r.mark);
  }
  l->release();
}

TEST_CASE("with the last record the whole batch is done, its trailing hole included", "[lease]") {
  desk d;
  batch_builder b(10);
  b.add("k", "v").hole(2).add("k", "v").hole(5);  // offsets 10 and 13; the next batch starts at 19
  lease* const l = d.make(1, {b.build()}, 10);
  REQUIRE(l->next_offset == 19);
  l->mark_one_done(0, 10);
  CHECK(l->low_water_mark() == 11);
  l->mark_one_done(1, 13);
  CHECK(l->low_water_mark() == 19);
  l->release();
}

TEST_CASE("records below the position were never handed out and count as done", "[lease]") {
  desk d;
  lease* const l = d.make(1, {streams::batch_of(10, 6), streams::batch_of(16, 1)}, 13);
  l->mark_one_done(4, 14);
  CHECK(l->low_water_mark() == 13);  // nothing that was handed out, but 13 is where it begins
  l->mark_one_done(3, 13);
  CHECK(l->low_water_mark() == 15);
  l->mark_one_done(6, 16);
  l->mark_one_done(5, 15);
  CHECK(l->low_water_mark() == 17);
  l->release();
}

TEST_CASE("an ordinal that the batch does not have is ignored", "[lease]") {
  desk d;
  lease* const l = d.make(1, {streams::batch_of(10, 2)}, 10);
  l->mark_one_done(2, 12);
  l->mark_one_done(0xffffffffu, 12);
  CHECK(l->low_water_mark() == -1);
  l->release();
}

TEST_CASE("done through goes forward only", "[lease]") {
  desk d;
  lease* const l = d.make(1, {streams::batch_of(10, 5)}, 10);
  l->mark_done_through(13);
  l->mark_done_through(11);
  CHECK(l->low_water_mark() == 13);
  l->mark_all_done();
  CHECK(l->low_water_mark() == 15);
  l->release();
}

TEST_CASE("done through and single records add up", "[lease]") {
  desk d;
  SECTION("first through, then one by one") {
    lease* const l = d.make(1, {streams::batch_of(10, 3), streams::batch_of(13, 3)}, 10);
    l->mark_done_through(12);
    CHECK(l->low_water_mark() == 12);
    l->mark_one_done(3, 13);
    CHECK(l->low_water_mark() == 12);
    l->mark_one_done(2, 12);
    CHECK(l->low_water_mark() == 14);
    l->mark_one_done(4, 14);
    l->mark_one_done(5, 15);
    CHECK(l->low_water_mark() == 16);
    l->release();
  }
  SECTION("single ones first, through closes the hole") {
    lease* const l = d.make(1, {streams::batch_of(10, 3), streams::batch_of(13, 3)}, 10);
    l->mark_one_done(4, 14);
    l->mark_one_done(0, 10);
    CHECK(l->low_water_mark() == 11);
    l->mark_done_through(14);
    CHECK(l->low_water_mark() == 15);
    l->mark_one_done(5, 15);
    CHECK(l->low_water_mark() == 16);
    l->release();
  }
  SECTION("over compaction's holes, from a position inside the first batch") {
    batch_builder b(10);
    b.add("k", "v").hole(2).add("k", "v").add("k", "v").hole(3).add("k", "v");  // 10, 13, 14, 18
    lease* const l = d.make(1, {b.build()}, 12);
    l->mark_one_done(2, 14);
    l->mark_done_through(14);
    CHECK(l->low_water_mark() == 15);
    l->mark_one_done(3, 18);
    CHECK(l->low_water_mark() == 19);
    l->release();
  }
}

TEST_CASE("marks are told of, and count as signs of life", "[lease]") {
  desk d;
  lease* const l = d.make(7, {streams::batch_of(10, 3)}, 10);
  l->mark_done_through(11);
  l->mark_one_done(2, 12);
  CHECK(d.info->activity.load() == 2);
  CHECK(d.sink.marked.empty());  // not before the executor gets to it
  d.w.poll();
  REQUIRE(d.sink.marked.size() == 1);  // both in one
  CHECK(d.sink.marked[0] == std::pair<std::uint64_t, std::int64_t>(7, 11));
  l->mark_all_done();
  d.w.poll();
  REQUIRE(d.sink.marked.size() == 2);
  CHECK(d.sink.marked[1].second == 13);
  l->release();
  d.w.poll();
  REQUIRE(d.sink.released.size() == 1);
  CHECK(d.sink.released[0].second == 13);
  CHECK(d.sink.marked.size() == 2);
}

TEST_CASE("done and released before the executor looks is one visit", "[lease]") {
  desk d;
  lease* const l = d.make(7, {streams::batch_of(10, 3)}, 10);
  l->mark_all_done();
  l->release();
  d.queue->drain();
  CHECK(d.sink.marked.empty());
  REQUIRE(d.sink.released.size() == 1);
  CHECK(d.sink.released[0].second == 13);
  d.w.poll();  // the wake-up finds nothing
  CHECK(d.sink.released.size() == 1);
}

// ---- The queue.

TEST_CASE("leases come back in the order in which they were first marked or released", "[lease]") {
  desk d;
  std::vector<lease*> all;
  for (std::uint64_t t = 0; t < 5; ++t) all.push_back(d.plain(t));
  for (const std::size_t i : {3u, 1u, 4u, 0u, 2u}) all[i]->release();
  d.w.poll();
  std::vector<std::uint64_t> order;
  for (const auto& r : d.sink.released) order.push_back(r.first);
  CHECK(order == std::vector<std::uint64_t>{3, 1, 4, 0, 2});
}

TEST_CASE("after the consumer has gone a release only frees memory", "[lease]") {
  // That it does is shown by the address sanitizer.
  desk d;
  lease* const before = d.plain(1);
  lease* const marked = d.plain(2);
  lease* const after = d.plain(3);
  before->release();
  marked->mark_all_done();
  d.queue->detach();
  after->mark_all_done();
  after->release();
  marked->mark_all_done();
  marked->release();
  d.w.poll();
  CHECK(d.sink.marked.empty());
  CHECK(d.sink.released.empty());
}

TEST_CASE("after the context has gone a release only frees memory", "[lease]") {
  auto d = std::make_unique<desk>();
  const std::shared_ptr<release_queue> queue = d->queue;
  lease* const woken = d->plain(1);
  lease* const held = d->plain(2);
  woken->release();
  d->w.destroy_context();
  held->mark_all_done();
  held->mark_all_done();
  held->release();
  CHECK(d->sink.released.empty());
}

/// An executor that has no memory for what is posted to it.
struct full_executor {
  asio::execution_context* context_;
  bool* full;

  asio::execution_context& query(asio::execution::context_t) const noexcept { return *context_; }
  static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept { return asio::execution::blocking.never; }
  template <class F>
  void execute(F f) const {
    if (*full) throw std::bad_alloc();
    asio::post(static_cast<asio::io_context*>(context_)->get_executor(), std::move(f));
  }
  friend bool operator==(const full_executor& a, const full_executor& b) noexcept { return a.context_ == b.context_; }
};

TEST_CASE("without memory for a wake-up nothing is lost: the next drain finds all", "[lease]") {
  desk d;
  bool full = true;
  const auto queue = std::make_shared<release_queue>(full_executor{&d.w.context(), &full});
  queue->set_sink(&d.sink);
  auto* const l = new lease(queue);
  auto* const second = new lease(queue);
  for (auto* x : {l, second}) {
    x->info = d.info;
    x->next_offset = 10;
  }
  l->mark_all_done();
  second->mark_all_done();
  second->release();
  queue->drain();
  CHECK(d.sink.marked.size() == 1);
  CHECK(d.sink.released.size() == 1);
  l->release();
  full = false;
  auto* const third = new lease(queue);
  third->info = d.info;
  third->release();  // wakes for both
  d.w.poll();
  CHECK(d.sink.released.size() == 3);
  // Nor does it leak if the consumer goes before the next.
  full = true;
  auto* const last = new lease(queue);
  last->info = d.info;
  last->release();
  queue->detach();
}

}  // namespace lease_tests
