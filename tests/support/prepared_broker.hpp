#pragma once

// Brokers whose answers lie ready, and a consumer of their partitions: for counting what a fetch costs, since the brokers' own part is
// next to nothing. Time stands still.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>

#include <kawait/kawait.hpp>
#include <kawait/protocol/api_versions.hpp>
#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/list_offsets.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/testing/world.hpp>
#include <kawait/wire/reader.hpp>
#include <kawait/wire/writer.hpp>

#include "batch_builder.hpp"

namespace prepared {

namespace net = kawait::net;
namespace protocol = kawait::protocol;
namespace wire = kawait::wire;

/// What every fetch of a broker brings: so many record batches of so many records, each with a key of 16 bytes.
struct shape {
  shape(std::size_t b, std::size_t r, std::size_t v = 100, wire::codec c = wire::codec::none) : batches(b), records(r), value(v), how(c) {}
  std::size_t batches, records, value;
  wire::codec how;
  std::int32_t partitions = 1;  ///< Only the first has records.
  std::int32_t brokers = 1;     ///< More than one: each leads one partition, which has records.
};

/// The answer to a fetch, as a frame in which only the correlation id and the batches' base offsets change.
class fetch_answer {
 public:
  fetch_answer(const shape& s, std::int32_t index) : per_batch_(static_cast<std::int64_t>(s.records)) {
    std::vector<std::byte> records;
    std::vector<std::size_t> begins;
    const std::string key(16, 'k'), value(s.value, 'v');
    for (std::size_t b = 0; b < s.batches; ++b) {
      kawait::tests::batch_builder builder;
      builder.codec(s.how);
      for (std::size_t r = 0; r < s.records; ++r) builder.add(key, value, {}, static_cast<std::int64_t>(r % 3));
      begins.push_back(records.size());
      kawait::tests::append(records, builder.build());
    }
    protocol::fetch_response f;
    f.session_id = 1;
    f.responses.emplace_back().topic_id = topic_id();
    auto& partition = f.responses.back().partitions.emplace_back();
    partition.partition_index = index;
    partition.high_watermark = partition.last_stable_offset = std::int64_t{1} << 40;
    partition.records = std::span<const std::byte>(records);
    (void)protocol::encode_response(frame_, f, version, 0);
    const auto at = std::search(frame_.begin(), frame_.end(), records.begin(), records.end());
    for (const std::size_t b : begins) offsets_.push_back(static_cast<std::size_t>(at - frame_.begin()) + b);
  }

  static constexpr std::int16_t version = protocol::fetch_response::max_version;
  static kawait::uuid topic_id() {
    kawait::uuid id;
    id.bytes.fill(std::byte{7});
    return id;
  }

  std::span<const std::byte> frame() const noexcept { return frame_; }
  void prepare(std::int32_t correlation_id) {
    wire::store_big_endian(frame_.data() + 4, correlation_id);
    for (const std::size_t at : offsets_) wire::store_big_endian(frame_.data() + at, std::exchange(offset_, offset_ + per_batch_));
  }

 private:
  std::vector<std::byte> frame_;
  std::vector<std::size_t> offsets_;
  std::int64_t per_batch_;
  std::int64_t offset_ = 0;
};

/// Where the bytes of an answer to a fetch went, the first, second and so on from 1.
struct piece {
  piece(std::size_t n, std::span<std::byte> w) : fetch(n), where(w) {}
  std::size_t fetch;
  std::span<std::byte> where;
};

/// What the broker did.
struct log {
  std::size_t fetches = 0;
  bool keeps_pieces = false;
  std::vector<piece> pieces;
};

// What the kernel and the broker do for this broker's part: functions of their own, so that callgrind can leave them out; without a
// tail call, which would end them too soon.
extern "C" [[gnu::noinline]] inline void prepared_copy(std::byte* to, const std::byte* from, std::size_t size) {
  std::memcpy(to, from, size);
  asm volatile("" ::: "memory");
}
extern "C" [[gnu::noinline]] inline void prepared_answer(fetch_answer& a, std::int32_t correlation_id) {
  a.prepare(correlation_id);
  asm volatile("" ::: "memory");
}

/// Of node 1; the others' follow.
inline constexpr std::int32_t first_port = 9092;

class connection_end final : public net::transport {
 public:
  connection_end(const asio::any_io_executor& executor, const shape& s, std::int32_t node, log& l)
      : fetch_(s, node - 1), log_(l), partitions_(std::max(s.partitions, s.brokers)), brokers_(s.brokers), readable_(executor) {}

  std::size_t try_write(std::span<const std::byte> bytes) noexcept override {
    answer(bytes);
    readable_.notify_all();
    return bytes.size();
  }
  asio::awaitable<void> write(std::span<const std::byte> bytes, std::error_code& ec) override {
    ec = {};
    try_write(bytes);
    co_return;
  }
  asio::awaitable<std::size_t> read_some(std::span<std::byte> room, std::error_code& ec) override {
    while (left_.empty() && !closed_) co_await readable_.wait();
    ec = closed_ ? asio::error::operation_aborted : std::error_code();
    const std::size_t size = closed_ ? 0 : std::min(room.size(), left_.size());
    prepared_copy(room.data(), left_.data(), size);
    left_ = left_.subspan(size);
    if (log_.keeps_pieces) log_.pieces.emplace_back(log_.fetches, room.first(size));
    co_return size;
  }
  void close() noexcept override {
    closed_ = true;
    readable_.notify_all();
  }
  std::string peer() const override { return "broker"; }

