#include "catch.hpp"

#include "unit/stream_support.hpp"

// A stream's share of the buffer, abandoned batches, and its ends.

namespace partition_stream_share_tests {

using kawait::end_reason;
using kawait::errc;
using kawait::offset_and_epoch;
using streams::batch_of;
using streams::held;
using streams::offsets_of;
using streams::rig;
using offsets = std::vector<std::int64_t>;

// ---- The share of the buffer.

TEST_CASE("fetching stops when the share is full and goes on below half of it", "[stream]") {
  rig r(32 << 20, 40'000);
  r.flow_from(0);
  CHECK(r.stream->wants_fetch());
  const auto batch = [](std::int64_t base) { return batch_of(base, 1, 4'800); };  // nearly 4,900 bytes
  for (int i = 0; i < 4; ++i) r.fetched(batch(i));
  CHECK(r.stream->wants_fetch());  // 19.5 of 40 kB are queued
  r.fetched(batch(4));
  CHECK(!r.stream->wants_fetch());  // half of it is enough to read ahead
  std::vector<held> leases;
  for (int i = 0; i < 3; ++i) leases.push_back(r.take());
  CHECK(!r.stream->wants_fetch());  // sticky: what is held is still above half
  const int demands = r.host.demands;
  r.give_back(std::move(leases[0]));
  CHECK(r.stream->wants_fetch());
  CHECK(r.host.demands == demands + 1);  // told, once
  r.give_back(std::move(leases[1]));
  CHECK(r.host.demands == demands + 1);
}

TEST_CASE("leases that fill the share are an error for the reader, until it releases some", "[stream]") {
  rig r(32 << 20, 20'000);
  r.flow_from(0);
  r.fetched(batch_of(0, 1, 15'000));
  r.fetched(batch_of(1, 1, 15'000));
  r.fetched(batch_of(2, 1, 100));
  held a = r.take(), b = r.take();
  REQUIRE((a && b));
  CHECK(r.stream->is_readable());
  CHECK(!r.take());
  CHECK(r.bad.code == errc::lease_quota);
  CHECK(r.bad.words == "orders-3");
  CHECK(!r.stream->wants_fetch());
  const int readables = r.host.readables;
  r.give_back(std::move(a));
  CHECK(r.host.readables == readables + 1);
  held c = r.take();
  REQUIRE(c);
  CHECK(c->first_offset == 2);
  // It is no end: nothing was stopped.
  CHECK(r.stream->fetch_position() == offset_and_epoch(3, 0));
}

// Told so, its reader looks at others; partitions go, and each has more of the buffer. What lies there is told by nobody else: its
// leases come back and find nothing blocked any more, and more is fetched into a queue that is not empty.
TEST_CASE("a share that becomes larger wakes the reader that was told of its leases, and fetches", "[stream]") {
  rig r(32 << 20, 20'000);
  r.flow_from(0);
  r.fetched(batch_of(0, 1, 15'000));
  r.fetched(batch_of(1, 1, 15'000));
  const bool is_queued = GENERATE(true, false);
  if (is_queued) r.fetched(batch_of(2, 1, 100));
  held a = r.take(), b = r.take();
  REQUIRE((a && b));
  CHECK(!r.take());
  CHECK(r.bad.code == errc::lease_quota);
  CHECK(!r.stream->wants_fetch());
  const int readables = r.host.readables, demands = r.host.demands;
  r.stream->set_quota(100'000);
  CHECK(r.host.readables == readables + (is_queued ? 1 : 0));
  CHECK(r.host.demands == demands + 1);
  CHECK(static_cast<bool>(r.take()) == is_queued);
  CHECK(!r.bad);
}

TEST_CASE("that leases fill the share is told once, and so is what stopped the stream", "[stream]") {
  rig r(32 << 20, 20'000);
  r.flow_from(0);
  r.fetched(batch_of(0, 1, 5'000));
  for (const int from : {1, 2}) r.fetched(batch_of(from, 1, 21'000));
  held small = r.take(), large = r.take();
  REQUIRE((small && large));
  CHECK(!r.take());
  CHECK(r.bad.code == errc::lease_quota);
  const int readables = r.host.readables;
  SECTION("while they still do") {
    r.give_back(std::move(small));
    CHECK(r.host.readables == readables);
    r.give_back(std::move(large));
    CHECK(r.host.readables == readables + 1);
  }
  SECTION("behind an abandoned batch") {
    r.give_back(std::move(small), false);
    CHECK(!r.take());
    CHECK(r.bad.code == errc::batch_abandoned);
    const int told = r.host.readables;
    r.give_back(std::move(large));
    r.stream->set_quota(100);
    r.stream->set_quota(100'000);
    CHECK(r.host.readables == told);
  }
}

TEST_CASE("what comes when leases fill the share already is told with the share, not before", "[stream]") {
  rig r(32 << 20, 20'000);
  r.flow_from(0);
  r.fetched(batch_of(0, 1, 21'000));
  held l = r.take();
  REQUIRE(l);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::lease_quota);
  const int readables = r.host.readables;
  r.fetched(batch_of(1, 1, 100));  // was under way
  CHECK(r.host.readables == readables);
  r.give_back(std::move(l));
  CHECK(r.host.readables == readables + 1);
}

// A reader has read all, keeps what it has in hand, and waits for more; partitions are added, and each has less of the buffer. Nothing
// more is fetched then, and nobody else would tell it why.
TEST_CASE("a share that becomes smaller than what is in hand is an error for the reader that waits", "[stream]") {
  rig r(32 << 20, 20'000);
  r.flow_from(0);
  r.fetched(batch_of(0, 1, 15'000));
  held l = r.take();
  REQUIRE(l);
  CHECK(!r.stream->is_readable());
  const int readables = r.host.readables;
  r.stream->set_quota(18'000);
  CHECK(r.host.readables == readables);
  r.stream->set_quota(10'000);
  CHECK(r.host.readables == readables + 1);
  r.stream->set_quota(9'000);
  CHECK(r.host.readables == readables + 1);
  CHECK(r.stream->is_readable());
  CHECK(!r.take());
  CHECK(r.bad.code == errc::lease_quota);
  r.give_back(std::move(l));
  CHECK(!r.take());
  CHECK(!r.bad);
}

TEST_CASE("a batch larger than the share is handed out all the same", "[stream]") {
  rig r(32 << 20, 16'000);
  r.flow_from(0);
  r.fetched(batch_of(0, 1, 100'000));
  held l = r.take();
  REQUIRE(l);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::lease_quota);
  r.give_back(std::move(l));
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(r.stream->wants_fetch());
}

TEST_CASE("what comes out of compressed batches keeps to the share, but for one batch", "[stream]") {
  rig r(32 << 20, 400'000);
  r.flow_from(0);
  std::vector<streams::byte_vector> batches;
  for (int i = 0; i < 8; ++i) batches.push_back(batch_of(i, 1, 90'000, streams::wire::codec::snappy));
  r.fetched(streams::joined(batches));
  held a = r.take();
  REQUIRE(a);
  CHECK(a->segments.size() == 3);  // 96 KiB each, by capacity
  held second = r.take();
  REQUIRE(second);
  CHECK(offsets_of(*second) == offsets{3, 4});
  CHECK(!r.take());
  CHECK(r.bad.code == errc::lease_quota);
  r.give_back(std::move(a));
  r.give_back(std::move(second));
  a = r.take();
  REQUIRE(a);
  CHECK(offsets_of(*a) == offsets{5, 6, 7});  // the rest of that answer
}

TEST_CASE("what is in hand leaves that much less of the share to decompress", "[stream]") {
  rig r(32 << 20, 200'000);
  r.flow_from(0);
  const auto batch = [](std::int64_t base) { return batch_of(base, 1, 90'000, streams::wire::codec::snappy); };
  r.fetched(batch(0));
  const held first = r.take();
  r.fetched(streams::joined({batch(1), batch(2), batch(3), batch(4)}));
  const held second = r.take();
  REQUIRE((first && second));
  CHECK(offsets_of(*first) == offsets{0});
  CHECK(offsets_of(*second) == offsets{1, 2});
}

// ---- Abandoned batches.

TEST_CASE("in automatic mode an abandoned batch ends its stream, naming the offset", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  r.fetched(batch_of(10, 10));
  held l = r.take();
  REQUIRE(l);
  l->mark_done_through(4);
  const int readables = r.host.readables;
  r.give_back(std::move(l), false);
  CHECK(r.host.readables == readables + 1);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::batch_abandoned);
  CHECK(r.bad.words.find("offset 4") != std::string::npos);
  CHECK(r.bad.words.find("orders-3") != std::string::npos);
  CHECK(r.stream->tracker().committable() == offset_and_epoch(4, 0));
  CHECK(!r.stream->wants_fetch());
}

TEST_CASE("where done() is not required a batch may be released without it", "[stream]") {
  rig r;
  r.done_is_required = false;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  r.give_back(r.take(), false);
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(!r.stream->is_readable());  // or its reader would spin
  r.fetched(batch_of(10, 10));
  CHECK(r.stream->is_readable());
  held l = r.take();
  REQUIRE(l);
  CHECK(l->first_offset == 10);
}

// ---- The end.

TEST_CASE("the end drops what is queued; leases live on", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  held l = r.take();
  REQUIRE(l);
  r.fetched(batch_of(10, 10));
  const int readables = r.host.readables;
  bool told = false;
  const auto wait = [](rig& x, bool& done) -> asio::awaitable<void> {
    co_await x.stream->ended().wait();
    done = true;
  };
  asio::co_spawn(r.w.executor(), wait(r, told), asio::detached);
  r.w.poll();
  CHECK(!told);
  r.stream->end(end_reason::revoked);
  r.w.poll();
  CHECK(told);
  CHECK(r.host.readables == readables + 1);
  CHECK(r.stream->is_ended());
  CHECK(r.stream->why_ended() == end_reason::revoked);
  CHECK(!r.stream->has_data());
  CHECK(!r.stream->fetch_position());
  CHECK(!r.stream->wants_fetch());
  CHECK(r.stream->is_readable());
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(r.stream->work().is_closed());
  CHECK(!r.stream->work().is_drained());
  CHECK(offsets_of(*l).size() == 10);
  CHECK(!l->info->stale.load());
  r.give_back(std::move(l));
  CHECK(r.stream->work().is_drained());
  CHECK(r.stream->tracker().committable() == offset_and_epoch(10, 0));
}

TEST_CASE("the first end counts", "[stream]") {
  rig r;
  r.flow_from(0);
  r.stream->end(end_reason::failed, kawait::failure(errc::unsupported_broker));
  r.stream->end(end_reason::lost);
  CHECK(r.stream->why_ended() == end_reason::failed);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::unsupported_broker);
  r.stream->start();
  r.stream->fail(kawait::failure(errc::no_offset));
  r.stream->on_located(offset_and_epoch(9));
  CHECK(!r.take());
  CHECK(r.bad.code == errc::unsupported_broker);
}

TEST_CASE("a lease may outlive its stream", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  held l = r.take();
  REQUIRE(l);
  r.stream->end(end_reason::lost);
  r.stream.reset();
  CHECK(offsets_of(*l).size() == 10);
  r.give_back(std::move(l));
  CHECK(r.pool.charged() == 0);
}

}  // namespace partition_stream_share_tests
