#include "catch.hpp"

#include "unit/stream_support.hpp"

// What a stream knows of the end of its log, and seeks to places that are yet to be found.

namespace partition_stream_end_tests {

using kawait::offset_and_epoch;
using streams::batch_of;
using streams::held;
using streams::offsets_of;
using streams::rig;

TEST_CASE("at the end is who has read all that there was", "[stream]") {
  rig r;
  CHECK(!r.stream->at_end());
  r.stream->start();
  CHECK(!r.stream->at_end());
  r.stream->on_located(offset_and_epoch(5, 1));
  CHECK(!r.stream->at_end());  // nobody has said so
  r.stream->on_end_seen(5);
  CHECK(r.stream->at_end());
  r.fetched(batch_of(5, 2));
  CHECK(!r.stream->at_end());
  r.stream->on_end_seen(7);  // behind what is queued
  CHECK(!r.stream->at_end());
  held l = r.take();
  REQUIRE(l);
  CHECK(r.stream->at_end());
  r.stream->on_end_seen(5);  // of a request that left before
  CHECK(r.stream->at_end());
  r.stream->on_more_seen();
  CHECK(!r.stream->at_end());
  r.stream->on_end_seen(7);
  r.give_back(std::move(l));
  r.stream->end(kawait::end_reason::revoked);
  CHECK(!r.stream->at_end());
}

TEST_CASE("the end is forgotten by seeks and pauses", "[stream]") {
  rig r;
  r.flow_from(5);
  r.stream->on_end_seen(5);
  SECTION("a seek, also to the same place") {
    r.stream->seek(offset_and_epoch(5));
    CHECK(!r.stream->at_end());
    r.stream->on_end_seen(5);
    CHECK(r.stream->at_end());
  }
  SECTION("a pause: nothing is fetched, so nothing is known") {
    r.stream->pause();
    CHECK(!r.stream->at_end());
    r.stream->on_end_seen(5);  // was under way
    r.stream->resume();
    CHECK(!r.stream->at_end());
  }
  SECTION("a reset") {
    r.stream->on_out_of_range();
    r.stream->on_located(offset_and_epoch(5, 1));
    CHECK(!r.stream->at_end());
  }
}

TEST_CASE("who is passed over more often than there are others has nothing to give", "[stream]") {
  rig r;
  r.flow_from(5);
  for (int i = 0; i < 3; ++i) r.stream->on_passed_over(5, 3);
  CHECK(!r.stream->at_end());
  SECTION("counted anew behind records, seeks and pauses") {
    r.fetched(batch_of(5, 2));
    held l = r.take();
    r.stream->on_passed_over(7, 3);
    CHECK(!r.stream->at_end());
    r.give_back(std::move(l));
  }
  SECTION("once more is enough") {
    r.stream->on_passed_over(5, 3);
    CHECK(r.stream->at_end());
  }
}

TEST_CASE("a seek to a time is looked up with the first read, or at once behind it", "[stream]") {
  rig r;
  const bool started = GENERATE(true, false);
  CAPTURE(started);
  if (started) {
    r.flow_from(5);
    r.fetched(batch_of(5, 2));
  }
  r.stream->seek_to_time(77);
  CHECK(!r.stream->position());
  CHECK(!r.stream->fetch_position());
  CHECK(!r.take());
  CHECK(r.host.seeks == (started ? 1 : 0));
  if (!started) {
    CHECK(!r.stream->sought_time());
    r.stream->start();
    CHECK(r.host.first_reads == 1);
  }
  CHECK(r.stream->sought_time() == 77);
  SECTION("found") {
    r.stream->on_located(offset_and_epoch(9, 1));
    CHECK(!r.stream->sought_time());
    CHECK(r.stream->position() == 9);
    r.fetched(batch_of(9, 1));
    held l = r.take();
    REQUIRE(l);
    CHECK(offsets_of(*l) == std::vector<std::int64_t>{9});
    r.give_back(std::move(l));
    CHECK(r.stream->tracker().committable() == offset_and_epoch(10, 0));
  }
  SECTION("the last seek counts") {
    r.stream->seek_to_time(88);
    CHECK(r.stream->sought_time() == 88);
    r.stream->seek(offset_and_epoch(3));
    CHECK(!r.stream->sought_time());
    r.stream->on_located(offset_and_epoch(9, 1));  // late
    CHECK(r.stream->position() == 3);
    CHECK(r.stream->fetch_position() == offset_and_epoch(3));
  }
  SECTION("not found") {
    r.stream->on_locate_failed(kawait::failure(kawait::kafka_error::topic_authorization_failed));
    CHECK(!r.take());
    CHECK(r.bad.code == kawait::kafka_error::topic_authorization_failed);
    r.stream->seek_to_time(5);
    CHECK(!r.take());
    CHECK(!r.bad);
  }
}

TEST_CASE("what was in hand before a seek to a time counts no more", "[stream]") {
  rig r;
  r.flow_from(5);
  r.fetched(batch_of(5, 2));
  held l = r.take();
  REQUIRE(l);
  r.stream->seek_to_time(-2);
  r.give_back(std::move(l));
  CHECK(!r.stream->tracker().committable());
  r.stream->on_located(offset_and_epoch(0, 1));
  CHECK(!r.stream->tracker().committable());
  CHECK(!r.take());
  CHECK(!r.bad);
}

}  // namespace partition_stream_end_tests
