// Encoding and decoding the messages of a consumer at work: fetches, heartbeats, commits, and what it is told of 1,000 partitions.
// One line of JSON for each, in its newest version, without headers; a fetch's record batches are viewed, not read.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <kawait/protocol/codec.hpp>
#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/fetch.hpp>
#include <kawait/protocol/metadata.hpp>
#include <kawait/protocol/offset_commit.hpp>

#include "best.hpp"

namespace {

using namespace kawait::protocol;

kawait::uuid topic_id() {
  kawait::uuid id;
  id.bytes.fill(std::byte{7});
  return id;
}

template <message Message>
void measure(const char* what, const Message& m) {
  constexpr std::int16_t version = Message::max_version;
  constexpr std::size_t much = std::size_t{4} << 20;
  std::vector<std::byte> bytes;
  if (encode_body(bytes, m, version)) std::abort();
  const std::size_t size = bytes.size(), times = much / (size + 1000);
  std::uint64_t check = 0;
  const double encoding = bench::best_seconds(15, [&] {
    for (std::size_t i = 0; i < times; ++i) {
      bytes.clear();
      if (encode_body(bytes, m, version)) std::abort();
      check += bytes.size() + std::to_integer<std::uint64_t>(bytes[size / 2]);
    }
  });
  Message decoded;
  const double decoding = bench::best_seconds(15, [&] {
    for (std::size_t i = 0; i < times; ++i) {
      if (decode_body(decoded, bytes, version)) std::abort();
    }
  });
  std::vector<std::byte> again;
  if (encode_body(again, decoded, version) || again != bytes) std::abort();
  const auto each = [&](double seconds) { return seconds / static_cast<double>(times) * 1e9; };
  std::printf("{\"bench\":\"messages\",\"message\":\"%s\",\"version\":%d,\"bytes\":%zu,\"encode_ns\":%.0f,\"decode_ns\":%.0f"
              ",\"check\":%llu}\n",
              what, version, size, each(encoding), each(decoding), static_cast<unsigned long long>(check));
}

fetch_request fetching(std::int32_t partitions) {
  fetch_request r;
  r.max_wait_ms = 500;
  r.min_bytes = 1;
  r.max_bytes = 4 << 20;
  r.session_id = 12345678;
  r.session_epoch = 100;
  auto& topic = r.topics.emplace_back();
  topic.topic_id = topic_id();
  for (std::int32_t i = 0; i < partitions; ++i) {
    auto& p = topic.partitions.emplace_back();
    p.partition = i;
    p.current_leader_epoch = p.last_fetched_epoch = 5;
    p.fetch_offset = 1'000'000'000 + i;
    p.partition_max_bytes = 1 << 20;
  }
  return r;
}

/// With a record batch of so many bytes for each partition.
fetch_response fetched(std::int32_t partitions, const std::vector<std::byte>& records) {
  fetch_response r;
  r.session_id = 12345678;
  auto& topic = r.responses.emplace_back();
  topic.topic_id = topic_id();
  for (std::int32_t i = 0; i < partitions; ++i) {
    auto& p = topic.partitions.emplace_back();
    p.partition_index = i;
    p.high_watermark = p.last_stable_offset = 1'000'000'000;
    p.log_start_offset = 0;
    p.aborted_transactions.reset();
    p.records = bytes_view(records);
  }
  return r;
}

offset_commit_request committing(std::int32_t partitions, const std::string& member) {
  offset_commit_request r;
  r.group_id = "billing";
  r.member_id = member;
  r.generation_id_or_member_epoch = 7;
  auto& topic = r.topics.emplace_back();
  topic.topic_id = topic_id();
  for (std::int32_t i = 0; i < partitions; ++i) {
    auto& p = topic.partitions.emplace_back();
    p.partition_index = i;
    p.committed_offset = 1'000'000'000 + i;
    p.committed_leader_epoch = 5;
  }
  return r;
}

offset_commit_response committed(std::int32_t partitions) {
  offset_commit_response r;
  auto& topic = r.topics.emplace_back();
  topic.topic_id = topic_id();
  for (std::int32_t i = 0; i < partitions; ++i) topic.partitions.emplace_back().partition_index = i;
  return r;
}

metadata_response known(std::int32_t partitions) {
  metadata_response r;
  for (std::int32_t id = 1; id <= 3; ++id) {
    auto& broker = r.brokers.emplace_back();
    broker.node_id = id;
    broker.host = "kafka.example";
    broker.port = 9092;
  }
  auto& topic = r.topics.emplace_back();
  topic.name = "orders";
  topic.topic_id = topic_id();
  for (std::int32_t i = 0; i < partitions; ++i) {
    auto& p = topic.partitions.emplace_back();
    p.partition_index = i;
    p.leader_id = 1 + i % 3;
    p.leader_epoch = 5;
    p.replica_nodes = p.isr_nodes = {1, 2, 3};
  }
  return r;
}

void measure_heartbeats(const std::string& member) {
  consumer_group_heartbeat_request alive;
  alive.group_id = "billing";
  alive.member_id = member;
  alive.member_epoch = 7;
  measure("ConsumerGroupHeartbeat request", alive);
  consumer_group_heartbeat_response well;
  well.member_id = member;
  well.member_epoch = 7;
  well.heartbeat_interval_ms = 5000;
  measure("ConsumerGroupHeartbeat response", well);
  auto& mine = well.assignment.emplace().topic_partitions.emplace_back();
  mine.topic_id = topic_id();
  for (std::int32_t i = 0; i < 1000; ++i) mine.partitions.push_back(i);
  measure("ConsumerGroupHeartbeat response, 1,000 partitions assigned", well);
}

}  // namespace

int main() {
  const std::string member = "dLPS3bKnSvmRGD1ULZJXMw";
  const std::vector<std::byte> records(1000, std::byte{1});
  measure("Fetch request, 1 partition", fetching(1));
  measure("Fetch request, 1,000 partitions", fetching(1000));
  measure("Fetch response, 1 partition", fetched(1, records));
  measure("Fetch response, 1,000 partitions", fetched(1000, records));
  measure_heartbeats(member);
  measure("OffsetCommit request, 1 partition", committing(1, member));
  measure("OffsetCommit request, 1,000 partitions", committing(1000, member));
  measure("OffsetCommit response, 1,000 partitions", committed(1000));
  measure("Metadata response, 1,000 partitions", known(1000));
}
