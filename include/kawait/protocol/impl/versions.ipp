#pragma once

#include <algorithm>

#include <kawait/core/kafka_error.hpp>
#include <kawait/protocol/versions.hpp>
#include <kawait/wire/reader.hpp>

namespace kawait::protocol {

namespace detail {

inline std::string to_string(version_range r) {
  return r.min == r.max ? "version " + std::to_string(r.min)
                        : "versions " + std::to_string(r.min) + " to " + std::to_string(r.max);
}

/// What to do about a broker without the API.
inline const char* help_for(std::int16_t api_key) {
  constexpr std::int16_t consumer_group_heartbeat = 68;
  return api_key == consumer_group_heartbeat
             ? "; Kafka 4.0 or newer is needed, with group.version 1 and 'consumer' among its "
               "group.coordinator.rebalance.protocols"
             : "; Kafka 4.0 or newer is needed";
}

}  // namespace detail

KAWAIT_DECL failure decode_api_versions(api_versions_response& out, std::span<const std::byte> in, std::int16_t sent_version) {
  // The error code comes first in every version, so it tells which one follows.
  const auto unsupported = static_cast<std::int16_t>(kafka_error::unsupported_version);
  const bool fell_back = in.size() >= 2 && wire::load_big_endian<std::int16_t>(in.data()) == unsupported;
  return decode_response(out, in, fell_back ? std::int16_t{0} : sent_version);
}

KAWAIT_DECL api_version_table::api_version_table(const api_versions_response& response) {
  apis_.reserve(response.api_keys.size());
  for (const auto& a : response.api_keys) apis_.push_back(api{a.api_key, version_range{a.min_version, a.max_version}});
  std::sort(apis_.begin(), apis_.end(), [](const api& a, const api& b) { return a.key < b.key; });
  features_.reserve(response.supported_features.size());
  for (const auto& f : response.supported_features) {
    features_.push_back(feature{std::string(f.name), version_range{f.min_version, f.max_version}});
  }
}

KAWAIT_DECL std::optional<version_range> api_version_table::range_of(std::int16_t api_key) const {
  const auto at = std::lower_bound(apis_.begin(), apis_.end(), api_key, [](const api& a, std::int16_t k) { return a.key < k; });
  if (at == apis_.end() || at->key != api_key) return std::nullopt;
  return at->range;
}

KAWAIT_DECL std::optional<version_range> api_version_table::supported_feature(std::string_view name) const {
  for (const feature& f : features_) {
    if (f.name == name) return f.range;
  }
  return std::nullopt;
}

KAWAIT_DECL std::int16_t api_version_table::metadata_version() const {
  const std::optional<version_range> range = supported_feature("metadata.version");
  return range ? range->max : std::int16_t{-1};
}

KAWAIT_DECL result<std::int16_t> api_version_table::choose(std::int16_t api_key, const char* api_name, version_range ours) const {
  const std::optional<version_range> theirs = range_of(api_key);
  if (theirs) {
    const std::int16_t highest = std::min(ours.max, theirs->max);
    if (highest >= ours.min && highest >= theirs->min) return highest;
  }
  const std::string need = std::string(api_name) + ": " + detail::to_string(ours) + " needed, the broker has ";
  if (!theirs) return failure(errc::unsupported_broker, need + "none" + detail::help_for(api_key));
  const char* const help = theirs->max < ours.min ? detail::help_for(api_key) : "; the broker is newer than this client";
  return failure(errc::unsupported_broker, need + detail::to_string(*theirs) + help);
}

}  // namespace kawait::protocol
