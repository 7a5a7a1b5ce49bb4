#pragma once

#include <kawait/for_each_work.hpp>

#include <asio/dispatch.hpp>

namespace kawait::detail {

KAWAIT_DECL work_turn::work_turn(std::shared_ptr<runtime::handler_slots> slots, asio::any_io_executor consumer, bool is_elsewhere,
                                 partition p)
    : slots_(std::move(slots)), consumer_(std::move(consumer)), partition_(std::move(p)), is_elsewhere_(is_elsewhere) {}

KAWAIT_DECL asio::awaitable<bool> work_turn::take() {
  if (is_held()) co_return true;
  const take_operation operation(*this);
  const bool got = co_await await_on<bool>(consumer_, operation);
  held_ = got;
  co_return got;
}

KAWAIT_DECL void work_turn::release() noexcept {
  if (!std::exchange(held_, false)) return;
  if (!is_elsewhere_) {
    slots_->release(partition_.stream());
    return;
  }
  try {
    asio::dispatch(consumer_, [slots = slots_, what = partition_] { slots->release(what.stream()); });
  } catch (...) {  // no memory: one turn fewer, and the others go on
  }
}

KAWAIT_DECL work_host::work_host(std::shared_ptr<runtime::engine> e, for_each_settings s)
    : handler_host(e, s.executor.value_or(e->executor())), settings_(std::move(s)) {
  if (settings_.handlers > 0) slots_ = std::make_shared<runtime::handler_slots>(settings_.handlers);
}

KAWAIT_DECL asio::awaitable<work_host::verdict> work_host::judge(const partition& p, work_turn& turn, attempts& tries,
                                                                 skipped_work& what) {
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) std::rethrow_exception(what.thrown);
  if (tries.count++ < settings_.retries) {
    turn.release();
    const retry_operation pause(engine()->executor(), p, tries.pauses);
    const bool goes_on = co_await await_on<bool>(engine()->executor(), pause);
    if (!goes_on) co_return verdict::left;
    const bool is_ours = co_await turn.take();
    co_return is_ours ? verdict::again : verdict::left;
  }
  if (!settings_.report) std::rethrow_exception(what.thrown);
  what.partition = p.name();
  what.attempts = tries.count;
  settings_.report(what);
  co_return verdict::done;
}

}  // namespace kawait::detail
