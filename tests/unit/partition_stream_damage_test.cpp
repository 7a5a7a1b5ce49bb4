#include "catch.hpp"

#include "unit/stream_support.hpp"

// What did not decode while it was in hand, what was released without done(), and what the log has lost since.

namespace partition_stream_damage_tests {

using kawait::errc;
using kawait::offset_and_epoch;
using streams::batch_of;
using streams::held;
using streams::offsets_of;
using streams::rig;

/// Two batches of ten records in hand.
struct two_in_hand : rig {
  two_in_hand() {
    flow_from(0);
    fetched(batch_of(0, 10));
    fetched(batch_of(10, 10));
    first = take();
    second = take();
    REQUIRE(second);
  }
  held first, second;
};

TEST_CASE("a batch whose records did not decode stops its stream there, unless it is done", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  r.fetched(batch_of(10, 10));
  const bool done = GENERATE(false, true);
  const bool is_required = GENERATE(false, true);
  r.stream->require_done(is_required);
  held l = r.take();
  REQUIRE(l);
  l->corrupt_at = 4;  // as iterating found
  r.give_back(std::move(l), done);
  CHECK(r.stream->position() == (done ? 10 : 4));  // also before the next read says why
  held next = r.take();
  CHECK(static_cast<bool>(next) == done);
  if (done) {
    CHECK(!r.bad);
    r.give_back(std::move(next));
    return;
  }
  CHECK(r.bad.code == errc::corrupt_batch);
  CHECK(r.stream->position() == 4);
  r.stream->seek(offset_and_epoch(10));
  r.fetched(batch_of(10, 10));
  held again = r.take();
  REQUIRE(again);
  CHECK(offsets_of(*again).front() == 10);
  r.give_back(std::move(again));
}

TEST_CASE("of two batches that do not decode the first is where the position is, whichever is released first", "[stream]") {
  two_in_hand r;
  held &first = r.first, &second = r.second;
  first->corrupt_at = 4;
  second->corrupt_at = 14;
  const bool in_order = GENERATE(true, false), is_told_between = GENERATE(true, false);
  r.give_back(std::move(in_order ? first : second), false);
  if (is_told_between) {
    CHECK(!r.take());
    CHECK(r.bad);
  }
  r.give_back(std::move(in_order ? second : first), false);
  CHECK(r.stream->position() == 4);
  CHECK(!r.take());
  CHECK(r.stream->position() == 4);
}

TEST_CASE("what did not decode and was cut off the log does not stop what is read in its place", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  held old = r.take();
  REQUIRE(old);
  const bool was_cut_off = GENERATE(true, false);
  old->corrupt_at = was_cut_off ? 7 : 3;
  r.stream->go_back(offset_and_epoch(5, 2));
  r.fetched(batch_of(5, 10));
  held anew = r.take();
  REQUIRE(anew);
  CHECK(offsets_of(*anew).front() == 5);
  r.stream->require_done(false);  // or the batch would be a hole
  r.done_is_required = false;
  r.give_back(std::move(old), false);
  CHECK(r.stream->position() == (was_cut_off ? 15 : 3));
  CHECK(!r.take());
  CHECK(static_cast<bool>(r.bad) == !was_cut_off);
}

TEST_CASE("what was cut off the log is told from what was not by when it was read, also behind an abandoned batch", "[stream]") {
  rig r;
  r.done_is_required = false;  // as who commits by name has it
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  r.fetched(batch_of(10, 10));
  held abandoned = r.take(), old = r.take();
  r.give_back(std::move(abandoned), false);
  r.stream->go_back(offset_and_epoch(15, 2));
  r.fetched(batch_of(15, 10));
  held between = r.take();
  REQUIRE(between);
  r.stream->go_back(offset_and_epoch(18, 3));
  r.fetched(batch_of(18, 10));
  REQUIRE(r.take());
  SECTION("the first's") {
    old->corrupt_at = 16;
    r.give_back(std::move(old), false);
    CHECK(r.stream->position() == 28);
    CHECK(!r.take());
    CHECK(!r.bad);
  }
  SECTION("the second's") {
    between->corrupt_at = GENERATE(16, 19);
    const bool is_of_log = between->corrupt_at == 16;
    r.give_back(std::move(between), false);
    CHECK(r.stream->position() == (is_of_log ? 16 : 28));
    CHECK(!r.take());
    CHECK(static_cast<bool>(r.bad) == is_of_log);
  }
}

TEST_CASE("a truncation above what did not decode keeps what is in hand between them", "[stream]") {
  rig r;
  r.flow_from(0);
  for (const int from : {0, 10, 20}) r.fetched(batch_of(from, 10));
  held bad = r.take(), good = r.take(), gone = r.take();
  REQUIRE(gone);
  bad->corrupt_at = 4;
  bad->mark_done_through(4);
  r.give_back(std::move(bad), false);
  CHECK(r.stream->go_back(offset_and_epoch(25, 2)) == 25);
  CHECK(r.stream->position() == 4);
  CHECK(r.stream->fetch_position()->offset == 25);
  CHECK(r.stream->tracker().committable() == offset_and_epoch(4, 0));
}

TEST_CASE("of an abandoned batch and one that did not decode behind it the first is told", "[stream]") {
  two_in_hand r;
  held &first = r.first, &second = r.second;
  second->corrupt_at = 14;
  r.give_back(std::move(second), false);
  r.give_back(std::move(first), false);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::batch_abandoned);
  CHECK(r.bad.words.find("offset 0 ") != std::string::npos);
}

TEST_CASE("what stopped a stream wakes readers once, whatever is released afterwards", "[stream]") {
  rig r;
  r.flow_from(0);
  for (const int from : {0, 10, 20}) r.fetched(batch_of(from, 10));
  held a = r.take(), b = r.take(), c = r.take();
  REQUIRE(c);
  r.give_back(std::move(a), false);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::batch_abandoned);
  const int readables = r.host.readables;
  r.give_back(std::move(b), false);
  r.give_back(std::move(c));
  CHECK(r.host.readables == readables);
}

TEST_CASE("what did not decode is told though the log was cut behind it, or is shorter than was thought", "[stream]") {
  rig r;
  r.flow_from(0);
  r.fetched(batch_of(0, 10));
  held l = r.take();
  REQUIRE(l);
  l->corrupt_at = 3;
  const bool is_cut_before = GENERATE(false, true);
  r.give_back(std::move(l), false);
  SECTION("an offset that is out of range") {
    r.stream->on_out_of_range();
  }
  SECTION("a truncation") {
    r.stream->go_back(offset_and_epoch(is_cut_before ? 2 : 5, 2));
    if (is_cut_before) {
      CHECK(r.stream->position() == 2);
      return;
    }
  }
  SECTION("one that was looked up") {
    r.stream->on_out_of_range();
    r.stream->on_truncated(offset_and_epoch(is_cut_before ? 2 : 5, 2));
    if (is_cut_before) {
      CHECK(r.stream->position() == 2);
      return;
    }
  }
  CHECK(r.stream->position() == 3);
  CHECK(!r.take());
  CHECK(r.bad.code == errc::corrupt_batch);
}

}  // namespace partition_stream_damage_tests
