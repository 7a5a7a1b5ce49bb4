#pragma once

/// Header-only by default. A program that would rather compile the library once defines KAWAIT_SEPARATE_COMPILATION in every
/// translation unit and includes <kawait/src.hpp> in exactly one.
#if defined(KAWAIT_SEPARATE_COMPILATION)
#define KAWAIT_DECL
#else
#define KAWAIT_HEADER_ONLY 1
#define KAWAIT_DECL inline
#endif

#define KAWAIT_VERSION_MAJOR 0
#define KAWAIT_VERSION_MINOR 1
#define KAWAIT_VERSION_PATCH 0
#define KAWAIT_VERSION "0.1.0"
