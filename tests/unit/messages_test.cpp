#include <kawait/protocol/codec.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catch.hpp"
#include "protocol/all_messages.hpp"
#include "protocol/fill.hpp"

namespace messages_tests {

using namespace kawait::protocol;
using bytes = std::vector<std::byte>;

/// What decode_response promises: bytes of memory for each byte of input.
constexpr std::size_t promised_ratio = 36;

bytes of(std::initializer_list<unsigned> values) {
  bytes b;
  for (const unsigned v : values) b.push_back(static_cast<std::byte>(v));
  return b;
}

/// What a message, sound or not, holds on the heap.
struct footprint {
  std::size_t size = 0;

  template <class T>
  void add(const T& value) {
    if constexpr (is_optional<T>) {
      if (value) add(*value);
    } else if constexpr (is_array<T>) {
      size += value.capacity() * sizeof(typename T::value_type);
      for (const auto& element : value) add(element);
    } else if constexpr (structure<T>) {
      T::fields([&]<class U>(const field&, U T::*member) { add(value.*member); });
    }
  }
};

template <class Message>
std::size_t footprint_of(const Message& m) {
  footprint f;
  f.add(m);
  return f.size;
}

/// The worst that counts can claim: at every level of nesting the elements share the bytes among them, so what an element takes
/// in memory over what it takes at least on the wire adds up over the levels.
template <class T>
double worst_ratio(std::int16_t version, bool flexible) {
  if constexpr (is_optional<T>) {
    return worst_ratio<without_optional<T>>(version, flexible);
  } else if constexpr (is_array<T>) {
    using element = typename T::value_type;
    const std::size_t on_wire = kawait::protocol::detail::smallest<element>(version, flexible);
    return static_cast<double>(sizeof(element)) / static_cast<double>(on_wire) + worst_ratio<element>(version, flexible);
  } else if constexpr (structure<T>) {
    double worst = 0;
    T::fields([&]<class U>(const field& f, U T::*) {
      if (f.in(version)) worst = std::max(worst, worst_ratio<U>(version, flexible));
    });
    return worst;
  } else {
    return 0;
  }
}

template <class F>
void for_each_version(F&& f) {
  kawait::test::for_each_message([&]<class Message>() {
    for (std::int16_t version = Message::min_version; version <= Message::max_version; ++version) {
      f.template operator()<Message>(version);
    }
  });
}

/// Decodes, and checks what must hold whatever the bytes are.
template <class Message>
bool decodes(const std::span<const std::byte> in, std::int16_t version) {
  Message m;
  const kawait::failure f = decode_body(m, in, version);
  // Catch's assertions take longer than decoding: only what fails goes through one.
  if (footprint_of(m) > promised_ratio * in.size()) CHECK(footprint_of(m) <= promised_ratio * in.size());
  if (f) {
    if (f.code != kawait::errc::malformed_response) CHECK(f.to_string() == "malformed");
    return false;
  }
  bytes again;
  const kawait::failure g = encode_body(again, m, version);
  if (g) CHECK(g.to_string() == "encoded again");
  return true;
}

TEST_CASE("every message of every version comes back", "[protocol][messages]") {
  for_each_version([]<class Message>(std::int16_t version) {
    CAPTURE(kawait::test::kafka_name<Message>(), version);
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      kawait::test::filler fill(seed);
      const Message m = seed == 0 ? Message{} : fill.make<Message>(version);
      bytes out;
      const kawait::failure f = encode_body(out, m, version);
      REQUIRE(f.to_string() == kawait::failure().to_string());
      Message back;
      const kawait::failure g = decode_body(back, out, version);
      REQUIRE(g.to_string() == kawait::failure().to_string());
      bytes again;
      REQUIRE_FALSE(encode_body(again, back, version));
      REQUIRE(again == out);
    }
  });
}

