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
  /// Shows that it is being read, and has more.
  std::shared_ptr<kawait::runtime::partition_stream> asks(read_ahead& r) {
    answered(r);
    read_all();
    return answered(r);
  }
  bool is_ahead() const { return stream->ahead() == each; }

  std::int64_t next = 0;
};

std::vector<std::unique_ptr<busy>> four(read_ahead& r) {
  std::vector<std::unique_ptr<busy>> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(std::make_unique<busy>());
    all.back()->asks(r);
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
  fifth.asks(r);
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
  CHECK(fifth.asks(r) == holders[1]->stream);
  CHECK(fifth.is_ahead());
  CHECK(holders[1]->stream->ahead() == 0);
  // One that is gone is nobody's to tell.
  holders[3].reset();
  busy sixth;
  CHECK(sixth.asks(r) == nullptr);
  CHECK(sixth.is_ahead());
}

TEST_CASE("read ahead: who found none first has the next one, however late it is answered", "[stream]") {
  read_ahead r(4 * each);
  auto holders = four(r);
  busy far;
  far.asks(r);
  far.read_all();
  holders[0]->answered(r, 500'000);
  holders[0]->read_all();
  // Both are near, and come first.
  busy near;
  near.asks(r);
  CHECK(near.stream->ahead() == 0);
  holders[0]->answered(r);
  CHECK(holders[0]->stream->ahead() == 0);
  far.answered(r);
  CHECK(far.is_ahead());
}

TEST_CASE("read ahead: a place that was waited for in vain is its holder's again", "[stream]") {
  read_ahead r(4 * each);
  auto holders = four(r);
  busy fifth;
  fifth.asks(r);
  for (auto& h : holders) {
    h->answered(r, 500'000);
    CHECK(h->stream->ahead() == 0);
  }
  fifth.stream->high_watermark = fifth.next;
  for (auto& h : holders) {
    h->read_all();
    h->answered(r);
    CHECK(h->is_ahead());
  }
}

// It may be a partition's stream of before: whoever is told by its name would stop the one of now.
TEST_CASE("read ahead: one that has ended loses its place, and nobody is told", "[stream]") {
  read_ahead r(4 * each);
  auto holders = four(r);
  holders[1]->stream->end(kawait::end_reason::revoked);
  busy fifth;
  CHECK(fifth.asks(r) == nullptr);
  CHECK(fifth.is_ahead());
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
  other.asks(r);
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
  CHECK(streams::offsets_of(*first) == std::vector<std::int64_t>{2});
  const held second = b.take();
  REQUIRE(second);
  CHECK(streams::offsets_of(*second) == std::vector<std::int64_t>{3});
  CHECK(!b.take());
  CHECK(b.bad.code == kawait::errc::lease_quota);
}

TEST_CASE("a batch in hand leaves room for a second in a share that holds several", "[stream]") {
  busy b;
  b.stream->set_quota(50'000);
  std::vector<streams::byte_vector> batches;
  for (int i = 0; i < 10; ++i) batches.push_back(batch_of(i, 1, 10'000));
  b.fetched(streams::joined(batches));
  const held first = b.take(), second = b.take();
  REQUIRE((first && second));
  CHECK(streams::offsets_of(*first) == std::vector<std::int64_t>{0, 1, 2});
  CHECK(!b.take());
  CHECK(b.bad.code == kawait::errc::lease_quota);
}

TEST_CASE("read ahead: where the share is ample nobody takes a place, and who had one gives it up", "[stream]") {
  read_ahead r(4 * each);
  busy b;
  b.stream->set_quota(each);
  b.answered(r);
  b.read_all();
  b.answered(r);
  CHECK(b.stream->ahead() == 0);
  b.stream->set_quota(share);
  b.read_all();
  b.answered(r);
  CHECK(b.is_ahead());
  b.stream->set_quota(each);
  b.answered(r);
  CHECK(b.stream->ahead() == 0);
}

// A size that others have is a guess, and one's own of late may be over: a stalled partition must not keep what it brings of small ones.
TEST_CASE("of an answer that brings more batches than there is room for the first stay, and the rest is fetched again", "[stream]") {
  busy b;
  b.stream->set_largest_elsewhere(1 << 20);
  std::vector<streams::byte_vector> batches;
  for (int i = 0; i < 100; ++i) batches.push_back(batch_of(i, 1, 1'000));
  const auto all = streams::joined(batches);
  CHECK(b.stream->room() == share);
  kawait::wire::records_summary summary;
  CHECK(!kawait::wire::summarize(all, summary, b.stream->room()));
  CHECK(summary.bytes >= share);
  CHECK(summary.bytes < share + 1'200);
  CHECK(summary.next_offset == static_cast<std::int64_t>(summary.batches));
  CHECK(!kawait::wire::summarize(all, summary));
  CHECK(summary.batches == 100);
  CHECK(!kawait::wire::summarize(all, summary, 1));
  CHECK(summary.batches == 1);
}

TEST_CASE("as much is asked for as a record batch had of late, though the share is smaller", "[stream]") {
  rig r(32 << 20, share);
  r.flow_from(0);
  CHECK(r.stream->fetch_room() == share);
  r.stream->set_largest_elsewhere(64 << 10);
  CHECK(r.stream->fetch_room() == (68 << 10));
  r.fetched(batch_of(0, 1, 32 << 10));
  const std::size_t large = r.stream->largest_batch();
  CHECK(r.stream->fetch_room() > large + large / 4);  // others' may be a little larger
  CHECK(r.stream->fetch_room() < large + large / 2);
  r.stream->set_largest_elsewhere(16 << 10);
  CHECK(r.stream->fetch_room() == large + large / 16);
  // What they were long ago is forgotten.
  for (int i = 1; i < 1000; ++i) r.fetched(batch_of(i, 1, 100));
  CHECK(r.stream->largest_batch() < 200);
}

}  // namespace
}  // namespace read_ahead_tests
