// What is left of a consumer that was opened, read and closed: nothing, however often.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <system_error>

#include <malloc.h>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <kawait/kawait.hpp>
#include <kawait/testing/broker.hpp>
#include <kawait/testing/world.hpp>

#include "allocations/count_support.hpp"
#include "catch.hpp"

namespace {

using namespace std::chrono_literals;
using kawait::testing::producer_record;

std::size_t descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// What is in use but for the broker's list of the requests that it has seen, which a copy tells the size of.
struct held {
  explicit held(const kawait::testing::broker& b) {
    const auto copy = std::make_unique<std::deque<kawait::testing::seen_request>>(b.requests());
    blocks -= static_cast<std::ptrdiff_t>(counted::blocks()) - blocks;
    bytes -= static_cast<std::ptrdiff_t>(counted::bytes()) - bytes;
  }
  std::ptrdiff_t blocks = static_cast<std::ptrdiff_t>(counted::blocks()), bytes = static_cast<std::ptrdiff_t>(counted::bytes());
  std::size_t files = descriptors();
  /// Also Asio's frames, and what malloc keeps at hand of freed ones.
  std::ptrdiff_t all = static_cast<std::ptrdiff_t>(mallinfo2().uordblks + mallinfo2().hblkhd) - bytes;
};

/// After some visits, when what malloc keeps at hand has about its size, and after the last. A frame that each leaves would be more
/// than what is allowed.
void compare(const held& early, const held& late) {
  CAPTURE(early.blocks, late.blocks, early.bytes, late.bytes, early.files, late.files, early.all, late.all);
  CHECK(late.blocks == early.blocks);
  CHECK(late.bytes <= early.bytes + 4096);  // a copied list has other room than the first
  CHECK(late.files == early.files);
  CHECK(late.all <= early.all + 8192);
}

kawait::config settings_of(const kawait::testing::broker& b) {
  kawait::config c(b.bootstrap());
  c.auto_offset_reset(kawait::offset_reset::earliest).auto_commit_interval(1s).fetch_max_wait(20ms);
  return c;
}

/// A member of a group, or a reader of its own partitions; reads what there is and closes.
struct visit {
  visit(const asio::any_io_executor& executor, const kawait::testing::broker& b, bool in_group)
      : consumer(executor, in_group ? settings_of(b).group_id("g").auto_commit(false) : settings_of(b)) {
    if (in_group) {
      consumer.subscribe("orders");
    } else {
      consumer.assign({kawait::topic_partition("orders", 0), kawait::topic_partition("orders", 1)});
    }
    consumer.async_run([this](std::error_code) { is_over = true; });
    read();
  }
  void read() {
    consumer.async_next([this](std::error_code ec, kawait::batch b) {
      if (ec) return;
      for (const kawait::record& r : b) records += r.value() ? 1 : 0;
      b.done();
      b = kawait::batch();
      read();
    });
  }
  /// Where the next is to begin.
  void commit() {
    const kawait::offset_map start{{kawait::topic_partition("orders", 0), 0}, {kawait::topic_partition("orders", 1), 0}};
    consumer.async_commit(start, [this](std::error_code ec, const kawait::commit_result&) { has_committed = !ec; });
  }
  void close() {
    consumer.async_close([this](std::error_code ec) { closed = ec; });
  }
  bool has_closed() const { return is_over && closed.has_value(); }

  kawait::consumer consumer;
  std::size_t records = 0;
  bool is_over = false, has_committed = false;
  std::optional<std::error_code> closed;
};

constexpr int visits = 240, first_visits = 40;

/// A broker on a context, and consumers of it that come and go; `until` runs the context.
void come_and_go(asio::any_io_executor executor, kawait::testing::broker& b, bool in_group,
                 const std::function<bool(std::function<bool()>)>& until) {
  b.create_topic("orders", 2);
  for (std::int32_t p = 0; p < 2; ++p) b.append("orders", p, {producer_record("one"), producer_record("two")});
  std::optional<held> early;
  for (int i = 1; i <= visits; ++i) {
    {
      visit v(executor, b, in_group);
      REQUIRE(until([&] { return v.records == 4; }));
      if (in_group) {
        v.commit();
        REQUIRE(until([&] { return v.has_committed; }));
      }
      v.close();
      REQUIRE(until([&] { return v.has_closed(); }));
      CHECK(!*v.closed);
    }
    REQUIRE(until([&] { return b.connections() == 0; }));
    if (i == first_visits) early.emplace(b);
  }
  compare(*early, held(b));
}

TEST_CASE("after a close nothing is left on the heap, however often: in virtual time") {
  const bool in_group = GENERATE(false, true);
  CAPTURE(in_group);
  kawait::testing::world w;
  kawait::testing::broker b(w);
  come_and_go(w.executor(), b, in_group, [&](std::function<bool()> is_so) { return w.run_until(is_so, 1min); });
}

TEST_CASE("after a close nothing is left on the heap, nor a descriptor, however often: over sockets") {
  const bool in_group = GENERATE(false, true);
  CAPTURE(in_group);
  bool late = false;
  asio::io_context context(1);
  asio::steady_timer limit(context, 2min);
  limit.async_wait([&](std::error_code ec) { late = !ec; });
  {
    kawait::testing::broker_options options;
    options.loopback = true;
    kawait::testing::broker b(context.get_executor(), options);
    come_and_go(context.get_executor(), b, in_group, [&](std::function<bool()> is_so) {
      while (!is_so() && !late) context.run_one();
      return !late;
    });
    b.close();
    context.poll();
  }
  context.poll();
}

}  // namespace
