#define KAWAIT_SRC_PART 1
#include <kawait/src.hpp>
