#include "catch.hpp"

#include <atomic>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/strand.hpp>

#include "simulation/simulated_kafka.hpp"
#include "threads/crew.hpp"
#include "unit/stream_support.hpp"

// Batches are marked and released on eight threads while the consumer's executor revokes, closes, and goes. For the thread sanitizer.

namespace {

using kawait::runtime::lease;
using kawait::runtime::partition_info;
using kawait::runtime::partition_stream;
using kawait::runtime::release_queue;
using threaded::crew;
using threaded::mailbox;
namespace wire = kawait::wire;

/// Marks a lease done, in one of the ways there are. `done` counts what was marked before the release.
void finish(streams::held l, std::atomic<std::size_t>& done) {
  switch (l->ticket % 4) {
    case 0: l->mark_all_done(); break;
    case 1:
      for (std::uint32_t i = l->record_count; i-- > 0;) l->mark_one_done(i, l->first_offset + i);
      break;
    case 2:
      l->mark_done_through(l->first_offset + 1);
      l->mark_all_done();
      break;
    default:
      for (std::int64_t o = l->first_offset; o < l->next_offset; ++o) l->mark_done_through(o + 1);
  }
  done.fetch_add(1);
  l.reset();
}

/// An execution context with the consumer's executor in it: itself, run by one thread, or a strand, run by two.
struct place {
  explicit place(bool on_strand) : io(std::in_place), work(io->get_executor()) {
    executor = on_strand ? asio::any_io_executor(asio::make_strand(*io)) : asio::any_io_executor(io->get_executor());
    kawait::net::environment::of(executor);
    for (int i = 0; i < (on_strand ? 2 : 1); ++i) {
      threads.emplace_back([this] { io->run(); });
    }
  }
  ~place() { destroy(); }
  void stop() {
    io->stop();
    for (auto& t : threads) t.join();
    threads.clear();
  }
  void destroy() {
    if (!io) return;
    stop();
    work.reset();
    executor = asio::any_io_executor();
    io.reset();
  }

  std::optional<asio::io_context> io;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  asio::any_io_executor executor;
  std::vector<std::thread> threads;
};

// ---- A partition is revoked while its batches are out.

/// A consumer of one stream, and of nothing else.
struct reader : std::enable_shared_from_this<reader> {
  explicit reader(const asio::any_io_executor& e) : executor(e), releases(std::make_shared<release_queue>(e)) {
    stream = std::make_shared<partition_stream>(e, host, kawait::machine::leased(kawait::topic_id_partition(kawait::uuid(), 0), 1), "orders");
    stream->set_quota(std::size_t{1} << 30);
    releases->set_sink(&sink);
  }
  ~reader() { releases->detach(); }

  /// Hands `count` batches to the crew, revokes the partition with most of them still out, and waits for the drain.
  asio::awaitable<void> run(std::size_t count, mailbox<streams::held>& out) {
    stream->start();
    stream->on_located(kawait::offset_and_epoch(0));
    const kawait::runtime::hand_out_context context = hand_out();
    for (std::size_t i = 0; i < count; ++i) {
      feed(static_cast<std::int64_t>(i) * 4);
      auto taken = stream->take(context);
      if (!taken || !*taken) co_return;
      end = (*taken)->next_offset;
      out.put(streams::held(std::move(*taken).release()));
      if (i % 16 == 0) releases->drain();
      if (i % 64 == 0) co_await asio::post(asio::use_awaitable);
    }
    stream->end(kawait::end_reason::revoked);
    co_await stream->work().async_wait();
    committable = stream->tracker().committable().value_or(kawait::offset_and_epoch()).offset;
    open = stream->tracker().open_count();
    drained = stream->work().is_drained();
  }
  kawait::runtime::hand_out_context hand_out();
  void feed(std::int64_t base) {
    const auto bytes = streams::batch_of(base, 4);
    kawait::runtime::chunk c;
    c.buffer = pool.acquire(bytes.size());
    std::copy(bytes.begin(), bytes.end(), c.buffer->data());
    wire::records_summary summary;
    c.bytes = std::span<const std::byte>(c.buffer->data(), bytes.size());
    c.error = wire::summarize(c.bytes, summary);
    stream->on_fetched(std::move(c), summary);
  }

