#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kawait::tests {

/// A real Kafka on loopback, by tests/kafka/kafka-up, with ports that were free. Its nodes end with the object, and with this process
/// however it dies. KAFKA_VERSION chooses the release.
class cluster {
 public:
  explicit cluster(int nodes, const std::vector<std::string>& properties = {});
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;
  ~cluster();

  const std::string& bootstrap() const noexcept { return bootstrap_; }
  int nodes() const noexcept { return nodes_; }

  /// Nodes count from 1. kill -9.
  void kill(int node);
  /// SIGTERM, and until it has ended.
  void stop(int node);
  /// After kill() or stop(): until it listens again.
  void start(int node);

 private:
  int pid_of(int node) const;
  void await_end(int pid) const;

  int nodes_;
  std::string directory_;
  std::string bootstrap_;
};

/// The one node that most tests share, started by the first: topics and groups keep them apart.
cluster& one_node();
/// For tests that kill nodes. Whatever they stop they start again.
cluster& three_nodes();

/// "orders-17": unlike every other of this run.
std::string unique_name(const std::string& stem);

/// A port of 127.0.0.1 on which nobody listens.
std::uint16_t closed_port();

}  // namespace kawait::tests
