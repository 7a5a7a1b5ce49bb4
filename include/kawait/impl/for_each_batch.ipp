#pragma once

#include <kawait/for_each_batch.hpp>

namespace kawait::detail {

// A batch that waits for its turn when its partition goes is dropped: nothing of it was begun. The next read tells the end.
KAWAIT_DECL asio::awaitable<void> batch_host::invoke(partition p) {
  const auto turn = make_turn(p);
  while (auto next = co_await p.async_next()) {
    batch& b = *next;
    const std::shared_ptr<const runtime::partition_info> of = b.lease().info;
    const std::uint64_t given = b.lease().ticket;
    const std::int64_t first = b.first_offset(), behind = b.next_offset();
    const bool is_ours = co_await turn->take();
    bool is_left = !is_ours;
    bool is_done = false;
    std::optional<attempts> tries;
    while (!is_left && !is_done) {
      std::exception_ptr thrown;
      try {
        co_await handle(b, p);
      } catch (...) {
        thrown = std::current_exception();
      }
      // Moved away; what a swap has left in its place is not ours to call done.
      const bool is_taken = !b || b.lease().info != of || b.lease().ticket != given;
      if (!thrown) {
        is_left = is_taken || p.info()->was_told_to_stop.load(std::memory_order_relaxed);
        is_done = !is_left;
        continue;
      }
      if (is_taken) std::rethrow_exception(thrown);  // there is nothing to try again, or to skip
      if (!tries) tries.emplace(settings(), first);
      skipped_work what;
      what.thrown = std::move(thrown);
      what.offset = first;
      what.next_offset = behind;
      const verdict v = co_await judge(p, *turn, *tries, what);
      is_left = v == verdict::left;
      is_done = v == verdict::done;
    }
    if (is_done) b.done();
    next.reset();
    turn->release();
  }
}

}  // namespace kawait::detail
