#include "catch.hpp"

#include "unit/stream_support.hpp"

// A stream's position: found, sought, paused.

namespace partition_stream_flow_tests {

using kawait::end_reason;
using kawait::errc;
using kawait::offset_and_epoch;
using streams::batch_of;
using streams::held;
using streams::offsets_of;
using streams::rig;
using offsets = std::vector<std::int64_t>;

// ---- The start.

TEST_CASE("nothing is looked up before the first read", "[stream]") {
  rig r;
  CHECK(!r.stream->wants_fetch());
  CHECK(!r.stream->position());
  CHECK(r.host.first_reads == 0);
  r.stream->on_located(offset_and_epoch(5));  // nobody asked
  CHECK(!r.stream->position());
  r.stream->start();
  r.stream->start();
  CHECK(r.host.first_reads == 1);
  CHECK(!r.stream->fetch_position());
  r.stream->on_located(offset_and_epoch(5, 2));
  CHECK(r.stream->fetch_position() == offset_and_epoch(5, 2));
  CHECK(r.stream->position() == 5);
  CHECK(r.host.demands == 1);
  r.stream->on_located(offset_and_epoch(9));  // a second answer
  CHECK(r.stream->position() == 5);
}

TEST_CASE("a position that was not found is an error until a seek", "[stream]") {
  rig r;
  r.stream->start();
  r.stream->on_locate_failed(kawait::failure(errc::no_offset, "group g"));
  CHECK(r.stream->is_readable());
  CHECK(!r.take());
  CHECK(r.bad.code == errc::no_offset);
  CHECK(r.bad.words == "orders-3: group g");
  r.stream->seek(offset_and_epoch(3));
  CHECK(r.stream->fetch_position() == offset_and_epoch(3));
  r.fetched(batch_of(3, 1));
  CHECK(r.take());
}

// ---- Seek, in each state.

TEST_CASE("a seek before the first read takes the place of the look-up", "[stream]") {
  rig r;
  r.stream->seek(offset_and_epoch(40));
  CHECK(r.host.seeks == 0);
  CHECK(r.stream->position() == 40);
  CHECK(!r.stream->wants_fetch());  // fetching begins with the first read
  r.stream->seek(offset_and_epoch(41));
  r.stream->start();
  CHECK(r.host.first_reads == 1);
  CHECK(r.stream->fetch_position() == offset_and_epoch(41));
  r.fetched(batch_of(41, 1));
  CHECK(r.take());
}

TEST_CASE("a seek while the position is looked up wins over the answer", "[stream]") {
  rig r;
  r.stream->start();
  r.stream->seek(offset_and_epoch(40));
  CHECK(r.host.seeks == 1);
  r.stream->on_located(offset_and_epoch(5));
  r.stream->on_locate_failed(kawait::failure(errc::no_offset));
  CHECK(r.stream->fetch_position() == offset_and_epoch(40));
  CHECK(r.stream->position() == 40);
}

TEST_CASE("a seek while flowing drops what is queued, and late work does not count", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  held early = r.take();
  REQUIRE(early);
  r.fetched(batch_of(10, 10));
  r.stream->seek(offset_and_epoch(100));
  CHECK(!r.stream->has_data());
  CHECK(!r.stream->is_readable());
  CHECK(!r.take());
  CHECK(r.stream->position() == 100);
  r.give_back(std::move(early));
  CHECK(!r.stream->tracker().committable());
  CHECK(r.stream->held_bytes() == 0);
  r.fetched(batch_of(100, 1));
  held l = r.take();
  REQUIRE(l);
  r.give_back(std::move(l));
  CHECK(r.stream->tracker().committable() == offset_and_epoch(101, 0));
}

TEST_CASE("a seek frees from an abandoned batch", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  r.give_back(r.take(), false);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::batch_abandoned);
  r.stream->seek(offset_and_epoch(0));
  r.fetched(batch_of(0, 10));
  held l = r.take();
  REQUIRE(l);
  r.give_back(std::move(l));
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(r.stream->tracker().committable() == offset_and_epoch(10, 0));
}

