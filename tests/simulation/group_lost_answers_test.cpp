// Requests and answers of the group that are lost, in virtual time: joins, acknowledgements, leaves; one, and two in a row.

#include "simulation/group_story.hpp"

namespace embedded {
namespace {

struct loss {
  const char* name;
  fault what;
};

// What is lost may have been served or not, and the connection may be closed or stay open without a word.
const loss losses[] = {{"the request is lost", fault::kind::drop_request},
                       {"the answer is lost", fault::kind::drop_answer},
                       {"the connection closes before", fault::kind::close_before},
                       {"the connection closes after", fault::kind::close_after},
                       {"the answer is cut", fault::cut_after(7)},
                       {"the connection falls silent", fault::kind::silence}};

template <class Test>
void each_loss_and_generation(Test test) {
  for (const auto g : generations) {
    for (const loss& l : losses) {
      CAPTURE(static_cast<int>(g), l.name);
      test(g, l.what);
    }
  }
}

TEST_CASE("a join that is lost is said again, and nothing else comes of it", "[group]") {
  each_loss_and_generation([](kafka_generation g, const fault& f) {
    story s(2, of_generation(g));
    s.next(api_key::consumer_group_heartbeat, {f});
    s.write_all(2);
    actor& a = s.join("a");
    REQUIRE(s.until_done(2, 2min));
    CHECK(s.log.repeated() == 0);
    CHECK(s.broker.group().members("g").size() == 1);
    CHECK(s.log.all().size() == 2);
    a.close();
    REQUIRE(s.until([&] { return a.has_ended; }, 1min));
    CHECK(!a.thrown);
    CHECK(s.broker.group().members("g").empty());
  });
}

// Point 19: the broker knows the instance, and it is us. Java and librdkafka die of it.
TEST_CASE("a static member whose join is lost finds out that the instance is its own", "[group]") {
  each_loss_and_generation([](kafka_generation g, const fault& f) {
    story s(2, of_generation(g));
    s.next(api_key::consumer_group_heartbeat, {f});
    s.write_all(2);
    actor& a = s.join("a", s.settings("a").group_instance_id("i"));
    REQUIRE(s.until_done(2, 2min));
    CHECK(!a.has_ended);
    CHECK(s.broker.group().members("g").size() == 1);
    CHECK(s.view(a)->instance_id == "i");
  });
}

/// A member of two partitions that is told to give the second up. Its acknowledgements, which follow at once, are the test's.
struct giving_up {
  giving_up(kafka_generation g, std::function<fault()> at_acknowledgement) : s(2, of_generation(g)), a(s.join("a")) {
    s.write_all(2);
    REQUIRE(s.until([&] { return s.is_done(2) && s.broker.group().settled("g"); }));
    s.otherwise = [this, decide = std::move(at_acknowledgement)](const testing::request_view& r) {
      const auto m = s.view(a);
      const bool acknowledges = r.api == api_key::consumer_group_heartbeat && r.client_id == "a" && m && !m->revoking.empty();
      return acknowledges ? decide() : fault();
    };
    s.target(a, {0});
  }
  story s;
  actor& a;
};

TEST_CASE("an acknowledgement that is lost is said again, and its sender is not fenced", "[group]") {
  each_loss_and_generation([](kafka_generation g, const fault& f) {
    int acknowledgements = 0;
    giving_up t(g, [&] { return ++acknowledgements == 1 ? f : fault(); });
    actor& b = t.s.join("b");
    t.s.write_all(2);
    REQUIRE(t.s.until([&] { return b.owned() == index_set{1}; }, 2min));
    CHECK(acknowledgements >= 1);
    CHECK(t.a.owned() == index_set{0});
    REQUIRE(t.s.until_done(2, 1min));
    CHECK(t.s.log.repeated() == 0);
    CHECK(t.s.log.ended(kawait::end_reason::lost) == 0);
    CHECK(t.s.log.ended(kawait::end_reason::revoked) == 1);
    CHECK(t.s.log.all().size() == 3);  // two of a's, one of b's
    const auto of_one = t.s.log.of(1);
    CHECK(of_one[1]->began >= of_one[0]->ended);
  });
}

// Point 8: each answer that is lost moved the epoch, so the member's is neither the broker's nor the one before. It is fenced though
// nothing was wrong; it comes back by itself.
TEST_CASE("two answers lost in a row, with an epoch each, fence a member that comes back", "[group]") {
  for (const auto g : generations) {
    CAPTURE(static_cast<int>(g));
    story s(2, of_generation(g));
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until([&] { return s.is_done(2) && s.broker.group().settled("g"); }));
    int lost = 0;
    s.otherwise = [&](const testing::request_view& r) {
      if (r.api != api_key::consumer_group_heartbeat || lost == 2) return fault();
      ++lost;
      s.broker.group().set_target("g", a.id(), std::vector<topic_partition>{{"orders", 0}, {"orders", 1}});  // the epoch moves
      return fault(fault::kind::close_after);
    };
    const auto epoch = s.view(a)->epoch;
    REQUIRE(s.until([&] { return s.log.ended(kawait::end_reason::lost) == 2; }, 2min));
    CHECK(lost == 2);
    REQUIRE(s.until([&] { return a.owned() == index_set{0, 1}; }, 1min));
    CHECK(s.view(a)->epoch >= epoch + 2);
    s.write_all(2);
    REQUIRE(s.until_done(2, 1min));
    CHECK(s.log.repeated() == 0);
    CHECK(!a.has_ended);
  }
}

// One such answer is covered by the previous epoch and the list of what is owned.
TEST_CASE("one lost answer that moved the epoch fences nobody", "[group]") {
  each_loss_and_generation([](kafka_generation g, const fault& f) {
    story s(2, of_generation(g));
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until([&] { return s.is_done(2) && s.broker.group().settled("g"); }));
    const auto epoch = s.view(a)->epoch;
    s.target(a, {0, 1});
    s.next(api_key::consumer_group_heartbeat, {f});
    REQUIRE(s.until([&] { return s.has_happened(api_key::consumer_group_heartbeat) && a.consumer().member_epoch() > epoch; }, 2min));
    s.write_all(2);
    REQUIRE(s.until_done(2, 1min));
    CHECK(s.log.all().size() == 2);
    CHECK(s.log.ended(kawait::end_reason::lost) == 0);
  });
}

