// What the embedded broker answers to single requests, where Kafka's answer is a particular one.

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/protocol/offset_fetch.hpp>
#include <kawait/testing/faults.hpp>
#include <kawait/testing/messages/older.hpp>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

using bytes = std::vector<std::byte>;

/// An answer, and the bytes that it views.
template <class Request>
struct answered {
  bytes frame;
  typename Request::response response;
};

asio::awaitable<void> exchange_frames(testing::world& w, bytes out, std::int32_t node, std::shared_ptr<bytes> in) {
  const std::string host = "10.0.0." + std::to_string(node);
  net::address where(host, host, 9092);
  auto connecting = w.network().connect(std::move(where), net::time_point::max());
  auto connected = co_await std::move(connecting);
  if (!connected) co_return;
  const std::unique_ptr<net::transport> stream = *std::move(connected);
  std::error_code ec;
  co_await stream->write(out, ec);
  bytes room(1 << 16);
  while (!ec) {
    const std::size_t n = co_await stream->read_some(room, ec);
    in->insert(in->end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(n));
    if (in->size() < 4) continue;
    if (in->size() >= 4 + static_cast<std::size_t>(kawait::wire::load_big_endian<std::int32_t>(in->data()))) co_return;
  }
}

/// What a node answers at once, over a connection of its own.
template <class Request>
answered<Request> ask(testing::world& w, const Request& q, std::int16_t version, std::int32_t node = 1) {
  bytes out;
  REQUIRE(!kawait::protocol::encode_request(out, q, version, 77, "client"));
  const auto in = std::make_shared<bytes>();
  asio::co_spawn(w.executor(), exchange_frames(w, std::move(out), node, in), asio::detached);
  w.advance(1ms);
  REQUIRE(in->size() > 8);
  answered<Request> a;
  a.frame = std::move(*in);
  REQUIRE(!kawait::protocol::decode_response(a.response, std::span<const std::byte>(a.frame).subspan(8), version));
  return a;
}

std::int16_t number_of(kafka_error e) { return static_cast<std::int16_t>(e); }

kawait::protocol::offset_fetch_request offsets_of(std::optional<std::vector<std::int32_t>> partitions, bool stable = true) {
  kawait::protocol::offset_fetch_request q;
  q.require_stable = stable;
  auto& g = q.groups.emplace_back();
  g.group_id = "g";
  g.topics.reset();
  if (!partitions) return q;
  auto& t = g.topics.emplace().emplace_back();
  t.name = "orders";
  t.partition_indexes = *partitions;
  return q;
}

TEST_CASE("embedded: an offset that is unstable by a fault is told for each partition, never for the group") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  b.group().set_offset(w.now(), "g", kawait::topic_partition("orders", 1), kawait::offset_and_epoch(5, 3), "words");
  testing::faults faults(b);
  faults.on(api_key::offset_fetch).times(2).inject("unstable-offset");
  const auto named = ask(w, offsets_of(std::vector<std::int32_t>{0, 1}), 9);
  REQUIRE(named.response.groups.size() == 1);
  CHECK(named.response.groups[0].error_code == 0);
  REQUIRE(named.response.groups[0].topics.size() == 1);
  REQUIRE(named.response.groups[0].topics[0].partitions.size() == 2);
  for (const auto& p : named.response.groups[0].topics[0].partitions) {
    CHECK(p.error_code == number_of(kafka_error::unstable_offset_commit));
    CHECK(p.committed_offset == -1);
    CHECK(p.committed_leader_epoch == -1);
    CHECK(p.metadata == "");
  }
  const auto all = ask(w, offsets_of(std::nullopt), 9);
  REQUIRE(all.response.groups.size() == 1);
  CHECK(all.response.groups[0].error_code == 0);
  REQUIRE(all.response.groups[0].topics.size() == 1);
  REQUIRE(all.response.groups[0].topics[0].partitions.size() == 1);
  CHECK(all.response.groups[0].topics[0].partitions[0].error_code == number_of(kafka_error::unstable_offset_commit));
  const auto sound = ask(w, offsets_of(std::vector<std::int32_t>{1}), 9);
  REQUIRE(sound.response.groups[0].topics.size() == 1);
  CHECK(sound.response.groups[0].topics[0].partitions[0].committed_offset == 5);
  CHECK(sound.response.groups[0].topics[0].partitions[0].metadata == "words");
  CHECK(faults.hits("unstable-offset") == 2);
}

