// Members that come and go under load: every record, in order, once; what is committed is what was done.

#include "member_support.hpp"

namespace kawait::tests {
namespace {

asio::awaitable<void> check_all_committed(scenario& s, std::string group, load& l) {
  CAPTURE(joined(s.log.violations()));
  CHECK(s.log.violations().empty());
  CHECK(l.is_consumed(s.log));
  const auto told = co_await s.committed(group, l.topic(), l.partitions());
  for (std::int32_t p = 0; p < l.partitions(); ++p) {
    CAPTURE(p);
    CHECK(told[static_cast<std::size_t>(p)] == l.produced(p));
  }
}

asio::awaitable<void> two_then_three(scenario& s) {
  const std::string topic = unique_name("load"), group = unique_name("group");
  co_await s.admin.create_topic(topic, 6);
  load& l = s.make<load>(s.admin, topic, 6);
  s.spawn(l.run());
  member& a = s.subscribe("a", s.settings(group), topic);
  member& b = s.subscribe("b", s.settings(group), topic);
  member& c = s.subscribe("c", s.settings(group), topic);
  a.start();
  EVENTUALLY(a.owned().size() == 6);
  EVENTUALLY(s.log.records() > 100);
  b.start();
  EVENTUALLY(a.owned().size() == 3 && b.owned().size() == 3);
  c.start();
  EVENTUALLY(a.owned().size() == 2 && b.owned().size() == 2 && c.owned().size() == 2);
  const std::size_t before = s.log.records();
  EVENTUALLY(s.log.records() > before + 300);
  co_await b.close();
  EVENTUALLY(a.owned().size() == 3 && c.owned().size() == 3);
  co_await l.stop();
  EVENTUALLY(l.is_consumed(s.log));
  co_await a.close();
  co_await c.close();
  CHECK(s.log.repeated() == 0);  // all of it was done, so no new owner reads it again
  co_await check_all_committed(s, group, l);
}

TEST_CASE("two, then three members share six partitions under load", "[membership]") {
  scenario s;
  s.run(&two_then_three);
}

}  // namespace
}  // namespace kawait::tests
