#include "fetch_session_support.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "catch.hpp"

// Who has more than answers hold comes into the session from a line.

namespace fetch_session_line_tests {
namespace {

using namespace fetch_session_support;

// A session of twenty partitions with answers of four at most, whose records are read at once: each leaves with its answer and comes back.
struct busy_session {
  explicit busy_session(std::size_t bytes) : records(bytes) {
    for (int p = 0; p < 20; ++p) session.set(part(1, p), position(0, -1, -1, 1000), true);
  }
  std::map<topic_id_partition, std::int64_t> ask() {
    const auto& request = session.next(fetch_session::limits(500, 1, 4000));
    for (const auto& p : forgotten(request)) std::erase_if(at_broker, [&](const auto& known) { return known.first == p; });
    for (const auto& known : listed(request)) at_broker.push_back(known);
    return as_map(request);
  }
  void answer_four() {
    auto response = answer(5);
    for (int n = 0; n < 4 && !at_broker.empty(); ++n) {
      const auto [p, offset] = at_broker.front();
      at_broker.pop_front();
      append(response, p);
      ++served[p];
      session.remove(p);
      back.emplace_back(p, offset + 1);
    }
    session.on_response(response);
  }
  void append(fetch_response& response, const topic_id_partition& p) const {
    auto& topic = response.responses.emplace_back();
    topic.topic_id = p.topic_id;
    topic.partitions.emplace_back().partition_index = p.partition;
    topic.partitions.back().records = kawait::protocol::bytes_view(records);
  }
  void read() {
    for (const auto& [p, offset] : back) session.set(p, position(offset, -1, -1, 1000), true);
    back.clear();
  }

  fetch_session session;
  std::vector<std::byte> records;
  std::deque<std::pair<topic_id_partition, std::int64_t>> at_broker;
  std::vector<std::pair<topic_id_partition, std::int64_t>> back;
  std::map<topic_id_partition, int> served;
};

TEST_CASE("fetch_session: while answers are full a session holds what fills two, and each partition has its turn", "[fetch_session]") {
  busy_session busy(1000);
  busy.ask();
  for (int round = 0; round < 100; ++round) {
    busy.answer_four();
    CHECK(busy.back.size() == 4);
    busy.ask();  // the next request leaves before what came is read
    if (round > 10) CHECK(busy.at_broker.size() <= 8);
    busy.read();
  }
  for (int p = 0; p < 20; ++p) CHECK(busy.served[part(1, p)] >= 19);
}

TEST_CASE("fetch_session: one comes in from the line each time, and all once an answer is not full", "[fetch_session]") {
  busy_session busy(1000);
  busy.ask();
  for (int round = 0; round < 20; ++round) {
    busy.answer_four();
    busy.ask();
    busy.read();
  }
  REQUIRE(busy.at_broker.size() <= 8);
  SECTION("those in the session bring other than what is said of them") {
    busy.session.on_response(answer(5));
    busy.ask();
    CHECK(busy.at_broker.size() == 20);
  }
  SECTION("they stay, and answers are full of them") {
    auto& session = busy.session;
    for (int round = 0; round < 20; ++round) {
      const topic_id_partition p = busy.at_broker.front().first;
      auto response = answer(5);
      busy.append(response, p);
      busy.append(response, p);
      busy.append(response, p);
      session.on_response(response);
      busy.ask();
    }
    CHECK(busy.at_broker.size() == 20);
  }
  SECTION("who is taken out of the line is asked for no more") {
    for (int p = 0; p < 19; ++p) busy.session.remove(part(1, p));
    busy.session.on_response(answer(5));
    CHECK(busy.ask().size() <= 1);
    CHECK(busy.at_broker.size() == 1);
  }
  SECTION("a full request asks for all") {
    for (int p = 0; p < 5; ++p) busy.session.remove(part(1, p));
    busy.session.on_disconnected();
    CHECK(busy.ask().size() == 15);
    busy.session.on_response(answer(6));
    CHECK(busy.session.next(fetch_session::limits(500, 1, 4000)).topics.empty());
  }
}

}  // namespace
}  // namespace fetch_session_line_tests
