#include "catch.hpp"

#include <asio/strand.hpp>

#include "simulation/reader.hpp"

// What is pending when a consumer is destroyed, cancelled, or goes with its context, in virtual time.

namespace {

using namespace std::chrono_literals;
using kawait::errc;
using kawait::kafka_error;
using simulated::kafka;

const std::error_code aborted = asio::error::operation_aborted;

/// A member that was told of its two partitions and has ten records of the first in hand, done; its coordinator has gone.
struct cut_off {
  auto note(std::string name) {
    return [this, name](std::error_code ec, const auto&...) { ends[name] = ec; };
  }
  cut_off() : k(w, 2) {
    k.coordinator_is_apart = true;
    k.append_numbers(0, 10);
    k.assign(0, {0, 1});
    auto c = simulated::member_config();
    c.auto_commit(false).default_api_timeout(10min);
    consumer.emplace(w.executor(), c);
    consumer->subscribe(kafka::topic);
    consumer->async_run(note("async_run"));
    std::optional<kawait::event> told;
    consumer->async_next_event([&](std::error_code, kawait::event e) { told = std::move(e); });
    REQUIRE(w.run_until([&] { return told.has_value(); }));
    partitions = told->partitions;
    auto batch = w.run(partitions[0].async_next());
    REQUIRE(batch);
    batch->done();
    k.cut_coordinator();
    w.advance(1s);
  }

