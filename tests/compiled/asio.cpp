// Asio looks whether the standard library has aligned_alloc(), and sees it only behind one of its headers: what this file frees, others
// have allocated.
#include <cstddef>

#include <asio/impl/src.hpp>
