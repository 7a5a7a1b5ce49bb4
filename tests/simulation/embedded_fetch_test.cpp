// Fetching from the embedded cluster: sessions, positions, transactions, faults.

#include "simulation/embedded.hpp"

namespace embedded {
namespace {

kawait::config without_policy() {
  kawait::config c;
  c.auto_offset_reset(offset_reset::none);
  return c;
}

/// "orders" is one partition with four batches of five records, a leader and a follower.
struct four_batches {
  four_batches() : b(w.executor(), nodes(2)) {
    b.create_topic("orders", 1);
    for (int i = 0; i < 4; ++i) b.append("orders", 0, numbers(5));
  }

  testing::world w;
  testing::broker b;
};

/// The follower leads, and has the first ten records alone.
void truncate_to_ten(testing::broker& b) { b.elect_uncleanly("orders", 0, 3 - b.leader("orders", 0), 10); }

TEST_CASE("embedded: fetch sessions are granted, forgotten, and gone on without") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 2);
  assigned r(w, b, {0, 1}, plain());
  b.append("orders", 0, numbers(10));
  REQUIRE(r.reads(10));
  CHECK(b.fetch_sessions(1) == 1);
  w.advance(3s);
  b.forget_fetch_sessions(1);
  b.append("orders", 1, numbers(10));
  REQUIRE(r.reads(20));
  CHECK(b.fetch_sessions(1) == 1);
  CHECK(r.seen[1] == range(0, 10));

  testing::broker_options o;
  o.fetch_session_slots = 0;
  o.host = "10.0.1.1";
  testing::broker none(w.executor(), o);
  none.create_topic("orders", 2);
  none.append("orders", 1, numbers(10));
  assigned s(w, none, {0, 1}, plain());
  REQUIRE(s.reads(10));
  none.append("orders", 0, numbers(10));
  REQUIRE(s.reads(20));
  CHECK(none.fetch_sessions(1) == 0);
}

TEST_CASE("embedded: a truncated log is gone back to, and told") {
  four_batches all;
  auto& [w, b] = all;
  assigned r(w, b, {0}, plain());
  REQUIRE(r.reads(20));
  truncate_to_ten(b);
  CHECK(b.end_offset("orders", 0) == 10);
  for (int i = 0; i < 3; ++i) b.append("orders", 0, {producer_record("anew")});
  REQUIRE(r.reads(23, 5min));
  CHECK(r.seen[0].back() == 12);
  CHECK(r.values.back() == "anew");
  CHECK(r.seen[0][20] == 10);
  CHECK(r.consumer.last_warning().code == kawait::errc::log_truncated);
  CHECK(r.consumer.last_warning().words == "orders-0 goes on from offset 10");
}

// The position runs ahead of the reader. Ten records are fetched and not read yet; the log loses the last five; the reader went on where
// it now ends, and never saw the first five.
TEST_CASE("embedded: what is fetched and not read yet when the log is truncated behind it, is read") {
  offset_reset policy = offset_reset::earliest;
  SECTION("anew") {}
  SECTION("first, where without a reset policy an error follows, which names the end of the log") { policy = offset_reset::none; }
  testing::world w;
  testing::broker b(w.executor(), nodes(2));
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(5));
  kawait::consumer consumer(w.executor(), plain().auto_offset_reset(policy).bootstrap_servers(b.bootstrap()));
  consumer.assign({kawait::topic_partition("orders", 0)});
  consumer.async_run([](std::error_code) {});
  REQUIRE(w.run_until([&] { return consumer.assignment().size() == 1; }, 1min));
  consumer.assignment().front().seek(0);
  std::vector<std::int64_t> seen;
  kawait::failure failed;
  kawait::diagnostics words;
  const auto read = [&](std::error_code ec, kawait::batch batch) {
    if (ec) failed = kawait::failure(ec, words.text());
    if (ec) return;
    for (const kawait::record& r : batch) seen.push_back(r.offset());
    batch.done();
  };
  const auto read_one = [&] {
    const std::size_t had = seen.size();
    consumer.async_next(words, read);
    REQUIRE(w.run_until([&] { return seen.size() > had || failed; }, 1min));
  };
  read_one();
  REQUIRE(seen == range(0, 5));
  for (int i = 0; i < 2; ++i) b.append("orders", 0, numbers(5));
  w.advance(5s);
  truncate_to_ten(b);
  w.advance(5s);
  if (policy == offset_reset::earliest) {
    CHECK(consumer.last_warning().words == "orders-0 goes on from offset 5");
    read_one();
    CHECK(seen == range(0, 10));
    return;
  }
  while (!failed) read_one();
  CHECK(seen == range(0, 15));
  CHECK(failed.code == kawait::errc::log_truncated);
  CHECK(failed.words == "orders-0@15: it goes on from offset 10");
}