  asio::any_io_executor executor;
  streams::fake_host host;
  streams::returning_sink sink;
  kawait::runtime::buffer_pool pool{std::size_t{64} << 20};
  wire::decompressor codecs;
  std::shared_ptr<release_queue> releases;
  std::shared_ptr<partition_stream> stream;
  std::int64_t end = 0, committable = -1;
  std::size_t open = 1;
  bool drained = false;
};

kawait::runtime::hand_out_context reader::hand_out() {
  return kawait::runtime::hand_out_context{pool, codecs, releases, wire::default_decompression_limit, true, false};
}

TEST_CASE("all that is marked done on other threads is known when the drain ends", "[threads]") {
  const bool on_strand = GENERATE(false, true);
  CAPTURE(on_strand);
  constexpr std::size_t count = 2000;
  std::atomic<std::size_t> done{0};
  mailbox<bool> ended;
  place p(on_strand);
  auto r = std::make_shared<reader>(p.executor);
  {
    crew<streams::held> c([&done](streams::held l) { finish(std::move(l), done); });
    asio::co_spawn(p.executor, r->run(count, c.box), [&](std::exception_ptr e) { ended.put(!e); });
    CHECK(ended.get() == true);
  }
  p.stop();
  CHECK(done.load() == count);
  CHECK(r->drained);
  CHECK(r->open == 0);
  CHECK(r->end == static_cast<std::int64_t>(count) * 4);
  CHECK(r->committable == r->end);
  CHECK(r->pool.charged() == 0);
  r.reset();
}

// ---- The consumer, or its context, goes while batches are out.

/// Counts the leases that were freed, by the buffers they held.
struct counting_owner final : wire::slab_owner {
  void recycle(wire::slab* s) noexcept override {
    freed.fetch_add(1);
    wire::slab::destroy(s);
  }
  std::atomic<std::size_t> freed{0};
};

struct counting_sink final : kawait::runtime::release_sink {
  void on_marked(lease&) override { ++marked; }
  void on_released(lease&) override { ++released; }
  void on_failed(std::exception_ptr why) override { std::rethrow_exception(why); }
  std::size_t marked = 0, released = 0;
};

struct goodbye {
  explicit goodbye(bool on_strand) : p(on_strand), queue(std::make_shared<release_queue>(p.executor)) {
    queue->set_sink(&sink);
    const auto bytes = streams::batch_of(0, 4);
    records = std::make_shared<streams::byte_vector>(bytes);
    crew_.emplace([this](streams::held l) { finish(std::move(l), done); });
  }

  void put(std::size_t count) {
    wire::batch_cursor cursor(*records);
    wire::batch_view view;
    if (!cursor.next(view)) return;
    for (std::size_t i = 0; i < count; ++i, ++made) {
      auto* const l = new lease(queue);
      l->info = info;
      l->ticket = made;
      l->next_offset = 4;
      l->record_count = 4;
      l->segments.emplace_back(view.header, view.records(), 0);
      l->buffers.emplace_back(wire::slab::create(16, &owner));
      crew_->box.put(streams::held(l));
    }
  }
  struct engine {
    explicit engine(std::shared_ptr<release_queue> q) : releases(std::move(q)) {}
    ~engine() { releases->detach(); }
    std::shared_ptr<release_queue> releases;
  };
  /// An engine lives in the frames of its tasks: it goes with the context, if not before.
  static asio::awaitable<void> live(std::shared_ptr<engine>) {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    kawait::net::condition never(here);
    co_await never.wait();
  }
  /// Once so many are finished.
  void wait_for(std::size_t count) const {
    while (done.load() < count) std::this_thread::yield();
  }