TEST_CASE("an out-of-range position is looked up anew", "[stream]") {
  rig r;
  r.flow_from(0);
  r.stream->on_out_of_range();
  CHECK(r.host.out_of_ranges == 1);
  CHECK(r.host.refused.offset == 0);
  CHECK(!r.stream->fetch_position());
  CHECK(!r.take());
  CHECK(!r.bad);
  r.stream->on_located(offset_and_epoch(50));
  CHECK(r.stream->position() == 50);
  CHECK(r.stream->wants_fetch());
}

TEST_CASE("what was fetched before an offset went out of range is read first", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  r.stream->on_out_of_range();
  CHECK(r.host.out_of_ranges == 0);
  CHECK(!r.stream->wants_fetch());
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l).size() == 10);
  CHECK(r.host.out_of_ranges == 0);
  CHECK(r.stream->is_readable());
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(r.host.out_of_ranges == 1);
  CHECK(r.host.refused.offset == 10);
  CHECK(!r.stream->fetch_position());
  r.stream->on_located(offset_and_epoch(50));
  CHECK(r.stream->position() == 50);
  r.give_back(std::move(l));
}

TEST_CASE("a reader that keeps most of its share in hand gets the rest of it, then is told", "[stream]") {
  rig r(32 << 20, 128 << 10);
  r.flow_from(0);
  r.fetched(streams::joined({batch_of(0, 1, 60 << 10), batch_of(1, 1, 60 << 10)}));
  CHECK(!r.stream->wants_fetch());
  held first = r.take();
  REQUIRE(first);
  CHECK(offsets_of(*first).size() == 2);
  CHECK(!r.take());
  CHECK(!r.bad);
  REQUIRE(r.stream->wants_fetch());
  r.fetched(batch_of(2, 1, 60 << 10));
  held second = r.take();
  REQUIRE(second);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::lease_quota);
  r.give_back(std::move(first));
  r.give_back(std::move(second));
}

TEST_CASE("a batch of which compaction left nothing from the position on is passed", "[stream]") {
  rig r;
  r.flow_from(5);
  kawait::tests::batch_builder b(0);
  b.add("k", "first").add("k", "second").hole(8);  // offsets 0 and 1 of 0 to 9
  r.fetched(b.build());
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(r.stream->position() == 10);
  r.fetched(batch_of(10, 1));
  held l = r.take();
  REQUIRE(l);
  CHECK(offsets_of(*l) == std::vector<std::int64_t>{10});
  r.give_back(std::move(l));
  CHECK(r.stream->tracker().committable() == offset_and_epoch(11, 0));
}

TEST_CASE("a refusal of the broker is told until a seek", "[stream]") {
  rig r;
  r.flow_from(5);
  r.stream->fail(kawait::failure(kawait::kafka_error::topic_authorization_failed));
  CHECK(!r.take());
  CHECK(r.bad.code == kawait::kafka_error::topic_authorization_failed);
  CHECK(r.bad.words == "orders-3@5");
  r.stream->seek(offset_and_epoch(5));
  CHECK(!r.take());
  CHECK(!r.bad);
}

// ---- Pause.

TEST_CASE("pause hands out nothing and keeps what is there", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  const int demands = r.host.demands;
  r.stream->pause();
  r.stream->pause();
  CHECK(r.host.demands == demands + 1);
  CHECK(r.stream->is_paused());
  CHECK(!r.stream->is_readable());
  CHECK(!r.stream->wants_fetch());
  CHECK(!r.take());
  CHECK(!r.bad);
  CHECK(r.stream->has_data());
  const int readables = r.host.readables;
  r.stream->resume();
  r.stream->resume();
  CHECK(r.host.demands == demands + 2);
  CHECK(r.host.readables == readables + 1);
  held l = r.take();
  REQUIRE(l);
  CHECK(l->first_offset == 0);
  CHECK(r.stream->wants_fetch());
}

TEST_CASE("a failure is told also while paused", "[stream]") {
  rig r;
  r.flow_from(0);
  r.stream->pause();
  r.stream->fail(kawait::failure(errc::no_offset));
  CHECK(r.stream->is_readable());
  CHECK(!r.take());
  CHECK(r.bad.code == errc::no_offset);
}

}  // namespace partition_stream_flow_tests
