// for_each_batch: returning is done; what throws, what is revoked, lost, closed or cancelled meanwhile.

#include <memory>

#include "simulation/handlers.hpp"

namespace embedded {
namespace {

/// What a handler of any form was given.
struct seen_batches {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> partitions;
  void take(const kawait::batch& b, std::int32_t partition) {
    for (const kawait::record& r : b) offsets.push_back(r.offset());
    partitions.push_back(partition);
  }
};

// What could not be done by returning is no handler: a batch by value is gone, and of what is returned nobody would know the meaning.
using plain = void (*)(kawait::batch&);
using by_value = void (*)(kawait::batch);
using answering = bool (*)(const kawait::batch&);
using of_records = asio::awaitable<void> (*)(const kawait::record&, kawait::partition);
static_assert(kawait::batch_handler<plain> && !kawait::record_handler<plain>);
static_assert(!kawait::batch_handler<by_value> && !kawait::batch_handler<answering>);
static_assert(kawait::record_handler<of_records> && !kawait::batch_handler<of_records>);

TEST_CASE("for_each_batch: returning is done, whatever form the handler has") {
  const int form = GENERATE(0, 1, 2, 3, 4, 5);
  CAPTURE(form);
  stage s(1);
  seen_batches seen;
  s.append(0, {"a", "b", "c"});
  switch (form) {
    case 0:
      s.each_batch([&](kawait::batch& b) { seen.take(b, b.partition()); });
      break;
    case 1:
      s.each_batch([&](const kawait::batch& b, const kawait::partition& p) { seen.take(b, p.index()); });
      break;
    case 2:
      s.each_batch([&](kawait::batch& b) -> asio::awaitable<void> {
        co_await kawait::sleep_for(1s);
        seen.take(b, b.partition());
      });
      break;
    case 3:
      s.each_batch([&](const kawait::batch& b, kawait::partition p) -> asio::awaitable<void> {
        co_await kawait::sleep_for(1s);
        seen.take(b, p.index());
      });
      break;
    case 4:
      s.each_batch([&](auto&& b, auto&& p) { seen.take(b, p.index()); });
      break;
    default: {
      auto counted = std::make_unique<int>(0);  // move-only, with state
      s.each_batch([&seen, counted = std::move(counted)](kawait::batch& b) -> asio::awaitable<void> {
        co_await kawait::sleep_for(1s);
        seen.take(b, (*counted)++ < 0 ? -1 : b.partition());
      });
    }
  }
  REQUIRE(s.until([&] { return s.committed() == 3; }, 1min));
  s.append(0, {"d"});
  REQUIRE(s.until([&] { return s.committed() == 4; }, 1min));
  CHECK(seen.offsets == range(0, 4));
  CHECK(seen.partitions == std::vector<std::int32_t>{0, 0});
  s.close();
  REQUIRE(s.until_ended());
  CHECK(s.what() == "");
  CHECK(s.closed == std::error_code());
}

TEST_CASE("for_each_batch: a batch is not done before its handler returned") {
  stage s;
  s.append(0, {"a"});
  s.each_batch([](kawait::batch&) -> asio::awaitable<void> { co_await kawait::sleep_for(30s); });
  s.world.advance(29s);
  CHECK(s.committed() == -1);
  s.world.advance(10s);
  CHECK(s.committed() == 1);
}

TEST_CASE("for_each_batch: what a handler throws ends all in order; what was done is committed") {
  const bool is_plain = GENERATE(false, true);
  CAPTURE(is_plain);
  stage s(2);
  s.append(0, {"good"});
  s.append(1, {"slow"});
  bool other_ended = false;
  if (is_plain) {
    s.each_batch([&](const kawait::batch& b) {
      if (b.begin()->value() == "bad") throw std::runtime_error("handler's own words");
      other_ended = true;
    });
  } else {
    s.each_batch([&](const kawait::batch& b) -> asio::awaitable<void> {
      if (b.begin()->value() == "bad") throw std::runtime_error("handler's own words");
      if (b.begin()->value() == "slow") co_await kawait::sleep_for(15s);
      other_ended = b.begin()->value() == "slow";
    });
  }
  s.world.advance(6s);
  s.append(0, {"bad"});
  REQUIRE(s.until_ended());
  CHECK(s.what() == "handler's own words");
  CHECK(other_ended);
  CHECK(s.committed(0) == 1);
  CHECK(s.committed(1) == 1);  // it was waited for
  CHECK(s.members() == 0);
}

TEST_CASE("for_each_batch: of two handlers that throw the first is rethrown, and the other warned of") {
  stage s(2);
  s.append(0, {"first"});
  s.append(1, {"second"});
  s.each_batch([](kawait::batch& b) -> asio::awaitable<void> {
    const std::string mine(*b.begin()->value());
    co_await kawait::sleep_for(mine == "first" ? 1s : 2s);
    throw std::runtime_error(mine + " failed");
  });
  REQUIRE(s.until_ended());
  CHECK(s.what() == "first failed");
  const kawait::failure& warned = s.consumer().last_warning();
  CHECK(warned.code == std::errc::state_not_recoverable);
  CHECK(warned.words == "handler of orders-1: second failed");
}

TEST_CASE("for_each_batch: a handler that stops early because it was told to has done what it marked") {
  const bool marks = GENERATE(false, true);
  CAPTURE(marks);
  stage s;
  s.append(0, {"a", "b", "c", "d", "e", "f", "g", "h"});
  int worked = 0;
  s.each_batch([&](kawait::batch& b, kawait::partition& p) -> asio::awaitable<void> {
    for (const kawait::record& r : b) {
      if (!p.is_running()) co_return;
      co_await kawait::sleep_for(1s);
      ++worked;
      if (marks) b.done_through(r);
    }
  });
  REQUIRE(s.until([&] { return worked == 3; }));
  s.close();
  REQUIRE(s.until_ended(10s));
  CHECK(s.what() == "");
  CHECK(worked == 4);
  CHECK(s.committed() == (marks ? 4 : -1));
}

TEST_CASE("for_each_batch: who moves the batch away says done itself") {
  stage s;
  s.append(0, {"a", "b"});
  std::optional<kawait::batch> taken;
  s.each_batch([&](kawait::batch& b) { taken.emplace(std::move(b)); });
  s.world.advance(20s);
  REQUIRE(taken.has_value());
  CHECK(s.committed() == -1);
  taken->done();
  taken.reset();
  s.world.advance(10s);
  CHECK(s.committed() == 2);
  CHECK(!s.ended);
}

TEST_CASE("for_each_batch: who works one batch behind has done what it said, and no more") {
  const bool swaps = GENERATE(false, true);
  CAPTURE(swaps);
  stage s(1);
  s.append(0, {"a"});
  kawait::batch pending;
  int calls = 0;
  s.each_batch([&](kawait::batch& b) {
    ++calls;
    if (swaps) {
      std::swap(pending, b);
    } else {
      if (pending) pending.done();
      pending = std::move(b);
      CHECK(!b);
    }
  });
  REQUIRE(s.until([&] { return calls == 1; }));
  s.append(0, {"b"});
  REQUIRE(s.until([&] { return calls == 2; }));
  // The first was done and released as the second took its place; swapped into the host's hands it is done by nobody.
  s.world.advance(10s);
  CHECK(s.committed() == (swaps ? -1 : 1));
  CHECK(pending.first_offset() == 1);
  pending = kawait::batch();
}

TEST_CASE("for_each_batch: a handler is cancelled when its partition is lost, and that is no error") {
  stage s;
  s.append(0, {"a"});
  int begun = 0, cancelled = 0;
  s.each_batch([&](kawait::batch&) -> asio::awaitable<void> {
    if (++begun > 1) co_return;
    try {
      co_await kawait::sleep_for(1h);
    } catch (const std::system_error& e) {
      ++cancelled;
      throw;
    }
  });
  REQUIRE(s.until([&] { return begun == 1; }));
  s.fence();
  REQUIRE(s.until([&] { return begun == 2; }, 1min));  // again, since it was not done
  CHECK(cancelled == 1);
  REQUIRE(s.until([&] { return s.committed() == 1; }, 1min));
  CHECK(!s.ended);
}

TEST_CASE("for_each_batch: cancelling it drains, commits and leaves") {
  stage s;
  s.append(0, {"a"});
  bool returned = false;
  s.each_batch([&](kawait::batch&) -> asio::awaitable<void> {
    co_await kawait::sleep_for(5s);
    returned = true;
  });
  s.world.advance(2s);
  s.cancel.emit(asio::cancellation_type::terminal);
  REQUIRE(s.until_ended());
  CHECK(returned);
  CHECK(s.code() == asio::error::operation_aborted);
  CHECK(s.committed() == 1);
  CHECK(s.members() == 0);
}

/// Counts in what it owns.
class owning {
 public:
  explicit owning(std::unique_ptr<int> c) : count_(std::move(c)) {}
  asio::awaitable<void> operator()(kawait::partition p) const {
    while (auto b = co_await p.async_next()) {
      ++*count_;
      b->done();
    }
  }
  void operator()(const kawait::batch&) const { ++*count_; }
  asio::awaitable<void> operator()(kawait::record) const {
    co_await kawait::sleep_for(1s);
    ++*count_;
  }

