#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <kawait/core/error.hpp>
#include <kawait/core/result.hpp>
#include <kawait/detail/config.hpp>
#include <kawait/protocol/api_versions.hpp>
#include <kawait/protocol/codec.hpp>

namespace kawait::protocol {

/// Decodes the answer to an ApiVersions request of `sent_version`, from behind the correlation id. A broker that does not know
/// that version answers UNSUPPORTED_VERSION in the format of version 0, with its own range of ApiVersions among the keys: ask
/// again with its maximum.
KAWAIT_DECL failure decode_api_versions(api_versions_response& out, std::span<const std::byte> in, std::int16_t sent_version);

/// Versions of an API, or levels of a feature, both ends included.
struct version_range {
  std::int16_t min = 0;
  std::int16_t max = -1;

  friend bool operator==(const version_range&, const version_range&) = default;
};

/// What one broker can do. Belongs to a connection: brokers of a cluster differ while it is upgraded. Copies all that it keeps.
class api_version_table {
 public:
  api_version_table() = default;
  KAWAIT_DECL explicit api_version_table(const api_versions_response& response);

  /// The highest version that both sides know, or errc::unsupported_broker with words that name the API, what the broker has and
  /// what is needed.
  template <request Request>
  result<std::int16_t> choose() const {
    return choose(Request::api_key, Request::api_name, version_range{Request::min_version, Request::max_version});
  }

  /// The broker's range of an API, or nothing if it does not have it.
  KAWAIT_DECL std::optional<version_range> range_of(std::int16_t api_key) const;

  /// The broker's range of a feature (its software's, not the level that the cluster has finalized), or nothing.
  KAWAIT_DECL std::optional<version_range> supported_feature(std::string_view name) const;

  /// The highest `metadata.version` that the broker's software supports, -1 if it does not say: 25, 27, 29, 30 for Kafka 4.0 to
  /// 4.3.
  KAWAIT_DECL std::int16_t metadata_version() const;

 private:
  struct api {
    std::int16_t key;
    version_range range;
  };
  struct feature {
    std::string name;
    version_range range;
  };

  KAWAIT_DECL result<std::int16_t> choose(std::int16_t api_key, const char* api_name, version_range ours) const;

  std::vector<api> apis_;  ///< By key.
  std::vector<feature> features_;
};

}  // namespace kawait::protocol

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/protocol/impl/versions.ipp>
#endif
