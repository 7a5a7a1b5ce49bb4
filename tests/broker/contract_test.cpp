// What a member of a group promises: done is explicit, what was done is committed, errors are told once and clearly.

#include "handler_support.hpp"

namespace kawait::tests {
namespace {

/// Batches until `count` records were seen; all of them are held.
asio::awaitable<std::vector<batch>> hold(kawait::partition p, std::size_t count) {
  std::vector<batch> held;
  for (std::size_t seen = 0; seen < count;) {
    auto b = co_await p.async_next();
    if (!b) throw std::runtime_error("the stream ended");
    seen += b->size_hint();
    held.push_back(std::move(*b));
  }
  co_return held;
}

std::vector<record> records_of(const std::vector<batch>& held) {
  std::vector<record> all;
  for (const batch& b : held) {
    for (const record& r : b) all.push_back(r);
  }
  return all;
}

batch& holder_of(std::vector<batch>& held, const record& r) {
  for (batch& b : held) {
    if (r.offset() < b.next_offset()) return b;
  }
  throw std::runtime_error("no such batch");
}

// ---- Done.

asio::awaitable<void> manual_handler(steps& s, kawait::partition p) {
  auto held = co_await hold(p, 30);
  const auto all = records_of(held);
  for (int i = 0; i < 15; ++i) holder_of(held, all[static_cast<std::size_t>(i)]).done_through(all[static_cast<std::size_t>(i)]);
  s.step = 1;  // done, and not committed
  EVENTUALLY(s.go == 1);
  s.result = co_await p.async_commit();
  s.step = 2;
  EVENTUALLY(s.go == 2);
  for (batch& b : held) b.done();
  held.clear();  // released wholly done: only async_commit commits, also at the end
  s.step = 3;
  co_await skip_to_end(p);
}

asio::awaitable<void> manual_mode(scenario& s) {
  const auto t = co_await prepare(s, 30);
  config c = s.settings(t.group);
  c.auto_commit(false);
  member& m = s.subscribe("manual", c, t.topic);
  steps told;
  m.start_with(own_handler{&told, &manual_handler});
  EVENTUALLY(told.step == 1);
  co_await sleep_for(500ms);  // more than twice the interval of automatic commits
  std::int64_t offset = co_await committed_of(s, t);
  CHECK(offset == -1);
  told.go = 1;
  EVENTUALLY(told.step == 2);
  REQUIRE(told.result.size() == 1);
  CHECK(told.result[0].partition == t.name());
  CHECK(told.result[0].offset == 15);
  CHECK_FALSE(told.result[0].code);
  offset = co_await committed_of(s, t);
  CHECK(offset == 15);
  told.go = 2;
  EVENTUALLY(told.step == 3);
  co_await m.close();
  offset = co_await committed_of(s, t);
  CHECK(offset == 15);
}

TEST_CASE("manual mode commits only by async_commit, and done_through counts", "[membership]") {
  scenario s;
  s.run(&manual_mode);
}

asio::awaitable<void> any_order_handler(steps& s, kawait::partition p) {
  auto held = co_await hold(p, 30);
  const auto all = records_of(held);
  const std::vector<std::size_t> order = {3, 0, 7, 1, 2, 29, 4, 5, 6};
  for (const std::size_t i : order) {
    holder_of(held, all[i]).done(all[i]);
    const auto result = co_await p.async_commit();
    s.offsets.push_back(result.empty() ? -1 : result[0].offset);
  }
  for (const record& r : all) holder_of(held, r).done(r);
  held.clear();
  s.finished = true;
  co_await skip_to_end(p);
}

asio::awaitable<void> any_order(scenario& s) {
  const auto t = co_await prepare(s, 30);
  config c = s.settings(t.group);
  c.auto_commit(false);
  member& m = s.subscribe("any order", c, t.topic);
  steps told;
  m.start_with(own_handler{&told, &any_order_handler});
  EVENTUALLY(told.finished || m.has_ended());
  // After 3: nothing. 0: 1. 7: -. 1: 2. 2: 4, for 3 was done. 29: -. 4, 5: 5, 6. 6: 8, for 7 was.
  const std::vector<std::int64_t> expected = {-1, 1, -1, 2, 4, -1, 5, 6, 8};
  CHECK(told.offsets == expected);
  co_await m.consumer().async_commit();
  const std::int64_t offset = co_await committed_of(s, t);
  CHECK(offset == 30);
  co_await m.close();
}

TEST_CASE("done(record) in any order commits the low-water mark", "[membership]") {
  scenario s;
  s.run(&any_order);
}

asio::awaitable<void> abandoning_handler(steps& s, kawait::partition p) {
  auto held = co_await hold(p, 30);
  const auto all = records_of(held);
  holder_of(held, all[12]).done_through(all[12]);
  held.clear();
  try {
    co_await p.async_next();
  } catch (const error& e) {
    s.code = e.code();
    s.words = e.words();
  }
  s.finished = true;
  co_await p.async_wait_end();
}

asio::awaitable<void> abandoned(scenario& s) {
  const auto t = co_await prepare(s, 30);
  member& m = s.subscribe("abandons", s.settings(t.group), t.topic);
  steps told;
  m.start_with(own_handler{&told, &abandoning_handler});
  EVENTUALLY(told.finished || m.has_ended());
  CHECK(told.code == errc::batch_abandoned);
  CAPTURE(told.words);
  CHECK(told.words.find(t.topic + "-0") != std::string::npos);
  CHECK(told.words.find("offset 13") != std::string::npos);
  co_await m.close();
  const std::int64_t offset = co_await committed_of(s, t);
  CHECK(offset == 13);  // all before the hole, nothing behind it
}

TEST_CASE("a batch released without done() ends its stream with batch_abandoned", "[membership]") {
  scenario s;
  s.run(&abandoned);
}

// ---- Limits and misuse.

asio::awaitable<void> hoarding_handler(steps& s, kawait::partition p) {
  std::vector<batch> held;
  while (!s.code) {
    try {
      auto b = co_await p.async_next();
      if (!b) break;
      held.push_back(std::move(*b));
    } catch (const error& e) {
      s.code = e.code();
      s.words = e.words();
    }
  }
  for (batch& b : held) {
    for (const record& r : b) s.offsets.push_back(r.offset());
    b.done();
  }
  held.clear();
  while (s.offsets.size() < 64) {
    auto b = co_await p.async_next();
    if (!b) break;
    for (const record& r : *b) s.offsets.push_back(r.offset());
    b->done();
  }
  s.finished = true;
  co_await skip_to_end(p);
}

asio::awaitable<void> quota(scenario& s) {
  one_partition t;
  co_await s.admin.create_topic(t.topic, 1);
  for (int i = 0; i < 64; ++i) {
    auto bytes = numbered_batch(i, 1, 32 << 10);
    co_await s.admin.produce(t.topic, 0, std::move(bytes));
  }
  config c = s.settings(t.group);
  c.fetch_buffer_bytes(1 << 20);
  member& m = s.subscribe("hoards", c, t.topic);
  steps told;
  m.start_with(own_handler{&told, &hoarding_handler});
  EVENTUALLY(told.finished || m.has_ended());
  CHECK(told.code == errc::lease_quota);
  CHECK(told.words.find(t.topic + "-0") != std::string::npos);
  REQUIRE(told.offsets.size() == 64);
  for (std::size_t i = 0; i < 64; ++i) CHECK(told.offsets[i] == static_cast<std::int64_t>(i));
  co_await m.close();
}

TEST_CASE("a partition whose own leases fill its share is told so, and goes on after releasing") {
  scenario s;
  s.run(&quota);
}

asio::awaitable<void> commit_elsewhere(scenario& s) {
  const auto t = co_await prepare(s, 20);
  config c = s.settings(t.group);
  c.auto_commit(false);
  member& m = s.subscribe("owner", c, t.topic);
  m.start();
  EVENTUALLY(t.records->is_consumed(s.log));
  offset_map offsets;
  offsets[t.name()] = 7;
  offsets[topic_partition("elsewhere", 3)] = 5;
  auto [code, result] = co_await m.consumer().async_commit(offsets, detail::use_tuple);
  CHECK(code == errc::commit_failed);
  REQUIRE(result.size() == 2);
  for (const commit_status& status : result) {
    if (status.partition == t.name()) {
      CHECK_FALSE(status.code);
      CHECK(status.offset == 7);
    } else {
      CHECK(status.partition == topic_partition("elsewhere", 3));
      CHECK(status.code == errc::not_assigned);
    }
  }
  const std::int64_t offset = co_await committed_of(s, t);
  CHECK(offset == 7);
  co_await m.close();

  // Without the group nothing can be committed.
  kawait::consumer groupless(s.executor(), s.settings());
  std::error_code refused;
  try {
    co_await groupless.async_commit(offsets);
  } catch (const error& e) {
    refused = e.code();
  }
  CHECK(refused == errc::group_required);
}

TEST_CASE("a commit for a partition that is not ours is not_assigned; explicit offsets are committed", "[membership]") {
  scenario s;
  s.run(&commit_elsewhere);
}

asio::awaitable<void> modes(scenario& s) {
  const auto t = co_await prepare(s, 1);
  member& m = s.subscribe("handlers", s.settings(t.group), t.topic);
  m.start();
  EVENTUALLY(s.log.records() == 1);
  std::error_code code;
  try {
    co_await m.consumer().async_next_event();
  } catch (const error& e) {
    code = e.code();
  }
  CHECK(code == errc::mixed_modes);
  code = {};
  try {
    auto b = co_await m.consumer().async_next();
  } catch (const error& e) {
    code = e.code();
  }
  CHECK(code == errc::mixed_modes);
  code = {};
  try {
    co_await m.consumer().async_run();
  } catch (const error& e) {
    code = e.code();
  }
  CHECK(code == errc::already_running);
  CHECK_FALSE(m.has_ended());
  co_await m.close();

  member& second = s.subscribe("events", s.settings(unique_name("group")), t.topic);
  second.consumer().async_next_event([](std::error_code, event) {});
  second.start();
  co_await second.ended();
  CHECK(second.outcome() == errc::mixed_modes);
}

TEST_CASE("one mode of reading a consumer") {
  scenario s;
  s.run(&modes);
}

}  // namespace
}  // namespace kawait::tests
