// Out of memory while batches are handed out and come back: whichever allocation fails, no record is lost, and the partition can be
// given up.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <vector>

#include "allocations/count_support.hpp"
#include "catch.hpp"
#include "unit/stream_support.hpp"

namespace {

using kawait::wire::codec;
using streams::batch_of;
using streams::held;

constexpr std::int64_t batch = 5, all = 20;

/// What a broker answers: the record batches from the stream's position on.
void fetch(streams::rig& r) {
  const std::int64_t from = r.stream->fetch_position()->offset;
  std::vector<kawait::tests::byte_vector> rest;
  for (std::int64_t base = from - from % batch; base < all; base += batch) {
    rest.push_back(batch_of(base, batch, 100, base == batch ? codec::zstd : codec::none));
  }
  if (!rest.empty()) r.fetched(streams::joined(rest));
}

/// Whether memory was short.
bool read_all(std::size_t nth) {
  std::size_t left = nth;
  streams::rig r(32 << 20, 2'000);
  r.flow_from(0);
  fetch(r);
  std::vector<std::int64_t> seen;
  while (seen.size() < all) {
    const int seeks = r.host.seeks;
    held l;
    try {
      const counted::shortage now(left);
      l = r.take();
      if (l) l->mark_all_done();
    } catch (const std::bad_alloc&) {
    }
    if (l) {
      const auto offsets = streams::offsets_of(*l);
      seen.insert(seen.end(), offsets.begin(), offsets.end());
    } else if (r.host.seeks != seeks) {
      // Of what was read, or looked up: without it no broker could tell that its log was truncated since.
      CHECK(r.stream->fetch_position()->leader_epoch == (seen.empty() ? 1 : 0));
      fetch(r);
    }
    try {
      const counted::shortage now(left);
      l.reset();
      r.releases->drain();
    } catch (const std::bad_alloc&) {
    }
    r.releases->drain();  // as at the next call
  }
  std::vector<std::int64_t> expected(all);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(seen == expected);
  CHECK(r.stream->tracker().committable() == kawait::offset_and_epoch(all, 0));
  r.stream->end(kawait::end_reason::revoked);
  CHECK(r.stream->work().is_drained());
  return left == 0;
}

TEST_CASE("whichever allocation of handing out fails, no record is lost and no partition is kept") {
  std::size_t nth = 0;
  for (bool was_short = true; was_short;) {
    CAPTURE(++nth);
    was_short = read_all(nth);
  }
  CHECK(nth > 10);
}

}  // namespace
