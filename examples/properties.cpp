// Prints every property as a page of Markdown; examples/PROPERTIES.md is its output.

#include <kawait/properties.hpp>

#include <iostream>
#include <string>

namespace {

std::string allowed(const kawait::property_info& p) {
  using type = kawait::property_type;
  const std::string range = std::to_string(p.min) + " to " + std::to_string(p.max);
  switch (p.type) {
    case type::choice: return std::string(p.choices);
    case type::boolean: return "true or false";
    case type::password:
    case type::text:
    case type::list: return range + " bytes";
    default: return range;
  }
}

}  // namespace

int main() {
  std::cout << "# Properties\n\n"
               "By Kafka's names where Kafka has one: `config::set`, `load_file`, `load_environment` (`KAWAIT_CONFIG_GROUP_ID` for `group.id`).\n"
               "`kawait::config` has a typed setter for most. This page is what `examples/properties` prints.\n\n"
               "| property | type | default | allowed | meaning |\n|---|---|---|---|---|\n";
  for (const kawait::property_info& p : kawait::properties()) {
    std::cout << "| `" << p.name << "` | " << name_of(p.type) << " | " << (p.standard.empty() ? "none" : p.standard) << " | " << allowed(p)
              << " | " << p.meaning << " |\n";
  }
}
