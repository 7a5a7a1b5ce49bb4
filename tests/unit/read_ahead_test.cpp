#include "catch.hpp"

#include <memory>
#include <vector>

#include <kawait/runtime/read_ahead.hpp>

#include "unit/stream_support.hpp"

// Who is fetched further ahead than his share, where shares are smaller than record batches.

namespace read_ahead_tests {
namespace {

using kawait::isolation_level;
using kawait::runtime::read_ahead;
using streams::batch_of;
using streams::held;
using streams::rig;

constexpr std::size_t share = 16 << 10, each = 1 << 20;

/// A partition that has more than it is given, and what is held of it.
struct busy : rig {
  busy() : rig(32 << 20, share) {
    flow_from(0);
    stream->high_watermark = 1'000'000;
  }
  /// An answer with a record batch of `bytes`.
  std::shared_ptr<kawait::runtime::partition_stream> answered(read_ahead& r, int bytes = 1'000) {
    fetched(batch_of(next++, 1, static_cast<std::size_t>(bytes)));
    return r.on_answered(*stream, isolation_level::read_uncommitted);
  }
  void read_all() {
    while (held l = take()) give_back(std::move(l));
  }
  bool is_ahead() const { return stream->ahead() == each; }

  std::int64_t next = 0;
};

std::vector<std::unique_ptr<busy>> four(read_ahead& r) {
  std::vector<std::unique_ptr<busy>> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(std::make_unique<busy>());
    all.back()->answered(r);
    all.back()->read_all();
    all.back()->answered(r);
    REQUIRE(all.back()->is_ahead());
  }
  return all;
}

TEST_CASE("read ahead: who has not given anything back has no place", "[stream]") {
  read_ahead r(4 * each);
  busy b;
  b.answered(r);
  b.answered(r);
  CHECK(b.stream->ahead() == 0);
  b.read_all();
  CHECK(b.stream->ahead() == 0);
  b.answered(r);
  CHECK(b.is_ahead());
  CHECK(b.stream->fetch_room() > each);
  // At its end there is nothing to be read ahead.
  busy idle;
  idle.answered(r);
  idle.read_all();
  idle.stream->high_watermark = 2;
  idle.answered(r);
  CHECK(idle.stream->ahead() == 0);
}

TEST_CASE("read ahead: the places go round, and are given up when what they brought is read", "[stream]") {
  read_ahead r(4 * each);
  auto holders = four(r);
  busy fifth;
  fifth.answered(r);
  fifth.read_all();
  fifth.answered(r);
  CHECK(fifth.stream->ahead() == 0);
  // The next holder that is answered has had its turn, of which much is queued.
  holders[2]->answered(r, 500'000);
  CHECK(holders[2]->stream->ahead() == 0);
  CHECK(!holders[2]->stream->wants_fetch());
  fifth.answered(r);
  CHECK(fifth.stream->ahead() == 0);
  holders[2]->read_all();
  fifth.answered(r);
  CHECK(fifth.is_ahead());
  // Nobody waits for a place any more.
  holders[0]->answered(r);
  CHECK(holders[0]->is_ahead());
  CHECK(holders[1]->is_ahead());
}

TEST_CASE("read ahead: who has nothing to read makes room, and is told for", "[stream]") {
  read_ahead r(4 * each);
  auto holders = four(r);
  holders[1]->read_all();
  holders[1]->stream->high_watermark = holders[1]->next;
  busy fifth;
  fifth.answered(r);
  fifth.read_all();
  CHECK(fifth.answered(r) == holders[1]->stream);
  CHECK(fifth.is_ahead());
  CHECK(holders[1]->stream->ahead() == 0);
  // One that is gone is nobody's to tell.
  holders[3].reset();
  busy sixth;
  sixth.answered(r);
  sixth.read_all();
  CHECK(sixth.answered(r) == nullptr);
  CHECK(sixth.is_ahead());
}

TEST_CASE("read ahead: who stands still keeps his place, and no more than that", "[stream]") {
  read_ahead r(4 * each);
  auto holders = four(r);
  std::size_t most = 0;
  for (auto& h : holders) {
    while (h->stream->wants_fetch()) h->answered(r, 200'000);
    most += h->stream->held_bytes();
  }
  CHECK(most <= 4 * (each + share));
  busy other;
  other.answered(r);
  other.read_all();
  other.answered(r);
  CHECK(other.stream->ahead() == 0);
}

TEST_CASE("read ahead: what a reader holds keeps to its share", "[stream]") {
  read_ahead r(4 * each);
  busy b;
  b.answered(r);
  b.read_all();
  b.answered(r);
  REQUIRE(b.is_ahead());
  b.read_all();
  b.fetched(streams::joined({batch_of(2, 1, 10'000), batch_of(3, 1, 10'000), batch_of(4, 1, 10'000)}));
  const held first = b.take();
  REQUIRE(first);
  CHECK(streams::offsets_of(*first) == std::vector<std::int64_t>{2, 3});
  CHECK(!b.take());
  CHECK(b.bad.code == kawait::errc::lease_quota);
}

TEST_CASE("read ahead: where the share is ample nobody takes a place", "[stream]") {
  read_ahead r(4 * each);
  busy b;
  b.stream->set_quota(each);
  b.answered(r);
  b.read_all();
  b.answered(r);
  CHECK(b.stream->ahead() == 0);
}

TEST_CASE("as much is asked for as a record batch had of late, though the share is smaller", "[stream]") {
  rig r(32 << 20, share);
  r.flow_from(0);
  CHECK(r.stream->fetch_room() == share);
  r.stream->set_usual_batch(64 << 10);
  CHECK(r.stream->fetch_room() == (68 << 10));
  r.fetched(batch_of(0, 1, 32 << 10));
  const std::size_t large = r.stream->largest_batch();
  CHECK(r.stream->fetch_room() == (68 << 10));  // its own, doubled, are as large
  r.stream->set_usual_batch(1 << 20);
  CHECK(r.stream->fetch_room() == 2 * large + large / 8);
  r.stream->set_usual_batch(16 << 10);
  CHECK(r.stream->fetch_room() == large + large / 16);
  // What they were long ago is forgotten.
  for (int i = 1; i < 1000; ++i) r.fetched(batch_of(i, 1, 100));
  CHECK(r.stream->largest_batch() < 200);
}

}  // namespace
}  // namespace read_ahead_tests
