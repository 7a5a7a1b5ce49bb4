// Fetchers against brokers, without an engine: which requests leave, and when.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <kawait/runtime/fetcher.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/world.hpp>

#include "catch.hpp"

#include "unit/stream_support.hpp"

namespace fetcher_tests {
namespace {

using namespace std::chrono_literals;
using kawait::offset_and_epoch;
using kawait::topic_id_partition;
using kawait::testing::api_key;
using kawait::testing::request_view;
namespace net = kawait::net;
namespace protocol = kawait::protocol;
namespace runtime = kawait::runtime;
namespace testing = kawait::testing;

testing::broker_options nodes(std::int32_t count) {
  testing::broker_options o;
  o.nodes = count;
  o.replication_factor = 1;
  return o;
}

bool is_beside_session(const request_view& r) {
  protocol::fetch_request q;
  return r.api == api_key::fetch && !protocol::decode_request(q, r.body, r.version) && q.session_epoch == -1;
}

/// Partition p of "orders" is node p + 1's.
class rig final : public runtime::fetch_host {
 public:
  explicit rig(std::int32_t count)
      : b(w.executor(), nodes(count)),
        pool(1 << 20),
        brokers_(w.executor(), net::connection_options(), net::broker_pool::default_reconnect(), {}),
        budget_(w.executor(), settings, pool),
        tasks_(w.executor()) {
    tasks_.set_owner(owner_, [](std::exception_ptr e) { std::rethrow_exception(e); });
    b.create_topic("orders", 2 * count);
    for (std::int32_t n = 1; n <= count; ++n) {
      const net::host_port where = b.address(n);
      brokers_.set_broker(net::broker(n, where.host, where.port));
      for (const std::int32_t p : {n - 1, n - 1 + count}) {
        b.set_leader("orders", p, n);
        add(p);
      }
      ++budget_.fetchers;
      fetchers_[n] = std::make_unique<runtime::fetcher>(w.executor(), tasks_, n, brokers_, budget_, *this, settings);
    }
  }
  ~rig() {
    for (auto& [node, f] : fetchers_) f->stop();
    brokers_.close();
    w.run_until([&] { return tasks_.running() == 0; }, 1min);
  }

  void run(std::int32_t node) { tasks_.spawn(fetchers_.at(node)->run()); }
  /// Fetch it from where its stream is.
  void want(std::int32_t partition) {
    const auto id = id_of(partition);
    const auto from = *streams_.at(id)->fetch_position();
    const runtime::partition_stream& s = *streams_.at(id);
    fetchers_.at(node_of(partition))
        ->set(id, kawait::machine::fetch_session::position(from.offset, b.leader_epoch("orders", partition), -1, 1 << 20),
              s.has_more_at(from.offset, settings.isolation));
  }
  /// Whether all of it was fetched in time.
  bool reads_all(std::int32_t partition, net::duration within) {
    return w.run_until(
        [&] { return streams_.at(id_of(partition))->fetch_position()->offset == b.end_offset("orders", partition); }, within);
  }
  void append(std::int32_t partition, int batches, std::size_t bytes) {
    for (int i = 0; i < batches; ++i) b.append("orders", partition, {testing::producer_record(std::string(bytes, 'x'))});
  }

  std::shared_ptr<runtime::partition_stream> find_stream(const topic_id_partition& id) override { return streams_.at(id); }
  void on_fetch_error(runtime::partition_stream&, const partition_data&, std::int32_t) override { FAIL("nothing of this kind"); }
  void on_node_failed(std::int32_t) override {}
  void on_node_endpoints(const protocol::fetch_response&) override {}
  void on_fetch_answered(runtime::partition_stream& s) override { want(s.id().partition.partition); }
  void refresh_metadata() override {}
  const std::list<runtime::partition_stream*>& awaiting_end() const noexcept override { return awaiting_end_; }

  testing::world w;
  testing::broker b;
  runtime::options settings;
  runtime::buffer_pool pool;

 private:
  topic_id_partition id_of(std::int32_t partition) const { return topic_id_partition(b.topic_id("orders"), partition); }
  std::int32_t node_of(std::int32_t partition) const { return partition % static_cast<std::int32_t>(fetchers_.size()) + 1; }
  void add(std::int32_t partition) {
    const auto id = id_of(partition);
    auto s = std::make_shared<runtime::partition_stream>(w.executor(), streams_host_, kawait::machine::leased(id, 1), "orders");
    s->set_quota(64 << 20);
    s->start();
    s->on_located(offset_and_epoch(0, 0));
    streams_.emplace(id, std::move(s));
  }

  streams::fake_host streams_host_;
  std::shared_ptr<int> owner_ = std::make_shared<int>();
  net::broker_pool brokers_;
  runtime::fetch_budget budget_;
  runtime::task_group tasks_;
  std::map<std::int32_t, std::unique_ptr<runtime::fetcher>> fetchers_;
  std::map<topic_id_partition, std::shared_ptr<runtime::partition_stream>> streams_;
  std::list<runtime::partition_stream*> awaiting_end_;
};

TEST_CASE("a broker that cannot be reached does not keep others from the room that there is for one request", "[fetch]") {
  rig r(2);
  const auto full = r.pool.acquire(1 << 20);
  r.b.set_connection_faults([](std::int32_t node, const testing::connection_attempt&, testing::connection_plan& plan) {
    if (node == 1) plan.what = testing::connection_plan::outcome::black_hole;
  });
  r.want(1);
  r.run(2);
  r.w.advance(100ms);
  CHECK(r.b.count(api_key::fetch) == 1);  // it is parked
  r.want(0);
  r.run(1);  // next in line
  r.w.advance(1s);
  r.append(1, 20, 100);
  CHECK(r.reads_all(1, 1s));
}

TEST_CASE("who connected to ask beside its session looks for room again", "[fetch]") {
  rig r(3);
  for (std::int32_t n = 1; n <= 3; ++n) {
    r.want(n - 1);
    r.run(n);
  }
  r.w.advance(100ms);
  REQUIRE(r.b.count(api_key::fetch) == 3);
  const auto most = r.pool.acquire(512 << 10);  // there is room for four requests
  r.b.set_faults([](const request_view& q) { return is_beside_session(q) ? testing::fault::delayed(100ms) : testing::fault(); });
  for (const std::int32_t p : {3, 4, 5}) {
    r.append(p, 1, 100);
    r.want(p);
  }
  r.w.advance(90ms);
  CHECK(r.b.count(api_key::fetch) == 4);
  for (const std::int32_t p : {3, 4, 5}) CHECK(r.reads_all(p, 2s));
}

TEST_CASE("what is fetched beside the session joins its next request, however much there is", "[fetch]") {
  rig r(1);
  r.settings.fetch_max_wait = 20ms;
  r.settings.fetch_max_bytes = 10'000;
  r.b.set_connection_faults([](std::int32_t, const testing::connection_attempt&, testing::connection_plan& plan) {
    plan.options.down.latency = 1ms;
  });
  std::size_t beside = 0;
  r.b.set_faults([&](const request_view& q) {
    beside += is_beside_session(q);
    return testing::fault();
  });
  r.want(0);
  r.run(1);
  r.w.advance(1s);
  r.append(1, 100, 8'000);  // one an answer
  r.want(1);
  CHECK(r.reads_all(1, 5s));
  CHECK(beside > 0);
  CHECK(beside < 30);  // as many as the request was parked for
}

}  // namespace
}  // namespace fetcher_tests
