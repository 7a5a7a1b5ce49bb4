#include <kawait/machine/offset_tracker.hpp>

#include <limits>
#include <optional>

#include "catch.hpp"

namespace offset_tracker_tests {

using kawait::offset_and_epoch;
using kawait::machine::offset_tracker;
using mark = std::optional<offset_and_epoch>;

offset_tracker started_at(std::int64_t offset) {
  offset_tracker tracker;
  tracker.restart(offset_and_epoch(offset, 1));
  return tracker;
}

TEST_CASE("offset_tracker: the mark is the next offset of what is done without a gap", "[offset_tracker]") {
  auto tracker = started_at(100);
  CHECK_FALSE(tracker.committable());
  const auto a = tracker.open(100, 110, 5);
  const auto b = tracker.open(110, 120, 6);
  const auto c = tracker.open(120, 130, 7);
  CHECK(tracker.open_count() == 3);
  CHECK_FALSE(tracker.committable());

  tracker.done(c, 130);
  CHECK_FALSE(tracker.committable());
  tracker.done(a, 104);
  CHECK(tracker.committable() == mark({104, 5}));
  tracker.done(a, 110);
  CHECK(tracker.committable() == mark({110, 5}));
  tracker.done(b, 120);
  CHECK(tracker.committable() == mark({130, 7}));
  CHECK(tracker.open_count() == 3);  // done, but the handles still exist
}

TEST_CASE("offset_tracker: gaps between batches are done with the next batch", "[offset_tracker]") {
  auto tracker = started_at(100);
  const auto a = tracker.open(105, 110, 1);
  const auto b = tracker.open(115, 120, 1);
  CHECK_FALSE(tracker.committable());
  tracker.done(a, 105);  // nothing of it
  CHECK_FALSE(tracker.committable());
  tracker.done(a, 110);
  CHECK(tracker.committable() == mark({110, 1}));
  tracker.done(b, 115);
  CHECK(tracker.committable() == mark({110, 1}));
  tracker.done(b, 116);
  CHECK(tracker.committable() == mark({116, 1}));
}

TEST_CASE("offset_tracker: what held nothing to hand out is skipped behind what is in hand", "[offset_tracker]") {
  auto tracker = started_at(100);
  tracker.skip(103, 4);  // a control batch
  CHECK(tracker.committable() == mark({103, 4}));
  const auto a = tracker.open(103, 110, 4);
  tracker.skip(112, 5);
  tracker.skip(111, 5);  // not back
  CHECK(tracker.committable() == mark({103, 4}));
  tracker.done(a, 110);
  CHECK(tracker.committable() == mark({112, 5}));
  CHECK(tracker.open_count() == 1);
}

TEST_CASE("offset_tracker: done never moves back nor beyond its batch", "[offset_tracker]") {
  auto tracker = started_at(0);
  const auto a = tracker.open(0, 10, 1);
  tracker.open(10, 20, 1);
  tracker.done(a, 7);
  tracker.done(a, 3);
  CHECK(tracker.committable() == mark({7, 1}));
  tracker.done(a, -5);
  CHECK(tracker.committable() == mark({7, 1}));
  tracker.done(a, std::numeric_limits<std::int64_t>::max());
  CHECK(tracker.committable() == mark({10, 1}));
  tracker.done(a, 20);
  tracker.done(0, 20);
  tracker.done(99, 20);
  CHECK(tracker.committable() == mark({10, 1}));
}

TEST_CASE("offset_tracker: a batch released before it is done stays a hole", "[offset_tracker]") {
  auto tracker = started_at(0);
  const auto a = tracker.open(0, 10, 1);
  const auto b = tracker.open(10, 20, 1);
  const auto c = tracker.open(20, 30, 1);
  tracker.done(c, 30);
  tracker.released(c);
  CHECK_FALSE(tracker.abandoned());
  tracker.done(b, 15);
  tracker.released(b);
  CHECK(tracker.abandoned() == 15);
  CHECK(tracker.open_count() == 1);
  tracker.done(b, 20);  // too late
  tracker.done(a, 10);
  tracker.released(a);
  CHECK(tracker.committable() == mark({15, 1}));
  CHECK(tracker.open_count() == 0);

  const auto d = tracker.open(30, 40, 1);
  CHECK(tracker.open_count() == 1);
  tracker.done(d, 40);
  tracker.released(d);
  CHECK(tracker.open_count() == 0);
  CHECK(tracker.committable() == mark({15, 1}));
  CHECK(tracker.abandoned() == 15);

  tracker.restart(offset_and_epoch(15));
  CHECK_FALSE(tracker.abandoned());
}

TEST_CASE("offset_tracker: of two holes the first counts", "[offset_tracker]") {
  auto tracker = started_at(0);
  const auto a = tracker.open(0, 10, 1);
  const auto b = tracker.open(10, 20, 1);
  tracker.released(b);
  CHECK(tracker.abandoned() == 10);
  tracker.released(a);
  CHECK(tracker.abandoned() == 0);
  CHECK_FALSE(tracker.committable());
}

TEST_CASE("offset_tracker: after a restart older tickets and commits are nobody's", "[offset_tracker]") {
  auto tracker = started_at(0);
  const auto a = tracker.open(0, 10, 1);
  tracker.done(a, 10);
  const auto commit = tracker.on_commit_sent({10, 1});
  const auto old = tracker.open(10, 20, 1);

  tracker.restart(offset_and_epoch(5));
  CHECK_FALSE(tracker.committable());
  CHECK_FALSE(tracker.is_being_committed(10));
  CHECK(tracker.open_count() == 0);
  const auto b = tracker.open(5, 8, 1);
  tracker.done(old, 20);
  tracker.released(old);
  tracker.released(a);
  CHECK(tracker.open_count() == 1);
  CHECK_FALSE(tracker.committable());
  CHECK_FALSE(tracker.abandoned());

  tracker.done(b, 8);
  CHECK(tracker.uncommitted() == mark({8, 1}));
  tracker.on_committed(commit);  // of 10, before the seek: what was sought since must still be committed
  CHECK(tracker.uncommitted() == mark({8, 1}));
  CHECK_FALSE(tracker.committed());
}

TEST_CASE("offset_tracker: what is in hand below a truncation is still to be done", "[offset_tracker]") {
  auto tracker = started_at(0);
  const auto a = tracker.open(0, 10, 1);
  const auto b = tracker.open(10, 20, 1);
  const auto c = tracker.open(20, 30, 1);
  SECTION("above all that was handed out nothing changes") {
    tracker.truncate({30, 1});
    tracker.done(a, 10);
    CHECK(tracker.committable() == mark({10, 1}));
  }
  SECTION("below it, no commit of what is read anew goes past what is not done") {
    tracker.truncate({15, 1});
    const auto again = tracker.open(15, 25, 2);
    tracker.done(again, 25);
    tracker.done(c, 30);
    CHECK_FALSE(tracker.committable());
    tracker.done(b, 20);
    tracker.released(b);
    CHECK_FALSE(tracker.committable());
    tracker.done(a, 10);
    CHECK(tracker.committable() == mark({25, 2}));
  }
  SECTION("what was done beyond it is not") {
    tracker.done(a, 10);
    tracker.done(b, 20);
    tracker.done(c, 30);
    tracker.on_committed(tracker.on_commit_sent({30, 1}));
    tracker.truncate({15, 1});
    CHECK(tracker.uncommitted() == mark({15, 1}));
  }
  SECTION("a hole below it stays one") {
    tracker.released(a);
    tracker.truncate({15, 1});
    CHECK(tracker.abandoned() == 0);
    CHECK_FALSE(tracker.committable());
  }
  SECTION("one above it is gone") {
    tracker.done(a, 10);
    tracker.done(b, 20);
    tracker.released(c);
    tracker.truncate({15, 1});
    CHECK_FALSE(tracker.abandoned());
    CHECK(tracker.committable() == mark({15, 1}));
  }
  SECTION("what is in hand below it is not gone with one above it") {
    tracker.done(b, 12);
    tracker.released(b);
    const auto behind = tracker.open(30, 40, 1);
    tracker.truncate({11, 1});
    CHECK_FALSE(tracker.abandoned());
    const auto again = tracker.open(11, 25, 2);
    tracker.done(again, 25);
    for (const auto t : {again, behind, c}) tracker.released(t);
    CHECK_FALSE(tracker.committable());
    CHECK(tracker.open_count() == 1);
    tracker.done(a, 10);
    CHECK(tracker.committable() == mark({25, 2}));
  }
}

TEST_CASE("offset_tracker: an offset is being committed while one that covers it is under way, and none was confirmed", "[offset_tracker]") {
  auto tracker = started_at(0);
  const auto a = tracker.open(0, 10, 1);
  tracker.done(a, 6);
  CHECK_FALSE(tracker.is_being_committed(6));
  const auto older = tracker.on_commit_sent({4, 1});
  CHECK_FALSE(tracker.is_being_committed(6));
  const auto same = tracker.on_commit_sent({6, 1});
  CHECK(tracker.is_being_committed(6));
  CHECK(tracker.is_being_committed(5));
  tracker.on_committed(older);
  CHECK(tracker.is_being_committed(6));
  CHECK_FALSE(tracker.is_being_committed(4));
  CHECK_FALSE(tracker.is_being_committed(7));
  SECTION("confirmed: another of the same is nobody's concern") {
    tracker.on_committed(same);
    CHECK_FALSE(tracker.is_being_committed(6));
    tracker.on_commit_sent({6, 1});
    CHECK_FALSE(tracker.is_being_committed(6));
  }
  SECTION("failed: it is due") {
    tracker.on_commit_failed(same);
    CHECK_FALSE(tracker.is_being_committed(6));
    CHECK(tracker.uncommitted() == mark({6, 1}));
  }
}

TEST_CASE("offset_tracker: uncommitted is what is neither committed nor being committed", "[offset_tracker]") {
  auto tracker = started_at(0);
  const auto a = tracker.open(0, 10, 1);
  CHECK_FALSE(tracker.uncommitted());
  tracker.done(a, 4);
  CHECK(tracker.uncommitted() == mark({4, 1}));
  const auto first = tracker.on_commit_sent({4, 1});
  CHECK(tracker.is_being_committed(4));
  CHECK_FALSE(tracker.uncommitted());
  tracker.done(a, 6);
  CHECK(tracker.uncommitted() == mark({6, 1}));
  const auto second = tracker.on_commit_sent({6, 1});
  CHECK_FALSE(tracker.uncommitted());

  SECTION("both succeed") {
    tracker.on_committed(first);
    CHECK(tracker.committed() == mark({4, 1}));
    CHECK_FALSE(tracker.uncommitted());
    tracker.on_committed(second);
    CHECK_FALSE(tracker.uncommitted());
    CHECK_FALSE(tracker.is_being_committed(6));
  }
  SECTION("the second fails: it is due again") {
    tracker.on_commit_failed(second);
    CHECK(tracker.uncommitted() == mark({6, 1}));
    tracker.on_committed(first);
    CHECK(tracker.uncommitted() == mark({6, 1}));
  }
  SECTION("the first fails: the second covers it") {
    tracker.on_commit_failed(first);
    CHECK_FALSE(tracker.uncommitted());
    tracker.on_committed(second);
    CHECK_FALSE(tracker.uncommitted());
  }
  SECTION("answered in the other order: the later one is what the broker holds") {
    tracker.on_committed(second);
    tracker.on_committed(first);
    CHECK(tracker.committed() == mark({6, 1}));
  }
  SECTION("an id that is unknown or answered twice") {
    tracker.on_committed(second);
    tracker.on_committed(second);
    tracker.on_commit_failed(second);
    tracker.on_committed(12345);
    CHECK(tracker.committed() == mark({6, 1}));
    CHECK_FALSE(tracker.uncommitted());
  }
}

TEST_CASE("offset_tracker: a user's commit beyond the mark leaves nothing to commit below it", "[offset_tracker]") {
  auto tracker = started_at(0);
  const auto a = tracker.open(0, 10, 1);
  tracker.done(a, 4);
  tracker.on_committed(tracker.on_commit_sent({8, 1}));
  CHECK_FALSE(tracker.uncommitted());
  tracker.done(a, 10);
  CHECK(tracker.uncommitted() == mark({10, 1}));
}

TEST_CASE("offset_tracker: holds no more than what is in hand", "[offset_tracker]") {
  // Without done() and with a hole in front, a million batches come and go; open_count and the mark are all that may remain.
  auto tracker = started_at(0);
  tracker.released(tracker.open(0, 1, 1));
  for (std::int64_t i = 1; i < 1'000'000; ++i) tracker.released(tracker.open(i, i + 1, 1));
  CHECK(tracker.open_count() == 0);
  CHECK(tracker.abandoned() == 0);
}

}  // namespace offset_tracker_tests
