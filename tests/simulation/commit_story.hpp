#pragma once

#include <optional>

#include "simulation/group_story.hpp"

namespace embedded {

/// A member that has read ten records of each partition and committed nothing: it commits when it is asked.
struct commit_story {
  explicit commit_story(kafka_generation g = kafka_generation::v4_3, std::int32_t partitions = 2, bool automatic = true)
      : s(partitions, of_generation(g, 2)), a(s.join("a", s.settings("a").auto_commit_interval(1h).auto_commit(automatic))) {
    s.write_all(partitions);
    REQUIRE(s.until([&] { return s.log.records() == 10 * static_cast<std::size_t>(partitions) && s.broker.group().settled("g"); }));
    s.world.advance(100ms);
  }
  void commit() {
    result.reset();
    const auto all = [](commit_story& r) -> asio::awaitable<void> {
      try {
        r.result = co_await r.a.consumer().async_commit();
      } catch (const kawait::error& e) {
        r.code = e.code();
        r.result.emplace();
      }
    };
    code.clear();
    asio::co_spawn(s.world.executor(), all(*this), [](std::exception_ptr) {});
  }
  bool run(kawait::net::duration limit = 2min) {
    commit();
    return s.until([&] { return result.has_value(); }, limit);
  }
  std::size_t commits() const { return s.count(api_key::offset_commit); }

  story s;
  actor& a;
  std::optional<kawait::commit_result> result;
  std::error_code code;
};

}  // namespace embedded
