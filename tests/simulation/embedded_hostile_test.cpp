// What the embedded broker does with bytes that no client of sound mind sends, and with real sockets.

#include <random>

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>

#include "protocol/all_messages.hpp"
#include "protocol/fill.hpp"
#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using bytes = std::vector<std::byte>;

/// Sends bytes on a connection of their own; what comes back within a second, and whether the broker has closed it.
struct exchange {
  bytes answer;
  bool closed = false;
};

asio::awaitable<void> talk(testing::world& w, bytes out, std::shared_ptr<exchange> e) {
  net::address where("10.0.0.1", "10.0.0.1", 9092);
  auto connecting = w.network().connect(std::move(where), net::time_point::max());
  auto connected = co_await std::move(connecting);
  REQUIRE(connected);
  std::unique_ptr<net::transport> stream = *std::move(connected);
  std::error_code ec;
  co_await stream->write(out, ec);
  bytes room(1 << 16);
  while (!ec) {
    const std::size_t n = co_await stream->read_some(room, ec);
    e->answer.insert(e->answer.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(n));
    if (e->answer.size() >= 4) {
      const auto size = kawait::wire::load_big_endian<std::int32_t>(e->answer.data());
      if (e->answer.size() >= 4 + static_cast<std::size_t>(size)) co_return;
    }
  }
  e->closed = true;
}

exchange send(testing::world& w, bytes out) {
  const auto e = std::make_shared<exchange>();
  asio::co_spawn(w.executor(), talk(w, std::move(out), e), asio::detached);
  w.advance(10ms);
  return *e;
}

template <class Request>
bytes encoded(const Request& q, std::int16_t version) {
  bytes out;
  REQUIRE(!kawait::protocol::encode_request(out, q, version, 77, "client"));
  return out;
}

/// Still the broker that it was.
void check_alive(testing::world& w) {
  kawait::protocol::api_versions_request q;
  q.client_software_name = q.client_software_version = "x";
  const exchange e = send(w, encoded(q, 4));
  REQUIRE(e.answer.size() > 50);
}

TEST_CASE("embedded: an ApiVersions request that is too new is answered in version 0") {
  testing::world w;
  testing::broker b(w.executor());
  kawait::protocol::api_versions_request q;
  q.client_software_name = q.client_software_version = "x";
  bytes out = encoded(q, 4);
  out[7] = std::byte{9};
  const exchange e = send(w, out);
  kawait::protocol::api_versions_response r;
  REQUIRE(e.answer.size() > 8);
  REQUIRE(!kawait::protocol::decode_response(r, std::span<const std::byte>(e.answer).subspan(8), 0));
  CHECK(r.error_code == 35);
  REQUIRE(r.api_keys.size() == 1);
  CHECK(r.api_keys[0].api_key == 18);
  CHECK(r.api_keys[0].max_version == 4);
}

TEST_CASE("embedded: versions of another generation close the connection") {
  testing::world w;
  testing::broker b(w.executor(), testing::broker_options(testing::kafka_generation::v4_0));
  kawait::protocol::fetch_request q;
  CHECK(send(w, encoded(q, 18)).closed);
  CHECK(!send(w, encoded(q, 17)).closed);
  CHECK(send(w, encoded(kawait::protocol::offset_commit_request(), 10)).closed);
  bytes unknown = encoded(q, 17);
  unknown[5] = std::byte{99};
  CHECK(send(w, unknown).closed);
}

TEST_CASE("embedded: frames of impossible length close the connection, and cost no memory") {
  testing::world w;
  testing::broker b(w.executor());
  for (const std::int32_t length : {-1, 0, 7, 0x7fffffff, 100 * 1024 * 1024 + 1, static_cast<std::int32_t>(0x80000000)}) {
    CAPTURE(length);
    bytes out(4);
    kawait::wire::store_big_endian(out.data(), length);
    CHECK(send(w, out).closed);
  }
  bytes announced(8);
  kawait::wire::store_big_endian(announced.data(), 100 * 1024 * 1024);
  CHECK(!send(w, announced).closed);
  check_alive(w);
}