  kawait::testing::world w;
  kafka k;
  std::optional<kawait::consumer> consumer;
  std::vector<kawait::partition> partitions;
  std::map<std::string, std::error_code> ends;
  kawait::offset_map offsets{{kawait::topic_partition("orders", 0), 5}};
};

TEST_CASE("destroying a consumer completes all that is pending with operation_aborted", "[aborted]") {
  cut_off c;
  c.partitions[1].async_next(c.note("next"));
  c.partitions[0].async_wait(c.note("async_wait"));
  c.partitions[0].async_wait_end(c.note("async_wait_end"));
  c.partitions[0].async_commit(c.note("partition's commit"));
  c.consumer->async_commit(c.note("commit"));
  c.consumer->async_commit(c.offsets, c.note("commit of offsets"));
  c.consumer->async_committed({kawait::topic_partition("orders", 0)}, c.note("committed"));
  c.consumer->async_next_event(c.note("next_event"));
  c.w.advance(1s);
  CHECK(c.ends.empty());
  c.consumer.reset();
  c.w.poll();
  CHECK(c.ends.size() == 9);
  for (const auto& [name, code] : c.ends) {
    CAPTURE(name);
    CHECK(code == aborted);
  }
}

TEST_CASE("closing a consumer says so to commits, and ends waits without an error", "[aborted]") {
  cut_off c;
  c.partitions[0].async_wait(c.note("async_wait"));
  c.partitions[0].async_wait_end(c.note("async_wait_end"));
  kawait::diagnostics words;
  kawait::commit_result result;
  c.consumer->async_commit(words, [&](std::error_code ec, kawait::commit_result r) {
    c.ends["commit"] = ec;
    result = std::move(r);
  });
  c.consumer->async_committed({kawait::topic_partition("orders", 0)}, c.note("committed"));
  c.w.advance(1s);
  CHECK(c.ends.empty());
  c.consumer->async_close(c.note("close"));
  REQUIRE(c.w.run_until([&] { return c.ends.size() == 6; }, 1min));
  CHECK(!c.ends["async_wait"]);
  CHECK(!c.ends["async_wait_end"]);
  CHECK(c.ends["commit"] == errc::commit_failed);
  CHECK(words.text().find("orders-0") != std::string::npos);
  REQUIRE(result.size() == 1);
  CHECK(result[0].code);
  CHECK(c.ends["committed"] == errc::closed);
}

TEST_CASE("a commit that is cancelled ends with operation_aborted", "[aborted]") {
  cut_off c;
  asio::cancellation_signal stop;
  c.consumer->async_commit(asio::bind_cancellation_slot(stop.slot(), c.note("commit")));
  c.w.advance(1s);
  stop.emit(asio::cancellation_type::total);
  c.w.poll();
  REQUIRE(c.ends.count("commit") == 1);
  CHECK(c.ends["commit"] == aborted);
}

TEST_CASE("operations with a token have words, too", "[aborted]") {
  kawait::testing::world w;
  kafka k(w, 1);
  kawait::config config("10.0.0.1:9092");
  kawait::consumer c(w.executor(), config);
  c.assign({kawait::topic_partition("orders", 0)});
  std::map<std::string, std::error_code> ends;
  std::map<std::string, kawait::diagnostics> words;
  const auto note = [&](std::string name) { return [&ends, name](std::error_code ec, const auto&...) { ends[name] = ec; }; };
  const kawait::offset_map offsets{{kawait::topic_partition("orders", 0), 5}};
  c.async_commit(words["commit"], note("commit"));
  c.async_commit(offsets, words["offsets"], note("offsets"));
  c.async_committed({kawait::topic_partition("orders", 0)}, words["committed"], note("committed"));
  w.poll();
  CHECK(ends.size() == 3);
  for (const auto& [name, code] : ends) {
    CAPTURE(name);
    CHECK(code == errc::group_required);
    CHECK(!words[name].text().empty());
  }
  ends.clear();
  c.async_next(words["next"], note("next"));
  c.async_next_event(words["event"], note("event"));
  c.async_incremental_unassign(kawait::revocation(), words["unassign"], note("unassign"));
  w.poll();
  CHECK(ends == std::map<std::string, std::error_code>{{"event", errc::mixed_modes}, {"unassign", std::error_code()}});
  c.async_close(kawait::close_options(1s), words["close"], note("close"));
  w.poll();
  CHECK(ends["next"] == errc::closed);
  CHECK(ends.count("close") == 1);
}

// ---- for_each_partition.

/// A coroutine that owns its consumer and runs for_each_partition.
asio::awaitable<void> owning(kawait::consumer consumer, std::function<asio::awaitable<void>(kawait::partition)> handler) {
  co_await kawait::for_each_partition(consumer, handler);
}

TEST_CASE("a context is destroyed with a for_each_partition in a coroutine that owns the consumer", "[aborted]") {
  const bool busy = GENERATE(true, false);
  const bool waited = GENERATE(true, false);
  CAPTURE(busy);
  CAPTURE(waited);
  kawait::testing::world w;
  auto k = std::make_unique<kafka>(w, 2);
  k->append_numbers(0, 10);
  k->append_numbers(1, 10);
  k->assign(0, {0, 1});
  kawait::consumer consumer(w.executor(), simulated::member_config());
  consumer.subscribe(kafka::topic);
  int handlers = 0;
  const auto handler = [&](kawait::partition p) -> asio::awaitable<void> {
    std::vector<kawait::batch> held;
    while (auto b = co_await p.async_next()) {
      held.push_back(std::move(*b));
      ++handlers;
      if (busy) co_await p.async_wait_end();
    }
  };
  asio::co_spawn(w.executor(), owning(std::move(consumer), handler), asio::detached);
  REQUIRE(w.run_until([&] { return handlers == 2; }));
  if (waited) w.advance(20s);
  k.reset();
  w.destroy_context();
}

TEST_CASE("for_each_partition and async_run leave the cancellation state of who awaits them alone", "[aborted]") {
  const bool runs = GENERATE(false, true);
  CAPTURE(runs);
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  simulated::reader m(w);
  asio::cancellation_signal stop;
  std::error_code code;
  bool throws = true;
  asio::cancellation_type before = asio::cancellation_type::none, after = asio::cancellation_type::none;
  const auto script = [&]() -> asio::awaitable<void> {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_partial_cancellation());
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto handler = [](kawait::partition p) -> asio::awaitable<void> {
      while (auto b = co_await p.async_next()) b->done();
    };
    if (runs) m.read_all();
    auto reading = runs ? m.consumer.async_run() : kawait::for_each_partition(m.consumer, handler);
    try {
      co_await std::move(reading);
    } catch (const std::system_error& e) {
      code = e.code();
    }
    throws = co_await asio::this_coro::throw_if_cancelled();
    const auto state = co_await asio::this_coro::cancellation_state;
    before = state.cancelled();
    kawait::timer never(w.executor());
    never.expires_after(1h);
    const auto wait = co_await never.async_wait();
    const auto later = co_await asio::this_coro::cancellation_state;
    if (wait) after = later.cancelled();
  };
  asio::co_spawn(w.executor(), script(), asio::bind_cancellation_slot(stop.slot(), [](std::exception_ptr) {}));
  REQUIRE(w.run_until([&] { return k.committed[0] == 10; }));
  stop.emit(asio::cancellation_type::total);  // is not let through
  w.advance(1s);
  CHECK(!code);
  stop.emit(asio::cancellation_type::partial);
  REQUIRE(w.run_until([&] { return static_cast<bool>(code); }));
  CHECK(code == aborted);
  CHECK(!throws);
  CHECK(before == asio::cancellation_type::partial);
  if (!runs) CHECK(k.heartbeats.back().epoch == -1);  // async_run ends without a word
  w.advance(1s);
  stop.emit(asio::cancellation_type::partial);
  w.poll();
  CHECK(after == asio::cancellation_type::partial);
}

TEST_CASE("for_each_partition may be awaited on another executor", "[aborted]") {
  kawait::testing::world w;
  kafka k(w, 1);
  k.append_numbers(0, 10);
  k.assign(0, {0});
  simulated::reader m(w);
  const auto strand = asio::make_strand(w.executor());
  const auto handler = [](kawait::partition p) -> asio::awaitable<void> {
    auto b = co_await p.async_next();
    throw std::out_of_range("its own");
  };
  std::exception_ptr thrown;
  asio::co_spawn(strand, kawait::for_each_partition(m.consumer, handler), [&](std::exception_ptr e) { thrown = e; });
  REQUIRE(w.run_until([&] { return static_cast<bool>(thrown); }));
  CHECK_THROWS_AS(std::rethrow_exception(thrown), std::out_of_range);
}

}  // namespace