 private:
  // A consumer sends one request of a connection at a time here, in one piece.
  void answer(std::span<const std::byte> request) {
    const auto key = wire::load_big_endian<std::int16_t>(request.data() + 4);
    const auto version = wire::load_big_endian<std::int16_t>(request.data() + 6);
    const auto id = wire::load_big_endian<std::int32_t>(request.data() + 8);
    if (key == protocol::fetch_request::api_key) {
      ++log_.fetches;
      prepared_answer(fetch_, id);
      left_ = fetch_.frame();
      return;
    }
    other_.clear();
    if (key == protocol::api_versions_request::api_key) (void)protocol::encode_response(other_, versions(), version, id);
    if (key == protocol::metadata_request::api_key) (void)protocol::encode_response(other_, metadata(), version, id);
    if (key == protocol::list_offsets_request::api_key) (void)protocol::encode_response(other_, earliest(), version, id);
    left_ = other_;
  }

  static protocol::api_versions_response versions() {
    protocol::api_versions_response r;
    add<protocol::api_versions_response>(r);
    add<protocol::metadata_response>(r);
    add<protocol::list_offsets_response>(r);
    add<protocol::fetch_response>(r);
    return r;
  }
  template <class Response>
  static void add(protocol::api_versions_response& r) {
    auto& api = r.api_keys.emplace_back();
    api.api_key = Response::api_key;
    api.min_version = Response::min_version;
    api.max_version = Response::max_version;
  }
  protocol::metadata_response metadata() const {
    protocol::metadata_response r;
    for (std::int32_t id = 1; id <= brokers_; ++id) {
      auto& broker = r.brokers.emplace_back();
      broker.node_id = id;
      broker.host = "broker";
      broker.port = first_port + id - 1;
    }
    auto& topic = r.topics.emplace_back();
    topic.name = "orders";
    topic.topic_id = fetch_answer::topic_id();
    for (std::int32_t i = 0; i < partitions_; ++i) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = i;
      partition.leader_id = brokers_ > 1 ? i + 1 : 1;
      partition.leader_epoch = 0;
    }
    return r;
  }
  protocol::list_offsets_response earliest() const {
    protocol::list_offsets_response r;
    auto& topic = r.topics.emplace_back();
    topic.name = "orders";
    for (std::int32_t i = 0; i < partitions_; ++i) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = i;
      partition.offset = 0;
      partition.leader_epoch = 0;
    }
    return r;
  }

  fetch_answer fetch_;
  log& log_;
  std::int32_t partitions_;
  std::int32_t brokers_;
  net::condition readable_;
  std::vector<std::byte> other_;
  std::span<const std::byte> left_;
  bool closed_ = false;
};

/// Clock, randomness and network of a context with this broker in it.
class backend final : public net::backend, public net::network {
 public:
  backend(asio::any_io_executor executor, const shape& s) : executor_(std::move(executor)), shape_(s), clock_(1) {}

  net::time_point now() override { return clock_.now(); }
  std::chrono::system_clock::time_point wall_clock() override { return clock_.wall_clock(); }
  std::uint64_t random() override { return clock_.random(); }
  net::network& net() override { return *this; }
  net::virtual_clock* clock() noexcept override { return &clock_; }

  asio::awaitable<kawait::result<std::vector<net::address>>> resolve(net::host_port where, net::time_point) override {
    std::vector<net::address> one(1, net::address(where.host, where.host, where.port));
    co_return std::move(one);
  }
  asio::awaitable<kawait::result<std::unique_ptr<net::transport>>> connect(net::address where, net::time_point) override {
    const std::int32_t node = where.port - first_port + 1;
    std::unique_ptr<net::transport> end = std::make_unique<connection_end>(executor_, shape_, node, done);
    co_return std::move(end);
  }

  log done;

 private:
  asio::any_io_executor executor_;
  shape shape_;
  kawait::testing::simulated_backend clock_;
};

/// A consumer of its partitions, for as long as the test says.
class stage {
 public:
  explicit stage(const shape& s, bool check_crcs = true)
      : backend_(std::make_shared<backend>(context.get_executor(), s)) {
    net::environment::of(static_cast<asio::execution_context&>(context)).install(backend_);
    kawait::config settings("broker:9092");
    settings.auto_offset_reset(kawait::offset_reset::earliest).check_crcs(check_crcs);
    consumer_ = std::make_unique<kawait::consumer>(context.get_executor(), settings);
    std::vector<kawait::topic_partition> all;
    for (std::int32_t i = 0; i < std::max(s.partitions, s.brokers); ++i) all.emplace_back("orders", i);
    consumer_->assign(std::move(all));
  }

  kawait::consumer& consumer() { return *consumer_; }
  log& broker() { return backend_->done; }

  void start(asio::awaitable<void> all) {
    asio::co_spawn(context, std::move(all), [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);
    });
  }
  /// Runs until the handler has called on_work() so often from now on.
  void run(std::size_t work) {
    left_ = work;
    context.restart();
    context.poll();
    if (left_ > 0) throw std::runtime_error("the consumer stands still");
  }
  void on_work() noexcept {
    if (left_ > 0 && --left_ == 0) context.stop();
  }

  asio::io_context context{1};

 private:
  std::shared_ptr<backend> backend_;
  std::unique_ptr<kawait::consumer> consumer_;
  std::size_t left_ = 0;
};

/// Reads batches and all of their records.
template <class OnBatch>
asio::awaitable<void> read_batches(stage& s, kawait::partition p, OnBatch on_batch) {
  while (auto batch = co_await p.async_next()) {
    on_batch(*batch);
    batch->done();
    s.on_work();
  }
}

}  // namespace prepared