/// Asks for both partitions of "orders" with a session's first request, for none with the later ones.
answered<kawait::protocol::fetch_request> fetch_both(testing::world& w, const testing::broker& b, std::int32_t id, std::int32_t epoch) {
  kawait::protocol::fetch_request q;
  q.max_wait_ms = 0;
  q.max_bytes = 1 << 20;
  q.session_id = id;
  q.session_epoch = epoch;
  if (epoch == 0) {
    auto& t = q.topics.emplace_back();
    t.topic_id = b.topic_id("orders");
    for (const std::int32_t index : {0, 1}) {
      auto& p = t.partitions.emplace_back();
      p.partition = index;
      p.fetch_offset = 3;
      p.partition_max_bytes = 1 << 20;
    }
  }
  return ask(w, q, 17);
}

TEST_CASE("embedded: an error that a fault gives an incremental fetch is told for the session's partitions, and the session goes on") {
  testing::world w;
  testing::broker b(w);
  b.create_topic("orders", 2);
  for (const std::int32_t p : {0, 1}) b.append("orders", p, numbers(3));
  testing::faults faults(b);
  const auto first = fetch_both(w, b, 0, 0);
  const std::int32_t id = first.response.session_id;
  REQUIRE(id != 0);
  faults.on(api_key::fetch).times(1).inject("not-leader");
  const auto struck = fetch_both(w, b, id, 1);
  CHECK(struck.response.error_code == 0);
  CHECK(struck.response.session_id == id);
  REQUIRE(struck.response.responses.size() == 1);
  REQUIRE(struck.response.responses[0].partitions.size() == 2);
  for (const auto& p : struck.response.responses[0].partitions) {
    CHECK(p.error_code == number_of(kafka_error::not_leader_or_follower));
    CHECK(p.high_watermark == -1);
    CHECK((!p.records || p.records->empty()));
  }
  // Nothing was written, but what was told last was an error.
  const auto sound = fetch_both(w, b, id, 2);
  CHECK(sound.response.error_code == 0);
  REQUIRE(sound.response.responses.size() == 1);
  REQUIRE(sound.response.responses[0].partitions.size() == 2);
  for (const auto& p : sound.response.responses[0].partitions) {
    CHECK(p.error_code == 0);
    CHECK(p.high_watermark == 3);
  }
  CHECK(fetch_both(w, b, id, 3).response.responses.empty());
  CHECK(b.fetch_sessions(1) == 1);

  // What is an error of sessions has its one place.
  faults.on(api_key::fetch).times(1).inject("session-lost");
  const auto lost = fetch_both(w, b, id, 4);
  CHECK(lost.response.error_code == number_of(kafka_error::fetch_session_id_not_found));
  CHECK(lost.response.responses.empty());
}

TEST_CASE("embedded: metadata names no leader that is down") {
  testing::world w;
  testing::broker b(w, nodes(2, 1));
  b.create_topic("orders", 2);
  b.create_topic("copied", 2, 2);
  const std::int32_t lost = b.leader("orders", 1), lives = b.leader("orders", 0);
  REQUIRE(lost != lives);
  const auto leaders = [&](std::string_view topic) {
    kawait::protocol::metadata_request q;
    q.topics.emplace().emplace_back().name = topic;
    const auto a = ask(w, q, 12, lives);
    REQUIRE(a.response.topics.size() == 1);
    CHECK(a.response.topics[0].error_code == 0);
    std::vector<std::pair<std::int32_t, std::int16_t>> all;
    for (const auto& p : a.response.topics[0].partitions) all.emplace_back(p.leader_id, p.error_code);
    return all;
  };
  using list = std::vector<std::pair<std::int32_t, std::int16_t>>;
  const auto none = number_of(kafka_error::leader_not_available);
  SECTION("its partitions had no other replica") { b.stop_node(lost); }
  SECTION("its partitions were left to it") { b.stop_node(lost, false); }
  SECTION("metadata is held") {
    b.hold_metadata(true);
    b.stop_node(lost);
  }
  SECTION("it was chosen while it was down") {
    b.stop_node(lost);
    b.set_leader("orders", 1, lost);
  }
  CHECK(leaders("orders") == list{{lives, 0}, {-1, none}});
  b.start_node(lost);
  CHECK(leaders("orders") == list{{lives, 0}, {lost, 0}});
  b.hold_metadata(false);
  b.stop_node(lost);
  CHECK(leaders("copied") == list{{lives, 0}, {lives, 0}});
}

