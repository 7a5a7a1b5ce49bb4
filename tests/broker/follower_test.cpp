// Fetching from the nearer replica (KIP-392): every node of the tests' Kafka is a rack of its own, and its leaders select by rack.

#include "reader_support.hpp"

#include <filesystem>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace kawait::tests {
namespace {

/// As Linux has it; the C library's ends earlier, and the kernel's own header does not go with the library's.
struct long_tcp_info {
  tcp_info head;
  std::uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
};
static_assert(sizeof(tcp_info) == 104);

/// Of this process's open connections to a port.
std::uint64_t bytes_received_from(std::uint16_t port) {
  std::uint64_t sum = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename().string());
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0 || peer.sin_family != AF_INET) continue;
    if (ntohs(peer.sin_port) != port) continue;
    long_tcp_info info{};
    size = sizeof info;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) sum += info.bytes_received;
  }
  return sum;
}

std::uint16_t port_of(const cluster& nodes, int node) {
  const auto all = net::parse_bootstrap_servers(nodes.bootstrap());
  return all->at(static_cast<std::size_t>(node - 1)).port;
}

asio::awaitable<void> in_sync(admin& a, std::string topic) {
  const auto limit = clock::now() + patience;
  bool is_so = co_await a.is_in_sync(topic);
  while (!is_so) {
    if (clock::now() > limit) throw std::runtime_error(topic + " has not all replicas in sync within a minute");
    co_await sleep_for(50ms);
    is_so = co_await a.is_in_sync(topic);
  }
}

asio::awaitable<void> nearer(scenario& s, cluster& nodes, int& dead) {
  const std::string topic = unique_name("nearer");
  co_await s.admin.create_topic(topic, 1);
  co_await in_sync(s.admin, topic);
  const int leader = co_await s.admin.leader_of(topic, 0);
  const int follower = leader % 3 + 1;
  config c = s.settings();
  c.client_rack("rack" + std::to_string(follower));
  reader& r = s.make<reader>(s.executor(), c);
  const std::vector<topic_partition> one = {topic_partition(topic, 0)};
  r.consumer.assign(one);
  r.start();
  co_await r.assigned(1);
  const auto p = r.at(0);

  std::int64_t end = 0;
  for (int i = 0; i < 20; ++i, end += 100) {
    auto bytes = numbered_batch(end, 100, 1000);
    co_await s.admin.produce(topic, 0, std::move(bytes));
    co_await read_range(p, end, end + 100);
  }
  CHECK(bytes_received_from(port_of(nodes, follower)) > 1'800'000);
  CHECK(bytes_received_from(port_of(nodes, leader)) < 200'000);

  // What a follower cannot give, the leader does: without a record lost or read twice.
  nodes.kill(follower);
  dead = follower;
  for (int i = 0; i < 5; ++i, end += 100) {
    auto bytes = numbered_batch(end, 100);
    co_await s.admin.produce(topic, 0, std::move(bytes));
    co_await read_range(p, end, end + 100);
  }
  p.seek_to_beginning();
  co_await read_range(p, 0, end);
  CHECK_FALSE(r.is_over);
  co_await r.consumer.async_close();
}

TEST_CASE("follower: read from the nearer replica, and from the leader once it is dead", "[nodes]") {
  cluster& nodes = three_nodes();
  scenario s(nodes.bootstrap());
  s.nodes_die = true;
  int dead = 0;
  s.run(nearer(s, nodes, dead), std::chrono::seconds(150));
  if (dead > 0) nodes.start(dead);
}

}  // namespace
}  // namespace kawait::tests
