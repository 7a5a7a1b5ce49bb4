#pragma once

// What the members have in common that tests start as programs of their own.

#include "properties.hpp"

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>

#include <unistd.h>

#include <cstddef>
#include <exception>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace kawait::tests {

/// What it throws leaves the context's run().
inline void spawn(asio::io_context& context, asio::awaitable<void> coroutine) {
  asio::co_spawn(context, std::move(coroutine), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

/// The lines of standard input, on which a test gives its orders.
class order_lines {
 public:
  explicit order_lines(asio::io_context& context) : input_(context, ::dup(STDIN_FILENO)) {}

  /// Nothing at the end, or when it was closed meanwhile.
  asio::awaitable<std::optional<std::string>> async_next() {
    std::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    auto target = asio::dynamic_buffer(buffer_);
    const std::size_t length = co_await asio::async_read_until(input_, target, '\n', token);
    if (ec) co_return std::nullopt;
    std::string line = buffer_.substr(0, length - 1);
    buffer_.erase(0, length);
    co_return line;
  }
  void close() { input_.close(); }

 private:
  asio::posix::stream_descriptor input_;
  std::string buffer_;
};

/// main() of NAME BOOTSTRAP TOPIC GROUP [OWN...] [property=value ...], where `own` words are the program's. `make` gives its member for
/// a context and the configuration; the member's run() is the exit status.
template <class Make>
int member_main(std::string_view usage, std::size_t own, std::span<char* const> words, Make make) {
  const std::string_view name = usage.substr(0, usage.find(' '));
  if (words.size() < 4 + own) {
    std::cerr << "usage: " << usage << '\n';
    return 2;
  }
  try {
    config c(words[1]);
    c.group_id(words[3]).auto_offset_reset(offset_reset::earliest);
    set_properties(c, words.subspan(4 + own));
    asio::io_context context(1);
    return make(context, c).run();
  } catch (const std::exception& e) {
    std::cerr << name << ": " << e.what() << '\n';
    return 1;
  }
}

}  // namespace kawait::tests
