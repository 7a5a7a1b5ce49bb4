// Three nodes, and what happens to them: every record reaches a handler, and what was done is what is committed.

#include "member_support.hpp"

namespace kawait::tests {
namespace {

/// Until members have read past what was produced by now, in every partition.
asio::awaitable<void> progress(scenario& s, load& l) {
  std::vector<std::int64_t> goal;
  for (std::int32_t p = 0; p < l.partitions(); ++p) goal.push_back(l.produced(p) + 50);
  EVENTUALLY([&] {
    for (std::int32_t p = 0; p < l.partitions(); ++p) {
      if (!s.log.offsets(topic_partition(l.topic(), p)).contains(goal[static_cast<std::size_t>(p)])) return false;
    }
    return true;
  }());
}

asio::awaitable<void> restart(cluster& nodes, int node) {
  background start([&nodes, node] { nodes.start(node); });
  EVENTUALLY(start.is_done());
  start.get();
}

asio::awaitable<void> in_sync(scenario& s, load& l) {
  bool all = false;
  while (!all) {
    all = co_await s.admin.is_in_sync(l.topic());
    if (all) all = co_await s.admin.is_in_sync("__consumer_offsets");
    if (!all) co_await sleep_for(100ms);
  }
}

asio::awaitable<void> nodes_die(scenario& s, cluster& nodes) {
  const std::string topic = unique_name("nodes"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 6);
  load& l = s.make<load>(s.admin, topic, 6);
  member& a = s.subscribe("a", s.settings(group), topic);
  member& b = s.subscribe("b", s.settings(group), topic);
  a.start();
  b.start();
  s.spawn(l.run());
  EVENTUALLY(a.owned().size() == 3 && b.owned().size() == 3);
  co_await progress(s, l);

  const int leader = co_await s.admin.leader_of(topic, 0);
  nodes.kill(leader);
  co_await progress(s, l);
  co_await restart(nodes, leader);
  co_await in_sync(s, l);

  const int coordinator = co_await s.admin.coordinator_of(group, 0);
  nodes.kill(coordinator);
  co_await progress(s, l);
  co_await restart(nodes, coordinator);
  co_await in_sync(s, l);

  for (int node = 1; node <= nodes.nodes(); ++node) {
    background stop([&nodes, node] { nodes.stop(node); });
    EVENTUALLY(stop.is_done());
    stop.get();
    co_await restart(nodes, node);
    co_await in_sync(s, l);
    co_await progress(s, l);
  }

  co_await l.stop();
  std::vector<std::int64_t> ends;
  for (std::int32_t p = 0; p < 6; ++p) {
    const std::int64_t end = co_await s.admin.end_offset(topic, p);
    ends.push_back(end);
  }
  EVENTUALLY([&] {
    for (std::int32_t p = 0; p < 6; ++p) {
      if (!s.log.has_all(topic_partition(topic, p), ends[static_cast<std::size_t>(p)])) return false;
    }
    return true;
  }());
  CHECK_FALSE(a.has_ended());
  CHECK_FALSE(b.has_ended());
  co_await a.close();
  co_await b.close();
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  const auto told = co_await s.committed(group, topic, 6);
  CHECK(told == ends);
}

TEST_CASE("three nodes: a leader and the coordinator die, then all are restarted in turn", "[nodes]") {
  cluster& nodes = three_nodes();
  scenario s(nodes.bootstrap());
  s.nodes_die = true;
  s.run(nodes_die(s, nodes), 400s);
}

}  // namespace
}  // namespace kawait::tests
