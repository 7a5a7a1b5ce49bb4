#pragma once

// The one place that knows how Asio's versions differ: 1.22.1 (Debian 12) up to the newest.

#include <exception>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include <asio/any_io_executor.hpp>
#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/awaitable.hpp>
#include <asio/bind_cancellation_slot.hpp>
#include <asio/buffer.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/dispatch.hpp>
#include <asio/error.hpp>
#include <asio/execution_context.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>
#include <asio/steady_timer.hpp>
#include <asio/this_coro.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/version.hpp>

#if ASIO_VERSION >= 102300
#include <asio/as_tuple.hpp>
#else
#include <asio/experimental/as_tuple.hpp>
#endif

#include <kawait/core/error.hpp>
#include <kawait/core/result.hpp>
#include <kawait/detail/cancellation.hpp>
#include <kawait/detail/config.hpp>

namespace kawait::detail {

#if ASIO_VERSION >= 102300
using asio::as_tuple;
#else
using asio::experimental::as_tuple;
#endif

/// The token of every wait inside the library: a coroutine gets the error as a value. An object, because g++ 12 destroys
/// temporaries of a full expression with co_await twice.
inline const auto use_tuple = as_tuple(asio::use_awaitable);

inline asio::execution_context& context_of(const asio::any_io_executor& executor) {
  return asio::query(executor, asio::execution::context);
}

/// The base of a handler that stands in front of a user's: it runs where the user's would and is cancelled as the user's would.
template <class Handler, class Executor = asio::any_io_executor>
class forwarding_handler {
 public:
  using executor_type = asio::associated_executor_t<Handler, Executor>;
  using allocator_type = asio::associated_allocator_t<Handler>;
  using cancellation_slot_type = asio::associated_cancellation_slot_t<Handler>;

  forwarding_handler(Handler handler, const Executor& executor) : handler_(std::move(handler)), executor_(executor) {}

  executor_type get_executor() const noexcept { return asio::get_associated_executor(handler_, executor_); }
  allocator_type get_allocator() const noexcept { return asio::get_associated_allocator(handler_); }
  cancellation_slot_type get_cancellation_slot() const noexcept { return asio::get_associated_cancellation_slot(handler_); }

