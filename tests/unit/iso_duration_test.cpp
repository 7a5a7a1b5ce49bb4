#include <kawait/detail/iso_duration.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "catch.hpp"

namespace iso_duration_tests {

TEST_CASE("iso_duration: as java.time.Duration.parse reads it") {
  struct {
    const char* text;
    std::optional<std::int64_t> ms;
  } const rows[] = {
      {"PT1H", 3'600'000},
      {"P1D", 86'400'000},
      {"P2DT3H4M", 2 * 86'400'000 + 3 * 3'600'000 + 4 * 60'000},
      {"PT20.345S", 20'345},
      {"PT20,345S", 20'345},
      {"PT0.000999999S", 0},
      {"PT5.S", 5'000},
      {"PT0S", 0},
      {"pt15m", 900'000},
      {"PT10H30M5.5S", 37'805'500},
      {"PT-6H3M", -6 * 3'600'000 + 180'000},
      {"-PT6H", -6 * 3'600'000},
      {"-PT-6H+3M", 6 * 3'600'000 - 180'000},
      {"+P1D", 86'400'000},
      {"PT-0.5S", -500},
      {"P10675199D", std::int64_t{10'675'199} * 86'400'000},
      {"", std::nullopt},
      {"P", std::nullopt},
      {"PT", std::nullopt},
      {"P1DT", std::nullopt},
      {"1H", std::nullopt},
      {"T1H", std::nullopt},
      {"PT1", std::nullopt},
      {"PTH", std::nullopt},
      {"PT1H ", std::nullopt},
      {" PT1H", std::nullopt},
      {"PT1M1H", std::nullopt},
      {"PT1H1H", std::nullopt},
      {"PT1.5H", std::nullopt},
      {"P1.5D", std::nullopt},
      {"PT.5S", std::nullopt},
      {"PT1.1234567890S", std::nullopt},
      {"PT--1H", std::nullopt},
      {"PT-", std::nullopt},
      {"P1Y", std::nullopt},
      {"P1M", std::nullopt},
      {"P1W", std::nullopt},
      {"P9223372036854775807D", std::nullopt},
      {"P99999999999999999999D", std::nullopt},
      {"PT9223372036854775807S", std::nullopt},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.text));
    const auto parsed = kawait::detail::iso_duration::parse(row.text);
    REQUIRE(parsed.has_value() == row.ms.has_value());
    if (parsed) CHECK(parsed->count() == *row.ms);
  }
}

}  // namespace iso_duration_tests
