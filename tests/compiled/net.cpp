#define KAWAIT_SRC_PART 2
#include <kawait/src.hpp>