 protected:
  Handler handler_;
  Executor executor_;
};

/// What an operation completes with; default-constructible, as co_spawn wants it.
template <class T>
struct outcome {
  std::error_code code;
  T value{};
};
template <>
struct outcome<void> {
  std::error_code code;
};

template <class T>
struct operation_signature {
  using type = void(std::error_code, T);
};
template <>
struct operation_signature<void> {
  using type = void(std::error_code);
};

/// What an exception that left a coroutine comes to as an error code; one that has none is thrown on.
inline std::error_code code_of(const std::exception_ptr& e) {
  try {
    std::rethrow_exception(e);
  } catch (const std::system_error& x) {
    return x.code();
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

/// Stands in front of the user's handler, and hides its cancellation slot from the coroutine.
template <class T, class Handler>
class operation_handler : public forwarding_handler<Handler> {
 public:
  using cancellation_slot_type = asio::cancellation_slot;

  /// `slot`, the relay's, is asked for only when the coroutine is spawned.
  operation_handler(Handler handler, const asio::any_io_executor& executor, asio::cancellation_slot slot)
      : forwarding_handler<Handler>(std::move(handler), executor), slot_(slot) {}

  cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }

  void operator()(std::exception_ptr e, outcome<T> out) {
    // Only what no error code can say leaves the context's run(), as from any handler that throws.
    if (e) out.code = code_of(e);
    if constexpr (std::is_void_v<T>) {
      std::move(this->handler_)(out.code);
    } else {
      std::move(this->handler_)(out.code, std::move(out.value));
    }
  }

 private:
  asio::cancellation_slot slot_;
};

inline void take(outcome<void>& out, std::error_code code, diagnostics*) { out.code = code; }
inline void take(outcome<void>& out, failure&& f, diagnostics* words) {
  out.code = f.code;
  if (words) words->assign(std::move(f.words));
}
template <class T>
void take(outcome<T>& out, result<T>&& r, diagnostics* words) {
  if (r) {
    out.value = *std::move(r);
    return;
  }
  out.code = r.error().code;
  if (words) words->assign(std::move(r.error().words));
}

/// A value that is there although something of it failed.
template <class T>
void take(outcome<T>& out, std::pair<failure, T>&& r, diagnostics* words) {
  out.value = std::move(r.second);
  out.code = r.first.code;
  if (words) words->assign(std::move(r.first.words));
}

template <class T, class F>
asio::awaitable<outcome<T>> run_operation(F f, std::shared_ptr<cancellation_relay> relay, diagnostics* words) {
  outcome<T> out;
  if (words) words->clear();
  try {
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    if (relay && !relay->start()) {
      out.code = asio::error::operation_aborted;
      co_return out;
    }
    auto operation = f();
    if constexpr (std::is_same_v<decltype(operation), asio::awaitable<void>>) {
      co_await std::move(operation);
    } else {
      auto r = co_await std::move(operation);
      take(out, std::move(r), words);
    }
  } catch (const kawait::error& e) {
    out.code = e.code();
    if (words) words->assign(e.words());
  } catch (const std::system_error& e) {
    out.code = e.code();
  } catch (const std::bad_alloc&) {
    out.code = std::make_error_code(std::errc::not_enough_memory);
  }
  co_return out;
}

/// What co_spawn runs. It keeps the function, so the relay lives until the last frame of the coroutine has gone.
template <class T, class F>
class spawned_operation {
 public:
  spawned_operation(F f, std::shared_ptr<cancellation_relay> relay, diagnostics* words)
      : f_(std::move(f)), relay_(std::move(relay)), words_(words) {}

  asio::awaitable<outcome<T>> operator()() { return run_operation<T, F>(std::move(f_), relay_, words_); }

 private:
  F f_;
  std::shared_ptr<cancellation_relay> relay_;
  diagnostics* words_;
};

template <class T>
struct operation_initiation {
  template <class Handler, class F>
  void operator()(Handler&& handler, asio::any_io_executor executor, F f, diagnostics* words) const {
    std::shared_ptr<cancellation_relay> relay;
    asio::cancellation_slot inner;
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected()) {
      relay = std::make_shared<cancellation_relay>(executor);
      inner = relay->slot();
      slot.template emplace<relay_cancellation>(std::weak_ptr<cancellation_relay>(relay));
    }
    operation_handler<T, std::decay_t<Handler>> completion(std::forward<Handler>(handler), executor, inner);
    asio::co_spawn(executor, spawned_operation<T, F>(std::move(f), std::move(relay), words), std::move(completion));
  }
};

/// Runs the coroutine `f()` on `executor` as an asynchronous operation with any completion token, of signature
/// void(std::error_code) or void(std::error_code, T). `f` returns an awaitable of result<T>, or for void of void, std::error_code
/// or failure; it is kept until its coroutine has ended. The handler runs on its associated executor; its cancellation slot
/// cancels the coroutine (terminal, partial and total alike) from any thread; cancelled before its first step, `f` is not called. A
/// std::system_error that escapes becomes its code; `words`, if given, receives a failure's words.
template <class T, class F, class Token>
auto initiate(asio::any_io_executor executor, F f, Token&& token, diagnostics* words = nullptr) {
  using signature = typename operation_signature<T>::type;
  return asio::async_initiate<Token, signature>(operation_initiation<T>(), token, std::move(executor), std::move(f), words);
}

/// Runs a coroutine of ours whose end nobody awaits. It starts at once if the caller is on `executor`.
inline void spawn(const asio::any_io_executor& executor, asio::awaitable<void> coroutine) {
  asio::co_spawn(executor, std::move(coroutine), asio::detached);
}

}  // namespace kawait::detail