// An assignment is told once: what was lost with the answer must be asked for by a full heartbeat (point 8, 9).
TEST_CASE("an assignment whose answer is lost arrives with the next", "[group]") {
  each_loss_and_generation([](kafka_generation g, const fault& f) {
    story s(2, of_generation(g));
    actor& a = s.prepare("a");
    s.target(a, {0});
    a.start();
    REQUIRE(s.until([&] { return a.owned() == index_set{0} && s.broker.group().settled("g"); }));
    s.world.advance(7s);
    s.target(a, {0, 1});
    s.next(api_key::consumer_group_heartbeat, {f});
    REQUIRE(s.until([&] { return a.owned() == index_set{0, 1}; }, 2min));
    CHECK(s.log.all().size() == 2);
  });
}

// Point 22: the leave is sent once, whatever becomes of it; the session's end does the rest.
TEST_CASE("a leave that is lost ends the close all the same, within its time", "[group]") {
  each_loss_and_generation([](kafka_generation g, const fault& f) {
    story s(2, of_generation(g));
    actor& a = s.join("a");
    s.write_all(2);
    REQUIRE(s.until_done(2));
    s.world.advance(1s);
    const std::size_t before = s.count(api_key::consumer_group_heartbeat);
    s.next(api_key::consumer_group_heartbeat, {f});
    a.close(10s);
    REQUIRE(s.until([&] { return a.closed && a.has_ended; }, 1min));
    CHECK(a.closed_at - a.closed_from <= 10s);
    CHECK(s.count(api_key::consumer_group_heartbeat) == before + 1);
    CHECK(!a.thrown);
    const bool served = f.what == fault::kind::drop_answer || f.what == fault::kind::close_after || f.what == fault::kind::cut_answer;
    CHECK(s.is_member(a) == !served);
    s.world.advance(46s);
    CHECK(!s.is_member(a));
  });
}

// The handler has long drained, but nobody else may have the partition before the broker heard of it.
TEST_CASE("a member whose every acknowledgement is lost is expelled in time, and only then is the partition another's", "[group]") {
  bool lossy = true;
  giving_up t(kafka_generation::v4_3, [&] { return lossy ? fault(fault::kind::close_before) : fault(); });
  const auto told = t.s.world.now();
  actor& b = t.s.join("b");
  REQUIRE(t.s.until([&] { return b.owned().contains(1); }, 5min));
  CHECK(t.s.world.now() - told >= 40s);  // the session, of which some may have passed
  lossy = false;
  t.s.broker.group().set_target("g", t.a.id(), std::nullopt);
  t.s.write_all(2);
  REQUIRE(t.s.until_done(2));
  CHECK(t.s.log.repeated() == 0);
  CHECK(t.s.is_member(t.a));
}

}  // namespace
}  // namespace embedded
