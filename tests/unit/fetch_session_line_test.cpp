#include "fetch_session_support.hpp"

#include <algorithm>
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
  SECTION("a request does not wait while somebody is in line") {
    busy.answer_four();
    const auto limits = fetch_session::limits(500, 100'000, 4000);
    CHECK(busy.session.next(limits).min_bytes == 0);
    busy.session.on_response(answer(5));
    CHECK(busy.session.next(limits).min_bytes == 100'000);
  }
  SECTION("who is taken out of the line while answers are full is neither asked for nor forgotten, and may come again") {
    const auto is_in_line = [&](const topic_id_partition& p) {
      return std::none_of(busy.at_broker.begin(), busy.at_broker.end(), [&](const auto& known) { return known.first == p; });
    };
    std::vector<topic_id_partition> line;
    for (int p = 0; p < 20; ++p) {
      if (is_in_line(part(1, p))) line.push_back(part(1, p));
    }
    REQUIRE(line.size() > 4);
    for (const auto& p : line) busy.session.remove(p);
    const auto comes_again = line.back();
    SECTION("as another's turn comes") {
      for (int round = 0; round < 5; ++round) {
        busy.answer_four();
        for (const auto& [p, offset] : busy.ask()) CHECK(std::find(line.begin(), line.end(), p) == line.end());
        busy.read();
      }
    }
    SECTION("and the connection ends") {
      busy.answer_four();
      busy.ask();
      busy.session.on_disconnected();
      busy.at_broker.clear();
      for (const auto& [p, offset] : busy.ask()) CHECK(std::find(line.begin(), line.end(), p) == line.end());
    }
    SECTION("set again, and others in the freed places") {
      busy.session.set(comes_again, position(77, -1, -1, 1000), true);
      for (int p = 20; p < 30; ++p) busy.session.set(part(1, p), position(0, -1, -1, 1000), true);
      std::map<topic_id_partition, int> times;
      for (int round = 0; round < 20; ++round) {
        busy.answer_four();
        busy.back.clear();  // read no further
        for (const auto& [p, offset] : busy.ask()) {
          ++times[p];
          if (p == comes_again) CHECK(offset == 77);
        }
      }
      CHECK(times[comes_again] == 1);
      for (int p = 20; p < 30; ++p) CHECK(times[part(1, p)] == 1);
    }
  }
  SECTION("who is sought from the line to where there is nothing yet comes in at once") {
    topic_id_partition last;
    for (int p = 0; p < 20; ++p) {
      const bool is_known = std::any_of(busy.at_broker.begin(), busy.at_broker.end(), [&](const auto& k) { return k.first == part(1, p); });
      if (!is_known) last = part(1, p);
    }
    busy.session.set(last, position(900, -1, -1, 1000), false);
    busy.answer_four();
    CHECK(busy.ask().at(last) == 900);
  }
  SECTION("an answer that a quota left empty lets nobody in") {
    auto throttled = answer(5);
    throttled.throttle_time_ms = 100;
    busy.session.on_response(throttled);
    busy.ask();
    CHECK(busy.at_broker.size() < 20);
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