TEST_CASE("embedded: the end is not told while the high watermark is behind the leader's epoch (KIP-207)") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 1);
  std::vector<producer_record> five = numbers(5);
  for (std::size_t i = 0; i < five.size(); ++i) five[i].timestamp = static_cast<std::int64_t>(1000 * i);
  for (const producer_record& r : five) b.append("orders", 0, std::vector<producer_record>(1, r));
  const auto find = [&](std::int64_t timestamp, std::int16_t version = 7) {
    testing::messages::list_offsets_request q;
    auto& t = q.topics.emplace_back();
    t.name = "orders";
    t.partitions.emplace_back().timestamp = timestamp;
    const auto a = ask(w, q, version, b.leader("orders", 0));
    REQUIRE(a.response.topics.size() == 1);
    REQUIRE(a.response.topics[0].partitions.size() == 1);
    const auto& p = a.response.topics[0].partitions[0];
    return std::pair(static_cast<kafka_error>(p.error_code), p.offset);
  };
  const auto found = [](std::int64_t offset) { return std::pair(kafka_error::none, offset); };
  const std::pair<kafka_error, std::int64_t> unavailable(kafka_error::offset_not_available, -1);
  b.log("orders", 0).hold_high_watermark(3);
  CHECK(find(-1) == found(3));
  b.set_leader("orders", 0, 3 - b.leader("orders", 0));
  CHECK(find(-1) == unavailable);
  CHECK(find(-1, 4) == std::pair(kafka_error::leader_not_available, std::int64_t{-1}));
  CHECK(find(-2) == found(0));
  CHECK(find(1500) == found(2));
  CHECK(find(2500) == unavailable);  // it is among what is not replicated yet, or may be
  b.log("orders", 0).hold_high_watermark(5);
  b.append("orders", 0, numbers(1));
  CHECK(find(-1) == found(5));
  CHECK(find(2500) == found(3));
}

TEST_CASE("embedded: who asks for the end after a change of leaders waits until it is known") {
  testing::world w;
  testing::broker b(w, nodes(2));
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(5));
  b.log("orders", 0).hold_high_watermark(3);
  b.set_leader("orders", 0, 3 - b.leader("orders", 0));
  kawait::consumer consumer(w.executor(), kawait::config(b.bootstrap()));
  const std::vector<kawait::topic_partition> one(1, kawait::topic_partition("orders", 0));
  std::optional<std::int64_t> end;
  consumer.async_end_offsets(one, [&](std::error_code ec, auto found) {
    REQUIRE(!ec);
    end = found.at(one[0]);
  });
  w.advance(5s);
  CHECK(!end);
  b.log("orders", 0).hold_high_watermark(std::nullopt);
  REQUIRE(w.run_until([&] { return end.has_value(); }, 10s));
  CHECK(*end == 5);
}

bool answers(testing::world& w, std::int32_t node = 1) {
  kawait::protocol::metadata_request q;
  q.topics.reset();
  return ask(w, q, 12, node).response.topics.size() == 1;
}

TEST_CASE("embedded: an address belongs to one broker at a time, and only that one gives it up") {
  testing::world w;
  const auto in_use = std::error_code(asio::error::address_in_use);
  const auto error_of = [](const auto& f) {
    try {
      f();
    } catch (const std::system_error& e) {
      return e.code();
    }
    return std::error_code();
  };
  testing::broker first(w, nodes(2, 1));
  first.create_topic("orders", 1);
  CHECK(error_of([&] { testing::broker second(w); }) == in_use);
  CHECK(answers(w));
  CHECK(answers(w, 2));

  first.stop_node(1);
  testing::broker second(w);
  second.create_topic("bills", 1);
  CHECK(error_of([&] { first.start_node(1); }) == in_use);
  CHECK(first.live_nodes() == std::vector<std::int32_t>(1, 2));
  CHECK(error_of([&] { second.move_node(1, "10.0.0.2"); }) == in_use);
  CHECK(second.address(1).host == "10.0.0.1");
  first.close();
  CHECK(answers(w));
  second.move_node(1, "10.0.0.2");
  CHECK(answers(w, 2));
}

}  // namespace
}  // namespace embedded
