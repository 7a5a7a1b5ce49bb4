#pragma once

#include <kawait/core/observer.hpp>