TEST_CASE("embedded: without a reset policy a truncated log is an error, until a seek") {
  four_batches all;
  auto& [w, b] = all;
  assigned r(w, b, {0}, without_policy());
  REQUIRE(r.fails());
  CHECK(r.errors.back() == kawait::errc::no_offset);
  r.read_from(0);
  REQUIRE(r.reads(20));
  truncate_to_ten(b);
  REQUIRE(r.fails(5min));
  CHECK(r.errors.back() == kawait::errc::log_truncated);
  r.read_from(10);
  b.append("orders", 0, {producer_record("anew")});
  REQUIRE(r.reads(21, 5min));
  CHECK(r.errors.empty());
}

TEST_CASE("embedded: offsets out of range are reset") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 1);
  for (int i = 0; i < 4; ++i) b.append("orders", 0, numbers(5));
  b.log("orders", 0).delete_records(7);
  assigned r(w, b, {0}, plain());
  REQUIRE(r.reads(13));
  CHECK(r.seen[0] == range(7, 20));
  r.consumer.assignment().front().seek(3);
  REQUIRE(r.reads(26));
  CHECK(r.consumer.last_warning().code == kafka_error::offset_out_of_range);
  r.consumer.assignment().front().seek(1000);
  REQUIRE(r.reads(39));
}

TEST_CASE("embedded: an offset that is out of range because its epoch is unknown was truncated (14, 15)") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(10));
  // From a leader of which this one knows nothing.
  testing::batch_writer lost(10);
  lost.leader_epoch(42);
  lost.add("key", "lost");
  b.log("orders", 0).append_raw(lost.build());
  std::size_t asked = 0;
  b.set_faults([&](const testing::request_view& r) {
    asked += r.api == api_key::offset_for_leader_epoch;
    return fault();
  });
  SECTION("its end is unknown: the policy speaks, and a truncation is told") {
    assigned r(w, b, {0}, plain());
    REQUIRE(r.reads(11));
    REQUIRE(w.run_until([&] { return asked == 1; }, 1min));
    REQUIRE(r.reads(22));
    CHECK(r.consumer.last_warning().code == kawait::errc::log_truncated);
    CHECK(r.consumer.last_warning().words == "orders-0 goes on from offset 0");
  }
  SECTION("without a policy it is an error") {
    assigned r(w, b, {0}, without_policy());
    REQUIRE(w.run_until([&] { return !r.consumer.assignment().empty(); }, 1min));
    r.read_from(0);
    REQUIRE(r.reads(11));
    REQUIRE(r.fails());
    CHECK(r.errors.back() == kawait::errc::log_truncated);
    CHECK(asked == 1);
  }
}

TEST_CASE("embedded: a truncation that shows as an offset out of range is gone back to, too (14)") {
  four_batches all;
  auto& [w, b] = all;
  assigned r(w, b, {0}, plain());
  REQUIRE(r.reads(20));
  bool refused = false;
  b.set_faults([&](const testing::request_view& q) {
    if (q.api != api_key::fetch || b.end_offset("orders", 0) > 10 || refused) return fault();
    refused = true;
    return fault::answer_with(kafka_error::offset_out_of_range);
  });
  truncate_to_ten(b);
  REQUIRE(w.run_until([&] { return refused; }, 1min));
  b.append("orders", 0, {producer_record("anew")});
  REQUIRE(r.reads(21, 5min));
  CHECK(r.seen[0].back() == 10);
  CHECK(r.consumer.last_warning().words == "orders-0 goes on from offset 10");
}

