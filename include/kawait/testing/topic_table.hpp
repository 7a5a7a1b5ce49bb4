#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <kawait/core/types.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::testing {

/// What a group coordinator has to know of a topic.
struct topic_image {
  std::string name;
  uuid id;
  std::int32_t partitions = 0;

  topic_image() = default;
  topic_image(std::string n, const uuid& i, std::int32_t p) : name(std::move(n)), id(i), partitions(p) {}

  friend bool operator==(const topic_image&, const topic_image&) = default;
};

/// The topics there are, by name and by id.
class topic_table {
 public:
  topic_table() = default;
  KAWAIT_DECL explicit topic_table(std::vector<topic_image> topics);
  topic_table(const topic_table&) = delete;
  topic_table& operator=(const topic_table&) = delete;
  topic_table(topic_table&&) = default;  // the nodes of a map stay where they are
  topic_table& operator=(topic_table&&) = default;

  /// Null: there is none.
  KAWAIT_DECL const topic_image* by_name(std::string_view name) const;
  KAWAIT_DECL const topic_image* by_id(const uuid& id) const;
  const std::map<std::string, topic_image, std::less<>>& all() const noexcept { return by_name_; }

 private:
  std::map<std::string, topic_image, std::less<>> by_name_;
  std::unordered_map<uuid, const topic_image*> by_id_;
};

}  // namespace kawait::testing

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/testing/impl/topic_table.ipp>
#endif
