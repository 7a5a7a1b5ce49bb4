#include <kawait/protocol/versions.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "catch.hpp"

#include <kawait/protocol/consumer_group_heartbeat.hpp>
#include <kawait/protocol/fetch.hpp>

namespace versions_tests {

using namespace kawait::protocol;

api_version_table table_with(std::int16_t key, std::int16_t min, std::int16_t max) {
  api_versions_response r;
  for (std::int16_t other : {std::int16_t{90}, key, std::int16_t{0}}) {
    api_versions_response::api_version v;
    v.api_key = other;
    v.min_version = other == key ? min : std::int16_t{0};
    v.max_version = other == key ? max : std::int16_t{3};
    r.api_keys.push_back(v);
  }
  return api_version_table(r);
}

TEST_CASE("the highest version that both know is chosen", "[protocol][versions]") {
  struct row {
    std::int16_t min, max, chosen;  // -1: none
  };
  const row rows[] = {{4, 18, 18}, {4, 17, 17}, {4, 13, 13}, {4, 12, -1}, {18, 30, 18}, {19, 30, -1}, {13, 99, 18}, {20, 1, -1}};
  for (const row& r : rows) {
    CAPTURE(r.min, r.max);
    const api_version_table table = table_with(fetch_request::api_key, r.min, r.max);
    const kawait::result<std::int16_t> version = table.choose<fetch_request>();
    CHECK(static_cast<bool>(version) == (r.chosen >= 0));
    if (version) {
      CHECK(*version == r.chosen);
    } else {
      CHECK(version.error().code == kawait::errc::unsupported_broker);
    }
  }
}

TEST_CASE("an old broker's refusal says what to do", "[protocol][versions]") {
  const auto none = table_with(1, 4, 11).choose<consumer_group_heartbeat_request>();
  REQUIRE_FALSE(none);
  CHECK(none.error().words ==
        "ConsumerGroupHeartbeat: versions 0 to 1 needed, the broker has none; Kafka 4.0 or newer is needed, with group.version 1 "
        "and 'consumer' among its group.coordinator.rebalance.protocols");
  const auto old = table_with(1, 4, 11).choose<fetch_request>();
  REQUIRE_FALSE(old);
  CHECK(old.error().words == "Fetch: versions 13 to 18 needed, the broker has versions 4 to 11; Kafka 4.0 or newer is needed");
  const auto newer = table_with(1, 19, 19).choose<fetch_request>();
  REQUIRE_FALSE(newer);
  CHECK(newer.error().words ==
        "Fetch: versions 13 to 18 needed, the broker has version 19; the broker is newer than this client");
  CHECK_FALSE(api_version_table().choose<fetch_request>());
}

TEST_CASE("features are told apart from their absence, and outlive the response", "[protocol][versions]") {
  std::optional<api_version_table> table;
  {
    std::string name = "metadata.version";
    api_versions_response r;
    r.supported_features.resize(1);
    r.supported_features[0].name = name;
    r.supported_features[0].min_version = 7;
    r.supported_features[0].max_version = 30;
    table.emplace(r);
    name.assign(name.size(), 'x');
  }
  CHECK(table->metadata_version() == 30);
  CHECK(table->supported_feature("metadata.version") == version_range{7, 30});
  CHECK_FALSE(table->supported_feature("kraft.version").has_value());
  CHECK(api_version_table().metadata_version() == -1);
  CHECK_FALSE(table->range_of(3).has_value());
  CHECK(table_with(3, 0, 13).range_of(3) == version_range{0, 13});
}

TEST_CASE("an old broker answers ApiVersions v4 in version 0", "[protocol][versions]") {
  api_versions_response r;
  r.error_code = 35;
  r.api_keys.resize(1);
  r.api_keys[0].api_key = 18;
  r.api_keys[0].max_version = 3;
  std::vector<std::byte> out;
  REQUIRE_FALSE(encode_body(out, r, 0));
  api_versions_response back;
  REQUIRE_FALSE(decode_api_versions(back, out, 4));
  CHECK(back.error_code == 35);
  CHECK(api_version_table(back).range_of(18) == version_range{0, 3});

  out.clear();
  r.error_code = 0;
  r.finalized_features_epoch = 12;
  REQUIRE_FALSE(encode_body(out, r, 4));
  REQUIRE_FALSE(decode_api_versions(back, out, 4));
  CHECK(back.finalized_features_epoch == 12);

  for (std::size_t n = 0; n < out.size(); ++n) {
    CHECK(decode_api_versions(back, std::span<const std::byte>(out).first(n), 4));
  }
}

}  // namespace versions_tests
