#define KAWAIT_SRC_PART 4
#include <kawait/src.hpp>
