#include <kawait/config.hpp>
#include <kawait/wire/compression.hpp>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include <iostream>

// What each way of taking kawait into a program has to hand over: the headers, the backend, the libraries. One of them compiles the whole
// consumer besides; it is the longest part.
int main() {
  asio::io_context context(1);
  asio::post(context, [] { std::cout << "kawait " KAWAIT_VERSION ": " << make_error_code(kawait::errc::lost).message() << '\n'; });
  const kawait::config servers("127.0.0.1:9092");
  kawait::wire::decompressor codecs;
  const bool whole = kawait::wire::is_supported(kawait::wire::codec::zstd);
  return context.run() == 1 && whole ? 0 : 1;
}