  counting_owner owner;
  counting_sink sink;
  std::shared_ptr<streams::byte_vector> records;
  std::shared_ptr<partition_info> info = std::make_shared<partition_info>("orders", kawait::topic_id_partition(kawait::uuid(), 0));
  std::atomic<std::size_t> done{0};
  std::size_t made = 0;
  place p;
  std::shared_ptr<release_queue> queue;
  std::optional<crew<streams::held>> crew_;
};

TEST_CASE("every lease is freed once when the consumer goes meanwhile", "[threads]") {
  const bool on_strand = GENERATE(false, true);
  CAPTURE(on_strand);
  for (std::size_t round = 0; round < 30; ++round) {
    goodbye g(on_strand);
    g.put(400);
    g.wait_for(10 * round);
    std::atomic<bool> gone{false};
    std::size_t heard = 0;
    asio::post(g.p.executor, [&] {
      g.queue->drain();
      heard = g.sink.released;
      g.queue->detach();
      gone.store(true);
    });
    g.put(200);
    g.crew_->finish();
    while (!gone.load()) std::this_thread::yield();
    g.p.stop();
    g.p.destroy();
    CHECK(g.owner.freed.load() == 600);
    CHECK(g.sink.released == heard);  // nobody was told afterwards
    CHECK(g.info.use_count() == 1);
  }
}

TEST_CASE("every lease is freed once when the context goes meanwhile", "[threads]") {
  const bool on_strand = GENERATE(false, true);
  CAPTURE(on_strand);
  for (std::size_t round = 0; round < 30; ++round) {
    goodbye g(on_strand);
    asio::co_spawn(g.p.executor, goodbye::live(std::make_shared<goodbye::engine>(g.queue)), asio::detached);
    g.put(600);
    g.wait_for(10 * round);
    g.p.destroy();
    g.put(100);
    g.crew_->finish();
    CHECK(g.owner.freed.load() == 700);
    CHECK(g.sink.released <= 600);
    CHECK(g.info.use_count() == 1);
  }
}

// ---- A whole consumer, in a world whose time stands still while the threads work.

struct whole {
  whole() {
    k.emplace(w, 4);
    for (int p = 0; p < 4; ++p) {
      for (int i = 0; i < 50; ++i) k->append_numbers(p, 4);
    }
    k->assign(0, {0, 1, 2, 3});
    auto c = simulated::member_config();
    c.max_partition_fetch_bytes(1024);
    consumer = std::make_shared<kawait::consumer>(w.executor(), c);
    consumer->subscribe(simulated::kafka::topic);
  }
  /// Hands every batch to the crew. `keep`: the consumer is destroyed with the coroutine that runs it.
  void start(mailbox<kawait::batch>& out, bool keep = false) {
    auto work = [this, &out](kawait::partition p) -> asio::awaitable<void> {
      while (auto b = co_await p.async_next()) {
        records[p.index()] = b->next_offset();
        ++handed_out;
        out.put(std::move(*b));
      }
    };
    const auto run = [](kawait::consumer& c, std::function<asio::awaitable<void>(kawait::partition)> h,
                        std::shared_ptr<kawait::consumer>) -> asio::awaitable<void> { co_await kawait::for_each_partition(c, h); };
    asio::co_spawn(w.executor(), run(*consumer, work, keep ? consumer : nullptr), [this](std::exception_ptr e) {
      thrown = e;
      ended = true;
    });
  }
  std::int64_t read() const {
    std::int64_t n = 0;
    for (const auto& [p, end] : records) n += end;
    return n;
  }
  /// Everything that can run without time passing, until the threads have brought it about.
  template <class Predicate>
  void poll_until(Predicate predicate) {
    while (!predicate()) {
      w.poll();
      std::this_thread::yield();
    }
  }
  /// Lets time pass, but never while a thread has a batch in hand: its second is longer than the world's.
  template <class Predicate>
  bool run_until(Predicate predicate) {
    for (int i = 0; i < 1000; ++i) {
      poll_until([&] { return finished.load() == handed_out; });
      if (predicate()) return true;
      w.advance(std::chrono::milliseconds(100));
    }
    return false;
  }

  kawait::testing::world w;
  std::optional<simulated::kafka> k;
  std::shared_ptr<kawait::consumer> consumer;
  std::map<std::int32_t, std::int64_t> records;
  std::size_t handed_out = 0;
  std::atomic<std::size_t> finished{0};
  bool ended = false;
  std::exception_ptr thrown;
};

void mark_and_release(kawait::batch b, std::atomic<std::size_t>& finished) {
  if (b.partition() % 2 == 0) {
    b.done();
  } else {
    for (const kawait::record& r : b) b.done(r);
  }
  b.keep_alive();
  (void)b.is_stale();
  b = kawait::batch();
  finished.fetch_add(1);
}

TEST_CASE("a consumer commits all that other threads have done before it revokes and closes", "[threads]") {
  whole x;
  crew<kawait::batch> c([&x](kawait::batch b) { mark_and_release(std::move(b), x.finished); });
  x.start(c.box);
  REQUIRE(x.run_until([&] { return x.read() >= 100; }));
  x.k->assign(0, {0, 1});
  REQUIRE(x.run_until([&] {
    for (int p = 0; p < 4; ++p) x.k->append_numbers(p, 4);
    return x.k->heartbeats.back().owned == std::set<std::int32_t>{0, 1};
  }));
  for (const int p : {2, 3}) {
    CAPTURE(p);
    CHECK(x.k->committed[p] == x.records[p]);
  }
  bool closed = false;
  for (int p = 0; p < 4; ++p) x.k->append_numbers(p, 400);
  asio::co_spawn(x.w.executor(), x.consumer->async_close(), [&](std::exception_ptr) { closed = true; });
  REQUIRE(x.run_until([&] { return closed && x.ended; }));
  CHECK(!x.thrown);
  c.finish();
  for (const auto& [p, end] : x.records) {
    CAPTURE(p);
    CHECK(x.k->committed[p] == end);
  }
}

TEST_CASE("a consumer may be destroyed, and its context, while other threads hold its batches", "[threads]") {
  const bool context_too = GENERATE(false, true);
  for (int round = 0; round < 5; ++round) {
    auto x = std::make_unique<whole>();
    crew<kawait::batch> c([&counter = x->finished](kawait::batch b) { mark_and_release(std::move(b), counter); });
    x->start(c.box, context_too);
    REQUIRE(x->w.run_until([&] { return x->read() >= 40 * round + 1; }));
    x->consumer.reset();
    if (context_too) {
      x->k.reset();
      x->w.destroy_context();
    } else {
      x->poll_until([&] { return x->ended; });
    }
    c.finish();
  }
}

}  // namespace
