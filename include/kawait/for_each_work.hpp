#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <asio/awaitable.hpp>

#include <kawait/for_each.hpp>
#include <kawait/for_each_options.hpp>
#include <kawait/machine/backoff.hpp>
#include <kawait/runtime/handler_slots.hpp>

namespace kawait::detail {

/// What calling a handler of either form gives: with the partition if it takes one.
template <class Handler, class Work>
decltype(auto) call_handler(Handler& h, Work& work, partition& p) {
  if constexpr (std::is_invocable_v<Handler&, Work&, partition&>) {
    return h(work, p);
  } else {
    return h(work);
  }
}
template <class Handler, class Work>
concept takes_work = std::move_constructible<Handler> &&
                     (std::is_invocable_v<Handler&, Work&, partition&> || std::is_invocable_v<Handler&, Work&>);
template <class Handler, class Work>
using handler_result = decltype(call_handler(std::declval<Handler&>(), std::declval<Work&>(), std::declval<partition&>()));
template <class Handler, class Work>
concept plain_handler = takes_work<Handler, Work> && std::is_void_v<handler_result<Handler, Work>>;
template <class Handler, class Work>
concept coroutine_handler = takes_work<Handler, Work> && std::same_as<handler_result<Handler, Work>, asio::awaitable<void>>;

/// One handler's turn among those that `concurrency` allows; without that option there is nothing to wait for. Used where the handler
/// runs; it goes back when this goes.
class work_turn {
 public:
  KAWAIT_DECL work_turn(std::shared_ptr<runtime::handler_slots> slots, asio::any_io_executor consumer, bool is_elsewhere, partition p);
  work_turn(const work_turn&) = delete;
  work_turn& operator=(const work_turn&) = delete;
  ~work_turn() { release(); }

  bool is_held() const noexcept { return held_ || !slots_; }
  /// False if the partition's stream has ended: there is nothing to begin any more.
  KAWAIT_DECL asio::awaitable<bool> take();
  KAWAIT_DECL void release() noexcept;
  bool is_contended() const noexcept { return slots_ && slots_->is_contended(); }

 private:
  struct take_operation {
    explicit take_operation(const work_turn& t) : slots(t.slots_), what(t.partition_) {}
    std::shared_ptr<runtime::handler_slots> slots;
    partition what;
    asio::awaitable<result<bool>> operator()() const { return slots->acquire(what.stream()); }
  };

  std::shared_ptr<runtime::handler_slots> slots_;
  asio::any_io_executor consumer_;
  partition partition_;
  bool is_elsewhere_;
  bool held_ = false;
};

/// What for_each_batch and for_each_record have in common: turns, and what becomes of work whose handler throws.
class work_host : public handler_host {
 public:
  /// What was tried with one record or batch.
  struct attempts {
    attempts(const for_each_settings& s, std::int64_t o) : pauses(s.pauses), offset(o) {}
    machine::backoff pauses;
    std::int64_t offset;
    int count = 0;
  };
  enum class verdict {
    again,  ///< Call the handler with the same work; the turn is held.
    done,   ///< Given up, and done.
    left    ///< The partition goes: what is not done is the next owner's.
  };

  KAWAIT_DECL work_host(std::shared_ptr<runtime::engine> e, for_each_settings s);

  const for_each_settings& settings() const noexcept { return settings_; }
  std::unique_ptr<work_turn> make_turn(const partition& p) const {
    return std::make_unique<work_turn>(slots_, engine()->executor(), is_elsewhere(), p);
  }
  /// After the handler threw. Throws the same if there is no policy, or it was cancelled. On the handler's executor.
  KAWAIT_DECL asio::awaitable<verdict> judge(const partition& p, work_turn& turn, attempts& tries, skipped_work& what);

  using handler_host::is_elsewhere;

 private:
  struct retry_operation {
    retry_operation(asio::any_io_executor e, partition p, machine::backoff& b)
        : consumer(std::move(e)), what(std::move(p)), pauses(&b) {}
    asio::any_io_executor consumer;
    partition what;
    machine::backoff* pauses;
    asio::awaitable<result<bool>> operator()() const { return runtime::wait_to_retry(consumer, what.stream(), *pauses); }
  };

  for_each_settings settings_;
  std::shared_ptr<runtime::handler_slots> slots_;
};

}  // namespace kawait::detail

#if defined(KAWAIT_HEADER_ONLY)
#include <kawait/impl/for_each_work.ipp>
#endif
