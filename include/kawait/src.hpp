#pragma once

/// The library compiled once: define KAWAIT_SEPARATE_COMPILATION in every translation unit and include this in exactly one.
/// Written by tests/layering/check.py --write-src.

#include <kawait/detail/config.hpp>

#if !defined(KAWAIT_SEPARATE_COMPILATION)
#error "kawait/src.hpp needs KAWAIT_SEPARATE_COMPILATION, in every translation unit"
#endif

#include <kawait/core/impl/error.ipp>
#include <kawait/core/impl/kafka_error.ipp>
#include <kawait/core/impl/types.ipp>