TEST_CASE("embedded: random messages of every API and version get answers that decode, or none") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 2);
  b.append("orders", 0, numbers(5));
  kawait::test::filler fill(5);
  std::size_t answered = 0;
  kawait::test::for_each_request([&]<class Request>() {
    for (std::int16_t version = Request::min_version; version <= Request::max_version; ++version) {
      for (int i = 0; i < 6; ++i) {
        const auto q = fill.make<Request>(version, true);
        const exchange e = send(w, encoded(q, version));
        if (e.answer.empty()) continue;
        CAPTURE(kawait::test::kafka_name<Request>(), version);
        typename Request::response r;
        const auto rest = std::span<const std::byte>(e.answer).subspan(8);
        const kawait::failure bad = kawait::protocol::decode_response(r, rest, version);
        CAPTURE(bad.to_string());
        CHECK(!bad);
        ++answered;
      }
    }
  });
  CHECK(answered > 200);
  check_alive(w);
}

TEST_CASE("embedded: spoilt messages of every API and version do no harm") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 2);
  kawait::test::filler fill(6);
  std::mt19937_64 random(7);
  kawait::test::for_each_request([&]<class Request>() {
    for (std::int16_t version = Request::min_version; version <= Request::max_version; ++version) {
      for (int i = 0; i < 12; ++i) {
        bytes out = encoded(fill.make<Request>(version, true), version);
        for (int n = 0; n < 3; ++n) out[4 + random() % (out.size() - 4)] = static_cast<std::byte>(random());
        out.resize(4 + random() % (out.size() - 3));
        if (i % 2 == 0) kawait::wire::store_big_endian(out.data(), static_cast<std::int32_t>(out.size() - 4));
        (void)send(w, out);
      }
    }
  });
  check_alive(w);
}

/// Runs a consumer over loopback until it has read `count` records.
std::size_t read_over_loopback(asio::io_context& context, testing::broker& b, std::size_t count) {
  kawait::consumer consumer(context.get_executor(), plain().bootstrap_servers(b.bootstrap()));
  consumer.assign({kawait::topic_partition("orders", 0)});
  consumer.async_run([](std::error_code) {});
  std::size_t seen = 0;
  std::function<void()> read = [&] {
    consumer.async_next([&](std::error_code ec, kawait::batch batch) {
      if (ec) return;
      for (const kawait::record& r : batch) seen += r.value().has_value() ? 1 : 0;
      batch.done();
      batch = kawait::batch();
      if (seen < count) return read();
      consumer.async_close(kawait::close_options(), [&](std::error_code) { b.close(); });
    });
  };
  read();
  context.run();
  return seen;
}

TEST_CASE("embedded: over real sockets, which it closes") {
  for (int round = 0; round < 3; ++round) {
    asio::io_context context(1);
    testing::broker b(context.get_executor(), testing::broker_options::on_loopback(2));
    b.create_topic("orders", 1);
    b.append("orders", 0, numbers(100));
    b.stop_node(2);
    b.start_node(2);
    CHECK(read_over_loopback(context, b, 100) == 100);
    CHECK(b.connections() == 0);
  }
}

TEST_CASE("embedded: a port that is taken, a world where sockets are wanted") {
  asio::io_context context(1);
  {
    testing::broker first(context.get_executor(), testing::broker_options::on_loopback());
    const auto taken = testing::broker_options::on_loopback(1, first.address(1).port);
    CHECK_THROWS_AS(testing::broker(context.get_executor(), taken), std::system_error);
    CHECK_THROWS_AS(testing::broker(context.get_executor()), kawait::error);
    first.close();
    context.run();
  }
  testing::world w;
  testing::broker b(w.executor());
  CHECK_THROWS_AS(b.append("none", 0, {}), std::out_of_range);
  CHECK_THROWS_AS(b.stop_node(9), std::out_of_range);
  b.create_topic("orders", 1);
  CHECK_THROWS_AS(b.create_topic("orders", 1), kawait::error);
}

}  // namespace
}  // namespace embedded
