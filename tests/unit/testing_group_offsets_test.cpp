#include "catch.hpp"

#include "testing_group_support.hpp"

// OffsetCommit and OffsetFetch: whose commits are taken, what one bad partition does, what is answered where nothing is.

namespace testing_group_offsets_tests {

using namespace testing_group;

/// "0" or the name of the error, of each partition.
struct offsets : cluster {
  using cluster::cluster;

  std::string commit(std::string_view member, std::int32_t epoch, std::string_view list, std::int64_t offset = 7,
                     std::int16_t version = 9, std::string_view metadata = "", std::string_view group = "g") {
    kawait::protocol::offset_commit_request r;
    r.group_id = group;
    r.member_id = member;
    r.generation_id_or_member_epoch = epoch;
    std::vector<std::string> names;
    const auto wanted = partitions(list);
    for (const auto& p : wanted) names.emplace_back(1, static_cast<char>(p.topic_id.bytes[0]));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      auto& t = r.topics.emplace_back();
      if (version < 10) t.name = names[i];
      else t.topic_id = wanted[i].topic_id;
      auto& p = t.partitions.emplace_back();
      p.partition_index = wanted[i].partition;
      p.committed_offset = offset;
      p.committed_leader_epoch = 3;
      p.committed_metadata = metadata;
    }
    const auto a = c.commit(now, r, version);
    std::string text;
    REQUIRE(a.topics.size() == wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      REQUIRE(a.topics[i].partitions.size() == 1);
      CHECK(a.topics[i].name == r.topics[i].name);
      CHECK(a.topics[i].topic_id == r.topics[i].topic_id);
      CHECK(a.topics[i].partitions[0].partition_index == wanted[i].partition);
      const auto code = a.topics[i].partitions[0].error_code;
      text += (i > 0 ? " " : "") + (code == 0 ? std::string("0") : std::string(kawait::name_of(static_cast<kafka_error>(code))));
    }
    return text;
  }

  /// "A0=7 A1=-1", or the error of the group.
  std::string fetch(std::optional<std::string_view> member, std::int32_t epoch, std::optional<std::string_view> list,
                    std::int16_t version = 9, std::string_view group = "g") {
    kawait::protocol::offset_fetch_request r;
    auto& g = r.groups.emplace_back();
    g.group_id = group;
    g.member_id = member;
    g.member_epoch = epoch;
    std::vector<std::string> names;
    if (!list) g.topics.reset();
    const auto wanted = partitions(list.value_or(""));
    for (const auto& p : wanted) names.emplace_back(1, static_cast<char>(p.topic_id.bytes[0]));
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      auto& t = g.topics->emplace_back();
      if (version < 10) t.name = names[i];
      else t.topic_id = wanted[i].topic_id;
      t.partition_indexes.push_back(wanted[i].partition);
    }
    r.require_stable = true;
    const auto a = c.fetch_offsets(now, r, version);
    REQUIRE(a.groups.size() == 1);
    CHECK(a.groups[0].group_id == group);
    if (a.groups[0].error_code != 0) {
      CHECK(a.groups[0].topics.empty());
      return std::string(kawait::name_of(static_cast<kafka_error>(a.groups[0].error_code)));
    }
    std::string text;
    for (const auto& t : a.groups[0].topics) {
      for (const auto& p : t.partitions) {
        text += text.empty() ? "" : " ";
        text += version < 10 ? std::string(t.name) : std::string(1, static_cast<char>(t.topic_id.bytes[0]));
        text += std::to_string(p.partition_index) + "=" + std::to_string(p.committed_offset);
        if (p.error_code != 0) text += "!" + std::string(kawait::name_of(static_cast<kafka_error>(p.error_code)));
      }
    }
    return text;
  }
};

