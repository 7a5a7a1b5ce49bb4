// What happens to partitions while nobody asks for events, or nobody claims a revocation.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

/// One consumer of "orders", which has two partitions, and another member that comes and goes.
struct shared_group {
  explicit shared_group(kawait::config c = {}) : b(w.executor()) {
    b.create_topic("orders", 2);
    c.bootstrap_servers(b.bootstrap()).group_id("g").auto_offset_reset(offset_reset::earliest).rebalance_timeout(60s);
    consumer = std::make_unique<kawait::consumer>(w.executor(), c);
    consumer->subscribe("orders");
    consumer->async_run([](std::error_code) {});
  }
  bool owns(std::size_t count) {
    return w.run_until([&] { return consumer->assignment().size() == count; }, 1min);
  }
  void next_event() {
    consumer->async_next_event([this](std::error_code ec, kawait::event e) {
      if (ec) return;
      events.push_back(std::move(e));
      next_event();
    });
  }

  testing::world w;
  testing::broker b;
  std::unique_ptr<kawait::consumer> consumer;
  std::vector<kawait::event> events;
};

TEST_CASE("of what was assigned and went before anybody asked for events nothing is kept, or told", "[events]") {
  shared_group s;
  REQUIRE(s.owns(2));
  std::vector<std::weak_ptr<kawait::runtime::partition_stream>> streams;
  for (const auto& p : s.consumer->assignment()) streams.push_back(p.stream());
  for (int i = 0; i < 5; ++i) {
    s.b.add_member("g", testing::scripted_member("another", {"orders"}));
    REQUIRE(s.owns(1));
    s.b.remove_member("g", "another");
    REQUIRE(s.owns(2));
  }
  s.w.advance(1min);
  CHECK(std::count_if(streams.begin(), streams.end(), [](const auto& p) { return p.expired(); }) >= 1);
  s.next_event();
  s.w.advance(1s);
  std::size_t partitions = 0;
  for (const auto& e : s.events) {
    CHECK(e.what == kawait::event::kind::assigned);
    partitions += e.partitions.size();
  }
  CHECK(partitions == 2);
}

TEST_CASE("who is told of the loss of a partition that stood still, and asks on, has it again", "[events]") {
  shared_group s;
  s.next_event();
  REQUIRE(s.owns(2));
  const kawait::partition p = s.consumer->assignment().front();
  s.b.append("orders", p.index(), {producer_record("a")});
  bool is_read = false;
  p.async_next([&](std::error_code ec, std::optional<kawait::batch> b) {
    is_read = !ec && b;
    if (b) b->done();
  });
  REQUIRE(s.w.run_until([&] { return is_read; }, 1min));
  s.b.append("orders", p.index(), {producer_record("b")});
  const auto lost = [&] {
    return std::any_of(s.events.begin(), s.events.end(), [](const auto& e) { return e.what == kawait::event::kind::lost; });
  };
  REQUIRE(s.w.run_until(lost, 10min));
  CHECK(s.owns(2));
  CHECK(s.events.back().what == kawait::event::kind::assigned);
}

struct noting final : kawait::observer {
  void on_assigned(const assigned&) override { told += "assigned "; }
  void on_revoked(const revoked&) override { told += "revoked "; }
  void on_drained(const drained&) override { told += "drained "; }
  void on_lost(const lost&) override { told += "lost "; }
  std::string told;
};

TEST_CASE("a revocation that nobody claims is over when its partition is lost", "[events]") {
  const auto noted = std::make_shared<noting>();
  kawait::config c;
  c.add_observer(noted);
  shared_group s(c);
  s.next_event();
  REQUIRE(s.owns(2));
  s.b.add_member("g", testing::scripted_member("another", {"orders"}));
  REQUIRE(s.w.run_until([&] { return noted->told.find("revoked ") != std::string::npos; }, 1min));
  s.b.group().fence("g", s.consumer->member_id());
  s.b.remove_member("g", "another");
  REQUIRE(s.w.run_until([&] { return s.events.size() >= 4 && s.owns(2); }, 1min));
  s.w.advance(1min);
  CAPTURE(noted->told);
  CHECK(noted->told.find("drained ") < noted->told.rfind("assigned "));
  CHECK(s.consumer->assignment().size() == 2);
}

}  // namespace
}  // namespace embedded
