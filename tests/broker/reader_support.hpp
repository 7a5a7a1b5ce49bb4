#pragma once

#include "member_support.hpp"

namespace kawait::tests {

inline asio::awaitable<std::optional<batch>> next_of(kawait::partition p) { return p.async_next(); }

/// Runs a consumer beside the test and gives the partitions that it was assigned, by number.
struct reader {
  kawait::consumer consumer;
  std::error_code ended;
  bool is_over = false;

  reader(asio::any_io_executor executor, config c) : consumer(std::move(executor), std::move(c)) {}

  void start() {
    consumer.async_run([this](std::error_code ec) {
      ended = ec;
      is_over = true;
    });
  }
  kawait::partition at(std::int32_t number) const {
    for (const auto& p : consumer.assignment()) {
      if (p.index() == number) return p;
    }
    throw std::runtime_error("partition " + std::to_string(number) + " is not assigned");
  }
  asio::awaitable<void> assigned(std::size_t count) { EVENTUALLY(consumer.assignment().size() == count || is_over); }
};

inline asio::awaitable<std::int64_t> first_of(kawait::partition p) {
  auto b = co_await p.async_next();
  if (!b) throw std::runtime_error("the stream ended");
  std::int64_t offset = -1;
  for (const record& r : *b) {
    offset = r.offset();
    break;
  }
  b->done();
  co_return offset;
}

/// Reads until `end`; the offsets must be dense from `from`.
inline asio::awaitable<void> read_range(kawait::partition p, std::int64_t from, std::int64_t end) {
  std::int64_t expected = from;
  while (expected < end) {
    auto b = co_await p.async_next();
    if (!b) throw std::runtime_error("the stream ended");
    for (const record& r : *b) {
      if (r.offset() != expected) {
        throw std::runtime_error("offset " + std::to_string(r.offset()) + " in place of " + std::to_string(expected));
      }
      ++expected;
    }
    b->done();
  }
  REQUIRE(expected == end);
}

}  // namespace kawait::tests
