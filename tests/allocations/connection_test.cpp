// Out of memory while a request is sent: it is sent as a whole or not at all, and the connection serves the next.

#include <chrono>
#include <cstddef>
#include <new>
#include <string>

#include "allocations/count_support.hpp"
#include "catch.hpp"
#include "unit/scripted_broker.hpp"

namespace {

using namespace scripted;

protocol::metadata_request about(const std::string& topic, std::size_t times) {
  protocol::metadata_request request;
  request.topics.emplace();
  for (std::size_t i = 0; i < times; ++i) request.topics->emplace_back().name = topic;
  return request;
}

/// Whether memory was short.
bool is_served(std::size_t nth) {
  testing::world w;
  w.network().listen("10.0.0.1", 9092, serve_metadata);
  auto c = open(w);
  REQUIRE(c);
  const std::string topic(300, 'x');
  const auto request = about(topic, 50);  // larger than what its buffer had room for until then
  std::size_t left = nth;
  try {
    const counted::shortage now(left);
    auto unused = (*c)->async_request(request);
  } catch (const std::bad_alloc&) {
  }
  const auto next = about(topic, 1);
  const auto answer = w.run((*c)->async_request(next));
  CHECK(answer);
  CHECK((*c)->is_open());
  CHECK((*c)->requests_in_flight() == 0);
  return left == 0;
}

TEST_CASE("whichever allocation of sending a request fails, the next is served") {
  // Those of the frame and its entry: the next is the simulated stream's, which has no answer to a shortage.
  for (std::size_t nth = 1; nth <= 7; ++nth) {
    CAPTURE(nth);
    CHECK(is_served(nth));
  }
}

}  // namespace
