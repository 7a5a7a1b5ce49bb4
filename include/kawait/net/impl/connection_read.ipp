#pragma once

#include <algorithm>
#include <cstring>

#include <kawait/net/connection.hpp>
#include <kawait/core/mutation.hpp>
#include <kawait/wire/reader.hpp>

namespace kawait::net {

// `self` keeps the connection alive until the last read has completed, whoever closes it in between.
KAWAIT_DECL asio::awaitable<void> connection::read_loop(std::shared_ptr<connection> self) {
  for (;;) {
    const bool read = co_await self->read_frame();
    if (!read) co_return;
  }
}

// False: the connection is closed.
KAWAIT_DECL asio::awaitable<bool> connection::read_more() {
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ != 0) {
    std::memmove(staging_.data(), staging_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  std::error_code ec;
  const std::span<std::byte> room = std::span<std::byte>(staging_).subspan(end_);
  const std::size_t size = co_await stream_->read_some(room, ec);
  if (why_) co_return false;
  if (ec) {
    fail(detail::code_of_end(ec), ec.message());
    co_return false;
  }
  end_ += size;
  co_return true;
}

KAWAIT_DECL bool connection::check_length() {
  const auto length = wire::load_big_endian<std::int32_t>(staging_.data() + begin_);
  // What TLS says to those who do not speak it: an alert (21) of version 3.
  if (length >> 16 == 0x1503 && stage_ == stage::handshaking && !options_.tls) {
    fail(make_error_code(errc::frame_too_large), "the listener speaks TLS, which security.protocol does not say");
    return false;
  }
  if (length < 4 || static_cast<std::size_t>(length) > max_frame_) {
    fail(make_error_code(errc::frame_too_large), "a frame of " + std::to_string(length) + " bytes");
    return false;
  }
  return true;
}

// Kafka answers in the order of the requests.
KAWAIT_DECL bool connection::check_correlation_id() {
  const auto id = wire::load_big_endian<std::int32_t>(staging_.data() + begin_ + 4);
  if (pending_.empty()) {
    fail(make_error_code(errc::correlation_mismatch), "an answer with correlation id " + std::to_string(id) + " to no request");
    return false;
  }
  const std::int32_t expected = pending_.front().correlation_id;
  if (id != expected && !KAWAIT_MUTANT(takes_any_answer)) {
    fail(make_error_code(errc::correlation_mismatch),
         "an answer with correlation id " + std::to_string(id) + " instead of " + std::to_string(expected));
    return false;
  }
  return true;
}

KAWAIT_DECL asio::awaitable<bool> connection::read_frame() {
  bool length_checked = false;
  for (;;) {
    const std::size_t have = end_ - begin_;
    if (have >= 4 && !length_checked) {
      if (!check_length()) co_return false;
      length_checked = true;
    }
    if (have >= 8) break;
    const bool more = co_await read_more();
    if (!more) co_return false;
  }
  if (!check_correlation_id()) co_return false;
  const auto length = wire::load_big_endian<std::int32_t>(staging_.data() + begin_);
  const std::size_t size = static_cast<std::size_t>(length) - 4;
  begin_ += 8;
  if (!pending_.front().slot) {
    const bool dropped = co_await drop_body(size);
    if (dropped) pending_.pop_front();
    co_return dropped;
  }
  wire::slab_ref buffer = acquire(size);
  if (!buffer) co_return false;
  const bool complete = co_await read_body(buffer->data(), size);
  if (complete) deliver(std::move(buffer), size);
  co_return complete;
}

KAWAIT_DECL wire::slab_ref connection::acquire(std::size_t size) {
  wire::slab_ref buffer;
  try {
    buffer = pending_.front().body->acquire(size);
  } catch (const std::bad_alloc&) {
    fail(std::make_error_code(std::errc::not_enough_memory), "no memory for a response of " + std::to_string(size) + " bytes");
  }
  return buffer;
}

// What is staged is copied; the rest goes straight to where it stays, as much a read as there is.
KAWAIT_DECL asio::awaitable<bool> connection::read_body(std::byte* to, std::size_t size) {
  const std::size_t staged = std::min(size, end_ - begin_);
  std::memcpy(to, staging_.data() + begin_, staged);
  begin_ += staged;
  std::size_t done = staged;
  while (done < size) {
    std::error_code ec;
    stream_->expect(size - done);
    const std::span<std::byte> room(to + done, size - done);
    const std::size_t n = co_await stream_->read_some(room, ec);
    if (why_) co_return false;
    if (ec) {
      fail(detail::code_of_end(ec), ec.message());
      co_return false;
    }
    done += n;
  }
  stream_->expect(0);
  co_return true;
}

KAWAIT_DECL asio::awaitable<bool> connection::drop_body(std::size_t size) {
  for (;;) {
    const std::size_t staged = std::min(size, end_ - begin_);
    begin_ += staged;
    size -= staged;
    if (size == 0) co_return true;
    const bool more = co_await read_more();
    if (!more) co_return false;
  }
}

KAWAIT_DECL void connection::deliver(wire::slab_ref buffer, std::size_t size) {
  detail::answer_slot* slot = pending_.front().slot;
  pending_.pop_front();
  if (stage_ == stage::established) stage_ = stage::answered;
  if (!slot) return;  // cancelled while the body came in
  slot->buffer = std::move(buffer);
  slot->size = size;
  slot->done = true;
  slot->ready.notify_all();
}

}  // namespace kawait::net
