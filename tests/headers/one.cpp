#include <kawait/kawait.hpp>

const std::error_category& category_of_two();

// One category object in both units: the inline definitions were merged, not merely accepted by the linker.
int main() { return &category_of_two() == &kawait::kawait_category() ? 0 : 1; }
