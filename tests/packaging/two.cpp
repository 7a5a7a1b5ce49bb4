// The other file of a program of two: this one begins with the tests' world, consumer.cpp with the consumer.

#include <kawait/testing/world.hpp>
#include <kawait/config.hpp>

const std::error_category& category_of_two();
const std::error_category& category_of_two() { return kawait::kawait_category(); }
