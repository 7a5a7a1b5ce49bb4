#define KAWAIT_SRC_PART 5
#include <kawait/src.hpp>
