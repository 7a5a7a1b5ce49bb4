#include "catch.hpp"

#include "testing_group_support.hpp"

#include <kawait/testing/assignor.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>

namespace testing_assignor_tests {

using namespace testing_group;

struct cast {
  std::vector<std::string> ids;  // what the members view
  std::vector<assignor_member> members;
  partition_counts topics;

  explicit cast(std::string_view counts) {
    for (const auto& t : testing_group::topics(counts)) topics.emplace(t.id, t.partitions);
  }
  /// "m A B", and what it had.
  cast& with(const std::string& id, std::string_view subscribed, std::string_view previous = "", const char* instance = nullptr) {
    ids.push_back(id);
    auto& m = members.emplace_back();
    if (instance != nullptr) m.instance_id = instance;
    for (const auto w : words(subscribed)) m.topics.push_back(topic(w[0]));
    m.previous = partitions(previous);
    for (std::size_t i = 0; i < ids.size(); ++i) members[i].id = ids[i];
    return *this;
  }
  std::string show(const member_assignments& all) const {
    std::string text;
    for (const auto& list : all) text += (text.empty() ? "" : " | ") + show_partitions(list);
    return text;
  }
  std::string uniform() const { return show(assign_uniform(members, topics)); }
  std::string range() const { return show(assign_range(members, topics)); }
};

TEST_CASE("uniform: shares differ by one at most") {
  CHECK(cast("A4").with("m", "A").uniform() == "A0 A1 A2 A3");
  CHECK(cast("A4").with("m", "A").with("n", "A").uniform() == "A0 A1 | A2 A3");
  CHECK(cast("A5 B2").with("m", "A B").with("n", "A B").with("o", "A B").uniform() == "A0 A1 B1 | A2 A3 | A4 B0");
  CHECK(cast("A1").with("m", "A").with("n", "A").with("o", "A").uniform() == "A0 |  | ");
  CHECK(cast("A4").uniform().empty());
  CHECK(cast("A0").with("m", "A").uniform().empty());
}

TEST_CASE("uniform: moves no more than it must") {
  CHECK(cast("A4").with("m", "A", "A0 A1 A2 A3").with("n", "A").uniform() == "A0 A1 | A2 A3");
  CHECK(cast("A4").with("m", "A", "A1 A3").with("n", "A", "A0 A2").uniform() == "A1 A3 | A0 A2");
  CHECK(cast("A5").with("m", "A", "A1 A3").with("n", "A", "A0 A2 A4").uniform() == "A1 A3 | A0 A2 A4");
  CHECK(cast("A4").with("m", "A", "A1").with("n", "A", "A3").with("o", "A", "A0").uniform() == "A1 A2 | A3 | A0");
  // What is gone, out of range or claimed twice is not kept.
  CHECK(cast("A2").with("m", "A", "A0 A7 Z1").with("n", "A", "A0").uniform() == "A0 | A1");
}

TEST_CASE("uniform: subscriptions differ") {
  CHECK(cast("A2 B2").with("m", "A").with("n", "B").uniform() == "A0 A1 | B0 B1");
  CHECK(cast("A4 B2").with("m", "A").with("n", "A B").uniform() == "A0 A1 A2 | A3 B0 B1");
  // n had all of A; the rest of its load is fixed.
  CHECK(cast("A2 B4").with("m", "A").with("n", "A B", "A0 A1 B0 B1 B2 B3").uniform() == "A0 A1 | B0 B1 B2 B3");
  CHECK(cast("A2 B2").with("m", "A").with("n", "").uniform() == "A0 A1 | ");
}

TEST_CASE("range: runs, by instance ids and then by member ids") {
  CHECK(cast("A5 B3").with("m", "A B").with("n", "A B").range() == "A0 A1 A2 B0 B1 | A3 A4 B2");
  CHECK(cast("A4").with("m", "A").with("n", "A", "", "z").with("o", "A", "", "y").range() == "A3 | A2 | A0 A1");
  CHECK(cast("A4 B2").with("m", "B").with("n", "A B").range() == "B0 | A0 A1 A2 A3 B1");
  CHECK(cast("A1").with("m", "A").with("n", "A").range() == "A0 | ");
}

// --- Properties.

struct run {
  std::mt19937_64 random;
  bool same;
  partition_counts topics;
  std::vector<assignor_member> members;
  std::vector<std::string> ids;

  run(std::uint64_t seed, bool s) : random(seed), same(s) {
    for (int i = 0; i < 30; ++i) ids.push_back("m" + std::to_string(i));
  }
  std::size_t below(std::size_t n) { return random() % n; }

