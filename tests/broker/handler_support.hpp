#pragma once

#include "member_support.hpp"

namespace kawait::tests {

/// One topic of one partition with records in batches of ten, and a member that reads it in the test's own way.
struct one_partition {
  std::string topic = unique_name("contract"), group = unique_name("group");
  load* records = nullptr;
  topic_partition name() const { return topic_partition(topic, 0); }
};

inline asio::awaitable<one_partition> prepare(scenario& s, std::int64_t count, std::int32_t partitions = 1) {
  one_partition t;
  co_await s.admin.create_topic(t.topic, partitions);
  t.records = &s.make<load>(s.admin, t.topic, partitions);
  co_await t.records->add(count, 10);
  co_return t;
}

inline asio::awaitable<std::int64_t> committed_of(scenario& s, one_partition t) {
  const auto all = co_await s.committed(t.group, t.topic, 1);
  co_return all[0];
}

/// The handler that a test writes for itself, as a coroutine over its own state.
template <class State>
struct own_handler {
  State* state;
  asio::awaitable<void> (*body)(State&, kawait::partition);
  asio::awaitable<void> operator()(kawait::partition p) const { return body(*state, std::move(p)); }
};
template <class State>
own_handler(State*, asio::awaitable<void> (*)(State&, kawait::partition)) -> own_handler<State>;

/// The stream's end, without doing anything more with it.
inline asio::awaitable<void> skip_to_end(kawait::partition p) {
  for (;;) {
    auto b = co_await p.async_next();
    if (!b) break;
    b->done();
  }
}

/// What a handler and its test tell each other.
struct steps {
  int step = 0;
  int go = 0;
  std::error_code code;
  std::string words;
  std::vector<std::int64_t> offsets;
  commit_result result;
  bool stale = false;
  bool finished = false;
};

}  // namespace kawait::tests