TEST_CASE("a message cut anywhere is malformed", "[protocol][messages]") {
  for_each_version([]<class Message>(std::int16_t version) {
    CAPTURE(kawait::test::kafka_name<Message>(), version);
    for (std::uint64_t seed = 0; seed < 6; ++seed) {
      kawait::test::filler fill(seed);
      const Message m = fill.make<Message>(version, true);
      bytes out;
      REQUIRE_FALSE(encode_body(out, m, version));
      for (std::size_t n = 0; n < out.size(); ++n) {
        // A copy of its own size, so that a sanitizer sees a read behind it.
        const bytes cut(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n));
        if (decodes<Message>(cut, version)) CHECK(n == out.size());
      }
      out.push_back(std::byte{0});
      CHECK_FALSE(decodes<Message>(out, version));  // and one byte too many
    }
  });
}

TEST_CASE("hostile bytes neither crash nor allocate without bound", "[protocol][messages]") {
  for_each_version([]<class Message>(std::int16_t version) {
    CAPTURE(kawait::test::kafka_name<Message>(), version);
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      kawait::test::filler fill(seed);
      const Message m = fill.make<Message>(version, true);
      bytes out;
      REQUIRE_FALSE(encode_body(out, m, version));
      for (std::size_t at = 0; at < out.size(); ++at) {
        const std::byte good = out[at];
        for (const unsigned bad : {0xffu, 0x7fu, 0x80u, 0x01u, 0x00u}) {
          out[at] = static_cast<std::byte>(bad);
          decodes<Message>(out, version);
        }
        out[at] = good;
        // A whole length of the largest kind: five bytes 0xff 0xff 0xff 0xff 0x0f, or int32 0x7fffffff.
        bytes longer = out;
        const bytes huge = is_flexible<Message>(version) ? of({0xff, 0xff, 0xff, 0xff, 0x0f}) : of({0x7f, 0xff, 0xff, 0xff});
        for (std::size_t i = 0; i < huge.size() && at + i < longer.size(); ++i) longer[at + i] = huge[i];
        decodes<Message>(longer, version);
      }
    }
    // A kilobyte of one value is the largest count that its bytes allow, at every level.
    for (const unsigned value : {0x00u, 0x01u, 0x02u, 0x7fu, 0x80u, 0xffu}) {
      const bytes same(1024, static_cast<std::byte>(value));
      for (std::size_t n = 0; n <= same.size(); n += 31) decodes<Message>(std::span<const std::byte>(same).first(n), version);
    }
    CHECK(worst_ratio<Message>(version, is_flexible<Message>(version)) <= static_cast<double>(promised_ratio));
  });
}

TEST_CASE("the largest claim of a real message stays within the promise", "[protocol][messages]") {
  // Group after group of the fewest bytes, and a last one whose topics claim all that is left.
  bytes in = of({0, 0, 0, 0, 0xff, 0x01});  // throttle time, 254 groups
  while (in.size() < 254 * 5) in.insert(in.end(), {std::byte{1}, std::byte{0xfd}, std::byte{0x01}});
  offset_fetch_response m;
  CHECK(decode_body(m, in, 9));
  CHECK(footprint_of(m) <= promised_ratio * in.size());
}

TEST_CASE("unknown tags are skipped wherever they stand", "[protocol][messages]") {
  // FindCoordinator response: throttle time; one coordinator with an unknown tag 7 of two bytes; at the top tags 0 and 1000.
  const bytes in = of({0, 0, 0, 5, 2, 2, 'g', 0, 0, 0, 1, 2, 'h', 0, 0, 0x23, 0x84, 0, 0, 0, 1, 7, 2, 0xaa, 0xbb,
                       2, 0, 0, 0xe8, 0x07, 1, 0xcc});
  find_coordinator_response m;
  const kawait::failure f = decode_body(m, in, 4);
  CHECK(f.to_string() == kawait::failure().to_string());
  CHECK(m.throttle_time_ms == 5);
  REQUIRE(m.coordinators.size() == 1);
  CHECK(m.coordinators[0].host == "h");
  CHECK(m.coordinators[0].port == 9092);
  CHECK_FALSE(m.coordinators[0].error_message.has_value());
}

