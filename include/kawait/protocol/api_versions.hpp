#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/protocol/field.hpp>

namespace kawait::protocol {

/// Which versions of which APIs a broker has. Versions below 3 are written for brokers only: this client sends 4, and what an old
/// broker answers to it is version 0.
struct api_versions_response {
  static constexpr const char* api_name = "ApiVersions";
  static constexpr std::int16_t api_key = 18, min_version = 0, max_version = 4, first_flexible_version = 3;

  struct api_version {
    std::int16_t api_key = 0;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("ApiKey"), &api_version::api_key);
      visit(field("MinVersion"), &api_version::min_version);
      visit(field("MaxVersion"), &api_version::max_version);
    }
  };

  struct supported_feature_key {
    std::string_view name;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Name").since(3), &supported_feature_key::name);
      visit(field("MinVersion").since(3), &supported_feature_key::min_version);
      visit(field("MaxVersion").since(3), &supported_feature_key::max_version);
    }
  };

  struct finalized_feature_key {
    std::string_view name;
    std::int16_t max_version_level = 0;
    std::int16_t min_version_level = 0;

    template <class Visitor>
    static void fields(Visitor&& visit) {
      visit(field("Name").since(3), &finalized_feature_key::name);
      visit(field("MaxVersionLevel").since(3), &finalized_feature_key::max_version_level);
      visit(field("MinVersionLevel").since(3), &finalized_feature_key::min_version_level);
    }
  };

  std::int16_t error_code = 0;
  std::vector<api_version> api_keys;
  std::int32_t throttle_time_ms = 0;
  std::vector<supported_feature_key> supported_features;
  std::int64_t finalized_features_epoch = -1;
  std::vector<finalized_feature_key> finalized_features;
  bool zk_migration_ready = false;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = api_versions_response;
    visit(field("ErrorCode"), &m::error_code);
    visit(field("ApiKeys"), &m::api_keys);
    visit(field("ThrottleTimeMs").since(1).ignorable(), &m::throttle_time_ms);
    visit(field("SupportedFeatures").since(3).tagged(0).ignorable(), &m::supported_features);
    visit(field("FinalizedFeaturesEpoch").since(3).tagged(1).ignorable(), &m::finalized_features_epoch);
    visit(field("FinalizedFeatures").since(3).tagged(2).ignorable(), &m::finalized_features);
    visit(field("ZkMigrationReady").since(3).tagged(3).ignorable(), &m::zk_migration_ready);
  }
};

/// The first request of every connection.
struct api_versions_request {
  static constexpr const char* api_name = "ApiVersions";
  static constexpr std::int16_t api_key = 18, min_version = 0, max_version = 4, first_flexible_version = 3;
  using response = api_versions_response;

  /// Both must match [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?, or the broker answers INVALID_REQUEST.
  std::string_view client_software_name;
  std::string_view client_software_version;

  template <class Visitor>
  static void fields(Visitor&& visit) {
    using m = api_versions_request;
    visit(field("ClientSoftwareName").since(3).ignorable(), &m::client_software_name);
    visit(field("ClientSoftwareVersion").since(3).ignorable(), &m::client_software_version);
  }
};

}  // namespace kawait::protocol
