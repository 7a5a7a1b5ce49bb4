#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <kawait/core/error.hpp>
#include <kawait/core/kafka_error.hpp>

namespace kawait {

/// Kafka's rule for topic names.
inline bool is_topic_name(std::string_view name) {
  const auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 249 && name != "." && name != ".." && std::all_of(name.begin(), name.end(), legal);
}

/// For users' names, since a broker leaves a wrong one unmatched without a word.
inline failure check_topic_name(const std::string& name) {
  if (is_topic_name(name)) return {};
  return failure(kafka_error::invalid_topic_exception,
                 "topic '" + name + "': 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-' make a name");
}

}  // namespace kawait
