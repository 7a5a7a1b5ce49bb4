#define KAWAIT_SRC_PART 3
#include <kawait/src.hpp>
