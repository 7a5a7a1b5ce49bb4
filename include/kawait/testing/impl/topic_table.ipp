#pragma once

#include <kawait/testing/topic_table.hpp>

namespace kawait::testing {

KAWAIT_DECL topic_table::topic_table(std::vector<topic_image> topics) {
  for (auto& t : topics) {
    const std::string name = t.name;
    by_name_.insert_or_assign(name, std::move(t));
  }
  for (const auto& [name, t] : by_name_) by_id_.insert_or_assign(t.id, &t);
}

KAWAIT_DECL const topic_image* topic_table::by_name(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &it->second;
}

KAWAIT_DECL const topic_image* topic_table::by_id(const uuid& id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second;
}

}  // namespace kawait::testing
