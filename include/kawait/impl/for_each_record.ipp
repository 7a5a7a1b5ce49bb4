#pragma once

#include <kawait/for_each_record.hpp>

namespace kawait::detail {

KAWAIT_DECL asio::awaitable<void> record_host::invoke(partition p) {
  return settings().in_partition > 1 ? read_concurrently(std::move(p)) : read(std::move(p));
}

KAWAIT_DECL asio::awaitable<void> record_host::read(partition p) {
  const auto turn = make_turn(p);
  const bool at_once = !is_plain_ || is_elsewhere();
  std::optional<attempts> tries;
  while (auto next = co_await p.async_next()) {
    record_walk walk(*next, p, at_once);
    while (!walk.is_over()) {
      if (!turn->is_held()) {
        const bool is_ours = co_await turn->take();
        if (!is_ours) break;
      }
      std::exception_ptr thrown;
      if (is_plain_) {
        thrown = handle_on(walk, p, *turn);
      } else {
        try {
          co_await handle(*walk.at, p);
        } catch (...) {
          thrown = std::current_exception();
        }
        if (!thrown && walk.on_returned(*walk.at)) ++walk.at;
      }
      if (thrown) co_await settle(walk, p, *turn, tries, std::move(thrown));
      if (turn->is_contended()) turn->release();
    }
    if (walk.is_at_end()) walk.mark_all();
    turn->release();
  }
}

KAWAIT_DECL asio::awaitable<void> record_host::settle(record_walk& walk, const partition& p, work_turn& turn,
                                                      std::optional<attempts>& tries, std::exception_ptr thrown) {
  const record& r = *walk.at;
  walk.mark();  // what precedes it may be committed while it is tried again
  if (!tries || tries->offset != r.offset()) tries.emplace(settings(), r.offset());
  skipped_work what;
  what.thrown = std::move(thrown);
  what.offset = r.offset();
  what.next_offset = r.offset() + 1;
  what.record = &r;
  const verdict v = co_await judge(p, turn, *tries, what);
  if (v == verdict::again) co_return;
  tries.reset();
  if (v == verdict::left) {
    walk.leave();
  } else {
    walk.on_done(r);
    ++walk.at;
  }
}

}  // namespace kawait::detail
