#pragma once

#include <kawait/net/timer.hpp>

namespace kawait {

/// A timer by the environment's clock: the real one, or a test world's. Use it in handlers that are to be tested in virtual time.
using net::timer;

/// Suspends the coroutine for a duration of the environment's time. Cancelled, it throws operation_aborted.
inline asio::awaitable<void> sleep_for(net::duration d) { return net::async_sleep_for(d); }

}  // namespace kawait
