#pragma once

#include <utility>

#include <kawait/core/result.hpp>
#include <kawait/detail/asio.hpp>

namespace kawait::detail {

/// For the end of an operation without a completion token: its value, or kawait::error with the words.
template <class T>
T value_or_throw(result<T> r) {
  if (!r) throw error(r.error().code, r.error().words);
  return *std::move(r);
}
template <class T>
T value_or_throw(std::pair<failure, T> r) {
  if (r.first) throw error(r.first.code, r.first.words);
  return std::move(r.second);
}
inline void value_or_throw(const failure& f) {
  if (f) throw error(f.code, f.words);
}

/// Runs `f()`, an awaitable of result<T>, on `executor`: directly if the caller is on it.
template <class T, class F>
asio::awaitable<T> await_on(asio::any_io_executor executor, F f) {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  if (here == executor) {
    auto r = co_await f();
    co_return value_or_throw(std::move(r));
  }
  diagnostics words;
  auto [code, value] = co_await initiate<T>(executor, std::move(f), use_tuple, &words);
  if (code) throw error(code, words.text());
  co_return std::move(value);
}

/// Runs `f()`, an awaitable of failure, on `executor`, and never in place: for an operation that goes on when it is cancelled, and has a
/// cancellation state of its own for that.
template <class F>
asio::awaitable<void> await_apart_on(asio::any_io_executor executor, F f) {
  diagnostics words;
  auto [code] = co_await initiate<void>(executor, std::move(f), use_tuple, &words);
  if (code) throw error(code, words.text());
}

/// The same, directly if the caller is on it.
template <class F>
asio::awaitable<void> await_done_on(asio::any_io_executor executor, F f) {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  if (here == executor) {
    const failure bad = co_await f();
    value_or_throw(bad);
    co_return;
  }
  auto apart = await_apart_on(executor, std::move(f));
  co_await std::move(apart);
}

}  // namespace kawait::detail
