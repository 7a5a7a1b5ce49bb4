#include <kawait/testing/world.hpp>
#include <kawait/config.hpp>

const std::error_category& category_of_two();
const std::error_category& category_of_two() { return kawait::kawait_category(); }
