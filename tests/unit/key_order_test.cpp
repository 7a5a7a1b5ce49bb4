#include <kawait/machine/key_order.hpp>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"

namespace key_order_tests {

using kawait::wire::nullable_view;
using order = kawait::machine::key_order<int>;

nullable_view view(const std::optional<std::string>& key) {
  if (!key) return nullable_view();
  return nullable_view(reinterpret_cast<const std::byte*>(key->data()), static_cast<std::int32_t>(key->size()));
}

/// Starts all that may begin.
std::vector<int> start_all(order& o, std::vector<order::work>& running) {
  std::vector<int> items;
  while (auto next = o.start()) {
    items.push_back(next->item);
    running.push_back(std::move(*next));
  }
  return items;
}

TEST_CASE("key_order: equal keys one at a time and in order, others at once", "[key_order]") {
  order o;
  const std::vector<std::optional<std::string>> keys{"a", "b", "a", std::nullopt, "", "a", std::nullopt, ""};
  for (int i = 0; i < 8; ++i) o.add(i, view(keys[static_cast<std::size_t>(i)]));
  CHECK(o.waiting() == 8);
  std::vector<order::work> running;
  CHECK(start_all(o, running) == std::vector<int>{0, 1, 3, 4, 6});  // an empty key is a key, none is not
  CHECK(o.waiting() == 3);
  CHECK(!o.has_ready());
  o.finish(running[1]);  // b
  CHECK(!o.has_ready());
  o.finish(running[0]);
  CHECK(o.has_ready());
  CHECK(start_all(o, running) == std::vector<int>{2});
  o.finish(running[3]);  // the empty one
  CHECK(start_all(o, running) == std::vector<int>{7});
  o.finish(running[5]);
  CHECK(start_all(o, running) == std::vector<int>{5});
  o.finish(running.back());
  o.add(8, view("a"));  // its key is free again
  CHECK(start_all(o, running) == std::vector<int>{8});
  CHECK(o.waiting() == 0);
}

TEST_CASE("key_order: of what may begin the oldest does", "[key_order]") {
  order o;
  o.add(0, view("a"));
  o.add(1, view("a"));
  auto first = o.start();
  REQUIRE(first);
  o.add(2, view("b"));
  o.add(3, view("c"));
  o.finish(*first);
  std::vector<order::work> running;
  CHECK(start_all(o, running) == std::vector<int>{1, 2, 3});
}

TEST_CASE("key_order: without order no key counts", "[key_order]") {
  order o(false);
  for (int i = 0; i < 4; ++i) o.add(i, view("a"));
  std::vector<order::work> running;
  CHECK(start_all(o, running) == std::vector<int>{0, 1, 2, 3});
}

TEST_CASE("key_order: what is dropped does not begin, and what was under way may still end", "[key_order]") {
  order o;
  o.add(0, view("a"));
  o.add(1, view("a"));
  o.add(2, view("b"));
  const auto first = o.start();
  REQUIRE(first);
  o.clear();
  CHECK(o.waiting() == 0);
  o.finish(*first);
  CHECK(!o.has_ready());
  CHECK(!o.start());
}

TEST_CASE("key_order: any course of work keeps the order of every key and loses nothing", "[key_order]") {
  for (unsigned seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    std::minstd_rand generator(seed + 1);
    const auto random = [&] { return static_cast<unsigned>(generator() >> 8); };
    order o;
    std::vector<order::work> running;
    std::map<std::string, int> newest, busy;
    std::vector<std::string> keys;
    int added = 0, ended = 0;
    while (ended < 300) {
      const unsigned what = random() % 3;
      if (what == 0 && added < 300) {
        const unsigned k = random() % 8;
        keys.push_back(k == 0 ? "-" : std::to_string(k));
        o.add(added++, view(k == 0 ? std::nullopt : std::optional<std::string>(keys.back())));
      } else if (what == 1) {
        auto next = o.start();
        if (!next) continue;
        const std::string& key = keys[static_cast<std::size_t>(next->item)];
        if (key != "-") {
          REQUIRE(++busy[key] == 1);
          REQUIRE((newest.count(key) == 0 || newest[key] < next->item));
          newest[key] = next->item;
        }
        running.push_back(std::move(*next));
      } else if (!running.empty()) {
        const auto at = running.begin() + static_cast<std::ptrdiff_t>(random() % running.size());
        --busy[keys[static_cast<std::size_t>(at->item)]];
        o.finish(*at);
        running.erase(at);
        ++ended;
      }
    }
    REQUIRE(o.waiting() == 0);
  }
}

}  // namespace key_order_tests
