// Out of memory while batches are handed out and come back: whichever allocation fails, no record is lost, and the partition can be
// given up.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
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

/// Has no memory for the first of the first reads.
struct refusing_host final : kawait::runtime::stream_host {
  void on_first_read(kawait::runtime::partition_stream& stream) override {
    if (++first_reads == 1) throw std::bad_alloc();
    time = stream.sought_time();
  }
  void on_seek(kawait::runtime::partition_stream&) override {}
  void on_demand(kawait::runtime::partition_stream&) override {}
  void on_readable(kawait::runtime::partition_stream&) override {}
  void on_out_of_range(kawait::runtime::partition_stream&, const kawait::offset_and_epoch&) override {}

  int first_reads = 0;
  std::optional<std::int64_t> time;
};

TEST_CASE("a first read for which there was no memory is begun by the next") {
  kawait::testing::world w;
  refusing_host host;
  const kawait::machine::leased id(kawait::topic_id_partition(kawait::uuid(), 0), 1);
  kawait::runtime::partition_stream stream(w.executor(), host, id, "orders");
  std::optional<kawait::offset_and_epoch> sought;
  std::optional<std::int64_t> time;
  SECTION("from where it was committed") {}
  SECTION("from where it was sought to before") {
    sought.emplace(7, 1);
    stream.seek(*sought);
  }
  SECTION("from a time") {
    time = 1000;
    stream.seek_to_time(*time);
  }
  CHECK_THROWS_AS(stream.start(), std::bad_alloc);
  CHECK(!stream.fetch_position());
  stream.start();
  CHECK(host.first_reads == 2);
  CHECK(stream.fetch_position() == sought);
  CHECK(host.time == time);
}

}  // namespace