TEST_CASE("a tag of a later version is unknown to an earlier one", "[protocol][messages]") {
  fetch_response m;
  m.node_endpoints.resize(1);
  m.node_endpoints[0].host = "h";
  bytes out;
  REQUIRE_FALSE(encode_body(out, m, 16));
  fetch_response newer, older;
  REQUIRE_FALSE(decode_body(newer, out, 16));
  REQUIRE_FALSE(decode_body(older, out, 15));
  CHECK(newer.node_endpoints.size() == 1);
  CHECK(older.node_endpoints.empty());
}

TEST_CASE("a known tag must use exactly the bytes it states", "[protocol][messages]") {
  // ApiVersions response v4: no error, no keys, throttle 0, tag 1 (an int64) with 8 bytes, then with 7 and 9.
  for (const unsigned size : {8u, 7u, 9u}) {
    bytes in = of({0, 0, 1, 0, 0, 0, 0, 1, 1, size});
    in.resize(in.size() + size, std::byte{0});
    api_versions_response m;
    const kawait::failure f = decode_body(m, in, 4);
    CAPTURE(size, f.to_string());
    CHECK(static_cast<bool>(f) == (size != 8));
    if (!f) CHECK(m.finalized_features_epoch == 0);
  }
}

TEST_CASE("a heartbeat, byte by byte", "[protocol][messages]") {
  consumer_group_heartbeat_request m;
  m.group_id = "g";
  m.member_id = "me";
  m.rebalance_timeout_ms = 1000;
  m.subscribed_topic_names.emplace(1, "t");
  m.topic_partitions.emplace();
  bytes out;
  REQUIRE_FALSE(encode_request(out, m, 1, 7, "c"));
  CHECK(out == of({0,   0,   0,   34,                                     // length
                   0,   68,  0,   1,   0,   0, 0, 7,                      // API, version, correlation id
                   0,   1,   'c', 0,                                      // client id, tags of the header
                   2,   'g', 3,   'm', 'e', 0, 0, 0, 0,                   // group, member, epoch
                   0,   0,   0,   0,   3,   0xe8, 2, 2, 't',              // instance, rack, timeout, names
                   0,   0,   1,   0}));                                   // regex, assignor, owned: none; tags
}