 private:
  std::unique_ptr<int> count_;
};

// g++ 12 destroys some temporaries of a co_await expression twice: not these.
asio::awaitable<void> move_in(stage& s, int what, owning h) {
  const kawait::retry again(3);
  if (what == 0) co_await kawait::for_each_partition(s.consumer(), std::move(h));
  if (what == 1) co_await kawait::for_each_batch(s.consumer(), std::move(h), again, kawait::concurrency(2));
  if (what == 2) co_await kawait::for_each_record(s.consumer(), std::move(h), again, kawait::by_key(2));
}

TEST_CASE("for_each takes a handler that can only be moved") {
  const int what = GENERATE(0, 1, 2);
  CAPTURE(what);
  stage s;
  s.append(0, {"a"});
  auto count = std::make_unique<int>(0);
  const int* const seen = count.get();
  owning handler(std::move(count));
  s.start(move_in(s, what, std::move(handler)));
  REQUIRE(s.until([&] { return s.committed() == 1; }, 1min));
  CHECK(*seen == 1);
  s.close();
  REQUIRE(s.until_ended());
  CHECK(s.what() == "");
}

TEST_CASE("for_each_batch: everything may be destroyed in the middle") {
  const bool world_first = GENERATE(false, true);
  auto s = std::make_unique<stage>(4);
  for (int p = 0; p < 4; ++p) s->append(p, {"a", "b"});
  int begun = 0;
  s->each_batch(
      [&](kawait::batch&) -> asio::awaitable<void> {
        if (++begun == 1) throw std::runtime_error("once");
        co_await kawait::sleep_for(1h);
      },
      kawait::concurrency(2), kawait::retry(3, 1s));
  s->world.advance(300ms);
  CHECK(begun >= 2);
  if (world_first) {
    s->destroy_world();
  } else {
    s->destroy();
    s->world.advance(1s);
    CHECK(s->ended);
  }
}

}  // namespace
}  // namespace embedded
