#include <kawait/src.hpp>
