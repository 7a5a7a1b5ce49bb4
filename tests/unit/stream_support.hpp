#pragma once

// A stream with everything around it but an engine: what its host hears, record batches to feed it with, and hand-outs.

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kawait/runtime/partition_stream.hpp>
#include <kawait/testing/world.hpp>

#include "batch_builder.hpp"

namespace streams {

namespace runtime = kawait::runtime;
namespace wire = kawait::wire;
using kawait::offset_and_epoch;
using kawait::tests::batch_builder;
using kawait::tests::byte_vector;

/// Counts what a stream tells its engine.
struct fake_host final : runtime::stream_host {
  void on_first_read(runtime::partition_stream&) override { ++first_reads; }
  void on_seek(runtime::partition_stream&) override { ++seeks; }
  void on_demand(runtime::partition_stream&) override { ++demands; }
  void on_readable(runtime::partition_stream&) override { ++readables; }
  void on_out_of_range(runtime::partition_stream&, const offset_and_epoch& position) override {
    ++out_of_ranges;
    refused = position;
  }

  int first_reads = 0, seeks = 0, demands = 0, readables = 0, out_of_ranges = 0;
  offset_and_epoch refused;
};

/// Gives leases back to their streams, as the engine does.
struct returning_sink final : runtime::release_sink {
  void on_marked(runtime::lease& l) override {
    if (const auto s = l.stream.lock()) s->on_marked(l);
  }
  void on_released(runtime::lease& l) override {
    if (const auto s = l.stream.lock()) s->on_released(l);
  }
  void on_failed(std::exception_ptr why) override { std::rethrow_exception(why); }
};

inline std::string text_of(std::size_t size) { return std::string(size, 'x'); }

/// One record batch of `count` records with values of `size` bytes, from `base` on.
inline byte_vector batch_of(std::int64_t base, int count, std::size_t size = 8, wire::codec how = wire::codec::none) {
  batch_builder b(base);
  b.codec(how);
  for (int i = 0; i < count; ++i) b.add("k", text_of(size));
  return b.build();
}

inline byte_vector joined(const std::vector<byte_vector>& parts) {
  byte_vector all;
  for (const auto& p : parts) all.insert(all.end(), p.begin(), p.end());
  return all;
}

/// Releases on destruction, like kawait::batch.
struct lease_release {
  void operator()(runtime::lease* l) const noexcept { l->release(); }
};
using held = std::unique_ptr<runtime::lease, lease_release>;

inline std::vector<std::int64_t> offsets_of(const runtime::lease& l) {
  std::vector<std::int64_t> offsets;
  for (const auto& s : l.segments) {
    wire::record_reader reader(s.header, s.records, l.first_offset);
    wire::record r;
    while (reader.next(r)) offsets.push_back(r.offset());
  }
  return offsets;
}

struct rig {
  explicit rig(std::size_t budget = 32 << 20, std::size_t quota = 1 << 20)
      : pool(budget), releases(std::make_shared<runtime::release_queue>(w.executor())) {
    kawait::uuid topic_id;
    topic_id.bytes[0] = std::byte{7};
    const kawait::machine::leased id(kawait::topic_id_partition(topic_id, 3), 1);
    stream = std::make_shared<runtime::partition_stream>(w.executor(), host, id, "orders");
    stream->set_quota(quota);
    releases->set_sink(&sink);
  }
  ~rig() { releases->detach(); }

  /// Reading from `offset` on.
  void flow_from(std::int64_t offset) {
    stream->start();
    stream->on_located(offset_and_epoch(offset, 1));
  }

  /// A fetch's answer, in a slab that has `others` bytes beside it.
  void fetched(const byte_vector& bytes, std::vector<wire::aborted_transaction> aborted = {}, std::size_t others = 0) {
    runtime::chunk c;
    c.buffer = pool.acquire(bytes.size() + others);
    std::copy(bytes.begin(), bytes.end(), c.buffer->data());
    const std::span<const std::byte> all(c.buffer->data(), bytes.size());
    wire::records_summary summary;
    c.error = wire::summarize(all, summary);
    c.bytes = all.first(summary.bytes);
    c.aborted = wire::aborted_transactions(std::move(aborted));
    stream->on_fetched(std::move(c), summary);
  }

  runtime::hand_out_context context() {
    stream->require_done(done_is_required);
    return runtime::hand_out_context{pool, codecs, releases, decompression_limit, check_crcs, read_committed};
  }
  /// The next batch; null if there is none; `bad` is what it failed with.
  held take() {
    releases->drain();
    auto taken = stream->take(context());
    bad = taken ? kawait::failure() : taken.error();
    if (!taken) return held();
    return held(std::move(*taken).release());
  }
  /// Gives a batch back.
  void give_back(held l, bool done = true) {
    if (done) l->mark_all_done();
    l.reset();
    releases->drain();
  }

  kawait::testing::world w;
  fake_host host;
  returning_sink sink;
  runtime::buffer_pool pool;
  wire::decompressor codecs;
  std::shared_ptr<runtime::release_queue> releases;
  std::shared_ptr<runtime::partition_stream> stream;
  std::size_t decompression_limit = wire::default_decompression_limit;
  bool check_crcs = true;
  bool read_committed = false;
  bool done_is_required = true;
  kawait::failure bad;
};

}  // namespace streams
