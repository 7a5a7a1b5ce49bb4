#pragma once

#include <kawait/for_each.hpp>

#include <asio/bind_cancellation_slot.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/post.hpp>

namespace kawait::detail {

/// How long a for_each that was cancelled, or whose handler threw, may take to drain, commit and leave.
inline constexpr std::chrono::milliseconds orderly_end{30'000};

KAWAIT_DECL handler_host::handler_host(std::shared_ptr<runtime::engine> e, asio::any_io_executor handlers)
    : engine_(std::move(e)), handler_executor_(std::move(handlers)), changed_(engine_->executor()) {}

KAWAIT_DECL asio::awaitable<void> handler_host::run_handler(std::shared_ptr<handler_host> self, partition p) {
  co_await self->invoke(std::move(p));
}

KAWAIT_DECL asio::awaitable<void> handler_host::run_engine(std::shared_ptr<handler_host> self) {
  self->outcome_ = co_await self->engine_->run();
  self->engine_ended_ = true;
  self->changed_.notify_all();
}

KAWAIT_DECL asio::awaitable<void> handler_host::run(std::shared_ptr<handler_host> self) {
  const failure wrong = self->engine_->enter(runtime::reading_mode::handlers);
  value_or_throw(wrong);
  co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
  co_await asio::this_coro::throw_if_cancelled(false);
  self->engine_->set_listener(self.get());
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
  self->engine_->set_listener(nullptr);
  co_await asio::this_coro::reset_cancellation_state();
  co_await asio::this_coro::throw_if_cancelled(true);
  if (self->thrown_) std::rethrow_exception(self->thrown_);
  value_or_throw(self->outcome_);
  if (cancellations > 0) throw error(asio::error::operation_aborted, "for_each_partition");
}

KAWAIT_DECL void handler_host::on_assigned(const runtime::stream_ptr& stream) {
  if (!stream->work().enter()) return;  // the handler of another one, started a moment ago, has closed the consumer
  const auto h = std::make_shared<handler>();
  running_.emplace(stream, h);
  const auto self = shared_from_this();
  auto ended = [self, stream, h](std::exception_ptr thrown) { self->on_handler_ended(stream, std::move(thrown)); };
  auto here = asio::bind_executor(engine_->executor(), asio::bind_cancellation_slot(h->cancel.slot(), std::move(ended)));
  asio::co_spawn(handler_executor_, run_handler(self, partition(engine_, stream)), std::move(here));
}

// Once for a handler, and where it runs: a signal is no thread's business but its coroutine's.
KAWAIT_DECL void handler_host::on_gone(runtime::partition_stream& stream) {
  const auto it = running_.find(stream.shared_from_this());
  if (it == running_.end() || it->second->cancelled || stream.waiting > 0) return;
  const auto h = it->second;
  h->cancelled = true;
  asio::post(handler_executor_, [h] { h->cancel.emit(asio::cancellation_type::all); });
}

KAWAIT_DECL void handler_host::on_handler_ended(const runtime::stream_ptr& stream, std::exception_ptr thrown) {
  const bool was_cancelled = running_.at(stream)->cancelled;
  running_.erase(stream);
  if (thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::system_error& e) {
      if (!was_cancelled || e.code() != asio::error::operation_aborted) fail(thrown);
    } catch (...) {
      fail(thrown);
    }
  } else if (!stream->is_ended()) {
    fail(std::make_exception_ptr(error(errc::handler_returned_early, stream->name().to_string())));
  }
  stream->work().leave();
  changed_.notify_all();
}

KAWAIT_DECL void handler_host::fail(std::exception_ptr why) {
  if (!thrown_) thrown_ = std::move(why);
  engine_->begin_close(orderly_end);
}

}  // namespace kawait::detail