  void change() {
    for (char name = 'A'; name < 'F'; ++name) {
      if (below(3) == 0) topics[topic(name)] = static_cast<std::int32_t>(below(12));
      if (below(8) == 0) topics.erase(topic(name));
    }
    std::vector<uuid> all;
    for (const auto& [id, count] : topics) all.push_back(id);
    while (members.size() > 1 && below(3) == 0)
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(below(members.size())));
    while (members.empty() || (members.size() < 12 && below(3) == 0)) {
      members.emplace_back();
      members.back().id = ids[below(ids.size())];
    }
    for (auto& m : members) {
      if (same || m.topics.empty() || below(5) == 0) {
        m.topics = all;
        if (!same) std::erase_if(m.topics, [&](const auto&) { return below(2) == 0; });
      } else {
        std::erase_if(m.topics, [&](const auto& t) { return !topics.contains(t); });
      }
    }
  }

  void check_complete(const member_assignments& all) const {
    REQUIRE(all.size() == members.size());
    std::set<topic_id_partition> given;
    for (std::size_t i = 0; i < all.size(); ++i) {
      CHECK(std::is_sorted(all[i].begin(), all[i].end()));
      for (const auto& p : all[i]) {
        CHECK(given.insert(p).second);
        CHECK(std::binary_search(members[i].topics.begin(), members[i].topics.end(), p.topic_id));
        CHECK(topics.at(p.topic_id) > p.partition);
      }
    }
    std::set<uuid> wanted;
    for (const auto& m : members) wanted.insert(m.topics.begin(), m.topics.end());
    std::size_t total = 0;
    for (const auto& id : wanted) total += static_cast<std::size_t>(topics.at(id));
    CHECK(given.size() == total);
  }

  /// Nobody could give a partition to a subscriber that has less by two or more.
  void check_balance(const member_assignments& all) const {
    for (std::size_t a = 0; a < all.size(); ++a) {
      for (const auto& p : all[a]) {
        for (std::size_t b = 0; b < all.size(); ++b) {
          if (std::binary_search(members[b].topics.begin(), members[b].topics.end(), p.topic_id))
            CHECK(all[a].size() <= all[b].size() + 1);
        }
      }
    }
  }

  /// Who had no more than its share lost nothing but what it may no longer have.
  void check_sticky(const member_assignments& all) const {
    std::size_t total = 0;
    for (const auto& list : all) total += list.size();
    const std::size_t share = total / all.size();
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::size_t valid = 0, kept = 0;
      for (const auto& p : members[i].previous) {
        const auto t = topics.find(p.topic_id);
        valid += t != topics.end() && p.partition < t->second;
        kept += std::binary_search(all[i].begin(), all[i].end(), p);
      }
      CHECK(kept >= std::min(valid, share));
    }
  }
};

TEST_CASE("uniform: complete, balanced and sticky whatever changes") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    run r(seed, seed % 2 == 0);
    for (int step = 0; step < 15; ++step) {
      r.change();
      auto all = assign_uniform(r.members, r.topics);
      r.check_complete(all);
      r.check_balance(all);
      if (r.same) r.check_sticky(all);
      for (std::size_t i = 0; i < all.size(); ++i) r.members[i].previous = all[i];
      CHECK(assign_uniform(r.members, r.topics) == all);  // nothing changed: nothing moves
    }
  }
}

TEST_CASE("range: complete, and balanced topic by topic") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    run r(seed, seed % 2 == 0);
    for (int step = 0; step < 10; ++step) {
      r.change();
      const auto all = assign_range(r.members, r.topics);
      r.check_complete(all);
      for (const auto& [id, count] : r.topics) {
        std::size_t least = 1000, most = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
          if (!std::binary_search(r.members[i].topics.begin(), r.members[i].topics.end(), id)) continue;
          const auto mine = static_cast<std::size_t>(
              std::count_if(all[i].begin(), all[i].end(), [&](const auto& p) { return p.topic_id == id; }));
          least = std::min(least, mine);
          most = std::max(most, mine);
        }
        CHECK((most == 0 || most <= least + 1));
      }
    }
  }
}

TEST_CASE("assignors: large groups") {
  partition_counts counts;
  std::vector<uuid> all;
  for (int i = 0; i < 50; ++i) {
    uuid id;
    id.bytes[1] = static_cast<std::byte>(i);
    counts.emplace(id, 200);
    all.push_back(id);
  }
  std::vector<std::string> ids;
  for (int i = 0; i < 400; ++i) ids.push_back("m" + std::to_string(i));
  std::vector<assignor_member> members;
  for (const auto& id : ids) {
    auto& m = members.emplace_back();
    m.id = id;
    m.topics = all;
    auto lists = assign_uniform(members, counts);
    if (members.size() % 100 == 0) {
      for (const auto& list : lists) CHECK(list.size() - 10000 / members.size() <= 1);
    }
    for (std::size_t i = 0; i < lists.size(); ++i) members[i].previous = std::move(lists[i]);
  }
  for (std::size_t i = 0; i < members.size(); i += 2) members[i].topics.resize(25);
  const auto lists = assign_uniform(members, counts);
  std::size_t total = 0;
  for (const auto& list : lists) total += list.size();
  CHECK(total == 10000);
}

}  // namespace testing_assignor_tests