TEST_CASE("offsets: a consumer without a group membership") {
  offsets k;
  CHECK(k.fetch(std::nullopt, -1, "A0") == "A0=-1");
  CHECK(k.fetch(std::nullopt, -1, std::nullopt) == "");
  CHECK(k.commit("", -1, "A0 B1") == "0 0");
  CHECK(k.fetch(std::nullopt, -1, "A0 A1 B1") == "A0=7 A1=-1 B1=7");
  CHECK(k.fetch(std::nullopt, -1, std::nullopt) == "A0=7 B1=7");
  CHECK(k.fetch(std::nullopt, -1, std::nullopt, 10) == "A0=7 B1=7");
  CHECK(k.c.committed("g", topic_partition("A", 0))->position == offset_and_epoch(7, 3));
  // With an epoch it would have to be a member of something.
  CHECK(k.commit("m", 1, "A0") == "UNKNOWN_MEMBER_ID");
  CHECK(k.commit("m", 1, "A0", 7, 9, "", "h") == "GROUP_ID_NOT_FOUND");
  CHECK(k.commit("m", 1, "A0", 7, 8, "", "h") == "ILLEGAL_GENERATION");
  CHECK(k.c.groups() == std::vector<std::string>{"g"});
  k.beat(join("m", "A"));
  // The group has members now.
  CHECK(k.commit("", -1, "A0") == "UNKNOWN_MEMBER_ID");
  CHECK(k.fetch(std::nullopt, -1, "A0") == "A0=7");
  k.beat(alive("m", -1));
  CHECK(k.commit("", -1, "A0", 8) == "0");
  CHECK(k.c.committed("g", topic_partition("A", 0))->position.offset == 8);
}

TEST_CASE("offsets: the epoch of a commit (points 30, 31, 32)") {
  struct {
    kafka_generation generation;
    const char* older;
  } const table[] = {{kafka_generation::v4_0, "STALE_MEMBER_EPOCH"},
                     {kafka_generation::v4_2, "STALE_MEMBER_EPOCH"},
                     {kafka_generation::v4_3, "0"}};
  for (const auto& row : table) {
    offsets k{group_options(row.generation)};
    k.beat(join("m", "A"));
    const auto first = k.c.member("g", "m")->epoch;
    k.beat(join("n", "B"));
    k.beat(alive("m", first));
    const auto now = k.c.member("g", "m")->epoch;
    REQUIRE(now == first + 1);
    CHECK(k.commit("m", now, "A0") == "0");
    CHECK(k.commit("m", first, "A0") == row.older);
    CHECK(k.commit("m", now + 1, "A0") == "STALE_MEMBER_EPOCH");
    CHECK(k.commit("m", first - 1, "A0") == "STALE_MEMBER_EPOCH");
    CHECK(k.commit("m", -1, "A0") == "STALE_MEMBER_EPOCH");
    CHECK(k.commit("x", now, "A0") == "UNKNOWN_MEMBER_ID");
    CHECK(k.commit("m", now, "A0", 7, 8) == "UNSUPPORTED_VERSION");
    k.c.fence("g", "m");
    CHECK(k.commit("m", now, "A0") == "STALE_MEMBER_EPOCH");
  }
}

TEST_CASE("offsets: with the current epoch nobody asks who owns the partition (point 29)") {
  offsets k{group_options(kafka_generation::v4_3)};
  k.beat(join("m", "A"));
  k.beat(join("n", "B"));
  CHECK(k.commit("n", 3, "A0") == "0");
  // With an older one they do, of each partition, and one bad one fails them all (point 30).
  k.beat(alive("m", 2));
  CHECK(k.commit("m", 2, "A0 A1") == "0 0");
  CHECK(k.commit("m", 2, "A0 B0", 9) == "STALE_MEMBER_EPOCH STALE_MEMBER_EPOCH");
  CHECK(k.c.committed("g", topic_partition("A", 0))->position.offset == 7);
}

TEST_CASE("offsets: an older epoch is taken for what was assigned by then (point 30)") {
  offsets k{group_options(kafka_generation::v4_3)};
  k.beat(join("m", "A"));
  k.beat(join("n", "A"));
  CHECK(k.beat(alive("m", 2)) == "2: A0 A1");
  // What it is still to give up is its own.
  CHECK(k.commit("m", 2, "A2") == "0");
  k.beat(alive("m", 2).owns("A0 A1"));
  CHECK(k.commit("m", 2, "A2") == "STALE_MEMBER_EPOCH");
  k.beat(alive("n", -1));
  CHECK(k.beat(alive("m", 3)) == "4: A0 A1 A2 A3");
  CHECK(k.commit("m", 2, "A0") == "0");
  CHECK(k.commit("m", 2, "A2") == "STALE_MEMBER_EPOCH");  // another lease: since 4
  CHECK(k.commit("m", 3, "A2") == "STALE_MEMBER_EPOCH");
  CHECK(k.commit("m", 4, "A2") == "0");
}

TEST_CASE("offsets: a static member's partitions count as assigned long ago when it comes back") {
  offsets k{group_options(kafka_generation::v4_3)};
  k.beat(join("m", "A").as("i"));
  k.beat(alive("m", -2).as("i"));
  k.beat(join("n", "A").as("i"));
  CHECK(k.commit("n", 1, "A0") == "0");
}

