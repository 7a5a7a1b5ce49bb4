#pragma once

#include <kawait/for_each.hpp>

#include <exception>
#include <utility>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>

namespace kawait::detail {

/// How long a for_each that was cancelled, or whose handler threw, may take to drain, commit and leave.
inline constexpr std::chrono::milliseconds orderly_end{30'000};

KAWAIT_DECL handler_host::handler_host(std::shared_ptr<runtime::engine> e, asio::any_io_executor handlers)
    : engine_(std::move(e)), handler_executor_(std::move(handlers)), changed_(engine_->executor()) {}

// What it throws is a result, which moves to the consumer's thread: an exception that leaves the coroutine is held by Asio's frames on
// the handler's thread, too, and the thread sanitizer cannot see how libstdc++ counts the two.
KAWAIT_DECL asio::awaitable<std::exception_ptr> handler_host::run_handler(std::shared_ptr<handler_host> self,
                                                                          std::shared_ptr<cancellation_relay> cancel, partition p) {
  std::exception_ptr thrown;
  if (!cancel->start()) co_return thrown;  // gone before it began
  try {
    co_await self->invoke(std::move(p));
  } catch (...) {
    thrown = std::current_exception();
  }
  co_return std::move(thrown);
}

KAWAIT_DECL asio::awaitable<void> handler_host::run_engine(std::shared_ptr<handler_host> self) {
  self->outcome_ = co_await self->engine_->run();
  self->engine_ended_ = true;
  self->changed_.notify_all();
}

KAWAIT_DECL asio::awaitable<void> handler_host::run(std::shared_ptr<handler_host> self) {
  diagnostics words;
  const host_operation operation(self);
  auto [code] = co_await initiate<void>(self->engine_->executor(), operation, use_tuple, &words);
  if (self->thrown_) std::rethrow_exception(std::exchange(self->thrown_, nullptr));
  if (code) throw error(code, words.text());
}

KAWAIT_DECL asio::awaitable<failure> handler_host::host_handlers(std::shared_ptr<handler_host> self) {
  failure wrong = self->engine_->enter(runtime::reading_mode::handlers);
  if (wrong) co_return wrong;
  co_await asio::this_coro::throw_if_cancelled(false);
  const listening heard(self);
  spawn(self->engine_->executor(), run_engine(self));
  int cancellations = 0;
  while (!self->engine_ended_ || !self->running_.empty()) {
    co_await self->changed_.wait();
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() == asio::cancellation_type::none) continue;
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    if (++cancellations == 1) {
      self->engine_->begin_close(orderly_end);
    } else {
      self->engine_->stop(failure(std::error_code(asio::error::operation_aborted)));
    }
  }
  if (self->outcome_ || cancellations == 0) co_return self->outcome_;
  co_return failure(std::error_code(asio::error::operation_aborted), "for_each_partition");
}

// A handler that runs elsewhere has a strand: its coroutine and its cancellation may not run at once on two threads of a pool.
KAWAIT_DECL void handler_host::on_assigned(const runtime::stream_ptr& stream) {
  if (!stream->work().enter()) return;  // the handler of another one, started a moment ago, has closed the consumer
  const auto cancel = std::make_shared<cancellation_relay>(
      is_elsewhere() ? asio::any_io_executor(asio::make_strand(handler_executor_)) : handler_executor_);
  running_[stream].cancel = cancel;
  const auto self = shared_from_this();
  auto ended = [self, stream](std::exception_ptr unstarted, std::exception_ptr thrown) {
    self->on_handler_ended(stream, unstarted ? std::move(unstarted) : std::move(thrown));
  };
  auto here = asio::bind_executor(engine_->executor(), asio::bind_cancellation_slot(cancel->slot(), std::move(ended)));
  asio::co_spawn(cancel->executor(), handler_operation(self, cancel, partition(engine_, stream)), std::move(here));
}

// Once for a handler, and not from within: what its coroutine waits for may be anything, and hears of it as the coroutine's executor
// comes to it. It may have ended by then.
KAWAIT_DECL void handler_host::on_gone(runtime::partition_stream& stream) {
  const auto it = running_.find(stream.shared_from_this());
  if (it == running_.end() || it->second.cancelled || stream.waiting > 0) return;
  if (const auto cancel = it->second.cancel.lock()) {
    cancel->request();
    asio::post(cancel->executor(), [cancel] { cancel->emit(asio::cancellation_type::all); });
  }
  it->second.cancelled = true;  // not before: without memory for the above the next attempt is the one
}

KAWAIT_DECL void handler_host::on_handler_ended(const runtime::stream_ptr& stream, std::exception_ptr thrown) {
  const bool was_cancelled = running_.at(stream).cancelled;
  running_.erase(stream);
  // First, since what follows may be short of memory: a gate that nobody leaves keeps the drain, and the close, for ever. Who waits for
  // either runs later, and finds what the handler threw.
  stream->work().leave();
  changed_.notify_all();
  try {
    if (thrown) {
      try {
        std::rethrow_exception(thrown);
      } catch (const std::system_error& e) {
        if (!was_cancelled || e.code() != asio::error::operation_aborted) fail(*stream, thrown);
      } catch (...) {
        fail(*stream, thrown);
      }
    } else if (!stream->is_ended()) {
      fail(*stream, std::make_exception_ptr(error(errc::handler_returned_early, stream->name().to_string())));
    }
  } catch (...) {  // it would leave the user's io_context::run(), and the consumer go on without the handler
    engine_->on_failed(std::current_exception());
  }
}

// One of them is rethrown. What the others threw while they drained nobody would hear of otherwise; after the consumer's end nothing is
// told any more.
KAWAIT_DECL void handler_host::fail(const runtime::partition_stream& stream, std::exception_ptr why) {
  if (thrown_ && !engine_->is_over()) {
    const failure one_more = runtime::failure_of(std::move(why));
    engine_->warn(failure(one_more.code, "handler of " + stream.name().to_string() + ": " + one_more.words));
  } else if (!thrown_) {
    thrown_ = std::move(why);
  }
  engine_->begin_close(orderly_end);
}

}  // namespace kawait::detail