TEST_CASE("what a version cannot carry is refused, by name", "[protocol][messages]") {
  bytes out(3);
  SECTION("a field that the version lacks") {
    consumer_group_heartbeat_request m;
    m.subscribed_topic_regex = "a.*";
    const kawait::failure f = encode_request(out, m, 0, 1, "c");
    CHECK(f.code == kawait::errc::unsupported_broker);
    CHECK(f.words == "ConsumerGroupHeartbeat request v0: SubscribedTopicRegex: the version lacks the field");
    CHECK_FALSE(encode_request(out, m, 1, 1, "c"));
  }
  SECTION("null") {
    metadata_request m;
    m.topics->resize(1);
    m.topics->front().name.reset();
    const kawait::failure f = encode_body(out, m, 9);
    CHECK(f.code == kawait::errc::unsupported_broker);
    CHECK(f.words == "Metadata request v9: Topics.Name: null is not allowed in this version");
    CHECK_FALSE(encode_body(out, m, 12));
  }
  SECTION("a string that no version can carry") {
    const std::string longest(32'768, 'x');
    find_coordinator_request m;
    m.coordinator_keys.push_back(longest);
    const kawait::failure f = encode_request(out, m, 6, 1, "c");
    CHECK(f.code == kawait::errc::invalid_config);
    CHECK(f.words == "FindCoordinator request v6: CoordinatorKeys: longer than 32767 bytes");
    CHECK(encode_request(out, find_coordinator_request{}, 6, 1, longest).code == kawait::errc::invalid_config);
    m.coordinator_keys[0].remove_suffix(1);
    CHECK_FALSE(encode_request(out, m, 6, 1, "c"));
  }
  SECTION("a version that is not implemented") {
    CHECK(encode_request(out, fetch_request{}, 12, 1, "c").code == kawait::errc::unsupported_broker);
    CHECK(encode_request(out, fetch_request{}, 19, 1, "c").code == kawait::errc::unsupported_broker);
    fetch_response m;
    CHECK(decode_response(m, bytes(100), 12).code == kawait::errc::unsupported_broker);
  }
  // A refusal leaves what was in the buffer; a success appended.
  CHECK(out.size() >= 3);
}

TEST_CASE("a refused request leaves the buffer as it was", "[protocol][messages]") {
  bytes out = of({1, 2, 3});
  fetch_request m;
  m.replica_id = 5;  // until version 14
  CHECK(encode_request(out, m, 17, 1, "c"));
  CHECK(out == of({1, 2, 3}));
  CHECK_FALSE(encode_request(out, m, 14, 1, "c"));
  CHECK(out.size() > 3);
}

TEST_CASE("ignorable fields are left out where a version lacks them", "[protocol][messages]") {
  offset_commit_request m;
  m.topics.resize(1);
  m.topics[0].name = "orders";
  m.topics[0].topic_id.bytes[0] = std::byte{1};
  for (const std::int16_t version : {std::int16_t{9}, std::int16_t{10}}) {
    bytes out;
    REQUIRE_FALSE(encode_body(out, m, version));
    offset_commit_request back;
    REQUIRE_FALSE(decode_body(back, out, version));
    REQUIRE(back.topics.size() == 1);
    CHECK((back.topics[0].name == "orders") == (version == 9));
    CHECK(back.topics[0].topic_id.is_zero() == (version == 9));
  }
}

TEST_CASE("null where the version has none is malformed", "[protocol][messages]") {
  // Metadata request v9: one topic with a null name; the same bytes behind an id are fine in v12.
  const bytes in = of({2, 0, 0, 0, 0, 0, 0});
  metadata_request m;
  const kawait::failure f = decode_body(m, in, 9);
  CHECK(f.code == kawait::errc::malformed_response);
  CHECK(f.words == "Metadata request v9: Topics.Name at byte 2");
  // A heartbeat response with null topics in its assignment.
  bytes out;
  consumer_group_heartbeat_response h;
  h.assignment.emplace();
  REQUIRE_FALSE(encode_body(out, h, 1));
  REQUIRE(out[out.size() - 3] == std::byte{1});
  out[out.size() - 3] = std::byte{0};
  const kawait::failure g = decode_body(h, out, 1);
  CHECK(g.words.find("Assignment.TopicPartitions at byte") != std::string::npos);
}

TEST_CASE("an empty assignment is not a missing one", "[protocol][messages]") {
  for (const bool present : {false, true}) {
    consumer_group_heartbeat_response m;
    if (present) m.assignment.emplace();
    bytes out;
    REQUIRE_FALSE(encode_body(out, m, 0));
    consumer_group_heartbeat_response back;
    REQUIRE_FALSE(decode_body(back, out, 0));
    CHECK(back.assignment.has_value() == present);
  }
}

TEST_CASE("decoding starts afresh", "[protocol][messages]") {
  bytes out;
  fetch_response empty;
  REQUIRE_FALSE(encode_body(out, empty, 17));
  fetch_response used;
  used.session_id = 9;
  used.node_endpoints.resize(3);
  REQUIRE_FALSE(decode_body(used, out, 17));
  CHECK(used.session_id == 0);
  CHECK(used.node_endpoints.empty());
}

TEST_CASE("records are views of the frame", "[protocol][messages]") {
  fetch_response m;
  m.responses.resize(1);
  m.responses[0].partitions.resize(1);
  const bytes records = of({1, 2, 3});
  m.responses[0].partitions[0].records = records;
  bytes out;
  REQUIRE_FALSE(encode_body(out, m, 13));
  fetch_response back;
  REQUIRE_FALSE(decode_body(back, out, 13));
  const std::optional<bytes_view>& view = back.responses.at(0).partitions.at(0).records;
  REQUIRE(view);
  CHECK(bytes(view->begin(), view->end()) == records);
  CHECK(view->data() >= out.data());
  CHECK(view->data() + view->size() <= out.data() + out.size());
}

}  // namespace messages_tests