TEST_CASE("offsets: topics and partitions that are not there (points 31, 32)") {
  offsets k;
  k.beat(join("m", "A"));
  CHECK(k.commit("m", 1, "A0 A4 Z0") == "0 UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_OR_PARTITION");
  CHECK(k.commit("m", 1, "A0 A4 Z0 A-1", 7, 10) ==
        "0 UNKNOWN_TOPIC_OR_PARTITION UNKNOWN_TOPIC_ID UNKNOWN_TOPIC_OR_PARTITION");
  CHECK(k.fetch("m", 1, "A0 A9 Z0") == "A0=7 A9=-1 Z0=-1");
  CHECK(k.fetch("m", 1, "A0 A9 Z0", 10) == "A0=7 A9=-1 Z0=-1!UNKNOWN_TOPIC_ID");
  // If the request as a whole is refused, so are they.
  CHECK(k.commit("m", 9, "A0 Z0") == "STALE_MEMBER_EPOCH STALE_MEMBER_EPOCH");
  // With nothing else in it the coordinator does not see it.
  CHECK(k.commit("m", 9, "Z0") == "UNKNOWN_TOPIC_OR_PARTITION");
}

TEST_CASE("offsets: metadata") {
  offsets k;
  k.beat(join("m", "A"));
  CHECK(k.commit("m", 1, "A0", 7, 9, "words") == "0");
  CHECK(k.c.committed("g", topic_partition("A", 0))->metadata == "words");
  CHECK(k.commit("m", 1, "A0", 8, 9, std::string(4097, 'x')) == "OFFSET_METADATA_TOO_LARGE");
  CHECK(k.commit("m", 1, "A0", 9, 9, std::string(4096, 'x')) == "0");
  CHECK(k.c.committed("g", topic_partition("A", 0))->position.offset == 9);
}

TEST_CASE("offsets: who may fetch (point 33)") {
  offsets k;
  CHECK(k.fetch("m", 1, "A0") == "A0=-1");  // no group, no offsets, no error
  k.beat(join("m", "A"));
  k.commit("m", 1, "A1");
  CHECK(k.fetch("m", 1, "A0 A1") == "A0=-1 A1=7");
  CHECK(k.fetch("m", 2, "A0") == "STALE_MEMBER_EPOCH");
  CHECK(k.fetch("m", 0, "A0") == "STALE_MEMBER_EPOCH");
  CHECK(k.fetch("n", 1, "A0") == "UNKNOWN_MEMBER_ID");
  CHECK(k.fetch("", -1, "A0") == "UNKNOWN_MEMBER_ID");
  CHECK(k.fetch(std::nullopt, 1, "A0") == "UNKNOWN_MEMBER_ID");
  CHECK(k.fetch(std::nullopt, -1, "A1") == "A1=7");
  k.c.fence("g", "m");
  CHECK(k.fetch("m", 1, "A0") == "STALE_MEMBER_EPOCH");
}

TEST_CASE("offsets: a transaction that is not over (point 33)") {
  offsets k;
  k.beat(join("m", "A"));
  k.commit("m", 1, "A0 A1");
  k.c.set_pending("g", topic_partition("A", 1), true);
  CHECK(k.fetch("m", 1, "A0 A1") == "A0=7 A1=-1!UNSTABLE_OFFSET_COMMIT");
  CHECK(k.fetch(std::nullopt, -1, std::nullopt) == "A0=7 A1=-1!UNSTABLE_OFFSET_COMMIT");
  k.c.set_pending("g", topic_partition("A", 1), false);
  CHECK(k.fetch("m", 1, "A0 A1") == "A0=7 A1=7");
  k.c.set_pending("nobody", topic_partition("A", 1), false);
  CHECK(k.c.groups().size() == 1);
}

TEST_CASE("offsets: they go with their topic, and stay with their group") {
  offsets k;
  k.beat(join("m", "A"));
  CHECK(k.commit("m", 1, "A0 B0") == "0 0");
  k.beat(alive("m", -1));
  k.pass(24h);
  CHECK(k.c.groups().size() == 1);
  k.c.set_topics(topics("A6 B2"));
  CHECK(k.fetch(std::nullopt, -1, "A0 B0") == "A0=7 B0=7");
  k.c.set_topics({topic_image("A", topic('A'), 4), topic_image("B", topic('X'), 2)});
  CHECK(k.fetch(std::nullopt, -1, "A0 B0") == "A0=7 B0=-1");
  k.c.set_topics({});
  k.pass(0s);
  CHECK(k.c.groups().empty());
}

}  // namespace testing_group_offsets_tests