TEST_CASE("embedded: read_committed waits for transactions and shows no aborted record") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 1);
  using testing::append_options;
  b.append("orders", 0, {producer_record("a")}, append_options::in_transaction(1));
  b.append("orders", 0, {producer_record("b")}, append_options::in_transaction(2));
  b.append("orders", 0, {producer_record("c")});
  assigned all(w, b, {0}, plain());
  kawait::config c = plain();
  c.isolation(kawait::isolation_level::read_committed);
  assigned committed(w, b, {0}, c);
  REQUIRE(all.reads(3));
  w.advance(10s);
  CHECK(committed.total() == 0);
  b.end_transaction("orders", 0, 1, false);
  w.advance(10s);
  CHECK(committed.total() == 0);
  b.end_transaction("orders", 0, 2, true);
  b.append("orders", 0, {producer_record("d")});
  REQUIRE(committed.reads(3));
  CHECK(committed.values == std::vector<std::string>{"b", "c", "d"});
  CHECK(committed.seen[0] == std::vector<std::int64_t>{1, 2, 5});
  REQUIRE(all.reads(4));
}

TEST_CASE("embedded: holes of compaction, and every codec") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 1);
  for (int codec = 0; codec <= 4; ++codec) {
    b.append("orders", 0, numbers(10), testing::append_options(static_cast<kawait::wire::codec>(codec)));
  }
  b.log("orders", 0).compact([](std::int64_t offset) { return offset % 3 == 0 && offset / 10 != 2; });
  b.log("orders", 0).append_hole(100);
  b.append("orders", 0, numbers(1));
  assigned r(w, b, {0}, plain());
  REQUIRE(w.run_until([&] { return !r.seen[0].empty() && r.seen[0].back() == 150; }, 1min));
  std::vector<std::int64_t> expected;
  for (std::int64_t i = 0; i < 50; i += 3) {
    if (i / 10 != 2) expected.push_back(i);
  }
  expected.push_back(150);
  CHECK(r.seen[0] == expected);
}

TEST_CASE("embedded: reading survives each fault, once or often") {
  using kind = fault::kind;
  struct one {
    const char* name;
    api_key api;
    fault what;
  };
  const std::vector<one> all = {{"lost requests", api_key::fetch, fault(kind::drop_request)},
                                {"lost answers", api_key::fetch, fault(kind::drop_answer)},
                                {"closed before", api_key::fetch, fault(kind::close_before)},
                                {"closed after", api_key::fetch, fault(kind::close_after)},
                                {"cut answers", api_key::fetch, fault::cut_after(20)},
                                {"silence", api_key::fetch, fault(kind::silence)},
                                {"a slow broker", api_key::fetch, fault::delayed(20s)},
                                {"a slow answer", api_key::fetch, fault::answered_late(20s)},
                                {"not the leader", api_key::fetch, fault::answer_with(kafka_error::not_leader_or_follower)},
                                {"a lost session", api_key::fetch, fault::answer_with(kafka_error::fetch_session_id_not_found)},
                                {"no offsets", api_key::list_offsets, fault::answer_with(kafka_error::offset_not_available)},
                                {"no handshake", api_key::api_versions, fault(kind::close_before)},
                                {"spoilt metadata", api_key::metadata, fault::cut_after(7)}};
  for (const one& o : all) {
    CAPTURE(o.name);
    testing::world w;
    testing::broker b(w.executor(), nodes(2));
    b.create_topic("orders", 2);
    b.append("orders", 0, numbers(10));
    std::size_t hits = 0;
    b.set_faults([&](const testing::request_view& r) {
      const bool hit = r.api == o.api && r.number % 2 == 1 && r.number < 8;
      hits += hit ? 1 : 0;
      return hit ? o.what : fault();
    });
    assigned r(w, b, {0, 1}, plain());
    w.advance(10s);
    b.append("orders", 0, numbers(10));
    b.append("orders", 1, numbers(10));
    CHECK(r.reads(30, 10min));
    CHECK(r.seen[0] == range(0, 20));
    CHECK(hits > 0);
  }
}

TEST_CASE("embedded: throttled answers") {
  testing::world w;
  testing::broker b(w.executor());
  b.create_topic("orders", 1);
  b.append("orders", 0, numbers(10));
  b.throttle(api_key::fetch, 3s);
  assigned r(w, b, {0}, plain());
  w.advance(30s);
  CHECK(r.total() == 0);
  const std::size_t asked = b.count(api_key::fetch);
  CHECK(asked > 5);
  CHECK(asked < 15);
  b.throttle(api_key::fetch, 0s);
  REQUIRE(r.reads(10));
}

}  // namespace
}  // namespace embedded
